"""The record of a decision about a champion, and the ledger that they make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from fx_assets.errors import NoChampionError
from fx_assets.evaluation.claim import Claim
from fx_assets.evaluation.cusum import Fall
from fx_assets.evaluation.plausible import Excess
from fx_assets.evaluation.sequential import Boundary
from fx_assets.evaluation.suspicion import Acknowledgement, Suspicion
from fx_assets.specs.base import Record
from fx_assets.tables import CHAIN_COLUMNS, DECISIONS, SERIES_COLUMN

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["bootstrap", "keep", "replace", "refresh", "demote", "rollback"]


Seen = tuple[Sequence[str], Mapping[str, int]]
"""The recipes that a decision saw, and the settings that those of them that are tuned count as."""


class CandidateStatistics(Record):
    """What a candidate showed on the rows that all candidates have in common.

    Test figures are ``None`` where no test was made: between looks, for the baseline, and against
    itself.
    """

    candidate: str
    recipe: str
    loss: float
    """Mean proper score."""
    skill: float
    """Relative loss reduction against the baseline."""
    trailing_skill: float
    """The same on the newest ``demotion_rows`` rows."""
    clark_west: float | None = None
    clark_west_p: float | None = None
    needed_p: float | None = None
    """What it had to lie below, where the recipes do not share the error budget alike."""
    return_p: float | None = None
    """Clark–West p-value on the rows after its last demotion, for a recipe that was demoted."""
    diebold_mariano: float | None = None
    """Against the champion; positive when the candidate is better."""
    diebold_mariano_p: float | None = None
    needed_diebold_mariano_p: float | None = None
    objections: tuple[str, ...] = ()
    """Why the candidate may not become champion; empty between looks, too."""
    excess: tuple[Excess, ...] = ()
    """Figures that are beyond what is plausible, at looks and of the champion."""


class Thresholds(Record):
    """What was asked for at the time."""

    min_rows: int
    min_skill: float
    clark_west_p: float
    """Of the best challenger at a look; else, and by the fixed rule, the significance over K."""
    diebold_mariano_p: float
    """Likewise; by the fixed rule the significance."""
    refresh_max_degradation: float
    demotion_rows: int
    refresh_rows: int
    plausible: dict[str, float] = Field(default={})
    """What was plausible at most, of QLIKE at least."""


class Rollback(Record):
    """A person's word that another version than the rule's is to predict."""

    by: str
    reason: str
    left: int
    """The version that was in production before."""
    holds: bool
    """Whether the champion stays as it is until the rule promotes another or demotes it."""


class Decision(Record):
    """A decision, also one that changes nothing. All instants are UTC."""

    forecast: str
    series: str = ""
    """What the forecast was about; empty before decisions said so."""
    sequence: int
    """Position in the ledger of the series, from 0."""
    decided_at: datetime
    data_as_of: datetime
    """When the newest of the data used became available."""
    verdict: Verdict
    champion: str
    """The champion from now on, by candidate name."""
    recipe: str
    champion_before: str | None
    recipe_before: str | None
    label_end: datetime
    """When the last training label of the model in production was known."""
    published_at: datetime
    """``decided_at`` of the decision that put the model in production there."""
    version: int | None = None
    """The published bundle that is in production from now on; set when it is published."""
    challenger: str | None
    """The best candidate but the champion before and the baseline."""
    looked: bool
    """Whether challengers were tested."""
    starts_cool_down: bool
    recipes_seen: tuple[str, ...]
    """Recipes on trial, without the baseline."""
    tuned: dict[str, int] = Field(default={})
    """Settings that the tunings of those recipes compared, by recipe; without one, 1."""
    ideas: tuple[str, ...] = ()
    """What people had judged on the series by then, without declaring it."""
    trials: int
    """K: recipes tried ever, each once, a tuned one once for each setting; by the fixed rule those
    tried since the look before."""
    rows: int
    """Rows that all candidates have in common."""
    first_row: datetime
    last_row: datetime
    row_hash: str
    statistics: tuple[CandidateStatistics, ...]
    refresh_degradation: float | None = None
    """Relative change of the champion's loss by one refit more."""
    refresh_upper: float | None = None
    """Its upper 95 % bound."""
    thresholds: Thresholds
    rule: str = "fixed"
    """The promotion rule, by its name."""
    boundary: Boundary | None = None
    """The account of the year's error budget, at looks of the sequential rule."""
    boundary_champion: Boundary | None = None
    """The same of the tests against a champion that is a model."""
    fall: Fall | None = None
    """How far such a champion has fallen, and how far it may."""
    ground: str = ""
    """Which of the named grounds a champion was demoted on."""
    behind: bool = False
    """Whether the champion is a model that lost to the baseline on the newest ``demotion_rows``
    rows: for people to look at."""
    suspicions: tuple[Suspicion, ...] = ()
    """Candidates whose results held a change back because they are too good, the best first."""
    acknowledgement: Acknowledgement | None = None
    """Whose word it is that the champion's results, which are too good, are real."""
    failed_checks: tuple[str, ...] = ()
    """Checks that would have refused the bars, had their severity not been lowered in the feed."""
    rollback: Rollback | None = None
    put_back: str = ""
    """Who put a champion back that the rule had demoted; said until another is champion."""
    sentence: str
    reasons: tuple[str, ...] = ()
    claim: Claim | None = None
    """What may be said of the champion's skill; ``None`` in decisions of before it was said."""

    @property
    def seen(self) -> Seen:
        """The recipes and ideas that count from this decision on."""
        return (*self.recipes_seen, *self.ideas), self.tuned

    @property
    def needed_p(self) -> float:
        """What the p-value of the best challenger had to lie below."""
        return self.thresholds.clark_west_p

    @property
    def bundle(self) -> int:
        """The published bundle in production; 0 before there is any."""
        return self.version or 0

    @property
    def publishes(self) -> bool:
        """Whether a newly fitted model goes into production."""
        return self.verdict not in ("keep", "rollback")

    def statistics_of(self, candidate: str) -> CandidateStatistics | None:
        """The figures of one candidate."""
        return next((row for row in self.statistics if row.candidate == candidate), None)

    @property
    def caveat(self) -> str:
        """What has to be said with the champion's skill; empty where nothing is."""
        return caveat_text(self, self.failed_checks)

    @property
    def skill_demonstrated(self) -> bool:
        """Whether the champion's skill is demonstrated (:mod:`fx_assets.evaluation.claim`).

        A champion that a person put back after the rule had demoted it claims none. Decisions of
        before it was said called every model that was promoted so.
        """
        if self.put_back:
            return False
        return self.predicts if self.claim is None else self.claim.word == "demonstrated"

    @property
    def predicts(self) -> bool:
        """Whether the champion is a model and not the baseline."""
        return self.recipe in self.recipes_seen


def arrivals(seen: Sequence[Seen]) -> list[dict[str, int]]:
    """Recipes with the settings that each counts as, by the decision that saw each first."""
    settings: dict[str, int] = {}
    for recipes, tuned in seen:
        for recipe in recipes:
            settings[recipe] = max(settings.get(recipe, 1), tuned.get(recipe, 1))
    return [
        {recipe: settings.pop(recipe) for recipe in recipes if recipe in settings}
        for recipes, _ in seen
    ]


def tried_ever(ledger: Sequence[Decision]) -> int:
    """Recipes and ideas that a series' decisions have seen, a tuned one once for each setting."""
    found = arrivals([decision.seen for decision in ledger])
    return max(1, sum(sum(arrival.values()) for arrival in found))


def caveat_text(decision: Decision, failed_checks: Sequence[str]) -> str:
    """What has to be said with the skill of a decision's champion, and of what it is made from."""
    parts = [failed_text(failed_checks)] if failed_checks else []
    said = decision.acknowledgement
    mine = [found for found in decision.suspicions if found.recipe == decision.recipe]
    if said is not None:
        figures = ", ".join(found.text for found in said.excess)
        parts.append(f"beyond what is plausible ({figures}), {said.text}")
    parts += [f"beyond what is plausible ({found.figures}): look for a leak" for found in mine]
    parts += [decision.put_back] if decision.put_back else []
    return "; ".join(parts)


def failed_text(failed_checks: Sequence[str]) -> str:
    """Which lowered checks the bars failed, in words."""
    names = " and ".join(failed_checks)
    return f"made from bars that failed {names} (severity lowered in the feed)"


_OF_ACCOUNT = {
    "error_budget": "budget",
    "error_spent": "spent",
    "error_left": "left",
    "boundary_correlation": "mean_correlation",
    "boundary_seed": "seed",
    "boundary_replications": "replications",
}
"""Columns of a decision, and the figures of its account that they hold."""
_OF_FALL = {"fallen": "fall", "fall_limit": "limit"}
"""The same of the champion's fall."""
_OTHERS = {*_OF_ACCOUNT, *_OF_FALL, "record", *CHAIN_COLUMNS}
_OWN = tuple(name for name in DECISIONS.names if name not in _OTHERS)


def ledger_table(ledger: Sequence[Decision]) -> pd.DataFrame:
    """One row a decision: the columns that people read, and the whole record as JSON."""
    import pandas as pd

    table = pd.DataFrame(map(_shown, ledger), columns=list(DECISIONS.names))
    return table.astype(DECISIONS.dtypes)


def _shown(decision: Decision) -> dict[str, Any]:
    account, fall = decision.boundary, decision.fall
    return {
        **{name: getattr(decision, name) for name in _OWN},
        **{name: account and getattr(account, figure) for name, figure in _OF_ACCOUNT.items()},
        **{name: fall and getattr(fall, figure) for name, figure in _OF_FALL.items()},
        SERIES_COLUMN: decision.series or None,
        "record": decision.model_dump_json(),
    }


def read_ledger(table: pd.DataFrame) -> list[Decision]:
    """The decisions in a :func:`ledger_table`, oldest first."""
    decisions = [Decision.model_validate_json(record) for record in table["record"]]
    return sorted(decisions, key=lambda decision: decision.sequence)


def active_champion(ledger: Sequence[Decision], decision_time: datetime) -> Decision:
    """The decision whose champion is in force at a moment.

    The last decision made by then. For a moment before the first decision it is the first one, if
    nothing that it used was known later than that moment: no bar, and no training label.

    Raises
    ------
    NoChampionError
        Every champion has seen data from after ``decision_time``.
    """
    ordered = sorted(ledger, key=lambda decision: decision.sequence)
    if not ordered:
        raise NoChampionError(
            "There is no champion: the forecast's ledger of decisions is empty.",
            remedy="Materialize the forecast's champion asset.",
        )
    first_decided = ordered[0].decided_at
    made = [decision for decision in ordered if decision.decided_at <= decision_time]
    in_question = made or [d for d in ordered if d.decided_at == first_decided]
    for decision in reversed(in_question):
        if max(decision.label_end, decision.data_as_of) <= decision_time:
            return decision
    first = ordered[0]
    earliest = max(first.label_end, first.data_as_of)
    raise NoChampionError(
        f"{first.forecast}: no champion can predict at {decision_time:%Y-%m-%d %H:%M} UTC. The "
        f"earliest, {first.champion}, was decided on at {first.decided_at:%Y-%m-%d %H:%M} with "
        f"data as of {first.data_as_of:%Y-%m-%d %H:%M} and labels known by "
        f"{first.label_end:%Y-%m-%d %H:%M}: it may have seen the outcome.",
        remedy=f"Ask for a decision time from {earliest:%Y-%m-%d %H:%M} UTC on; for earlier days "
        "read the backtest table, whose rows are out of sample.",
    )


def stand_ins(
    ledger: Sequence[Decision], decision: Decision, decision_time: datetime
) -> list[Decision]:
    """Who may predict at a moment, first the champion in force, then those who may stand in for it.

    A later champion may where that one is lost, if nothing that it used was known after the moment.
    """
    later = (other for other in ledger if other.sequence > decision.sequence)
    able = [d for d in later if max(d.label_end, d.data_as_of) <= decision_time]
    return [decision, *sorted(able, key=lambda other: other.sequence)]
