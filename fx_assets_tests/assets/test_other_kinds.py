"""Returns, variances and crosses on the ECB's real fixings, through the same graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.evaluation.stated import Stated
from fx_assets.testing import worlds
from fx_assets_tests.platform import (
    Platform,
    failures,
    feed_spec,
    forecast_spec,
    metadata,
    rates_of,
)

pytestmark = pytest.mark.slow
LEVELS = (0.1, 0.5, 0.9)
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
                forecast_spec(
                    name="level",
                    target={"kind": "return"},
                    candidates=["ridge"],
                    quantiles=LEVELS,
                ),
                forecast_spec(
                    name="risk",
                    feed="gbpusd",
                    target={"kind": "volatility", "horizon": 1},
                    candidates=["ewma"],
                    distribution=True,
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


@pytest.mark.parametrize("name", ["level", "risk"])
def test_quantiles_are_issued_walked_forward_and_scored(real: Platform, name: str) -> None:
    levels = LEVELS if name == "level" else (0.05, 0.25, 0.5, 0.75, 0.95)
    rows = real.predictions(name)
    for row in rows.to_dict("records"):
        told = Stated.model_validate_json(row["distribution"])
        assert told.levels == levels
        assert list(told.values) == sorted(told.values)
        assert told.family == ("garch_t" if name == "level" else "conformal")
        if name == "risk":
            ends = told.values[0], told.values[-1]
            assert ends == pytest.approx((row["lower"], row["upper"])), "one statement, not two"
    (outcome,) = real.lake.read("outcomes", name).to_dict("records")
    told = Stated.model_validate_json(rows["distribution"][TODAY])
    assert outcome["pit"] == pytest.approx(told.distribution.below(outcome["target"]))
    walked = real.lake.read("quantiles", name)
    assert set(walked["level"]) == set(levels)
    assert not walked.duplicated(["recipe", "event_time", "level"]).any()
    wide = walked.pivot(index=["recipe", "event_time"], columns="level", values="value")
    assert (wide.diff(axis=1).iloc[:, 1:] > 0).all().all()
    scores = real.lake.read("scores", name).groupby("metric")["n"].min()
    assert scores["crps"] == scores["pit_p_value"] == len(wide) / walked["recipe"].nunique()


@pytest.mark.slow
def test_a_distribution_that_is_asked_for_later_comes_with_the_next_retrain(
    real: Platform,
) -> None:
    asked = {"quantiles": (0.01, 0.99), "distribution": "quantile_xgboost"}
    real.forecasts[0] = real.forecasts[0].model_copy(update=asked)
    real.reload()
    result = real.retrain("level")
    assert result.success, failures(result)
    last = real.lake.read("decisions", "level").sort_values("sequence").iloc[-1]
    assert last["verdict"] == "refresh"
    assert "another distribution than v1 states" in last["sentence"]
    champion = load(real.lake, "level").manifest
    assert champion.version == 2
    assert champion.distribution is not None
    assert champion.distribution.quantiles == (0.01, 0.99)
    assert champion.distribution.boosted is not None
    assert champion.distribution.measured is not None
