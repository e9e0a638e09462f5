"""What has to be said with a forecast's skill is in every answer about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving
from fx_assets_tests.serving.test_champions import until
from serving.client import tables

FORECAST = "/v1/forecasts/direction"
CAVEAT = "made from bars that failed stale_close (severity lowered in the feed)"


@pytest.mark.slow
def test_bars_that_failed_a_lowered_check_are_named_by_every_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = small_lake.make(tmp_path / "lake", issue=False)
    now = small_lake.TARGET.available_at(small_lake.LAST)
    rows = issue_days([small_lake.LAST], small_lake.own(lake), now).new_rows
    assert list(rows["failed_checks"]) == list(rows["caveat"]) == [""]
    lake.append("predictions", "direction", rows.assign(failed_checks="stale_close", caveat=CAVEAT))
    with serving(tmp_path / "lake", tmp_path / "home") as running:
        api = running.client
        until(lambda: api.get(f"{FORECAST}/latest").status_code == 200)
        latest = api.get(f"{FORECAST}/latest").json()
        (listed,) = api.get("/v1/forecasts").json()["forecasts"]
        card = api.get(f"{FORECAST}/model").json()
        (row,) = api.get(f"{FORECAST}/history").json()["rows"]
        issued = api.get(f"{FORECAST}/history", params={"format": "csv"}).text
        metrics = api.get("/metrics").text
        page = api.get("/").text
    for answer in (latest, listed, card):
        assert answer["skill"]["demonstrated"] is True
        assert answer["skill"]["caveat"] == CAVEAT
        assert answer["skill"]["failed_checks"] == ["stale_close"]
    assert f"with demonstrated skill, but {CAVEAT}" in latest["sentence"]
    assert row["caveat"] == CAVEAT
    assert CAVEAT in issued
    assert 'fx_skill_caveat{forecast="direction"} 1.0' in metrics
    assert 'fx_failed_checks{forecast="direction"} 1.0' in metrics
    assert "<title>" in page

    tables.show("latest", [latest])
    assert f"skill demonstrated, but {CAVEAT}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_rows_of_before_the_column_existed_have_no_caveat(tmp_path: Path) -> None:
    lake = small_lake.make(tmp_path / "lake", issue=False)
    now = small_lake.TARGET.available_at(small_lake.LAST)
    rows = issue_days([small_lake.LAST], small_lake.own(lake), now).new_rows
    lake.append("predictions", "direction", rows.drop(columns=["failed_checks", "caveat"]))
    with serving(tmp_path / "lake", tmp_path / "home") as running:
        until(lambda: running.client.get(f"{FORECAST}/latest").status_code == 200)
        latest = running.client.get(f"{FORECAST}/latest").json()
        (row,) = running.client.get(f"{FORECAST}/history").json()["rows"]
    assert latest["skill"]["caveat"] is None
    assert latest["skill"]["failed_checks"] == []
    assert row["caveat"] is None
    assert latest["sentence"].endswith("with demonstrated skill.")
