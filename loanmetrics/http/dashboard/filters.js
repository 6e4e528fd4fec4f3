// Fields that narrow a list.

import { h } from "./dom.js";

const choice = (title, name, options, state, choose) => h("label", {}, title,
  h("select", { onchange: (event) => choose(name, event.target.value) },
    h("option", { value: "" }, "all"),
    options.map((option) => h("option", { value: option, selected: state[name] === option }, option))));

const day = (title, name, state, choose) => h("label", {}, title,
  h("input", { type: "date", value: state[name] ?? "", onchange: (event) => choose(name, event.target.value) }));

// wanted: [kind, title, name, options]
export const filters = (wanted, state, change) => {
  const choose = (name, value) => change({ ...state, [name]: value, page: 1, cursor: "" });
  return h("div", { class: "filters" }, wanted.map(([kind, title, name, options]) =>
    kind === "day" ? day(title, name, state, choose) : choice(title, name, options, state, choose)));
};
