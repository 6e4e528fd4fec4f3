// One officer: figures, why the score is what it is, history, loans, audit.

import { get } from "./api.js";
import { auditing } from "./auditing.js";
import { meanings } from "./catalogue.js";
import { line } from "./charts.js";
import { h, to, toWhy } from "./dom.js";
import { filters } from "./filters.js";
import { before, count, money, share } from "./format.js";
import { placed } from "./officers.js";
import { ownerless, people } from "./people.js";
import { briefly } from "./points.js";
import { card } from "./strip.js";
import { band } from "./table.js";

const CARDS = [
  ["risk_score", "Risk score", count], ["rank", "Rank", count], ["portfolio_total", "Portfolio", money],
  ["overdue_15d", "Overdue 15 days", money], ["active_loans", "Active loans", count], ["fimr", "FIMR", share],
  ["d06_slippage", "D0-6 slippage", share], ["roll", "Roll", share], ["frr", "FRR", share], ["ayr", "AYR", share],
  ["dqi", "DQI", count], ["on_time_rate", "On time", share],
];
const WEEK = 7;
// Metrics that can be explained; measures are beneath them.
const WHY = new Set(["risk_score", "fimr", "d06_slippage", "roll", "frr", "ayr", "dqi", "on_time_rate"]);

const shown = ([name, title, write], { current, previous }, told, why) => card(title, told[name]?.about,
  name === "rank" ? placed(current) : write(current[name]),
  previous && `${write(previous[name])} a week before`,
  WHY.has(name) && current[name] !== null && h("a", { href: why(name), "aria-label": `Why ${title}` }, "why"));

const score = (explanation, why) => {
  const title = h("h2", {}, "Why this score");
  if (!explanation) return h("section", {}, title, h("p", { class: "soft" }, "There is no score: no loan on the book of late."));
  return h("section", {}, title,
    h("p", {}, `100 less ${explanation.lost.toFixed(1)} points is ${explanation.score}. `, h("a", { href: why("risk_score") }, "What moved it, and the loans behind it")),
    briefly(explanation.points));
};

const history = (rows) => {
  const of = (name, title, write) => (rows.filter((row) => row[name] !== null).length > 1
    ? h("figure", {}, h("figcaption", { class: "soft" }, title),
      line(rows.map((row) => row.date), rows.map((row) => row[name]), `${title} over ${rows.length} days`, write))
    : "");
  const drawn = [of("risk_score", "Risk score", count), of("fimr", "FIMR", share)].filter(Boolean);
  return h("section", {}, h("h2", {}, rows.length === 1 ? "One published day" : `${rows.length} published days`),
    drawn.length ? drawn : h("p", { class: "soft" }, "A line takes two published days with a figure; loanmetrics backfill publishes earlier ones."));
};

// How far the score went, and no praise: it may have moved as old evidence left its window.
const moved = ({ current, previous }, link) => {
  const [now, was] = [current.risk_score, previous?.risk_score];
  if (now === null || was === null || was === undefined) return "";
  const change = now === was ? "as it was" : `${now > was ? "up" : "down"} ${count(Math.abs(now - was))} from ${count(was)}`;
  return h("p", { id: "moved" }, `Risk score ${count(now)}, ${change} a week before. `, now === was ? "" : h("a", { href: link }, "What moved it"));
};

const links = (id, date) => h("p", {},
  h("a", { href: to("/fimr", { officer_id: id, date }) }, "Loans with a missed first payment"), " · ",
  h("a", { href: to("/early", { officer_id: id, date }) }, "Loans one to six days past due"), " · ",
  h("a", { href: to("/roll-matrix", { officer_id: id, date }) }, "Roll matrix"), " · ",
  h("a", { href: to("/vintages", { officer_id: id, date }) }, "Vintages"));

export const officer = async ({ part, state, change }) => {
  const [{ data, meta }, told, whom] = await Promise.all([get(`/metrics/officers/${encodeURIComponent(part)}`, { date: state.date }), meanings(), people()]);
  const name = data.officer_name ?? data.officer_id;
  const { current } = data.metrics;
  const why = (metric) => toWhy(part, { metric, date: state.date });
  const drawn = [
    h("p", {}, h("a", { href: to("/officers", { date: state.date }) }, "All officers")),
    h("h1", {}, `${name} `, band(current.risk_band), " ", ownerless(whom, data.officer_id)),
    h("p", { class: "soft" }, `${data.officer_id}, ${data.branch ?? "no branch"}, ${data.region ?? "no region"}`),
    moved(data.metrics, toWhy(part, { metric: "risk_score", date: state.date, start_date: before(meta.calculation_date, WEEK) })),
    filters([["day", "As of", "date"]], state, change, { date: meta.calculation_date }),
    h("section", { class: "strip", "aria-label": "Figures" }, CARDS.map((it) => shown(it, data.metrics, told, why))),
    links(data.officer_id, state.date),
    h("div", { class: "two" }, score(data.explanation, why), history(data.history)),
    auditing(data.officer_id, data.audit_info, () => change({ ...state, seen: Date.now() })),
  ];
  return { title: name, meta, drawn };
};
