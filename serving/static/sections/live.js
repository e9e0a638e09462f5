// What each candidate would have done live: shadows, never the forecast.

import { card, datum, h, table } from "../dom.js";
import * as words from "../words.js";

export function live({ live: { candidates } }) {
  return card(
    "Candidates live",
    {},
    candidates.length
      ? table(
        "What each candidate would have done, from its first live forecast on",
        ["Candidate", "Since", "Outcomes", "Skill", "95 % at any time", "E-value: better", "Worse"],
        candidates.map((row) => [
          row.champion ? `${row.candidate} (served)` : row.candidate,
          words.date(row.since),
          words.count(row.rows),
          datum(`candidate-${row.candidate}`, row.skill, share(row.skill)),
          `${share(row.lower)} to ${share(row.upper)}`,
          evidence(row.e_better),
          evidence(row.e_worse),
        ]),
        { class: "numbers" },
      )
      : h("p", { class: "quiet" }, "No forecast that was issued before its outcome has one yet."),
    h("p", { class: "quiet" }, "Each said so before the outcome. Skill and bounds are of differences of losses of which large ones are cut. An e-value of 20 is evidence at 5 %, however often one looks."),
  );
}

const share = (value) => (value === null ? "–" : words.signedPercent(value));
const evidence = (value) => (value === null ? "–" : words.short(value, 3));
