// The loans behind FIMR and behind the early indicators.

import { catalogue } from "./catalogue.js";
import { h } from "./dom.js";
import { filters } from "./filters.js";
import { cents, count, day, text, yes } from "./format.js";
import { listing } from "./table.js";

const plain = (name, title, write = text, more = {}) => ({ name, title, show: (row) => write(row[name]), ...more });
const number = (name, title, write) => plain(name, title, write, { number: true });

const WHO = [
  plain("loan_id", "Loan", text, { head: true }),
  plain("customer_name", "Customer", text, { sorts: false }),
  plain("customer_phone", "Phone", text, { sorts: false }),
  { name: "officer_id", title: "Officer", show: (row) => h("a", { href: `#/officers/${encodeURIComponent(row.officer_id)}` }, row.officer_name ?? row.officer_id) },
  plain("branch", "Branch"),
  plain("disbursement_date", "Disbursed", day),
  number("loan_amount", "Amount", cents),
];

const KINDS = {
  fimr: {
    path: "/loans/fimr-drilldown", title: "Missed first payments", sort: "-outstanding_balance",
    columns: [...WHO, plain("first_payment_due_date", "First due", day), plain("first_payment_received_date", "First paid", day),
      number("days_late", "Days late", count), number("current_dpd", "DPD", count), plain("status", "Status"), number("outstanding_balance", "Outstanding", cents)],
  },
  early: {
    path: "/loans/early-indicators-drilldown", title: "Early indicators: one to six days past due", sort: "-outstanding_balance",
    columns: [...WHO, number("current_dpd", "DPD", count), plain("previous_dpd_bucket", "Bucket a week ago"), plain("roll_direction", "Goes"),
      number("arrears_amount", "Arrears", cents), number("outstanding_balance", "Outstanding", cents), plain("last_payment_date", "Last paid", day),
      plain("next_payment_due", "Next due", day), plain("fimr_tagged", "First missed", yes)],
  },
};

export const loans = async ({ state, change }, kind) => {
  const { path, title, sort, columns } = KINDS[kind];
  const chosen = { sort, page: 1, ...state };
  const options = await catalogue();
  const list = await listing({ path, name: kind, caption: title, columns, state: chosen, change });
  const wanted = [
    ["day", "As of", "date"], ["choice", "Region", "region", options.regions],
    ["choice", "Branch", "branch", options.branches.map((it) => it.branch)],
    ["choice", "Officer", "officer_id", options.officers.map((it) => it.officer_id)],
    ["choice", "Status", "status", options.loan_statuses],
    ["day", "Disbursed from", "start_date"], ["day", "to", "end_date"],
  ];
  return { title, meta: list.meta, drawn: [h("h1", {}, title), filters(wanted, chosen, change), list.drawn] };
};
