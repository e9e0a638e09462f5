"""A champion that is asked about what it never saw is not heard, issued or served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from fx_assets.bundles.bundle import Bundle, point_to, store_bundle
from fx_assets.evaluation.novelty import Novelty
from fx_assets.features import labelled_frame
from fx_assets.lake import Lake
from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until

FORECAST = "/v1/forecasts/direction"
USUAL = {"return_1": 0.0, "rsi_14": 50.0, "volatility_21": 0.005}
NARROW = Novelty(
    centre=(0.0, 50.0, 0.005), below=(1.0, 1.0, 1.0), above=(1.0, 1.0, 1.0), limit=2.0, rate=0.001
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The small lake, whose champion knows strengths of 48 to 52 alone."""
    lake = small_lake.make(tmp_path_factory.mktemp("abstaining") / "lake", issue=False)
    made = small_lake.bundle(1)
    facts = made.facts.model_copy(update={"novelty": NARROW})
    store_bundle(lake, Bundle(facts, made.onnx, made.golden), overwrite=True)
    point_to(lake, "direction", 1)
    now = small_lake.TARGET.available_at(small_lake.LAST) + timedelta(hours=1)
    issued = issue_days([small_lake.LAST], small_lake.own(lake), now)
    lake.append("predictions", "direction", issued.new_rows)
    return lake


@pytest.fixture(scope="module")
def api(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(Path(lake.root), tmp_path_factory.mktemp("server")) as running:
        until(lambda: running.client.get(f"{FORECAST}/latest").status_code == 200)
        yield running.client


def test_an_issued_row_says_what_the_reference_says_and_why(lake: Lake, api: httpx.Client) -> None:
    row = lake.read("predictions", "direction").iloc[-1]
    frame = labelled_frame(small_lake.bars(), small_lake.SPEC, small_lake.TARGET).iloc[-1]
    assert abs(frame["rsi_14"] - 50) > 2
    assert row["abstained"]
    assert row["prediction"] == row["baseline"]
    assert f"rsi_14 is {frame['rsi_14']:.4g}" in row["out_of_range"]
    answer = api.get(f"{FORECAST}/latest").json()
    assert answer["value"] == row["baseline"]
    assert answer["abstained"] == row["out_of_range"]
    assert "which is the reference's" in answer["sentence"]
    assert 'fx_abstained{forecast="direction"} 1.0' in api.get("/metrics").text


def test_a_supplied_row_abstains_as_an_issued_one_does(lake: Lake, api: httpx.Client) -> None:
    row = lake.read("predictions", "direction").iloc[-1]
    bars = small_lake.supplied(small_lake.bars())
    made = api.post(f"{FORECAST}/predict/bars", json=bars).json()
    assert (made["value"], made["abstained"]) == (row["prediction"], row["out_of_range"])
    heard = api.post(f"{FORECAST}/predict/features", json={"features": USUAL}).json()
    assert heard["abstained"] is None
    assert heard["value"] == pytest.approx(float(np.dot([0, 50, 0.005], small_lake.WEIGHTS)) + 0.45)
    strange = {**USUAL, "rsi_14": 90.0}
    other = api.post(f"{FORECAST}/predict/features", json={"features": strange}).json()
    assert other["abstained"] == "rsi_14 is 90, 20 times as far out as allowed"
    assert other["value"] == other["baseline"]["value"]


def test_an_answer_says_until_when_it_is_good(lake: Lake, api: httpx.Client) -> None:
    row = lake.read("predictions", "direction").iloc[-1]
    answer = api.get(f"{FORECAST}/latest").json()
    due = small_lake.TARGET.publication(
        small_lake.TARGET.next_close(row["event_time"].to_pydatetime())
    )
    assert row["good_until"] == due
    assert answer["good_until"] == f"{due:%Y-%m-%dT%H:%M:%SZ}"
    assert answer["expired"] == (answer["data"]["missing_bars"] > 0)
    assert not answer["expired"]


@pytest.mark.slow
def test_past_that_it_is_marked(lake: Lake, tmp_path: Path) -> None:
    later = (small_lake.TARGET.available_at(small_lake.LAST) + timedelta(days=10)).isoformat()
    with serving(Path(lake.root), tmp_path, now=later) as running:
        until(lambda: running.client.get(f"{FORECAST}/latest").status_code == 200)
        assert running.client.get(f"{FORECAST}/latest").json()["expired"] is True
        assert 'fx_expired{forecast="direction"} 1.0' in running.client.get("/metrics").text
