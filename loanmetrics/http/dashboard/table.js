// A table that sorts, pages and exports on the server's side.

import { get, save } from "./api.js";
import { h, say } from "./dom.js";

export const band = (name) => (name && name !== "n/a" ? h("span", { class: `band ${name}` }, name) : "n/a");

// A column of figures; told: what each metric means.
export const metric = (name, title, write, told) => ({ name, title, number: true, about: told[name], show: (row) => write(row[name]) });

const cell = (column, row) => h(column.head ? "th" : "td",
  { class: column.number ? "number" : "", scope: column.head ? "row" : null }, column.show(row));

const head = (column, sort, choose) => {
  const falls = sort === `-${column.name}`;
  const rises = sort === column.name;
  const order = falls ? "descending" : rises ? "ascending" : null;
  const mark = falls ? " ↓" : rises ? " ↑" : "";
  const name = column.sorts === false
    ? h("span", { title: column.about }, column.title)
    : h("button", { type: "button", title: column.about, onclick: () => choose(rises ? `-${column.name}` : column.name) }, column.title + mark);
  return h("th", { scope: "col", class: column.number ? "number" : "", "aria-sort": order }, name);
};

const pages = (meta, go) => h("div", { class: "pages" },
  h("button", { type: "button", disabled: meta.page <= 1, onclick: () => go(meta.page - 1) }, "Previous"),
  h("span", {}, `Page ${meta.page} of ${Math.max(1, meta.total_pages)}, ${meta.total.toLocaleString("en")} rows`),
  h("button", { type: "button", disabled: meta.page >= meta.total_pages, onclick: () => go(meta.page + 1) }, "Next"));

const exports = (path, given, name) => h("div", { class: "pages" }, h("span", { class: "soft" }, "Whole list as"),
  ["csv", "xlsx", "parquet"].map((format) => h("button", { type: "button", class: "plain", onclick: async () => {
    try {
      await save(path, { ...given, format }, `${name}.${format}`);
    } catch (error) { say(error.message); }
  } }, format.toUpperCase())));

// state: {sort, page, ...filters}; change(state) is called with what the reader chose.
export const listing = async ({ path, name, columns, caption, state, change, extra, after }) => {
  const { sort, page, ...filters } = state;
  const given = { ...filters, sort, page, per_page: 50, ...extra };
  const { data, meta } = await get(path, given);
  const choose = (chosen) => change({ ...state, sort: chosen, page: 1 });
  const rows = data.map((row) => h("tr", {}, columns.map((column) => cell(column, row))));
  const none = h("tr", {}, h("td", { colspan: String(columns.length), class: "soft" }, "Nothing matches."));
  const drawn = h("section", {},
    h("div", { class: "scroll" }, h("table", {},
      h("caption", { class: "skip" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => head(column, sort, choose)))),
      h("tbody", {}, rows.length ? rows : none))),
    pages(meta, (to) => change({ ...state, page: to })),
    exports(path, { ...filters, sort, ...extra }, name));
  if (after) after(data, rows);
  return { drawn, meta };
};
