"""From a file whose closes are stale to a decision that says so, through the whole graph."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from fx_assets import clock
from fx_assets.bundles.bundle import load
from fx_assets.calendars import calendar
from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision
from fx_assets.presentation.wording import latest_row, sentence
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.acknowledgements import acknowledge, read_acknowledgements
from fx_assets.stages.due import retrain_reason
from fx_assets_tests.platform import Platform, failed_checks, failures, forecast_spec

MARKET = calendar("24x5|1d||0")
BARS, STEPS = 1500, 12
FAILED = "made from bars that failed stale_close (severity lowered in the feed)"


def honest_bars(seed: int = 4) -> pd.DataFrame:
    """Daily bars of a random walk."""
    rng = np.random.default_rng(seed)
    closes = MARKET.closes(date(2014, 1, 2), date(2021, 1, 1))[:BARS]
    moves = 0.006 * rng.standard_normal((BARS, STEPS)) / np.sqrt(STEPS)
    path = np.cumsum(moves.ravel()).reshape(BARS, STEPS)
    before = np.concatenate([[0.0], path[:-1, -1]])
    whole = np.column_stack([before, path])
    columns = {"open": before, "high": whole.max(1), "low": whole.min(1), "close": path[:, -1]}
    days = [MARKET.bar_day(pd.Timestamp(t, tz="UTC").to_pydatetime()) for t in closes]
    prices = pd.DataFrame({name: 1.2 * np.exp(x) for name, x in columns.items()})
    return prices.round(6).assign(date=[day.isoformat() for day in days])


def stale(bars: pd.DataFrame) -> pd.DataFrame:
    """The same with the close of the day before, as one vendor has them."""
    close = bars["close"].shift(1).fillna(bars["open"])
    return bars.assign(
        close=close,
        high=np.maximum(bars["high"], close),
        low=np.minimum(bars["low"], close),
    )


def feed(folder: Path, **gate: Any) -> FeedSpec:
    return FeedSpec.model_validate(
        {
            "name": "eurusd",
            "source": {"kind": "files", "path": str(folder / "*.csv"), "instrument": "EURUSD"},
            "calendar": "24x5",
            "start": "2014-01-01",
            "gate": gate,
        }
    )


def forecast(**changes: Any) -> ForecastSpec:
    return forecast_spec(
        **{
            "features": "ohlc",
            "candidates": ["logistic_regression"],
            "walk_forward": {"first_test": "2015-01-01", "min_train": 250, "refit_every": 252},
            "promotion": {"min_rows": 1000},
            "live_from": "2019-01-01",
            **changes,
        }
    )


def started(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bars: pd.DataFrame, **gate: Any
) -> Platform:
    """A platform on the evening of the newest bar, with its prices in."""
    files = folder / "in"
    files.mkdir(parents=True)
    bars.to_csv(files / "eurusd.csv", index=False)
    platform = Platform(folder, monkeypatch, feeds=[feed(files, **gate)], forecasts=[forecast()])
    platform.travel(f"{bars['date'].iloc[-1]}T23:00:00+00:00")
    result = platform.ingest("2014")
    assert result.success, failures(result)
    return platform


def ledger_of(platform: Platform) -> list[Decision]:
    return SeriesTables(platform.lake, platform.forecasts[0], platform.feeds[0]).ledger()


@pytest.mark.slow
def test_a_stale_close_that_was_let_in_is_held_named_acknowledged_and_never_forgotten(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars, folder = stale(honest_bars()), new_folder()
    today, tomorrow = bars["date"].iloc[-2], bars["date"].iloc[-1]
    platform = started(folder, monkeypatch, bars[:-1], stale_close={"severity": "off"})
    result = platform.retrain()
    assert result.success, failures(result)

    held = ledger_of(platform)[-1]
    assert (held.verdict, held.champion) == ("keep", "base_rate")
    assert "too good: look for a leak" in held.sentence
    first = held.suspicions[0].causes[0]
    assert first.probe == "high and low"
    assert first.vanished > 0.9
    assert "within a bar's range in 100% of bars" in held.sentence
    assert held.failed_checks == ("stale_close",)
    assert FAILED in held.sentence.replace("Made", "made")
    assert held.sentence in failed_checks(result)["plausible"]

    spec, eurusd = platform.forecasts[0], platform.feeds[0]
    assert retrain_reason(SeriesTables(platform.lake, spec, eurusd)) is None
    own = SeriesTables(platform.lake, spec, eurusd)
    for candidate, reason in (("persistence", "I looked at it"), ("logistic_regression", "fine")):
        with pytest.raises(RegistryError):
            acknowledge(own, candidate, reason=reason, by="ada", now=clock.now())
    platform.travel(f"{today}T23:10:00+00:00")
    given = acknowledge(
        own,
        "logistic_regression",
        reason="compared with the broker's own ticks",
        by="ada",
        now=clock.now(),
    )
    assert read_acknowledgements(platform.lake, "direction") == [given]
    assert (
        retrain_reason(SeriesTables(platform.lake, spec, eurusd))
        == "logistic_regression was acknowledged"
    )
    platform.travel(f"{today}T23:20:00+00:00")
    result = platform.retrain()
    assert result.success, failures(result)
    assert "plausible" not in failed_checks(result)
    made = ledger_of(platform)[-1]
    assert (made.verdict, made.champion) == ("replace", "logistic_regression")
    assert made.acknowledgement == given
    manifest = load(platform.lake, "direction").manifest
    tags = (
        MlflowClient(Settings().mlflow_uri).get_model_version_by_alias("direction", "champion").tags
    )
    assert tags["failed_checks"] == "stale_close"
    assert tags["caveat"] == manifest.skill.caveat
    assert tags["decision"] == made.sentence
    assert manifest.failed_checks == ("stale_close",)
    assert FAILED in manifest.skill.caveat
    assert "acknowledged by ada" in manifest.skill.caveat

    bars.to_csv(folder / "in" / "eurusd.csv", index=False)
    platform.travel(f"{tomorrow}T23:00:00+00:00")
    for result in (platform.ingest("2019"), platform.predict(tomorrow)):
        assert result.success, failures(result)
    row = platform.lake.read("predictions", "direction").iloc[-1].to_dict()
    assert row["skill_demonstrated"]
    assert row["failed_checks"] == "stale_close"
    shown = latest_row(platform.lake.read("predictions", "direction"), spec)[-1]
    assert shown.startswith(f"yes, but {FAILED}; beyond what is plausible")
    assert "compared with the broker's own ticks" in shown
    assert f"with demonstrated skill, but {FAILED}" in sentence(row, spec)


@pytest.mark.slow
def test_corrected_bars_make_later_decisions_clean_and_old_rows_keep_their_mark(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = honest_bars()
    folder = new_folder()
    platform = started(
        folder,
        monkeypatch,
        pd.concat([bars[:-300], stale(bars)[-300:]]),
        stale_close={"severity": "warn"},
        revisions={"limit": 1e6},
    )
    assert platform.retrain().success
    today = str(bars["date"].iloc[-1])
    assert platform.predict(today).success
    assert latest_row(platform.lake.read("predictions", "direction"), forecast())[-1] == (
        f"no; {FAILED}. It is the baseline, which claims no skill."
    )

    bars.to_csv(folder / "in" / "eurusd.csv", index=False)
    platform.feeds = [feed(folder / "in", revisions={"limit": 1e6})]
    platform.reload()
    platform.travel(f"{today}T23:30:00+00:00")
    result = platform.ingest("2014")
    assert result.success, failures(result)
    result = platform.retrain()
    assert result.success, failures(result)
    latest = ledger_of(platform)[-1]
    assert latest.failed_checks == ()
    assert "severity lowered" not in latest.sentence
    assert not latest.suspicions
    rows = platform.lake.read("predictions", "direction")
    assert list(rows["failed_checks"]) == ["stale_close"]


@pytest.mark.slow
def test_a_check_that_is_back_to_block_does_not_whitewash_the_bars_it_let_in(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder()
    platform = started(folder, monkeypatch, stale(honest_bars()), stale_close={"severity": "off"})
    platform.feeds = [feed(folder / "in")]
    platform.reload()
    assert platform.retrain().success
    assert ledger_of(platform)[-1].failed_checks == ("stale_close",)


@pytest.mark.slow
def test_a_lowered_check_that_passes_and_defaults_leave_no_mark(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = started(
        new_folder(),
        monkeypatch,
        honest_bars(),
        stale_close={"severity": "off"},
        jumps={"severity": "warn", "limit": 3},
    )
    quality = platform.lake.read("quality", "eurusd")
    assert not quality["overridden"].any()
    assert not quality["passed"].all()
    assert platform.retrain().success
    latest = ledger_of(platform)[-1]
    assert latest.failed_checks == ()
    assert latest.caveat == ""
    assert not latest.suspicions
