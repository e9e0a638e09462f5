"""Returns, variances and crosses on the ECB's real fixings, through the same graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.testing import worlds
from fx_assets_tests.platform import (
    Platform,
    failures,
    feed_spec,
    forecast_spec,
    metadata,
    rates_of,
)

TODAY, TOMORROW = "2018-03-28", "2018-03-29"


@pytest.fixture(scope="module")
def real(new_folder: Callable[[], Path]) -> Platform:
    """Two evenings of a return of EUR/USD and a variance of GBP/USD, each by real fixings."""
    rates = pd.concat(
        [
            rates_of(worlds.ecb_bars("EUR", code, "2014-01-02", TOMORROW), code)
            for code in ("USD", "GBP")
        ],
        axis=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        platform = Platform(
            new_folder(),
            patch,
            feeds=[
                feed_spec(),
                feed_spec(name="gbpusd", source={"kind": "ecb", "base": "GBP", "quote": "USD"}),
            ],
            forecasts=[
                forecast_spec(name="level", target={"kind": "return"}, candidates=["ridge"]),
                forecast_spec(
                    name="risk",
                    feed="gbpusd",
                    target={"kind": "volatility", "horizon": 1},
                    candidates=["ewma"],
                ),
            ],
        )
        for day in (TODAY, TOMORROW):
            platform.arrive(rates, day)
            for feed in ("eurusd", "gbpusd"):
                result = platform.ingest(feed=feed)
                assert result.success, failures(result)
            for forecast in ("level", "risk"):
                if day == TODAY:
                    result = platform.retrain(forecast)
                    assert result.success, failures(result)
                result = platform.predict(day, forecast=forecast)
                assert result.success, failures(result)
                latest = metadata(result, f"{forecast}/predictions")["latest"]
                assert latest.startswith(f"{'EURUSD' if forecast == 'level' else 'GBPUSD'} as of")
        return platform


@pytest.fixture(autouse=True)
def _environment(real: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FX_ASSETS_HOME", str(real.folder))
    monkeypatch.setenv("FX_ASSETS_NOW", f"{TOMORROW}T18:00:00+00:00")


def test_a_cross_is_the_ratio_of_two_euro_rates_of_the_same_fixing(real: Platform) -> None:
    cross = real.lake.read("prices", "gbpusd").set_index("event_time")["close"].sort_index()
    truth = worlds.ecb_bars("GBP", "USD", "2014-01-02", TOMORROW).set_index("event_time")["close"]
    np.testing.assert_allclose(cross, truth, rtol=1e-4)
    assert cross.index.equals(truth.index)


def test_one_download_serves_both_feeds(real: Platform) -> None:
    payloads = [set(real.lake.read("sources", feed)["sha256"]) for feed in ("eurusd", "gbpusd")]
    assert payloads[0] == payloads[1]


def test_a_return_is_scored_by_its_squared_error_and_its_interval(real: Platform) -> None:
    rows = real.predictions("level")
    assert list(rows.index) == [TODAY, TOMORROW]
    assert (rows["prediction"] == 0).all(), "the random walk is the first champion"
    assert (rows["lower"] < 0).all()
    assert (rows["upper"] > 0).all()
    (outcome,) = real.lake.read("outcomes", "level").to_dict("records")
    closes = rows["as_of_close"]
    assert outcome["target"] == pytest.approx(np.log(closes[TOMORROW] / closes[TODAY]))
    assert outcome["loss"] == pytest.approx(outcome["target"] ** 2)
    inside = rows["lower"][TODAY] <= outcome["target"] <= rows["upper"][TODAY]
    assert outcome["inside_interval"] == inside


def test_a_variance_is_positive_and_scored_against_what_was_realised(real: Platform) -> None:
    rows = real.predictions("risk")
    assert (rows["prediction"] > 0).all()
    assert (rows["baseline"] > 0).all()
    (outcome,) = real.lake.read("outcomes", "risk").to_dict("records")
    closes = rows["as_of_close"]
    assert outcome["target"] == pytest.approx(np.log(closes[TOMORROW] / closes[TODAY]) ** 2)
    assert outcome["loss"] > 0


def test_another_forecast_on_the_same_feed_keeps_tables_of_its_own(real: Platform) -> None:
    assert real.lake.names("predictions") == ["level", "risk"]
    assert real.lake.names("prices") == ["eurusd", "gbpusd"]
