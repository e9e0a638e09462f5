"""Pools of candidates, on rows and fits that their members have made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fx_assets.bundles.bundle import Golden, load, publish
from fx_assets.evaluation.pooling import ROUND, hedge, pool_weights
from fx_assets.evaluation.recipe import Recipe
from fx_assets.evaluation.study import Study
from fx_assets.explaining.explain import explain, load_background
from fx_assets.lake import Lake
from fx_assets.models.base import Model
from fx_assets.models.onnx_predict import OnnxModel
from fx_assets.models.pool import pooled
from fx_assets.specs import ForecastSpec, TargetSpec
from fx_assets.stages.reconcile import keep_background
from fx_assets.testing.lakes.samples import Folder, champion
from fx_assets_tests.evaluation.helpers import forecast, labelled_frame

DIRECTION = TargetSpec(kind="direction")
VARIANCE = TargetSpec(kind="volatility", horizon=20)
MEMBERS = ["base_rate", "persistence", "logistic_regression"]


def spec(weights: str = "equal", members: list[str] = MEMBERS) -> ForecastSpec:
    pool = {"family": "pool", "members": members, "weights": weights}
    return forecast("direction", candidates=["persistence", "logistic_regression", pool])


def variance_frame(n: int = 400) -> pd.DataFrame:
    frame = labelled_frame(n)
    moves = frame["log_return"].to_numpy()
    return frame.assign(target=np.append(np.square(moves[1:]), np.nan), baseline_mean=4e-5)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["equal", "trailing", "stacked", "hedged"])
def test_a_pool_costs_no_fit_beyond_its_members(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared, frame = spec(weights), labelled_frame(700)
    study = Study(declared, frame)
    for candidate in declared.all_candidates[:-1]:
        study.walk_forward(candidate)
        study.final(candidate)

    def refuse(*_: Any) -> Model[Any]:
        raise AssertionError("a fit")

    monkeypatch.setattr(Recipe, "fit", refuse)
    found = study.walk_forward(declared.candidates[-1])
    assert found.fits == 0
    assert len(found.new_rows) == len(found.predictions)
    assert study.final(declared.candidates[-1]).model.target == declared.target


def test_an_equal_pool_is_the_geometric_mean_of_variances_and_the_mean_log_odds_of_directions() -> (
    None
):
    said = np.array([[1e-4, 4e-4], [2e-5, 2e-5]])
    half = np.array([0.5, 0.5])
    assert pooled(said, half, VARIANCE) == pytest.approx([2e-4, 2e-5])
    odds = pooled(np.array([[0.8, 0.5], [0.2, 0.8]]), half, DIRECTION)
    assert odds == pytest.approx([2 / 3, 0.5])
    assert pooled(np.array([[0.01, -0.03]]), half, TargetSpec(kind="return")) == pytest.approx(
        [-0.01]
    )


@given(
    said=st.lists(st.lists(st.floats(1e-6, 1e-2), min_size=3, max_size=3), min_size=1, max_size=20),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_a_pool_with_the_baseline_never_loses_more_than_its_members_do_on_average(
    said: list[list[float]], share: float, seed: int
) -> None:
    """QLIKE is convex in log variance, log loss in log-odds: so Jensen bounds each row."""
    table, rng = np.array(said), np.random.default_rng(seed)
    weights = np.array([share, (1 - share) / 2, (1 - share) / 2])
    came = rng.chisquare(1, len(table)) * 1e-4
    loss = VARIANCE.definition.loss
    each = np.column_stack([loss(came, table[:, k]) for k in range(3)])
    assert (loss(came, pooled(table, weights, VARIANCE)) <= each @ weights + 1e-9).all()
    chances = np.clip(table / (table + 1e-3), *DIRECTION.definition.limits)
    up = rng.uniform(size=len(table)) < 0.5
    odds = pooled(chances, weights, DIRECTION)
    losses = -np.log(np.where(up[:, None], chances, 1 - chances))
    mine = -np.log(np.where(up, odds, 1 - odds))
    assert (mine <= losses @ weights + 1e-9).all()


def test_weights_are_found_from_labels_that_were_known_only() -> None:
    declared, frame = spec("stacked"), labelled_frame(700, signal=1.0)
    cut = 500
    scrambled = frame.copy()
    late = np.arange(len(frame)) >= cut
    scrambled.loc[late, "target"] = 1 - scrambled.loc[late, "target"]
    first, second = (
        Study(declared, each).walk_forward(declared.candidates[-1]).predictions
        for each in (frame, scrambled)
    )
    early = first["label_available_at"] <= frame["label_available_at"].iloc[cut - 1]
    folds = first["fold"][early].max()
    same = first["fold"] <= folds
    assert same.sum() > 300
    assert (first["prediction"][same] == second["prediction"][same]).all()
    assert (first["prediction"][~same] != second["prediction"][~same]).any()


@pytest.mark.slow
def test_a_stacked_pool_leans_on_who_has_skill_and_says_the_base_rate_without() -> None:
    for signal, skilled in ((1.5, True), (0.0, False)):
        declared = spec("stacked", ["base_rate", "logistic_regression"])
        study = Study(declared, labelled_frame(1500, signal=signal))
        pool, alone = declared.candidates[-1], declared.candidates[1]
        weights = study.final(pool).model.params
        assert (weights["weight_logistic_regression"] > 0.8) == skilled
        rows, raw = (study.walk_forward(each).predictions for each in (pool, alone))
        brier = [
            float(np.square(each["prediction"] - each["target"]).mean()) for each in (rows, raw)
        ]
        if not skilled:
            base = float(np.square(rows["baseline"] - rows["target"]).mean())
            assert brier[0] - base < 0.35 * (brier[1] - base)
            first = rows[rows["fold"] == 0]
            only = study.walk_forward(declared.baseline).predictions
            assert first["prediction"].tolist() == pytest.approx(
                only["prediction"][: len(first)].tolist()
            )


def test_stacked_weights_are_the_best_ones_though_a_coin_tells_hardly_any_apart() -> None:
    """Stopped where the loss changes by a millionth, they stayed equal in two of twelve."""
    loss = DIRECTION.definition.loss
    for seed in range(12):
        rng = np.random.default_rng(seed)
        odds = rng.normal(0, 0.25, 1500)
        came = (rng.random(1500) < 1 / (1 + np.exp(-0.4 * odds))).astype(float)
        said = np.column_stack([np.full(1500, 0.5), 1 / (1 + np.exp(-odds))])

        def lost(share: float, came: Any = came, said: Any = said) -> float:
            return float(loss(came, pooled(said, np.array([1 - share, share]), DIRECTION)).mean())

        found = lost(float(pool_weights("stacked", said, came, DIRECTION)[1]))
        assert found <= min(map(lost, np.linspace(0, 1, 201))) + 1e-10


def test_fewer_labels_than_250_and_equal_losses_give_equal_weights() -> None:
    rng = np.random.default_rng(0)
    said = rng.uniform(0.4, 0.6, (1000, 2))
    came = (rng.uniform(size=1000) < 0.5).astype(float)
    assert pool_weights("stacked", said[:249], came[:249], DIRECTION).tolist() == [0.5, 0.5]
    found = pool_weights("trailing", said, came, DIRECTION)
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx([0.5, 0.5], abs=0.05)
    stacked = pool_weights("stacked", said, came, DIRECTION)
    assert stacked.sum() == pytest.approx(1, abs=1e-12)
    assert (stacked >= 0).all()


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("direction", ["base_rate", "logistic_regression"]),
        ("volatility", ["ewma", "expanding_mean", "log_har"]),
        ("return", ["zero", "ridge"]),
    ],
)
def test_a_pools_graph_computes_what_it_predicts_row_by_row(kind: str, members: list[str]) -> None:
    pool = {"family": "pool", "members": members}
    declared = forecast(kind, candidates=[*members, pool])
    frame = variance_frame() if kind == "volatility" else labelled_frame(400)
    if kind == "return":
        frame = frame.assign(target=frame["log_return"].shift(-1))
    study = Study(declared, frame)
    candidate = declared.candidates[-1]
    fitted, inputs = study.final(candidate), study.inputs(candidate)
    graph = OnnxModel(fitted.model.to_onnx(feature_columns=study.columns))
    assert graph.width == len(inputs.reads.names)
    rows = np.ascontiguousarray(inputs.matrix[study.labelled])
    said = fitted.model.predict(rows)
    assert graph.predict(rows) == pytest.approx(said, rel=1e-9)
    one_by_one = [float(graph.predict(rows[k : k + 1])[0]) for k in range(20)]
    assert one_by_one == graph.predict(rows)[:20].tolist()


def test_a_pool_whose_members_read_the_same_inputs_can_be_champion_and_is_explained() -> None:
    pool = {"family": "pool", "members": ["ewma", "garch"]}
    declared = forecast("volatility", candidates=["ewma", "garch", pool])
    study = Study(declared, variance_frame())
    candidate = declared.candidates[-1]
    onnx = study.final(candidate).model.to_onnx(feature_columns=study.columns)
    inputs = study.inputs(candidate)
    assert inputs.reads.stored == ()  # one window of returns, which both read
    rows = np.ascontiguousarray(inputs.matrix[study.labelled])
    facts = champion(
        target="volatility",
        family="pool",
        columns=inputs.reads.columns,
        window=inputs.reads.window,
        input_names=inputs.reads.names,
        trained_through=study.frame["event_time"].max(),
    )
    golden = Golden.of(rows[-4:], OnnxModel(onnx).predict(rows[-4:]))
    folder = Folder()
    publish(folder, replace(facts, onnx=onnx, golden=golden))
    bundle = load(folder, "eurusd_direction")
    keep_background(cast("Lake", folder), "eurusd_direction", 1, study.frame)
    found = explain(bundle, rows[-1], load_background(folder, "eurusd_direction", 1))
    assert found.prediction == float(bundle.predict(rows[-1:])[0])
    assert sum(c.effect for c in found.contributions) == pytest.approx(found.total - found.base)


@pytest.mark.slow
def test_stored_rows_of_a_pool_are_not_made_again() -> None:
    declared, frame = spec("stacked"), labelled_frame(700)
    pool = declared.candidates[-1]
    first = Study(declared, frame).walk_forward(pool)
    stored = pd.concat(
        [Study(declared, frame).walk_forward(c).predictions for c in declared.all_candidates]
    )
    again = Study(declared, frame, stored=stored).walk_forward(pool)
    assert again.new_rows.empty
    assert again.predictions.equals(first.predictions)
    assert len(Study(declared, frame).previous(pool)) == declared.promotion.refresh_rows


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ({"members": ["garch"]}, "two members or more"),
        ({"members": ["garch", "garch"]}, "each once"),
        ({"members": ["garch", "har"]}, "har, which the forecast does not try"),
        ({"members": ["garch", "ewma"], "params": {"p": 1}}, "neither params nor tune"),
        ({"members": ["garch", "pool"]}, "pools pool"),
        ({"members": ["garch", "ewma"], "weights": "best"}, "weights"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(pool: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        forecast("volatility", candidates=["ewma", "garch", {"family": "pool", **pool}])
    with pytest.raises(ValidationError, match="family: pool, and only then"):
        forecast("volatility", candidates=[{"family": "ewma", "members": ["garch", "ewma"]}])


def test_a_pool_of_another_weighting_or_of_members_with_other_settings_is_another_recipe() -> None:
    def recipe(weights: str, decay: float) -> str:
        ewma = {"family": "ewma", "params": {"decay": decay}}
        pool = {"family": "pool", "members": ["ewma", "garch"], "weights": weights}
        declared = forecast("volatility", candidates=[ewma, "garch", pool])
        return declared.recipe_hash(declared.candidates[-1])

    made = {recipe(*each) for each in (("equal", 0.94), ("equal", 0.97), ("stacked", 0.94))}
    assert len(made) == 3


@settings(max_examples=150, deadline=None)
@given(
    lost=st.integers(2, 4).flatmap(
        lambda members: st.lists(
            st.lists(st.floats(-5, 5, width=32), min_size=members, max_size=members),
            min_size=1,
            max_size=60,
        )
    ),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    adversary=st.booleans(),
)
def test_hedged_weights_keep_their_bound_of_regret_whatever_comes(
    lost: list[list[float]], scale: float, adversary: bool
) -> None:
    """Against an adversary, too, who gives the most to lose to who weighs most."""
    table, mine = np.array(lost) * scale, 0.0
    rounds, members = table.shape
    for k in range(rounds):
        weights = hedge(table[:k])
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()
        if adversary:
            table[k] = np.sort(table[k])[np.argsort(np.argsort(weights))]
        mine += float(weights @ table[k])
    spread = float(np.ptp(table, axis=1).max())
    bound = spread * (np.sqrt(rounds * np.log(members)) + 4 / 3 * np.log(members) + 2)
    assert mine - table.sum(axis=0).min() <= bound + 1e-6 * scale


@pytest.mark.parametrize("kind", ["volatility", "return"])
@pytest.mark.parametrize("turns", [False, True])
def test_a_hedged_pool_with_the_baseline_loses_no_more_than_its_bound(
    kind: str, turns: bool
) -> None:
    """Rows of a member that is right until it is wrong, in rounds as long as the weights'."""
    target, rng, n = TargetSpec(kind=kind), np.random.default_rng(1), 20 * ROUND
    if kind == "volatility":
        truth = 1e-4 * np.exp(rng.standard_normal(n))
        came, base = truth * rng.chisquare(1, n), np.full(n, 1e-4)
        wrong = base**2 / truth
    else:
        truth = 1e-3 * rng.standard_normal(n)
        came, base = truth + 5e-3 * rng.standard_normal(n), np.zeros(n)
        wrong = -truth
    skilled = np.where(np.arange(n) < (n // 2 if turns else n), truth, wrong)
    said, loss = np.column_stack([base, skilled]), target.definition.loss
    each = np.column_stack([loss(came, said[:, k]) for k in range(2)])
    mine = np.empty(n)
    for first in range(0, n, ROUND):
        now = slice(first, first + ROUND)
        weights = pool_weights("hedged", said[:first], came[:first], target, 0)
        mine[now] = loss(came[now], pooled(said[now], weights, target))
    spread = float(np.ptp(each.reshape(20, ROUND, 2).sum(axis=1), axis=1).max())
    bound = spread * (np.sqrt(20 * np.log(2)) + 4 / 3 * np.log(2) + 2)
    assert mine.sum() - each.sum(axis=0).min() <= bound
    if not turns:
        assert mine.sum() < 0.9 * each[:, 0].sum() + 0.1 * each[:, 1].sum()
