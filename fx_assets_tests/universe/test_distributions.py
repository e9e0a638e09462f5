"""A universe's targets state distributions and calibrated probabilities, as forecasts do."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.evaluation.universe import CACHE_COLUMNS, walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.lake import Lake
from fx_assets.lake.below import Below, member_folder
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.universe.helpers import issued, prices_of, universe, walk

pytestmark = pytest.mark.slow
LEVELS = [0.1, 0.5, 0.9]
SPEC = universe(
    targets=[
        {"kind": "direction", "candidates": ["logistic_regression"], "calibrate": True},
        {"kind": "volatility", "candidates": ["ewma"], "quantiles": LEVELS},
    ],
    workers=1,
)
NAME = "EURAAA"


def prices() -> pd.DataFrame:
    return prices_of({NAME: walk(1300, 0)})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    known = prices()
    table = membership(known, SPEC.membership, SPEC.market)
    return walk_universe(SPEC, known, table, pd.DataFrame())


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame) -> Lake:
    """A universe whose candidates predict."""
    root, known = tmp_path_factory.mktemp("lake"), prices()
    now = known["available_at"].max().to_pydatetime()
    issued(root, SPEC, known, rows, now, may_predict=True)
    return Lake(str(root))


def test_directions_are_shrunk_to_the_base_rate_and_walked_forward_once(
    rows: pd.DataFrame, lake: Lake
) -> None:
    direction, other = (rows[rows["kind"] == kind] for kind in ("direction", "volatility"))
    assert other["uncalibrated"].isna().all()
    raw, made, base = (direction[n] for n in ("uncalibrated", "prediction", "baseline"))
    assert (np.abs(made - base) <= np.abs(raw - base) + 1e-12).all()
    assert not np.allclose(made, raw)
    known = prices()
    table = membership(known, SPEC.membership, SPEC.market)
    assert walk_universe(SPEC, known, table, rows[[*CACHE_COLUMNS, "uncalibrated"]]).empty
    bundle = load(Below(lake, member_folder(SPEC.name, NAME, "direction", 1)), SPEC.name)
    assert bundle.manifest.candidate == "logistic_regression"
    assert 0 <= float(str(bundle.manifest.params["calibration"])) < 1
    shadows = lake.read("shadow_predictions", SPEC.name)
    assert set(shadows["candidate"]) == {
        "base_rate", "logistic_regression", "expanding_mean", "ewma"
    }  # fmt: skip


def test_quantiles_are_issued_scored_and_kept(lake: Lake) -> None:
    said = lake.read("predictions", SPEC.name).set_index("kind")
    assert not said.loc["direction", "distribution"]
    stated = json.loads(said.loc["volatility", "distribution"])
    assert stated["levels"] == LEVELS
    assert stated["values"] == sorted(stated["values"])
    kept = lake.read("quantiles", SPEC.name)
    assert set(kept["kind"]) == {"volatility"}
    assert set(kept["candidate"]) == {"expanding_mean", "ewma"}
    wide = kept[kept["candidate"] == "ewma"].pivot_table(
        index="event_time", columns="level", values="value"
    )
    assert list(wide) == LEVELS
    assert (wide.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    scores = lake.read("scores", SPEC.name)
    assert set(scores["kind"]) == {"volatility"}
    assert {"crps", "log_score", "pinball", "pit_p_value"} <= set(scores["metric"])


def test_they_are_served_by_instrument(lake: Lake, tmp_path: Path) -> None:
    now = prices()["available_at"].max() + timedelta(minutes=5)
    with serving(lake.root, tmp_path / "served", now=now.isoformat()) as running:
        api, base = running.client, f"/v1/forecasts/{SPEC.name}"
        until(lambda: bool(api.get("/v1/forecasts").json().get("universes")))
        mine = {"instrument": NAME, "target": "volatility"}
        latest = api.get(f"{base}/latest", params=mine | {"below": "0.0001"})
        assert latest.status_code == 200, latest.text
        answer = latest.json()
        values = [one["value"] for one in answer["quantiles"]]
        assert [one["level"] for one in answer["quantiles"]] == LEVELS
        assert values == sorted(values)
        assert 0 < answer["below"]["probability"] < 1
        found = api.get(f"{base}/performance", params=mine).json()
        assert found["calibration"]["family"] == "conformal"
        assert {"qlike", "crps", "log_score"} <= {one["metric"] for one in found["backtest"]}
        other = api.get(f"{base}/latest", params=mine | {"target": "direction"}).json()
        assert other["quantiles"] is None
