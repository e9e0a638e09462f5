// Rolling skill with its band, against the zero line that is the baseline.

import { card, h } from "../dom.js";
import * as words from "../words.js";
import { band, lineOf, padded, plot, ticks, years } from "./plot.js";

const TABLE_ROWS = 12;

export function rollingSkill({ performance, latest, model }) {
  const points = performance.rolling
    .filter((point) => point.skill !== null)
    .map((point) => ({ ...point, at: new Date(point.event_time).getTime() }));
  const title = "Rolling skill";
  if (points.length < 2) {
    return card(title, {}, h("p", { class: "quiet" }, `It needs more than ${performance.window} backtest rows.`));
  }
  const last = points.at(-1);
  const text = (share) => words.signedPercent(share, 1);
  const label =
    `Skill over ${performance.window} forecasts, backtest: ${text(last.skill)} at ${words.bar(last.day, last.event_time)}` +
    (last.lower === null ? "" : `, 95 % interval ${text(last.lower)} to ${text(last.upper)}`);
  const y = limits(points);
  const x = [points[0].at, last.at];
  const digits = y[1] - y[0] < 0.08 ? 1 : 0;
  return card(
    title,
    {},
    h("p", { class: "quiet" }, `1 − loss / baseline’s loss over ${performance.window} backtest forecasts, with its 95 % interval. Above zero beats the baseline.`),
    isBaseline(latest, model) && h("p", { class: "quiet" }, "The champion is the baseline, so its skill is zero by definition."),
    plot({
      label,
      axes: {
        x: { limits: x, ticks: years(...x), text: (at) => String(new Date(at).getUTCFullYear()) },
        y: { limits: y, ticks: ticks(...y, 5), text: (share) => words.signedPercent(share, digits) },
      },
      draw: (frame) => shapes(frame, points, y),
      data: {
        headings: ["Up to", "Skill", "95 % interval"],
        rows: points.slice(-TABLE_ROWS).toReversed().map((point) => [
          words.bar(point.day, point.event_time),
          text(point.skill),
          point.lower === null ? "–" : `${text(point.lower)} to ${text(point.upper)}`,
        ]),
      },
    }),
  );
}

const isBaseline = (latest, model) =>
  model.champion.name === (latest?.baseline.name ?? model.history[0]?.statistics?.[0]?.candidate);

/** Wide enough for the line and for nearly all of the band; a few wild bounds are cut off. */
function limits(points) {
  const sorted = (values) => values.filter((value) => value !== null).toSorted((a, b) => a - b);
  const lower = sorted(points.map((point) => point.lower));
  const upper = sorted(points.map((point) => point.upper));
  const values = [0, ...points.map((point) => point.skill)];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least) / 2;
  if (lower.length) values.push(Math.max(lower[Math.floor(0.02 * lower.length)], least - room));
  if (upper.length) values.push(Math.min(upper[Math.ceil(0.98 * upper.length) - 1], most + room));
  const found = padded(values);
  return found[1] - found[0] < 0.01 || values.every((value) => value === 0) ? [-0.05, 0.05] : found;
}

function shapes(frame, points, [low, high]) {
  const clamp = (value) => Math.min(high, Math.max(low, value));
  const ends = [points[0], points.at(-1)];
  return [
    band(frame, points.filter((point) => point.lower !== null), (p) => clamp(p.lower), (p) => clamp(p.upper)),
    lineOf(frame, ends, () => 0, "zero"),
    lineOf(frame, points, (p) => clamp(p.skill), "curve"),
  ];
}
