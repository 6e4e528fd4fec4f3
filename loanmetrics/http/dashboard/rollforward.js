// From an earlier day's figure to a later one's: opening, what happened, closing, and the loans of each cause.

import { badge, h, loanLink, toWhy } from "./dom.js";
import { count, text, writers } from "./format.js";
import { exports, listing } from "./table.js";
import { defined } from "./tips.js";
import { waterfall } from "./waterfall.js";

const EVERY = "every";

const figures = (data, chosen, known, link) => h("nav", { class: "chips", "aria-label": "Figures that moved" },
  [...data.since.figures].sort((one, other) => (other.figure === data.metric) - (one.figure === data.metric)).map((it) => h("a", { href: link({ figure: it.figure, cause: "" }), "aria-current": it === chosen ? "true" : null, id: `figure-${it.figure}` },
    known[it.figure].title)));

const line = (title, value, more = []) => h("tr", {}, h("th", { scope: "row" }, title), h("td", { class: "number" }, value), more);

// By one loan, and which way: whoever paid is not named as if he had done harm.
const largest = (it, move, date) => {
  const event = h("span", { class: "soft" }, it.event);
  if (!it.loan_id) return event;
  const did = it.largest === null ? "" : ` ${it.largest < 0 ? "lowered" : "raised"} it by ${move(Math.abs(it.largest)).replace("+", "")} `;
  return [loanLink(it.loan_id, date), did, " ", event];
};

const table = (figure, known, link, [write, move], days, state) => {
  const cause = (it) => line(
    [h("a", { href: link({ figure: figure.figure, cause: it.cause }), id: `cause-${it.cause}`, "aria-current": state.cause === it.cause ? "true" : null, "data-about": known[it.cause]?.about },
      known[it.cause].title)],
    it.effect === null ? badge("no number") : move(it.effect),
    [h("td", { class: "number" }, count(it.times)), h("td", {}, largest(it, move, state.date))]);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Roll-forward" }, h("table", {},
    h("caption", { class: "skip" }, `From ${days[0]} to ${days[1]}`),
    h("thead", {}, h("tr", {}, [["What happened", ""], ["Effect", "number"], ["Times", "number"], ["The largest of it", ""]].map(([title, kind]) =>
      h("th", { scope: "col", class: kind }, title)))),
    h("tbody", {}, line(`Opening, ${days[0]}`, write(figure.before), h("td", { colspan: "2" })),
      figure.causes.map(cause),
      line(`Closing, ${days[1]}`, write(figure.after), h("td", { colspan: "2" })))));
};

const picture = (figure, known, [write, move], days) => {
  if (figure.change === null) return h("p", { class: "soft" }, "On one of the days there was nothing to divide by: see what it is made of.");
  const causes = figure.causes.map((it) => ({ title: known[it.cause].title, value: it.effect, text: move(it.effect) }));
  return h("figure", {}, waterfall({ title: days[0], value: figure.before, text: write(figure.before) }, causes,
    { title: days[1], value: figure.after, text: write(figure.after) }));
};

const loans = async (figure, known, path, asked, [, move], { part, state, change }) => {
  if (!state.cause) return "";
  const told = state.cause === EVERY ? "Every loan that moved it" : `Loans: ${known[state.cause]?.title ?? state.cause}`;
  const given = state.cause === EVERY ? asked : { ...asked, cause: state.cause };
  const { drawn } = await listing({
    path, name: `${part}-${figure.figure}-${state.cause}`, caption: told, state, change, given, prefix: "m_", sort: "-size",
    columns: [
      { name: "loan_id", title: "Loan", head: true, show: (row) => loanLink(row.loan_id, state.date) },
      { name: "customer_name", title: "Customer", sorts: false, show: (row) => text(row.customer_name) },
      { name: "cause", title: "What happened", show: (row) => known[row.cause].title },
      { name: "event", title: "How", show: (row) => row.event },
      { name: "effect", title: "Effect", number: true, show: (row) => move(row.effect) },
    ],
  });
  return h("section", { id: "moved" }, h("h3", {}, told), drawn);
};

export const rollforward = async (data, meta, known, given) => {
  const { part, state } = given;
  const days = [data.since.date, meta.calculation_date];
  const title = h("h2", {}, `From ${days[0]} to ${days[1]}`);
  const figure = data.since.figures.find((it) => it.figure === (state.figure ?? data.metric)) ?? data.since.figures[0];
  if (!figure) return h("section", {}, title, h("p", { class: "soft" }, "Neither it nor anything it is made of moved."));
  const { m_page, m_sort, ...rest } = state;
  const link = (chosen) => toWhy(part, { ...rest, ...chosen });
  const write = writers(known[figure.figure].unit);
  const officer = `/metrics/officers/${encodeURIComponent(part)}`;
  const path = `${officer}/movements`;
  const asked = { metric: data.metric, figure: figure.figure, date: state.date, start_date: days[0] };
  return h("section", {}, title,
    h("p", { class: "soft" }, "Opening and every effect add up to closing. The sign of an effect is the figure's, not a verdict."),
    figures(data, figure, known, link),
    h("h3", {}, defined(known[figure.figure].title, known[figure.figure].about)),
    figure.window ? h("p", { id: "window" }, figure.window) : "",
    picture(figure, known, write, days),
    table(figure, known, link, write, days, state),
    exports(`${officer}/causes`, asked, `${part}-${figure.figure}-causes-${days[0]}-${days[1]}`),
    h("p", {}, h("a", { href: link({ figure: figure.figure, cause: EVERY }), id: "cause-every" }, "Every loan that moved it")),
    exports(path, asked, `${part}-${figure.figure}-loans-moved-${days[0]}-${days[1]}`),
    await loans(figure, known, path, asked, write, given));
};
