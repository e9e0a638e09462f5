// A small plot in SVG: scales, axes, a table of the same numbers for those who do not see it.

import { h, svg, table } from "../dom.js";

const MARGIN = { top: 10, right: 12, bottom: 36, left: 52 };

/** About `wanted` round numbers inside of [low, high]. */
export function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return found;
}

/** The limits with a little room at both ends. */
export function padded(values, share = 0.06) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

/**
 * A figure that is drawn again when its width changes.
 *
 * `draw({ x, y, width, height })` returns SVG elements; x and y map values to pixels.
 * `axes` has for x and y: limits, optional `log`, `ticks` (values), `text` (of a value), `title`.
 */
export function plot({ label, axes, draw, height = 260, data }) {
  const holder = h("div", { class: "plot" });
  const render = () => {
    const width = Math.max(240, holder.clientWidth);
    const x = scale(axes.x, MARGIN.left, width - MARGIN.right);
    const y = scale(axes.y, height - MARGIN.bottom, MARGIN.top);
    holder.replaceChildren(
      svg(
        "svg",
        { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
        grid(axes, x, y, width, height),
        draw({ x, y, width, height, inner: MARGIN }),
      ),
    );
  };
  new ResizeObserver(render).observe(holder);
  return [
    holder,
    data && h("details", {}, h("summary", {}, "The numbers"), table(label, data.headings, data.rows, { class: "numbers" })),
  ];
}

const points = (frame, list, value) =>
  list.map((point) => `${frame.x(point.at).toFixed(1)},${frame.y(value(point)).toFixed(1)}`);

/** A line through points that have a time `at`. */
export const lineOf = (frame, list, value, name) =>
  list.length > 0 && svg("polyline", { class: name, points: points(frame, list, value).join(" ") });

/** The area between two values of each point. */
export const band = (frame, list, lower, upper) =>
  svg("polygon", {
    class: "band",
    points: [...points(frame, list, upper), ...points(frame, list, lower).toReversed()].join(" "),
  });

/** Where years begin, or the first moment where none does. */
export function years(from, to) {
  const found = [];
  for (let year = new Date(from).getUTCFullYear() + 1; Date.UTC(year) <= to; year += 1) found.push(Date.UTC(year));
  return found.length ? found : [from];
}

function scale({ limits: [low, high], log }, from, to) {
  const f = log ? Math.log : (value) => value;
  return (value) => from + ((to - from) * (f(value) - f(low))) / (f(high) - f(low));
}

function grid(axes, x, y, width, height) {
  const bottom = height - MARGIN.bottom;
  return [
    axes.y.ticks.map((value) => [
      svg("line", { class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, axes.y.text(value)),
    ]),
    spaced(axes.x, x, width).map((value) => [
      svg("line", { class: "rule", x1: x(value), x2: x(value), y1: MARGIN.top, y2: bottom }),
      svg("text", { class: "tick", x: x(value), y: bottom + 16, "text-anchor": "middle" }, axes.x.text(value)),
    ]),
    axes.x.title && svg("text", { class: "tick", x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 3, "text-anchor": "middle" }, axes.x.title),
  ];
}

/** As many of the ticks as fit beside each other. */
function spaced({ ticks: values, text }, x, width) {
  const need = 14 + 7 * Math.max(...values.map((value) => text(value).length));
  const every = Math.ceil((values.length * need) / (width - MARGIN.left - MARGIN.right));
  return values.filter((_, i) => i % every === 0);
}
