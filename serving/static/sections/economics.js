// What following the forecast would have earned after costs; only where a strategy is declared.

import { card, datum, h, table } from "../dom.js";
import * as words from "../words.js";

export function economics({ performance }) {
  const { economics: found } = performance;
  if (!found) return null;
  return card(
    "What it would have earned",
    {},
    h("p", {}, found.sentence),
    rowsOf("Backtest", "earned-backtest", found.backtest),
    rowsOf("Live", "earned-live", found.live),
    h("p", { class: "quiet" }, "Nothing is decided by these figures."),
  );
}

function rowsOf(title, kind, figures) {
  if (!figures.length) return null;
  return [
    h("h3", {}, title),
    table(
      `${title}, what it would have earned`,
      ["Figure", "Value", "95 % interval"],
      figures.map((row) => [
        row.title,
        datum(`${kind}-${row.figure}`, row.value, text(row, row.value)),
        row.lower === null ? "–" : `${text(row, row.lower)} to ${text(row, row.upper)}`,
      ]),
      { class: "numbers" },
    ),
  ];
}

function text({ unit }, value) {
  if (value === null) return "–";
  if (unit.startsWith("share")) return `${words.percent(value, 2)}${unit === "share" ? "" : " a year"}`;
  return words.short(value, 3);
}
