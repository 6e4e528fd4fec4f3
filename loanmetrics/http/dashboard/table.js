// Tables that sort, page and export on the server's side.

import { get, save } from "./api.js";
import { h, say, warn } from "./dom.js";
import { count } from "./format.js";
import { defined } from "./tips.js";

export const band = (name) => (name && name !== "n/a" ? h("span", { class: `band ${name}` }, name) : "n/a");

// A column of figures; told: what each metric means.
export const metric = (name, title, write, told) => ({ name, title, number: true, about: told[name], show: (row) => write(row[name]) });

const kind = (column) => [column.number && "number", column.wide && "wide", column.prose && "prose"].filter(Boolean).join(" ");

const cell = (column, row) => h(column.head ? "th" : "td",
  { class: kind(column), scope: column.head ? "row" : null }, column.show(row));

const head = (column, { sort, choose, prefix }) => {
  const falls = sort === `-${column.name}`;
  const rises = sort === column.name;
  const order = falls ? "descending" : rises ? "ascending" : null;
  const mark = falls ? " ↓" : rises ? " ↑" : "";
  const name = column.sorts === false || !choose
    ? defined(column.title, column.about)
    : h("button", { type: "button", id: `${prefix}sort-${column.name}`, "data-about": column.about,
      onclick: () => choose(rises ? `-${column.name}` : column.name) }, column.title, h("span", { "aria-hidden": "true" }, mark));
  return h("th", { scope: "col", class: kind(column), "aria-sort": order }, name);
};

// A table of rows; with `choose` its columns can be sorted by.
export const grid = (columns, rows, caption, order = {}) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
  h("table", {}, h("caption", { class: "skip" }, caption),
    h("thead", {}, h("tr", {}, columns.map((column) => head(column, order)))),
    h("tbody", {}, rows.length
      ? rows.map((row) => h("tr", {}, columns.map((column) => cell(column, row))))
      : h("tr", {}, h("td", { colspan: String(columns.length), class: "soft" }, "Nothing matches.")))));

const pages = (meta, prefix, go) => h("div", { class: "pages" },
  h("button", { type: "button", id: `${prefix}previous`, disabled: meta.page <= 1, onclick: () => go(meta.page - 1) }, "Previous"),
  h("span", {}, `Page ${meta.page} of ${Math.max(1, meta.total_pages)}, ${count(meta.total)} ${meta.total === 1 ? "row" : "rows"}`),
  h("button", { type: "button", id: `${prefix}next`, disabled: meta.page >= meta.total_pages, onclick: () => go(meta.page + 1) }, "Next"));

// The whole of a list as a file.
export const exports = (path, given, name) => h("div", { class: "pages" }, h("span", { class: "soft" }, `${name} as`),
  ["csv", "xlsx", "parquet"].map((format) => h("button", { type: "button", class: "plain", "aria-label": `Download ${name}.${format}`, onclick: async () => {
    try {
      await save(path, { ...given, format }, `${name}.${format}`);
      say(`Saved ${name}.${format}`);
    } catch (error) { warn(error.message); }
  } }, format.toUpperCase())));

// given: what the list is narrowed by; prefix: tells the lists of one page apart in its address; after: called with the rows.
export const listing = async ({ path, name, columns, caption, state, change, given = {}, sort: usual, prefix = "", after }) => {
  const sort = state[`${prefix}sort`] ?? usual;
  const page = state[`${prefix}page`] ?? 1;
  const { data, meta } = await get(path, { ...given, sort, page, per_page: 50 });
  const choose = (chosen) => change({ ...state, [`${prefix}sort`]: chosen, [`${prefix}page`]: 1 });
  const table = grid(columns, data, caption, { sort, choose, prefix });
  const drawn = h("div", {}, table,
    pages(meta, prefix, (next) => change({ ...state, [`${prefix}page`]: next })),
    exports(path, { ...given, sort }, [name, meta.calculation_date].filter(Boolean).join("-")));
  if (after && data.length) after(data, [...table.querySelectorAll("tbody tr")]);
  return { drawn, meta, data };
};
