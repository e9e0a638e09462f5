// Scores beside the baseline's; backtest and live never in one row.

import { card, datum, h, table } from "../dom.js";
import * as words from "../words.js";

export function scores({ performance }) {
  const { backtest, live, live_rows: rows, coverage } = performance;
  return card(
    "Scores",
    {},
    rowsOf("Backtest", "backtest", backtest),
    live.length
      ? rowsOf("Live", "live", live)
      : h("p", { class: "quiet" }, `Live: ${words.count(rows)} outcome${rows === 1 ? "" : "s"} so far; scores are given from 30 on.`),
    h("p", { class: "quiet" }, coverageText(coverage)),
  );
}

function rowsOf(title, kind, measures) {
  const n = measures[0]?.rows ?? 0;
  return [
    h("h3", {}, title, h("span", {}, ` ${words.count(n)} forecasts`)),
    table(
      `${title} scores`,
      ["Metric", "Value", "95 % interval", "Baseline"],
      measures.map((row) => [
        words.metric(row.metric).title,
        datum(`${kind}-${row.metric}`, row.value, text(row.metric, row.value)),
        row.lower === null ? "–" : `${text(row.metric, row.lower, 3)} to ${text(row.metric, row.upper, 3)}`,
        text(row.metric, row.baseline),
      ]),
      { class: "numbers" },
    ),
  ];
}

function text(metric, value, digits = 4) {
  if (value === null) return "–";
  return words.metric(metric).unit === "share" ? words.percent(value, digits - 2) : words.short(value, digits);
}

function coverageText({ nominal, backtest, live, live_rows: rows }) {
  const parts = [];
  if (backtest !== null) parts.push(["in the backtest ", datum("coverage-backtest", backtest, words.percent(backtest))]);
  if (live !== null) parts.push([`live `, datum("coverage-live", live, words.percent(live)), ` of ${words.count(rows)}`]);
  if (!parts.length || nominal === null) return "";
  return [`The ${words.percent(nominal, 0)} interval held: `, parts.flatMap((part, i) => (i ? [", ", part] : [part])), "."];
}
