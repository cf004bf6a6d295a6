// Builds and updates the page. Text from data only ever becomes a text node or an attribute value, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** One wanted element: tag, attributes, children (strings, numbers, nodes, nested lists, nothing). */
export function h(tag, attrs, ...children) {
  return { tag, attrs: attrs || {}, children: children.flat(Infinity).filter((c) => c != null && c !== false && c !== "") };
}

const memos = new Map();
/** The same wanted element as last time while `deps` are the same, so that `patch` skips it whole. */
export function memo(name, deps, build) {
  const old = memos.get(name);
  if (old && old.deps.length === deps.length && old.deps.every((d, i) => d === deps[i])) return old.node;
  const node = build();
  memos.set(name, { deps, node });
  return node;
}

/** Makes the children of `parent` equal to `wanted`, keeping elements (and focus, open disclosures, scroll) where tag and key agree. */
export function patch(parent, wanted) {
  const before = [...parent.childNodes];
  const byKey = new Map();
  for (const n of before) if (n.wantKey != null) byKey.set(n.wantKey, n);
  const free = before.filter((n) => n.wantKey == null);
  const kept = new Set();
  wanted.forEach((want, i) => {
    const node = update(pick(want, byKey, free), want, parent);
    kept.add(node);
    const here = parent.childNodes[i];
    if (here !== node) parent.insertBefore(node, here || null);
  });
  for (const n of before) if (!kept.has(n)) n.remove();
}

function pick(want, byKey, free) {
  if (typeof want === "object" && want.attrs.key != null) return byKey.get(want.attrs.key);
  const text = typeof want !== "object";
  const at = free.findIndex((n) => (text ? n.nodeType === 3 : n.nodeType === 1 && n.localName === want.tag));
  return at < 0 ? undefined : free.splice(at, 1)[0];
}

function update(node, want, parent) {
  if (typeof want !== "object") {
    const text = String(want);
    if (!node) return document.createTextNode(text);
    if (node.data !== text) node.data = text;
    return node;
  }
  if (node && node.want === want) return node;
  if (!node || node.localName !== want.tag) {
    const svg = want.tag === "svg" || (parent.namespaceURI === SVG && parent.localName !== "foreignObject");
    node = svg ? document.createElementNS(SVG, want.tag) : document.createElement(want.tag);
  }
  const old = node.want ? node.want.attrs : {};
  for (const name in old) if (!(name in want.attrs)) set(node, name, null);
  for (const name in want.attrs) if (old[name] !== want.attrs[name] || name === "value") set(node, name, want.attrs[name]);
  node.want = want;
  patch(node, want.children);
  return node;
}

function set(node, name, value) {
  if (name === "key") node.wantKey = value;
  else if (name.startsWith("on")) node[name] = value;
  else if (name === "style") for (const p in value || {}) node.style.setProperty(p, value[p]);
  else if (name === "value" && node.localName === "select") queueMicrotask(() => { if (node.value !== value) node.value = value; });
  else if (value == null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}
