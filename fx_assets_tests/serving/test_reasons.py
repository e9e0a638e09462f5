"""The server says why: what moved a forecast, and who was champion when."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.explaining.explain import Explanation, explain, make_background
from fx_assets.explaining.explanations import explanation_paths, keep_explanation
from fx_assets.lake import Lake
from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running, serving
from fx_assets_tests.serving.test_champions import until

FORECAST = "/v1/forecasts/direction"
BEFORE = date(2026, 10, 29)


def explained(lake: Lake) -> Explanation:
    """Issue the newest two days as a run does; the newest is explained and kept."""
    now = datetime(2026, 10, 30, 16, tzinfo=UTC)
    days = [BEFORE, small_lake.LAST]
    issued = issue_days(days, small_lake.own(lake), now)
    lake.append("predictions", "direction", issued.new_rows)
    assert issued.newest is not None
    assert issued.latest is not None
    bundle = load(lake, "direction")
    inputs, _ = bundle.golden.arrays()
    said = explain(bundle, issued.newest.values, make_background(bundle.manifest, inputs))
    assert keep_explanation(lake, said, issued.latest)
    return said


@pytest.fixture(scope="module")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Explanation]]:
    folder = tmp_path_factory.mktemp("reasons")
    said = explained(small_lake.make(folder / "lake", issue=False))
    with serving(folder / "lake", folder / "home") as server:
        until(lambda: server.client.get(f"{FORECAST}/latest").status_code == 200)
        yield server, said


def test_the_newest_forecast_is_explained_as_it_was_when_it_was_issued(
    reasons: tuple[Running, Explanation],
) -> None:
    server, said = reasons
    answer = server.client.get(f"{FORECAST}/latest/explanation")
    found = answer.json()
    latest = server.client.get(f"{FORECAST}/latest").json()
    assert found["prediction"] == latest["value"]
    assert found["decision_time"] == latest["decision_time"]
    assert found["version"] == latest["champion"]["version"]
    assert found["sentence"] == said.sentence
    effects = {one["name"]: one["effect"] for one in found["contributions"]}
    assert effects == {one.name: one.effect for one in said.contributions}
    assert set(effects) == set(small_lake.COLUMNS)
    assert found["base"] + sum(effects.values()) == pytest.approx(found["total"])
    etag = {"if-none-match": answer.headers["etag"]}
    assert server.client.get(f"{FORECAST}/latest/explanation", headers=etag).status_code == 304


def test_a_past_forecast_is_explained_or_says_how_it_can_be(
    reasons: tuple[Running, Explanation],
) -> None:
    client = reasons[0].client

    def asked(day: str) -> httpx.Response:
        return client.get(f"{FORECAST}/issued/explanation", params={"date": day})

    assert asked("2026-10-31").json() == client.get(f"{FORECAST}/latest/explanation").json()
    for day, kind, remedy in (
        (BEFORE.isoformat(), "not-explained", "direction/predictions of 2026-10-29"),
        ("2020-01-01", "nothing-issued-then", "mode=backtest"),
    ):
        refused = asked(day)
        assert refused.status_code == 404
        assert refused.json()["type"].endswith(kind)
        assert remedy in refused.json()["remedy"]
    assert client.get("/v1/forecasts/nobody/latest/explanation").status_code == 404


def test_the_history_of_champions_is_told_with_its_evidence(
    reasons: tuple[Running, Explanation],
) -> None:
    answer = reasons[0].client.get(f"{FORECAST}/champions").json()
    (reign,) = answer["reigns"]
    assert (reign["champion"], reign["how"], reign["until"]) == ("linear", "replace", None)
    assert (reign["why"], reign["versions"], reign["rows"]) == ("It was better.", [1], 3000)


def test_the_client_asks_why(reasons: tuple[Running, Explanation]) -> None:
    server, said = reasons

    def ask(*command: str) -> dict[str, object]:
        client = [sys.executable, "-m", "serving.client", *command]
        url = ["--url", str(server.client.base_url)]
        shown = subprocess.run([*client, *url], capture_output=True, text=True, check=True)
        answer: dict[str, object] = json.loads(shown.stdout)
        return answer

    assert ask("why", "direction")["sentence"] == said.sentence
    assert ask("why", "direction", "--date", "2026-11-01")["sentence"] == said.sentence
    assert len(ask("champions", "direction")["reigns"]) == 1  # type: ignore[arg-type]


@pytest.mark.slow
def test_live_skill_is_a_metric_that_follows_the_newest_look(tmp_path: Path) -> None:
    lake = small_lake.make(tmp_path / "lake")

    def look(day: int, skill: float, alarm: bool) -> None:
        row = {"measured_at": pd.Timestamp(2026, 10, day, tz="UTC"), "alarm": alarm, "rows": 40}
        bounds = {"skill": skill, "skill_lower": np.nan, "skill_upper": np.nan}
        lake.append("performance", "direction", pd.DataFrame([row | bounds]))

    def told(server: Running) -> dict[str, str]:
        lines = server.client.get("/metrics").text.splitlines()
        values = (line.split() for line in lines if '{forecast="direction"}' in line)
        return {name.partition("{")[0]: value for name, value in values}

    look(28, 0.02, alarm=False)
    with serving(tmp_path / "lake", tmp_path / "home") as server:
        until(lambda: told(server).get("fx_live_skill") == "0.02")
        assert told(server)["fx_performance_alarm"] == "0.0"
        look(30, -0.05, alarm=True)
        look(29, 0.5, alarm=False)
        until(lambda: told(server)["fx_live_skill"] == "-0.05")
        assert told(server)["fx_performance_alarm"] == "1.0"
        assert told(server)["fx_live_outcomes"] == "40.0"


@pytest.mark.slow
def test_an_explanation_of_other_inputs_than_were_issued_is_not_kept(tmp_path: Path) -> None:
    lake = small_lake.make(tmp_path / "lake", issue=False)
    said = explained(lake)
    row = lake.read("predictions", "direction").to_dict("records")[-1]
    first = lake.read_blob(explanation_paths("direction", row)[0])
    assert not keep_explanation(lake, said, row | {"prediction": 0.1})
    assert not keep_explanation(lake, said, row | {"champion_version": "v2"})
    assert keep_explanation(lake, said.model_copy(update={"sentence": "Another."}), row)
    assert lake.read_blob(explanation_paths("direction", row)[0]) == first
