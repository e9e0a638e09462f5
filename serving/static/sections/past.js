// Past forecasts against outcomes: the chart, and the newest rows as a table.

import { hasKey, records } from "../api.js";
import { hasRanges, priceChart } from "../charts/prices.js";
import { card, h, table } from "../dom.js";
import * as words from "../words.js";

const RANGES = [["3 months", 92], ["1 year", 366], ["5 years", 1830], ["All", null]];
const FIRST_RANGE = 366;
const EVERYTHING = 10000;
const ROWS = 12;

const KEYS = {
  ArrowLeft: (chart) => chart.move(-1),
  ArrowRight: (chart) => chart.move(1),
  "+": (chart) => chart.zoom(0.7),
  "=": (chart) => chart.zoom(0.7),
  "-": (chart) => chart.zoom(1.4),
};

/** Returns `{ element, start(), restyle() }`; the chart needs to be in the page to be drawn. */
export function past(details, first) {
  const { model } = details;
  let [found, chart, range] = [first, null, FIRST_RANGE];
  const readout = h("p", { class: "readout" });
  const canvas = h("div", {
    class: "chart", tabindex: "0", role: "group", "aria-roledescription": "chart",
    "aria-label": `Prices of ${words.pair(model.instrument)} with past forecasts and outcomes. Left and right arrows move, plus and minus zoom; the newest rows are in the table below.`,
    onkeydown: (event) => {
      const act = KEYS[event.key];
      if (!act || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      act(chart);
    },
  });
  const draw = () => {
    chart?.remove();
    chart = priceChart(canvas, found, details, (row) => tell(readout, row ?? chart?.newest));
    chart.show(range);
    tell(readout, chart.newest);
  };
  const choose = async (event, days) => {
    for (const other of event.currentTarget.parentElement.children) {
      other.setAttribute("aria-pressed", String(other === event.currentTarget));
    }
    range = days;
    if (days === null && found.more) {
      found = await records(details.name, EVERYTHING);
      draw();
    }
    chart.show(days);
  };
  const element = card(
    "Past forecasts against outcomes",
    {},
    h(
      "div",
      { class: "bar" },
      legend(model.outcome, first),
      h(
        "div",
        { class: "ranges", role: "group", "aria-label": "Period shown" },
        RANGES.map(([text, days]) =>
          h("button", { type: "button", class: "button", "aria-pressed": String(days === FIRST_RANGE), onclick: (event) => choose(event, days) }, text),
        ),
      ),
    ),
    readout,
    canvas,
    h("p", { class: "quiet" }, explained(model, first)),
    rows(details, first),
  );
  return { element, start: draw, restyle: draw, stop: () => chart?.remove() };
}

function legend(outcome, { issued, prices }) {
  const entries = [
    hasRanges(prices) ? ["candle", "bar from low to high; filled where it fell"] : ["ink-2", "close"],
    ["backtest", "backtest forecast"],
  ];
  if (issued.some((row) => row.mode === "live")) entries.push(["live", "live forecast"]);
  if (issued.some((row) => row.mode === "late")) entries.push(["late", "issued late"]);
  entries.push(["baseline", "baseline"]);
  if (outcome === "binary") entries.push(["agreed", "on the right side of ½"], ["missed", "on the wrong side"]);
  else entries.push(["outcome", "outcome"]);
  return h("ul", { class: "legend" }, entries.map(([name, text]) => h("li", { class: `key-${name}` }, text)));
}

function explained({ wording, horizon }, { prices }) {
  const top = hasRanges(prices) ? "the bars" : "the close";
  const what = words.fill(wording.past, { over: words.over(horizon) }).join("");
  return `Top: ${top}. Below, at the bar at which it was made: ${what}. The backtest is of the present champion’s recipe, walking forward; live forecasts were issued before their outcome.`;
}

function tell(readout, row) {
  if (!row) return;
  const { text } = words.scale();
  const parts = [words.bar(row.day, row.event_time)];
  for (const name of ["open", "high", "low", "close"]) {
    if (row[name] !== null) parts.push(`${name} ${words.price(row[name])}`);
  }
  for (const mode of ["live", "late", "backtest"]) {
    if (row[mode]) parts.push(`${mode} ${text(row[mode].prediction)}`);
  }
  parts.push(`outcome ${words.outcomeText(row.outcome)}`);
  readout.textContent = parts.join(" · ");
}

function rows({ name, model }, { issued, backtest }) {
  const file = (mode) => `v1/forecasts/${name}/history?mode=${mode}&format=csv&limit=${EVERYTHING}`;
  const part = (title, mode, list, empty) =>
    h(
      "details",
      { open: mode === "issued", "data-rows": mode },
      h("summary", {}, title),
      list.length ? listing(title, list) : h("p", { class: "quiet" }, empty),
      !hasKey() && list.length > 0 && h("p", {}, h("a", { href: file(mode), download: `${name}-${mode}.csv` }, "All of them as CSV")),
    );
  return [
    part("Newest issued forecasts", "issued", issued.slice(-ROWS).toReversed(), "None has been issued yet."),
    part("Newest backtest forecasts", "backtest", backtest.slice(-ROWS).toReversed(), "There is no backtest yet."),
  ];
}

function listing(title, list) {
  const { text } = words.scale();
  const value = (number) => (number === null ? null : h("data", { value: number }, text(number)));
  return table(
    title,
    ["Made at", "For", "Kind", "Forecast", "Interval", "Baseline", "Outcome"],
    list.map((row) => [
      words.bar(row.day, row.event_time),
      words.bar(row.target_day, row.target_time),
      h("span", { class: `badge ${row.mode}` }, words.MODES[row.mode] ?? row.mode),
      value(row.prediction),
      row.lower === null ? null : `${text(row.lower)} to ${text(row.upper)}`,
      value(row.baseline),
      h("data", { value: row.outcome ?? "" }, words.outcomeText(row.outcome)),
    ]),
    { class: "numbers" },
  );
}
