// What each term of a score costs.

import { h } from "./dom.js";
import { grid } from "./table.js";

const bar = (term) => h("progress", { max: String(term.weight), value: String(term.lost), "aria-label": `${term.lost.toFixed(1)} of ${term.weight} points` });

const share = (term) => term.in_words ?? h("code", {}, term.share);

const COLUMNS = [
  { title: "Term", head: true, show: (term) => term.title },
  { title: "Points", number: true, show: (term) => `${term.lost.toFixed(1)} / ${term.weight}` },
  { title: "Of what may be lost", show: bar },
  { title: "Share of the weight that is lost", show: (term) => share(term) },
];

export const points = (terms) => grid(COLUMNS, [...terms].sort((one, other) => other.lost - one.lost), "Points lost, term by term");

export const briefly = (terms) => h("div", { class: "terms" }, [...terms].sort((one, other) => other.lost - one.lost).map((term) =>
  h("div", { class: "term" },
    h("span", { "data-about": term.in_words ?? term.share }, term.title), bar(term),
    h("span", { class: "number" }, `${term.lost.toFixed(1)} / ${term.weight}`))));
