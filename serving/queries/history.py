"""Pages of predictions with outcomes, and of prices with features."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, cast

import msgspec
import numpy as np
import pyarrow as pa

from fx_assets.bundles.records import Manifest
from fx_assets.calendars import calendar
from fx_assets.evaluation.losses import loss_for
from fx_assets.features.base import feature_set
from fx_assets.lake.reader import Reader
from fx_assets.tables import BACKTEST, FEATURES, OUTCOMES, PREDICTIONS, PRICES, QUANTILES
from serving.market import bar_day
from serving.queries.columns import finite, instant, instants, numbers, texts
from serving.queries.exports import paged
from serving.queries.formats import Form, Page
from serving.queries.own_rows import newest_rows, own_rows
from serving.queries.windows import Window
from serving.schemas import HistoryRow, Mode, Quantile


def history_page(reader: Reader, manifest: Manifest, mode: str, window: Window, form: Form) -> Page:
    """Predictions of a mode."""
    if mode == "backtest":
        rows, further = _backtest(reader, manifest, window)
    else:
        rows, further = _issued(reader, manifest, mode, window)
    columns = HistoryRow.__struct_fields__
    told = [msgspec.to_builtins(row, builtin_types=(date, datetime)) for row in rows]
    return paged(told, columns, further, form)


def _issued(
    reader: Reader, manifest: Manifest, mode: str, window: Window
) -> tuple[list[HistoryRow], bool]:
    table = own_rows(reader, manifest, PREDICTIONS)
    if table is None:
        return [], False
    modes = texts(table, "mode")
    chosen = np.array([mode in ("issued", one) for one in modes], dtype=bool)
    times, ends = instants(table, "event_time"), instants(table, "target_time")
    rows, further = window.select(times, chosen)
    outcomes = _newest_outcomes(own_rows(reader, manifest, OUTCOMES))
    names, versions = texts(table, "champion"), texts(table, "champion_version")
    told, stated = (
        texts(table, name) if name in table.column_names else [""] * len(names)
        for name in ("caveat", "distribution")
    )
    value, lower, upper, baseline = (
        numbers(table, name) for name in ("prediction", "lower", "upper", "baseline")
    )
    return [
        HistoryRow(
            event_time=instant(times[i]),
            day=bar_day(manifest.calendar, instant(times[i])),
            target_time=instant(ends[i]),
            target_day=bar_day(manifest.calendar, instant(ends[i])),
            mode=cast("Mode", modes[i]),
            champion=names[i],
            version=versions[i],
            prediction=float(value[i]),
            lower=finite(lower[i]),
            upper=finite(upper[i]),
            baseline=finite(baseline[i]),
            caveat=told[i] or None,
            quantiles=_quantiles(stated[i]),
            **outcomes.get(int(times[i]), _UNKNOWN),
        )
        for i in rows.tolist()
    ], further


_UNKNOWN: dict[str, Any] = {
    "outcome": None,
    "loss": None,
    "baseline_loss": None,
    "inside_interval": None,
}


def _quantiles(stated: str | None) -> list[Quantile] | None:
    """Those of an issued distribution."""
    if not stated:
        return None
    told = msgspec.json.decode(stated)
    return [Quantile(*pair) for pair in zip(told["levels"], told["values"], strict=True)]


def _walked_quantiles(
    reader: Reader, manifest: Manifest, wanted: set[int]
) -> dict[int, list[Quantile]]:
    """Those of walk-forward rows of the champion's recipe, by event time, ascending."""
    if manifest.distribution is None:
        return {}
    table = own_rows(reader, manifest, QUANTILES)
    if table is None:
        return {}
    recipes, times = texts(table, "recipe"), instants(table, "event_time")
    levels, values = numbers(table, "level"), numbers(table, "value")
    found: dict[int, list[Quantile]] = {}
    for i in newest_rows(QUANTILES, table).tolist():
        if recipes[i] == manifest.recipe and int(times[i]) in wanted:
            found.setdefault(int(times[i]), []).append(Quantile(float(levels[i]), float(values[i])))
    return {at: sorted(each, key=lambda one: one.level) for at, each in found.items()}


def _newest_outcomes(table: pa.Table | None) -> dict[int, dict[str, Any]]:
    """By event time; of a truth that was revised, what is known now."""
    if table is None:
        return {}
    times, inside = instants(table, "event_time"), table["inside_interval"].to_pylist()
    target, loss, baseline = (numbers(table, c) for c in ("target", "loss", "baseline_loss"))
    return {
        int(times[i]): {
            "outcome": finite(target[i]),
            "loss": finite(loss[i]),
            "baseline_loss": finite(baseline[i]),
            "inside_interval": inside[i],
        }
        for i in newest_rows(OUTCOMES, table).tolist()
    }


WALKED = ("recipe", "event_time", "target_time", "prediction", "target", "baseline", "made_at")


def backtest_rows(reader: Reader, manifest: Manifest) -> pa.Table | None:
    """The walk-forward rows of the champion's recipe, one an event time, in order."""
    table = own_rows(reader, manifest, BACKTEST, WALKED)
    if table is None:
        return None
    recipe = manifest.recipe
    mine = np.array([found == recipe for found in texts(table, "recipe")], dtype=bool)
    table = table.filter(pa.array(mine))
    return table.take(pa.array(newest_rows(BACKTEST, table)))


def _backtest(reader: Reader, manifest: Manifest, window: Window) -> tuple[list[HistoryRow], bool]:
    table = backtest_rows(reader, manifest)
    if table is None:
        return [], False
    times, ends = instants(table, "event_time"), instants(table, "target_time")
    value, target, baseline = (
        numbers(table, name) for name in ("prediction", "target", "baseline")
    )
    rows, further = window.select(times, np.ones(len(times), dtype=bool))
    loss = loss_for(manifest.target)
    losses, reference = loss(target, value), loss(target, baseline)
    name = manifest.candidate
    walked = _walked_quantiles(reader, manifest, {int(times[i]) for i in rows.tolist()})
    return [
        HistoryRow(
            event_time=instant(times[i]),
            day=bar_day(manifest.calendar, instant(times[i])),
            target_time=instant(ends[i]),
            target_day=bar_day(manifest.calendar, instant(ends[i])),
            mode="backtest",
            champion=name,
            version=None,
            prediction=float(value[i]),
            lower=None,
            upper=None,
            baseline=finite(baseline[i]),
            outcome=finite(target[i]),
            loss=finite(losses[i]),
            baseline_loss=finite(reference[i]),
            inside_interval=None,
            quantiles=walked.get(int(times[i])),
        )
        for i in rows.tolist()
    ], further


def price_page(
    reader: Reader, manifest: Manifest, features: bool, window: Window, form: Form
) -> Page:
    """Bars of the feed, with features where they are computed."""
    names = (
        feature_set(manifest.feature_set, calendar(manifest.calendar).bar).columns
        if features
        else ()
    )
    fixed = ("event_time", "available_at", "open", "high", "low", "close", "volume")
    shown = ("event_time", "day", *fixed[1:], *names)
    bars = reader.read(PRICES.name, manifest.feed, fixed)
    if bars is None:
        return paged([], shown, False, form)
    times = instants(bars, "event_time")
    rows, further = window.select(times, np.ones(len(times), dtype=bool))
    bars, times = bars.take(pa.array(rows)), times[rows]
    known = instants(bars, "available_at")
    values = {name: numbers(bars, name) for name in ("open", "high", "low", "close", "volume")}
    computed, places = _features(reader, manifest, names, times)
    out = []
    for i, at in enumerate(places):
        row: dict[str, Any] = {
            "event_time": instant(times[i]),
            "day": bar_day(manifest.calendar, instant(times[i])),
            "available_at": instant(known[i]),
            **{name: finite(column[i]) for name, column in values.items()},
        }
        for name in names:
            row[name] = None if at is None else finite(computed[name][at])
        out.append(row)
    return paged(out, shown, further, form)


def _features(
    reader: Reader, manifest: Manifest, names: tuple[str, ...], times: np.ndarray
) -> tuple[dict[str, np.ndarray], list[int | None]]:
    """The features of some bars, and for each bar its place among them, if it has one."""
    asked = ["event_time", *names]
    known_as = manifest.features_names if names else ()
    read = (reader.read(FEATURES.name, name, asked) for name in known_as)
    table = next((found for found in read if found is not None), None)
    if table is None or not table.num_rows:
        return {}, [None] * len(times)
    stored = instants(table, "event_time")
    order = np.argsort(stored, kind="stable")
    last = order[np.maximum(np.searchsorted(stored, times, side="right", sorter=order) - 1, 0)]
    found = stored[last] == times
    table = table.take(pa.array(last[found]))
    place = np.cumsum(found) - 1
    places = [int(at) if there else None for at, there in zip(place, found, strict=True)]
    return {name: numbers(table, name) for name in names}, places
