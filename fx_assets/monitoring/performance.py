"""Live predictions against what happened: skill, calibration, coverage, error, each with its doubt.

Only predictions issued before their outcome count, and a truth that was revised counts once. The
skill has a confidence sequence, so that looking every day does not make a false alarm likely.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import AwareDatetime

from fx_assets.evaluation.claim import percent
from fx_assets.evaluation.outcomes import live_rows
from fx_assets.evaluation.significance import dependence_length, newey_west_variance
from fx_assets.monitoring.confidence import confidence_sequence
from fx_assets.monitoring.windows import Floats
from fx_assets.specs import ForecastSpec
from fx_assets.specs.base import Spec
from fx_assets.specs.watching import PerformanceRule

Verdict = Literal["better", "undecided", "worse", "baseline", "too_few"]
Z_ALARM = 3.0
"""Bias or coverage further off than this many standard errors is an alarm."""


class Figure(Spec):
    """A measured value, what it should be, and its standard error."""

    value: float
    expected: float
    standard_error: float
    rows: int

    @property
    def z(self) -> float:
        """Standard errors between value and expectation."""
        gap = self.value - self.expected
        return gap / self.standard_error if self.standard_error > 0 else 0.0

    @property
    def off(self) -> bool:
        """Whether it is further off than chance allows."""
        return abs(self.z) > Z_ALARM


class Performance(Spec):
    """The verdict on the live predictions of a forecast."""

    forecast: str
    measured_at: AwareDatetime
    champion: str
    """Who made the newest of them."""
    rows: int
    since: AwareDatetime | None
    verdict: Verdict
    """Of the skill: whether its confidence sequence lies above or below zero."""
    skill: float | None = None
    """None, as all figures, while there are too few rows."""
    skill_lower: float | None = None
    skill_upper: float | None = None
    confidence: float
    """Of the bounds, over all looks together."""
    mae: float | None = None
    """Mean absolute error of the newest outcomes, in units of the target."""
    mae_baseline: float | None = None
    bias: Figure | None = None
    """Mean outcome against mean prediction; for variances the mean of outcome over prediction."""
    coverage: Figure | None = None
    """Share of outcomes inside their interval against the nominal one; not for probabilities."""
    problems: tuple[str, ...] = ()
    sentence: str

    @property
    def alarm(self) -> bool:
        """Whether someone should look."""
        return bool(self.problems)


def performance_report(
    outcomes: pd.DataFrame,
    spec: ForecastSpec,
    now: datetime,
    rule: PerformanceRule | None = None,
) -> Performance:
    """Judge the live predictions of a forecast.

    Parameters
    ----------
    outcomes
        The forecast's ``outcomes`` table; may be empty.
    spec
        The forecast; its ``coverage`` is what intervals promise.
    now
        The clock's time; outcomes known later are left out.
    """
    rule = rule or PerformanceRule()
    live = outcomes
    if len(outcomes):
        live = live_rows(outcomes[outcomes["known_at"] <= pd.Timestamp(now)])
    needed = rule.min_rows * spec.target.horizon
    if len(live) < needed:
        return _too_few(live, spec, now, rule, needed)
    return _verdict(live, spec, now, rule, needed)


def _skill(
    live: pd.DataFrame, spec: ForecastSpec, rule: PerformanceRule, first: int
) -> tuple[float, float, float]:
    """Of all rows so far, with the bounds of its confidence sequence."""
    loss, reference = _floats(live["loss"]), _floats(live["baseline_loss"])
    sequence = confidence_sequence(reference - loss, spec.target.horizon, rule.confidence, first)
    scale = np.cumsum(reference)[-1] / len(live)
    mean, lower, upper = (float(bound[-1] / scale) for bound in sequence)
    return mean, lower, upper


def _verdict(
    live: pd.DataFrame, spec: ForecastSpec, now: datetime, rule: PerformanceRule, first: int
) -> Performance:
    skill, lower, upper = _skill(live, spec, rule, first)
    same = bool((live["prediction"] == live["baseline"]).all())
    verdict: Verdict = (
        "baseline" if same else "better" if lower > 0 else "worse" if upper < 0 else "undecided"
    )
    error, error_baseline = _errors(live.iloc[-rule.window :])
    mae, mae_baseline = float(error.mean()), float(error_baseline.mean())
    too_large = _too_large(mae, mae_baseline, rule)
    bias, coverage = _bias(live, spec), _coverage(live, spec)
    problems = []
    if verdict == "worse":
        problems.append(
            f"worse than the baseline: skill {percent(skill)}, at most {percent(upper)} with "
            f"{100 * rule.confidence:g} % confidence"
        )
    if too_large:
        problems.append(
            f"mean absolute error {mae:.4g} over the newest {len(error)} outcomes ({too_large})"
        )
    if bias.off:
        problems.append(
            f"biased: {bias.value:.4g} where {bias.expected:.4g} is expected ({bias.z:+.1f} "
            "standard errors)"
        )
    if coverage is not None and coverage.off:
        problems.append(
            f"intervals hold {100 * coverage.value:.0f} % of outcomes, promised "
            f"{100 * coverage.expected:.0f} % ({coverage.z:+.1f} standard errors)"
        )
    return Performance(
        forecast=spec.name,
        measured_at=now,
        champion=str(live["champion"].iloc[-1]),
        rows=len(live),
        since=live["event_time"].iloc[0].to_pydatetime(),
        verdict=verdict,
        skill=skill,
        skill_lower=lower,
        skill_upper=upper,
        confidence=rule.confidence,
        mae=mae,
        mae_baseline=mae_baseline,
        bias=bias,
        coverage=coverage,
        problems=tuple(problems),
        sentence=_sentence(verdict, skill, lower, upper, len(live), rule, problems),
    )


def _too_few(
    live: pd.DataFrame, spec: ForecastSpec, now: datetime, rule: PerformanceRule, needed: int
) -> Performance:
    return Performance(
        forecast=spec.name,
        measured_at=now,
        champion=str(live["champion"].iloc[-1]) if len(live) else "",
        rows=len(live),
        since=live["event_time"].iloc[0].to_pydatetime() if len(live) else None,
        verdict="too_few",
        confidence=rule.confidence,
        sentence=(
            f"{len(live)} live outcomes; {needed} are needed before anything is said about "
            f"performance at a horizon of {spec.target.horizon}."
        ),
    )


def _sentence(
    verdict: Verdict,
    skill: float,
    lower: float,
    upper: float,
    rows: int,
    rule: PerformanceRule,
    problems: list[str],
) -> str:
    meaning = {
        "better": "Live predictions are better than the baseline",
        "undecided": "Live predictions are not shown to differ from the baseline",
        "worse": "Live predictions are worse than the baseline",
        "baseline": "Live predictions are the baseline's own",
    }[verdict]
    figures = (
        ""
        if verdict == "baseline"
        else f": skill {percent(skill)} ({percent(lower)} to {percent(upper)}, "
        f"{100 * rule.confidence:g} % over all looks)"
    )
    others = [problem for problem in problems if not problem.startswith("worse")]
    also = f" Also: {'; '.join(others)}." if others else ""
    return f"{meaning}{figures} on {rows} outcomes.{also}"


def _too_large(mae: float, baseline: float, rule: PerformanceRule) -> str:
    if rule.mae_limit is not None and mae > rule.mae_limit:
        return f"limit {rule.mae_limit:g}"
    ratio = rule.mae_ratio_limit
    if ratio is not None and baseline > 0 and mae > ratio * baseline:
        return f"{mae / baseline:.2f} times the baseline's, limit {ratio:g}"
    return ""


def _bias(live: pd.DataFrame, spec: ForecastSpec) -> Figure:
    came, said = _floats(live["target"]), _floats(live["prediction"])
    values, expected, added = spec.target.definition.bias(came, said)
    off = _mean(values, expected, spec.target.horizon)
    return off.model_copy(update={"value": off.value + added, "expected": expected + added})


def _coverage(live: pd.DataFrame, spec: ForecastSpec) -> Figure | None:
    inside = live["inside_interval"]
    if inside.isna().all():
        return None
    found = _mean(_floats(inside.dropna()), spec.coverage, spec.target.horizon)
    binomial = math.sqrt(spec.coverage * (1 - spec.coverage) / found.rows)
    return found.model_copy(update={"standard_error": max(found.standard_error, binomial)})


def _mean(values: Floats, expected: float, horizon: int) -> Figure:
    n = len(values)
    lags = dependence_length(n, horizon) - 1
    error = math.sqrt(max(newey_west_variance(values, lags), 0.0) / n)
    return Figure(value=float(values.mean()), expected=expected, standard_error=error, rows=n)


def _errors(live: pd.DataFrame) -> tuple[Floats, Floats]:
    came = _floats(live["target"])
    return (
        np.abs(came - _floats(live["prediction"])),
        np.abs(came - _floats(live["baseline"])),
    )


def _floats(column: pd.Series) -> Floats:
    return column.to_numpy(dtype=np.float64)
