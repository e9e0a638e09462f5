"""Watching leads to judging: a look after each batch, a retrain where drift or harm was seen."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.runs import (
    IN_PROGRESS,
    RUN_KEY,
    AssetJob,
    asset_job,
    in_progress,
    sensor_status,
)
from fx_assets.resources import LakeResource, SeriesOf
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import ForecastSpec
from fx_assets.stages.due import features_are_behind
from fx_assets.tables import DECISIONS, DRIFT, OUTCOMES, PERFORMANCE, PREDICTIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake

MOST_ATTEMPTS = 4
"""Runs of one review, while they fail."""
PAUSE = timedelta(hours=1)
"""Before the second of them; it doubles with each."""


def monitor_job(spec: ForecastSpec) -> AssetJob:
    """Judge drift, faults and live performance."""
    return asset_job(
        f"{spec.name}_monitor",
        selection=dg.AssetSelection.assets([spec.name, "drift_report"]),
        description="Judge drift, faults and live performance.",
    )


def monitor_sensor(
    spec: ForecastSpec, tables: SeriesOf, job: AssetJob, predict: AssetJob
) -> dg.SensorDefinition:
    """Look again after each batch of predictions and outcomes; of intraday bars once a day."""

    @dg.sensor(
        name=f"{spec.name}_is_watched",
        job=job,
        minimum_interval_seconds=Settings().sensor_seconds,
        default_status=sensor_status(),
        description="Judges drift and performance whenever there are new predictions or outcomes.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        own = tables(lake)
        issued = own.read(PREDICTIONS)
        if issued.empty:
            return dg.SkipReason("Nothing has been predicted yet.")
        batch = str(issued["day"].max())
        if own.feed.market.daily:  # intraday outcomes come with every bar, and a look takes seconds
            batch += f", {len(own.read(OUTCOMES))} outcomes"
        batch += f", {len(own.read(DECISIONS))} decisions, series {own.series.id}"
        if context.cursor == batch:
            return dg.SkipReason(f"Looked at already: {batch}.")
        if in_progress(context.instance, predict.name) or features_are_behind(own):
            return dg.SkipReason("The newest bars are being predicted from.")
        request = dg.RunRequest(run_key=batch, tags={"reason": batch})
        return dg.SensorResult(run_requests=[request], cursor=batch)

    return sensor


@dataclass(frozen=True)
class _Asked:
    """The newest retrain that was asked for, as the sensor's cursor remembers it."""

    as_of: str
    """Of the report that it answers."""
    requested_at: datetime
    attempt: int = 1
    given_up: bool = False
    """Whether people have been told that the last attempt failed."""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "_Asked | None":
        if not cursor:
            return None
        known = json.loads(cursor)
        return cls(**known | {"requested_at": datetime.fromisoformat(known["requested_at"])})

    def to_cursor(self) -> str:
        return json.dumps(asdict(self) | {"requested_at": self.requested_at.isoformat()})

    @property
    def run_key(self) -> str:
        return self.as_of if self.attempt == 1 else f"{self.as_of} attempt {self.attempt}"

    @property
    def again_at(self) -> datetime:
        """When it may be asked for again, if it failed."""
        return self.requested_at + PAUSE * 2 ** (self.attempt - 1)

    def failed(self, instance: dg.DagsterInstance, job: str) -> bool:
        """Whether its run failed, or was killed without a trace: who cancels one means it."""
        mine = dg.RunsFilter(job_name=job, tags={RUN_KEY: self.run_key})
        records = instance.get_run_records(mine, limit=1)
        return bool(records) and records[0].dagster_run.status in (
            dg.DagsterRunStatus.FAILURE,
            *IN_PROGRESS,
        )


def review_sensor(spec: ForecastSpec, tables: SeriesOf, job: AssetJob) -> dg.SensorDefinition:
    """Have the candidates judged again after an alarm; whether anything changes is for the rule."""
    cool_down = timedelta(days=spec.watching.review_cool_down_days)

    @dg.sensor(
        name=f"{spec.name}_review",
        job=job,
        minimum_interval_seconds=Settings().sensor_seconds,
        default_status=sensor_status(),
        description=(
            "Asks for a retrain when drift or performance raised an alarm, at most once in "
            f"{cool_down.days} days, or {MOST_ATTEMPTS} times while it fails; it never promotes."
        ),
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        store, now = lake.open(), clock.now()
        alarm = newest_alarm(tables(lake))
        if alarm is None:
            return dg.SkipReason("The newest report raises no alarm that a retrain answers.")
        as_of, reason = alarm
        if in_progress(context.instance, job.name):
            return dg.SkipReason("Candidates are being judged already.")
        before, attempt = _Asked.from_cursor(context.cursor), 1
        if before is not None:
            again = before.requested_at + cool_down
            if before.failed(context.instance, job.name):
                if before.attempt < MOST_ATTEMPTS:
                    if now < before.again_at:
                        return dg.SkipReason(
                            f"The retrain failed, attempt {before.attempt} of {MOST_ATTEMPTS}; the "
                            f"next is due at {before.again_at:%Y-%m-%d %H:%M} UTC. {reason}"
                        )
                    attempt = before.attempt + 1
                elif not before.given_up:
                    return _give_up(store, job.name, before, again)
            if attempt == 1:
                if before.as_of == as_of:
                    return dg.SkipReason(f"The report of {as_of} has been answered.")
                if now < again:
                    return dg.SkipReason(f"Cooling down until {again:%Y-%m-%d %H:%M} UTC. {reason}")
        asked = _Asked(as_of, now, attempt)
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=asked.run_key, tags={"reason": reason})],
            cursor=asked.to_cursor(),
        )

    return sensor


def _give_up(store: "Lake", job: str, asked: _Asked, again: datetime) -> dg.SensorResult:
    """Tell people, and remember that they were told."""
    sentence = (
        f"The retrain that the report of {asked.as_of} asked for failed {MOST_ATTEMPTS} times; no "
        f"other is asked for before {again:%Y-%m-%d %H:%M} UTC, unless someone starts it."
    )
    tell(store, "run_failed", job, sentence, key=f"review_given_up:{job}:{asked.run_key}")
    return dg.SensorResult(skip_reason=sentence, cursor=replace(asked, given_up=True).to_cursor())


def newest_alarm(own: SeriesTables) -> tuple[str, str] | None:
    """The newest report's ``as_of`` and why it asks for a retrain; ``None`` if it does not.

    A broken feature asks for a repair: judging models on it would help nobody. Predictions that
    look broken while all features are right do ask for one: a regime can turn them upside down. A
    report from before the newest decision has been answered by it.
    """
    performance = own.read(PERFORMANCE)
    if performance.empty:
        return None
    newest = performance.sort_values("measured_at").iloc[-1]
    decisions = own.read(DECISIONS)
    if len(decisions) and newest["measured_at"] <= decisions["decided_at"].max():
        return None
    broken, inputs_are = newest["drift_verdict"] == "broken", newest.get("features_broken", True)
    if broken and (inputs_are is None or bool(inputs_are)):
        return None
    reasons = []
    if broken or newest["drift_verdict"] == "drift":
        drift = own.read(DRIFT)
        reasons.append(drift[drift["measured_at"] == newest["measured_at"]]["sentence"].iloc[0])
    if newest["alarm"]:
        reasons.append(newest["sentence"])
    return (newest["as_of"].isoformat(), " ".join(reasons)) if reasons else None
