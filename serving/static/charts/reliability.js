// Probabilities: what happened when it said about this.

import { card, h, svg } from "../dom.js";
import * as words from "../words.js";
import { padded, plot, ticks } from "./plot.js";

export function reliability({ performance, model }) {
  const bins = performance.reliability;
  const title = "Reliability";
  if (!bins.length) return card(title, {}, h("p", { class: "quiet" }, "There is no backtest yet."));
  const said = bins.map((bin) => bin.predicted);
  const spread = `${words.percent(Math.min(...said))} to ${words.percent(Math.max(...said))}`;
  const limits = padded(bins.flatMap((bin) => [bin.predicted, bin.lower, bin.upper]));
  const axis = { limits, ticks: ticks(...limits, 5), text: (share) => words.percent(share, 0) };
  return card(
    title,
    {},
    h("p", { class: "quiet" }, `The ${model.wording.axis} among backtest forecasts of about the same probability, with its 95 % interval. On the line it means what it says; it said ${spread}.`),
    plot({
      label: `Reliability of ${bins.length} groups of forecasts; they said ${spread}`,
      axes: { x: { ...axis, title: "forecast" }, y: axis },
      draw: ({ x, y }) => [
        svg("line", { class: "ideal", x1: x(limits[0]), x2: x(limits[1]), y1: y(limits[0]), y2: y(limits[1]) }),
        bins.map((bin) => [
          svg("line", { class: "whisker", x1: x(bin.predicted), x2: x(bin.predicted), y1: y(bin.lower), y2: y(bin.upper) }),
          svg("circle", { class: "dot", cx: x(bin.predicted), cy: y(bin.observed), r: 4 }),
        ]),
      ],
      data: {
        headings: ["Forecast", model.wording.axis, "95 % interval", "Forecasts"],
        rows: bins.map((bin) => [
          words.percent(bin.predicted), words.percent(bin.observed),
          `${words.percent(bin.lower)} to ${words.percent(bin.upper)}`, words.count(bin.rows),
        ]),
      },
    }),
  );
}
