// Figures as people read them; nothing is computed here. How numbers of a unit are written, the server says.

const numbers = (options) => new Intl.NumberFormat("en", { roundingMode: "halfEven", ...options });
const fixed = [0, 1, 2, 3, 4].map((digits) => numbers({ minimumFractionDigits: digits, maximumFractionDigits: digits }));
const units = fixed[0];
const moved = (digits, least = digits) => numbers({ signDisplay: "exceptZero", minimumFractionDigits: least, maximumFractionDigits: digits });
const [movedTwo, movedSome] = [moved(2), moved(2, 0)];
const NONE = "–";
let forms = {};

export const learn = (told) => { forms = Object.fromEntries(told.map((it) => [it.unit, it])); };

const or = (write) => (value) => (value === null || value === undefined ? NONE : write(value));
// What stands behind a number stays on its line.
const behind = (unit) => forms[unit].after.replace(" ", "\u00a0");
const plainly = (unit, value, digits = forms[unit].digits) => fixed[digits].format(value * forms[unit].times);
const written = (unit) => or((value) => plainly(unit, value) + behind(unit));
// With as many digits as it takes to see that parts add up.
const finely = (unit) => or((value) => plainly(unit, value, forms[unit].finely) + behind(unit));

export const count = written("count");
export const cents = written("money");
export const share = written("ratio");
// In lists, where cents would only be in the way.
export const money = or((value) => units.format(value));
export const text = or(String);
export const day = or((value) => String(value).slice(0, 10));
export const moment = or((value) => `${String(value).slice(0, 16).replace("T", " ")} UTC`);
export const yes = or((value) => (value ? "yes" : "no"));
export const words = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
export const between = (low, high) => (low === null || low === undefined ? "" : `${plainly("ratio", low)}–${share(high)}`);

// The day so many days before another.
export const before = (date, days) => {
  const found = new Date(`${date}T00:00:00Z`);
  found.setUTCDate(found.getUTCDate() - days);
  return found.toISOString().slice(0, 10);
};

const points = or((value) => `${movedTwo.format(value * forms.ratio.times)} pp`);

// How a figure is written, and how a change of it.
export const writers = (unit) => {
  if (unit === "money") return [cents, or((value) => movedTwo.format(value))];
  if (unit === "score") return [written("score"), or((value) => movedTwo.format(value))];
  if (unit === "flag") return [yes, or((value) => movedSome.format(value))];
  return unit === "ratio" ? [finely("ratio"), points] : [count, or((value) => movedSome.format(value))];
};
