// What can be chosen from and what everything means; asked once.

import { get } from "./api.js";
import { learn } from "./format.js";

// What lists call otherwise than the catalogue does.
const OTHERWISE = { portfolio_total: "total_portfolio", overdue_15d: "overdue_15d_amount", yield: "total_yield" };
const RANK = "Place among all officers of the day: 0.6 of the risk score's rank and 0.4 of the arrears yield ratio's, best first. "
  + "Officers with too few active loans have none.";
let known = null;

export const catalogue = async () => {
  if (!known) {
    known = (await get("/filters/options")).data;
    learn(known.units);
  }
  return known;
};

// By name: the title, the unit and the definition of every metric, measure and cause.
export const meanings = async () => {
  const { metrics, measures, causes } = await catalogue();
  const found = {
    ...Object.fromEntries(causes.map((it) => [it.name, { title: it.title, about: it.about }])),
    ...Object.fromEntries(measures.map((it) => [it.name, { title: it.title, unit: it.unit, about: it.about }])),
    ...Object.fromEntries(metrics.map((it) => [it.name, { title: it.title, unit: it.unit, certain: it.certain, better: it.better,
      about: `${it.title}. ${it.about}\n${it.in_words ?? it.formula}${it.bands ? `\n${it.bands}` : ""}` }])),
    rank: { title: "Rank", unit: "rank", about: RANK },
  };
  Object.entries(OTHERWISE).forEach(([name, other]) => { found[name] = found[other]; });
  return found;
};

export const about = async () => Object.fromEntries(Object.entries(await meanings()).map(([name, it]) => [name, it.about]));
