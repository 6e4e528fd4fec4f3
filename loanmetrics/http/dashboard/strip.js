// The whole book at a glance.

import { get } from "./api.js";
import { about } from "./catalogue.js";
import { h } from "./dom.js";
import { count, money, share } from "./format.js";
import { defined } from "./tips.js";

const SHOWN = [
  ["portfolio_total", "Portfolio", money], ["active_loans", "Active loans", count],
  ["overdue_15d", "Overdue 15 days", money], ["par15_ratio", "PAR15", share], ["fimr", "FIMR", share],
  ["d06_slippage", "D0-6 slippage", share], ["roll", "Roll", share], ["ayr", "AYR", share],
];

// more: what stands beneath the figure.
export const card = (title, told, value, ...more) => h("div", { class: "card" }, h("dl", {}, h("dt", {}, defined(title, told)), h("dd", {}, value),
  more.filter(Boolean).map((it) => h("dd", { class: "before" }, it))));

export const strip = async (date) => {
  const [{ data }, told] = await Promise.all([get("/metrics/book", { date }), about()]);
  return h("section", { class: "strip", "aria-label": "The whole book" },
    SHOWN.map(([name, title, write]) => card(title, told[name], write(data.metrics[name]))));
};
