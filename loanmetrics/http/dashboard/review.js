// Whose payments meet a review rule more often than chance would have it, and which payments those are.

import { all } from "./api.js";
import { catalogue } from "./catalogue.js";
import { NOTE, beside, scale, stands } from "./certainty.js";
import { h, loanLink, picked, to } from "./dom.js";
import { filters } from "./filters.js";
import { between, cents, count, day, share, text } from "./format.js";
import { linked, people } from "./people.js";
import { listing } from "./table.js";

const QUESTION = "A hit is a question, not a verdict: many have an innocent answer. Where too few loans say anything, nobody is judged; "
  + "who stands high has more hits than chance would bring to one in a thousand, if all were like the book and payments had nothing in common but their loan. "
  + "What befalls many payments of one day, such as a broken network, looks the same.";
// Less than what is written with one decimal.
const chance = (value) => (value !== null && value < 0.0005 ? `< ${share(0.001)}` : share(value));
const asRate = (row) => ({ ...row, value: row.rate });

const rates = (by, whom, most, state) => [
  by === "officer"
    ? { name: "officer_id", title: "Officer", head: true, show: (row) => linked(whom, row, state.date) }
    : { name: "branch", title: "Branch", head: true, show: (row) => text(row.branch) },
  ...(by === "officer" ? [] : [{ name: "region", title: "Region", show: (row) => text(row.region) }]),
  { name: "opportunities", title: "Looked at", number: true, about: "How often there was anything to look at", show: (row) => count(row.opportunities) },
  { name: "hits", title: "Hits", number: true, about: "How often it met the rule; leads to these payments",
    show: (row) => h("a", { href: to("/review", { ...picked(state, ["rule", "date"]), ...picked(row, by === "officer" ? ["officer_id"] : ["region", "branch"]), by }) }, count(row.hits)) },
  { name: "rate", title: "Rate", number: true, show: (row) => share(row.rate) },
  { name: "low", title: "95 % interval", about: "Sorted by its lower end", show: (row) => beside({ ...asRate(row), stands: "" }, most) },
  { name: "funnel_high", title: "Funnel", about: "Where 99.8 % of those with as many payments would lie if all were like the book; sorted by its upper end",
    show: (row) => between(row.funnel_low, row.funnel_high) },
  { name: "chance", title: "Chance", number: true, about: "How likely so many hits or more are for one who is like the book", show: (row) => chance(row.chance) },
  { name: "stands", title: "Stands", show: (row) => stands({ ...row, better: "low" }) },
];

const hits = (whom, date) => [
  { name: "loan_id", title: "Loan", head: true, show: (row) => loanLink(row.loan_id, date) },
  { name: "officer_id", title: "Officer", show: (row) => linked(whom, row, date) },
  { name: "payment_date", title: "Dated", show: (row) => day(row.payment_date) },
  { name: "repayment_id", title: "Payment", show: (row) => text(row.repayment_id) },
  { name: "amount", title: "Amount", number: true, show: (row) => cents(row.amount) },
  { name: "days", title: "Days", number: true, about: "The lag, the days after the month's end, by how much days past due fell, or the days between two payments", show: (row) => count(row.days) },
  { name: "seen", title: "What was seen", sorts: false, prose: true, show: (row) => row.seen },
];

export const review = async ({ state, change }) => {
  const [options, whom] = await Promise.all([catalogue(), people()]);
  const { rule = options.review_rules[0].name, by = "officer", date } = state;
  const told = options.review_rules.find((it) => it.name === rule) ?? options.review_rules[0];
  const given = { rule, by, date };
  const { data: found, meta } = await all("/review/rates", given);
  const whose = picked(state, ["region", "branch", "officer_id"]);
  const [list, seen] = await Promise.all([
    listing({ path: "/review/rates", name: `review-${rule}`, caption: `${told.title}, and how far beyond chance`,
      columns: rates(by, whom, scale(found.map(asRate)), { ...state, rule }), state, change, given, sort: "chance,-hits" }),
    listing({ path: "/review/hits", name: `hits-${rule}`, caption: `Hits of ${told.title}`, columns: hits(whom, date),
      state, change, given: { rule, date, ...whose }, sort: "-payment_date", prefix: "hits-" }),
  ]);
  const wanted = [
    ["choice", "Rule", "rule", options.review_rules.map((it) => [it.name, it.title])],
    ["choice", "Of", "by", [["officer", "officers"], ["branch", "branches"]]], ["day", "As of", "date"],
    ["any", "Hits of branch", "branch", options.branches.map((it) => it.branch)], ["officer", "Hits of officer", "officer_id", options.officers],
  ];
  const judged = found.filter((it) => it.stands !== "too few");
  const high = judged.filter((it) => it.stands === "high").length;
  const base = found.length ? ` The whole book: ${share(found[0].base_rate)} of ${told.counted}.` : "";
  return { title: `Review, ${told.title}`, meta, drawn: [
    h("h1", {}, "Review"), h("p", {}, told.about), h("p", {}, QUESTION), filters(wanted, state, change, { rule, by, date: meta.calculation_date }),
    h("p", {}, `${count(high)} of the ${count(judged.length)} who can be judged stand high; by chance alone about one in a thousand would.${base}`),
    list.drawn, h("p", { class: "soft" }, NOTE), h("section", {}, h("h2", {}, "Hits"), seen.drawn),
  ] };
};
