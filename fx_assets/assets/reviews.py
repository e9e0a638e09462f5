"""Watching leads to judging: a look after each batch, a retrain where drift or harm was seen."""

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from fx_assets import clock
from fx_assets.assets.automation import AssetJob
from fx_assets.assets.due import features_are_behind
from fx_assets.assets.runs import in_progress, sensor_status
from fx_assets.resources import LakeResource
from fx_assets.specs import FeedSpec, ForecastSpec

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def monitor_job(spec: ForecastSpec) -> AssetJob:
    """Judge drift, faults and live performance."""
    return dg.define_asset_job(
        f"{spec.name}_monitor",
        selection=dg.AssetSelection.assets([spec.name, "drift_report"]),
        description="Judge drift, faults and live performance.",
    )


def monitor_sensor(
    spec: ForecastSpec, feed: FeedSpec, job: AssetJob, predict: AssetJob
) -> dg.SensorDefinition:
    """Look again after each batch of predictions and outcomes."""

    @dg.sensor(
        name=f"{spec.name}_is_watched",
        job=job,
        minimum_interval_seconds=60,
        default_status=sensor_status(),
        description="Judges drift and performance whenever there are new predictions or outcomes.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        store = lake.open()
        issued = store.read_or_empty("predictions", spec.name)
        if issued.empty:
            return dg.SkipReason("Nothing has been predicted yet.")
        outcomes = len(store.read_or_empty("outcomes", spec.name))
        looks = len(store.read_or_empty("decisions", spec.name))
        batch = f"{issued['day'].max()}, {outcomes} outcomes, {looks} decisions"
        if context.cursor == batch:
            return dg.SkipReason(f"Looked at already: {batch}.")
        if in_progress(context.instance, predict.name) or features_are_behind(store, spec, feed):
            return dg.SkipReason("The newest bars are being predicted from.")
        request = dg.RunRequest(run_key=batch, tags={"reason": batch})
        return dg.SensorResult(run_requests=[request], cursor=batch)

    return sensor


def review_sensor(spec: ForecastSpec, job: AssetJob) -> dg.SensorDefinition:
    """Have the candidates judged again after an alarm; whether anything changes is for the rule."""
    cool_down = timedelta(days=spec.watching.review_cool_down_days)

    @dg.sensor(
        name=f"{spec.name}_review",
        job=job,
        minimum_interval_seconds=60,
        default_status=sensor_status(),
        description=(
            "Asks for a retrain when drift or performance raised an alarm, at most once in "
            f"{cool_down.days} days; it never promotes."
        ),
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        store, now = lake.open(), clock.now()
        alarm = newest_alarm(store, spec.name)
        if alarm is None:
            return dg.SkipReason("The newest report raises no alarm that a retrain answers.")
        as_of, reason = alarm
        if in_progress(context.instance, job.name):
            return dg.SkipReason("Candidates are being judged already.")
        before = json.loads(context.cursor) if context.cursor else {}
        if before.get("as_of") == as_of:
            return dg.SkipReason(f"The report of {as_of} has been answered.")
        if before:
            again = datetime.fromisoformat(before["requested_at"]) + cool_down
            if now < again:
                return dg.SkipReason(f"Cooling down until {again:%Y-%m-%d %H:%M} UTC. {reason}")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=as_of, tags={"reason": reason})],
            cursor=json.dumps({"as_of": as_of, "requested_at": now.isoformat()}),
        )

    return sensor


def newest_alarm(store: "Lake", forecast: str) -> tuple[str, str] | None:
    """The newest report's ``as_of`` and why it asks for a retrain; ``None`` if it does not.

    A broken column asks for a repair: judging models on it would help nobody. A report from before
    the newest decision has been answered by it.
    """
    performance = store.read_or_empty("performance", forecast)
    if performance.empty:
        return None
    newest = performance.sort_values("measured_at").iloc[-1]
    decisions = store.read_or_empty("decisions", forecast)
    if len(decisions) and newest["measured_at"] <= decisions["decided_at"].max():
        return None
    if newest["drift_verdict"] == "broken":
        return None
    reasons = []
    if newest["drift_verdict"] == "drift":
        drift = store.read("drift", forecast)
        reasons.append(drift[drift["measured_at"] == newest["measured_at"]]["sentence"].iloc[0])
    if newest["alarm"]:
        reasons.append(newest["sentence"])
    return (newest["as_of"].isoformat(), " ".join(reasons)) if reasons else None
