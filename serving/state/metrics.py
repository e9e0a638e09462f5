"""What Prometheus is told of forecasts.

With several workers a gauge shows the most recent value that any of them set.
"""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from fx_assets.bundles.universes import STATES
from fx_assets.doors import TARGETS
from fx_assets.targets import target_definition

if TYPE_CHECKING:
    from serving.queries.context import Live
    from serving.schemas import Data
    from serving.state.service import Service
    from serving.state.store import Store

PREDICTIONS = Counter("fx_predictions_total", "Predictions answered.", ["forecast", "version"])
OUT_OF_RANGE = Counter(
    "fx_out_of_range_total", "Inputs outside of what training saw.", ["forecast", "feature"]
)


def _gauge(name: str, text: str, labels: Sequence[str] = ("forecast",)) -> Gauge:
    return Gauge(name, text, labels, multiprocess_mode="mostrecent")


MODEL_VERSION = _gauge("fx_model_version", "Version of the champion in service.")
MODEL_AGE = _gauge("fx_model_age_seconds", "Time since the champion's last training label.")
DATA_AGE = _gauge("fx_data_age_seconds", "Time since the newest bar was published.")
MISSING_BARS = _gauge("fx_missing_bars", "Bars that should be known by now and are not.")
EXPIRED = _gauge("fx_expired", "1 while the newest forecast is older than the next one's time.")
ABSTAINED = _gauge(
    "fx_abstained", "1 while the newest forecast is the reference's, not the champion's."
)
SKILL = _gauge("fx_skill", "Out-of-sample skill of the champion's recipe.")
SKILL_DEMONSTRATED = _gauge(
    "fx_skill_demonstrated", "1 if skill against baseline and reference is demonstrated."
)
SKILL_KNOWS = _gauge(
    "fx_skill_knows_something",
    "1 if the verdict is this weaker word: Clark and West's test alone holds against both.",
)
SKILL_ON_REFERENCE = _gauge(
    "fx_skill_on_reference",
    "Out-of-sample skill of the champion's recipe against what costs no work.",
)
SKILL_CAVEAT = _gauge(
    "fx_skill_caveat",
    "1 if something has to be said with the skill: bars that failed lowered checks, or a result "
    "beyond what is plausible.",
)
FAILED_CHECKS = _gauge(
    "fx_failed_checks", "Lowered checks that the bars of the newest forecast failed."
)
LIVE_SKILL = _gauge(
    "fx_live_skill", "Skill of the champion's live predictions, at the newest look."
)
LIVE_OUTCOMES = _gauge(
    "fx_live_outcomes", "Outcomes of live predictions that the newest look knew."
)
PERFORMANCE_ALARM = _gauge(
    "fx_performance_alarm", "1 while the newest look at live predictions is an alarm."
)
PAUSED = _gauge("fx_paused", "1 if nothing starts its updates by itself.")
RETIRED = _gauge("fx_retired", "1 if it is declared no more; its other gauges say nothing then.")
STALE = _gauge("fx_stale", "1 while the lake cannot be asked.")
REFUSED = _gauge("fx_bundle_refused", "1 while a newer bundle is refused.")
DISTRUSTED = _gauge(
    "fx_signature_refused",
    "1 while a pointer is refused that no public key vouches for, or that was put back.",
)
DRIFT = _gauge("fx_drift", "1 while the newest drift report is an alarm.")
DRIFTED_COLUMNS = _gauge(
    "fx_drifted_columns", "Columns beyond their threshold in the newest drift report."
)
OF_A_CHAMPION = (
    MODEL_VERSION, MODEL_AGE, DATA_AGE, MISSING_BARS, SKILL, SKILL_DEMONSTRATED, SKILL_KNOWS,
    SKILL_ON_REFERENCE, LIVE_SKILL, LIVE_OUTCOMES, PERFORMANCE_ALARM, DRIFT, DRIFTED_COLUMNS,
)  # fmt: skip
"""What is known of a forecast only while a champion of its series is in service."""
OF_A_SERVICE = (
    *OF_A_CHAMPION, EXPIRED, ABSTAINED, SKILL_CAVEAT, FAILED_CHECKS, PAUSED, STALE, REFUSED,
    DISTRUSTED,
)  # fmt: skip
"""What is known of a forecast only while it is declared."""
_TARGET = ["forecast", "target", "horizon"]
UNIVERSE_INSTRUMENTS = _gauge(
    "fx_universe_instruments",
    "Instruments of a universe: member, pegged, left or young.",
    ["forecast", "state"],
)
UNIVERSE_MEMBERS = _gauge(
    "fx_universe_members",
    "Members of a universe by what may be said of their champion's skill.",
    [*_TARGET, "verdict"],
)
UNIVERSE_OUTCOMES = _gauge(
    "fx_universe_outcomes", "Outcomes of live predictions of all members.", _TARGET
)
UNIVERSE_INSIDE = _gauge(
    "fx_universe_inside_interval", "Share of these within their interval.", _TARGET
)
UNIVERSE_OLDEST = _gauge(
    "fx_universe_oldest_bar_age_seconds",
    "Age of the bar of the member whose newest prediction is the oldest.",
    _TARGET,
)
_MEMBER = ["forecast", "instrument", "target", "horizon"]
MEMBER_SKILL = _gauge("fx_member_skill", "As fx_skill, of a member of a universe.", _MEMBER)
MEMBER_DEMONSTRATED = _gauge(
    "fx_member_skill_demonstrated", "As fx_skill_demonstrated, of a member.", _MEMBER
)
MEMBER_KNOWS = _gauge(
    "fx_member_skill_knows_something", "As fx_skill_knows_something, of a member.", _MEMBER
)
MEMBER_OUTCOMES = _gauge("fx_member_outcomes", "Outcomes of a member's live predictions.", _MEMBER)
MEMBER_LIVE_SKILL = _gauge("fx_member_live_skill", "Skill of these against the baseline.", _MEMBER)
OF_A_MEMBER = (
    MEMBER_SKILL, MEMBER_DEMONSTRATED, MEMBER_KNOWS, MEMBER_OUTCOMES, MEMBER_LIVE_SKILL,
)  # fmt: skip
MEMBERS_LEFT_OUT = _gauge(
    "fx_members_without_gauges", "Targets of members beyond FX_SERVING_MEMBER_METRICS.", []
)
_KNOWS = "knows something"
VERDICTS = ("demonstrated", _KNOWS, "not demonstrated")
LOOKED = _gauge(
    "fx_lake_looked_timestamp_seconds", "When the last look at the lake ended, since 1970.", []
)


@lru_cache(maxsize=512)
def _predictions(forecast: str, version: int) -> Counter:
    return PREDICTIONS.labels(forecast, str(version))


@lru_cache(maxsize=512)
def _values(forecast: str, kind: str) -> Histogram:
    return _histogram(kind).labels(forecast)


@lru_cache(maxsize=64)
def _histogram(kind: str) -> Histogram:
    buckets = target_definition(kind).buckets
    about = f"Values predicted for a {kind}."
    return Histogram(f"fx_predicted_{kind}", about, ["forecast"], buckets=buckets)


for _kind in TARGETS:
    _histogram(_kind)  # shown before anything is predicted, as what dashboards ask for


def predicted(service: Service, value: float, out_of_range: list[str]) -> None:
    """Count one prediction from supplied data."""
    manifest = service.champion.manifest
    _predictions(manifest.forecast, manifest.version).inc()
    _values(manifest.forecast, manifest.target).observe(value)
    for name in out_of_range:
        OUT_OF_RANGE.labels(manifest.forecast, name).inc()


def told(forecast: str, version: int) -> None:
    """Count one issued forecast that was given out."""
    _predictions(forecast, version).inc()


def observe(store: Store, now: datetime, members: int) -> None:
    """Set the gauges of every forecast in service, and of as many members of universes."""
    LOOKED.set_to_current_time()
    _observe_universes(store, now, members)
    for name, service in store.services.items():
        if service.retired:
            continue
        manifest, skill = service.champion.manifest, service.skill
        MODEL_VERSION.labels(name).set(manifest.version)
        MODEL_AGE.labels(name).set((now - manifest.label_end).total_seconds())
        STALE.labels(name).set(service.stale is not None)
        PAUSED.labels(name).set(service.paused)
        REFUSED.labels(name).set(service.refused is not None)
        SKILL_DEMONSTRATED.labels(name).set(skill.demonstrated)
        SKILL_CAVEAT.labels(name).set(skill.caveat is not None)
        FAILED_CHECKS.labels(name).set(len(skill.failed_checks))
        verdict = skill.verdict
        SKILL_KNOWS.labels(name).set(verdict is not None and verdict.word == _KNOWS)
        SKILL.labels(name).set(_known(skill.skill))
        SKILL_ON_REFERENCE.labels(name).set(_known(verdict.reference.skill if verdict else None))
        _observe_data(name, service.data(now))
        if service.row is not None:
            newest = service.issued(service.row, now)
            EXPIRED.labels(name).set(newest.expired)
            ABSTAINED.labels(name).set(newest.abstained is not None)
        if service.drift is not None:
            DRIFT.labels(name).set(service.drift.alarm)
            DRIFTED_COLUMNS.labels(name).set(service.drift.columns)
        if service.live is not None:
            _observe_live(name, service.live)
    distrusted = store.trust.by_name()
    for name in {*store.services, *store.universes, *distrusted}:
        DISTRUSTED.labels(name).set(name in distrusted)
    for name in store.refused:
        REFUSED.labels(name).set(1)
    for name in store.foreign:
        REFUSED.labels(name).set(1)
        for gauge in OF_A_CHAMPION:
            gauge.labels(name).set(float("nan"))
    for name in {*store.services, *store.refused, *store.foreign, *store.universes, *distrusted}:
        RETIRED.labels(name).set(store.retired(name))
        if store.retired(name):
            for gauge in (DISTRUSTED,) if name in store.universes else OF_A_SERVICE:
                gauge.labels(name).set(float("nan"))


_shown: set[tuple[Gauge, tuple[str, ...]]] = set()
"""What is said of universes and their members."""


def _observe_universes(store: Store, now: datetime, members: int) -> None:
    told = _of_universes(store, now)
    declared = sorted((name, said) for name, said in store.told.items() if not store.retired(name))
    everyone = [(name, one) for name, said in declared for one in said]
    for name, one in everyone[:members]:
        labels: tuple[str, ...] = name, one.instrument, one.target, str(one.horizon)
        values = (
            one.skill, one.demonstrated, one.verdict == _KNOWS, one.outcomes, one.live_skill,
        )  # fmt: skip
        for gauge, value in zip(OF_A_MEMBER, values, strict=True):
            told[gauge, labels] = _known(value)
    told |= dict.fromkeys(_shown - told.keys(), float("nan"))
    for (gauge, labels), value in told.items():
        gauge.labels(*labels).set(value)
    _shown.update(told)
    MEMBERS_LEFT_OUT.set(max(0, len(everyone) - members))


def _of_universes(store: Store, now: datetime) -> dict[tuple[Gauge, tuple[str, ...]], float]:
    told: dict[tuple[Gauge, tuple[str, ...]], float] = {}
    for name, facts in store.universes.items():
        if store.retired(name):
            continue
        states = Counted(one.state for one in facts.instruments)
        told |= {(UNIVERSE_INSTRUMENTS, (name, state)): states[state] for state in STATES}
        for target in facts.targets:
            about = name, target.kind, str(target.horizon)
            said = [
                one
                for one in store.told.get(name, ())
                if (one.target, one.horizon) == (target.kind, target.horizon)
            ]
            verdicts = Counted(one.verdict for one in said)
            told |= {(UNIVERSE_MEMBERS, (*about, word)): verdicts[word] for word in VERDICTS}
            told[UNIVERSE_OUTCOMES, about] = sum(one.outcomes for one in said)
            inside = [(one.inside, one.outcomes) for one in said if one.inside is not None]
            share = sum(part * n for part, n in inside) / max(1, sum(n for _, n in inside))
            told[UNIVERSE_INSIDE, about] = share if inside else float("nan")
            if said:
                oldest = min(one.event_time for one in said)
                told[UNIVERSE_OLDEST, about] = (now - oldest).total_seconds()
    return told


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _observe_live(name: str, live: Live) -> None:
    LIVE_OUTCOMES.labels(name).set(live.outcomes)
    PERFORMANCE_ALARM.labels(name).set(live.alarm)
    LIVE_SKILL.labels(name).set(_known(live.skill))


def _observe_data(name: str, data: Data | None) -> None:
    if data is not None:
        DATA_AGE.labels(name).set(data.age_seconds)
        MISSING_BARS.labels(name).set(data.missing_bars)
