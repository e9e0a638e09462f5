// Who became champion when, and why.

import { card, h, table } from "../dom.js";
import * as words from "../words.js";

const SHOWN = 6;
const VERDICTS = {
  bootstrap: "started", keep: "kept", replace: "replaced", refresh: "refreshed", demote: "demoted", rollback: "rolled back",
};

export function decisions({ model }) {
  const all = model.history;
  const list = h("ol", { class: "decisions" }, all.slice(0, SHOWN).map(entry));
  const rest = all.length - SHOWN;
  const more = rest > 0 && h(
    "button",
    {
      type: "button",
      class: "button",
      onclick: (event) => {
        const first = list.children.length;
        list.append(...all.slice(SHOWN).map(entry));
        event.currentTarget.remove();
        list.children[first].querySelector("summary")?.focus();
      },
    },
    `Show ${rest} older`,
  );
  return card(
    "Promotion history",
    {},
    all.length ? list : h("p", { class: "quiet" }, "No decision is recorded."),
    more,
  );
}

function entry(decision) {
  return h(
    "li",
    { "data-sequence": decision.sequence },
    h(
      "p",
      { class: "quiet" },
      h("span", { class: `badge ${decision.verdict}` }, VERDICTS[decision.verdict] ?? decision.verdict),
      h("time", { datetime: decision.data_as_of }, ` on data of ${words.bar(decision.data_day, decision.data_as_of)}`),
    ),
    h("p", {}, decision.sentence),
    h("details", {}, h("summary", {}, "Reasons and figures"), reasons(decision), figures(decision)),
  );
}

function reasons(decision) {
  if (!decision.reasons?.length) return null;
  return h("ul", {}, decision.reasons.map((text) => h("li", {}, text)));
}

function figures(decision) {
  const shown = (value) => (value === null || value === undefined ? "–" : words.short(value));
  return [
    table(
      `Candidates of decision ${decision.sequence}`,
      ["Candidate", "Loss", "Skill", "Clark–West p", "Diebold–Mariano p"],
      (decision.statistics ?? []).map((row) => [
        row.candidate, words.short(row.loss), words.signedPercent(row.skill),
        shown(row.clark_west_p), shown(row.diebold_mariano_p),
      ]),
      { class: "numbers" },
    ),
    h(
      "p",
      { class: "quiet" },
      `${words.count(decision.rows)} identical rows, ${decision.trials} candidates tried; ` +
        `decided ${words.moment(decision.decided_at)}.`,
    ),
  ];
}
