// Elements without markup in strings: what comes from the API can only ever become text.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export const h = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** A number as people read it, with the API's value in the markup. */
export const datum = (name, value, text) =>
  h("data", { "data-name": name, value: value ?? "" }, text);

let sections = 0;

/** A titled part of the page. */
export function card(title, attributes, ...children) {
  const id = `section-${(sections += 1)}`;
  return h(
    "section",
    { ...attributes, "aria-labelledby": id, class: `card ${attributes?.class ?? ""}` },
    h("h2", { id, tabindex: "-1" }, title),
    ...children,
  );
}

/** A table; each row is a list of cells, each a text, an element or null. */
export function table(caption, headings, rows, attributes) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      attributes,
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))),
      h(
        "tbody",
        {},
        rows.map((cells) =>
          h("tr", {}, cells.map((cell, i) => h(i ? "td" : "th", i ? {} : { scope: "row" }, cell ?? "–"))),
        ),
      ),
    ),
  );
}

/** Terms with their meanings; entries without one are left out. */
export function facts(entries) {
  return h(
    "dl",
    { class: "facts" },
    entries
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
  );
}

/** The colour that a CSS variable has in the present theme, as "rgb(r, g, b)". */
export function colour(name, alpha = 1) {
  const probe = h("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}
