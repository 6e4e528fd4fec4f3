// How far a rate can be trusted, beside it: its interval, and whether it stands out.

import { all } from "./api.js";
import { badge, h, svg } from "./dom.js";
import { between, share } from "./format.js";

const WIDTH = 72;
const STANDS = {
  high: ["▲ high", "Above the funnel: more than chance would do to so many loans, if they were like the book"],
  low: ["▼ low", "Below the funnel: less than chance would do to so many loans, if they were like the book"],
  "too few": ["too few", "Too few loans to say anything"],
};

export const NOTE = "Beside a rate stands its 95 % interval. The band of the small picture is the funnel: 99.8 % of those with as many loans "
  + "would lie in it if all were like the book; who lies outside stands out by more than chance.";

// Who lies outside is marked, and otherwise on the better side, where the rate has one.
export const hue = (it) => {
  if (it.stands !== "high" && it.stands !== "low") return "";
  return it.stands === it.better ? "out well" : "out";
};

export const stands = (it) => {
  const [word, about] = STANDS[it.stands] ?? [];
  return word ? badge(word, hue(it), hue(it) === "out well" ? `${about}. That is the better side` : about) : "";
};

// The funnel as a band, the interval as a line, the rate as a dot.
const whisker = (it, most) => {
  const x = (value) => 3 + (Math.min(value, most) / (most || 1)) * (WIDTH - 6);
  const bar = (kind, from, end, y, height) => svg("rect", { class: kind, x: x(from), y, width: Math.max(1, x(end) - x(from)), height });
  const label = `${share(it.value)}, 95 % interval ${between(it.low, it.high) || "unknown"}, funnel ${between(it.funnel_low, it.funnel_high)}`;
  return svg("svg", { class: "whisker", viewBox: `0 0 ${WIDTH} 12`, role: "img", "aria-label": label },
    bar("funnel", it.funnel_low, it.funnel_high, 1, 10),
    ...(it.low === null ? [] : [bar("interval", it.low, it.high, 5.25, 1.5)]),
    svg("circle", { class: hue(it), cx: x(it.value), cy: 6, r: 3 }));
};

export const beside = (it, most) => h("div", { class: "beside" }, whisker(it, most), h("span", { class: "soft" }, between(it.low, it.high)), stands(it));

// The whiskers of one table share a scale; a single wide interval must not flatten all others.
export const scale = (found) => {
  const values = found.map((it) => it.value);
  const ends = found.filter((it) => it.stands !== "too few").map((it) => Math.max(it.high, it.funnel_high));
  return Math.max(...values, ...ends, 0);
};

// Put intervals into the cells of a column that is drawn already.
export const certify = async ({ metric, better, by, date, key, data, rows, place }) => {
  const given = by === "officer" ? { officer_id: data.map((row) => row.officer_id) } : {};
  const { data: found } = await all("/cohorts/certainty", { metric, by, date, ...given });
  const known = new Map(found.map((it) => [key(it), it]));
  const here = data.map((row) => known.get(key(row)));
  const most = scale(here.filter(Boolean));
  here.forEach((it, index) => { if (it) rows[index].children[place].append(beside({ ...it, better }, most)); });
};
