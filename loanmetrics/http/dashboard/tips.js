// Definitions beside what they define: shown to the pointer and to the keyboard, gone with Escape.

import { h } from "./dom.js";

const tip = document.getElementById("tip");
let owner = null;

export const defined = (title, about) => (about ? h("button", { type: "button", class: "about", "data-about": about }, title) : title);

export const hide = () => {
  owner?.removeAttribute("aria-describedby");
  owner = null;
  tip.hidden = true;
};

const place = (at) => {
  const below = at.bottom + 6;
  const fits = below + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${fits ? below : Math.max(8, at.top - tip.offsetHeight - 6)}px`;
};

const show = (node) => {
  if (node === owner) return;
  hide();
  owner = node;
  node.setAttribute("aria-describedby", "tip");
  tip.textContent = node.dataset.about;
  tip.hidden = false;
  place(node.getBoundingClientRect());
};

const reached = (event) => {
  const node = event.target.closest?.("[data-about]");
  if (node && (event.type !== "focusin" || node.matches(":focus-visible"))) show(node);
  else if (!tip.contains(event.target)) hide();
};

document.addEventListener("pointerover", reached);
document.addEventListener("focusin", reached);
document.addEventListener("scroll", () => { if (owner) place(owner.getBoundingClientRect()); }, { capture: true, passive: true });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
