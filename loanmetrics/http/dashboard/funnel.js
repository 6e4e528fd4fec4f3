// Rates against how many loans they rest on: who stands out by more than chance.

import { all, get } from "./api.js";
import { catalogue, meanings } from "./catalogue.js";
import { NOTE, beside, hue, scale, stands } from "./certainty.js";
import { levels, picture, room, ticks, words } from "./charts.js";
import { h, svg, to, toOfficer } from "./dom.js";
import { filters } from "./filters.js";
import { between, count, share, text } from "./format.js";
import { called, ownerless, people } from "./people.js";
import { listing } from "./table.js";

const [HEIGHT, LEFT, TOP, BOTTOM] = [380, 62, 14, 40];
const NAMED = 8;

// Of whom: how a row is called and where it leads.
const WHOM = {
  officer: (known) => [(row) => called(known, row), (row, date) => toOfficer(row.officer_id, { date }), (row) => ownerless(known, row.officer_id)],
  branch: () => [(row) => row.branch, (row, date) => to("/officers", { branch: row.branch, date }), () => ""],
};

// Rates as they are, or as they would be with the whole book's mix of loans: which list tells it, and its column that is drawn.
const RATES = {
  plain: { path: "/cohorts/certainty", drawn: "value", prefix: "", told: "and how far it can be trusted", note: "" },
  adjusted: { path: "/cohorts/peers", drawn: "adjusted", prefix: "adjusted-", told: "adjusted for the kinds of loans",
    note: "Adjusted: the book's rate times what was observed by what would be expected if each kind of loan did as in the whole book. "
      + "Loans are of one kind that agree in region, quarter by amount, term and age; branches are held to those of all regions. "
      + "Who holds most of a kind alone is held to nobody else there. Each has a funnel of its own: the picture shows those of who lies outside. " },
};

// Names of those who stand out most, beside their marks as far as they cover nothing.
const names = (out, x, y, name, width) => {
  const taken = out.map((it) => [x(it.loans) - 6, x(it.loans) + 6, y(it.value)]);
  const free = (from, to, at) => from > LEFT && to < width && taken.every(([left, right, top]) => to < left || from > right || Math.abs(top - at) > 12);
  return out.slice(0, NAMED).flatMap((it) => {
    const [across, down, wide] = [x(it.loans), y(it.value), name(it).length * 7];
    const sides = [[across + 8, across + 8 + wide, "start"], [across - 8 - wide, across - 8, "end"]];
    const [from, to, anchor] = sides.find(([start, end]) => free(start, end, down)) ?? [];
    if (!anchor) return [];
    taken.push([from, to, down]);
    return [words(anchor === "start" ? from : to, down + 4, name(it), anchor, { class: "ink" })];
  });
};

const shape = (it, x, y) => {
  const [cx, cy] = [x(it.loans), y(it.value)];
  if (it.stands === "high") return svg("path", { class: hue(it), d: `M${cx - 5},${cy + 4}h10l-5,-9z` });
  if (it.stands === "low") return svg("path", { class: hue(it), d: `M${cx - 5},${cy - 4}h10l-5,9z` });
  return svg("circle", { class: it.stands === "too few" ? "few" : "dot", cx, cy, r: 3.5 });
};

const chart = (found, book, title, [name, link, mark], date, own) => {
  const width = room(980);
  const out = found.filter((it) => it.stands === "high" || it.stands === "low");
  const most = Math.max(...found.map((it) => it.value), book ?? 0) * 1.08 || 1;
  const largest = Math.max(...found.map((it) => it.loans));
  // By the root, as chance shrinks with the root of the number of loans.
  const x = (loans) => LEFT + Math.sqrt(loans / largest) * (width - LEFT - 14);
  const y = (value) => HEIGHT - BOTTOM - (Math.min(value, most) / most) * (HEIGHT - BOTTOM - TOP);
  const marks = found.map((it) => svg("a", { href: link(it, date), tabindex: "-1",
    "data-about": `${name(it)}: ${share(it.value)} of ${count(it.loans)} loans\nfunnel ${between(it.funnel_low, it.funnel_high)}${it.told}` }, shape(it, x, y)));
  return picture(width, HEIGHT, `${title} of ${found.length}, by how many loans they rest on; ${out.length} lie outside of the funnel`,
    levels(ticks(most, 5), y, LEFT, width - 10, share),
    (own ? out : found).map((it) => svg("line", { class: "funnel", x1: x(it.loans), x2: x(it.loans), y1: y(it.funnel_low), y2: y(it.funnel_high) })),
    book === null || book === undefined ? [] : [svg("line", { class: "book", x1: LEFT, x2: width - 10, y1: y(book), y2: y(book) })],
    ticks(largest, 5).filter((value) => value).map((value) => words(x(value), HEIGHT - BOTTOM + 16, count(value), "middle")),
    words(width - 10, HEIGHT - 6, "loans", "end"), marks, names(out.filter((it) => !mark(it)), x, y, name, width));
};

// Beside an adjusted rate: the rate itself, what was to be expected, and of how much of it there is nobody to compare with.
const KINDS = [
  { name: "expected", title: "Expected", number: true, about: "What the rate would be if each kind of loan did as in the whole book", show: (row) => share(row.expected) },
  { name: "relative", title: "Relative", number: true, about: "Observed by expected: how much of what was expected came to be", show: (row) => share(row.relative) },
  { name: "adjusted", title: "Adjusted", number: true, about: "The book's rate times observed by expected", show: (row) => share(row.adjusted) },
  { name: "alone", title: "Alone", number: true, about: "Share of the denominator in kinds of which more than half is their own: there they are held mostly to themselves",
    show: (row) => share(row.alone) },
];

const SHRUNK = { name: "shrunk", title: "Drawn to the book", number: true, about: "The rate drawn towards the book's, the more the fewer its loans", show: (row) => share(row.shrunk) };

const columns = ([name, link, mark], by, most, date, { drawn, prefix }, better) => [
  { name: by === "officer" ? "officer_id" : "branch", title: by === "officer" ? "Officer" : "Branch", head: true, show: (row) => [h("a", { href: link(row, date) }, name(row)), " ", mark(row)] },
  ...(by === "officer" ? [] : [{ name: "region", title: "Region", show: (row) => text(row.region) }]),
  { name: "loans", title: "Loans", number: true, about: "Loans that say anything about it", show: (row) => count(row.loans) },
  { name: "value", title: "Rate", number: true, show: (row) => share(row.value) },
  ...(prefix ? KINDS : []),
  { name: "low", title: "95 % interval", about: "Sorted by its lower end", show: (row) => (row[drawn] === null ? "" : beside({ ...row, value: row[drawn], stands: "" }, most)) },
  { name: "funnel_high", title: "Funnel", about: "Where 99.8 % of those with as many loans would lie if all were like the book; sorted by its upper end",
    show: (row) => between(row.funnel_low, row.funnel_high) },
  ...(prefix ? [] : [SHRUNK]),
  { name: "stands", title: "Stands", show: (row) => stands({ ...row, better }) },
];

// Rows to be drawn; who was expected to have nothing has no adjusted rate.
const drawable = (rows, { drawn, prefix }, better) => rows.filter((it) => it[drawn] !== null).map((it) => ({ ...it, better, value: it[drawn],
  told: prefix ? `\nas it is ${share(it.value)}, expected ${share(it.expected)}` : "" }));

export const funnel = async ({ state, change }) => {
  const { metric = "fimr", by = "officer", rates = "plain", date } = state;
  const given = { metric, by, date };
  const held = RATES[rates];
  const [options, known, whom, { data, meta }, { data: book }] = await Promise.all([
    catalogue(), meanings(), people(), all(held.path, given), get("/metrics/book", { date })]);
  const { better } = known[metric];
  const found = drawable(data, held, better);
  const who = WHOM[by](whom);
  const list = await listing({ path: held.path, name: `funnel-${held.prefix}${metric}`, caption: `${known[metric].title}, ${held.told}`,
    columns: columns(who, by, scale(found), date, held, better), state, change, given, sort: `-${held.drawn}`, prefix: held.prefix });
  const choices = options.metrics.filter((it) => it.certain).map((it) => [it.name, it.title]);
  const wanted = [["choice", "Rate", "metric", choices], ["choice", "Of", "by", [["officer", "officers"], ["branch", "branches"]]],
    ["choice", "Compared", "rates", [["plain", "as they are"], ["adjusted", "adjusted for the kinds of loans"]]], ["day", "As of", "date"]];
  const out = found.filter((it) => it.stands === "high" || it.stands === "low").length;
  const few = found.filter((it) => it.stands === "too few").length;
  const drawn = [
    h("h1", {}, "Funnel"), h("p", {}, known[metric].about.split("\n")[0]), filters(wanted, state, change, { metric, by, rates, date: meta.calculation_date }),
    h("p", {}, `${count(out)} of ${count(found.length)} ${out === 1 ? "lies" : "lie"} outside of the funnel, ${count(few)} ${few === 1 ? "has" : "have"} too few loans to tell. The whole book: ${share(book.metrics[metric])}.`),
    found.length ? h("figure", {}, chart(found, book.metrics[metric], known[metric].title, who, date, rates === "adjusted")) : h("p", { class: "soft" }, "Nobody has it on this day."),
    list.drawn, h("p", { class: "soft" }, held.note, NOTE),
  ];
  return { title: `Funnel, ${known[metric].title}`, meta, drawn };
};
