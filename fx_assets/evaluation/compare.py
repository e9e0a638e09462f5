"""Measures what may be said of a candidate's skill, on identical out-of-sample rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from fx_assets.evaluation.claim import Claim, ClaimWord, Comparison
from fx_assets.evaluation.evidence import Evidence, Paired, pair
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.evaluation.significance import MIN_ROWS, clark_west, diebold_mariano
from fx_assets.evaluation.study import Study
from fx_assets.models import build_model
from fx_assets.specs import CandidateSpec, ForecastSpec, TargetSpec
from fx_assets.targets import Reference


def references(spec: ForecastSpec, bars_a_day: int) -> list[tuple[str, CandidateSpec]]:
    """What the references are called, and as recipes: candidates with the same settings if any.

    None where the kind of target has no other reference than the baseline.
    """
    definition, horizon = spec.target.definition, spec.target.horizon
    declared = [definition.reference(horizon), *definition.intraday_references(horizon, bars_a_day)]
    known = [reference for reference in declared if reference != Reference(spec.target.baseline)]
    return [
        (each.called or each.family, _candidate(spec, each, f"_{i}" if i > 1 else ""))
        for i, each in enumerate(known, 1)
    ]


def _candidate(spec: ForecastSpec, reference: Reference, suffix: str) -> CandidateSpec:
    family = reference.family
    model = build_model(family, spec.target, reference.params)
    for candidate in spec.candidates:
        if candidate.family == family and candidate.tune is None:
            other = build_model(family, spec.target, candidate.params)
            if other.params == model.params:
                return candidate
    name = f"{family}_reference{suffix}"
    return CandidateSpec(family=family, name=name, params=reference.params)


def with_references(spec: ForecastSpec, bars_a_day: int) -> list[CandidateSpec]:
    """The candidates of a forecast, and its references that are none of them."""
    others = [candidate for _, candidate in references(spec, bars_a_day)]
    return [*spec.candidates, *(each for each in others if each not in spec.candidates)]


def reference_among(
    spec: ForecastSpec,
    baseline: Evidence | None,
    bars_a_day: int,
    rows_of: Callable[[CandidateSpec], pd.DataFrame | None],
) -> Evidence | None:
    """The evidence of the best reference on these rows, under the name that people read.

    It may be the baseline; ``None`` where the rows of a reference are unknown.
    """
    loss, found = spec.target.definition.loss, []
    for called, candidate in references(spec, bars_a_day):
        rows = rows_of(candidate)
        if rows is None:
            return None
        mean = pd.Series(loss(rows["target"], rows["prediction"])).mean()
        found.append((mean, Evidence(called, spec.recipe_hash(candidate), rows)))
    return min(found, key=lambda each: each[0])[1] if found else baseline


def reference_of(study: Study, baseline: Evidence) -> Evidence:
    """As :func:`reference_among`, of rows that are walked forward where they are unknown."""
    walked = partial(_walked, study)
    return reference_among(study.spec, baseline, study.bars_a_day, walked) or baseline


def reference_predictions(study: Study) -> pd.DataFrame | None:
    """What the best reference says of the rows of a study; ``None`` if it is the baseline."""
    found = reference_among(study.spec, None, study.bars_a_day, partial(_walked, study))
    return None if found is None else found.predictions


def _walked(study: Study, candidate: CandidateSpec) -> pd.DataFrame:
    return study.walk_forward(candidate).predictions


@dataclass(frozen=True)
class Compared:
    """A candidate beside its benchmarks on identical rows; both are the same where there is one."""

    rows: int
    baseline: Comparison
    reference: Comparison

    @property
    def p_value(self) -> float:
        """What the p-value of a claim is: the largest; 1 beside itself, NaN where untested."""
        found = []
        for each in (self.baseline, self.reference):
            if each.skill is None:
                found.append(1.0)
                continue
            both = each.clark_west_p, each.diebold_mariano_p
            found += [math.nan if p is None else p for p in both]
        return float(np.max(found))

    def claim(self, needed: float, tried: int) -> Claim:
        """What may be said of the candidate where p-values have to lie below ``needed``."""
        both = self.baseline, self.reference
        word: ClaimWord = "not demonstrated"
        if all(each.beats(needed) for each in both):
            word = "demonstrated"
        elif all(each.knows(needed) for each in both):
            word = "knows something"
        return Claim(
            word=word,
            rows=self.rows,
            needed_p=needed,
            tried=tried,
            baseline=self.baseline,
            reference=self.reference,
        )


def claim_of(
    item: Evidence,
    baseline: Evidence,
    reference: Evidence,
    target: TargetSpec,
    *,
    significance: float,
    tried: int,
) -> Claim:
    """What may be said of a candidate of one series.

    Parameters
    ----------
    item, baseline, reference
        Walk-forward rows on the same frame; each may be another of them.
    significance
        Of the promotion rule.
    tried
        How many recipes count.

    Raises
    ------
    NotEnoughDataError
        They have no row in common.
    """
    counted = max(1, tried)
    return compared(item, baseline, reference, target).claim(significance / counted, tried)


def compared(
    item: Evidence,
    baseline: Evidence,
    reference: Evidence,
    target: TargetSpec,
    min_rows: int = MIN_ROWS,
) -> Compared:
    """A candidate beside the baseline and the reference; fewer than ``min_rows`` have no p-value.

    Raises
    ------
    NotEnoughDataError
        They have no row in common.
    """
    benchmarks = {each.recipe: each for each in (baseline, reference)}
    rows = pair(target, [item, *(b for r, b in benchmarks.items() if r != item.recipe)])
    against = {
        recipe: _comparison(each.candidate, item.recipe, recipe, rows, target, min_rows)
        for recipe, each in benchmarks.items()
    }
    return Compared(rows.n, against[baseline.recipe], against[reference.recipe])


def _comparison(
    name: str, recipe: str, benchmark: str, rows: Paired, target: TargetSpec, min_rows: int
) -> Comparison:
    theirs = rows.loss(benchmark)
    found = Comparison(benchmark=name, loss=float(theirs.mean()))
    said, other, ours = rows.said[recipe], rows.said[benchmark], rows.loss(recipe)
    if np.array_equal(said, other) or rows.n < MIN_ROWS:
        return found
    skill, lower, upper = skill_interval(ours, theirs, target.horizon)
    figures = {"skill": skill, "lower": lower, "upper": upper}
    if rows.n >= min_rows:
        knows = clark_west(target.kind, rows.target, other, said, target.horizon)
        better = diebold_mariano(theirs, ours, target.horizon)
        figures |= {"clark_west_p": knows.p_value, "diebold_mariano_p": better.p_value}
    return found.model_copy(update=figures)
