from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation import adaptive
from fx_assets.evaluation.adaptive import Adapted, adapt
from fx_assets.evaluation.coverage import coverage_scores
from fx_assets.evaluation.intervals import (
    Coverage,
    IntervalModel,
    _aligned,
    _coverage,
    _walk_split,
    ewma_volatility,
    fit_intervals,
    learn_intervals,
    newest_volatility,
)
from fx_assets.specs.forecast import TargetKind, TargetSpec

N = 3000
TIMES = pd.date_range("2000-01-03", periods=N + 1, tz="UTC")


def rows(prediction: np.ndarray, target: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_time": TIMES[:N],
            "label_available_at": TIMES[1:],
            "prediction": prediction,
            "target": target,
        }
    )


def split_coverage(
    backtest: pd.DataFrame,
    kind: TargetKind,
    coverage: float = 0.9,
    volatility: pd.Series | None = None,
) -> Coverage:
    """How often intervals that do not adapt held, walking forward."""
    said, came = (backtest[name].to_numpy() for name in ("prediction", "target"))
    scale = _aligned(backtest, kind, volatility)
    return _coverage(coverage, _walk_split(backtest, said, came, scale, kind, coverage)[0])


def returns_with_changing_volatility() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    sigma = 0.006 * np.exp(0.7 * np.sin(np.arange(N + 1) / 200))
    log_return = sigma * rng.standard_normal(N + 1)
    volatility = pd.Series(ewma_volatility(log_return[:N]), index=TIMES[:N])
    return rows(np.zeros(N), log_return[1:]), volatility


def test_return_intervals_hold_their_coverage_and_follow_volatility() -> None:
    backtest, volatility = returns_with_changing_volatility()
    found = split_coverage(backtest, "return", 0.9, volatility)
    assert found.n == N - 500
    assert found.measured == pytest.approx(0.9, abs=0.02)
    model = fit_intervals(backtest, "return", 0.9, volatility)
    calm, wild = (np.ptp(model.interval(0.0, v)) for v in (0.003, 0.012))
    assert wild == pytest.approx(4 * calm)


def test_volatility_intervals_hold_their_coverage() -> None:
    rng = np.random.default_rng(1)
    f = 1e-5 * np.exp(rng.standard_normal(N))
    backtest = rows(f, f * rng.chisquare(1, N))
    assert split_coverage(backtest, "volatility", 0.8).measured == pytest.approx(0.8, abs=0.03)
    lower, upper = fit_intervals(backtest, "volatility", 0.8).interval(2e-5)
    assert 0 < lower < 2e-5 < upper


def test_direction_intervals_say_how_often_it_rose_when_it_said_about_this() -> None:
    rng = np.random.default_rng(2)
    said = rng.uniform(0.2, 0.8, N)
    truth = 0.5 + 0.5 * (said - 0.5)
    backtest = rows(said, (rng.uniform(size=N) < truth).astype(float))
    model = fit_intervals(backtest, "direction", 0.95)
    for p in (0.3, 0.5, 0.7):
        lower, upper = model.interval(p)
        assert lower < 0.5 + 0.5 * (p - 0.5) < upper
        assert 0.05 < upper - lower < 0.12
    assert split_coverage(backtest, "direction", 0.9).measured >= 0.8


def test_a_constant_forecast_gets_the_interval_of_the_base_rate() -> None:
    ups = np.tile([1.0, 0.0, 1.0, 0.0, 1.0], N // 5)
    model = fit_intervals(rows(np.full(N, 0.5), ups), "direction", 0.9)
    lower, upper = model.interval(0.5)
    assert lower < 0.6 < upper
    assert upper - lower < 0.04


def test_coverage_is_measured_with_labels_known_at_the_time_only() -> None:
    backtest, volatility = returns_with_changing_volatility()
    wild = backtest.copy()
    wild.loc[2500:, "target"] *= 100
    before = split_coverage(wild.head(2500), "return", 0.9, volatility)
    after = split_coverage(wild, "return", 0.9, volatility)
    first = before.measured * before.n
    assert after.measured * after.n < first + 0.6 * 500


def test_ewma_volatility_depends_on_its_past_only_and_survives_nothing() -> None:
    r = np.random.default_rng(3).standard_normal(600)
    assert ewma_volatility(r)[:400].tolist() == ewma_volatility(r[:400]).tolist()
    assert ewma_volatility(r)[-1] == ewma_volatility(r[-250:])[-1]
    assert newest_volatility(r) == ewma_volatility(r)[-1]
    weights = 0.94 ** np.arange(250)
    assert ewma_volatility(r)[-1] == pytest.approx(
        np.sqrt(weights @ r[::-1][:250] ** 2 / weights.sum())
    )
    assert ewma_volatility([np.nan, 0.0, 0.0]).tolist() == [1e-6, 1e-6, 1e-6]


def test_a_model_survives_json_and_needs_neither_pandas_nor_scipy() -> None:
    backtest, volatility = returns_with_changing_volatility()
    model = fit_intervals(backtest, "return", 0.9, volatility)
    text = model.model_dump_json()
    assert IntervalModel.model_validate_json(text) == model
    code = (
        "import sys\n"
        "from fx_assets.evaluation.intervals import IntervalModel\n"
        f"print(IntervalModel.model_validate_json({text!r}).interval(0.001, 0.006))\n"
        "print([m for m in ('pandas', 'scipy', 'sklearn', 'statsmodels') if m in sys.modules])\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert shown == [str(model.interval(0.001, 0.006)), "[]"]


def test_too_few_rows_and_a_missing_volatility_are_refused() -> None:
    backtest, volatility = returns_with_changing_volatility()
    with pytest.raises(NotEnoughDataError, match="there are 99"):
        fit_intervals(backtest.head(99), "return", 0.9, volatility)
    with pytest.raises(NotEnoughDataError, match="volatility of every row"):
        fit_intervals(backtest, "return", 0.9)


def test_coverage_learns_only_from_labels_that_were_known_before_the_block() -> None:
    """Labels take 400 bars: what came at the end of the past was not known yet."""
    rng = np.random.default_rng(5)
    delay = 400
    times = pd.date_range("2000-01-03", periods=N + delay, tz="UTC")
    size = np.where(np.arange(N) < 1000, 1.0, 20.0)
    backtest = rows(np.full(N, 1e-5), 1e-5 * size * rng.chisquare(1, N)).assign(
        label_available_at=times[delay:]
    )
    found = split_coverage(backtest, "volatility")
    at_once = split_coverage(backtest.assign(label_available_at=times[1 : N + 1]), "volatility")
    # The larger variances are learnt of 400 bars later: as many blocks miss them.
    assert found.n == at_once.n
    missed = found.n * (at_once.measured - found.measured)
    assert 100 < missed < 400


def test_return_intervals_are_scaled_by_the_volatility_of_their_own_day() -> None:
    """Volatility alternates from day to day, so that a day's neighbours are no stand-in."""
    rng = np.random.default_rng(6)
    sigma = np.where(np.arange(N) % 2, 0.001, 0.01)
    backtest = rows(np.zeros(N), sigma * rng.standard_normal(N))
    volatility = pd.Series(sigma, index=TIMES[:N])
    model = fit_intervals(backtest, "return", 0.9, volatility)
    for scale in (0.001, 0.01):
        lower, upper = model.interval(0.0, scale)
        assert (lower, upper) == pytest.approx((-1.645 * scale, 1.645 * scale), rel=0.1)
    lower, upper = model.interval(0.002, 0.001)
    assert (lower, upper) == pytest.approx((0.002 - 0.001645, 0.002 + 0.001645), rel=0.1)
    found = split_coverage(backtest, "return", 0.9, volatility)
    assert found.measured == pytest.approx(0.9, abs=0.02)
    calm = np.arange(N) % 2 == 1
    inside = [
        lower <= came <= upper
        for came, (lower, upper) in zip(
            backtest["target"], (model.interval(0.0, v) for v in sigma), strict=True
        )
    ]
    assert np.mean(np.array(inside)[calm]) == pytest.approx(0.9, abs=0.02)
    assert np.mean(np.array(inside)[~calm]) == pytest.approx(0.9, abs=0.02)


def overlapping(horizon: int, seed: int = 8) -> pd.DataFrame:
    """Variances over ``horizon`` bars, forecast without their last regime; labels come late."""
    rng = np.random.default_rng(seed)
    log_sigma = np.cumsum(rng.standard_normal(N + horizon)) * 0.03
    squares = np.exp(2 * (log_sigma - log_sigma.mean())) * rng.chisquare(1, N + horizon) * 1e-5
    sums = np.cumsum(np.concatenate([[0.0], squares]))
    came = sums[horizon : horizon + N] - sums[:N]
    known = pd.Series(came).shift(2 * horizon).fillna(came[0])
    times = pd.date_range("2000-01-03", periods=N + horizon, tz="UTC")
    return rows(known.to_numpy(), came).assign(
        event_time=times[:N], label_available_at=times[horizon:]
    )


def test_intervals_of_overlapping_labels_adapt_and_hold_their_coverage_in_the_long_run() -> None:
    target = TargetSpec(kind="volatility", horizon=20)
    for seed in (9, 10, 11):
        backtest = overlapping(20, seed)
        learned = learn_intervals(backtest, target)
        assert learned.model.levels is not None
        assert learned.coverage.measured == pytest.approx(0.9, abs=0.025)
        assert learned.judged is not None
        lower, upper = learned.model.interval(1e-4)
        assert 0 < lower < upper
        text = learned.model.model_dump_json()
        assert IntervalModel.model_validate_json(text) == learned.model


def test_bounds_adapt_to_labels_that_were_known_when_they_were_said_only() -> None:
    """Scrambling labels changes nothing that was said before they were known."""
    backtest, start = overlapping(20), 2000
    scrambled = backtest.copy()
    late = np.arange(N) >= start
    scrambled.loc[late, "target"] *= np.exp(np.random.default_rng(0).standard_normal(late.sum()))
    before, after = (_adapted(frame) for frame in (backtest, scrambled))
    untouched = start + 20
    assert np.array_equal(before.bounds[:untouched], after.bounds[:untouched], equal_nan=True)
    assert not np.array_equal(before.bounds[untouched:], after.bounds[untouched:])


def _adapted(frame: pd.DataFrame) -> Adapted:
    said, came = frame["prediction"].to_numpy(), frame["target"].to_numpy()
    time, known_at = (
        frame[name].to_numpy(dtype="datetime64[us]")
        for name in ("event_time", "label_available_at")
    )
    return adapt(came / said, said, time, known_at, 0.9, first=100, every=1)


def test_a_rate_of_zero_is_split_conformal_and_levels_follow_gibbs_and_candes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backtest = overlapping(1)
    monkeypatch.setattr(adaptive, "RATES", (0.0,))
    plain = _adapted(backtest)
    split = fit_intervals(backtest, "volatility", 0.9)
    assert ((plain.lower,), (plain.upper,)) == (split.lower, split.upper)
    monkeypatch.setattr(adaptive, "RATES", (0.005,))
    found, level = _adapted(backtest), 0.05
    scores = (backtest["target"] / backtest["prediction"]).to_numpy()
    for score, (lower, _) in zip(scores, found.bounds, strict=True):
        if np.isfinite(lower):
            level = min(max(level + 0.005 * (0.05 - (score < lower)), -0.025), 0.5)
    assert found.levels[0] == pytest.approx(level, abs=1e-12)


def test_one_bar_ahead_intervals_adapt_only_where_they_were_seen_to_miss() -> None:
    backtest, volatility = returns_with_changing_volatility()
    still = learn_intervals(backtest, TargetSpec(kind="return"), 0.9, volatility)
    assert still.model == fit_intervals(backtest, "return", 0.9, volatility)
    rng = np.random.default_rng(11)
    growing = np.exp(np.linspace(0, 3, N))
    drifting = rows(np.full(N, 1e-5), 1e-5 * growing * rng.chisquare(1, N))
    found = learn_intervals(drifting, TargetSpec(kind="volatility"))
    split = split_coverage(drifting, "volatility")
    assert split.measured < 0.88
    assert found.model.rate > 0
    assert abs(found.coverage.measured - 0.9) < abs(split.measured - 0.9) / 2


def test_coverage_is_told_by_regime_by_year_and_for_the_worst_rows_in_a_row() -> None:
    backtest, volatility = returns_with_changing_volatility()
    wild = volatility.to_numpy() > np.quantile(volatility.iloc[500:], 2 / 3)
    backtest.loc[wild, "target"] *= 3
    learned = learn_intervals(backtest, TargetSpec(kind="return"), 0.9, volatility)
    told = coverage_scores(learned, backtest, volatility, 1).set_index("metric")
    assert told.loc["coverage", "value"] == pytest.approx(learned.coverage.measured)
    assert told.loc["coverage", "n"] == learned.coverage.n
    of_regime = told.loc[[f"coverage_{name}" for name in ("calm", "usual", "wild")], "value"]
    assert of_regime["coverage_wild"] < 0.85 < 0.95 < of_regime["coverage_calm"]
    years = told[told.index.str.fullmatch(r"coverage_\d{4}")]
    assert years["n"].sum() == learned.coverage.n
    assert np.average(years["value"], weights=years["n"]) == pytest.approx(
        learned.coverage.measured
    )
    assert told.loc["coverage_worst", "value"] <= years["value"].mean()
    assert (told["lower"] <= told["value"]).all()
    assert (told["value"] <= told["upper"]).all()
    probabilities = learn_intervals(
        rows(np.full(N, 0.5), np.tile([1.0, 0.0], N // 2)), TargetSpec(kind="direction")
    )
    assert coverage_scores(probabilities, backtest, volatility, 1).empty
