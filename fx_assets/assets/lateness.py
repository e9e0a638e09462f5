"""Is something late? Say why, try again a few times, and say when it is over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import ValidationError

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.automation import range_tags
from fx_assets.assets.freshness import (
    fresh_event,
    judge_feed,
    judge_panel,
    judge_panel_predictions,
    judge_predictions,
)
from fx_assets.assets.prices import partitions_to_ingest
from fx_assets.assets.runs import AssetJob, in_progress, sensor_status
from fx_assets.resources import LakeResource, SeriesOf
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.due import days_to_predict
from fx_assets.tables import PREDICTIONS, PRICES

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.monitoring.freshness import Freshness

MOST_ATTEMPTS = 3
"""Catch-up runs an outage, beside those that the schedules ask for."""
PAUSE = timedelta(minutes=30)
"""Before the second catch-up run; it doubles before the third."""
PAUSES = 5
"""Of a sensor between two looks."""
TOLD_BY_FEED = "feed_stale"
"""A late feed makes all its forecasts late; people hear of it from the feed's sensor, once."""

Range = tuple[str, str] | None
"""First and last partition that a catch-up run should cover."""


@dataclass(frozen=True)
class _Outage:
    """What the sensor remembers of the last look."""

    verdict: "Freshness"
    attempts: int = 0
    tried_at: datetime | None = None

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "_Outage | None":
        from fx_assets.monitoring.freshness import Freshness

        if not cursor:
            return None
        known = json.loads(cursor)
        tried = known["tried_at"]
        try:
            verdict = Freshness.model_validate(known["verdict"])
        except ValidationError:  # an earlier release wrote it
            return None
        return cls(verdict, known["attempts"], datetime.fromisoformat(tried) if tried else None)

    def to_cursor(self) -> str:
        tried = self.tried_at.isoformat() if self.tried_at else None
        missing = self.verdict.missing
        ends = {"missing": (*missing[:1], *missing[1:][-1:])}
        verdict = self.verdict.model_copy(update=ends).model_dump(mode="json")
        return json.dumps({"verdict": verdict, "attempts": self.attempts, "tried_at": tried})

    def may_try(self, now: datetime) -> bool:
        if self.attempts >= MOST_ATTEMPTS:
            return False
        return self.tried_at is None or now >= self.tried_at + PAUSE * 2 ** (self.attempts - 1)


def feed_freshness_sensor(spec: FeedSpec, job: AssetJob) -> dg.SensorDefinition:
    """Watches a feed by its calendar, and fetches again what is overdue."""

    @dg.sensor(
        name=f"{spec.name}_is_fresh",
        job=job,
        minimum_interval_seconds=PAUSES * Settings().sensor_seconds,
        default_status=sensor_status(on=spec.automatic),
        description=(
            f"Tells people why bars of {spec.instrument} are overdue and asks for up to "
            f"{MOST_ATTEMPTS} catch-up runs; a closed day is not an outage."
        ),
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        store, now = lake.open(), clock.now()
        verdict = judge_feed(context.instance, store, spec, now)

        def overdue() -> Range:
            parts = partitions_to_ingest(store, spec, now)
            return parts[0], parts[-1]

        key = dg.AssetKey([spec.name, PRICES.name])
        return _act(context, store, verdict, key, job, overdue)

    return sensor


def prediction_freshness_sensor(
    spec: ForecastSpec, feed: FeedSpec, tables: SeriesOf, job: AssetJob
) -> dg.SensorDefinition:
    """Watches a forecast's predictions, and issues again what is overdue."""

    @dg.sensor(
        name=f"{spec.name}_is_fresh",
        job=job,
        minimum_interval_seconds=PAUSES * Settings().sensor_seconds,
        default_status=sensor_status(on=feed.automatic),
        description=(
            "Tells people why predictions are overdue and, where a run failed or none was begun, "
            f"asks for up to {MOST_ATTEMPTS} catch-up runs."
        ),
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        store, now = lake.open(), clock.now()
        own = tables(lake)
        if own.read(PREDICTIONS).empty and in_progress(
            context.instance, f"{spec.name}_retrain", job.name
        ):
            return dg.SkipReason("The first champion is being decided on.")
        verdict = judge_predictions(context.instance, own, now)

        def overdue() -> Range:
            days = days_to_predict(own, now)
            return (days[0].isoformat(), days[-1].isoformat()) if days else None

        key = dg.AssetKey([spec.name, PREDICTIONS.name])
        return _act(context, store, verdict, key, job, overdue)

    return sensor


def panel_freshness_sensor(spec: UniverseSpec) -> dg.SensorDefinition:
    """Watches a universe's bars and predictions; its other sensor asks for runs."""

    @dg.sensor(
        name=f"{spec.name}_is_fresh",
        minimum_interval_seconds=PAUSES * Settings().sensor_seconds,
        default_status=sensor_status(on=spec.automatic),
        description="Tells people why bars or predictions are overdue, and which instruments lag.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        store, now = lake.open(), clock.now()
        if not store.exists(PRICES.name, spec.name):
            return dg.SkipReason("The source has not been looked at yet.")
        verdicts = {
            PRICES.name: judge_panel(context.instance, store, spec, now),
            PREDICTIONS.name: judge_panel_predictions(context.instance, store, spec, now),
        }
        cursors = json.loads(context.cursor) if context.cursor else {}
        events = []
        for table, verdict in verdicts.items():
            before = _Outage.from_cursor(cursors.get(table))
            _tell(store, before, verdict)
            events += _news(before, verdict, dg.AssetKey([spec.name, table]))
            cursors[table] = _Outage(verdict).to_cursor()
        said = " ".join(verdict.sentence for verdict in verdicts.values())
        return dg.SensorResult(skip_reason=said, cursor=json.dumps(cursors), asset_events=events)

    return sensor


def _act(
    context: dg.SensorEvaluationContext,
    store: "Lake",
    verdict: "Freshness",
    key: dg.AssetKey,
    job: AssetJob,
    overdue: Callable[[], Range],
) -> dg.SensorResult:
    """Tell, show, ask for a catch-up run where one is due, and remember."""
    before = _Outage.from_cursor(context.cursor)
    over = _tell(store, before, verdict)
    events = _news(before, verdict, key)

    def remember(outage: _Outage, sentence: str) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=sentence, cursor=outage.to_cursor(), asset_events=events)

    if not verdict.alarm:
        return remember(_Outage(verdict), over or verdict.sentence)
    # The first missing day moves when part of an outage is made good: that is progress.
    same = before is not None and before.verdict.key == verdict.key
    outage = (
        _Outage(verdict, before.attempts, before.tried_at) if before and same else _Outage(verdict)
    )
    if not outage.may_try(verdict.checked_at) or in_progress(context.instance, job.name):
        return remember(outage, verdict.sentence)
    asked = overdue()
    if asked is None:
        return remember(outage, verdict.sentence)
    attempt = outage.attempts + 1
    request = dg.RunRequest(
        run_key=f"{verdict.key} attempt {attempt}",
        tags={
            **range_tags(*asked),
            "reason": f"catch-up {attempt} of {MOST_ATTEMPTS}: {verdict.sentence}",
        },
    )
    tried = _Outage(verdict, attempt, verdict.checked_at)
    return dg.SensorResult(run_requests=[request], cursor=tried.to_cursor(), asset_events=events)


def _tell(store: "Lake", before: _Outage | None, verdict: "Freshness") -> str | None:
    """Tell people of lateness and of its end; returns what was said of the end."""
    from fx_assets.monitoring.freshness import recovered

    over = recovered(before.verdict, verdict) if before else None
    if before and over and before.verdict.cause != TOLD_BY_FEED:
        key = f"recovered:{before.verdict.key}"
        tell(store, "recovered", verdict.name, over, key=key)
    if verdict.alarm and verdict.cause != TOLD_BY_FEED:
        tell(store, "stale", verdict.name, verdict.sentence, key=verdict.key)
    return over


def _news(
    before: _Outage | None, verdict: "Freshness", key: dg.AssetKey
) -> list[dg.AssetCheckEvaluation]:
    """The check for the asset's page, where it says something else than at the last look."""
    if before and all(
        getattr(before.verdict, name) == getattr(verdict, name)
        for name in ("behind", "missing_span", "severe")
    ):
        return []
    return [fresh_event(verdict, key)]
