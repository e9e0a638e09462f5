// Prices above; below them what was forecast at each bar and what came of it.

import { colour } from "../dom.js";
import * as vendor from "../vendor/lightweight-charts.mjs";
import * as words from "../words.js";

const at = (row) => words.place(row.day, row.event_time);
const end = (latest) => words.place(latest.target_day, latest.target_time);
const DAY = 86400;
const HEIGHTS = [3, 2, 1];

/**
 * Draw into an element; returns `{ show(days), readout, remove() }`.
 *
 * `onMove(row)` is called with what is under the cursor, or with null.
 */
export function priceChart(element, { prices, backtest, issued }, { model, latest }, onMove) {
  const { share } = words.scale();
  const scaled = (value) => (model.format.percent ? 100 : 1) * share(value);
  const chart = vendor.createChart(element, options());
  const times = prices.map(at);
  const rows = byTime(prices, backtest, issued);
  const line = (name, pane, extra) =>
    chart.addSeries(vendor.LineSeries, { ...line_(name), ...extra }, pane);
  const digits = prices.length && prices.at(-1).close >= 20 ? 2 : 4;
  const priceFormat = { type: "price", precision: digits, minMove: 10 ** -digits };
  if (hasRanges(prices)) {
    const ink = colour("ink-2");
    const candles = {
      upColor: colour("surface"), downColor: ink, borderUpColor: ink, borderDownColor: ink, wickUpColor: ink, wickDownColor: ink,
    };
    chart
      .addSeries(vendor.CandlestickSeries, { ...candles, priceLineVisible: false, priceFormat }, 0)
      .setData(prices.map((row) => candle(row)));
  } else {
    line("ink-2", 0, { lineWidth: 2, lastValueVisible: true, priceFormat }).setData(pointsOf(prices, (row) => row.close));
  }
  if (latest && model.format.moves_close && latest.data.close !== null) fan(line, latest);

  const inPercent = { priceFormat: { type: "custom", minMove: 0.0001, formatter: formatter(model.format) } };
  const values = (list, column) => pointsOf(list, (row) => (row[column] === null ? null : scaled(row[column])));
  if (model.outcome !== "binary") {
    const outcome = model.outcome === "real"
      ? chart.addSeries(vendor.HistogramSeries, { color: colour("outcome", 0.55), priceLineVisible: false, lastValueVisible: false, ...inPercent }, 1)
      : line("outcome", 1, { lineWidth: 1, ...inPercent });
    const known = [...rows.values()].filter((row) => row.outcome !== undefined);
    outcome.setData(known.map((row) => ({ time: row.time, value: scaled(row.outcome) })));
  }
  line("backtest", 1, { lineWidth: 1, ...inPercent }).setData(values(backtest, "prediction"));
  line("baseline", 1, { lineWidth: 1, lineStyle: 1, ...inPercent }).setData(values(backtest, "baseline"));
  for (const mode of ["late", "live"]) {
    const dots = line(mode, 1, { lineVisible: false, pointMarkersVisible: true, pointMarkersRadius: 2.5, ...inPercent });
    dots.setData(values(issued.filter((row) => row.mode === mode), "prediction"));
  }
  if (model.outcome === "binary") hits(chart, times, rows);
  chart.panes().forEach((pane, i) => pane.setStretchFactor(HEIGHTS[i] ?? 1));
  chart.subscribeCrosshairMove((event) => onMove(event.time ? (rows.get(event.time) ?? null) : null));
  const show = (days) => {
    if (days === null || !times.length) return chart.timeScale().fitContent();
    const to = latest ? end(latest) : times.at(-1);
    return chart.timeScale().setVisibleRange({ from: Math.max(times[0], to - days * DAY), to: Math.max(to, times.at(-1)) });
  };
  return { show, move: (step) => move(chart, step), zoom: (factor) => zoom(chart, factor), remove: () => chart.remove(), newest: [...rows.values()].at(-1) };
}

const ranged = ({ open, high, low }) => open !== null && high !== null && low !== null;

/** Whether bars say how far the price went, as fixings do not. */
export const hasRanges = (prices) => prices.length > 0 && prices.filter(ranged).length > prices.length / 2;

function candle(row) {
  const { open, high, low, close } = ranged(row) ? row : { ...row, open: row.close, high: row.close, low: row.close };
  return { time: at(row), open, high, low, close };
}

function options() {
  return {
    autoSize: true,
    layout: {
      attributionLogo: false, // The page names the maker; the logo would need styles in markup.
      background: { type: vendor.ColorType.Solid, color: colour("surface") },
      textColor: colour("ink-3"),
      panes: { separatorColor: colour("line"), enableResize: false },
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: { visible: false }, horzLines: { color: colour("line", 0.6) } },
    rightPriceScale: { borderVisible: false, minimumWidth: 64, scaleMargins: { top: 0.12, bottom: 0.1 } },
    timeScale: { borderColor: colour("line"), rightOffset: 2, minBarSpacing: 0.05, tickMarkFormatter: tick },
    crosshair: { mode: vendor.CrosshairMode.Magnet },
    localization: { locale: "en-GB", timeFormatter: words.placed },
    // The wheel and a finger moving up or down belong to the page.
    handleScroll: { mouseWheel: false, vertTouchDrag: false },
    handleScale: { mouseWheel: false, axisPressedMouseMove: false },
  };
}

/** Years as such, else the month, with the day where days are marked; null leaves it to the library. */
const tick = (time, kind) =>
  kind === vendor.TickMarkType.DayOfMonth ? words.date(1000 * time).replace(/ \d+$/, "") : null;

function line_(name) {
  return {
    color: colour(name), priceLineVisible: false, lastValueVisible: false, crosshairMarkerRadius: 3,
  };
}

function formatter({ percent, digits }) {
  return (value) => (percent ? words.percent(value / 100, Math.min(digits, 2)) : words.fixed(value, digits));
}

function pointsOf(rows, value) {
  return rows.map((row) => {
    const time = at(row);
    const found = value(row);
    return found === null ? { time } : { time, value: found };
  });
}

/** What is known of each bar; what was issued wins over the backtest. */
function byTime(prices, backtest, issued) {
  const rows = new Map(prices.map((row) => {
    const time = at(row);
    return [time, { ...row, time }];
  }));
  for (const made of [...backtest, ...issued]) {
    const row = rows.get(at(made));
    if (!row) continue;
    row[made.mode] = made;
    if (made.outcome !== null) row.outcome = made.outcome;
  }
  return rows;
}

/** Expected level and interval, from the newest close to the target. */
function fan(line, latest) {
  const from = { time: at(latest.data), value: latest.data.close };
  const to = end(latest);
  for (const value of [latest.value, latest.interval.lower, latest.interval.upper]) {
    const series = line("live", 0, { lineWidth: 1, lineStyle: 2, crosshairMarkerVisible: false });
    series.setData([from, { time: to, value: latest.data.close * Math.exp(value) }]);
  }
}

/** Ups and downs, or what else comes or not, by whether the forecast was on that side of one half. */
function hits(chart, times, rows) {
  const series = chart.addSeries(
    vendor.HistogramSeries,
    { priceLineVisible: false, lastValueVisible: false, priceFormat: { type: "custom", minMove: 1, formatter: () => "" } },
    2,
  );
  series.setData(times.map((time) => {
    const row = rows.get(time);
    const made = row.live ?? row.late ?? row.backtest;
    if (!made || row.outcome === undefined) return { time };
    const same = made.prediction >= 0.5 === (row.outcome === 1);
    return {
      time, value: row.outcome === 1 ? 1 : -1,
      color: colour(same ? "agreed" : "missed", row.live ? 1 : 0.55),
    };
  }));
}

function move(chart, step) {
  const range = chart.timeScale().getVisibleLogicalRange();
  if (!range) return;
  const by = step * Math.max(1, (range.to - range.from) / 10);
  chart.timeScale().setVisibleLogicalRange({ from: range.from + by, to: range.to + by });
}

function zoom(chart, factor) {
  const range = chart.timeScale().getVisibleLogicalRange();
  if (!range) return;
  chart.timeScale().setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
}
