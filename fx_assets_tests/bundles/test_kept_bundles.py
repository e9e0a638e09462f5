"""Bundles that earlier code published are served, and issue, with every fact that they hold."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fx_assets.bundles.bundle import load, point_to
from fx_assets.bundles.records import GOLDEN_FILE, MANIFEST_FILE, MODEL_FILE
from fx_assets.evaluation.decision import ledger_table
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs.files import load_declared
from fx_assets.specs.series import series_of
from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until

KEPT = Path(__file__).with_name("kept")
VERSIONS = {"eurusd_return": 1, "eurusd_volatility": 2}
MONDAY = date(2026, 11, 2)


def published(root: Path, forecast: str) -> tuple[Lake, dict[str, Any]]:
    """A lake with the bundle, and its manifest as it was written."""
    lake, version = Lake(str(root)), VERSIONS[forecast]
    for name in (MODEL_FILE, GOLDEN_FILE, MANIFEST_FILE):
        content = (KEPT / forecast / name).read_bytes()
        lake.write_blob(f"bundles/{forecast}/{version}/{name}", content)
    point_to(lake, forecast, version)
    return lake, json.loads((KEPT / forecast / MANIFEST_FILE).read_text())


def assert_holds(found: Any, written: Any, where: str = "") -> None:
    """Whatever was written is there; more may be."""
    if isinstance(written, dict):
        for name, value in written.items():
            assert name in found, f"{where}.{name}"
            assert_holds(found[name], value, f"{where}.{name}")
    elif isinstance(written, list):
        assert len(found) == len(written), where
        for k, (mine, theirs) in enumerate(zip(found, written, strict=True)):
            assert_holds(mine, theirs, f"{where}[{k}]")
    elif isinstance(written, str) and re.match(r"\d{4}-\d\d-\d\dT", written):
        assert datetime.fromisoformat(found) == datetime.fromisoformat(written), where
    else:
        assert found == written, where


@pytest.mark.parametrize("forecast", sorted(VERSIONS))
def test_a_kept_bundle_loads_with_every_fact_and_predicts_its_golden_rows(
    tmp_path: Path, forecast: str
) -> None:
    lake, written = published(tmp_path, forecast)
    bundle = load(lake, forecast)
    inputs, outputs = bundle.golden.arrays()
    np.testing.assert_allclose(bundle.predict(inputs), outputs, rtol=bundle.manifest.tolerance)
    written.pop("created_at")
    assert_holds(bundle.manifest.content, written)


@pytest.mark.parametrize("forecast", sorted(VERSIONS))
def test_a_kept_champion_issues_what_it_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forecast: str
) -> None:
    monkeypatch.setattr(small_lake, "LAST", MONDAY)
    lake, written = published(tmp_path, forecast)
    declared = load_declared(Settings().declared_folder)
    spec, feed = declared.forecasts[forecast], declared.feed_of(forecast)
    lake.append("raw_prices", feed.name, small_lake.bars())
    decision = load(lake, forecast).manifest.decision
    own = decision.model_copy(update={"series": series_of(spec, feed).id})
    lake.append("decisions", forecast, ledger_table([own]))
    issued = issue_days(
        [MONDAY], SeriesTables(lake, spec, feed), datetime(2026, 11, 2, 18, tzinfo=UTC)
    )
    (row,) = issued.new_rows.to_dict("records")
    told, skill = written["skill"]["loss"], written["skill"]["skill"]
    assert (row["score_name"], row["score"]) == (told["metric"], told["value"])
    assert (row["baseline_score"], row["score_rows"]) == (told["baseline_value"], told["n"])
    assert (row["skill"], row["skill_lower"], row["skill_upper"]) == (
        skill["value"], skill["lower"], skill["upper"],
    )  # fmt: skip
    assert row["skill_demonstrated"] == written["skill"]["demonstrated"]
    assert row["coverage"] == written["intervals"]["coverage"]
    assert row["lower"] <= row["prediction"] <= row["upper"]


def test_the_card_of_a_kept_champion_has_all_that_its_manifest_says(tmp_path: Path) -> None:
    _, written = published(tmp_path / "lake", "eurusd_volatility")
    with serving(tmp_path / "lake", tmp_path / "server") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        card = running.client.get("/v1/forecasts/eurusd_volatility/model").json()
    for name in ("decision", "intervals", "params", "files"):
        assert_holds(card[name], written[name], name)
    assert card["parity"] == {"measured": written["parity"], "tolerance": written["tolerance"]}
    skill = written["skill"]
    assert card["skill"]["demonstrated"] is skill["demonstrated"]
    assert card["skill"]["skill"] == skill["skill"]["value"]
    assert card["skill"]["baseline_score"] == skill["loss"]["baseline_value"]
    assert [entry["name"] for entry in card["inputs"]] == written["input_names"]
