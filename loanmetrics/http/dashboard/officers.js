// All officers, worst first.

import { get } from "./api.js";
import { about, catalogue, meanings } from "./catalogue.js";
import { NOTE, certify } from "./certainty.js";
import { spark } from "./charts.js";
import { badge, h, missing, picked } from "./dom.js";
import { filters } from "./filters.js";
import { count, money, share, text } from "./format.js";
import { linked, people } from "./people.js";
import { strip } from "./strip.js";
import { band, listing, metric } from "./table.js";

const DAYS = 90;
const RANKED = "The rank weighs the arrears yield ratio beside the risk score, so it does not follow the score alone; the first is the best.";
const WANTED = ["date", "region", "branch", "officer_id", "channel", "risk_band"];

export const placed = (row) => (row.rank !== null ? count(row.rank) : row.risk_score === null ? "–" : badge("too few to rank", "", "Unranked: so few active loans say too little for a place among others"));

const columns = (told, known, date) => [
  { name: "officer_name", title: "Officer", head: true, show: (row) => linked(known, row, date) },
  { name: "branch", title: "Branch", wide: true, show: (row) => text(row.branch) },
  { ...metric("rank", "Rank", count, told), show: placed },
  metric("risk_score", "Risk score", count, told),
  { name: "risk_band", title: "Band", show: (row) => band(row.risk_band) },
  { name: "trend", title: `${DAYS} days`, sorts: false, about: "Risk score of every published day; beneath it the lowest and the highest", show: () => "" },
  metric("fimr", "FIMR", share, told),
  metric("portfolio_total", "Portfolio", money, told),
  metric("overdue_15d", "Overdue 15 days", money, told),
  metric("active_loans", "Loans", count, told),
  metric("d06_slippage", "D0-6 slippage", share, told),
  metric("roll", "Roll", share, told),
  metric("frr", "FRR", share, told),
  metric("ayr", "AYR", share, told),
  metric("dqi", "DQI", count, told),
  { name: "audit_status", title: "Audit", show: (row) => (row.assignee ? `${row.audit_status}, ${row.assignee}` : row.audit_status) },
];

const sparks = async (data, rows, place, date) => {
  const { data: tracks } = await get("/tracks/officers", { officer_id: data.map((row) => row.officer_id), days: DAYS, date });
  data.forEach((row, index) => rows[index].children[place].replaceChildren(
    spark(tracks.officers[row.officer_id] ?? [], `Risk score of ${row.officer_name ?? row.officer_id} over ${DAYS} days`, count)));
};

// FIMR always has its interval, and so has the rate that officers are sorted by.
const intervals = (shown, known, sort) => [...new Set(["fimr", sort.replace("-", "")])]
  .filter((name) => known[name]?.certain).map((name) => [name, shown.findIndex((column) => column.name === name)]).filter(([, place]) => place >= 0);

export const officers = async ({ state, change }) => {
  const [options, told, known, whom] = await Promise.all([catalogue(), about(), meanings(), people()]);
  const shown = columns(told, whom, state.date);
  const certain = intervals(shown, known, state.sort ?? "");
  const after = (data, rows) => {
    sparks(data, rows, shown.findIndex((column) => column.name === "trend"), state.date).catch(missing(`The last ${DAYS} days`));
    certain.forEach(([name, place]) => certify({
      metric: name, better: known[name].better, by: "officer", date: state.date, key: (row) => row.officer_id, data, rows, place,
    }).catch(missing("Intervals")));
  };
  const [book, list] = await Promise.all([strip(state.date), listing({
    path: "/metrics/officers", name: "officers", caption: "Officers and their figures", columns: shown, state, change,
    given: picked(state, WANTED), sort: "risk_score", after,
  })]);
  const wanted = [
    ["day", "As of", "date"], ["any", "Region", "region", options.regions], ["any", "Branch", "branch", options.branches.map((it) => it.branch)],
    ["officer", "Officer", "officer_id", options.officers], ["any", "Channel", "channel", options.channels], ["any", "Risk band", "risk_band", options.risk_bands],
  ];
  return { title: "Officers", meta: list.meta, drawn: [h("h1", {}, "Officers"), book, filters(wanted, state, change, { date: list.meta.calculation_date }), list.drawn, h("p", { class: "soft" }, NOTE), h("p", { class: "soft" }, RANKED)] };
};
