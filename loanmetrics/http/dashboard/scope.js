// Whose loans a page is about: all, a region's, a branch's, an officer's.

import { catalogue } from "./catalogue.js";
import { picked } from "./dom.js";

export const chosen = (state) => picked(state, ["date", "region", "branch", "officer_id"]);

export const scopes = async () => {
  const options = await catalogue();
  return [
    ["any", "Region", "region", options.regions], ["any", "Branch", "branch", options.branches.map((it) => it.branch)],
    ["officer", "Officer", "officer_id", options.officers],
  ];
};
