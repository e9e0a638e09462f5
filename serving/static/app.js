// Which forecast is shown, what is said while it loads or fails, and when to look again.

import { forecast, get, Problem, records, setKey } from "./api.js";
import { calibration, fan } from "./charts/fan.js";
import { hitRate } from "./charts/hits.js";
import { realised } from "./charts/realised.js";
import { reliability } from "./charts/reliability.js";
import { rollingSkill } from "./charts/skill.js";
import { term } from "./charts/term.js";
import { h } from "./dom.js";
import { decisions } from "./sections/decisions.js";
import { economics } from "./sections/economics.js";
import { headline } from "./sections/headline.js";
import { live } from "./sections/live.js";
import { modelCard } from "./sections/model_card.js";
import { overview, ranked, retired } from "./sections/overview.js";
import { past } from "./sections/past.js";
import { scores } from "./sections/scores.js";
import { universe } from "./sections/universe.js";
import { watching } from "./sections/watching.js";
import * as words from "./words.js";

const FIRST_ROWS = 1400;
const LOOK_AGAIN_MS = 60_000;

const content = document.getElementById("content");
const list = document.getElementById("forecasts");
const spoken = document.getElementById("spoken");
let known = [];
let universes = [];
let unpublished = [];
let shown = null;
let turn = 0;

function state(name, ...children) {
  content.dataset.state = name;
  content.setAttribute("aria-busy", String(name === "loading"));
  if (children.length) content.replaceChildren(...children.filter(Boolean));
}

/** What the address names: a forecast or universe, and of the latter an instrument; or nothing. */
function chosen() {
  const [name, instrument] = location.hash.slice(1).split("/").map(decodeURIComponent);
  return { row: [...known, ...universes].find((row) => row.forecast === name), instrument };
}

async function read() {
  const answer = await get("v1/forecasts");
  return [answer.forecasts, answer.universes ?? [], answer.unpublished ?? []];
}

function entry(name, present, ...children) {
  return h("li", {}, h("a", { href: `#${name}`, "aria-current": present ? "page" : null }, ...children));
}

function drawList() {
  const present = chosen().row;
  const single = (rows) =>
    ranked(rows).map((row) =>
      entry(
        row.forecast,
        row === present,
        h("b", {}, words.pair(row.instrument)),
        h("span", {}, `${row.title}, ${words.bars(row.horizon)}`),
        h("i", { class: row.skill.demonstrated && !row.skill.caveat ? "good" : "plain" }, row.retired ? words.RETIRED : row.paused ? "paused" : words.skillLabel(row.skill)),
      ),
    );
  const panels = (rows) =>
    rows.map((row) =>
      entry(row.forecast, row === present, h("b", {}, row.forecast), h("span", {}, row.retired ? words.RETIRED : `${row.instruments.length} instruments`)),
    );
  const [singles, many] = [Object.groupBy(known, retired), Object.groupBy(universes, retired)];
  list.replaceChildren(
    entry("", !present, h("b", {}, "All forecasts")),
    ...[false, true].flatMap((past) => [...single(singles[past] ?? []), ...panels(many[past] ?? [])]),
  );
}

/** Put a finished part in the place of what is shown; `past` draws once it is in the page. */
function put(title, name, moveFocus, past, ...children) {
  shown?.stop();
  shown = past;
  state("ready", ...children);
  content.dataset.forecast = name;
  document.title = `${title} · fx-assets`;
  shown?.start();
  spoken.textContent = `${title} is shown`;
  if (moveFocus) content.querySelector("h1, h2").focus();
}

/** Show the chosen forecast; a slower answer to an earlier choice is thrown away. */
async function show({ moveFocus = false, quietly = false } = {}) {
  const { row, instrument } = chosen();
  const mine = (turn += 1);
  drawList();
  if (!row) {
    return put("All forecasts", "", moveFocus, null, overview(known, universes, unpublished));
  }
  if (!quietly) {
    state("loading", h("p", { class: "card quiet" }, `Loading ${row.forecast} …`));
    spoken.textContent = `Loading ${row.forecast}`;
  }
  if (universes.includes(row)) {
    const element = await universe(row, instrument);
    return mine === turn && put(row.forecast, row.forecast, moveFocus, null, element);
  }
  const [found, rows, horizons] = await Promise.all([
    forecast(row.forecast), records(row.forecast, FIRST_ROWS), row.term && row.newest ? get(`v1/forecasts/${encodeURIComponent(row.term)}/latest`) : null,
  ]);
  if (mine !== turn) return;
  const details = { ...found, paused: row.paused, retired: row.retired, term: horizons?.term };
  words.follow(details.model);
  const part = past(details, rows);
  put(
    `${words.pair(row.instrument)} ${row.title}`,
    row.forecast,
    moveFocus,
    part,
    row.refused && h("p", { class: "notice" }, `A newer champion was refused, and the last good one answers: ${row.refused}`),
    headline(details),
    part.element,
    h(
      "div",
      { class: "grid" },
      term(details),
      fan(details),
      rollingSkill(details),
      hitRate(details),
      details.model.outcome === "binary" ? reliability(details) : realised(details, rows),
      calibration(details),
      scores(details),
      economics(details),
      live(details),
      watching(details),
    ),
    decisions(details),
    modelCard(details),
  );
}

function failed(error) {
  turn += 1;
  shown?.stop();
  shown = null;
  if (!(error instanceof Problem)) throw error;
  const nothing = error.status === 503;
  const title = nothing ? "There is nothing to show yet" : error.status === 401 || error.status === 403 ? "An API key is needed" : "That did not work";
  state(
    "failed",
    h(
      "section",
      { class: "card headline", role: "alert" },
      h("h1", { tabindex: "-1" }, title),
      h("p", { class: "sentence" }, nothing ? "No forecast has been published yet." : error.message),
      nothing ? h("p", {}, "The page shows them as soon as they come. Whoever runs the server finds the reason at ", h("a", { href: "health/ready" }, "health/ready"), ".") : error.remedy && h("p", {}, error.remedy),
      error.status === 401 || error.status === 403 ? keyForm() : h("button", { type: "button", class: "button", onclick: start }, "Try again"),
    ),
  );
}

function keyForm() {
  const input = h("input", { id: "key", type: "password", autocomplete: "off", required: true });
  return h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        setKey(input.value.trim());
        start();
      },
    },
    h("label", { for: "key" }, "Key with the scope read "),
    input,
    h("button", { class: "button" }, "Use it"),
    h("p", { class: "quiet" }, "It is kept until this tab is closed."),
  );
}

const guarded = (act) => (...given) => act(...given).catch(failed);

const start = guarded(async () => {
  state("loading");
  [known, universes, unpublished] = await read();
  await show();
});

/** Champions, newest bars and reasons, without the ages, which change by the second. */
const signature = (rows) =>
  JSON.stringify(rows, (name, value) => (name === "age_seconds" ? undefined : value));

async function lookAgain() {
  if (document.hidden || content.dataset.state === "loading") return;
  if (content.dataset.state === "failed") {
    if (!document.getElementById("key")) start();
    return;
  }
  try {
    const present = await read();
    const moved = signature(present) !== signature([known, universes, unpublished]);
    [known, universes, unpublished] = present;
    if (moved) await show({ quietly: true });
  } catch (error) {
    spoken.textContent = `The newest state could not be read: ${error.message}`;
  }
}

const THEMES = ["auto", "light", "dark"];
const theme = document.getElementById("theme");

function drawTheme() {
  const present = document.documentElement.dataset.theme ?? "auto";
  theme.textContent = `Theme: ${present}`;
  return present;
}

theme.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(drawTheme()) + 1) % THEMES.length];
  if (next === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("fx-theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("fx-theme", next);
  }
  drawTheme();
  shown?.restyle();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown?.restyle());
addEventListener("hashchange", guarded(() => show({ moveFocus: true })));
document.addEventListener("visibilitychange", lookAgain);
setInterval(lookAgain, LOOK_AGAIN_MS);
drawTheme();
start();
