// What can be chosen from and what each metric means; asked once.

import { get } from "./api.js";

let known = null;

export const catalogue = async () => {
  known ??= (await get("/filters/options")).data;
  return known;
};

export const about = async () => {
  const { metrics } = await catalogue();
  return Object.fromEntries(metrics.map((metric) => [metric.name,
    `${metric.title}. ${metric.about}\n${metric.formula}${metric.bands ? `\n${metric.bands}` : ""}`]));
};
