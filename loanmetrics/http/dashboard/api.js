// Questions to the API. The access token lives in this module's memory only; the browser keeps the refresh token
// in a cookie that no script can read.

const BASE = "api/v1";
let session = null;
// Whether there was a session that the server no longer takes.
let lost = false;

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the server answered ${status}`);
    this.status = status;
    this.errors = problem?.errors ?? [];
  }
}

const ask = async (method, path, { body, headers = {} } = {}) => {
  const told = { Accept: "application/json", ...headers };
  if (session) told.Authorization = `Bearer ${session.access_token}`;
  if (body !== undefined) told["Content-Type"] = "application/json";
  const response = await fetch(`${BASE}${path}`, { method, headers: told, body: body && JSON.stringify(body) });
  const text = await response.text();
  const found = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Refused(response.status, found);
  return found;
};

export const query = (given) => {
  const pairs = Object.entries(given).flatMap(([name, value]) => [].concat(value).map((one) => [name, one]));
  const told = new URLSearchParams(pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return told.size ? `?${told}` : "";
};

const again = async (work) => {
  try {
    return await work();
  } catch (error) {
    if (error.status !== 401 || !(await resume())) throw error;
    return work();
  }
};

export const get = (path, given = {}) => again(() => ask("GET", path + query(given)));
// Every page of a list.
export const all = async (path, given = {}) => {
  const found = [];
  for (let page = 1; ; page += 1) {
    const { data, meta } = await get(path, { ...given, page, per_page: 500 });
    found.push(...data);
    if (page >= meta.total_pages) return { data: found, meta };
  }
};

export const send = (method, path, body, headers) => again(() => ask(method, path, { body, headers }));
export const who = () => session;
export const ended = () => lost;

export const login = async (email, password) => {
  session = (await ask("POST", "/auth/session", { body: { email, password } })).data;
  lost = false;
};

export const resume = async () => {
  const had = session !== null;
  session = null;
  try {
    session = (await ask("POST", "/auth/session/refresh")).data ?? null;
    lost = had && session === null;
  } catch (error) {
    if (error.status !== 401) throw error;
    lost = true;
  }
  return session !== null;
};

export const logout = async () => {
  await ask("POST", "/auth/session/end");
  session = null;
};

export const save = async (path, given, name) => {
  const fetched = () => fetch(`${BASE}${path}${query(given)}`, { headers: { Authorization: `Bearer ${session.access_token}` } });
  let response = await fetched();
  if (response.status === 401 && (await resume())) response = await fetched();
  if (!response.ok) throw new Refused(response.status, await response.json());
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
