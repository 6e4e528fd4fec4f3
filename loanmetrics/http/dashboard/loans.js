// The loans behind FIMR and behind the early indicators.

import { about, catalogue } from "./catalogue.js";
import { h, loanLink, picked } from "./dom.js";
import { filters } from "./filters.js";
import { cents, count, day, text, yes } from "./format.js";
import { linked, people } from "./people.js";
import { listing } from "./table.js";

const plain = (name, title, write = text, more = {}) => ({ name, title, show: (row) => write(row[name]), ...more });
const number = (name, title, write, told) => plain(name, title, write, { number: true, about: told });
const WANTED = ["date", "region", "branch", "officer_id", "status", "start_date", "end_date", "min_amount", "max_amount"];
const LATE = "Days past due of the oldest installment that is not settled";

const who = (whom, date) => [
  { name: "loan_id", title: "Loan", head: true, show: (row) => loanLink(row.loan_id, date) },
  plain("customer_name", "Customer", text, { sorts: false }),
  plain("customer_phone", "Phone", text, { sorts: false }),
  { name: "officer_id", title: "Officer", show: (row) => linked(whom, row, date) },
  plain("branch", "Branch"),
  plain("disbursement_date", "Disbursed", day),
  number("loan_amount", "Amount", cents),
];

const KINDS = {
  fimr: {
    path: "/loans/fimr-drilldown", title: "Missed first payments", wanted: WANTED, more: [],
    columns: [plain("first_payment_due_date", "First due", day), plain("first_payment_received_date", "First paid", day),
      number("days_late", "Days late", count, "From the first due date to the first payment, or to the day asked for"), number("current_dpd", "DPD", count, LATE),
      plain("status", "Status"), number("outstanding_balance", "Outstanding", cents)],
  },
  early: {
    path: "/loans/early-indicators-drilldown", title: "Early indicators", wanted: [...WANTED, "dpd_min", "dpd_max"],
    more: [["number", "DPD from", "dpd_min", 0], ["number", "DPD to", "dpd_max", 0]],
    columns: [number("current_dpd", "DPD", count, LATE), plain("previous_dpd_bucket", "Bucket a week ago"),
      plain("roll_direction", "Goes", text, { about: "Against the bucket a week ago: worsening, stable or improving" }),
      number("arrears_amount", "Arrears", cents, "What has fallen due and is not paid"), number("outstanding_balance", "Outstanding", cents),
      plain("last_payment_date", "Last paid", day), plain("next_payment_due", "Next due", day), plain("fimr_tagged", "First missed", yes)],
  },
};

const told = (kind, state, meanings) => {
  if (kind === "fimr") return `Loans whose first installment was not met. ${meanings.fimr.split("\n")[0]}`;
  const bounds = [state.dpd_min && `from ${state.dpd_min}`, state.dpd_max && `up to ${state.dpd_max}`].filter(Boolean).join(" ");
  return bounds ? `Loans ${bounds} days past due.` : `Loans one to six days past due. ${meanings.d06_slippage.split("\n")[0]}`;
};

export const loans = async ({ state, change }, kind) => {
  const { path, title, columns, wanted, more } = KINDS[kind];
  const whom = await people();
  const [options, meanings, list] = await Promise.all([catalogue(), about(), listing({
    path, name: kind, caption: title, columns: [...who(whom, state.date), ...columns], state, change, given: picked(state, wanted), sort: "-outstanding_balance",
  })]);
  const fields = [
    ["day", "As of", "date"], ["any", "Region", "region", options.regions], ["any", "Branch", "branch", options.branches.map((it) => it.branch)],
    ["officer", "Officer", "officer_id", options.officers], ["any", "Status", "status", options.loan_statuses],
    ["day", "Disbursed from", "start_date"], ["day", "Disbursed to", "end_date"], ["number", "Amount from", "min_amount", 0], ["number", "Amount to", "max_amount", 0], ...more,
  ];
  return { title, meta: list.meta, drawn: [h("h1", {}, title), h("p", {}, told(kind, state, meanings)), filters(fields, state, change, { date: list.meta.calculation_date }), list.drawn] };
};
