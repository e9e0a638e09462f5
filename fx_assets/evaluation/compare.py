"""Measures what may be said of a candidate's skill, on identical out-of-sample rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fx_assets.evaluation.claim import Claim, ClaimWord, Comparison
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.evidence import Evidence, Paired, pair
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.evaluation.significance import MIN_ROWS, clark_west, diebold_mariano
from fx_assets.evaluation.study import Study
from fx_assets.specs import CandidateSpec, TargetSpec
from fx_assets.targets import Reference


def tried_ever(ledger: Sequence[Decision]) -> int:
    """Recipes that a series' decisions have seen, a tuned one once for each setting."""
    tried: dict[str, int] = {}
    for decision in ledger:
        for recipe in decision.recipes_seen:
            tried[recipe] = max(tried.get(recipe, 1), decision.tuned.get(recipe, 1))
    return max(1, sum(tried.values()))


def reference_predictions(study: Study) -> pd.DataFrame | None:
    """What the reference says of the rows of a study, walking forward; ``None`` if the baseline."""
    reference = _reference(study.spec.target)
    return None if reference is None else study.walk_forward(_candidate(reference)).predictions


def reference_of(study: Study, baseline: Evidence) -> Evidence:
    """The evidence of the reference, which may be the baseline."""
    reference, rows = _reference(study.spec.target), reference_predictions(study)
    if reference is None or rows is None:
        return baseline
    recipe = study.spec.recipe_hash(_candidate(reference))
    return Evidence(reference.called or reference.family, recipe, rows)


def _reference(target: TargetSpec) -> Reference | None:
    found = target.definition.reference(target.horizon)
    return None if found == Reference(target.baseline) else found


def _candidate(reference: Reference) -> CandidateSpec:
    return CandidateSpec(family=reference.family, params=reference.params)


def claim_of(
    item: Evidence,
    baseline: Evidence,
    reference: Evidence,
    target: TargetSpec,
    *,
    significance: float,
    tried: int,
) -> Claim:
    """What may be said of a candidate.

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
    benchmarks = {each.recipe: each for each in (baseline, reference)}
    rows = pair(target, [item, *(b for r, b in benchmarks.items() if r != item.recipe)])
    needed = significance / max(1, tried)
    against = {
        recipe: _comparison(each.candidate, item.recipe, recipe, rows, target)
        for recipe, each in benchmarks.items()
    }
    found = tuple(against.values())
    word: ClaimWord = "not demonstrated"
    if all(each.beats(needed) for each in found):
        word = "demonstrated"
    elif all(each.knows(needed) for each in found):
        word = "knows something"
    return Claim(
        word=word,
        rows=rows.n,
        needed_p=needed,
        tried=tried,
        baseline=against[baseline.recipe],
        reference=against[reference.recipe],
    )


def _comparison(
    name: str, recipe: str, benchmark: str, rows: Paired, target: TargetSpec
) -> Comparison:
    theirs = rows.loss(benchmark)
    found = Comparison(benchmark=name, loss=float(theirs.mean()))
    said, other, ours = rows.said[recipe], rows.said[benchmark], rows.loss(recipe)
    if np.array_equal(said, other) or rows.n < MIN_ROWS:
        return found
    skill, lower, upper = skill_interval(ours, theirs, target.horizon)
    knows = clark_west(target.kind, rows.target, other, said, target.horizon)
    better = diebold_mariano(theirs, ours, target.horizon)
    return found.model_copy(
        update={
            "skill": skill,
            "lower": lower,
            "upper": upper,
            "clark_west_p": knows.p_value,
            "diebold_mariano_p": better.p_value,
        }
    )
