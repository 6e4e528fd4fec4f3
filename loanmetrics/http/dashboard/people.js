// Whom a row is about: an officer, or nobody, where loans name none.

import { catalogue } from "./catalogue.js";
import { badge, h, toOfficer } from "./dom.js";

const NOBODY = "Not a person: loans that name no officer. They count in every total, but there is nobody to audit; they want an officer.";

// By id, as last published.
export const people = async () => new Map((await catalogue()).officers.map((it) => [it.officer_id, it]));

export const called = (known, row) => row.officer_name ?? known.get(row.officer_id)?.officer_name ?? row.officer_id;

export const ownerless = (known, id) => (known.get(id)?.person === false ? badge("no owner", "", NOBODY) : "");

// A link to the officer's page; nobody's is marked.
export const linked = (known, row, date) => {
  const mark = ownerless(known, row.officer_id);
  return [h("a", { href: toOfficer(row.officer_id, { date }) }, called(known, row)), ...(mark && [" ", mark])];
};
