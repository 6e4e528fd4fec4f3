// Figures as people read them; nothing is computed here.

const whole = new Intl.NumberFormat("en");
const units = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const NONE = "–";

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
