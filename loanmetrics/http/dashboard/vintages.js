// By month of disbursement and age: the share of loans that were ever late.

import { all } from "./api.js";
import { levels, picture, room, stroke, ticks, words } from "./charts.js";
import { h, heated } from "./dom.js";
import { filters } from "./filters.js";
import { count, money, share } from "./format.js";
import { chosen, scopes } from "./scope.js";
import { exports } from "./table.js";

const [HEIGHT, LEFT, TOP, BOTTOM] = [340, 62, 14, 38];
const LATE = [0, 1, 7, 15, 30, 60, 90].map((days) => [String(days), `${days} days`]);
const WHAT = { loans: count, amount: money };
const month = (date) => date.slice(0, 7);

// By cohort: its rows in the order of age.
const cohorts = (data) => {
  const found = new Map();
  data.forEach((row) => found.set(row.vintage, [...(found.get(row.vintage) ?? []), row]));
  return [...found];
};

// The month at the end of each line, as far as there is room.
const ends = (lines, x, y) => {
  const placed = [];
  return [...lines].reverse().flatMap(([name, values]) => {
    const last = values.findLastIndex((value) => value !== null);
    if (last < 0) return [];
    const [across, down] = [x(last), y(values[last])];
    if (placed.some(([left, top]) => Math.abs(left - across) < 58 && Math.abs(top - down) < 12)) return [];
    placed.push([across, down]);
    return [words(across + 5, down + 4, month(name))];
  });
};

const chart = (found, field, told) => {
  const width = room(980);
  const lines = found.map(([name, rows]) => [name, rows.map((row) => row[field])]);
  const ages = Math.max(...lines.map(([, values]) => values.findLastIndex((value) => value !== null)), 1);
  const most = Math.max(...lines.flatMap(([, values]) => values.filter((value) => value !== null)), 0) * 1.05 || 1;
  const x = (age) => LEFT + (age / ages) * (width - LEFT - 60);
  const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP);
  const drawn = lines.map(([name, values], place) => {
    const curve = stroke(values, x, y, "curve");
    curve.id = `curve-${name}`;
    curve.style.setProperty("--new", `${Math.round((place / Math.max(1, lines.length - 1)) * 100)}%`);
    return curve;
  });
  return picture(width, HEIGHT, told, levels(ticks(most), y, LEFT, width - 50, share), drawn, ends(lines, x, y),
    ticks(ages, 8).filter(Number.isInteger).map((age) => words(x(age), HEIGHT - BOTTOM + 16, String(age), "middle")),
    words(width - 50, HEIGHT - 6, "months on book", "end"));
};

const lit = (name, on) => () => document.getElementById(`curve-${name}`)?.classList.toggle("lit", on);

const table = (found, what, field, told) => {
  const ages = Math.max(...found.map(([, rows]) => rows.findLastIndex((row) => row[field] !== null))) + 1;
  const most = Math.max(...found.flatMap(([, rows]) => rows.map((row) => row[field] ?? 0)), 1e-9);
  const cell = (row) => (row[field] === null ? h("td", {}) : heated(h("td", { class: "number" }, share(row[field])), row[field] / most, "worse"));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Vintages" }, h("table", { class: "matrix" }, h("caption", { class: "skip" }, told),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Month"), h("th", { scope: "col", class: "number" }, what === "loans" ? "Loans" : "Amount"),
      Array.from({ length: ages }, (_, age) => h("th", { scope: "col", class: "number", "aria-label": `${age} months` }, String(age))))),
    h("tbody", {}, found.map(([name, rows]) => h("tr", { onmouseenter: lit(name, true), onmouseleave: lit(name, false) },
      h("th", { scope: "row" }, month(name)), h("td", { class: "number" }, WHAT[what](rows[0][what])), rows.slice(0, ages).map(cell))))));
};

export const vintages = async ({ state, change }) => {
  const { what = "loans", dpd = "30" } = state;
  const given = { ...chosen(state), dpd };
  const [{ data, meta }, whose] = await Promise.all([all("/cohorts/vintages", given), scopes()]);
  const found = cohorts(data);
  const field = `ever_${what}_share`;
  const told = `Share of the ${what === "loans" ? "loans" : "amount"} of each month of disbursement that was ever more than ${dpd} days past due, by months on book`;
  const wanted = [["choice", "Ever later than", "dpd", LATE.some(([days]) => days === dpd) ? LATE : [...LATE, [dpd, `${dpd} days`]]],
    ["day", "As of", "date"], ...whose, ["choice", "Count", "what", [["loans", "loans"], ["amount", "amount disbursed"]]]];
  const drawn = [
    h("h1", {}, "Vintages"),
    h("p", {}, `${told}. Blank until the youngest loan that the month could hold is that old: a figure that may still grow is no figure.`),
    filters(wanted, state, change, { what, dpd, date: meta.calculation_date }),
    ...(found.length ? [h("figure", {}, chart(found, field, told)), table(found, what, field, told)] : [h("p", { class: "soft" }, "There are no such loans.")]),
    exports("/cohorts/vintages", given, `vintages-${dpd}-${meta.calculation_date}`),
  ];
  return { title: "Vintages", meta, drawn };
};
