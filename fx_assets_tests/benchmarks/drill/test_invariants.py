"""Each invariant of the drill can fail: the tables are tampered with, and it says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.drill.deployment import FEED, FORECAST
from benchmarks.drill.invariants import InvariantError, Invariants, gaps
from benchmarks.drill.world import FRANKFURT
from fx_assets.lake import Lake
from fx_assets_tests.benchmarks.drill.conftest import Drilled

DAY = pd.Timedelta(1, "D")
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def lake(drilled: Drilled, tmp_path: Path) -> Lake:
    return drilled.copy_to(tmp_path)


def invariants(lake: Lake, drilled: Drilled) -> Invariants:
    return Invariants(lake, drilled.found.first)


def in_last_row(column: str, change: Callable[[object], object]) -> Change:
    """The newest row by event time with one cell changed."""

    def changed(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.sort_values("event_time", ignore_index=True)
        rows.loc[len(rows) - 1, column] = change(rows[column].iloc[-1])
        return rows

    return changed


def in_all_rows(column: str, change: Callable[[pd.Series], pd.Series]) -> Change:
    return lambda rows: rows.assign(**{column: change(rows[column])})


def on_sunday(rows: pd.DataFrame) -> pd.DataFrame:
    friday = rows[rows["event_time"].dt.weekday == 4].tail(1)
    moved = {name: friday[name] + 2 * DAY for name in ("event_time", "available_at")}
    return pd.concat([rows, friday.assign(**moved)], ignore_index=True)


def twice(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.tail(1)], ignore_index=True)


def larger(value: object) -> object:
    return value * 1.01  # type: ignore[operator]


def a_year_later(value: object) -> object:
    return value + 365 * DAY  # type: ignore[operator]


TAMPERED: dict[str, tuple[str, str, Change, str]] = {
    "no stamp": ("raw_prices", FEED, in_last_row("source", lambda _: None), "lacks a stamp"),
    "known before its close": (
        "raw_prices",
        FEED,
        in_last_row("available_at", lambda at: at - DAY),  # type: ignore[operator]
        "known before it closed",
    ),
    "ingested tomorrow": (
        "raw_prices",
        FEED,
        in_last_row("ingested_at", a_year_later),
        "from the future",
    ),
    "bar on a Sunday": ("raw_prices", FEED, on_sunday, "closed day"),
    "raw bar twice": ("raw_prices", FEED, twice, "twice in raw_prices"),
    "bar twice": ("prices", FEED, twice, "twice in prices"),
    "another price": ("prices", FEED, in_last_row("close", larger), "not what is known now"),
    "unknown close": (
        "predictions",
        FORECAST,
        in_last_row("as_of_close", larger),
        "used a bar that was not known",
    ),
    "champion saw the outcome": (
        "predictions",
        FORECAST,
        in_last_row("champion_label_end", a_year_later),
        "labels were known later",
    ),
    "late called live": (
        "predictions",
        FORECAST,
        in_all_rows("mode", lambda mode: mode.replace("late", "live")),
        "called live",
    ),
    "predicted twice": ("predictions", FORECAST, twice, "predicted twice"),
    "other outcomes": (
        "outcomes",
        FORECAST,
        in_all_rows("target", lambda target: 1 - target),
        "another outcome",
    ),
    "leaking feature": (
        "features",
        f"{FEED}.fx_close",
        in_all_rows("return_1", lambda values: values * (1 + 1e-15)),
        "know their future",
    ),
    "champion from tomorrow": (
        "decisions",
        FORECAST,
        in_all_rows("label_end", lambda ends: ends + 365 * DAY),
        "after its decision",
    ),
    "no purge": (
        "splits",
        FORECAST,
        in_all_rows("label_end", lambda ends: ends + 3000 * DAY),
        "not purged",
    ),
    "train after test": (
        "train_set",
        FORECAST,
        in_all_rows("label_available_at", lambda known: known + 3000 * DAY),
        "overlap",
    ),
}


def test_untouched_tables_break_no_invariant(lake: Lake, drilled: Drilled) -> None:
    checked = invariants(lake, drilled)
    checked.check(drilled.ended)
    checked.check(drilled.ended)
    assert checked.checks > 1000


@pytest.mark.parametrize("what", TAMPERED)
def test_a_table_that_was_tampered_with_breaks_its_invariant(
    what: str, lake: Lake, drilled: Drilled
) -> None:
    table, name, change, message = TAMPERED[what]
    lake.replace(table, name, change(lake.read(table, name)))
    with pytest.raises(InvariantError, match=message):
        invariants(lake, drilled).check(drilled.ended)


@pytest.mark.parametrize(
    ("table", "name", "column"),
    [
        ("raw_prices", FEED, "payload"),
        ("predictions", FORECAST, "prediction"),
        ("outcomes", FORECAST, "loss"),
        ("decisions", FORECAST, "sentence"),
    ],
)
def test_a_row_that_was_there_may_neither_change_nor_go(
    table: str, name: str, column: str, lake: Lake, drilled: Drilled
) -> None:
    rows = lake.read(table, name)
    other = rows.copy()
    cell = other[column].iloc[0]
    other.loc[0, column] = np.nextafter(cell, 2) if isinstance(cell, float) else "something else"
    for tampered in (other, rows.iloc[1:]):
        checked = invariants(lake, drilled)
        checked.only_grows(table, rows)
        checked.only_grows(table, rows.sample(frac=1, random_state=1))
        with pytest.raises(InvariantError, match="append-only"):
            checked.only_grows(table, tampered)


def test_a_bar_or_a_prediction_that_is_not_there_is_a_gap(lake: Lake, drilled: Drilled) -> None:
    prices = lake.read("prices", FEED).sort_values("event_time", ignore_index=True)
    days = prices["event_time"].dt.tz_convert(FRANKFURT).dt.date
    published = dict(zip(days, prices["close"], strict=True))
    assert gaps(lake, published, drilled.found.first).none
    last = days.iloc[-1]
    assert gaps(lake, published | {last: 1.0}, drilled.found.first).bars == [last]
    predictions = lake.read("predictions", FORECAST)
    kept = predictions[predictions["day"] != predictions["day"].max()]
    lake.replace("predictions", FORECAST, kept)
    assert gaps(lake, published, drilled.found.first).predictions == [last]
