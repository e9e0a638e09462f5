"""How a champion is made, kept fresh and unmade.

``decide`` is a pure function of the ledger and the evidence; ``docs/promotion.md`` has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from fx_assets.calendars import Frequency
from fx_assets.errors import FxAssetsError
from fx_assets.evaluation.claim import percent
from fx_assets.evaluation.cusum import Fall
from fx_assets.evaluation.decision import (
    CandidateStatistics,
    Decision,
    Thresholds,
    Verdict,
    arrivals,
)
from fx_assets.evaluation.evidence import Evidence, Paired, pair
from fx_assets.evaluation.judged import covering, suspicion_of
from fx_assets.evaluation.losses import Floats, loss_for, skill
from fx_assets.evaluation.plausible import Excess, PlausibleLimits, excesses, plausible_limits
from fx_assets.evaluation.reign import YEAR, Reign, bias_of
from fx_assets.evaluation.rollback import standing_rollback
from fx_assets.evaluation.sequential import (
    REPLICATIONS,
    Account,
    Boundary,
    budget_shares,
    long_run_correlation,
    spend,
)
from fx_assets.evaluation.significance import MIN_ROWS as MIN_TEST_ROWS
from fx_assets.evaluation.significance import (
    clark_west,
    clark_west_difference,
    dependence_length,
    diebold_mariano,
    mean_upper_bound,
)
from fx_assets.evaluation.suspicion import Acknowledgement, Suspicion
from fx_assets.plural import sentence_case
from fx_assets.specs import ForecastSpec, PromotionRule
from fx_assets.specs.base import digest

REFRESH_CONFIDENCE = 0.95


def decide(
    spec: ForecastSpec,
    ledger: Sequence[Decision],
    evidence: Sequence[Evidence],
    now: datetime,
    data_as_of: datetime,
    fresh: bool = True,
    *,
    frequency: Frequency = "1d",
    series: str = "",
    acknowledgements: Sequence[Acknowledgement] = (),
    lost: bool | str = False,
    ideas: Sequence[str] = (),
) -> list[Decision]:
    """Decide about the champion, and say why.

    Parameters
    ----------
    spec
        The forecast; its ``promotion`` is the rule.
    ledger
        Its decisions so far.
    evidence
        Walk-forward rows of the baseline and of every candidate. Those of the champion carry
        ``previous``, without which a model is not refreshed.
    now
        When the decision is made (UTC).
    data_as_of
        When the newest of the data used became available (UTC).
    fresh
        Whether the data's provenance is fresh; a model is not refreshed from stale data.
    frequency
        Of the bars; says what is plausible where ``spec.suspicion`` leaves it open.
    series
        Identifies instrument, bars and target, for acknowledgements.
    acknowledgements
        What people have said about results that are too good.
    lost
        Whether the champion's bundle can no longer be used, or why it must be made again; its
        recipe is published anew then, unless it is demoted or replaced.
    ideas
        Identities of what people have judged on the series without declaring it, which counts.

    Returns
    -------
    list of Decision
        The records to append. One, but two where there is no champion, because the ledger is empty
        or the champion's recipe is no longer declared: the baseline is appointed, and then a
        challenger is looked for if a look is due.

    Raises
    ------
    FxAssetsError
        The evidence does not fit together, lacks the baseline, or knows something later than
        ``data_as_of`` or ``now``.
    """
    rows = pair(spec.target, evidence)
    _check_time(spec, ledger, rows, now, data_as_of)
    limits = plausible_limits(spec.suspicion, spec.target.kind, spec.target.horizon, frequency)
    case = _Case(
        spec,
        tuple(ledger),
        tuple(evidence),
        rows,
        now,
        data_as_of,
        fresh,
        limits,
        series,
        tuple(acknowledgements),
        lost,
        tuple(ideas),
    )
    appointed = _appoint_baseline(case)
    if appointed is None:
        return [_judge(case)]
    return [appointed, _judge(replace(case, ledger=(*ledger, appointed)))]


def _appoint_baseline(case: _Case) -> Decision | None:
    """Where there is no champion: at the beginning, or because its recipe is no longer declared."""
    name = case.baseline.candidate
    if not case.ledger:
        return case.record(
            "bootstrap", case.baseline, f"Started with {name}, the baseline, which claims no skill."
        )
    if case.champion is None:
        before = case.ledger[-1]
        return case.record(
            "demote",
            case.baseline,
            f"Demoted {before.champion} to {name}: its recipe {before.recipe} is no longer "
            "declared, so it can be neither judged nor refreshed.",
            ground="undeclared",
        )
    return None


def _check_time(
    spec: ForecastSpec,
    ledger: Sequence[Decision],
    rows: Paired,
    now: datetime,
    data_as_of: datetime,
) -> None:
    in_order = [
        ("the last label", rows.label_end, "the newest data", data_as_of),
        ("the newest data", data_as_of, "the decision", now),
    ]
    if ledger:
        in_order.append(("the decision before", ledger[-1].decided_at, "this one", now))
    for what, earlier, then, later in in_order:
        if earlier > later:
            raise FxAssetsError(
                f"{spec.name}: {what} is of {earlier}, after {then}, {later}.",
                remedy="Read the tables as of the decision's time, and look at the clock "
                "(FX_ASSETS_NOW).",
            )


@dataclass(frozen=True)
class _Case:
    """Everything that one decision depends on."""

    spec: ForecastSpec
    ledger: tuple[Decision, ...]
    evidence: tuple[Evidence, ...]
    rows: Paired
    now: datetime
    data_as_of: datetime
    fresh: bool
    limits: PlausibleLimits
    series: str
    acknowledgements: tuple[Acknowledgement, ...]
    lost: bool | str = False
    ideas: tuple[str, ...] = ()

    @property
    def rule(self) -> PromotionRule:
        return self.spec.promotion

    @cached_property
    def baseline(self) -> Evidence:
        name = self.spec.baseline.name
        found = next((item for item in self.evidence if item.candidate == name), None)
        if found is None:
            raise FxAssetsError(
                f"{self.spec.name}: the evidence lacks the baseline, {name}.",
                remedy="Run the walk-forward of every one of spec.all_candidates.",
            )
        return found

    @cached_property
    def champion_is_baseline(self) -> bool:
        return not self.ledger or self.ledger[-1].champion == self.baseline.candidate

    @cached_property
    def champion(self) -> Evidence | None:
        """The evidence of the champion's recipe; ``None`` if it is no longer declared."""
        if self.champion_is_baseline:
            return self.baseline
        recipe = self.ledger[-1].recipe
        return next((item for item in self.evidence if item.recipe == recipe), None)

    @cached_property
    def recipes_seen(self) -> tuple[str, ...]:
        return tuple(sorted({item.recipe for item in self.evidence} - {self.baseline.recipe}))

    @cached_property
    def tuned(self) -> dict[str, int]:
        return {item.recipe: item.trials for item in self.evidence if item.trials > 1}

    @cached_property
    def trials(self) -> int:
        """K: recipes ever tried; by the fixed rule those but the champion's since the look before.

        A tuned recipe counts as many times as a tuning of it compared settings.
        """
        if self.sequential:
            return max(1, sum(sum(arrival.values()) for arrival in self.arrivals))
        tried = {recipe: self.tuned.get(recipe, 1) for recipe in self.recipes_seen}
        for decision in reversed(self.ledger):
            if decision.looked and decision is not self.resumed:
                break
            for recipe in decision.recipes_seen:
                tried.setdefault(recipe, decision.tuned.get(recipe, 1))
        if self.champion is not None:
            tried.pop(self.champion.recipe, None)
        return max(1, sum(tried.values()))

    @property
    def sequential(self) -> bool:
        return self.rule.rule == "sequential"

    @cached_property
    def arrivals(self) -> list[dict[str, int]]:
        seen = [decision.seen for decision in self.ledger]
        return arrivals([*seen, ((*self.recipes_seen, *self.ideas), self.tuned)])

    @cached_property
    def on_trial(self) -> list[Evidence]:
        return [item for item in self.evidence if item not in (self.baseline, self.champion)]

    @cached_property
    def reign(self) -> Reign:
        return Reign(self.spec, self.series, self.ledger, self.rows)

    @cached_property
    def boundary(self) -> Boundary | None:
        """The account of the tests against the baseline."""
        if not self._accounts:
            return None
        rows, kind = self.rows, self.spec.target.kind
        differences = [
            clark_west_difference(kind, rows.target, rows.baseline, rows.said[item.recipe])
            for item in self.on_trial
        ]
        looks = [(d.rows, d.boundary) for d in self.ledger if d.looked and d.boundary]
        return self._boundary("baseline", differences, looks)

    @cached_property
    def boundary_champion(self) -> Boundary | None:
        """The account of the tests against a champion that is a model."""
        if not self._accounts or self.champion is None or self.champion_is_baseline:
            return None
        champion = self.rows.loss(self.champion.recipe)
        differences = [champion - self.rows.loss(item.recipe) for item in self.on_trial]
        accounts = [(d, d.boundary_champion) for d in self.ledger if d.looked]
        since = self.reign.decisions[0].sequence
        looks = [(d.rows, b) for d, b in accounts if b and d.sequence > since]
        others = [b for d, b in accounts if b and d.sequence <= since]
        return self._boundary("champion", differences, looks, others)

    @property
    def _accounts(self) -> bool:
        enough = self.rows.n >= max(self.rule.min_rows, MIN_TEST_ROWS)
        return self.sequential and self.looks and enough and bool(self.on_trial)

    def _boundary(
        self,
        against: str,
        differences: Sequence[Floats],
        looks: Sequence[tuple[int, Boundary]],
        others: Sequence[Boundary] = (),
    ) -> Boundary:
        """The account of this look.

        ``looks`` are those before with the same opponent, ``others`` those with another one.
        """
        first = next((d.boundary.year_from for d in self.ledger if d.boundary), self.data_as_of)
        year_from = first + (self.data_as_of - first) // YEAR * YEAR
        year = [(rows, b) for rows, b in looks if b.year_from == year_from]
        every = timedelta(weeks=self.rule.look_every_weeks)
        remaining = max(0, -((self.data_as_of - year_from - YEAR) // every) - 1)
        a_look = self.reign.rows_a_year * (every / YEAR)
        seed = int(digest([self.spec.name, self.series, str(year_from), against]), 16) % 2**32
        correlation = long_run_correlation(
            np.column_stack(differences),
            dependence_length(self.rows.n, self.spec.target.horizon) - 1,
        )
        recipes = [item.recipe for item in self.on_trial]
        counts = [sum(arrival.values()) for arrival in self.arrivals]
        shares = budget_shares(counts)
        accounts = []
        for index, arrival in enumerate(self.arrivals):
            mine = [at for at, recipe in enumerate(recipes) if recipe in arrival]
            if not mine:
                continue
            budget = self.rule.significance * shares[index] - sum(
                a.spends
                for b in others
                for a in b.accounts
                if b.year_from == year_from and a.arrival == index
            )
            past = [(n, a.level) for n, b in year for a in b.accounts if a.arrival == index]
            level, spent, spends = spend(
                correlation[np.ix_(mine, mine)],
                past,
                [self.rows.n + a_look * ahead for ahead in range(remaining + 1)],
                budget=budget,
                seed=(seed + index) % 2**32,
                absent=counts[index] - len(mine),
            )
            accounts.append(
                Account(
                    arrival=index,
                    recipes=tuple(recipes[at] for at in mine),
                    settings=counts[index],
                    budget=budget,
                    spent=spent,
                    spends=spends,
                    level=level,
                )
            )
        return Boundary(
            year_from=_plain(year_from),
            look=len(year) + 1,
            looks=len(year) + 1 + remaining,
            rows_a_look=a_look,
            accounts=tuple(accounts),
            recipes=tuple(recipes),
            correlation=tuple(tuple(row) for row in correlation.round(4).tolist()),
            replications=REPLICATIONS,
            seed=seed,
        )

    def asked_p(self, recipe: str) -> tuple[float, float]:
        """What the p-values against the baseline and the champion have to lie below."""
        alike = self.rule.significance / self.trials
        if not self.sequential:
            return alike, self.rule.significance
        baseline, champion = (
            account.level_of(recipe) if account is not None else None
            for account in (self.boundary, self.boundary_champion)
        )
        return alike if baseline is None else baseline, alike if champion is None else champion

    @cached_property
    def thresholds(self) -> Thresholds:
        rule = self.rule
        mean = {item.recipe: float(self.rows.loss(item.recipe).mean()) for item in self.on_trial}
        baseline, champion = self.asked_p(min(mean, key=mean.__getitem__, default=""))
        return Thresholds(
            min_rows=rule.min_rows,
            min_skill=rule.min_skill,
            clark_west_p=baseline,
            diebold_mariano_p=champion,
            refresh_max_degradation=rule.refresh_max_degradation,
            demotion_rows=rule.demotion_rows,
            refresh_rows=rule.refresh_rows,
            plausible=self.limits.shown,
        )

    @cached_property
    def resumed(self) -> Decision | None:
        """The last look, if what it held back has been acknowledged since: it goes on now."""
        last = next((d for d in reversed(self.ledger) if d.looked or d.starts_cool_down), None)
        if last is None or not last.looked:
            return None
        held = {found.recipe for found in last.suspicions}
        said = [item for item in self.evidence if item.recipe in held and self.word_for(item)]
        return last if said else None

    def word_for(self, item: Evidence) -> Acknowledgement | None:
        """The acknowledgement that covers a candidate's rows."""
        return covering(self.acknowledgements, item, self.series)

    @cached_property
    def suspected(self) -> list[Evidence]:
        """Those that are too good and not acknowledged, the best first; the champion may be one."""
        found = [
            item
            for item in self.evidence
            if self.statistics_of(item).excess and not self.word_for(item)
        ]
        return sorted(found, key=lambda item: self.statistics_of(item).skill, reverse=True)

    def suspicions(self, of: Sequence[Evidence]) -> tuple[Suspicion, ...]:
        """What is recorded of suspected candidates."""
        return tuple(
            suspicion_of(item, self.series, self.statistics_of(item).excess) for item in of
        )

    @cached_property
    def next_look(self) -> datetime | None:
        """The data time from which challengers may be tested; ``None`` if they never were."""
        rule = self.rule
        dates = [
            next((d.data_as_of + wait for d in reversed(self.ledger) if getattr(d, mark)), None)
            for mark, wait in (
                ("looked", timedelta(weeks=rule.look_every_weeks)),
                ("starts_cool_down", timedelta(weeks=rule.cool_down_weeks)),
            )
        ]
        return max((date for date in dates if date is not None), default=None)

    @cached_property
    def looks(self) -> bool:
        if not self.ledger or self.champion is None:
            return False
        due = self.next_look is None or self.data_as_of >= self.next_look
        return due or self.resumed is not None

    @cached_property
    def statistics(self) -> tuple[CandidateStatistics, ...]:
        return tuple(self._statistics(item) for item in self.evidence)

    def statistics_of(self, item: Evidence) -> CandidateStatistics:
        return self.statistics[self.evidence.index(item)]

    def _statistics(self, item: Evidence) -> CandidateStatistics:
        loss, reference = self.rows.loss(item.recipe), self.rows.baseline_loss
        trailing = slice(-self.rule.demotion_rows, None)
        found = CandidateStatistics(
            candidate=item.candidate,
            recipe=item.recipe,
            loss=float(loss.mean()),
            skill=skill(loss, reference),
            trailing_skill=skill(loss[trailing], reference[trailing]),
        )
        enough = self.rows.n >= MIN_TEST_ROWS
        if enough and item != self.baseline and (self.looks or item == self.champion):
            found = found.model_copy(update={"excess": self._excess(item)})
        testable = self.looks and enough
        if not testable or item in (self.baseline, self.champion):
            return found
        target = self.spec.target
        figures: dict[str, float] = {}
        cw = clark_west(
            target.kind,
            self.rows.target,
            self.rows.baseline,
            self.rows.said[item.recipe],
            target.horizon,
        )
        figures |= {"clark_west": cw.statistic, "clark_west_p": cw.p_value}
        if self.boundary is not None:
            figures["needed_p"] = self.asked_p(item.recipe)[0]
        again = self.reign.return_p(item.recipe)
        figures |= {} if again is None else {"return_p": again}
        if self.champion is not None and not self.champion_is_baseline:
            dm = diebold_mariano(self.rows.loss(self.champion.recipe), loss, target.horizon)
            figures |= {"diebold_mariano": dm.statistic, "diebold_mariano_p": dm.p_value}
            if self.boundary_champion is not None:
                figures["needed_diebold_mariano_p"] = self.asked_p(item.recipe)[1]
        found = found.model_copy(update=figures)
        against = [item.against] if item.against else []
        objections = (*self._objections(found), *against)
        return found.model_copy(update={"objections": objections})

    def _excess(self, item: Evidence) -> tuple[Excess, ...]:
        rows, horizon = self.rows, self.spec.target.horizon
        said = rows.said[item.recipe]
        return excesses(self.limits, horizon, rows.target, rows.baseline, said)

    def _objections(self, found: CandidateStatistics) -> list[str]:
        asked = self.thresholds
        needed_p, needed_against = self.asked_p(found.recipe)
        objections = []
        if self.rows.n < asked.min_rows:
            objections.append(f"{self.rows.n:,} rows, needed {asked.min_rows:,}")
        if found.skill < asked.min_skill:
            objections.append(f"skill {percent(found.skill)}, needed {percent(asked.min_skill)}")
        if found.clark_west_p is None or found.clark_west_p >= needed_p:
            objections.append(
                f"Clark–West p = {_p(found.clark_west_p)}, needed below {_p(needed_p)}"
            )
        lost_lately = found.trailing_skill < 0 and self.rows.n >= asked.demotion_rows
        if lost_lately and not self.sequential:
            objections.append(
                f"skill {percent(found.trailing_skill)} on the newest {asked.demotion_rows:,} "
                "rows: it would be demoted at once"
            )
        again = found.return_p
        if again is not None and again >= needed_p:
            objections.append(
                f"Clark–West p = {_p(again)} on the rows after its demotion, "
                f"needed below {_p(needed_p)}"
            )
        against = found.diebold_mariano_p
        if against is not None and against >= needed_against:
            objections.append(
                f"Diebold–Mariano p = {_p(against)} against the champion, "
                f"needed below {_p(needed_against)}"
            )
        if self.sequential and not objections:
            bias = bias_of(found.clark_west_p, needed_p)
            fall = self.reign.fall_before(found.recipe, bias)
            if fall is not None and fall.exceeds:
                objections.append(f"as champion it would have been demoted: {fall.text}")
        return objections

    @cached_property
    def fall(self) -> Fall | None:
        """Where a champion that is a model stands, by the sequential rule."""
        if not self.sequential or self.champion is None or self.champion_is_baseline:
            return None
        return self.reign.fall()

    @cached_property
    def behind(self) -> str:
        """What people are told of a champion that lost lately; empty where it did not."""
        if self.champion is None or self.champion_is_baseline:
            return ""
        trailing = self.statistics_of(self.champion).trailing_skill
        if self.rows.n < self.rule.demotion_rows or trailing >= 0:
            return ""
        return (
            f"it lost to the baseline on the newest {self.rule.demotion_rows:,} rows "
            f"(skill {percent(trailing)})"
        )

    @cached_property
    def challenger(self) -> CandidateStatistics | None:
        others = [self.statistics_of(item) for item in self.on_trial]
        return max(others, key=lambda found: found.skill, default=None)

    def record(
        self,
        verdict: Verdict,
        champion: Evidence,
        sentence: str,
        reasons: Sequence[str] = (),
        starts_cool_down: bool = False,
        refresh: tuple[float, float] | None = None,
        held: Sequence[Evidence] = (),
        ground: str = "",
    ) -> Decision:
        before = self.ledger[-1] if self.ledger else None
        kept = before if verdict == "keep" else None
        behind = bool(self.behind) and champion is self.champion
        if behind:
            reasons = [*reasons, f"look at {champion.candidate}: {self.behind}"]
        return Decision(
            forecast=self.spec.name,
            sequence=before.sequence + 1 if before else 0,
            decided_at=_plain(self.now),
            data_as_of=_plain(self.data_as_of),
            verdict=verdict,
            champion=champion.candidate,
            recipe=champion.recipe,
            champion_before=before.champion if before else None,
            recipe_before=before.recipe if before else None,
            label_end=kept.label_end if kept else self.rows.label_end,
            published_at=kept.published_at if kept else _plain(self.now),
            challenger=self.challenger.candidate if self.challenger else None,
            looked=self.looks,
            starts_cool_down=starts_cool_down,
            recipes_seen=self.recipes_seen,
            tuned=self.tuned,
            ideas=self.ideas,
            trials=self.trials,
            rows=self.rows.n,
            first_row=_plain(self.rows.times[0]),
            last_row=_plain(self.rows.times[-1]),
            row_hash=self.rows.row_hash,
            statistics=self.statistics,
            refresh_degradation=refresh[0] if refresh else None,
            refresh_upper=refresh[1] if refresh else None,
            thresholds=self.thresholds,
            rule=self.rule.rule,
            boundary=self.boundary,
            boundary_champion=self.boundary_champion,
            fall=self.fall,
            ground=ground,
            behind=behind,
            suspicions=self.suspicions(held or [c for c in self.suspected if c is champion]),
            acknowledgement=self._word_of(champion),
            put_back=before.put_back if before and before.recipe == champion.recipe else "",
            sentence=sentence,
            reasons=tuple(reasons),
        )

    def _word_of(self, champion: Evidence) -> Acknowledgement | None:
        return self.word_for(champion) if self.statistics_of(champion).excess else None


def _judge(case: _Case) -> Decision:
    return _demotion(case) or _replacement(case) or _renewal(case)


def _fallen(case: _Case) -> str:
    return case.fall.text if case.fall is not None and case.fall.exceeds else ""


def _lost_lately(case: _Case) -> str:
    return "" if case.sequential else case.behind


def _contradicted(case: _Case) -> str:
    return case.champion.against if case.champion is not None else ""


GROUNDS: Mapping[str, Callable[[_Case], str]] = {
    "fall": _fallen,
    "trailing": _lost_lately,
    "live": _contradicted,
}
"""What a champion that is a model is demoted on, by name: each says why, or nothing."""


def _demotion(case: _Case) -> Decision | None:
    if case.champion is None or case.champion_is_baseline:
        return None
    name, to = case.champion.candidate, case.baseline
    for ground, says in GROUNDS.items():
        why = says(case)
        if why:
            text = f"Demoted {name} to {to.candidate}: {why}."
            return case.record("demote", to, text, starts_cool_down=True, ground=ground)
    return None


def _replacement(case: _Case) -> Decision | None:
    if not case.looks or case.champion is None:
        return None
    able = [item for item in case.on_trial if not case.statistics_of(item).objections]
    if not able or case.rows.n < MIN_TEST_ROWS:
        return None
    best = max(able, key=lambda item: case.statistics_of(item).skill)
    found = case.statistics_of(best)
    word = case.word_for(best)
    if case.suspected and word is None:
        others = [item for item in case.suspected if item is not best]
        suspected = [best, *others] if best in case.suspected else others
        names = " and ".join(item.candidate for item in suspected)
        are = f"{names} {'are' if len(suspected) > 1 else 'is'}"
        if suspected == [best]:
            are = "is"
        return _held(case, suspected, f"{best.candidate} passed every test, but {are}")
    said = f" It is too good, and {word.text}." if found.excess and word else ""
    against = (
        f", Diebold–Mariano p = {_p(found.diebold_mariano_p)} against {case.champion.candidate}"
        if found.diebold_mariano_p is not None
        else ""
    )
    return case.record(
        "replace",
        best,
        f"Replaced {case.champion.candidate} by {best.candidate}: skill {percent(found.skill)} on "
        f"{case.rows.n:,} rows, Clark–West p = {_p(found.clark_west_p)} (needed below "
        f"{_p(case.asked_p(best.recipe)[0])} with {case.trials} tried){against}.{said}",
        reasons=_look_reasons(case),
        starts_cool_down=True,
    )


def _held(case: _Case, suspected: Sequence[Evidence], who: str) -> Decision:
    """Keep the champion: a result is beyond what is plausible."""
    champion = case.champion or case.baseline
    figures = "; ".join(
        f"{found.candidate}: {found.figures}" for found in case.suspicions(suspected)
    )
    return case.record(
        "keep",
        champion,
        f"Kept {champion.candidate}: {who} too good: look for a leak. On {case.rows.n:,} rows, "
        f"{figures}.",
        reasons=_look_reasons(case),
        held=suspected,
    )


def _renewal(case: _Case) -> Decision:
    """Refresh or keep."""
    champion = case.champion or case.baseline
    name, before = champion.candidate, case.ledger[-1]
    look = _look_reasons(case)
    until = f"labels known by {case.rows.label_end:%Y-%m-%d}"

    def keep(why: str, refresh: tuple[float, float] | None = None) -> Decision:
        first = _look_sentence(case) if case.looks else why
        rest = [why, *look] if case.looks else look
        return case.record(
            "keep", champion, f"Kept {name}: {first}.", reasons=rest, refresh=refresh
        )

    def refreshed(why: str, refresh: tuple[float, float] | None = None) -> Decision:
        tail = f" {sentence_case(_look_sentence(case))}." if case.looks else ""
        return case.record(
            "refresh",
            champion,
            f"Refreshed {name} with {until}{why}.{tail}",
            reasons=look,
            refresh=refresh,
        )

    if case.lost:
        damaged = f"the bundle of v{before.version} is damaged, and no copy of it is left"
        return refreshed(f": {case.lost if isinstance(case.lost, str) else damaged}")
    held = standing_rollback(case.ledger)
    if held is not None:
        return keep(
            f"rolled back to v{held.version} on {held.decided_at:%Y-%m-%d}; it is not refreshed "
            "until a person releases it"
        )
    changed_recipe = case.champion_is_baseline and champion.recipe != before.recipe
    if case.rows.label_end <= before.label_end and not changed_recipe:
        return keep("no label is newer than its training labels")
    if not case.fresh:
        return keep("the data's provenance is not fresh")
    if case.champion_is_baseline:
        return refreshed("")
    if champion in case.suspected:
        return _held(case, [champion], f"{name} is not refreshed, for it is")
    bound = _degradation(case, champion)
    if bound is None:
        return keep(
            f"fewer than {case.rule.refresh_rows:,} rows show what one refit more does to its loss"
        )
    change, upper = bound
    shown = (
        f"one refit more changes its loss by {percent(change)}, with 95 % confidence by less than "
        f"{percent(upper)} (allowed {percent(case.rule.refresh_max_degradation)})"
    )
    if upper < case.rule.refresh_max_degradation:
        return refreshed(f": {shown}", bound)
    return keep(f"a refresh might harm; {shown}", bound)


def _degradation(case: _Case, champion: Evidence) -> tuple[float, float] | None:
    """Relative change of loss from the older to the newer fit on trailing rows, and its bound."""
    if champion.previous is None:
        return None
    older_times = champion.previous["event_time"].to_numpy(dtype="datetime64[us]")
    _, ours, theirs = np.intersect1d(
        case.rows.times, older_times, assume_unique=True, return_indices=True
    )
    n = case.rule.refresh_rows
    if len(ours) < n:
        return None
    ours, theirs = ours[-n:], theirs[-n:]
    said = champion.previous["prediction"].to_numpy(dtype=np.float64)[theirs]
    older = loss_for(case.spec.target.kind)(case.rows.target[ours], said)
    newer = case.rows.loss(champion.recipe)[ours]
    scale = float(older.mean())
    upper = mean_upper_bound(newer - older, case.spec.target.horizon, REFRESH_CONFIDENCE)
    return float((newer - older).mean()) / scale, upper / scale


def _look_reasons(case: _Case) -> list[str]:
    if not case.looks:
        when = f"{case.next_look:%Y-%m-%d}" if case.next_look else "the first decision"
        return [f"challengers are tested again with data of {when} or later"]
    found = [case.statistics_of(item) for item in case.on_trial]
    told = [f"{each.candidate}: {'; '.join(each.objections) or 'passed'}" for each in found]
    accounts = [
        f"{against}, {account.text}"
        for against, account in (
            ("against the baseline", case.boundary),
            ("against the champion", case.boundary_champion),
        )
        if account is not None
    ]
    return [*told, *accounts]


def _look_sentence(case: _Case) -> str:
    best = case.challenger
    if best is None:
        return "there is no other candidate"
    return (
        f"none of {len(case.evidence) - 1} candidate(s) passed with K = {case.trials} on "
        f"{case.rows.n:,} rows; the best, {best.candidate}, was refused for "
        f"{'; '.join(best.objections) or 'no reason'}"
    )


def _p(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _plain(instant: datetime | np.datetime64) -> datetime:
    """A UTC ``datetime``, whatever subclass came in."""
    import pandas as pd

    stamp = pd.Timestamp(instant)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return stamp.to_pydatetime()
