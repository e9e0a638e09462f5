// The distribution that is stated with the newest forecast, and how such statements came true.

import { card, datum, h, svg } from "../dom.js";
import * as words from "../words.js";
import { padded, plot, ticks } from "./plot.js";

/** Quantiles of the newest forecast as a fan from the newest bar; nothing where none are stated. */
export function fan({ latest }) {
  if (!latest?.quantiles) return null;
  const { share, text } = words.scale();
  const stated = latest.quantiles.map(({ level, value }) => ({ level, value, at: share(value) }));
  const start = latest.format.signed ? 0 : share(latest.value);
  const y = padded([start, ...stated.map((one) => one.at)]);
  const axis = {
    x: { limits: [0, 1], ticks: [0, 1], text: (x) => (x ? words.bar(latest.target_day, latest.target_time) : words.bar(latest.data.day, latest.data.event_time)) },
    y: { limits: y, ticks: ticks(...y, 5), text: (value) => (latest.format.percent ? words.percent(value, 2) : words.short(value, 3)) },
  };
  const pairs = stated.slice(0, Math.floor(stated.length / 2)).map((low, i) => [low, stated[stated.length - 1 - i]]);
  const middle = stated.length % 2 ? stated[(stated.length - 1) / 2] : null;
  return card(
    "Fan of the newest forecast",
    {},
    h("p", { class: "quiet" }, `Where the outcome lies with which probability, from the newest bar to ${words.over(latest.horizon)}.`),
    plot({
      label: `Quantiles from ${text(stated[0].value)} to ${text(stated.at(-1).value)}`,
      axes: axis,
      draw: (frame) => [
        pairs.map(([low, high]) => svg("polygon", {
          class: "band",
          points: [[0, start], [1, high.at], [1, low.at]].map(([x, v]) => `${frame.x(x).toFixed(1)},${frame.y(v).toFixed(1)}`).join(" "),
        })),
        middle && svg("line", { class: "ideal", x1: frame.x(0), x2: frame.x(1), y1: frame.y(start), y2: frame.y(middle.at) }),
      ],
      data: {
        headings: ["Probability of less", "Value"],
        rows: stated.map(({ level, value }) => [words.percent(level, 1), datum(`quantile-${level}`, value, text(value))]),
      },
    }),
  );
}

/** Where outcomes fell in the distributions stated before them; even bars mean they were true. */
export function calibration({ performance }) {
  const found = performance.calibration;
  if (!found) return null;
  const n = found.histogram.length;
  const even = 1 / n;
  const top = Math.max(2 * even, ...found.histogram) * 1.08;
  const odd = found.p_value < 0.05;
  return card(
    "Are its probabilities true?",
    {},
    h(
      "p", { class: "quiet" },
      `The share of ${words.count(found.rows)} backtest outcomes in each twentieth of the distribution stated before them (${found.family}). Even bars mean that it was true; `,
      odd ? "these are more uneven than chance allows" : "these are no more uneven than chance allows",
      " (p = ", datum("pit-p", found.p_value, words.short(found.p_value, 2)), ").",
    ),
    plot({
      label: `Histogram of probability integral transforms of ${found.rows} outcomes`,
      axes: {
        x: { limits: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 1], text: (x) => words.percent(x, 0), title: "probability of at most what came" },
        y: { limits: [0, top], ticks: ticks(0, top, 4), text: (share) => words.percent(share, 0) },
      },
      draw: ({ x, y }) => [
        found.histogram.map((share, i) => svg("rect", {
          class: "column", x: x(i / n) + 1, width: Math.max(1, x(1 / n) - x(0) - 2), y: y(share), height: Math.max(0, y(0) - y(share)),
        })),
        svg("line", { class: "ideal", x1: x(0), x2: x(1), y1: y(even), y2: y(even) }),
      ],
      data: {
        headings: ["Stated probability of less", "Observed share"],
        rows: found.below.map(({ level, value }) => [words.percent(level, 1), words.percent(value, 1)]),
      },
    }),
  );
}
