"""Answers name the series that they are about, and an earlier one stays readable."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from fx_assets.bundles.bundle import Bundle, point_to, store_bundle
from fx_assets.evaluation.decision import ledger_table
from fx_assets.series.tables import SeriesTables
from fx_assets.specs.series import series_of
from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.serving.test_declared import BASE, moved
from serving.client.api import Api

OLD = series_of(small_lake.SPEC, small_lake.FEED).id
WEEK = small_lake.SPEC.model_copy(
    update={"target": small_lake.SPEC.target.model_copy(update={"horizon": 5})}
)
NEW = series_of(WEEK, small_lake.FEED).id
ABOUT = ("latest", "history", "performance", "model", "status", "champions", "prices")


@pytest.fixture(
    scope="module", params=["carried", pytest.param("of before", marks=pytest.mark.slow)]
)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A forecast of the next day, of which a forecast of the next week was made."""
    root = tmp_path_factory.mktemp("series") / "lake"
    carried = request.param == "carried"
    with pytest.MonkeyPatch.context() as patch:
        before = small_lake.bundle(1)
        facts = before.facts if carried else before.facts.model_copy(update={"series": ""})
        patch.setattr(
            small_lake, "bundle", lambda _version: Bundle(facts, before.onnx, before.golden)
        )
        lake = small_lake.make(root)
    if carried:
        ledger = ledger_table([small_lake.decision(1).model_copy(update={"series": OLD})])
        lake.replace("decisions", "direction", ledger)
    store_bundle(lake, moved(5))
    point_to(lake, "direction", 2)
    decided = small_lake.decision(2).model_copy(
        update={"series": NEW, "champion": "weekly", "sequence": 0}
    )
    lake.append("decisions", "direction", ledger_table([decided]))
    now = datetime(2026, 10, 30, 17, tzinfo=UTC)
    issued = issue_days([small_lake.LAST], SeriesTables(lake, WEEK, small_lake.FEED), now)
    lake.append("predictions", "direction", issued.new_rows)
    with serving(root, tmp_path_factory.mktemp("server")) as running:
        until(lambda: running.client.get(f"{BASE}/latest").status_code == 200)
        yield running.client


def test_every_answer_names_its_series(api: httpx.Client) -> None:
    for path in ABOUT:
        assert api.get(f"{BASE}/{path}").json()["series"] == NEW, path
    assert api.get("/v1/forecasts").json()["forecasts"][0]["series"] == NEW
    body = small_lake.supplied(small_lake.bars())
    assert api.post(f"{BASE}/predict/bars", json=body).json()["series"] == NEW


def test_what_a_forecast_was_about_is_listed_and_its_rows_are_had_by_that_name(
    api: httpx.Client,
) -> None:
    told = api.get(f"{BASE}/series").json()["series"]
    assert [(one["series"], one["horizon"], one["version"]) for one in told] == [
        (NEW, 5, 2),
        (OLD, 1, 1),
    ]
    assert [one["in_service"] for one in told] == [True, False]

    present = api.get(f"{BASE}/history").json()
    earlier = api.get(f"{BASE}/history", params={"series": OLD}).json()
    assert (present["series"], earlier["series"]) == (NEW, OLD)
    days = [[row["target_day"] for row in page["rows"]] for page in (present, earlier)]
    assert days == [["2026-11-06"], ["2026-11-02"]]
    assert [row["version"] for row in earlier["rows"]] == ["v1"]
    assert api.get(f"{BASE}/history", params={"series": NEW}).json() == present

    reigns = api.get(f"{BASE}/champions", params={"series": OLD}).json()
    assert [reign["champion"] for reign in reigns["reigns"]] == ["linear"]
    assert reigns["series"] == OLD
    scores = api.get(f"{BASE}/performance", params={"series": OLD}).json()
    assert (scores["champion"]["version"], scores["series"]) == (1, OLD)


def test_files_and_the_client_have_earlier_rows_too(api: httpx.Client, tmp_path: Path) -> None:
    asked = {"series": OLD, "format": "parquet"}
    (tmp_path / "old.parquet").write_bytes(api.get(f"{BASE}/history", params=asked).content)
    assert pq.read_table(tmp_path / "old.parquet")["version"].to_pylist() == ["v1"]
    with Api(str(api.base_url)) as client:
        assert [one["series"] for one in client.series("direction")] == [NEW, OLD]
        rows = client.history("direction", "issued", 10, series=OLD)
        assert [row["version"] for row in rows] == ["v1"]
        assert [one["champion"] for one in client.champions("direction", OLD)] == ["linear"]


@pytest.mark.parametrize("path", ["history", "performance", "champions"])
@pytest.mark.parametrize(("series", "status"), [("0" * 16, 404), ("../../x", 422), ("", 422)])
def test_a_series_that_never_was_is_refused_with_the_way_to_the_list(
    api: httpx.Client, path: str, series: str, status: int
) -> None:
    answer = api.get(f"{BASE}/{path}", params={"series": series})
    assert answer.status_code == status
    if status == 404:
        assert (
            answer.json()["remedy"] == "GET /v1/forecasts/direction/series lists what it was about."
        )
