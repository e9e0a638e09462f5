"""What every kind of target must do, each check a sentence about one kind and one horizon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from fx_assets.calendars import Frequency
from fx_assets.doors import FAMILIES
from fx_assets.specs.forecast import TargetSpec
from fx_assets.targets import TargetDefinition, Wording, target_definition
from fx_assets.targets.base import NONE, Floats
from fx_assets.targets.plausible import Measure
from fx_assets.testing.families import simulated_returns
from fx_assets.testing.require import Checks, require, require_same_bits

BARS: Final = 1500
FIELDS: Final = dict.fromkeys(
    ("value", "lower", "upper", "coverage", "close", "from", "level", "when", "over"), ""
)
"""What texts may hold in braces."""
CHECKS: Final[Checks[TargetCase]] = Checks()


@dataclass(frozen=True)
class TargetCase:
    """A kind of target and a horizon."""

    kind: str
    horizon: int

    @property
    def target(self) -> TargetSpec:
        """As it is declared."""
        return TargetSpec(kind=self.kind, horizon=self.horizon)

    @property
    def definition(self) -> TargetDefinition:
        """What the kind states."""
        return target_definition(self.kind)

    @property
    def ends(self) -> NDArray[np.intp]:
        """Where labels end: ``horizon`` bars later, the newest nowhere."""
        ends = np.arange(BARS) + self.horizon
        return np.where(ends < BARS, ends, NONE)

    @property
    def outcomes(self) -> Floats:
        """The labels that are known."""
        values: Floats = self.definition.labels(_closes(), self.ends)
        return values[: BARS - self.horizon]

    @property
    def said(self) -> Floats:
        """Predictions around the mean outcome, one for each of ``outcomes``."""
        mean = self.outcomes.mean() + np.zeros(BARS - self.horizon)
        tilt = np.random.default_rng(1).uniform(0.8, 1.2, len(mean))
        return np.asarray(np.clip(mean * tilt, *self.definition.limits), dtype=np.float64)

    def __str__(self) -> str:
        return f"{self.kind}-{self.horizon}"


def cases_of(kind: str) -> list[TargetCase]:
    """A kind of target one bar and five bars ahead."""
    return [TargetCase(kind, 1), TargetCase(kind, 5)]


@cache
def _closes() -> Floats:
    return np.asarray(100 * np.exp(np.cumsum(simulated_returns(BARS, seed=5))), dtype=np.float64)


@CHECKS.add
def labels_are_outcomes_and_are_unknown_where_they_do_not_end(case: TargetCase) -> None:
    """NaN for the newest bars only, and what an outcome can be before."""
    values = case.definition.labels(_closes(), case.ends)
    known = case.ends != NONE
    require(values.shape == (BARS,), f"{values.shape} labels of {BARS} bars")
    require(np.isnan(values[~known]).all(), "a label is known that ends at no bar")
    valid = np.isfinite(values[known]) & case.definition.valid(values[known])
    require(valid.all(), f"{values[known][~valid][:1]!r} is a label and cannot be an outcome")
    require(len(np.unique(values[known])) > 1, "every outcome is the same")


@CHECKS.add
def no_label_knows_a_close_beyond_its_end(case: TargetCase) -> None:
    """Closes before a bar and after its end change nothing."""
    cut = 700
    whole = case.definition.labels(_closes(), case.ends)
    later, earlier = _closes().copy(), _closes().copy()
    later[cut:] *= np.linspace(2, 3, BARS - cut)
    earlier[:cut] *= 2
    ours = slice(0, cut - case.horizon)
    changed = case.definition.labels(later, case.ends)
    require_same_bits(whole[ours], changed[ours], "with other closes after its end")
    changed = case.definition.labels(earlier, case.ends)
    require_same_bits(whole[cut:], changed[cut:], "with other closes before its bar")


@CHECKS.add
def the_expected_outcome_has_the_least_loss(case: TargetCase) -> None:
    """The score is proper for the mean: no other number does better."""
    loss, outcomes = case.definition.loss, case.outcomes
    mean = np.clip(outcomes.mean(), *case.definition.limits)
    spread = max(float(outcomes.std()), abs(float(mean)) / 2)
    least = float(np.mean(loss(outcomes, np.full(len(outcomes), mean))))
    for step in (-0.9, -0.5, -0.1, 0.1, 0.5, 2.0):
        other = float(np.clip(mean + step * spread, *case.definition.limits))
        found = float(np.mean(loss(outcomes, np.full(len(outcomes), other))))
        better = least - found
        slack = 1e-9 + 1e-3 * abs(least)
        require(better <= slack, f"{other!r} loses {better!r} less than the mean {mean!r}")


@CHECKS.add
def limits_are_possible_and_have_a_finite_loss(case: TargetCase) -> None:
    """Every prediction can be judged."""
    low, high = case.definition.limits
    least, most = case.definition.possible
    require(least <= low < high <= most, f"limits {low!r} to {high!r} of {least!r} to {most!r}")
    for said in (low, high):
        losses = case.definition.loss(case.outcomes, np.full(len(case.outcomes), said))
        require(np.isfinite(losses).all(), f"a prediction of {said!r} has no finite loss")


@CHECKS.add
def its_baseline_and_its_reference_predict_it(case: TargetCase) -> None:
    """They are families that state this kind, or its outcomes."""
    reference = case.definition.reference(case.horizon)
    for family in (case.definition.baseline, reference.family):
        able = case.target.is_among(FAMILIES[family].targets)
        require(able, f"{family} does not predict {case.kind}")
    values = case.definition.baseline_values(case.said)
    require(np.isfinite(values).all(), "the baseline is not a finite number")


@CHECKS.add
def intervals_have_a_lower_and_an_upper_bound(case: TargetCase) -> None:
    """Learned from outcomes, for each prediction."""
    from fx_assets.evaluation.intervals import IntervalModel

    rule, said = case.definition.interval, case.said
    learned = rule.learn(0.9, said, case.outcomes, np.full(len(said), 0.006))
    model = IntervalModel(kind=case.kind, coverage=0.9, n=len(said), **learned._asdict())
    for value in said[:20]:
        lower, upper = model.interval(value, 0.006)
        require(lower <= upper, f"{value!r} has the interval from {lower!r} to {upper!r}")


@CHECKS.add
def metrics_hold_the_mean_loss_and_have_titles(case: TargetCase) -> None:
    """One number for each resample, and a name for people."""
    definition, outcomes, said = case.definition, case.outcomes, case.said
    weights = np.ones((3, len(said)))
    found = definition.metrics(outcomes, said, weights)
    name = definition.loss_name
    require(name in found, f"there is no metric {name!r}, the mean loss")
    loss = float(definition.loss(outcomes, said).mean())
    require(abs(found[name][0] - loss) <= 1e-9 + 1e-9 * abs(loss), f"{name} is not the mean loss")
    require(all(len(values) == 3 for values in found.values()), "not one number for each resample")
    require(set(definition.baseline_metrics(outcomes, said, weights)) == set(found), "not the same")


@CHECKS.add
def figures_on_scales_are_finite(case: TargetCase) -> None:
    """Scale of effects, distance from the baseline, parity and bias."""
    definition, said = case.definition, case.said
    baseline = np.full(len(said), said.mean())
    for values in (
        definition.on_scale(said),
        definition.beyond(said, baseline),
        definition.gap(said, said),
        definition.bias(case.outcomes, said)[0],
    ):
        require(np.isfinite(values).all(), "one of them is not")
    require(not definition.gap(said, said).any(), "equal predictions are apart")


@CHECKS.add
def plausible_limits_are_of_measures_that_exist(case: TargetCase) -> None:
    """At every frequency."""
    for frequency in get_args(Frequency):
        for measure, limit in case.definition.plausible(frequency, case.horizon).items():
            require(measure in get_args(Measure), f"{measure!r} is not measured")
            require(np.isfinite(limit), f"{measure} has the limit {limit!r} at {frequency}")


@CHECKS.add
def a_person_can_read_it(case: TargetCase) -> None:
    """Texts hold fields that exist, and numbers have digits."""
    definition = case.definition
    require(bool((definition.__doc__ or "").strip()), "the class has no docstring")
    wording = definition.wording
    for name in ("title", "called", "headline", "axis", "scale"):
        require(bool(getattr(wording, name).strip()), f"wording has no {name}")
    for text in (wording.headline, wording.headline_without_close, wording.interval, wording.past):
        try:
            text.format(**FIELDS)
        except (KeyError, IndexError, ValueError) as error:
            require(False, f"{text!r} cannot be filled: {error!r}")
    again: Any = msgspec.json.decode(msgspec.json.encode(wording), type=Wording)
    require(again == wording, "the API gives other texts")
    shown = definition.shown.text(float(case.said[0]), case.horizon, 256)
    require(any(digit.isdigit() for digit in shown), f"{shown!r} has no number")
    require(bool(definition.unit.strip()), "there is no unit")
    binary = definition.outcome == "binary"
    require((wording.outcomes is not None) == binary, "outcomes are named if they are 0 and 1")


@CHECKS.add
def the_servers_histogram_has_ascending_bounds(case: TargetCase) -> None:
    """As Prometheus asks."""
    bounds = np.array(case.definition.buckets)
    require(len(bounds) > 1 and (np.diff(bounds) > 0).all(), f"bounds {bounds.tolist()}")
