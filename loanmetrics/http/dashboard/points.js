// What each term of a score costs.

import { h } from "./dom.js";
import { grid } from "./table.js";

const NAMES = {
  porr: "Portfolio at risk", fimr: "First payments missed", roll: "Roll", waivers: "Waivers", backdated: "Backdated entries",
  reversals: "Reversals", fees_not_realised: "Fees not collected", channel_impurity: "Impure channel", float_gap: "Cash recorded late",
  float_gap_share: "Cash recorded late",
};

const bar = (term) => h("progress", { max: String(term.weight), value: String(term.lost), "aria-label": `${term.lost.toFixed(1)} of ${term.weight} points` });

const COLUMNS = [
  { title: "Term", head: true, show: (term) => NAMES[term.term] ?? term.term },
  { title: "Points", number: true, show: (term) => `${term.lost.toFixed(1)} / ${term.weight}` },
  { title: "Of what may be lost", show: bar },
  { title: "Share of the weight that is lost", show: (term) => h("code", {}, term.share) },
];

export const points = (terms) => grid(COLUMNS, [...terms].sort((one, other) => other.lost - one.lost), "Points lost, term by term");

export const briefly = (terms) => h("div", { class: "terms" }, [...terms].sort((one, other) => other.lost - one.lost).map((term) =>
  h("div", { class: "term" },
    h("span", { "data-about": term.share }, NAMES[term.term] ?? term.term), bar(term),
    h("span", { class: "number" }, `${term.lost.toFixed(1)} / ${term.weight}`))));
