"""Live rows alone can end a champion, whatever its backtest says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.presentation.live import evidence_lines
from fx_assets.series.tables import SeriesTables
from fx_assets.stages.shadow import live_contradiction, weigh_candidates
from fx_assets.tables import BACKTEST, LIVE_EVIDENCE, SHADOW_PREDICTIONS
from fx_assets.testing.lakes import small_lake

CANDIDATE = small_lake.SPEC.candidates[0]
RECIPE = small_lake.SPEC.recipe_hash(CANDIDATE)


def lived(root: Path, edge: float, rows: int = 400) -> SeriesTables:
    """A forecast whose candidate says the truth by ``edge`` more, or less, than half, live."""
    own = small_lake.own(small_lake.make(root))
    rng = np.random.default_rng(8)
    times = pd.date_range("2020-01-01 13:15", periods=2 * rows, freq="D", tz="UTC").as_unit("us")
    came = (rng.random(2 * rows) < 0.5).astype(float)
    said = pd.DataFrame(
        {
            "recipe": RECIPE,
            "candidate": CANDIDATE.name,
            "event_time": times,
            "target": came,
            "prediction": np.where(rng.random(2 * rows) < 0.5 + edge, came, 1 - came) * 0.2 + 0.4,
            "baseline": 0.5,
        }
    )
    past, live = said[:rows], said[rows:].reset_index(drop=True)
    own.insert(BACKTEST, past.assign(fold_key="f", row_key=past["event_time"].astype(str)))
    own.insert(SHADOW_PREDICTIONS, live.drop(columns="target").assign(mode="shadow"))
    outcomes = live[["event_time", "target"]].assign(known_at=live["event_time"], loss=0.25)
    own.insert(LIVE_EVIDENCE, weigh_candidates(own, outcomes))
    return own


@pytest.mark.parametrize(("edge", "contradicted"), [(-0.25, True), (0.0, False), (0.25, False)])
def test_a_recipe_is_contradicted_by_rows_on_which_it_is_worse(
    tmp_path: Path, edge: float, contradicted: bool
) -> None:
    own = lived(tmp_path / "lake", edge)
    said = live_contradiction(own, RECIPE)
    assert bool(said) == contradicted
    if contradicted:
        assert "its 400 live rows since 2021-02-04 contradict it" in said
        assert "100 is enough" in said
    assert live_contradiction(own, "another") == ""


def test_a_level_of_zero_turns_it_off(tmp_path: Path) -> None:
    own = lived(tmp_path / "lake", -0.25)
    rule = own.spec.promotion.model_copy(update={"live_level": 0.0})
    own.spec = own.spec.model_copy(update={"promotion": rule})
    assert live_contradiction(own, RECIPE) == ""


def test_live_rows_are_cut_by_what_the_model_said_where_calibration_said_the_baseline(
    tmp_path: Path,
) -> None:
    own = small_lake.own(small_lake.make(tmp_path / "lake"))
    rng = np.random.default_rng(1)
    times = pd.date_range("2020-01-01 13:15", periods=400, freq="D", tz="UTC").as_unit("us")
    came = (rng.random(400) < 0.5).astype(float)
    raw = np.where(rng.random(400) < 0.5, 0.4, 0.6)
    said = pd.DataFrame({"recipe": RECIPE, "event_time": times, "target": came, "baseline": 0.5})
    walked = said.assign(prediction=0.5, uncalibrated=raw, fold_key="f", row_key=times.astype(str))
    own.insert(BACKTEST, walked)
    live = said.tail(20).assign(event_time=times[-20:] + pd.Timedelta(30, "D"), prediction=0.51)
    shadows = live.drop(columns="target").assign(candidate=CANDIDATE.name, mode="shadow")
    own.insert(SHADOW_PREDICTIONS, shadows)
    outcomes = live[["event_time", "target"]].assign(known_at=live["event_time"], loss=0.25)
    (row,) = weigh_candidates(own, outcomes).to_dict("records")
    assert row["scale"] == pytest.approx(0.11)
    assert row["skill_lower"] <= row["skill"] <= row["skill_upper"]


@pytest.mark.parametrize("rows", [1, 3, 12, 120])
def test_skill_of_few_rows_lies_within_its_bounds_though_single_rows_are_beyond_all_before(
    tmp_path: Path, rows: int
) -> None:
    own = small_lake.own(small_lake.make(tmp_path / "lake"))
    times = pd.date_range("2020-01-01 13:15", periods=400, freq="D", tz="UTC").as_unit("us")
    walked = pd.DataFrame(
        {
            "recipe": RECIPE,
            "event_time": times,
            "target": 1.0,
            "baseline": 0.5,
            "prediction": np.tile([0.51, 0.49], 200),
            "fold_key": "f",
            "row_key": times.astype(str),
        }
    )
    own.insert(BACKTEST, walked)
    live = walked[["recipe", "event_time", "baseline"]].head(rows)
    live["event_time"] += pd.Timedelta(500, "D")
    own.insert(
        SHADOW_PREDICTIONS, live.assign(prediction=0.9, candidate=CANDIDATE.name, mode="shadow")
    )
    outcomes = live[["event_time"]].assign(target=1.0, known_at=live["event_time"], loss=0.25)
    (row,) = weigh_candidates(own, outcomes).to_dict("records")
    assert 1 - row["loss"] / row["baseline_loss"] > row["skill_upper"], "uncut it is another one"
    assert row["skill_lower"] <= row["skill"] <= row["skill_upper"]
    own.insert(LIVE_EVIDENCE, weigh_candidates(own, outcomes))
    (line,) = evidence_lines(own.newest(LIVE_EVIDENCE), "up")
    assert f"{100 * row['skill']:+.2f} % on {rows} row" in line
    assert "large differences cut" in line
