// Figures as people read them; nothing is computed here.

const numbers = (options) => new Intl.NumberFormat("en", options);
const whole = numbers({});
const units = numbers({ maximumFractionDigits: 0 });
const exact = numbers({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = numbers({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = numbers({ style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const plain = numbers({ minimumFractionDigits: 3, maximumFractionDigits: 3 });
const moved = (digits, least = digits) => numbers({ signDisplay: "exceptZero", minimumFractionDigits: least, maximumFractionDigits: digits });
const [movedTwo, movedThree, movedSome] = [moved(2), moved(3), moved(2, 0)];
const NONE = "–";
// Ratios of money earned to money at risk: they are no shares of a whole.
const YIELDS = new Set(["ayr", "ayr_30d"]);

const or = (write) => (value) => (value === null || value === undefined ? NONE : write(value));

export const count = or((value) => whole.format(value));
export const money = or((value) => units.format(value));
export const cents = or((value) => exact.format(value));
export const share = or((value) => percent.format(value));
export const ratio = or((value) => plain.format(value));
export const text = or(String);
export const day = or((value) => String(value).slice(0, 10));
export const moment = or((value) => `${String(value).slice(0, 16).replace("T", " ")} UTC`);
export const yes = or((value) => (value ? "yes" : "no"));
export const words = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
export const between = (low, high) => (low === null || low === undefined ? "" : `${percent.format(low).replace("%", "")}–${percent.format(high)}`);

// The day so many days before another.
export const before = (date, days) => {
  const found = new Date(`${date}T00:00:00Z`);
  found.setUTCDate(found.getUTCDate() - days);
  return found.toISOString().slice(0, 10);
};

const points = or((value) => `${movedTwo.format(value * 100)} pp`);

// How a figure is written, and how a change of it.
export const writers = (name, unit) => {
  if (unit === "money") return [cents, or((value) => movedTwo.format(value))];
  if (unit === "score") return [count, or((value) => movedTwo.format(value))];
  if (unit === "flag") return [yes, or((value) => movedSome.format(value))];
  if (unit !== "ratio") return [count, or((value) => movedSome.format(value))];
  return YIELDS.has(name) ? [ratio, or((value) => movedThree.format(value))] : [or((value) => hundredths.format(value)), points];
};
