// All branches.

import { about, catalogue } from "./catalogue.js";
import { h } from "./dom.js";
import { filters } from "./filters.js";
import { count, money, ratio, share } from "./format.js";
import { strip } from "./strip.js";
import { listing, metric } from "./table.js";

const columns = (told) => [
  { name: "branch", title: "Branch", head: true, show: (row) => h("a", { href: `#/officers?branch=${encodeURIComponent(row.branch)}` }, row.branch) },
  { name: "region", title: "Region", show: (row) => row.region },
  metric("portfolio_total", "Portfolio", money, told),
  metric("overdue_15d", "Overdue 15 days", money, told),
  metric("par15_ratio", "PAR15", share, told),
  metric("active_loans", "Loans", count, told),
  metric("total_officers", "Officers", count, told),
  metric("fimr", "FIMR", share, told),
  metric("ayr", "AYR", ratio, told),
  metric("dqi", "DQI", count, told),
];

export const branches = async ({ state, change }) => {
  const chosen = { sort: "-par15_ratio", page: 1, ...state };
  const [options, told] = await Promise.all([catalogue(), about()]);
  const [book, list] = await Promise.all([strip(chosen.date), listing({
    path: "/metrics/branches", name: "branches", caption: "Branches and their figures", columns: columns(told), state: chosen, change,
  })]);
  const wanted = [["day", "As of", "date"], ["choice", "Region", "region", options.regions]];
  return { title: "Branches", meta: list.meta, drawn: [h("h1", {}, "Branches"), book, filters(wanted, chosen, change), list.drawn] };
};
