"""Drafts that earlier code stored are published as they are; what is none says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fx_assets.errors import RegistryError
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs.files import load_declared
from fx_assets.stages.candidate import load_draft

KEPT = Path(__file__).with_name("kept")
FORECAST, CANDIDATE = "eurusd_direction", "persistence"
FOLDER = f"candidates/{FORECAST}/{CANDIDATE}"


@pytest.fixture
def own(tmp_path: Path) -> SeriesTables:
    lake = Lake(str(tmp_path))
    for file in KEPT.iterdir():
        lake.write_blob(f"{FOLDER}/{file.name}", file.read_bytes())
    declared = load_declared(Settings().declared_folder)
    return SeriesTables(lake, declared.forecasts[FORECAST], declared.feed_of(FORECAST))


def test_a_draft_of_one_level_is_read_with_what_is_declared(own: SeriesTables) -> None:
    written = json.loads((KEPT / "draft.json").read_text())
    draft, onnx = load_draft(own, CANDIDATE)
    facts = draft.facts
    assert (facts.recipe, facts.n_rows, facts.tolerance) == (
        written["recipe"], written["n_rows"], written["tolerance"],
    )  # fmt: skip
    assert (facts.instrument, facts.target, facts.series) == (
        "EURUSD", "direction", own.series.id,
    )  # fmt: skip
    assert facts.input_names == ("last_target",)
    assert draft.logged is not None
    assert draft.logged.run_id == written["mlflow_run_id"]
    assert draft.score_of("skill").n == written["scores"][0]["n"]
    assert onnx.startswith(b"\x08")


@pytest.mark.parametrize("content", [b"{}", b"not JSON", b'{"facts": {}}'])
def test_what_is_no_draft_says_what_to_materialize(own: SeriesTables, content: bytes) -> None:
    own.store.write_blob(f"{FOLDER}/draft.json", content)
    with pytest.raises(RegistryError, match="is not a draft") as refused:
        load_draft(own, CANDIDATE)
    assert refused.value.remedy == f"Materialize {FORECAST}/models/{CANDIDATE} again."
