"""A family of tests is judged as one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import skill_table
from fx_assets.testing import worlds
from fx_assets_tests.universe.helpers import coin, prices_of
from fx_assets_tests.universe.test_skill import SPEC, null_rows


def holm(p: np.ndarray) -> np.ndarray:
    """Holm (1979), from its definition."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    out = np.empty(len(p))
    out[order] = np.minimum(steps, 1.0)
    return out


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
    table = skill_table(SPEC, rows, everybody, SPEC.market)
    alone = skill_table(SPEC, rows[first], everybody, SPEC.market)
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
    table = skill_table(SPEC, rows, everybody, SPEC.market)
    assert list(table["instrument"][table["skill_demonstrated"]]) == [coin(0)]
    assert isinstance(table, pd.DataFrame)
