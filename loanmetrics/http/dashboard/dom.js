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

export const say = (text) => {
  const line = h("p", {}, text);
  document.getElementById("news").append(line);
  setTimeout(() => line.remove(), 6000);
};
