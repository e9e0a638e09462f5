"""The two forecasts of EUR/USD's daily bars: history from a file, then from Twelve Data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.testing.vendors.apis import KEYS, VendorServer
from fx_assets.testing.vendors.files import yahoo
from fx_assets_tests.forecasts.systems import (
    assert_honest,
    assert_reproduced,
    assert_scored,
    declared_feed,
    declared_forecast,
    live,
    must,
    row_of,
    simulated,
)
from fx_assets_tests.platform import Platform, failed_checks, failures, metadata

pytestmark = pytest.mark.slow

KEY = "FX_ASSETS_TWELVE_DATA_KEY"
THURSDAY = datetime(2024, 6, 13, 21, tzinfo=UTC)
FRIDAY, MONDAY = THURSDAY + timedelta(days=1), THURSDAY + timedelta(days=4)
LATER = timedelta(minutes=20)
PRICES = ["open", "high", "low", "close"]
FEED = declared_feed("eurusd_ohlc", "2018-09-03")
SMALL = {
    "random_forest": {"n_estimators": 20},
    "xgboost": {"n_estimators": 30},
    "lstm": {"lookback": 5, "hidden": 4, "max_epochs": 6},
}
RETURN, DIRECTION = (
    declared_forecast(name, "2024-06-10", min_train=250, refit_every=600, trials=3, params=SMALL)
    for name in ("eurusd_daily_return", "eurusd_daily_direction")
)
BOTH = pytest.mark.parametrize("spec", [RETURN, DIRECTION], ids=lambda spec: spec.name)


@dataclass
class Lived:
    """Thursday evening without a key, Friday evening with one, and their runs."""

    platform: Platform
    bars: pd.DataFrame
    thursday: Any
    friday: Any
    trained: dict[str, Any] = field(default_factory=dict)
    issued: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def lived(new_folder: Callable[[], Path]) -> Iterator[Lived]:
    bars = simulated(FEED, MONDAY + LATER, seed=5, price=1.1, annual_volatility=0.08)
    bars[PRICES] = bars[PRICES].round(5)
    folder = new_folder()
    imported = folder / "data" / "import" / "eurusd" / "EURUSD=X.csv"
    imported.parent.mkdir(parents=True)
    known = bars[bars["event_time"] <= THURSDAY]
    text = yahoo(known.assign(event_time=known["event_time"].dt.tz_localize(None)), FEED)
    imported.write_text(text)
    with pytest.MonkeyPatch.context() as patch, VendorServer({"EUR/USD": bars}) as server:
        patch.delenv(KEY, raising=False)
        env = {name: value for name, value in server.env.items() if name != KEY}
        platform = Platform(folder, patch, [FEED], [RETURN, DIRECTION], env)
        platform.travel(THURSDAY + LATER)
        server.now = THURSDAY + LATER
        thursday = must(platform.ingest("2018", "2024", feed=FEED.name))
        lived = Lived(platform, bars, thursday, None)
        for spec in (RETURN, DIRECTION):
            lived.trained[spec.name] = must(platform.retrain(spec.name))
            live(platform, spec, THURSDAY.date())
        patch.setenv(KEY, KEYS["twelve_data"])
        platform.travel(FRIDAY + LATER)
        server.now = FRIDAY + LATER
        lived.friday = must(platform.ingest("2024", "2024", feed=FEED.name))
        for spec in (RETURN, DIRECTION):
            lived.issued[spec.name] = live(platform, spec, FRIDAY.date())
        yield lived


def test_without_a_key_the_files_answer_and_the_check_names_the_variable(lived: Lived) -> None:
    warned = failed_checks(lived.thursday)
    # The simulated prices are not those of the EUR/USD that the ECB fixed.
    assert set(warned) == {"live_source", "references"}
    assert f"{KEY} is not set" in warned["live_source"]
    assert "live_source" not in failed_checks(lived.friday)


def test_every_row_says_whom_it_came_from(lived: Lived) -> None:
    prices = lived.platform.lake.prices(FEED.name)
    until = lived.bars[lived.bars["event_time"] <= FRIDAY]
    assert list(prices["event_time"]) == list(until["event_time"])
    assert np.array_equal(prices[PRICES].to_numpy(), until[PRICES].to_numpy())
    # The declared provider is asked for the three newest once more: it has no volume.
    assert list(prices["source"]) == ["files"] * (len(prices) - 4) + ["twelve_data"] * 4
    raw = lived.platform.lake.read("raw_prices", FEED.name)
    assert list(raw["source"]).count("files") == len(prices) - 1


def test_where_nobody_answers_the_error_says_why_of_each(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    platform = Platform(tmp_path, monkeypatch, [FEED], [])
    platform.travel(THURSDAY + LATER)
    result = platform.ingest("2018", "2024", feed=FEED.name)
    assert not result.success
    said = failures(result)
    assert f"{KEY} is not set" in said
    assert "data/import/eurusd" in said


@BOTH
def test_fridays_forecast_is_for_monday_and_thursdays_has_come_true(
    lived: Lived, spec: Any
) -> None:
    thursday, friday = (row_of(lived.platform, spec, at) for at in (THURSDAY, FRIDAY))
    assert (thursday["decision_time"], thursday["target_time"]) == (THURSDAY, FRIDAY)
    assert (friday["decision_time"], friday["target_time"]) == (FRIDAY, MONDAY)
    assert (thursday["mode"], friday["mode"]) == ("live", "live")
    assert_scored(lived.platform, spec, THURSDAY)


def test_a_return_is_told_with_the_close_that_it_implies(lived: Lived) -> None:
    row = row_of(lived.platform, RETURN, FRIDAY)
    said = metadata(lived.issued[RETURN.name], f"{RETURN.name}/predictions")["latest"]
    assert f"({row['as_of_close'] * np.exp(row['prediction']):.4f})" in said
    assert f"({row['as_of_close'] * np.exp(row['upper']):.4f})" in said
    assert "for 2024-06-17" in said


@BOTH
def test_every_declared_candidate_was_judged_and_nothing_was_seen_before_its_time(
    lived: Lived, spec: Any
) -> None:
    decision = assert_honest(lived.platform, spec)
    tried = [c for c in spec.all_candidates if c != spec.baseline]
    tuned = [c for c in tried if c.tune is not None]
    assert decision.trials == len(tried) + sum(c.tune.trials - 1 for c in tuned)
    assert bool(tuned) == (spec is DIRECTION)


def test_pr_auc_stands_beside_the_share_of_ups(lived: Lived) -> None:
    scores = lived.platform.lake.read("scores", DIRECTION.name)
    scores = scores[scores["metric"] == "pr_auc"]
    assert set(scores["candidate"]) == {c.name for c in DIRECTION.all_candidates}
    rows = lived.platform.lake.read("backtest", DIRECTION.name)
    ups = rows.drop_duplicates("event_time")["target"].mean()
    assert scores["baseline_value"].to_numpy() == pytest.approx(ups)
    for candidate in DIRECTION.all_candidates:
        key = f"{DIRECTION.name}/models/{candidate.name}"
        table = metadata(lived.trained[DIRECTION.name], key)["scores"]
        (line,) = (line for line in table.splitlines() if line.startswith("| pr_auc"))
        assert f"| {ups:.6g} |" in line


@BOTH
def test_a_forecast_that_is_asked_for_again_comes_out_the_same(lived: Lived, spec: Any) -> None:
    assert_reproduced(lived.platform, spec, FRIDAY.date())


def test_the_daily_forecast_is_watched(lived: Lived) -> None:
    result = must(lived.platform.run(f"{RETURN.name}_monitor"))
    found = metadata(result, f"{RETURN.name}/drift_report")
    assert found["verdict"] in ("ok", "unusual", "drift"), found["sentence"]
    assert "broken_features" not in failed_checks(result)
    table = lived.platform.lake.read("performance", RETURN.name)
    assert table["rows"].tolist() == [1]
