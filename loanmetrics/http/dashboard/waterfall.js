// From an opening to a closing figure, cause by cause.

import { svg } from "./dom.js";
import { picture, room, words } from "./charts.js";

const ROW = 26;

// Where each bar begins and ends.
const bars = (opening, causes, closing) => {
  let level = opening.value;
  const moves = causes.map((cause) => {
    const bar = { ...cause, from: level, to: level + cause.value, kind: cause.value < 0 ? "fall" : "rise" };
    level = bar.to;
    return bar;
  });
  return [{ ...opening, from: 0, to: opening.value, kind: "whole" }, ...moves, { ...closing, from: 0, to: closing.value, kind: "whole" }];
};

// Small moves of a large figure would not be seen beside the whole of it.
const extent = (drawn) => {
  const reached = drawn.map((bar) => bar.to);
  const [low, high] = [Math.min(...reached), Math.max(...reached)];
  const cut = low > 0 && high - low < high / 2;
  return { low: cut ? low - (high - low || low) * 0.2 : Math.min(0, low), high: Math.max(0, high), cut };
};

// opening, closing and each cause: {title, value, text}
export const waterfall = (opening, causes, closing) => {
  const drawn = bars(opening, causes, closing);
  const { low, high, cut } = extent(drawn);
  const width = room(820);
  const [left, right] = [Math.min(180, width * 0.36), Math.min(130, width * 0.3)];
  const x = (value) => left + ((Math.max(value, low) - low) / (high - low || 1)) * (width - left - right);
  const rows = drawn.flatMap((bar, place) => {
    const top = place * ROW;
    const [start, end] = [Math.min(x(bar.from), x(bar.to)), Math.max(x(bar.from), x(bar.to))];
    const next = place < drawn.length - 1 ? [svg("line", { class: "grid", x1: x(bar.to), x2: x(bar.to), y1: top + 20, y2: top + ROW + 5 })] : [];
    return [
      words(left - 10, top + 17, bar.title, "end"), ...next,
      svg("rect", { class: bar.kind, x: start, y: top + 5, width: Math.max(1.5, end - start), height: 15, rx: 2 }),
      words(end + 8, top + 17, bar.text, "start", { class: "ink" }),
    ];
  });
  const note = cut ? [words(left, drawn.length * ROW + 14, "The bars do not begin at nought.")] : [];
  const label = `From ${opening.text} to ${closing.text}: ${causes.map((cause) => `${cause.title} ${cause.text}`).join(", ")}`;
  return picture(width, drawn.length * ROW + (cut ? 20 : 4), label, rows, note);
};
