// One loan's account on a day: how it stands, its installments, its payments.

import { get } from "./api.js";
import { h } from "./dom.js";
import { filters } from "./filters.js";
import { cents, count, moment, text, words, yes } from "./format.js";
import { linked, people } from "./people.js";
import { card } from "./strip.js";
import { listing } from "./table.js";

const FACTS = [
  ["total_outstanding", "Outstanding", cents], ["arrears_amount", "Arrears", cents, "What has fallen due and is not paid"],
  ["current_dpd", "Days past due", count, "Of the oldest installment that is not settled"], ["dpd_bucket", "DPD bucket", text],
  ["max_dpd_ever", "Worst days past due", count], ["principal_outstanding", "Principal left", cents], ["interest_outstanding", "Interest left", cents],
  ["fees_outstanding", "Fees left", cents], ["total_principal_paid", "Principal paid", cents], ["total_interest_paid", "Interest paid", cents],
  ["total_fees_paid", "Fees paid", cents], ["overpaid", "Overpaid", cents], ["first_payment_due_date", "First due", text],
  ["first_payment_received_date", "First paid", text], ["first_payment_missed", "First payment missed", yes, "Not decided before the day after the first due date"],
  ["last_payment_date", "Last paid", text], ["next_payment_due", "Next due", text],
];

const column = (name, title, write = text, more = {}) => ({ name, title, show: (row) => write(row[name]), ...more });
const amount = (name, title, about) => column(name, title, cents, { number: true, about });

const INSTALLMENTS = [
  column("number", "No.", count, { head: true }), column("due_date", "Due"), amount("principal", "Principal"), amount("interest", "Interest"), amount("fee", "Fee"),
  amount("amount", "Amount"), amount("cumulative", "Due so far", "All that falls due up to this installment"),
  column("settled", "Settled", yes, { about: "The loan's credits cover everything due up to it" }), column("settled_on", "Settled since"),
  column("days_late", "Days late", count, { number: true }),
];
const PAYMENTS = [
  column("repayment_id", "Payment", text, { head: true }), column("payment_date", "Date"), amount("amount", "Amount"), amount("principal", "Principal"), amount("interest", "Interest"),
  amount("fees", "Fees"), amount("penalty", "Penalty"), amount("waiver", "Waived"), column("waiver_type", "Waiver of"), column("method", "Method"),
  column("counts", "Counts", yes, { about: "It is not reversed on this day" }), amount("credited", "Credited", "What it takes off the debt"),
  column("reversal_date", "Reversed"), column("recorded_at", "Recorded", moment),
];

const state_of = (loan) => (loan.on_book ? `${count(loan.current_dpd)} days past due` : loan.closed_as ? words(loan.closed_as) : "not on the book");

export const account = async ({ part, state, change }) => {
  const path = `/loans/${encodeURIComponent(part)}`;
  const list = (kind, columns, prefix, sort) => listing({
    path: `${path}/${kind}`, name: `${part}-${kind}`, caption: words(kind), columns, state, change, prefix, sort, given: { date: state.date },
  });
  const [{ data: { loan }, meta }, dues, paid] = await Promise.all([get(`${path}/account`, { date: state.date }),
    list("installments", INSTALLMENTS, "i_", "number"), list("payments", PAYMENTS, "p_", "payment_date")]);
  const officer = linked(await people(), loan, state.date);
  const drawn = [
    h("h1", {}, `Loan ${part}`),
    h("p", {}, [loan.customer_name, loan.customer_phone].filter(Boolean).join(", "), loan.customer_name ? "; " : "", "officer ", ...officer, `, ${loan.branch}, ${loan.region}; `,
      `disbursed ${loan.disbursement_date}; ${state_of(loan)}`),
    filters([["day", "As of", "date"]], state, change, { date: meta.calculation_date }),
    h("section", { class: "strip", "aria-label": "How the loan stands" }, FACTS.map(([name, title, write, about]) => card(title, about, write(loan[name])))),
    h("section", {}, h("h2", {}, "Installments"), dues.drawn),
    h("section", {}, h("h2", {}, "Payments"), paid.drawn),
  ];
  return { title: `Loan ${part}`, meta, drawn };
};
