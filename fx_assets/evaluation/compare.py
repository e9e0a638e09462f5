"""Measures what may be said of a candidate's skill, on identical out-of-sample rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


def reference_candidate(spec: ForecastSpec) -> CandidateSpec | None:
    """The reference as a recipe: the candidate with the same settings where there is one.

    ``None`` where the kind of target has no other reference than the baseline.
    """
    reference = spec.target.definition.reference(spec.target.horizon)
    if reference == Reference(spec.target.baseline):
        return None
    family = reference.family
    model = build_model(family, spec.target, reference.params)
    for candidate in spec.candidates:
        if candidate.family == family and candidate.tune is None:
            other = build_model(family, spec.target, candidate.params)
            if other.params == model.params:
                return candidate
    return CandidateSpec(family=family, name=f"{family}_reference", params=reference.params)


def with_reference(spec: ForecastSpec) -> list[CandidateSpec]:
    """The candidates of a forecast, and its reference where that is none of them."""
    reference = reference_candidate(spec)
    others = [] if reference is None or reference in spec.candidates else [reference]
    return [*spec.candidates, *others]


def reference_predictions(study: Study) -> pd.DataFrame | None:
    """What the reference says of the rows of a study, walking forward; ``None`` if the baseline."""
    candidate = reference_candidate(study.spec)
    return None if candidate is None else study.walk_forward(candidate).predictions


def reference_of(study: Study, baseline: Evidence) -> Evidence:
    """The evidence of the reference, which may be the baseline."""
    candidate = reference_candidate(study.spec)
    if candidate is None:
        return baseline
    rows = study.walk_forward(candidate).predictions
    return reference_evidence(study.spec, candidate, rows)


def reference_evidence(
    spec: ForecastSpec, candidate: CandidateSpec, rows: pd.DataFrame
) -> Evidence:
    """The evidence of a :func:`reference_candidate`, under the name that people read."""
    reference = spec.target.definition.reference(spec.target.horizon)
    return Evidence(reference.called or reference.family, spec.recipe_hash(candidate), rows)


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
