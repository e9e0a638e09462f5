// All forecasts at a glance: what has shown skill first, then the newest; what sleeps comes last.

import { card, h } from "../dom.js";
import * as words from "../words.js";

const FRESH = { fresh: "good", late: "warn", stale: "bad" };
const MOST_MATCHES = 12;

const time = (text) => (text ? new Date(text).getTime() : 0);
const asleep = (row) => row.paused || !row.newest;
export const retired = (row) => row.retired ?? false;
const proven = (row) => row.skill.demonstrated && !row.skill.caveat;

/** Demonstrated skill first, the greater the earlier; then the newest; paused and silent ones last. */
export const ranked = (rows) =>
  rows.toSorted(
    (a, b) =>
      retired(a) - retired(b) ||
      asleep(a) - asleep(b) ||
      proven(b) - proven(a) ||
      (proven(a) ? b.skill.skill - a.skill.skill : 0) ||
      time(b.newest?.issued_at) - time(a.newest?.issued_at) ||
      a.forecast.localeCompare(b.forecast),
  );

/** The element that shows them all; with a search over names, instruments and universes' members. */
export function overview(forecasts, universes, unpublished) {
  const tiles = (rows) => ranked(rows).map((row) => [one(row), [row.forecast, row.title, ...named(row.instrument)]]);
  const isDeclared = (row) => !retired(row);
  const entries = [
    ...tiles(forecasts.filter(isDeclared)),
    ...universes.filter(isDeclared).map(panel),
    ...unpublished.map((row) => [waiting(row), [row.forecast, row.title, ...named(row.instrument)]]),
    ...tiles(forecasts.filter(retired)),
    ...universes.filter(retired).map(panel),
  ];
  const count = h("p", { class: "quiet", role: "status" });
  const search = h("input", { id: "overview-search", type: "search", autocomplete: "off", oninput: () => filter() });
  const filter = () => {
    const wanted = search.value.trim().toUpperCase();
    for (const [element, texts, matched] of entries) {
      element.hidden = !texts.some((text) => text.toUpperCase().includes(wanted));
      matched?.(wanted);
    }
    const shown = entries.filter(([element]) => !element.hidden).length;
    count.textContent = `${shown} of ${entries.length} shown`;
  };
  filter();
  return card(
    "All forecasts",
    { class: "overview" },
    h("p", {}, h("label", { for: "overview-search" }, "Search a forecast or an instrument "), search),
    count,
    h("ul", { class: "tiles" }, entries.map(([element]) => element)),
  );
}

const named = (instrument) => (instrument ? [instrument, words.pair(instrument)] : []);

function tile(name, title, label, ...rest) {
  return h("li", {}, h("a", { href: `#${encodeURIComponent(name)}` }, h("b", {}, title), h("span", {}, label)), ...rest, title !== name && h("p", { class: "quiet id" }, name));
}

const badge = (kind, text) => h("span", { class: `badge ${kind}` }, text);

function one(row) {
  const { newest, data } = row;
  const scale = newest && words.scale(row, row.bars_a_year);
  return tile(
    row.forecast,
    words.pair(row.instrument),
    `${row.title}, ${words.bars(row.horizon)}`,
    newest
      ? h(
          "p",
          { class: "value" },
          h("data", { value: newest.value }, scale.text(newest.value)),
          h("span", { class: "quiet" }, ` for ${words.when(newest.target_day, newest.target_time, row.bars_a_year)}`),
        )
      : h("p", { class: "value quiet" }, row.paused ? "No forecast: its updates are paused." : "No forecast yet."),
    h(
      "p",
      { class: "badges" },
      badge(proven(row) ? "good" : "plain", words.skillLabel(row.skill)),
      retired(row) ? badge("plain", words.RETIRED) : row.paused ? badge("plain", "paused") : data && data.freshness !== "fresh" && badge(FRESH[data.freshness], `data ${data.freshness}`),
      row.refused && badge("bad", "newer champion refused"),
    ),
  );
}

function panel(row) {
  const found = h("p", { class: "matches" });
  const matched = (wanted) => {
    const members = wanted ? row.instruments.filter((name) => named(name).some((text) => text.includes(wanted))) : [];
    found.replaceChildren(
      ...members.slice(0, MOST_MATCHES).flatMap((name) => [member(row, name), " "]),
      members.length > MOST_MATCHES ? `and ${members.length - MOST_MATCHES} more` : "",
    );
  };
  const element = tile(
    row.forecast,
    row.forecast,
    `${words.count(row.instruments.length)} instruments: ${row.targets.map((one) => one.title).join(", ")}`,
    found,
    (row.retired || row.paused) && h("p", { class: "badges" }, badge("plain", row.retired ? words.RETIRED : "paused")),
  );
  return [element, [row.forecast, row.description, ...row.instruments.flatMap(named)], matched];
}

const member = (row, name) =>
  h("a", { href: `#${encodeURIComponent(row.forecast)}/${encodeURIComponent(name)}` }, words.pair(name));

function waiting(row) {
  const reason = row.paused ? "Its updates are paused." : row.state === "refused" ? "Its model did not pass the checks." : row.state === "not published" ? row.reason : "Its first model has not been chosen yet.";
  const [title, label] = row.instrument ? [words.pair(row.instrument), `${row.title}, ${words.bars(row.horizon)}`] : [row.forecast, row.title];
  return h(
    "li",
    {},
    h("p", { class: "name" }, h("b", {}, title), h("span", {}, label)),
    h("p", { class: "value quiet" }, `Nothing published yet. ${reason}`),
    h("p", { class: "badges" }, badge("plain", row.paused ? "paused" : "not published")),
    title !== row.forecast && h("p", { class: "quiet id" }, row.forecast),
  );
}
