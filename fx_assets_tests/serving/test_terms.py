"""A forecast of several horizons is served under its name, and each horizon under its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fx_assets.bundles.bundle import Bundle, Golden, point_to, store_bundle
from fx_assets.evaluation.claim import Claim, Comparison
from fx_assets.evaluation.decision import ledger_table
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.specs.term import DeclaredForecast
from fx_assets.stages.issue import issue_days
from fx_assets.tables import DECISIONS, PREDICTIONS
from fx_assets.testing.lakes import hourly_lake
from fx_assets.testing.lakes.hourly_lake import FEED, NOW
from fx_assets.testing.lakes.samples import linear_graph
from fx_assets.testing.lakes.server_process import serving, until
from serving.client import tables

SAID = {1: 3e-5, 5: 2e-4, 20: 1e-4}
"""By horizon; twenty bars are said to vary less than five."""
_BESIDE = Comparison(benchmark="expanding_mean", loss=1.0, skill=0.1, lower=-0.1, upper=0.3)
CLAIM = Claim(
    word="knows something", rows=500, needed_p=0.05, tried=1, baseline=_BESIDE, reference=_BESIDE
)
RISK = DeclaredForecast.model_validate(
    {
        "name": "risk",
        "feed": FEED.name,
        "target": {"kind": "volatility", "horizon": list(SAID)},
        "features": "ohlc",
        "candidates": ["xgboost"],
        "live_from": "2026-10-29",
    }
)


def bundle(spec: ForecastSpec) -> Bundle:
    like, horizon = hourly_lake.bundle("volatility"), spec.target.horizon
    facts = like.facts.model_copy(
        update={
            "forecast": spec.name,
            "term": spec.term,
            "horizon": horizon,
            "series": series_of(spec, FEED).id,
        }
    )
    golden = Golden.of(np.array([[0.001], [-0.002]]), np.full(2, SAID[horizon]))
    return Bundle(facts, linear_graph([0.0], SAID[horizon]), golden)


def make(root: Path) -> Lake:
    """A lake in which each horizon has issued forecasts."""
    lake = hourly_lake.make(root)
    kept = SeriesTables(lake, hourly_lake.SPECS["volatility"], FEED).ledger()[0]
    for spec in RISK.members:
        own, made = SeriesTables(lake, spec, FEED), bundle(spec)
        own.remember(NOW)
        store_bundle(lake, made)
        point_to(lake, spec.name, 1)
        about = {"forecast": spec.name, "series": own.series.id, "claim": CLAIM}
        own.insert(DECISIONS, ledger_table([kept.model_copy(update=about)]))
        own.insert(PREDICTIONS, issue_days([date(2026, 10, 30)], own, NOW).new_rows)
    return lake


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    root = tmp_path_factory.mktemp("terms") / "lake"
    make(root)
    with serving(root, tmp_path_factory.mktemp("server")) as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        yield running.client


def get(api: httpx.Client, path: str, **parameters: Any) -> Any:
    answer = api.get(f"/v1/forecasts/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_name_of_all_answers_with_the_shortest_and_all_horizons(api: httpx.Client) -> None:
    whole = get(api, "risk/latest")
    shortest = get(api, "risk_h1/latest")
    assert shortest["term"] is None
    assert {n: v for n, v in whole.items() if n not in ("term", "data")} == {
        n: v for n, v in shortest.items() if n not in ("term", "data")
    }
    assert [point["horizon"] for point in whole["term"]] == [1, 5, 20]
    assert [point["issued"] for point in whole["term"]] == list(SAID.values())
    for point in whole["term"]:
        verdict = get(api, f"{point['forecast']}/latest")["skill"]["verdict"]
        assert point["verdict"] == verdict["word"] == CLAIM.word
    tables.show("latest", [whole])


def test_no_horizon_has_less_variance_than_a_shorter_one(api: httpx.Client) -> None:
    points = get(api, "risk/latest")["term"]
    assert [point["value"] for point in points] == [3e-5, 2e-4, 2e-4]
    asked = [get(api, "risk/latest", horizon=horizon) for horizon in SAID]
    assert [one["value"] for one in asked] == [3e-5, 2e-4, 2e-4]
    issued = get(api, "risk_h20/latest")
    assert issued["value"] == 1e-4, "the horizon's own answer is what was issued"
    for name in ("lower", "upper"):
        assert points[2]["interval"][name] == pytest.approx(2 * issued["interval"][name])
        assert asked[2]["interval"][name] == points[2]["interval"][name]
    for mine, theirs in zip(points[2]["quantiles"], issued["quantiles"], strict=True):
        assert mine["value"] == pytest.approx(2 * theirs["value"])
        below = get(api, "risk/latest", horizon=20, below=mine["value"])["below"]
        assert below["probability"] == pytest.approx(mine["level"])


@pytest.mark.parametrize(
    "path", ["history", "performance", "model", "status", "champions", "prices", "latest"]
)
def test_every_route_takes_the_horizon(api: httpx.Client, path: str) -> None:
    for horizon in SAID:
        told, own = get(api, f"risk/{path}", horizon=horizon), get(api, f"risk_h{horizon}/{path}")
        assert told["forecast"] == own["forecast"] == f"risk_h{horizon}"
        assert told.get("rows") == own.get("rows")


def test_bars_of_the_caller_are_predicted_at_the_horizon_that_is_asked_for(
    api: httpx.Client,
) -> None:
    body = {"features": {"return_1": 0.001}}
    for horizon, value in SAID.items():
        answer = api.post(
            "/v1/forecasts/risk/predict/features", params={"horizon": horizon}, json=body
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["value"] == pytest.approx(value)


def test_a_horizon_that_there_is_not_is_refused_with_those_that_there_are(
    api: httpx.Client,
) -> None:
    answer = api.get("/v1/forecasts/risk/latest", params={"horizon": 7})
    assert answer.status_code == 404
    assert answer.json()["type"].endswith(":no-such-horizon")
    assert "1, 5, 20" in answer.json()["remedy"]


def test_the_list_says_which_belong_together(api: httpx.Client) -> None:
    listed = {row["forecast"]: row["term"] for row in api.get("/v1/forecasts").json()["forecasts"]}
    assert {name for name, term in listed.items() if term == "risk"} == {
        "risk_h1", "risk_h5", "risk_h20",
    }  # fmt: skip
    assert listed["hourly_volatility"] is None


FEED_YAML = """
type: fx_assets.components.PriceFeed
attributes:
  name: btcusd
  source: {kind: ccxt, exchange: kraken, symbol: BTC/USD}
  calendar: 24x7
  frequency: 1h
---
type: fx_assets.components.Forecast
attributes:
  name: %s
  feed: btcusd
  target: {kind: volatility, horizon: %s}
  features: ohlc
  candidates: [ewma]
"""


@pytest.mark.slow
def test_a_horizon_that_is_declared_no_more_is_served_under_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, defs = make(tmp_path / "lake"), tmp_path / "defs" / "defs.yaml"
    spec = hourly_lake.SPECS["volatility"]
    defs.parent.mkdir()
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(defs.parent))

    def declare(name: str, horizon: str) -> None:
        defs.write_text(FEED_YAML % (name, horizon))

    declare("risk", "[5, 20]")
    with serving(tmp_path / "lake", tmp_path / "server") as running:
        api = running.client

        def told(path: str) -> Any:
            return api.get(f"/v1/forecasts{path}").json()

        def names() -> set[str]:
            return {one["forecast"] for one in told("")["forecasts"]}

        single = {"hourly_return", spec.name}
        until(lambda: names() == {*single, "risk_h5", "risk_h20"})
        until(lambda: told("/risk/latest").get("horizon") == 5)
        assert [one["horizon"] for one in told("/risk/latest")["term"]] == [5, 20]
        assert api.get("/v1/forecasts/risk_h1/latest").status_code == 404
        assert api.get("/health/ready").status_code == 200
        declare(spec.name, "[1, 5]")
        until(lambda: api.get(f"/v1/forecasts/{spec.name}/latest").status_code == 503)
        assert told(f"/{spec.name}/latest")["type"].endswith(":nothing-published")
        declare("risk", "5")
        until(lambda: names() == single)
        assert told("/risk/latest")["type"].endswith(":nothing-published")
    assert lake.read(PREDICTIONS.name, "risk_h1").shape[0]
