"""Carries a decision out: judge the candidates, record the verdict, publish the champion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from fx_assets.bundles.bundle import (
    Bundle,
    ChampionFacts,
    Golden,
    point_to,
    published_versions,
    store_bundle,
)
from fx_assets.bundles.copies import keep_copies, restored
from fx_assets.bundles.records import SkillFacts, manifest_path, pointer_path
from fx_assets.calendars import DAY, moment
from fx_assets.errors import FxAssetsError, RegistryError
from fx_assets.evaluation.compare import claim_of, reference_of
from fx_assets.evaluation.decision import Decision, failed_text, ledger_table, tried_ever
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.promotion import decide
from fx_assets.evaluation.rollback import standing_rollback
from fx_assets.evaluation.study import Study
from fx_assets.evaluation.suspicion import Cause
from fx_assets.models.onnx_predict import OnnxModel
from fx_assets.plural import sentence_case
from fx_assets.registry import links
from fx_assets.series.ideas import ideas_of
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import CandidateSpec, FeedSpec, ForecastSpec
from fx_assets.stages.acknowledgements import read_acknowledgements
from fx_assets.stages.aliases import BUNDLE_TAG, name_aliases
from fx_assets.stages.candidate import Draft, load_draft
from fx_assets.stages.overrides import standing_overrides
from fx_assets.stages.shadow import live_contradiction
from fx_assets.tables import CHAINED, DECISIONS, PRICES

if TYPE_CHECKING:
    from fx_assets.registry.runs import ModelRegistry

FRESH_WITHIN_BARS = 5
"""A champion is not refreshed from prices that lack more open days than these."""
GOLDEN_ROWS = 8


@dataclass(frozen=True)
class Decided:
    """What was decided now, the whole ledger, and the path of the model's page in MLflow."""

    decisions: list[Decision]
    ledger: list[Decision]
    mlflow_path: str


def decide_champion(
    study: Study,
    own: SeriesTables,
    *,
    registry: ModelRegistry,
    run_id: str,
    now: datetime,
) -> Decided:
    """Judge the drafts of all candidates on identical rows, and put the verdict into effect.

    The bundle is written before the decision is recorded; copies, pointer and MLflow's aliases
    follow. What a run that dies in between leaves undone, ``monitoring.reconcile`` does. Where the
    champion's bundle is damaged beyond its copies, the same recipe is published anew.

    Raises
    ------
    RegistryError
        A candidate has not been tried, MLflow or the bundle store refused, or another process has
        decided meanwhile.
    """
    with own.store.lock(f"decisions-{own.forecast}"):
        return _decide_champion(study, own, registry, run_id, now)


def _decide_champion(
    study: Study, own: SeriesTables, registry: ModelRegistry, run_id: str, now: datetime
) -> Decided:
    spec, feed, store = own.spec, own.feed, own.store
    ledger = own.ledger()
    evidence = [_evidence(candidate, study, own, ledger) for candidate in spec.all_candidates]
    data_as_of = study.frame["available_at"].max().to_pydatetime()
    fresh = _open_days_missing(feed, data_as_of, now) <= FRESH_WITHIN_BARS
    lost = bool(ledger) and not restored(store, spec.name, ledger[-1].bundle)
    decisions = decide(
        spec,
        ledger,
        evidence,
        now,
        data_as_of,
        fresh,
        frequency=feed.frequency,
        series=own.series.id,
        acknowledgements=read_acknowledgements(store, spec.name),
        lost=lost or restated(own, ledger),
        ideas=ideas_of(store, own.series.id),
    )
    decisions = [d.model_copy(update={"series": own.series.id}) for d in decisions]
    decisions = _claimed(decisions, study, evidence, ledger)
    decisions = carry_out(decisions, study, own, ledger, now, run_id, registry=registry)
    latest = decisions[-1]
    version = latest.bundle
    for published in {decision.bundle for decision in decisions}:
        keep_copies(store, spec.name, published)
    point_to(store, spec.name, version, latest.put_back)
    name_aliases(own, registry, latest)
    return Decided(decisions, [*ledger, *decisions], links.model_path(spec.name))


def restated(own: SeriesTables, ledger: Sequence[Decision]) -> str:
    """Why the champion's bundle is made again: it states something else than is asked for."""
    if not ledger or standing_rollback(ledger) is not None:
        return ""
    version = ledger[-1].bundle
    try:
        manifest = own.store.read_blob(manifest_path(own.forecast, version))
        told = json.loads(manifest)
        stated = {
            "distribution": _density(told),
            "coverage": told["intervals"]["coverage"],
            "share of rows that abstain": _abstains(told, own.spec.abstain),
        }
    except (FxAssetsError, ValueError, LookupError, TypeError, AttributeError):
        return ""
    spec, asked = own.spec, own.spec.density
    wanted = {
        "distribution": (asked.family, list(asked.quantiles)) if asked else (None, None),
        "coverage": spec.coverage,
        "share of rows that abstain": spec.abstain,
    }
    others = [f"another {what}" for what, value in stated.items() if value != wanted[what]]
    return f"the forecast asks for {', '.join(others)} than v{version} states" if others else ""


def _density(manifest: Mapping[str, Any]) -> tuple[Any, Any]:
    told = manifest.get("distribution") or {}
    return told.get("family"), told.get("quantiles")


def _abstains(manifest: Mapping[str, Any], asked: float) -> float:
    """The share of rows that a bundle abstains from; what is asked where it cannot abstain."""
    learned = manifest.get("novelty", {})
    if learned:
        return float(learned["rate"])
    unable = (
        learned is not None  # a bundle of before anything abstained
        or manifest["candidate"] == manifest["baseline"]["family"]
        or asked * (manifest["n_rows"] + 1) < 1
    )
    return asked if unable else 0.0


def carry_out(
    decisions: Sequence[Decision],
    study: Study,
    own: SeriesTables,
    ledger: Sequence[Decision],
    now: datetime,
    run_id: str,
    *,
    registry: ModelRegistry | None = None,
    subject: str = "",
    serves: bool = True,
) -> list[Decision]:
    """Publish the drafts that decisions put into production, and record them with their reasons.

    Parameters
    ----------
    ledger
        The decisions before.
    registry
        Where the models are registered; a member of a universe has none.
    subject
        As of :func:`explained`.
    serves
        Whether anything is published.

    Returns
    -------
    list of Decision
        As they were recorded.

    Raises
    ------
    RegistryError
        A draft is missing, MLflow or the bundle store refused, or another process has decided
        meanwhile.
    """
    made = [explained(one, study, own, ledger, subject=subject) for one in decisions]
    made = with_overrides(made, standing_overrides(own.store, own.feed, now))
    if serves:
        publisher = _Publisher(study, own, registry, run_id)
        made = publisher.publish(made, ledger[-1].version if ledger else None)
    record(own, made, run_id)
    return made


def record(own: SeriesTables, decisions: Sequence[Decision], run_id: str = "") -> None:
    """Add decisions to the ledger.

    Raises
    ------
    RegistryError
        Another process has added one meanwhile.
    """
    commit = own.insert(DECISIONS, ledger_table(decisions), run_id)
    if commit.rows < len(decisions):
        raise RegistryError(
            f"Another process has decided about {own.forecast} meanwhile.",
            remedy="Run again; that decision counts, and this one was not recorded.",
        )


def _claimed(
    decisions: Sequence[Decision],
    study: Study,
    evidence: Sequence[Evidence],
    ledger: Sequence[Decision],
) -> list[Decision]:
    """The decisions with what may be said of their champions' skill."""
    spec, baseline = study.spec, evidence[0]
    reference = reference_of(study, baseline)
    by_recipe = {item.recipe: item for item in evidence}
    tried = tried_ever([*ledger, *decisions])
    claims = {
        recipe: claim_of(
            by_recipe[recipe],
            baseline,
            reference,
            spec.target,
            significance=spec.promotion.significance,
            tried=tried,
        )
        for recipe in {decision.recipe for decision in decisions} & by_recipe.keys()
    }
    return [d.model_copy(update={"claim": claims.get(d.recipe)}) for d in decisions]


def with_overrides(decisions: Sequence[Decision], failed: tuple[str, ...]) -> list[Decision]:
    """The decisions with the lowered checks that their bars failed, which their sentences name."""
    if not failed:
        return list(decisions)
    told = failed_text(failed)
    return [
        decision.model_copy(
            update={
                "failed_checks": failed,
                "sentence": f"{decision.sentence} {sentence_case(told)}.",
            }
        )
        for decision in decisions
    ]


def explained(
    decision: Decision,
    study: Study,
    own: SeriesTables,
    ledger: Sequence[Decision],
    *,
    subject: str = "",
) -> Decision:
    """A decision that suspects a candidate, with what the probes say of the first of them.

    ``subject`` is what a person names to acknowledge it; the forecast unless it is given.
    """
    if not decision.suspicions:
        return decision
    spec, feed, frame = own.spec, own.feed, study.frame
    first, *others = decision.suspicions
    known = _known_causes(first.recipe, ledger, decision.data_as_of, spec)
    if known is None:
        from fx_assets.evaluation.probes import likely_causes

        prices = own.store.read(PRICES.name, feed.name)
        bars = prices[prices["event_time"].isin(frame["event_time"])].reset_index(drop=True)
        candidate = next(c for c in spec.all_candidates if c.name == first.candidate)
        whole = len(bars) == len(frame)
        known = likely_causes(study, candidate, bars, feed.market) if whole else ()
    first = first.model_copy(update={"causes": known})
    subject = subject or spec.name
    command = f"fx-assets acknowledge {subject} --candidate {first.candidate} --reason '...'"
    return decision.model_copy(
        update={
            "suspicions": (first, *others),
            "sentence": f"{decision.sentence} {first.explanation} If it is real: {command}",
        }
    )


def _known_causes(
    recipe: str, ledger: Sequence[Decision], data_as_of: datetime, spec: ForecastSpec
) -> tuple[Cause, ...] | None:
    """What the probes said of a recipe since the last look: they cost refits."""
    since = data_as_of - timedelta(weeks=spec.promotion.look_every_weeks)
    for decision in reversed(ledger):
        if decision.data_as_of <= since:
            return None
        for found in decision.suspicions:
            if found.recipe == recipe and found.causes:
                return found.causes
    return None


def _evidence(
    candidate: CandidateSpec, study: Study, own: SeriesTables, ledger: Sequence[Decision]
) -> Evidence:
    recipe = study.spec.recipe_hash(candidate)
    backtest = study.walk_forward(candidate)
    in_production = ledger and ledger[-1].recipe == recipe and candidate != study.spec.baseline
    previous = study.previous(candidate) if in_production else None
    against = live_contradiction(own, recipe)
    rows, trials = backtest.predictions, backtest.trials
    return Evidence(candidate.name, recipe, rows, previous, trials, against)


def _open_days_missing(feed: FeedSpec, data_as_of: datetime, now: datetime) -> int:
    """Days with bars that were published after ``data_as_of`` and by ``now``."""
    market = feed.market
    closes = market.closes(market.day_of(data_as_of), market.day_of(now))
    published = market.published(closes)
    late = closes[(published > moment(data_as_of)) & (published <= moment(now))]
    return math.ceil(len(late) * (market.bar / DAY))


class _Publisher:
    """Puts the models of a decision where predictions and people find them."""

    def __init__(
        self, study: Study, own: SeriesTables, registry: ModelRegistry | None, run_id: str
    ) -> None:
        self.study, self.own, self.spec = study, own, own.spec
        self.store, self.registry, self.run_id = own.store, registry, run_id

    def publish(self, decisions: Sequence[Decision], version: int | None) -> list[Decision]:
        """The decisions with the version of the bundle that each leaves in production."""
        named = []
        for decision in decisions:
            if decision.publishes:
                version = self._next_version(version)
                decision = decision.model_copy(update={"version": version})
                self._store(decision)
            named.append(decision.model_copy(update={"version": version}))
        return named

    def _next_version(self, before: int | None) -> int:
        """The first number that no decision names: a bundle of it is of a run that died.

        Where the ledger is gone, or other writers may be at work unseen, the first unused number.
        """
        stored = max(published_versions(self.store, self.spec.name), default=0)
        named = self.store.read_or_empty(DECISIONS.name, self.spec.name)
        if self.store.is_remote or (named.empty and before is None and self._points()):
            return max(stored, before or 0) + 1
        newest = 0 if named.empty else int(named["version"].dropna().max())
        return max(newest, before or 0) + 1

    def _points(self) -> bool:
        return self.store.blob_exists(pointer_path(self.spec.name))

    def _store(self, decision: Decision) -> None:
        draft, onnx = load_draft(self.own, decision.champion)
        logged, registered = draft.logged, 0
        if self.registry is not None and logged is not None:
            tags = self._tags(draft, decision)
            registered = self.registry.register(self.spec.name, logged, tags)
        bundle = _bundle_of(
            draft,
            onnx,
            decision,
            self.study,
            mlflow_version=registered,
            mlflow_run_id=logged.run_id if logged else "",
            dagster_run_id=self.run_id,
        )
        store_bundle(self.store, bundle, overwrite=not self.store.is_remote)

    def _tags(self, draft: Draft, decision: Decision) -> dict[str, str]:
        failed = ", ".join(decision.failed_checks)
        return {
            "candidate": draft.facts.candidate,
            "recipe": draft.facts.recipe,
            BUNDLE_TAG: str(decision.version),
            "verdict": decision.verdict,
            "decision": decision.sentence,
            **self._heads(),
            "promotion_rule": decision.rule,
            **({"error_budget": decision.boundary.text} if decision.boundary else {}),
            **({"failed_checks": failed} if failed else {}),
            **({"caveat": decision.caveat} if decision.caveat else {}),
        }

    def _heads(self) -> dict[str, str]:
        """What the ledgers ended with when the model was registered."""
        heads = ((name, self.store.head(name, self.spec.name)) for name in CHAINED)
        return {f"{name}_head": head for name, head in heads if head}


def _bundle_of(
    draft: Draft,
    onnx: bytes,
    decision: Decision,
    study: Study,
    *,
    mlflow_version: int,
    mlflow_run_id: str,
    dagster_run_id: str,
) -> Bundle:
    """What is published of a draft and its graph as of a decision, which names its version.

    ``study`` has the rows that it was fitted on.
    """
    facts = ChampionFacts(
        **dict(draft.facts),
        version=decision.bundle,
        mlflow_version=mlflow_version,
        decision=decision,
        skill=SkillFacts(
            demonstrated=decision.skill_demonstrated,
            claim=decision.claim,
            caveat=decision.caveat,
            loss=draft.scores[0],
            skill=draft.score_of("skill"),
            interval_coverage=draft.coverage,
        ),
        failed_checks=decision.failed_checks,
        mlflow_run_id=mlflow_run_id,
        dagster_run_id=dagster_run_id,
    )
    rows = study.labelled[-GOLDEN_ROWS:]
    golden = np.ascontiguousarray(facts.reads.matrix(study.frame)[rows])
    return Bundle(facts, onnx, Golden.of(golden, OnnxModel(onnx).predict(golden)))
