"""A family of tests is judged as one."""

from __future__ import annotations

import gc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from fx_assets.evaluation.claim import Claim
from fx_assets.evaluation.compare import references
from fx_assets.evaluation.significance import holm_threshold
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import _corrected
from fx_assets.testing import worlds
from fx_assets_tests.evaluation.test_claim import World
from fx_assets_tests.universe.helpers import coin, prices_of, skill_table, universe
from fx_assets_tests.universe.test_skill import SPEC, null_rows


def holm(p: np.ndarray) -> np.ndarray:
    """Holm (1979), from its definition."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    out = np.empty(len(p))
    out[order] = np.minimum(steps, 1.0)
    return out


@settings(max_examples=10)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.sampled_from(["holm", "fdr_by"]))
def test_corrected_p_values_are_those_of_statsmodels_to_the_last_bit(
    values: list[float], method: str
) -> None:
    gc.freeze()  # statsmodels collects the garbage of the whole process each time
    expected = multipletests(values, method=method)[1]
    assert _corrected(pd.Series(values), method).tolist() == expected.tolist()


def test_a_p_value_that_convinces_alone_does_not_among_many() -> None:
    rows = null_rows(20, 1200, 3)
    edge = 0.035
    first = rows["instrument"] == coin(0)
    sign = np.random.default_rng(6).choice([-1.0, 1.0], int(first.sum()))
    draw = np.random.default_rng(2).random(int(first.sum()))
    rows.loc[first, "prediction"] = 0.5 + edge * sign
    rows.loc[first, "target"] = (draw < 0.5 + edge * sign).astype(float)
    bars = worlds.random_walk(1700, 1)
    everybody = membership(
        prices_of({coin(i): bars for i in range(20)}), SPEC.membership, SPEC.market
    )
    table = skill_table(SPEC, rows, everybody)
    alone = skill_table(SPEC, rows[first], everybody)
    assert table["tests"].tolist() == [20] * 20
    for corrected, of in (("p_holm", "p_value"), ("p_holm_clark_west", "p_clark_west")):
        assert table[corrected].to_numpy() == pytest.approx(holm(table[of].to_numpy()))
    assert (table["p_benjamini_yekutieli"] > table["p_value"]).all()
    assert bool(alone["skill_demonstrated"].iloc[0])
    one = table.set_index("instrument").loc[coin(0)]
    assert one["p_value"] == pytest.approx(alone["p_value"].iloc[0])
    assert one["p_value"] < SPEC.significance < one["p_holm"]
    assert not table["skill_demonstrated"].any()


def test_what_is_demonstrated_is_what_the_correction_leaves() -> None:
    rows = null_rows(5, 1200, 4)
    first = rows["instrument"] == coin(0)
    sign = np.random.default_rng(1).choice([-1.0, 1.0], int(first.sum()))
    rows.loc[first, "prediction"] = 0.5 + 0.1 * sign
    rows.loc[first, "target"] = (
        np.random.default_rng(2).random(int(first.sum())) < 0.5 + 0.1 * sign
    ).astype(float)
    bars = worlds.random_walk(1700, 1)
    everybody = membership(
        prices_of({coin(i): bars for i in range(5)}), SPEC.membership, SPEC.market
    )
    table = skill_table(SPEC, rows, everybody)
    assert list(table["instrument"][table["skill_demonstrated"]]) == [coin(0)]
    assert isinstance(table, pd.DataFrame)


def variances(shares: list[float], n: int = 1500) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a candidate that knows a share of what smoothing does not, and of smoothing."""
    target = VARIANCES.targets[0]
    days = worlds.trading_days(n + 460)[460:]
    times = pd.DatetimeIndex([worlds.TARGET.event_time(day) for day in days]).as_unit("us")
    mine, theirs = [], []
    for i, share in enumerate(shares):
        world, forecast = World(i, n), VARIANCES.forecast(coin(i), target)
        ((_, reference),) = references(forecast, 1)
        about = {"instrument": coin(i), "kind": "volatility", "horizon": 1, "event_time": times}
        about |= {"label_available_at": times + pd.Timedelta(days=1), "batch": 0}
        rows = pd.DataFrame({**about, "target": world.came, "baseline": world.mean})
        said = world.smooth ** (1 - share) * world.truth**share
        for candidate, of, into in (
            (forecast.candidates[0], said, mine),
            (reference, world.smooth, theirs),
        ):
            known = {"candidate": candidate.name, "recipe": forecast.recipe_hash(candidate)}
            into.append(rows.assign(prediction=of, **known))
    return pd.concat(mine, ignore_index=True), pd.concat(theirs, ignore_index=True)


VARIANCES = universe(targets=[{"kind": "volatility", "candidates": ["log_har"]}])


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    names = rows["instrument"].unique()
    bars = worlds.random_walk(int(rows.groupby("instrument").size().max()) + 500, 1)
    everybody = membership(
        prices_of({str(name): bars for name in names}), VARIANCES.membership, VARIANCES.market
    )
    return skill_table(VARIANCES, rows, everybody).set_index("instrument")


def test_a_claim_is_made_against_the_reference_too_and_who_predicts_is_decided_without_it() -> None:
    mine, theirs = variances([0.0, 0.0, 1.0])
    noise = np.random.default_rng(0).normal(0, 0.05, len(mine))
    table = verdicts(
        pd.concat([mine.assign(prediction=mine["prediction"] * np.exp(noise)), theirs])
    )
    assert table["may_predict"].all()
    assert table["verdict"].tolist()[2] == "demonstrated"
    assert "demonstrated" not in set(table["verdict"][:2])
    assert table["skill_demonstrated"].tolist() == [False, False, True]
    assert (table["tests"] == 3).all(), "the reference is not on trial"
    for row in table.to_dict("records"):
        claim = Claim.model_validate_json(row["claim"])
        assert claim.word == row["verdict"]
        assert claim.baseline.skill == row["skill"]
        assert claim.reference.skill == row["skill_on_reference"]
        assert claim.reference.benchmark == "exponential smoothing (0.94)"


def test_more_instruments_make_a_members_claim_dearer() -> None:
    mine, theirs = variances([0.3] + [0.0] * 9)
    for _, rows in mine.groupby("instrument"):
        noise = np.random.default_rng(0).normal(0, 0.23, len(rows))
        mine.loc[rows.index, "prediction"] *= np.exp(noise)
    alone = verdicts(pd.concat([t[t["instrument"] == coin(0)] for t in (mine, theirs)]))
    among = verdicts(pd.concat([mine, theirs]))
    rows = [table.loc[coin(0)] for table in (alone, among)]
    once, often = (Claim.model_validate_json(row["claim"]) for row in rows)
    assert once.reference == often.reference
    assert (once.needed_p, often.needed_p) == (0.05, pytest.approx(0.005))
    assert (once.tried, often.tried) == (1, 10)
    assert [row["verdict"] for row in rows] == ["demonstrated", "knows something"]
    assert among["may_predict"].sum() > 1, "the baseline is easier to beat"


def test_nothing_is_claimed_before_the_reference_was_walked_forward() -> None:
    mine, _ = variances([1.0])
    (row,) = verdicts(mine).to_dict("records")
    assert row["may_predict"]
    assert (row["verdict"], row["claim"], row["skill_demonstrated"]) == ("", "", False)
    assert np.isnan(row["skill_on_reference"])


@pytest.mark.parametrize("seed", range(20))
def test_below_the_threshold_lies_what_holms_correction_leaves(seed: int) -> None:
    p = np.random.default_rng(seed).random(12) ** 4
    left = holm(p) < 0.05
    assert ((p < holm_threshold(p.tolist(), 0.05)) == left).all()
