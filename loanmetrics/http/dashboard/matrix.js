// Where the loans of one day stand on a later one.

import { get } from "./api.js";
import { h, heated } from "./dom.js";
import { filters } from "./filters.js";
import { before, count, money, share, words } from "./format.js";
import { chosen, scopes } from "./scope.js";
import { exports } from "./table.js";

const USUAL = 30;
const WHAT = { loans: count, balance: money };

const hue = (to, from, here, there) => {
  if (to === "paid" || there < here) return "better";
  return to === from ? "same" : "worse";
};

// Rows of the matrix in the order of buckets, each with its cells in the order of where loans went.
const lines = (data) => {
  const found = new Map();
  data.forEach((row) => found.set(row.from_dpd_bucket, [...(found.get(row.from_dpd_bucket) ?? []), row]));
  return [...found];
};

const matrix = (data, what, days) => {
  const rows = lines(data);
  const ends = rows.length ? rows[0][1].map((it) => it.to_dpd_bucket) : [];
  const cell = (from, here) => (it, there) => {
    const part = it[`${what}_share`];
    if (!it.loans) return h("td", { class: "number soft" }, part === null ? "" : "–");
    return heated(h("td", { class: "number" }, share(part), h("span", { class: "soft under" }, WHAT[what](it[what]))), part, hue(it.to_dpd_bucket, from, here, there));
  };
  const whole = (cells) => cells.reduce((sum, it) => sum + it[what], 0);
  const sum = (cells) => (cells[0][`${what}_share`] === null ? "–" : share(cells.reduce((total, it) => total + it[`${what}_share`], 0)));
  const column = (title, kind = "number") => h("th", { scope: "col", class: kind }, title);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Roll matrix" }, h("table", { class: "matrix" },
    h("caption", { class: "skip" }, `Of the loans in each bucket of days past due on ${days[0]}, where they stand on ${days[1]}`),
    h("thead", {}, h("tr", {}, column(`On ${days[0]}`, ""), column(words(what)), ends.map((end) => column(words(end))), column("Together"))),
    h("tbody", {}, rows.map(([from, cells], here) => h("tr", {}, h("th", { scope: "row" }, from),
      h("td", { class: "number" }, WHAT[what](whole(cells))), cells.map(cell(from, here)), h("td", { class: "number" }, sum(cells)))))));
};

export const rolls = async ({ state, change }) => {
  const { what = "loans" } = state;
  const given = { ...chosen(state), start_date: state.start_date };
  const [{ data, meta }, whose] = await Promise.all([get("/cohorts/roll-matrix", { ...given, per_page: 500 }), scopes()]);
  const days = [state.start_date ?? before(meta.calculation_date, USUAL), meta.calculation_date];
  const wanted = [["day", "From", "start_date"], ["day", "To", "date"], ...whose, ["choice", "Count", "what", [["loans", "loans"], ["balance", "balance owed then"]]]];
  const drawn = [
    h("h1", {}, "Roll matrix"),
    h("p", {}, `Of the loans that stood in each bucket of days past due on ${days[0]}, where they stand on ${days[1]}. Loans disbursed in between are in no row.`),
    filters(wanted, state, change, { start_date: days[0], date: days[1], what }),
    h("p", { class: "key" }, ["better", "same", "worse"].map((kind) => heated(h("span", {}, kind), 0.6, kind)), " the stronger, the larger the share of its row"),
    data.length ? matrix(data, what, days) : h("p", { class: "soft" }, "There are no such loans."),
    exports("/cohorts/roll-matrix", given, `roll-matrix-${days[0]}-${days[1]}`),
  ];
  return { title: "Roll matrix", meta, drawn };
};
