"""A feed that is declared anew is read anew: bars of two readings are never mixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets import clock
from fx_assets.assets.automation import RANGE_END, RANGE_START
from fx_assets.assets.prices import partitions_to_ingest
from fx_assets.lake import Lake
from fx_assets.settings import Settings
from fx_assets.sources import fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets_tests.platform import Platform, failed_checks, failures, forecast_spec

NOW = "2024-04-01T12:00:00+00:00"
COLUMNS = ["event_time", "available_at", "close"]


def files(**changes: Any) -> dict[str, Any]:
    source = {"kind": "files", "path": "in/*.csv", "instrument": "EURUSD", "timezone": "UTC"}
    return {**source, "stamp": "close", "columns": {"close": "bid"}, **changes}


def days(**changes: Any) -> dict[str, Any]:
    """Files of daily rows, whose dates name the day."""
    return files(timezone=None, stamp=None, **changes)


def declared(frequency: str = "1h", **changes: Any) -> FeedSpec:
    gate = {name: {"severity": "warn"} for name in ("missing_days", "jumps", "stale_close")}
    values = {
        "name": "eurusd",
        "source": days() if frequency == "1d" else files(),
        "calendar": "24x7",
        "frequency": frequency,
        "start": "2024-01-15",
        "gate": gate,
    }
    return FeedSpec.model_validate({**values, **changes})


def write(folder: Path, frequency: str, until: str = "2024-03-31") -> None:
    """Rows at every hour or day, with a bid and an ask."""
    hours = pd.date_range("2024-01-16 03:00", until, freq="1h")
    if frequency == "1d":
        hours = pd.date_range("2024-01-16", until, freq="D")
    rng = np.random.default_rng(5)
    close = 1.1 * np.exp(np.cumsum(0.001 * rng.standard_normal(len(hours))))
    (folder / "in").mkdir(exist_ok=True)
    form = "%Y-%m-%d" if frequency == "1d" else "%Y-%m-%d %H:%M"
    pd.DataFrame(
        {"time": hours.strftime(form), "bid": close.round(5), "ask": close.round(5) + 1}
    ).to_csv(folder / "in" / "eurusd.csv", index=False)


def first_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: FeedSpec) -> Platform:
    platform = Platform(tmp_path, monkeypatch, feeds=[spec], forecasts=[])
    write(tmp_path, spec.frequency)
    platform.travel(NOW)
    result = ingest(platform)
    assert result.success, failures(result)
    return platform


def ingest(platform: Platform, first: str | None = None) -> Any:
    """What the schedule and ``fx-assets run`` ask for, or a run of some partitions only."""
    parts = partitions_to_ingest(platform.lake, platform.feeds[0], clock.now())
    return platform.run("eurusd_ingest", {RANGE_START: first or parts[0], RANGE_END: parts[-1]})


def redeclare(platform: Platform, spec: FeedSpec, now: str = "2024-04-02T12:00:00+00:00") -> None:
    platform.feeds[0] = spec
    platform.reload()
    platform.travel(now)


def assert_bars_are(platform: Platform, spec: FeedSpec) -> None:
    """The prices, by every way to ask for them, are those of a fresh read."""
    fresh = fetch_bars(spec, Settings(), clock.now()).bars[COLUMNS]
    lake = platform.lake
    prices = lake.read("prices", "eurusd").sort_values("event_time", ignore_index=True)
    pd.testing.assert_frame_equal(prices[COLUMNS], fresh)
    pd.testing.assert_frame_equal(lake.prices("eurusd")[COLUMNS], fresh)


CHANGES = [
    pytest.param(
        "1h",
        {"source": files(timezone="Asia/Dubai")},
        id="hourly time zone",
        marks=pytest.mark.slow,
    ),
    pytest.param("1h", {"source": files(stamp="open")}, id="hourly stamp", marks=pytest.mark.slow),
    pytest.param("1h", {"calendar": "24x5"}, id="hourly calendar", marks=pytest.mark.slow),
    pytest.param(
        "1h",
        {"source": files(columns={"close": "ask"})},
        id="hourly columns",
        marks=pytest.mark.slow,
    ),
    pytest.param("1h", {"delay_minutes": 10}, id="hourly delay", marks=pytest.mark.slow),
    pytest.param("1d", {"day_close": "17:00 America/New_York"}, id="daily close"),
    pytest.param("1d", {"calendar": "24x5"}, id="daily calendar", marks=pytest.mark.slow),
    pytest.param(
        "1d",
        {"source": days(columns={"close": "ask"})},
        id="daily columns",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        "1d",
        {"source": {"kind": "simulated", "instrument": "EURUSD"}},
        id="daily source",
        marks=pytest.mark.slow,
    ),
]
WARNS = {"closed_days": {"severity": "warn"}}


@pytest.mark.parametrize(("frequency", "change"), CHANGES)
def test_a_changed_reading_reads_the_whole_feed_anew(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    frequency: str,
    change: dict[str, Any],
) -> None:
    gate = {**declared().gate.model_dump(exclude_unset=True), **WARNS}
    old, new = declared(frequency, gate=gate), declared(frequency, gate=gate, **change)
    platform = first_load(tmp_path, monkeypatch, old)
    before, then = platform.lake.read("raw_prices", "eurusd"), clock.now()
    shown = platform.lake.prices("eurusd", as_of=then)
    redeclare(platform, new)
    newest_alone = "2024-04" if frequency == "1h" else "2024"
    result = ingest(platform, newest_alone if "source" in change else None)
    assert result.success, failures(result)
    if new.calendar == "24x7":
        assert_bars_are(platform, new)
    else:
        market = new.market
        times = platform.lake.read("prices", "eurusd")["event_time"].dt.tz_convert(None)
        assert market.possible(times.to_numpy("datetime64[us]")).all()
    raw = platform.lake.read("raw_prices", "eurusd")
    assert set(raw["reading"]) == {old.reading, new.reading}
    kept = raw[raw["reading"] == old.reading].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    pd.testing.assert_frame_equal(platform.lake.prices("eurusd", as_of=then), shown)
    assert "the feed was read anew" in failed_checks(result)["history_stands"]
    versions = platform.versions(without=["quality", "sources"])
    assert ingest(platform).success
    assert platform.versions(without=["quality", "sources"]) == versions


def test_everything_is_asked_for_while_the_reading_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = first_load(tmp_path, monkeypatch, declared())
    assert partitions_to_ingest(platform.lake, declared(), clock.now())[0] == "2024-03"
    redeclare(platform, declared(source=files(stamp="open")))
    asked = platform.tick("eurusd_ingest", "2024-04-02T12:01:00+00:00")
    assert asked.tags[RANGE_START] == "2024-01"  # type: ignore[union-attr]
    redeclare(platform, declared(start="2024-01-10"))
    assert partitions_to_ingest(platform.lake, platform.feeds[0], clock.now())[0] == "2024-01"


@pytest.mark.slow
def test_a_reading_that_the_gate_refuses_changes_nothing_and_the_old_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = declared("1d")
    platform = first_load(tmp_path, monkeypatch, old)
    before = platform.versions(without=["quality", "sources", "quarantine", "alerts"])
    redeclare(platform, declared("1d", calendar="24x7", source=days(columns={"close": "wild"})))
    path = tmp_path / "in" / "eurusd.csv"
    table = pd.read_csv(path)
    table["wild"] = table["bid"] * np.where(np.arange(len(table)) % 9 == 4, 100, 1)
    table.to_csv(path, index=False)
    result = ingest(platform)
    assert not result.success
    said = failures(result)
    assert "declared anew (source.columns: close: bid -> close: wild)" in said
    assert "scale_errors" in said
    assert "fx-assets reload eurusd" in said
    unchanged = platform.versions(without=["quality", "sources", "quarantine", "alerts"])
    assert unchanged == before
    redeclare(platform, old, "2024-04-03T12:00:00+00:00")
    result = ingest(platform)
    assert result.success, failures(result)
    assert_bars_are(platform, old)


@pytest.mark.slow
def test_a_source_that_is_away_leaves_the_old_reading_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = first_load(tmp_path, monkeypatch, declared())
    before = platform.versions()
    redeclare(platform, declared(source=files(timezone="Asia/Dubai", path="out/*.csv")))
    result = ingest(platform)
    assert not result.success
    assert "source.timezone: UTC -> Asia/Dubai" in failures(result)
    assert "Then run: fx-assets reload eurusd." in failures(result)
    assert platform.versions() == before


def test_nothing_is_made_from_bars_of_another_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = first_load(tmp_path, monkeypatch, declared("1d"))
    platform.forecasts = [forecast_spec(live_from=None)]
    redeclare(platform, declared("1d", day_close="17:00 America/New_York"))
    result = platform.materialize("eurusd/features/fx_close")
    assert not result.success
    assert "day_close: 00:00 UTC -> 17:00 America/New_York" in failures(result)
    assert "Run: fx-assets reload eurusd." in failures(result)


@pytest.mark.slow
def test_going_back_and_forth_takes_each_time_the_bars_of_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = declared(), declared(source=files(timezone="Asia/Dubai"))
    platform = first_load(tmp_path, monkeypatch, old)
    for day, spec in ((2, new), (3, old), (4, new)):
        redeclare(platform, spec, f"2024-04-0{day}T12:00:00+00:00")
        result = ingest(platform)
        assert result.success, failures(result)
        assert_bars_are(platform, spec)
    raw = platform.lake.read("raw_prices", "eurusd")
    assert not raw.duplicated(["event_time", "reading"]).any(), "what is equal is stored once"


@pytest.mark.slow
def test_a_lake_of_an_earlier_release_goes_on_and_its_bars_are_of_the_first_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = declared(), declared(source=files(timezone="Asia/Dubai"))
    platform = first_load(tmp_path, monkeypatch, old)
    forget_readings(platform.lake, tmp_path)
    write(tmp_path, "1h", "2024-04-02 05:00")
    redeclare(platform, old, "2024-04-02T07:00:00+00:00")
    result = ingest(platform)
    assert result.success, failures(result)
    raw = platform.lake.read("raw_prices", "eurusd")
    assert raw["reading"].isna().sum() > raw["reading"].notna().sum() > 0
    assert_bars_are(platform, old)
    redeclare(platform, new, "2024-04-02T08:00:00+00:00")
    assert ingest(platform).success
    assert_bars_are(platform, new)


@pytest.mark.slow
def test_bars_of_an_earlier_release_that_contradict_what_is_declared_are_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = declared("1d", day_close="17:00 America/New_York")
    platform = first_load(tmp_path, monkeypatch, declared("1d"))
    forget_readings(platform.lake, tmp_path)
    redeclare(platform, new)
    result = ingest(platform)
    assert result.success, failures(result)
    assert "its stored bars do not fit what is declared" in failed_checks(result)["history_stands"]
    assert_bars_are(platform, new)


def forget_readings(lake: Lake, folder: Path) -> None:
    """As an earlier release left the tables."""
    raw = lake.read("raw_prices", "eurusd").drop(columns="reading")
    lake.replace("raw_prices", "eurusd", raw)
    (folder / "data/lake/readings").rename(folder / "forgotten")
    quality = lake.read("quality", "eurusd").drop(columns="reading")
    lake.replace("quality", "eurusd", quality)


class _Killed(BaseException):
    """Nothing that code would catch."""


@contextmanager
def killed_before(monkeypatch: pytest.MonkeyPatch, commit: int) -> Iterator[None]:
    """Let the process die before one of its commits, counted from 0."""
    made = [0]
    whole = Lake._commit

    def dying(self: Lake, *args: Any, **kwargs: Any) -> Any:
        number, made[0] = made[0], made[0] + 1
        if number == commit:
            raise _Killed
        return whole(self, *args, **kwargs)

    with monkeypatch.context() as patch, suppress(_Killed):
        patch.setattr(Lake, "_commit", dying)
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    "commit", [pytest.param(n, marks=pytest.mark.slow if n != 4 else ()) for n in range(8)]
)
def test_a_run_that_is_killed_at_any_commit_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    old, new = declared("1d"), declared("1d", source=days(columns={"close": "ask"}))
    platform = first_load(tmp_path, monkeypatch, old)
    platform.forecasts = [forecast_spec(live_from=None)]
    redeclare(platform, new)
    with killed_before(monkeypatch, commit):
        ingest(platform)
    level = platform.lake.read("prices", "eurusd")["close"]
    assert (level > 2).all() or (level < 2).all(), "one reading or the other"
    features = platform.materialize("eurusd/features/fx_close")
    if features.success:
        made = platform.lake.read("features", "eurusd.fx_close")["close"]
        assert (made > 2).all(), "made from the reading that is declared, or not at all"
    result = ingest(platform)
    assert result.success, failures(result)
    assert_bars_are(platform, new)
    assert (
        not platform.lake.read("raw_prices", "eurusd").duplicated(["event_time", "reading"]).any()
    )
