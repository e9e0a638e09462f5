// Numbers and sentences for people. Thin spaces keep a number and its unit on one line.

const THIN = "\u202f";
const DAY = { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" };
const day = new Intl.DateTimeFormat("en-GB", DAY);
const weekday = new Intl.DateTimeFormat("en-GB", { ...DAY, weekday: "short" });
const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC", hour: "2-digit", minute: "2-digit",
});

const DAYS_A_YEAR = 366;
let barsAYear = DAYS_A_YEAR;
let model = null;

export const RETIRED = "no longer declared";
export const PUT_AWAY = "It is no longer declared, so no newer forecast will come. What it has said stays.";

export const date = (text) => day.format(new Date(text));
export const moment = (text) => `${date(text)}, ${clock.format(new Date(text))} UTC`;

/** Speak of this model's target and of the bars of its feed from now on. */
export function follow(card) {
  model = card;
  barsAYear = card.bars_a_year;
}
const intraday = (year = barsAYear) => year > DAYS_A_YEAR;

/** A bar by its market day, which may end at the next midnight, or of an intraday bar by its close. */
export const bar = (day, closed) => (intraday() ? moment(closed) : date(day));
export const barOfWeek = (day, closed) =>
  intraday()
    ? `${weekday.format(new Date(closed))}, ${clock.format(new Date(closed))} UTC`
    : weekday.format(new Date(day));
/** A bar of another forecast than the one that is followed. */
export const when = (day, closed, year) => (intraday(year) ? moment(closed) : date(day));
/** Where a bar stands on an axis of time, in seconds since 1970. */
export const place = (day, closed) => Math.floor(new Date(intraday() ? closed : day).getTime() / 1000);
export const placed = (time) => (intraday() ? moment(1000 * time) : date(1000 * time));
export const count = (n) => n.toLocaleString("en-GB");

const minus = (text) => text.replace("-", "−");
export const fixed = (value, digits) => minus(value.toFixed(digits));
export const signed = (value, digits) => (value > 0 ? "+" : "") + fixed(value, digits);
export const percent = (share, digits = 1) => `${fixed(100 * share, digits)}${THIN}%`;
export const signedPercent = (share, digits = 2) => `${signed(100 * share, digits)}${THIN}%`;
export const price = (close) => fixed(close, close < 20 ? 4 : 2);

/** A few significant digits, without an exponent where one can read it. */
export function short(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return minus(size >= 1e-3 && size < 1e5 ? value.toPrecision(digits) : value.toExponential(2));
}

export function duration(seconds) {
  const hours = seconds / 3600;
  if (hours < 1) return `${Math.max(0, Math.round(seconds / 60))} min`;
  if (hours < 48) return `${Math.round(hours)} h`;
  return `${Math.round(hours / 24)} days`;
}

export const pair = (instrument) =>
  /^[A-Z]{6}$/.test(instrument) ? `${instrument.slice(0, 3)}/${instrument.slice(3)}` : instrument;
export const bars = (horizon) => (horizon === 1 ? "next bar" : `next ${horizon} bars`);

/** How values of a target, or else the model's, are shown: the number on an axis, and its text. */
export function scale(of = model, year = barsAYear) {
  const { percent: hundredfold, digits, signed: plus, annualised } = of.format;
  const share = (value) => (annualised ? Math.sqrt((value * year) / of.horizon) : value);
  const number = plus ? signed : fixed;
  const unit = `${hundredfold ? `${THIN}%` : ""}${annualised ? " a year" : ""}`;
  return { share, text: (value) => number((hundredfold ? 100 : 1) * share(value), digits) + unit };
}

export function outcomeText(value) {
  if (value === null || value === undefined) return "not known yet";
  return model.wording.outcomes?.[value] ?? scale().text(value);
}

/** A text with its fields in braces replaced, as a list of texts and elements. */
export const fill = (text, fields) =>
  text.split(/\{(\w+)\}/).map((part, i) => (i % 2 ? fields[part] : part));
export const over = (horizon) => `the ${bars(horizon)}`;

export const metric = (name) => {
  const year = /^coverage_(\d{4})$/.exec(name)?.[1];
  if (year) return { title: `Interval held, ${year}`, unit: "share" };
  return name === "skill" ? { title: "Skill", unit: "share" } : (model.metric_titles[name] ?? { title: name, unit: "" });
};

export const MODES = {
  live: "live", late: "late", backtest: "backtest",
};

/** The verdict in a few words, for a list. */
export function skillLabel(skill) {
  const label = skill.demonstrated ? "skill demonstrated"
    : skill.verdict?.word === "knows something" ? "knows something" : "no skill demonstrated";
  return skill.caveat ? `${label}, with a caveat` : label;
}

/** How the champion compares with what costs no work, where that is not the baseline. */
function referenceWords(verdict) {
  const reference = verdict?.reference;
  if (!reference || reference.skill === null || reference.name === verdict.baseline.name) return "";
  return `, and ${percent(reference.skill)} below that of ${reference.name} ` +
    `(${percent(reference.lower)} to ${percent(reference.upper)})`;
}

/** The verdict on skill: a short label, and the reason in a sentence. */
export function skillWords(skill, champion, baseline, tried) {
  const gain = skill.demonstrated ? (value) => percent(value) : (value) => signedPercent(value);
  const band = skill.lower === null || skill.upper === null
    ? "" : ` (95${THIN}% interval ${gain(skill.lower)} to ${gain(skill.upper)})`;
  const rows = `${count(skill.rows)} out-of-sample forecasts`;
  const caveat = skill.caveat ?? "";
  if (skill.demonstrated && skill.skill !== null) {
    return {
      label: caveat ? `Skill demonstrated, but ${caveat}` : "Skill demonstrated",
      text: `Over ${rows}, its error (${metric(skill.metric).title}) was ` +
        `${percent(skill.skill)} below that of the baseline${band}${referenceWords(skill.verdict)}.`,
    };
  }
  if (champion === baseline) {
    const others = tried ? `None of the ${tried} recipes tried has beaten it on ${rows}.` : "";
    const what = model.wording.baseline ? `, ${model.wording.baseline}` : "";
    return {
      label: caveat ? `No skill demonstrated; ${caveat}` : "No skill demonstrated",
      text: `The champion is the baseline itself (${baseline}${what}). ${others}`,
    };
  }
  const found = skill.skill === null ? "" : `Over ${rows}, skill was ${gain(skill.skill)}${band}. `;
  const no = skill.verdict?.word === "knows something" ? "Knows something" : "No skill demonstrated";
  return {
    label: caveat ? `${no}; ${caveat}` : no,
    text: skill.verdict ? skill.verdict.sentence : `${found}That is not enough to rule out luck.`,
  };
}
