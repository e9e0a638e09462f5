// A forecast of many instruments: a list that can be searched, and what is known of one of them.

import { get } from "../api.js";
import { calibration, fan } from "../charts/fan.js";
import { card, datum, h, table } from "../dom.js";
import * as words from "../words.js";
import { economics } from "./economics.js";
import { live } from "./live.js";
import { scores } from "./scores.js";

const ROWS = 30;
const COLUMNS = ["instrument", "target", "for", "value", "interval", "by", "verdict", "outcomes", "newest outcome"];

const member = (row) => ({ instrument: row.instrument, target: row.target, horizon: row.horizon });

/** A value as people read it, by the format that the API gives for its target. */
const said = (universe, answer, row, value) =>
  value === null || value === undefined
    ? "–"
    : words.scale({ format: universe.format(row), horizon: row.horizon }, answer.bars_a_year).text(value);

/** What there is of a universe, and the element that shows it. */
export async function universe(summary, instrument = "") {
  const base = `v1/forecasts/${encodeURIComponent(summary.forecast)}`;
  const answer = await get(`${base}/instruments`);
  const formats = new Map(answer.targets.map((one) => [`${one.target} ${one.horizon}`, one]));
  const of = (row) => formats.get(`${row.target} ${row.horizon}`);
  const shown = {
    format: (row) => of(row).format,
    came: (answer, row, came) => of(row).outcomes?.[came] ?? said(shown, answer, row, came),
    title: (row) => of(row).title,
  };
  const details = h("div", { "aria-live": "polite" });
  const open = async (row) => {
    const [latest, history, status, why, ...found] = await Promise.all([
      get(`${base}/latest`, member(row)),
      get(`${base}/history`, { ...member(row), limit: ROWS }),
      get(`${base}/status`, member(row)),
      get(`${base}/latest/explanation`, member(row)).catch(() => null),
      ...["model", "performance", "live"].map((part) => get(`${base}/${part}`, member(row)).catch(() => null)),
    ]);
    details.replaceChildren(
      one(shown, answer, row, latest, history, [why?.sentence, status.drift[0]?.sentence]),
      ...(found.every(Boolean) ? [evidence(latest, ...found)] : []),
    );
    if (details.isConnected) details.querySelector("h2").scrollIntoView({ block: "nearest" });
  };
  const rows = answer.said.map((row) => line(shown, answer, row, open));
  const waiting = answer.instruments
    .filter((one) => !answer.said.some((row) => row.instrument === one.instrument))
    .map((one) => [one.instrument, one.state, ...Array(COLUMNS.length - 2).fill(null)]);
  const list = table(
    "Newest predictions by instrument",
    COLUMNS,
    [...rows, ...waiting],
    { class: "universe" },
  );
  const count = h("p", { class: "quiet", role: "status" });
  const search = h("input", {
    id: "instrument-search",
    type: "search",
    autocomplete: "off",
    value: instrument,
    oninput: () => filter(),
  });
  const filter = () => {
    const wanted = search.value.trim().toUpperCase();
    const lines = [...list.querySelectorAll("tbody tr")];
    lines.forEach((each) => (each.hidden = !each.textContent.toUpperCase().includes(wanted)));
    count.textContent = `${lines.filter((each) => !each.hidden).length} of ${lines.length} rows`;
  };
  filter();
  const wanted = answer.said.find((row) => row.instrument === instrument);
  if (wanted) await open(wanted);
  return h(
    "div",
    { class: "parts" },
    h(
      "section",
      { class: "card headline" },
      h("h1", { tabindex: "-1" }, summary.forecast),
      summary.retired && h("p", { class: "notice" }, words.PUT_AWAY),
      h("p", { class: "sentence" }, summary.description),
    ),
    card(
      "Instruments",
      {},
      h("p", {}, h("label", { for: "instrument-search" }, "Search "), search),
      count,
      list,
    ),
    details,
  );
}

function line(shown, answer, row, open) {
  const value = (name) => said(shown, answer, row, row[name]);
  return [
    h("button", { type: "button", class: "button", onclick: () => open(row) }, row.instrument),
    `${shown.title(row)}, ${words.bars(row.horizon)}`,
    words.when(row.target_day, row.target_time, answer.bars_a_year),
    datum("value", row.value, value("value")),
    `${value("lower")} to ${value("upper")}`,
    row.champion,
    row.verdict ?? (row.demonstrated ? "demonstrated" : "not demonstrated"),
    outcomes(row),
    row.came === null ? null : `${shown.came(answer, row, row.came)} on ${words.when(row.came_day, row.came_time, answer.bars_a_year)}`,
  ];
}

/** How many live predictions were scored, and how they did. */
function outcomes(row) {
  const parts = [words.count(row.outcomes)];
  if (row.inside !== null) parts.push(`${Math.round(100 * row.inside)} % inside`);
  if (row.live_skill !== null) parts.push(`live skill ${words.percent(row.live_skill)}`);
  return parts.join(", ");
}

/** What a forecast's page shows of its distribution, its scores, its economics and its candidates. */
function evidence(latest, model, performance, candidates) {
  words.follow(model);
  const parts = [fan({ latest }), calibration({ performance }), scores({ performance }), economics({ performance })];
  return h("div", { class: "grid" }, ...parts, live({ live: candidates }));
}

function one(shown, answer, row, latest, history, reasons) {
  const value = (found) => said(shown, answer, row, found);
  return card(
    `${row.instrument}: ${shown.title(row)}, ${words.bars(row.horizon)}`,
    {},
    h("p", { class: "sentence" }, latest.sentence),
    latest.skill.verdict && h("p", {}, latest.skill.verdict.sentence),
    ...reasons.filter(Boolean).map((text) => h("p", {}, text)),
    table(
      "Issued predictions and what came of them, newest first",
      ["for", "mode", "said", "interval", "baseline", "came"],
      history.rows.map((each) => [
        words.when(each.target_day, each.target_time, answer.bars_a_year),
        each.mode,
        value(each.prediction),
        `${value(each.lower)} to ${value(each.upper)}`,
        value(each.baseline),
        each.outcome === null ? "not known yet" : shown.came(answer, row, each.outcome),
      ]),
    ),
  );
}
