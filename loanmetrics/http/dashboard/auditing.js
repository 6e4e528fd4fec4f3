// The audit of one officer: who does it, how far it is, what was done.

import { get, send, who } from "./api.js";
import { h, loanLink, missing, say } from "./dom.js";
import { cents, count, moment } from "./format.js";

const NEXT = { Assigned: ["In Progress"], "In Progress": ["Resolved"], Resolved: ["In Progress"], Unassigned: [] };

const told = (event) => [
  event.event === "action" ? `Action: ${event.action_type}` : event.event === "assigned" ? `Assigned to ${event.assignee ?? "nobody"}` : event.audit_status,
  event.notes && `“${event.notes}”`, event.by && `by ${event.by}`,
].filter(Boolean).join(", ");

const field = (title, node) => h("label", {}, title, node);

const risky = (loans) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The riskiest loans" }, h("table", {},
  h("caption", { class: "skip" }, "The riskiest loans"),
  h("thead", {}, h("tr", {}, ["Loan", "Customer", "Amount", "Outstanding", "DPD", "Risk"].map((title, place) =>
    h("th", { scope: "col", class: place > 1 ? "number" : "" }, title)))),
  h("tbody", {}, loans.map((loan) => h("tr", {},
    h("th", { scope: "row" }, loanLink(loan.loan_id)), h("td", {}, loan.customer_name ?? "–"),
    h("td", { class: "number" }, cents(loan.loan_amount)), h("td", { class: "number" }, cents(loan.outstanding_balance)),
    h("td", { class: "number" }, count(loan.current_dpd)), h("td", { class: "number" }, loan.loan_risk_score.toFixed(1)))))));

export const auditing = (id, info, changed) => {
  const seen = { "If-Match": `"${info.version}"` };
  const wrong = h("p", { class: "wrong", role: "alert" });
  const loans = h("div", {});
  const write = (method, what, body, headers = {}) => async (event) => {
    event.preventDefault();
    try {
      const { data } = await send(method, `/audit/officers/${encodeURIComponent(id)}/${what}`, body(), { ...seen, ...headers });
      say("Saved");
      if (data.top_risk_loans) {
        seen["If-Match"] = `"${data.version}"`;
        loans.replaceChildren(h("h3", {}, "Recorded with the riskiest loans"), risky(data.top_risk_loans));
      } else changed();
    } catch (error) {
      wrong.replaceChildren(error.status === 412 ? "Somebody else changed this audit meanwhile. Reload the page and look again." : error.message);
    }
  };
  const history = h("ul", { class: "events" }, info.history.map((event) => h("li", {}, h("span", { class: "soft" }, `${moment(event.at)} `), told(event))));
  const may = who().role !== "viewer";
  return h("section", {}, h("h2", {}, "Audit"),
    h("p", {}, `${info.audit_status}${info.assignee ? `, ${info.assignee}` : ""}`),
    may ? h("div", { class: "two" }, assigning(info, write), moving(info, write), acting(write)) : "",
    wrong, loans, info.history.length ? history : h("p", { class: "soft" }, "Nothing was done yet."));
};

const assigning = (info, write) => {
  const choice = h("select", {}, h("option", { value: "" }, "nobody"));
  get("/audit/team-members", { is_active: true, per_page: 500 }).then(({ data }) => choice.append(...data.map((member) =>
    h("option", { value: String(member.member_id), selected: member.member_id === info.assignee_id }, member.member_name)))).catch(missing("The team"));
  return h("form", { class: "form", onsubmit: write("PUT", "assignee", () => ({ assignee_id: choice.value ? Number(choice.value) : null })) },
    field("Who audits", choice), h("button", {}, "Assign"));
};

const moving = (info, write) => {
  const steps = NEXT[info.audit_status];
  if (!steps.length) return "";
  const notes = h("textarea", { rows: "2", value: info.audit_notes ?? "" });
  return h("form", { class: "form", onsubmit: write("PUT", "status", () => ({ audit_status: steps[0], audit_notes: notes.value || null })) },
    field("Notes", notes), h("button", {}, `Set to ${steps[0]}`));
};

const acting = (write) => {
  const kind = h("input", { required: true, maxLength: 100, placeholder: "visit, call, letter" });
  const notes = h("textarea", { rows: "2" });
  const key = crypto.randomUUID();
  return h("form", { class: "form", onsubmit: write("POST", "actions", () => ({ action_type: kind.value, action_notes: notes.value || null }), { "Idempotency-Key": key }) },
    field("What was done", kind), field("Notes", notes), h("button", {}, "Record, with the 20 riskiest loans"));
};
