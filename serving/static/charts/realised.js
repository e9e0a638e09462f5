// Numbers: what was forecast against what came, one dot a day, and their tenths.

import { card, h, svg } from "../dom.js";
import * as words from "../words.js";
import { padded, plot, ticks } from "./plot.js";

const TENTHS = 10;
const LEAST_ROWS = 30;

export function realised({ model }, { backtest, issued }) {
  const title = "Forecast against outcome";
  const known = (rows) => rows.filter((row) => row.outcome !== null && row.mode !== "late");
  const [past, live] = [known(backtest), known(issued)];
  if (past.length < LEAST_ROWS) {
    return card(title, {}, h("p", { class: "quiet" }, `It needs ${LEAST_ROWS} outcomes.`));
  }
  const { share, text } = words.scale();
  const groups = tenths(past);
  const said = groups.map((group) => share(group.predicted));
  const log = model.outcome === "positive";
  const floor = log ? Math.min(...said) / 8 : -Infinity;
  const at = (value) => Math.max(floor, share(value));
  const all = [...past, ...live];
  const limitsOf = (values) => (log ? padded(values.map(Math.log), 0.03).map(Math.exp) : padded(values));
  const axis = (values, wanted) => {
    const limits = limitsOf(values);
    const steps = log ? decades(...limits) : [];
    const marks = steps.length > 1 ? steps : ticks(...limits, wanted);
    if (!model.format.percent) return { limits, ticks: marks, text: (value) => words.short(value, 3) };
    const digits = log ? 0 : Math.max(0, Math.min(3, 1 - Math.floor(Math.log10(100 * (limits[1] - limits[0])))));
    return { limits, ticks: marks, text: (value) => (value < 0.01 && log ? words.percent(value, 1) : words.percent(value, digits)) };
  };
  const x = axis(all.map((row) => at(row.prediction)), 4);
  const y = axis(all.map((row) => at(row.outcome)), 5);
  const ideal = [Math.max(x.limits[0], y.limits[0]), Math.min(x.limits[1], y.limits[1])];
  const flat = x.limits[1] - x.limits[0] === 0 || all.every((row) => row.prediction === all[0].prediction);
  const dots = (rows, kind, { x: px, y: py }) =>
    rows.map((row) => svg("circle", { class: `point ${kind}`, cx: px(at(row.prediction)), cy: py(at(row.outcome)), r: kind === "live" ? 3.5 : 2 }));
  const unit = model.wording.axis;
  return card(
    title,
    {},
    h(
      "p",
      { class: "quiet" },
      `${words.count(past.length)} backtest forecasts (dots), ${words.count(live.length)} live ones (large dots), and the means of tenths of the backtest (rings), as ${unit}. On the line it came as forecast.`,
      flat ? " This champion always says the same." : "",
    ),
    plot({
      label: `Forecast against outcome of ${all.length} forecasts, as ${unit}`,
      axes: { x: { ...x, title: "forecast", log }, y: { ...y, log } },
      draw: (frame) => [
        dots(past, "backtest", frame),
        ideal[1] > ideal[0] && svg("line", { class: "ideal", x1: frame.x(ideal[0]), x2: frame.x(ideal[1]), y1: frame.y(ideal[0]), y2: frame.y(ideal[1]) }),
        groups.map((group) => svg("circle", { class: "ring", cx: frame.x(at(group.predicted)), cy: frame.y(at(group.observed)), r: 5 })),
        dots(live, "live", frame),
      ],
      data: {
        headings: ["Mean forecast", "Mean outcome", "Forecasts"],
        rows: groups.map((group) => [
          text(group.predicted),
          text(group.observed),
          words.count(group.rows),
        ]),
      },
    }),
  );
}

/** Means of rows in order of their forecast, in groups of equal size. */
function tenths(rows) {
  const sorted = rows.toSorted((a, b) => a.prediction - b.prediction);
  const groups = sorted[0].prediction === sorted.at(-1).prediction ? 1 : TENTHS;
  return Array.from({ length: groups }, (_, i) => {
    const part = sorted.slice((i * sorted.length) / groups, ((i + 1) * sorted.length) / groups);
    const mean = (column) => part.reduce((sum, row) => sum + row[column], 0) / part.length;
    return { predicted: mean("prediction"), observed: mean("outcome"), rows: part.length };
  });
}

function decades(low, high) {
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2];
  return steps.filter((value) => value >= low && value <= high);
}
