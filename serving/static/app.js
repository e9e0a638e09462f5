// Which forecast is shown, what is said while it loads or fails, and when to look again.

import { forecast, get, Problem, records, setKey } from "./api.js";
import { realised } from "./charts/realised.js";
import { reliability } from "./charts/reliability.js";
import { rollingSkill } from "./charts/skill.js";
import { h } from "./dom.js";
import { decisions } from "./sections/decisions.js";
import { headline } from "./sections/headline.js";
import { modelCard } from "./sections/model_card.js";
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
let shown = null;
let turn = 0;

function state(name, ...children) {
  content.dataset.state = name;
  content.setAttribute("aria-busy", String(name === "loading"));
  if (children.length) content.replaceChildren(...children.filter(Boolean));
}

const chosen = () => {
  const wanted = decodeURIComponent(location.hash.slice(1));
  return [...known, ...universes].find((row) => row.forecast === wanted) ?? known[0] ?? universes[0];
};

const read = async () => {
  const answer = await get("v1/forecasts");
  return [answer.forecasts, answer.universes ?? []];
};

function drawList() {
  const present = chosen();
  list.replaceChildren(
    ...known.map((row) =>
      h(
        "li",
        {},
        h(
          "a",
          { href: `#${row.forecast}`, "aria-current": row === present ? "page" : null },
          h("b", {}, words.pair(row.instrument)),
          h("span", {}, `${row.title}, ${words.bars(row.horizon)}`),
          h("i", { class: row.skill.demonstrated && !row.skill.caveat ? "good" : "plain" }, words.skillLabel(row.skill)),
        ),
      ),
    ),
    ...universes.map((row) =>
      h(
        "li",
        {},
        h(
          "a",
          { href: `#${row.forecast}`, "aria-current": row === present ? "page" : null },
          h("b", {}, row.forecast),
          h("span", {}, `${row.instruments.length} instruments`),
        ),
      ),
    ),
  );
}

/** Show the chosen forecast; a slower answer to an earlier choice is thrown away. */
async function show({ moveFocus = false, quietly = false } = {}) {
  const row = chosen();
  const mine = (turn += 1);
  drawList();
  if (!quietly) {
    state("loading", h("p", { class: "card quiet" }, `Loading ${row.forecast} …`));
    spoken.textContent = `Loading ${row.forecast}`;
  }
  if (universes.includes(row)) {
    const element = await universe(row);
    if (mine !== turn) return;
    shown?.stop();
    shown = null;
    state("ready", element);
    content.dataset.forecast = row.forecast;
    document.title = `${row.forecast} · fx-assets`;
    spoken.textContent = `${row.forecast} is shown`;
    if (moveFocus) content.querySelector("h1").focus();
    return;
  }
  const [details, rows] = await Promise.all([forecast(row.forecast), records(row.forecast, FIRST_ROWS)]);
  if (mine !== turn) return;
  shown?.stop();
  words.follow(details.model);
  shown = past(details, rows);
  state(
    "ready",
    row.refused && h("p", { class: "notice" }, `A newer champion was refused, and the last good one answers: ${row.refused}`),
    headline(details),
    shown.element,
    h(
      "div",
      { class: "grid" },
      rollingSkill(details),
      details.model.outcome === "binary" ? reliability(details) : realised(details, rows),
      scores(details),
      watching(details),
    ),
    decisions(details),
    modelCard(details),
  );
  content.dataset.forecast = row.forecast;
  document.title = `${words.pair(row.instrument)} ${row.title} · fx-assets`;
  shown.start();
  spoken.textContent = `${row.forecast} is shown`;
  if (moveFocus) content.querySelector("h1").focus();
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
      h("p", { class: "sentence" }, error.message),
      error.remedy && h("p", {}, error.remedy),
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
  [known, universes] = await read();
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
    const [present, panels] = await read();
    const moved = signature([present, panels]) !== signature([known, universes]);
    [known, universes] = [present, panels];
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
