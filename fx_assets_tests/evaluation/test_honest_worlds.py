"""The whole way from bars to a decision, in worlds whose truth is known."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from fx_assets.calendars import calendar
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.metrics import score
from fx_assets.evaluation.promotion import decide
from fx_assets.evaluation.study import Study
from fx_assets.features import add_labels, build_features
from fx_assets.specs import ForecastSpec
from fx_assets.testing import worlds
from fx_assets_tests.evaluation.helpers import assert_no_fold_saw_its_test

SPEC = ForecastSpec.model_validate(
    {
        "name": "honest",
        "feed": "simulated",
        "target": {"kind": "direction", "horizon": 1},
        "candidates": ["persistence", "logistic_regression"],
        "walk_forward": {"first_test": "2000-01-01", "refit_every": 504},
        "suspicion": worlds.ANYTHING_IS_PLAUSIBLE,
    }
)


def backtests(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    market = calendar("target")
    frame = add_labels(build_features(bars, SPEC.features, market), SPEC.target, market)
    study = Study(SPEC, frame)
    assert_no_fold_saw_its_test(frame, study.folds, SPEC.purge)
    return {
        candidate.name: study.walk_forward(candidate).predictions
        for candidate in SPEC.all_candidates
    }


def decide_weekly(tables: dict[str, pd.DataFrame], first: int, every: int = 20) -> list[Decision]:
    """Decisions on growing data; the fits are those of the time, because folds never move."""
    ledger: list[Decision] = []
    n = len(tables[SPEC.baseline.name])
    for known in range(first, n + 1, every):
        evidence = [Evidence(name, name, table.head(known)) for name, table in tables.items()]
        as_of = evidence[0].predictions["label_available_at"].max().to_pydatetime()
        ledger += decide(SPEC, ledger, evidence, as_of + timedelta(hours=1), as_of)
    return ledger


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_promoted_in_a_random_walk_and_no_metric_claims_skill(seed: int) -> None:
    tables = backtests(worlds.random_walk(3600, seed=seed))
    ledger = decide_weekly(tables, first=2000)
    assert {d.champion for d in ledger} == {SPEC.baseline.name}
    scores = score(tables["logistic_regression"], "direction", 1, coverage=0.995).set_index(
        "metric"
    )
    assert scores.loc["skill", "upper"] < 0.005
    assert scores.loc["roc_auc", "lower"] < 0.5 < scores.loc["roc_auc", "upper"]
    assert scores.loc["accuracy", "lower"] < 0.5 < scores.loc["accuracy", "upper"]


@pytest.mark.slow
def test_a_planted_signal_is_promoted_and_demoted_after_it_stops() -> None:
    stops = 3700
    tables = backtests(worlds.planted_direction(5000, seed=3, strength=0.25, stops_at=stops))
    first_row = tables[SPEC.baseline.name]["event_time"].iloc[0]
    ledger = decide_weekly(tables, first=2000)
    verdicts = [d.verdict for d in ledger]
    assert verdicts[:2] == ["bootstrap", "replace"]
    assert ledger[1].champion == "logistic_regression"
    demotion = ledger[verdicts.index("demote")]
    stopped_at = worlds.planted_direction(5000, seed=3)["event_time"].iloc[stops]
    assert first_row < stopped_at < demotion.data_as_of
    assert ledger[-1].champion == SPEC.baseline.name
