// All horizons of one declared forecast after the same bar, and the way to each of them.

import { card, datum, h, svg } from "../dom.js";
import * as words from "../words.js";
import { padded, plot, ticks } from "./plot.js";

/** Value and interval by horizon; nothing where a forecast has one horizon only. */
export function term({ model, term: points }) {
  if (!points || points.length < 2) return null;
  const of = (point) => words.scale({ format: model.format, horizon: point.horizon });
  const shown = points.map((point) => {
    const { share, text } = of(point);
    return {
      ...point, text: text(point.value), raised: point.value !== point.issued, issuedText: text(point.issued),
      at: share(point.value), low: share(point.interval.lower), high: share(point.interval.upper),
      band: `${text(point.interval.lower)} to ${text(point.interval.upper)}`,
    };
  });
  const x = padded(shown.map((one) => Math.log(one.horizon)), 0.08).map(Math.exp);
  const y = padded(shown.flatMap((one) => [one.low, one.high]));
  const line = (frame, value) => shown.map((one) => `${frame.x(one.horizon).toFixed(1)},${frame.y(value(one)).toFixed(1)}`);
  return card(
    "By horizon",
    {},
    h("p", { class: "quiet" }, `The ${model.wording.title} over each horizon after the same bar, with its interval.${
      shown.some((one) => one.raised) ? " Where a longer horizon said less than a shorter one, it is shown as much." : ""}`),
    plot({
      label: `The ${model.wording.title} over ${shown.map((one) => one.horizon).join(", ")} bars`,
      axes: {
        x: { limits: x, log: true, ticks: shown.map((one) => one.horizon), text: String, title: "bars ahead" },
        y: { limits: y, ticks: ticks(...y, 5), text: (value) => (model.format.percent ? words.percent(value, 1) : words.short(value, 3)) },
      },
      draw: (frame) => [
        svg("polygon", { class: "band", points: [...line(frame, (one) => one.high), ...line(frame, (one) => one.low).toReversed()].join(" ") }),
        svg("polyline", { class: "ideal", fill: "none", points: line(frame, (one) => one.at).join(" ") }),
        shown.map((one) => svg("circle", { class: "dot", cx: frame.x(one.horizon), cy: frame.y(one.at), r: 4 })),
      ],
      data: {
        headings: ["Bars ahead", "For", "Value", "Interval", "As issued"],
        rows: shown.map((one) => [
          h("a", { href: `#${encodeURIComponent(one.forecast)}` }, String(one.horizon)),
          words.bar(one.target_day, one.target_time),
          datum(`term-${one.horizon}`, one.value, one.text),
          one.band,
          one.issuedText,
        ]),
      },
    }),
  );
}
