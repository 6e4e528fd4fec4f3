// Small pictures of numbers over days.

import { svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 180;

const path = (values, low, high, width, height) => {
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const spread = high - low || 1;
  let drawn = "", pen = "M";
  values.forEach((value, place) => {
    if (value === null) { pen = "M"; return; }
    drawn += `${pen}${(place * step).toFixed(1)},${(height - ((value - low) / spread) * height).toFixed(1)}`;
    pen = "L";
  });
  return drawn;
};

const range = (values) => {
  const known = values.filter((value) => value !== null);
  return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
};

export const spark = (values, label) => {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return "–";
  const box = { class: "spark", viewBox: "0 -2 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label };
  return svg("svg", box, svg("path", { class: "stroke", d: path(values, 0, 100, 100, 20) }));
};

export const line = (dates, values, label, write) => {
  const [low, high] = range(values);
  const box = { class: "line", viewBox: `-60 -12 ${WIDTH + 70} ${HEIGHT + 36}`, role: "img", "aria-label": label };
  const level = (value, y) => [
    svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }),
    svg("text", { x: -8, y: y + 4, "text-anchor": "end" }, write(value)),
  ];
  const days = dates.length ? [[dates[0], 0, "start"], [dates.at(-1), WIDTH, "end"]] : [];
  return svg("svg", box,
    ...level(high, 0), ...(high > low ? level(low, HEIGHT) : []),
    svg("path", { class: "stroke", d: path(values, low, high, WIDTH, HEIGHT) }),
    ...days.map(([day, x, anchor]) => svg("text", { x, y: HEIGHT + 18, "text-anchor": anchor }, day)));
};
