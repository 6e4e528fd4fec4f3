// Elements from data. Text goes in as text, never as markup.

export const h = (tag, attributes = {}, ...inside) => {
  const node = document.createElement(tag);
  fill(node, attributes);
  node.append(...inside.flat().filter((it) => it !== null && it !== undefined && it !== ""));
  return node;
};

const fill = (node, attributes) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.setAttribute("class", value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
};

export const svg = (tag, attributes = {}, ...inside) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
};

// A background as strong as a share of the whole.
export const heated = (node, share, hue = "") => {
  node.classList.add("heat");
  if (hue) node.classList.add(hue);
  node.style.setProperty("--heat", `${(share * 100).toFixed(1)}%`);
  return node;
};

export const badge = (text, hue = "", about = "") => h(about ? "button" : "span",
  { class: `badge ${hue}`.trim(), type: about ? "button" : null, "data-about": about || null }, text);

// What the reader chose of the names that a page knows.
export const picked = (state, names) => Object.fromEntries(names.filter((name) => state[name]).map((name) => [name, state[name]]));

// Where a link leads: a page of the dashboard and what is chosen on it.
export const to = (path, state = {}) => {
  const told = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== "" && value !== undefined && value !== null));
  return `#${path}${told.size ? `?${told}` : ""}`;
};

export const toOfficer = (id, state) => to(`/officers/${encodeURIComponent(id)}`, state);
export const toWhy = (id, state) => to(`/officers/${encodeURIComponent(id)}/explanation`, state);
export const toLoan = (id, state) => to(`/loans/${encodeURIComponent(id)}`, state);
export const loanLink = (id, date) => (id ? h("a", { href: toLoan(id, { date }) }, id) : "–");

const tell = (place) => (text) => {
  const line = h("p", {}, text);
  document.getElementById(place).replaceChildren(line);
  setTimeout(() => line.remove(), 6000);
};

export const say = tell("news");
export const warn = tell("troubles");
// What stands beside a page's figures comes after them; where it cannot be had, the reader hears of it.
export const missing = (what) => (error) => warn(`${what} cannot be shown: ${error.message}`);
