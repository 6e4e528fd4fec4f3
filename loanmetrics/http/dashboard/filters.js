// Fields that narrow what is shown.

import { h, warn } from "./dom.js";

const FIRST = "1970-01-01";
const KINDS = {
  choice: (options, now) => (choose) => h("select", { onchange: (event) => choose(event.target.value) },
    options.map((it) => (Array.isArray(it) ? it : [it, it])).map(([value, title]) => h("option", { value, selected: now === value }, title))),
  day: (_, now) => (choose) => date(now, choose),
  number: (least, now) => (choose) => h("input", { type: "number", min: least, step: "1", value: now, onchange: (event) => {
    if (event.target.reportValidity()) choose(event.target.value);
  } }),
};

// A day that is being typed is not the day meant before it is left, or Enter is pressed.
const date = (now, choose) => {
  let typing = false;
  const settle = ({ target }) => { if (target.validity.valid && target.value !== now) choose(target.value); };
  return h("input", {
    type: "date", min: FIRST, value: now, onblur: settle,
    onchange: (event) => { if (!typing) settle(event); },
    onkeydown: (event) => {
      typing = event.key !== "Enter";
      if (!typing) settle(event);
    },
  });
};

KINDS.any = (options, now) => KINDS.choice([["", "all"], ...options], now);
KINDS.officer = (people, now) => (choose) => [
  h("input", { type: "search", list: "people", autocomplete: "off", placeholder: "name or id", value: called(people, now), onchange: (event) => {
    const found = find(people, event.target.value.trim());
    if (found === null) warn(`No officer is called ${event.target.value}`);
    else choose(found);
  } }),
  h("datalist", { id: "people" }, people.map((it) => h("option", { value: named(it) }))),
];

const named = (it) => (it.officer_name ? `${it.officer_name} (${it.officer_id})` : it.officer_id);
const called = (people, id) => { const it = people.find(({ officer_id }) => officer_id === id); return it ? named(it) : id; };
const find = (people, text) => {
  if (!text) return "";
  const sought = text.toLowerCase();
  const exact = people.find((it) => it.officer_id === text || named(it) === text);
  return (exact ?? people.find((it) => named(it).toLowerCase().includes(sought)))?.officer_id ?? null;
};

// Another choice begins at the first page again.
const first = (state) => Object.fromEntries(Object.entries(state).filter(([name]) => !name.endsWith("page")));

// wanted: [kind, title, name, options]; usual: what holds where nothing is chosen
export const filters = (wanted, state, change, usual = {}) => h("div", { class: "filters", role: "group", "aria-label": "What is shown" },
  wanted.map(([kind, title, name, options]) => {
    const fields = [].concat(KINDS[kind](options, state[name] || (usual[name] ?? ""))((value) => change({ ...first(state), [name]: value })));
    fields[0].id = `filter-${name}`;
    return h("label", {}, title, fields);
  }));
