// How often it was on the right side over time, with the band that few trials leave.

import { card, h } from "../dom.js";
import * as words from "../words.js";
import { band, lineOf, padded, plot, ticks, years } from "./plot.js";

const TABLE_ROWS = 12;
const COIN = 0.5;

/** Null for targets that have no sides. */
export function hitRate({ performance, model }) {
  const points = performance.hits.map((point) => ({ ...point, at: new Date(point.event_time).getTime() }));
  if (points.length < 2) return null;
  const last = points.at(-1);
  const text = (share) => words.percent(share, 1);
  const y = padded(points.flatMap((point) => [point.lower, point.upper, COIN]));
  const x = [points[0].at, last.at];
  const sided = points.filter((point) => point.baseline !== null);
  return card(
    "Hit rate",
    {},
    h(
      "p",
      { class: "quiet" },
      `How many of ${performance.window} backtest forecasts were on the right side, with the 95 % interval that so many trials leave${model.horizon > 1 ? " (outcomes overlap, so they count for fewer)" : ""}. The line is one half${sided.length ? ", dots the baseline" : ""}. It says nothing of how sure a forecast was: skill does.`,
    ),
    plot({
      label: `Hit rate over ${performance.window} forecasts, backtest: ${text(last.rate)} at ${words.bar(last.day, last.event_time)}, 95 % interval ${text(last.lower)} to ${text(last.upper)}`,
      axes: {
        x: { limits: x, ticks: years(...x), text: (at) => String(new Date(at).getUTCFullYear()) },
        y: { limits: y, ticks: ticks(...y, 5), text: (share) => words.percent(share, 0) },
      },
      draw: (frame) => [
        band(frame, points, (p) => p.lower, (p) => p.upper),
        lineOf(frame, [{ at: x[0] }, { at: x[1] }], () => COIN, "zero"),
        lineOf(frame, sided, (p) => p.baseline, "reference"),
        lineOf(frame, points, (p) => p.rate, "curve"),
      ],
      data: {
        headings: ["Up to", "Hit rate", "95 % interval", "Baseline"],
        rows: points.slice(-TABLE_ROWS).toReversed().map((point) => [
          words.bar(point.day, point.event_time),
          text(point.rate),
          `${text(point.lower)} to ${text(point.upper)}`,
          point.baseline === null ? "–" : text(point.baseline),
        ]),
      },
    }),
  );
}
