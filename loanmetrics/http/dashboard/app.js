// Which page is shown: the part of the address after '#'.

import { logout, resume, who } from "./api.js";
import { branches } from "./branches.js";
import { h, say } from "./dom.js";
import { moment } from "./format.js";
import { loans } from "./loans.js";
import { login } from "./login.js";
import { officer } from "./officer.js";
import { officers } from "./officers.js";

const PAGES = [
  [/^\/officers$/, "Officers", officers],
  [/^\/officers\/(.+)$/, null, officer],
  [/^\/branches$/, "Branches", branches],
  [/^\/fimr$/, "Missed first payments", (place) => loans(place, "fimr")],
  [/^\/early$/, "Early indicators", (place) => loans(place, "early")],
];
const view = document.getElementById("view");
let turn = 0;

const place = () => {
  const [path, asked] = (location.hash.slice(1) || "/officers").split("?");
  return { path, state: Object.fromEntries(new URLSearchParams(asked)) };
};

export const address = (path, state = {}) => {
  const told = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== "" && value !== undefined));
  return `#${path}${told.size ? `?${told}` : ""}`;
};

const menu = (path) => {
  const nav = document.getElementById("nav");
  nav.hidden = !who();
  nav.replaceChildren(...PAGES.filter(([, title]) => title).map(([pattern, title]) => {
    const to = `/${pattern.source.slice(3, -1)}`;
    return h("a", { href: `#${to}`, "aria-current": path.startsWith(to) ? "page" : null }, title);
  }));
  const me = document.getElementById("who");
  me.hidden = !who();
  if (who()) me.replaceChildren(`${who().name}, ${who().role} `, h("button", { type: "button", class: "plain", onclick: leave }, "Log out"));
};

const leave = async () => {
  try {
    await logout();
  } catch (error) { say(error.message); }
  await show();
};

const source = (meta) => {
  const told = meta ? `As of ${meta.calculation_date}, run ${meta.run_id}, ${moment(meta.calculated_at)}` : "";
  const note = meta && meta.published === false ? "; not published, computed from the newest facts" : "";
  document.getElementById("source").replaceChildren(told + note);
};

export const show = async () => {
  const mine = ++turn;
  const { path, state } = place();
  menu(path);
  if (!who()) {
    source(null);
    view.replaceChildren(login(show));
    view.querySelector("input").focus();
    return;
  }
  const [pattern, , page] = PAGES.find(([known]) => known.test(path)) ?? PAGES[0];
  const part = decodeURIComponent(path.match(pattern)?.[1] ?? "");
  view.setAttribute("aria-busy", "true");
  try {
    const change = (next) => { location.hash = address(path, next); };
    const { drawn, meta, title } = await page({ part, state, change });
    if (mine !== turn) return;
    view.replaceChildren(...drawn);
    document.title = `${title} · loanmetrics`;
    source(meta);
  } catch (error) {
    if (mine !== turn) return;
    if (!who()) { await show(); return; }
    view.replaceChildren(h("h1", {}, "That did not work"), h("p", { class: "wrong" }, error.message));
  } finally {
    view.removeAttribute("aria-busy");
  }
};

addEventListener("hashchange", show);
try {
  await resume();
} catch (error) { say(error.message); }
await show();
