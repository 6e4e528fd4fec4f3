// Why a figure of an officer is what it is, and how it came there: cause by cause, loan by loan.

import { get } from "./api.js";
import { catalogue, meanings } from "./catalogue.js";
import { beside, scale } from "./certainty.js";
import { h, loanLink, toOfficer } from "./dom.js";
import { filters } from "./filters.js";
import { before, share, text, writers } from "./format.js";
import { points } from "./points.js";
import { rollforward } from "./rollforward.js";
import { card } from "./strip.js";
import { band, exports, listing } from "./table.js";

const writer = (name, known) => writers(known[name]?.unit)[0];
const EARLIER = 30;

// Metrics the officer has; a yes or no is not explained by moves.
const choices = (options, current) => options.metrics
  .filter((it) => it.unit !== "flag" && current[it.name] !== null && current[it.name] !== undefined).map((it) => [it.name, it.title]);

const sure = async (name, part, date, known) => {
  if (!known[name]?.certain) return null;
  const { data } = await get("/cohorts/certainty", { metric: name, date, officer_id: part });
  return data.length ? beside({ ...data[0], better: known[name].better }, scale(data)) : null;
};

const made = (data, known, interval) => h("section", { class: "strip", "aria-label": "The figure and what it is made of" },
  card(data.title, known[data.metric].about, writer(data.metric, known)(data.value), data.band && band(data.band), interval),
  data.made_of.map((it) => card(known[it.name].title, known[it.name].about, writer(it.name, known)(it.value))));

const behind = (data, known, { part, state, change }) => {
  const numbers = data.measures.map((name) => ({ name, title: known[name].title, about: known[name].about, number: true,
    show: (row) => writer(name, known)(row[name]) }));
  const fields = ["loan_id", "customer_name", "branch", "disbursement_date", ...data.measures];
  return listing({
    path: `/metrics/officers/${encodeURIComponent(part)}/loans`, name: `${part}-${data.metric}-loans`, caption: "The loans behind the figure", state, change, prefix: "l_",
    given: { metric: data.metric, date: state.date, fields: fields.join(",") }, sort: data.measures.map((name) => `-${name}`).slice(0, 2).join(",") || "loan_id",
    columns: [
      { name: "loan_id", title: "Loan", head: true, show: (row) => loanLink(row.loan_id, state.date) },
      { name: "customer_name", title: "Customer", sorts: false, show: (row) => text(row.customer_name) },
      { name: "branch", title: "Branch", show: (row) => text(row.branch) },
      { name: "disbursement_date", title: "Disbursed", show: (row) => text(row.disbursement_date) },
      ...numbers,
    ],
  });
};

const mixed = (mix, whole, { part, state }) => {
  const pp = writers("ratio")[1];
  const sum = (name) => mix.reduce((total, it) => total + it[name], 0);
  const together = { ...whole, part: "Together", rate: sum("rate"), mix: sum("mix") };
  const row = (it) => h("tr", {}, h("th", { scope: "row" }, it.part), h("td", { class: "number" }, share(it.before)), h("td", { class: "number" }, share(it.after)),
    [it.rate, it.mix, it.rate + it.mix].map((value) => h("td", { class: "number" }, pp(value))));
  return h("section", {}, h("h2", {}, "Rate and mix"),
    h("p", { class: "soft" }, "What each branch's own ratio did, and what its weight among the officer's branches did."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rate and mix" }, h("table", {}, h("caption", { class: "skip" }, "Rate and mix, branch by branch"),
      h("thead", {}, h("tr", {}, ["Branch", "Then", "Now", "By its rate", "By its weight", "Together"].map((title, place) =>
        h("th", { scope: "col", class: place ? "number" : "" }, title)))),
      h("tbody", {}, [...mix, together].map(row)))),
    exports(`/metrics/officers/${encodeURIComponent(part)}/mix`, { metric: state.metric, date: state.date, start_date: state.start_date }, `${part}-${state.metric}-rate-and-mix`));
};

const formula = (data) => {
  if (data.terms.length) return "";
  if (data.in_words) return h("p", { class: "soft" }, `${data.title} = ${data.in_words}`);
  return h("details", {}, h("summary", { class: "soft" }, "The formula, as it is computed"), h("code", {}, data.formula));
};

const since = async (data, meta, known, given) => {
  const { state, change } = given;
  if (!data.since) {
    const first = before(meta.calculation_date, EARLIER);
    return [h("p", {}, h("button", { type: "button", id: "compare", onclick: () => change({ ...state, start_date: first }) }, `How it came there since ${first}`))];
  }
  return [await rollforward(data, meta, known, given), data.since.mix.length ? mixed(data.since.mix, data.since.figures.find((it) => it.figure === data.metric), given) : ""];
};

export const explanation = async (given) => {
  const { part, state, change } = given;
  const name = state.metric ?? "risk_score";
  const path = `/metrics/officers/${encodeURIComponent(part)}`;
  const asked = { metric: name, date: state.date, start_date: state.start_date, loans: 0 };
  const [{ data: person }, options, known, { data, meta }, interval] = await Promise.all([
    get(path, { date: state.date }), catalogue(), meanings(), get(`${path}/explanation`, asked),
    meanings().then((found) => sure(name, part, state.date, found)),
  ]);
  const [moved, loans] = await Promise.all([since(data, meta, known, given), behind(data, known, given)]);
  const choose = ({ figure, cause, ...next }) => change(next.metric === state.metric ? { ...next, figure, cause } : next);
  const wanted = [["choice", "Figure", "metric", choices(options, person.metrics.current)], ["day", "As of", "date"], ["day", "Since", "start_date"]];
  const drawn = [
    h("p", {}, h("a", { href: toOfficer(part, { date: state.date }) }, person.officer_name ?? part)),
    h("h1", {}, `${data.title} of ${person.officer_name ?? part}`),
    h("p", {}, data.about), formula(data),
    filters(wanted, state, choose, { metric: name, date: meta.calculation_date }),
    data.value === null ? h("p", { class: "soft" }, `There is no figure: ${(data.reason ?? "no evidence").replaceAll("_", " ")}.`) : made(data, known, interval),
    data.terms.length ? h("section", {}, h("h2", {}, "Points lost"), points(data.terms)) : "",
    ...moved,
    h("section", {}, h("h2", {}, "The loans behind it"), loans.drawn),
  ];
  return { title: `${data.title} of ${person.officer_name ?? part}`, meta, drawn: drawn.filter((it) => it !== "") };
};
