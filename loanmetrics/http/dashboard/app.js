// Which page is shown: the part of the address after '#'.

import { account } from "./account.js";
import { ended, logout, resume, who } from "./api.js";
import { branches } from "./branches.js";
import { catalogue } from "./catalogue.js";
import { h, to, warn } from "./dom.js";
import { explanation } from "./explanation.js";
import { moment } from "./format.js";
import { funnel } from "./funnel.js";
import { loans } from "./loans.js";
import { login } from "./login.js";
import { rolls } from "./matrix.js";
import { officer } from "./officer.js";
import { officers } from "./officers.js";
import { review } from "./review.js";
import { hide } from "./tips.js";
import { vintages } from "./vintages.js";

const PAGES = [
  [/^\/officers$/, "Officers", officers],
  [/^\/officers\/([^/]+)$/, null, officer],
  [/^\/officers\/([^/]+)\/explanation$/, null, explanation],
  [/^\/branches$/, "Branches", branches],
  [/^\/funnel$/, "Funnel", funnel],
  [/^\/review$/, "Review", review],
  [/^\/fimr$/, "Missed first payments", (place) => loans(place, "fimr")],
  [/^\/early$/, "Early indicators", (place) => loans(place, "early")],
  [/^\/roll-matrix$/, "Roll matrix", rolls],
  [/^\/vintages$/, "Vintages", vintages],
  [/^\/loans\/([^/]+)$/, null, account],
];
const ENDED = "Your session has ended. Please log in again; you go on where you were.";
const view = document.getElementById("view");
let turn = 0;
let shown = null;

const place = () => {
  const [path, asked] = (location.hash.slice(1) || "/officers").split("?");
  return { path, state: Object.fromEntries(new URLSearchParams(asked)) };
};

const menu = (path) => {
  const nav = document.getElementById("nav");
  nav.hidden = !who();
  nav.replaceChildren(...PAGES.filter(([, title]) => title).map(([pattern, title]) => {
    const page = `/${pattern.source.slice(3, -1)}`;
    return h("a", { href: `#${page}`, "aria-current": path.startsWith(page) ? "page" : null }, title);
  }));
  const me = document.getElementById("who");
  me.hidden = !who();
  if (who()) me.replaceChildren(`${who().name}, ${who().role} `, h("button", { type: "button", class: "plain", onclick: leave }, "Log out"));
};

const leave = async () => {
  try {
    await logout();
  } catch (error) { warn(error.message); }
  await show();
};

const source = (meta) => {
  const told = meta ? `As of ${meta.calculation_date}, run ${meta.run_id}, ${moment(meta.calculated_at)}` : "";
  const note = meta && meta.published === false ? "; not published, computed from the newest facts" : "";
  document.getElementById("source").replaceChildren(told + note);
};

// A new page begins at its heading; the same page, drawn again, goes on where the reader was.
const settle = (path, held) => {
  const moved = shown !== null && shown !== path;
  shown = path;
  const heading = view.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  if (moved) {
    scrollTo(0, 0);
    heading?.focus({ preventScroll: true });
  } else if (held) (document.getElementById(held) ?? heading)?.focus({ preventScroll: true });
  document.getElementById("told").textContent = [heading?.textContent, view.querySelector(".pages span")?.textContent].filter(Boolean).join(". ");
};

// What was chosen: of what is chosen by now only that changes, however long the page took to be drawn.
const merged = (state, next) => {
  const changed = Object.entries(next).filter(([name, value]) => value !== state[name]);
  const dropped = Object.keys(state).filter((name) => !(name in next)).map((name) => [name, ""]);
  return { ...place().state, ...Object.fromEntries([...dropped, ...changed]) };
};

const draw = async () => {
  const { path, state } = place();
  const [pattern, , page] = PAGES.find(([known]) => known.test(path)) ?? PAGES[0];
  const part = decodeURIComponent(path.match(pattern)?.[1] ?? "");
  await catalogue();
  const change = (next) => { location.hash = to(path, place().path === path ? merged(state, next) : next); };
  return { path, ...(await page({ part, state, change })) };
};

const enter = () => {
  source(null);
  shown = null;
  const told = ended() ? ENDED : "";
  document.title = "Log in · loanmetrics";
  view.replaceChildren(login(show, told));
  document.getElementById("told").textContent = told;
  view.querySelector("input").focus();
};

export const show = async () => {
  const mine = ++turn;
  menu(place().path);
  if (!who()) { enter(); return; }
  view.setAttribute("aria-busy", "true");
  try {
    const { path, drawn, meta, title } = await draw();
    if (mine !== turn) return;
    const held = view.contains(document.activeElement) ? document.activeElement.id : "";
    hide();
    view.replaceChildren(...drawn);
    document.title = `${title} · loanmetrics`;
    source(meta);
    settle(path, held);
  } catch (error) {
    if (mine !== turn) return;
    if (!who()) { await show(); return; }
    hide();
    view.replaceChildren(h("h1", {}, "That did not work"), h("p", { class: "wrong", role: "alert" }, error.message),
      h("p", {}, h("a", { href: `#${place().path}` }, "Begin again with nothing chosen")));
    settle(place().path, "");
  } finally {
    if (mine === turn) view.removeAttribute("aria-busy");
  }
};

document.getElementById("skip").addEventListener("click", () => view.focus());
addEventListener("hashchange", show);
try {
  await resume();
} catch (error) { warn(error.message); }
await show();
