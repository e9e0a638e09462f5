"""A verdict on an idea, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from fx_assets.evaluation.claim import Claim, percent_within
from fx_assets.evaluation.compare import claim_of, reference_of
from fx_assets.evaluation.evidence import Evidence, pair
from fx_assets.evaluation.metrics import measure
from fx_assets.evaluation.promotion import decide
from fx_assets.evaluation.significance import diebold_mariano

if TYPE_CHECKING:
    import pandas as pd

    from fx_assets.calendars import Frequency
    from fx_assets.evaluation.study import Study

Verdict = Literal[
    "skill demonstrated",
    "knows something",
    "no skill demonstrated",
    "too good: look for a leak",
]


@dataclass(frozen=True, repr=False)
class Judgement:
    """What an idea showed on rows that it had not seen, beside the baseline.

    Parameters
    ----------
    candidate, forecast, baseline
        Names.
    verdict
        Skill is demonstrated where the claim is, and the promotion rule of the forecast would take
        the idea, had it been tried beside all others.
    claim
        What may be said of its skill against the baseline and the reference.
    skill, lower, upper
        Relative loss reduction against the baseline, and its 95 % block-bootstrap interval.
    rows
        Out-of-sample rows.
    clark_west_p, needed_p
        One-sided p-value against the baseline, and what it has to lie below at a first look.
    diebold_mariano_p, against
        One-sided p-value of a smaller loss than that of ``against``: the champion's, or the
        baseline's where the champion claims no skill.
    tried
        Different ideas and recipes that have been judged on this series, this one included.
    objections
        What speaks against it; empty where skill is demonstrated.
    predictions
        Its rows: ``event_time``, ``prediction``, ``target``, ``baseline`` and more.
    """

    candidate: str
    forecast: str
    baseline: str
    verdict: Verdict
    claim: Claim
    skill: float
    lower: float
    upper: float
    rows: int
    clark_west_p: float
    needed_p: float
    diebold_mariano_p: float
    against: str
    tried: int
    objections: tuple[str, ...]
    predictions: pd.DataFrame = field(compare=False)

    @property
    def demonstrated(self) -> bool:
        """Whether skill is demonstrated."""
        return self.verdict == "skill demonstrated"

    @property
    def sentence(self) -> str:
        """The verdict and its figures, for people."""
        said = (
            f"{self.candidate} on {self.forecast}: {self.verdict}. Skill "
            f"{percent_within(self.skill, self.lower, self.upper)} against {self.baseline} on "
            f"{self.rows:,} rows; Clark–West p = {self.clark_west_p:.3g}, needed below "
            f"{self.needed_p:.3g} with {self.tried} tried; Diebold–Mariano p = "
            f"{self.diebold_mariano_p:.3g} against {self.against}."
        )
        return said if self.demonstrated else f"{said} Against it: {'; '.join(self.objections)}."

    def __repr__(self) -> str:
        return self.sentence


def judged(
    evidence: Evidence,
    study: Study,
    *,
    baseline: Evidence,
    champion: Evidence | None,
    tried: int,
    now: datetime,
    data_as_of: datetime,
    frequency: Frequency,
) -> Judgement:
    """Judge an idea's rows by the forecast's own promotion rule.

    Parameters
    ----------
    evidence, baseline
        Rows of the idea and of the baseline.
    champion
        Rows of the champion, where that is a model.
    tried
        How many recipes count, this one included.
    """
    spec = study.spec
    item = Evidence(evidence.candidate, evidence.recipe, evidence.predictions, trials=tried)
    if evidence.recipe == baseline.recipe:
        item = Evidence(f"{evidence.candidate} again", "again", evidence.predictions, trials=tried)
    decision = decide(spec, [], [baseline, item], now, data_as_of, frequency=frequency)[-1]
    found = decision.statistics_of(item.candidate)
    opponent = champion or baseline
    paired = pair(spec.target, [baseline, item, *([champion] if champion else [])])
    said = paired.said[item.recipe]
    figures = measure(
        paired.target,
        said,
        paired.baseline,
        kind=spec.target.kind,
        horizon=spec.target.horizon,
    )
    at = figures.names.index("skill")
    better = diebold_mariano(
        paired.loss(opponent.recipe), paired.loss(item.recipe), spec.target.horizon
    )
    objections = list(found.objections) if found else []
    fixed = spec.promotion.rule == "fixed"
    needed = spec.promotion.significance if fixed else decision.needed_p
    if champion is not None and better.p_value >= needed:
        objections.append(
            f"Diebold–Mariano p = {better.p_value:.3g} against the champion, needed below "
            f"{needed:.3g}"
        )
    excess = found.excess if found else ()
    claim = claim_of(
        item,
        baseline,
        reference_of(study, baseline),
        spec.target,
        significance=spec.promotion.significance,
        tried=tried,
    )
    verdict: Verdict = "no skill demonstrated"
    if claim.word == "knows something":
        verdict = "knows something"
    elif claim.word == "demonstrated" and not objections:
        verdict = "skill demonstrated"
    if claim.word != "demonstrated" and (len(claim.benchmarks) > 1 or not objections):
        objections.append(claim.sentence.rstrip("."))
    if excess:
        verdict = "too good: look for a leak"
        objections = [f"beyond what is plausible: {each.text}" for each in excess] + objections
    return Judgement(
        candidate=evidence.candidate,
        forecast=spec.name,
        baseline=baseline.candidate,
        verdict=verdict,
        claim=claim,
        skill=figures.columns["value"][at],
        lower=figures.columns["lower"][at],
        upper=figures.columns["upper"][at],
        rows=paired.n,
        clark_west_p=float(found.clark_west_p) if found and found.clark_west_p is not None else 1.0,
        needed_p=decision.thresholds.clark_west_p,
        diebold_mariano_p=better.p_value,
        against=opponent.candidate,
        tried=tried,
        objections=tuple(objections),
        predictions=evidence.predictions.reset_index(drop=True),
    )
