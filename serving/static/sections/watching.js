// Whether data is fresh, and whether it still looks like what the model was trained on.

import { card, datum, facts, h, table } from "../dom.js";
import * as words from "../words.js";

const FRESH = { fresh: "good", late: "warn", stale: "bad" };
const MEASURES = ["distance", "threshold", "shift", "shift_threshold"];
const DRIFT = { quiet: "good", drift: "warn", broken: "bad" };

export function watching({ status }) {
  return card("Freshness and drift", {}, freshness(status), drift(status));
}

function freshness({ data, predictions_issued_at: issued }) {
  if (!data) return h("p", { class: "quiet" }, "The data has not been read yet.");
  return [
    h("h3", {}, "Data ", h("span", { class: `badge ${FRESH[data.freshness]}` }, data.freshness)),
    facts([
      ["Newest bar", words.bar(data.day, data.event_time)],
      ["Known since", `${words.moment(data.as_of)}, ${words.duration(data.age_seconds)} ago`],
      ["Missing bars", datum("missing", data.missing_bars, words.count(data.missing_bars))],
      ["Next bar expected", words.moment(data.next_bar_expected)],
      ["Forecast issued", issued && words.moment(issued)],
    ]),
  ];
}

function drift({ drift: rows, drift_measured_at: measured }) {
  if (!rows.length) {
    return [
      h("h3", {}, "Drift"),
      h("p", { class: "quiet" }, "It has not been measured yet."),
    ];
  }
  const verdict = rows[0].verdict;
  const columns = rows.filter((row) => row.column);
  const drifted = columns.filter((row) => row.drifted);
  const label = verdict ?? (drifted.length ? "drift" : "quiet");
  return [
    h("h3", {}, "Drift ", h("span", { class: `badge ${DRIFT[label] ?? "plain"}` }, label.replaceAll("_", " "))),
    rows[0].sentence && h("p", {}, rows[0].sentence),
    h(
      "p",
      { class: "quiet" },
      columns.length ? `${drifted.length} of ${columns.length} columns are further from training than promised. ` : "",
      measured && `Measured ${words.moment(measured)}.`,
    ),
    columns.length > 0 && h(
      "details",
      {},
      h("summary", {}, "Every column"),
      table(
        "Drift by column",
        ["Column", "Distance", "Limit", "Shift", "Limit", "Drifted"],
        columns
          .toSorted((a, b) => ratio(b) - ratio(a))
          .map((row) => [
            row.column, ...MEASURES.map((name) => words.short(row[name], 3)), row.drifted ? "yes" : "no",
          ]),
        { class: "numbers" },
      ),
    ),
  ];
}

const ratio = (row) =>
  Math.max((row.distance ?? 0) / (row.threshold || 1), (row.shift ?? 0) / (row.shift_threshold || 1));
