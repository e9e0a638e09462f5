"""Quantiles that are computed without SciPy are SciPy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincinv

from fx_assets.evaluation.beta import beta_quantile


@given(st.integers(1, 30_000), st.floats(0, 1), st.sampled_from([0.005, 0.025, 0.5, 0.95, 0.975]))
def test_a_share_of_counts_has_the_interval_that_scipy_gives(
    n: int, share: float, tail: float
) -> None:
    k = round(share * n)
    expected = float(betaincinv(k + 0.5, n - k + 0.5, tail))
    assert beta_quantile(k + 0.5, n - k + 0.5, tail) == pytest.approx(expected, rel=1e-9)
