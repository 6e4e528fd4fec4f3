// Small pictures of numbers. Each is as wide as there is room for when it is drawn, so that its text stays legible.

import { h, svg } from "./dom.js";

export const room = (most) => Math.max(260, Math.min(most, document.getElementById("view").clientWidth - 26));

export const picture = (width, height, label, ...inside) =>
  svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, ...inside.flat());

export const words = (x, y, text, anchor = "start", more = {}) => svg("text", { x, y, "text-anchor": anchor, ...more }, text);

const trail = (values, x, y) => {
  let drawn = "", pen = "M";
  values.forEach((value, place) => {
    if (value === null) { pen = "M"; return; }
    drawn += `${pen}${x(place).toFixed(1)},${y(value).toFixed(1)}`;
    pen = "L";
  });
  return drawn;
};

export const stroke = (values, x, y, kind = "stroke") => svg("path", { class: kind, d: trail(values, x, y) });

// Round numbers from 0 up to the most there is.
export const ticks = (most, about = 4) => {
  const rough = most / about || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * unit >= rough) * unit;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, place) => place * step);
};

// Lines across at round values, with their names at the left.
export const levels = (values, y, left, right, write) => values.flatMap((value) => [
  svg("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
  words(left - 6, y(value) + 4, write(value), "end"),
]);

const along = (values, width) => (place) => (values.length > 1 ? (place * width) / (values.length - 1) : 0);

// What a line says in words: where it began and ends, and between what it lay.
const inWords = (label, known, write) =>
  `${label}: from ${write(known[0])} to ${write(known.at(-1))}, lowest ${write(Math.min(...known))}, highest ${write(Math.max(...known))}`;

// A line as small as a word, with its scale beneath.
export const spark = (values, label, write) => {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return "–";
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const told = inWords(label, known, write);
  const y = (value) => (high > low ? 20 - ((value - low) / (high - low)) * 20 : 10);
  const box = { class: "spark", viewBox: "0 -2 100 24", preserveAspectRatio: "none", role: "img", "aria-label": told };
  return h("span", { class: "track", "data-about": told }, svg("svg", box, stroke(values, along(values, 100), y)),
    h("span", { class: "soft", "aria-hidden": "true" }, low === high ? write(low) : `${write(low)}–${write(high)}`));
};

export const line = (dates, values, label, write) => {
  const [width, height, left, top] = [room(520), 190, 62, 12];
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const bottom = height - 24;
  const y = (value) => (high > low ? bottom - ((value - low) / (high - low)) * (bottom - top) : (top + bottom) / 2);
  const step = along(values, width - left - 10);
  const last = values.findLastIndex((value) => value !== null);
  return picture(width, height, inWords(label, known, write),
    levels(high > low ? [low, high] : [low], y, left, width - 10, write),
    stroke(values, (place) => left + step(place), y),
    svg("circle", { class: "dot", cx: left + step(last), cy: y(values[last]), r: 3 }),
    words(left + step(last) - 6, y(values[last]) + (y(values[last]) > (top + bottom) / 2 ? -8 : 16), write(values[last]), "end", { class: "ink" }),
    words(left, height - 6, dates[0]), words(width - 10, height - 6, dates.at(-1), "end"));
};
