// The newest forecast in a sentence, its interval, and how far to trust it.

import { datum, h, svg } from "../dom.js";
import * as words from "../words.js";

export function headline({ latest, model, status, paused, retired }) {
  const title = h(
    "header",
    {},
    h("h1", { tabindex: "-1" }, words.pair(model.instrument), h("span", {}, ` ${model.wording.title}, ${words.bars(model.horizon)}`)),
  );
  if (!latest) {
    return h(
      "section",
      { class: "card headline", "aria-label": "Newest forecast" },
      title,
      h("p", { class: "sentence" }, "No forecast has been issued yet."),
      h("p", {}, retired
        ? words.PUT_AWAY
        : paused
        ? "Its updates are paused, so none is expected."
        : ["One has been expected since ", h("time", { datetime: model.published_at }, words.moment(model.published_at)), ", when its model was published."]),
      verdict(model.skill, model),
    );
  }
  return h(
    "section",
    { class: "card headline", "aria-label": "Newest forecast" },
    title,
    notices(latest, status, paused, retired),
    h("p", { class: "sentence" }, sentence(latest, model)),
    span(latest),
    h("p", {}, range(latest, model)),
    verdict(latest.skill, model),
    origin(latest),
  );
}

const shown = (name, value) => datum(name, value, words.scale().text(value));

function sentence(latest, { wording }) {
  const { close, day, event_time: closed } = latest.data;
  const text = close === null ? wording.headline_without_close || wording.headline : wording.headline;
  const strong = (name, child) => (name === (text.includes("{level}") ? "level" : "value") ? h("strong", {}, child) : child);
  return [
    `${words.pair(latest.instrument)}: `,
    ...words.fill(text, {
      value: strong("value", shown("value", latest.value)),
      level: strong("level", words.price(close * Math.exp(latest.value))),
      close: close === null ? "its close" : datum("close", close, words.price(close)),
      from: h("time", { datetime: closed }, words.bar(day, closed)),
      when: h("time", { datetime: latest.target_time }, words.barOfWeek(latest.target_day, latest.target_time)),
      over: words.over(latest.horizon),
    }),
  ];
}

function range(latest, { wording }) {
  const { lower, upper, coverage } = latest.interval;
  const close = latest.format.moves_close ? latest.data.close : null;
  const levels = close === null
    ? "" : ` (${words.price(close * Math.exp(lower))} to ${words.price(close * Math.exp(upper))})`;
  const baseline = latest.baseline.value === null ? [] : [
    ` The baseline (${latest.baseline.name}) says `, shown("baseline", latest.baseline.value), ".",
  ];
  const fields = {
    lower: shown("lower", lower),
    upper: [shown("upper", upper), levels],
    coverage: datum("coverage", coverage, words.percent(coverage, 0)),
  };
  return [...words.fill(wording.interval, fields), ...baseline];
}

/** The interval as a bar, with the forecast as a dot and the baseline as a tick. */
function span(latest) {
  const { share, text } = words.scale();
  const { interval, baseline, value } = latest;
  const shares = [interval.lower, interval.upper, value, baseline.value ?? value].map(share);
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  const place = (number) => (most > least ? 8 + (84 * (share(number) - least)) / (most - least) : 50);
  const at = (number) => `${place(number)}%`;
  const apart = baseline.value !== null && Math.abs(place(baseline.value) - place(value)) > 1;
  const bound = (number) =>
    svg("text", { class: "tick", x: at(number), y: 40, "text-anchor": "middle" }, text(number).replace(" a year", ""));
  return svg(
    "svg",
    {
      class: "span", role: "img",
      "aria-label": `Interval from ${text(interval.lower)} to ${text(interval.upper)}, forecast ${text(value)}`,
    },
    svg("line", { class: "span-track", x1: "0", x2: "100%", y1: 20, y2: 20 }),
    svg("line", { class: "span-interval", x1: at(interval.lower), x2: at(interval.upper), y1: 20, y2: 20 }),
    apart && [
      svg("line", { class: "span-baseline", x1: at(baseline.value), x2: at(baseline.value), y1: 13, y2: 27 }),
      svg("text", { class: "tick", x: at(baseline.value), y: 9, "text-anchor": "middle" }, "baseline"),
    ],
    svg("circle", { class: "span-value", cx: at(value), cy: 20, r: 7 }),
    bound(interval.lower),
    bound(interval.upper),
  );
}

function verdict(skill, model) {
  const tried = model.history.find((decision) => decision.trials)?.trials;
  const baseline = model.history[0]?.statistics?.[0]?.candidate ?? "";
  const { label, text } = words.skillWords(skill, model.champion.name, baseline, tried);
  return h(
    "p",
    { class: `verdict ${skill.demonstrated && !skill.caveat ? "good" : "plain"}` },
    h("strong", {}, label), ". ",
    datum("skill", skill.skill, text),
  );
}

function notices(latest, status, paused, retired) {
  const data = status.data ?? latest.data;
  const now = new Date(data.as_of).getTime() + 1000 * data.age_seconds;
  const texts = retired ? [words.PUT_AWAY] : [];
  if (latest.stale) texts.push(`The last good copy answers: ${latest.stale}`);
  if (!retired && new Date(latest.target_time).getTime() < now) {
    texts.push(`This forecast was for a time that has passed. ${since(data, paused)}`);
  }
  if (latest.mode === "late") texts.push("It was issued after its target time, from what was known before.");
  if (latest.abstained) {
    texts.push(`The champion is not heard, and the value is the reference's: ${latest.abstained}.`);
  }
  if (!retired && latest.good_until && new Date(latest.good_until).getTime() <= now && new Date(latest.target_time).getTime() >= now) {
    texts.push(`It was good until ${words.moment(latest.good_until)}. ${since(data, paused)}`);
  }
  if (latest.out_of_range.length) {
    texts.push(`Outside of what training saw: ${latest.out_of_range.join(", ")}.`);
  }
  return texts.map((text) => h("p", { class: "notice" }, text));
}

/** Why there is no newer one, and since when there should be. */
function since(data, paused) {
  if (paused) return "Its updates are paused, so no newer one is expected.";
  if (!data.missing_bars) return `The next is expected after the bar of ${words.moment(data.next_bar_expected)}.`;
  const bars = data.missing_bars === 1 ? "A newer bar is" : `${words.count(data.missing_bars)} newer bars are`;
  return `${bars} overdue, the newest that came closed ${words.bar(data.day, data.event_time)}; a newer forecast follows as soon as they come.`;
}

function origin(latest) {
  return h(
    "p",
    { class: "quiet" },
    `By ${latest.champion.name}, version `, datum("version", latest.champion.version, latest.champion.version),
    ", from data as of ", h("time", { datetime: latest.data.as_of }, words.moment(latest.data.as_of)),
    ". Issued ", h("time", { datetime: latest.issued_at }, words.moment(latest.issued_at)), ".",
    latest.ledger_head
      ? [" Ledger head ", h("code", { title: latest.ledger_head }, latest.ledger_head.slice(0, 12)), "."]
      : null,
  );
}
