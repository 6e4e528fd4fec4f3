// All officers, worst first.

import { get } from "./api.js";
import { about, catalogue } from "./catalogue.js";
import { spark } from "./charts.js";
import { h } from "./dom.js";
import { filters } from "./filters.js";
import { count, money, ratio, share, text } from "./format.js";
import { strip } from "./strip.js";
import { band, listing, metric } from "./table.js";

const DAYS = 90;

const link = (row) => h("a", { href: `#/officers/${encodeURIComponent(row.officer_id)}` }, row.officer_name ?? row.officer_id);
const columns = (told) => [
  { name: "officer_name", title: "Officer", head: true, show: link },
  { name: "branch", title: "Branch", show: (row) => text(row.branch) },
  metric("rank", "Rank", count, told),
  metric("risk_score", "Risk score", count, told),
  { name: "risk_band", title: "Band", show: (row) => band(row.risk_band) },
  { name: "trend", title: `${DAYS} days`, sorts: false, about: "Risk score of every published day", show: () => "" },
  metric("portfolio_total", "Portfolio", money, told),
  metric("overdue_15d", "Overdue 15 days", money, told),
  metric("active_loans", "Loans", count, told),
  metric("fimr", "FIMR", share, told),
  metric("d06_slippage", "D0-6 slippage", share, told),
  metric("roll", "Roll", share, told),
  metric("frr", "FRR", share, told),
  metric("ayr", "AYR", ratio, told),
  metric("dqi", "DQI", count, told),
  { name: "audit_status", title: "Audit", show: (row) => (row.assignee ? `${row.audit_status}, ${row.assignee}` : row.audit_status) },
];

const sparks = async (data, rows, place, date) => {
  if (!data.length) return;
  const { data: tracks } = await get("/tracks/officers", { officer_id: data.map((row) => row.officer_id), days: DAYS, date });
  data.forEach((row, index) => rows[index].children[place].replaceChildren(
    spark(tracks.officers[row.officer_id] ?? [], `Risk score of ${row.officer_name ?? row.officer_id} over ${DAYS} days`)));
};

export const officers = async ({ state, change }) => {
  const chosen = { sort: "risk_score", page: 1, ...state };
  const [options, told] = await Promise.all([catalogue(), about()]);
  const shown = columns(told);
  const place = shown.findIndex((column) => column.name === "trend");
  const [book, list] = await Promise.all([strip(chosen.date), listing({
    path: "/metrics/officers", name: "officers", caption: "Officers and their figures", columns: shown, state: chosen, change,
    after: (data, rows) => sparks(data, rows, place, chosen.date).catch(() => {}),
  })]);
  const wanted = [
    ["day", "As of", "date"], ["choice", "Region", "region", options.regions],
    ["choice", "Branch", "branch", options.branches.map((it) => it.branch)],
    ["choice", "Channel", "channel", options.channels], ["choice", "Risk band", "risk_band", options.risk_bands],
  ];
  return { title: "Officers", meta: list.meta, drawn: [h("h1", {}, "Officers"), book, filters(wanted, chosen, change), list.drawn] };
};
