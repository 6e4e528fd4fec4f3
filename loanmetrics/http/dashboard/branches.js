// All branches.

import { about, catalogue, meanings } from "./catalogue.js";
import { NOTE, certify } from "./certainty.js";
import { h, missing, picked, to } from "./dom.js";
import { filters } from "./filters.js";
import { count, money, share } from "./format.js";
import { strip } from "./strip.js";
import { listing, metric } from "./table.js";

const CERTAIN = ["par15_ratio", "fimr"];

const columns = (told, date) => [
  { name: "branch", title: "Branch", head: true, show: (row) => h("a", { href: to("/officers", { branch: row.branch, date }) }, row.branch) },
  { name: "region", title: "Region", show: (row) => row.region },
  metric("portfolio_total", "Portfolio", money, told),
  metric("overdue_15d", "Overdue 15 days", money, told),
  metric("par15_ratio", "PAR15", share, told),
  metric("fimr", "FIMR", share, told),
  metric("active_loans", "Loans", count, told),
  metric("total_officers", "Officers", count, told),
  metric("ayr", "AYR", share, told),
  metric("dqi", "DQI", count, told),
];

export const branches = async ({ state, change }) => {
  const [options, told, known] = await Promise.all([catalogue(), about(), meanings()]);
  const shown = columns(told, state.date);
  const after = (data, rows) => CERTAIN.forEach((name) => certify({
    metric: name, better: known[name].better, by: "branch", date: state.date, key: (row) => JSON.stringify([row.region, row.branch]),
    data, rows, place: shown.findIndex((column) => column.name === name),
  }).catch(missing("Intervals")));
  const [book, list] = await Promise.all([strip(state.date), listing({
    path: "/metrics/branches", name: "branches", caption: "Branches and their figures", columns: shown, state, change,
    given: picked(state, ["date", "region"]), sort: "-par15_ratio", after,
  })]);
  const wanted = [["day", "As of", "date"], ["any", "Region", "region", options.regions]];
  return { title: "Branches", meta: list.meta, drawn: [h("h1", {}, "Branches"), book, filters(wanted, state, change, { date: list.meta.calculation_date }), list.drawn, h("p", { class: "soft" }, NOTE)] };
};
