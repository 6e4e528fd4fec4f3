// One officer: figures, why the score is what it is, history, loans, audit.

import { get } from "./api.js";
import { auditing } from "./auditing.js";
import { about } from "./catalogue.js";
import { line } from "./charts.js";
import { h } from "./dom.js";
import { filters } from "./filters.js";
import { count, money, ratio, share } from "./format.js";
import { band } from "./table.js";

const CARDS = [
  ["risk_score", "Risk score", count], ["rank", "Rank", count], ["portfolio_total", "Portfolio", money],
  ["overdue_15d", "Overdue 15 days", money], ["active_loans", "Active loans", count], ["fimr", "FIMR", share],
  ["d06_slippage", "D0-6 slippage", share], ["roll", "Roll", share], ["frr", "FRR", share], ["ayr", "AYR", ratio],
  ["dqi", "DQI", count], ["on_time_rate", "On time", share],
];
const NAMES = {
  porr: "Portfolio at risk", fimr: "First payments missed", roll: "Roll", waivers: "Waivers", backdated: "Backdated entries",
  reversals: "Reversals", fees_not_realised: "Fees not collected", channel_impurity: "Impure channel", float_gap: "Cash recorded late",
  float_gap_share: "Cash recorded late",
};

const card = ([name, title, write], { current, previous }, told) => {
  const before = previous ? `${write(previous[name])} a week before` : "";
  return h("div", { class: "card" }, h("dl", {},
    h("dt", { title: told[name] }, title),
    h("dd", {}, write(current[name])),
    h("dd", { class: "before" }, before)));
};

const why = (explanation) => {
  const title = h("h2", {}, "Why this score");
  if (!explanation) return h("section", {}, title, h("p", { class: "soft" }, "There is no score: no loan on the book of late."));
  const terms = [...explanation.points].sort((one, other) => other.lost - one.lost);
  return h("section", {}, title,
    h("p", {}, `100 less ${explanation.lost.toFixed(1)} points is ${explanation.score}.`),
    h("div", { class: "terms" }, terms.map((term) => h("div", { class: "term" },
      h("span", { title: term.share }, NAMES[term.term] ?? term.term),
      h("progress", { max: String(term.weight), value: String(term.lost), "aria-label": `${term.lost.toFixed(1)} of ${term.weight} points` }),
      h("span", { class: "number" }, `${term.lost.toFixed(1)} / ${term.weight}`)))));
};

const history = (rows) => {
  const of = (name, title, write) => rows.some((row) => row[name] !== null)
    ? h("figure", {}, h("figcaption", { class: "soft" }, title),
      line(rows.map((row) => row.date), rows.map((row) => row[name]), `${title} over ${rows.length} days`, write))
    : "";
  return h("section", {}, h("h2", {}, `${rows.length} published days`),
    of("risk_score", "Risk score", count), of("fimr", "FIMR", share));
};

const links = (id, date) => {
  const asked = new URLSearchParams({ officer_id: id, ...(date ? { date } : {}) });
  return h("p", {}, h("a", { href: `#/fimr?${asked}` }, "Loans with a missed first payment"), " · ",
    h("a", { href: `#/early?${asked}` }, "Loans one to six days past due"));
};

export const officer = async ({ part, state, change }) => {
  const path = `/metrics/officers/${encodeURIComponent(part)}`;
  const [{ data, meta }, told] = await Promise.all([get(path, { date: state.date }), about()]);
  const name = data.officer_name ?? data.officer_id;
  const { current, trend } = data.metrics;
  const drawn = [
    h("p", {}, h("a", { href: "#/officers" }, "All officers")),
    h("h1", {}, `${name} `, band(current.risk_band)),
    h("p", { class: "soft" }, `${data.officer_id}, ${data.branch ?? "no branch"}, ${data.region ?? "no region"}${trend ? `; ${trend} on a week before` : ""}`),
    filters([["day", "As of", "date"]], state, change),
    h("section", { class: "strip", "aria-label": "Figures" }, CARDS.map((it) => card(it, data.metrics, told))),
    links(data.officer_id, state.date),
    h("div", { class: "two" }, why(data.explanation), history(data.history)),
    auditing(data.officer_id, data.audit_info, () => change({ ...state, seen: Date.now() })),
  ];
  return { title: name, meta, drawn };
};
