"""A declared strategy from prices to tables, Dagster, MLflow and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from pydantic import ValidationError

from fx_assets import clock
from fx_assets.components.declared import candidate_mistakes, declared
from fx_assets.registry.runs import ModelRegistry
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import ForecastSpec
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.due import retrain_reason
from fx_assets.stages.economics import earned_text, weigh_economics
from fx_assets.tables import BACKTEST, ECONOMICS, OUTCOMES, PREDICTIONS, STRATEGY_ROWS
from fx_assets.testing import worlds
from fx_assets_tests.platform import (
    TARGET,
    Platform,
    evening,
    failures,
    feed_spec,
    forecast_spec,
    metadata,
    rates_of,
)

pytestmark = pytest.mark.slow

COSTS: dict[str, Any] = {
    "unit": "pips",
    "spread": 0.8,
    "commission": 0.3,
    "swap_long": -0.6,
    "swap_short": 0.1,
}


def forecast(**costs: Any) -> ForecastSpec:
    return forecast_spec(
        candidates=["logistic_regression"],
        strategy={"kind": "sign", "costs": COSTS | costs},
    )


@pytest.fixture
def platform(new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Platform:
    bars = worlds.random_walk(1600, seed=3, start="2014-01-02")
    rates = rates_of(bars)
    made = Platform(new_folder(), monkeypatch, feeds=[feed_spec()], forecasts=[forecast()])
    made.publish(rates)
    made.travel(evening(rates.index[-1]))
    result = made.ingest("2014")
    assert result.success, failures(result)
    return made


def issue_live(own: SeriesTables, n: int) -> None:
    """Predictions as if the newest walk-forward rows had been issued in time, with outcomes."""
    said = own.read(BACKTEST)
    said = said[said["candidate"] == "logistic_regression"].sort_values("event_time").tail(n)
    own.insert(PREDICTIONS, said[["event_time", "prediction"]].assign(mode="live"))
    known = said[["event_time", "target"]].assign(known_at=said["label_available_at"])
    own.insert(OUTCOMES, known)


def weigh_live(own: SeriesTables) -> pd.DataFrame:
    """The figures of what was issued live, weighed anew."""
    settings = Settings()
    registry = ModelRegistry(settings.mlflow_uri, settings.mlflow_artifact_root)
    study, now = own.study(own.frame()), clock.now() + timedelta(minutes=1)
    found = weigh_economics(
        own,
        own.ledger(),
        lambda candidate: study.walk_forward(candidate).predictions,
        study.frame["available_at"].max(),
        registry=registry,
        run_id="",
        now=now,
    )
    assert found is not None
    return found.figures[found.figures["evidence"] == "live"]


def test_what_it_would_have_earned_stands_beside_the_verdict(platform: Platform) -> None:
    result = platform.retrain()
    assert result.success, failures(result)
    own = SeriesTables(platform.lake, platform.forecasts[0], platform.feeds[0])
    figures, rows = own.read(ECONOMICS), own.read(STRATEGY_ROWS)
    assert set(figures["candidate"]) == {"base_rate", "logistic_regression"}
    mine = rows[rows["candidate"] == "logistic_regression"].sort_values("filled_at")
    values = figures[figures["candidate"] == "logistic_regression"].set_index("figure")["value"]
    net = mine["gross"] - mine["cost"] + mine["swap"]
    assert mine["net"].to_numpy() == pytest.approx(net.to_numpy())
    assert values["net_return"] == pytest.approx(net.mean() * TARGET.bars_a_year)
    ratio = net.mean() / net.std() * TARGET.bars_a_year**0.5
    assert values["sharpe"] == pytest.approx(ratio)
    assert 0 < values["deflated_sharpe"] < 1
    assert 0 < values["backtest_overfitting"] < 1
    assert (mine["filled_at"] >= mine["decided_at"]).all()

    prices = own.bars(["event_time", "close"]).set_index("event_time")["close"]
    assert (mine["price"].to_numpy() == prices.loc[mine["filled_at"]].to_numpy()).all()

    told = metadata(result, "direction/champion")
    assert told["economics"] == earned_text(own)
    assert told["economics"].startswith("Following the sign of the forecast, filled at the next")
    assert "| Sharpe ratio after costs, a year |" in told["economics_figures"]
    assert "data:image/svg" in told["would_have_earned"]

    run = platform.lake.read("scores", "direction").set_index("candidate")["mlflow_run_id"]
    logged = MlflowClient(Settings().mlflow_uri).get_run(run["logistic_regression"].iloc[0])
    assert logged.data.metrics["economics_sharpe"] == pytest.approx(values["sharpe"])

    assert set(figures["evidence"]) == {"backtest"}
    issue_live(own, 40)
    live = weigh_live(own)
    assert set(live["candidate"]) == {"issued"}
    assert not {"deflated_sharpe", "backtest_overfitting"} & set(live["figure"])
    assert live["sentence"].iloc[0].split("pips), ")[1].startswith("what was issued live would")
    rows = own.read(STRATEGY_ROWS)
    lived = rows[rows["evidence"] == "live"]
    net = (lived["gross"] - lived["cost"] + lived["swap"]).mean()
    assert 30 < len(lived) <= 40
    year = live.set_index("figure")["value"]
    assert year["net_return"] == pytest.approx(net * TARGET.bars_a_year)

    assert retrain_reason(own) is None
    dearer = SeriesTables(platform.lake, forecast(spread=2.0), platform.feeds[0])
    assert retrain_reason(dearer) == "its strategy has not been weighed as it is declared now"
    assert earned_text(dearer) == ""
    later = figures["measured_at"].max() + pd.Timedelta(1, "D")
    own.insert(ECONOMICS, figures.assign(strategy=dearer.spec.strategy.id, measured_at=later))
    assert retrain_reason(dearer) is None
    assert retrain_reason(own) == "its strategy has not been weighed as it is declared now"


def test_a_strategy_that_cannot_be_weighed_is_refused_and_the_decision_stands(
    platform: Platform,
) -> None:
    broken = forecast().model_copy(
        update={"strategy": forecast().strategy.model_copy(update={"fill": "next_open"})}
    )
    platform.forecasts = [broken]
    platform.reload()
    result = platform.retrain()
    assert result.success, failures(result)
    own = SeriesTables(platform.lake, broken, platform.feeds[0])
    assert own.ledger()[-1].champion == "base_rate"
    figures = own.read(ECONOMICS)
    assert list(figures["figure"]) == ["refused"]
    assert pd.isna(figures["value"]).all()
    assert "without an open" in earned_text(own)
    assert retrain_reason(own) is None


def test_a_declaration_says_what_a_pip_is_and_fills_at_prices_that_there_are() -> None:
    feeds = declared().feeds
    for feed, fill, features, loc, message in (
        ("btcusd_daily", "next_close", "price_cap_volume", "costs", "has no customary pip"),
        ("ecb_eurusd", "next_open", "fx_close", "fill", "choose next_close"),
    ):
        spec = ForecastSpec.model_validate(
            {
                "name": "f",
                "feed": feed,
                "target": {"kind": "return"},
                "candidates": ["historical_mean"],
                "features": features,
                "strategy": {"kind": "sign", "fill": fill, "costs": COSTS},
            }
        )
        (mistake,) = candidate_mistakes(spec, feeds)
        assert mistake.loc[:2] == ("strategy", loc)
        assert message in mistake.message


def test_a_universe_refuses_a_strategy() -> None:
    target = {"kind": "direction", "candidates": ["logistic_regression"], "strategy": "sign"}
    with pytest.raises(ValidationError, match=r"strategy"):
        UniverseSpec.model_validate({"name": "u", "source": {"kind": "ecb"}, "targets": [target]})
