"""Who predicts each instrument of a universe: the ledger of verdicts of one family of tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

from fx_assets.evaluation.claim import Claim
from fx_assets.evaluation.compare import compared
from fx_assets.evaluation.cusum import Fall
from fx_assets.evaluation.decision import CandidateStatistics, Decision, Thresholds, Verdict
from fx_assets.evaluation.evidence import Evidence, pair
from fx_assets.evaluation.judged import covering, judged_rows, suspicion_of
from fx_assets.evaluation.plausible import plausible_limits
from fx_assets.evaluation.reign import FELL, Reign, bias_of
from fx_assets.evaluation.rollback import rolled_away, standing_rollback, versions_of
from fx_assets.evaluation.suspicion import Acknowledgement, Suspicion
from fx_assets.evaluation.universe_skill import baseline_evidence, excess_of, reference_of_member
from fx_assets.specs import ForecastSpec
from fx_assets.specs.universe import UniverseSpec, UniverseTarget
from fx_assets.tables import SERIES_COLUMN

Row = dict[str, Any]


def decide_family(
    spec: UniverseSpec,
    skill: pd.DataFrame,
    judged: pd.DataFrame,
    about: Mapping[str, tuple[str, UniverseTarget]],
    ledgers: Mapping[str, Sequence[Decision]],
    acknowledgements: Sequence[Acknowledgement],
    now: datetime,
    lost: Collection[str] = (),
    *,
    against: Callable[[str, str], str] = lambda series, recipe: "",  # noqa: ARG005
) -> dict[str, Decision]:
    """The decisions that change who predicts, what is said of it or what is held back; by series.

    The best candidate that the table lets predict does; elsewhere the baseline does. A champion
    stays, whatever has become of its p-value, until its gain has fallen further than that of one as
    good as its history does in ``demotion_rate`` of years, or its live rows contradict it. Figures
    beyond what is plausible hold a candidate back until somebody has acknowledged them. A champion
    is fitted anew when as many labels have come since its last as the walk-forward goes on
    for between two fits.

    Parameters
    ----------
    skill
        From :func:`fx_assets.evaluation.universe_skill.skill_of`.
    judged
        The rows that it is of, sorted by event time.
    about
        Instrument and target of every series that is decided about.
    ledgers
        The decisions so far by series, oldest first.
    acknowledgements
        Of any series.
    lost
        Series that need a bundle and have none; also those that have not been judged yet.
    against
        What live rows alone say against a recipe of a series; who is contradicted does not predict.
    """
    rows = {str(series): part for series, part in judged.groupby(SERIES_COLUMN)}
    verdicts = dict(iter(skill.groupby(SERIES_COLUMN)))
    decided = {}
    for series, (instrument, target) in about.items():
        if series not in verdicts and series not in lost:
            continue
        table = verdicts.get(series, skill.iloc[:0])
        forecast = spec.forecast(instrument, target)
        ledger = ledgers.get(series, ())
        walked = rows.get(series, judged.iloc[:0]).groupby("candidate")
        mine = {str(name): part for name, part in walked}
        made = _decide(
            spec, target, forecast, series, table, mine, ledger, acknowledgements, now,
            lost=series in lost, against=partial(against, series),
        )  # fmt: skip
        if not ledger or _differs(ledger[-1], made, _word(table, made.champion)):
            claim = _claim(spec, forecast, table, mine, made.champion)
            decided[series] = made.model_copy(update={"claim": claim})
    return decided


def _decide(
    spec: UniverseSpec,
    target: UniverseTarget,
    forecast: ForecastSpec,
    series: str,
    table: pd.DataFrame,
    rows: Mapping[str, pd.DataFrame],
    ledger: Sequence[Decision],
    acknowledgements: Sequence[Acknowledgement],
    now: datetime,
    *,
    lost: bool,
    against: Callable[[str], str],
) -> Decision:
    ordered = table.sort_values("skill", ascending=False, kind="stable")
    verdicts = cast("list[Row]", ordered.to_dict("records"))
    last = ledger[-1] if ledger else None
    reigning = last.recipe if last is not None and last.predicts else ""
    suspicions: list[Suspicion] = []
    accepted: dict[str, Acknowledgement] = {}
    able: list[Row] = []
    out: dict[str, tuple[str, str]] = {}
    falls: dict[str, Fall | None] = {}
    reigns: dict[str, Reign] = {}
    excess = {row["candidate"]: excess_of(spec, rows[row["candidate"]]) for row in verdicts}
    for row in verdicts:
        name, recipe = row["candidate"], row["recipe"]
        if not row["may_predict"] and recipe != reigning:
            continue
        if excess[name]:
            item = Evidence(name, recipe, rows[name])
            word = covering(acknowledgements, item, series)
            if word is None:
                suspicions.append(suspicion_of(item, series, excess[name]))
                continue
            accepted[name] = word
        reign = reigns[recipe] = _reign(forecast, series, ledger, recipe, rows[name])
        if recipe == reigning:
            fallen = [d.fall for d in reign.decisions if d.fall]
            falls[recipe] = reign.fall(fallen, _bias_in_office(reign))
        ground, why = "live", against(recipe)
        if not why:
            ground, why = _fallen(spec, reign, row, falls)
        if why:
            out[recipe] = ground, f"{name} does not predict: {why}."
            continue
        able.append(row)
    baseline = forecast.baseline
    best = able[0] if able else None
    if best and best["recipe"] in rolled_away(ledger):
        best = next((row for row in able if row["recipe"] == ledger[-1].recipe), None)
    champion = best["candidate"] if best else baseline.name
    recipe = best["recipe"] if best else forecast.recipe_hash(baseline)
    if best and recipe not in falls:
        reign = reigns[recipe]
        falls[recipe] = reign.fall_of(recipe, reign.rows.n, reign.rows.n, _bias_of(spec, best))
    shown = best or next(iter(verdicts), _UNJUDGED)
    walked = rows.get(shown["candidate"])
    known = now if walked is None else walked["label_available_at"].max().to_pydatetime()
    aged = last is not None and _later(walked, last) >= spec.walk_forward.refit_every
    verdict = _verdict(
        last,
        recipe,
        baseline_recipe=forecast.recipe_hash(baseline),
        refits=lost or (aged and standing_rollback(ledger) is None),
    )
    publishes = verdict != "keep"
    return Decision(
        forecast=spec.name,
        series=series,
        sequence=len(ledger),
        decided_at=now,
        data_as_of=known,
        verdict=verdict,
        champion=champion,
        recipe=recipe,
        champion_before=last.champion if last else None,
        recipe_before=last.recipe if last else None,
        label_end=known if publishes or last is None else last.label_end,
        published_at=now if publishes or last is None else last.published_at,
        version=max(versions_of(ledger), default=0) + 1
        if last is None or publishes
        else last.version,
        challenger=next((r["candidate"] for r in verdicts if r["candidate"] != champion), None),
        looked=True,
        starts_cool_down=False,
        recipes_seen=tuple(forecast.recipe_hash(c) for c in forecast.candidates),
        trials=int(shown["tests"]),
        rows=int(shown["n"]),
        first_row=known if walked is None else shown["first_row"].to_pydatetime(),
        last_row=known if walked is None else shown["last_row"].to_pydatetime(),
        row_hash=""
        if walked is None
        else judged_rows(Evidence(champion, recipe, walked), series).row_hash,
        statistics=tuple(_statistics(spec, row, excess[row["candidate"]]) for row in verdicts),
        thresholds=Thresholds(
            min_rows=spec.min_rows,
            min_skill=spec.min_skill,
            clark_west_p=spec.significance,
            diebold_mariano_p=spec.significance,
            refresh_max_degradation=0.0,
            demotion_rows=forecast.promotion.demotion_rows,
            refresh_rows=0,
            plausible=plausible_limits(
                spec.suspicion, target.kind, target.horizon, spec.frequency
            ).shown,
        ),
        suspicions=tuple(suspicions),
        acknowledgement=accepted.get(champion),
        fall=falls.get(reigning if reigning in out else recipe),
        ground=out[reigning][0] if reigning in out else "",
        put_back=last.put_back if last and last.recipe == recipe else "",
        sentence=_sentence(
            spec,
            champion,
            best,
            next(iter(verdicts), _UNJUDGED),
            suspicions,
            [why for _, why in out.values()],
        ),
    )


def _reign(
    forecast: ForecastSpec,
    series: str,
    ledger: Sequence[Decision],
    recipe: str,
    walked: pd.DataFrame,
) -> Reign:
    """The ledger beside a candidate's rows and what the baseline said on them."""
    item = Evidence(str(walked["candidate"].iloc[-1]), recipe, walked)
    rows = pair(forecast.target, [baseline_evidence(forecast, walked), item])
    return Reign(forecast, series, tuple(ledger), rows)


def _fallen(
    spec: UniverseSpec, reign: Reign, row: Row, falls: Mapping[str, Fall | None]
) -> tuple[str, str]:
    """On which ground, and how, the rows after a choice speak against who passes Holm's test.

    Against a champion its own fall does. Once one has been sent away, who comes back has to show
    skill since, and nobody takes over who has fallen as well.
    """
    recipe = row["recipe"]
    if recipe in falls:
        fall = falls[recipe]
        return ("fall", fall.text) if fall is not None and fall.exceeds else ("", "")
    if not any(decision.ground in FELL for decision in reign.ledger):
        return "", ""
    needed, again = _needed(spec, row), reign.return_p(recipe)
    if again is not None and again >= needed:
        since = "on the rows after its demotion, needed below"
        return "return", f"Clark–West p = {again:.3g} {since} {needed:.3g}"
    before = reign.fall_before(recipe, _bias_of(spec, row))
    if before is not None and before.exceeds:
        return "fall", f"as champion it would have been demoted: {before.text}"
    return "", ""


def _needed(spec: UniverseSpec, row: Row) -> float:
    """What a p-value has to lie below to be the smallest of the family."""
    return float(spec.significance / max(int(row["tests"]), 1))


def _bias(needed: float, *p_values: float | None) -> float:
    """By how many standard errors a gain is overstated that had to pass both tests.

    The larger p-value tells: a weak skill is seen by Clark and West's test long before its
    forecasts are better, so the other one chooses.
    """
    return bias_of(max((p for p in p_values if p is not None), default=None), needed)


def _bias_of(spec: UniverseSpec, row: Row) -> float:
    return _bias(_needed(spec, row), _known(row["p_value"]))


def _bias_in_office(reign: Reign) -> float:
    chosen = reign.chosen
    found = chosen.statistics_of(chosen.champion)
    if found is None:
        return 0.0
    needed = found.needed_p or chosen.thresholds.clark_west_p
    return _bias(needed, found.clark_west_p, found.diebold_mariano_p)


_UNJUDGED: Row = {"candidate": "", "n": 0, "tests": 0, "p_value": math.nan}
"""The verdict on an instrument that has been a member for too short to be judged."""


def _later(walked: pd.DataFrame | None, last: Decision) -> int:
    """How many labels became known since the last that the champion was trained on."""
    known = () if walked is None else walked["label_available_at"] > last.label_end
    return int(np.sum(known))


def _verdict(last: Decision | None, recipe: str, baseline_recipe: str, *, refits: bool) -> Verdict:
    if last is None:
        return "bootstrap"
    if last.recipe == recipe:
        return "refresh" if refits else "keep"
    return "demote" if recipe == baseline_recipe else "replace"


def _differs(last: Decision, made: Decision, word: str) -> bool:
    """Whether a decision says something that the one before does not."""
    told = [
        (
            d.recipe,
            [(s.candidate, s.recipe) for s in d.suspicions],
            d.acknowledgement is None,
            set(d.recipes_seen),
        )
        for d in (last, made)
    ]
    said = last.claim.word if last.claim else ""
    return made.publishes or told[0] != told[1] or said != word


def _word(table: pd.DataFrame, champion: str) -> str:
    """What may be said of the champion; empty where its reference is unknown."""
    said = dict(zip(table["candidate"], table["verdict"], strict=True))
    return str(said.get(champion, "not demonstrated" if any(said.values()) else ""))


def _claim(
    spec: UniverseSpec,
    forecast: ForecastSpec,
    table: pd.DataFrame,
    rows: Mapping[str, pd.DataFrame],
    champion: str,
) -> Claim | None:
    """The claim of the champion: that of the table, or the baseline's, which no test is about."""
    said = dict(zip(table["candidate"], table["claim"], strict=True))
    told = said.get(champion) or next(iter(filter(None, said.values())), "")
    if not told:
        return None
    claim = Claim.model_validate_json(told)
    if champion in said:
        return claim
    baseline = baseline_evidence(forecast, rows[next(iter(said))])
    reference = reference_of_member(spec, forecast, rows, baseline) or baseline
    found = compared(baseline, baseline, reference, forecast.target)
    return found.claim(claim.needed_p, claim.tried)


def _statistics(spec: UniverseSpec, row: Row, excess: tuple[Any, ...]) -> CandidateStatistics:
    return CandidateStatistics(
        candidate=row["candidate"],
        recipe=row["recipe"],
        loss=row["loss"],
        skill=row["skill"],
        trailing_skill=row["skill"],
        clark_west_p=_known(row["p_clark_west"]),
        needed_p=_needed(spec, row),
        diebold_mariano_p=_known(row["p_diebold_mariano"]),
        excess=excess,
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _sentence(
    spec: UniverseSpec,
    champion: str,
    best: Row | None,
    first: Row,
    suspicions: Sequence[Suspicion],
    out: Sequence[str],
) -> str:
    tests = f"Holm's correction for {int(first['tests'])} tests"
    if best is not None:
        stays = "predicts" if best["may_predict"] else "goes on, for it has not fallen too far"
        text = (
            f"{champion} {stays}: skill {best['skill']:+.2%} on {int(best['n']):,} rows, "
            f"p = {best['p_holm']:.2g} after {tests}."
        )
    elif math.isnan(first["p_value"]):
        text = f"{champion} predicts: {int(first['n']):,} rows are fewer than {spec.min_rows}."
    else:
        text = (
            f"{champion} predicts: the best candidate, {first['candidate']}, has skill "
            f"{first['skill']:+.2%} and p = {first['p_holm']:.2g} after {tests}."
        )
    held = [f"{found.candidate} is held back: {found.figures}" for found in suspicions]
    return " ".join([text, *out, *(f"{told}. Too good: look for a leak." for told in held)])
