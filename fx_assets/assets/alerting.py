"""Who is told: alerts of assets, sensors and failed runs. Telling never fails a run."""

import logging
from typing import TYPE_CHECKING

import dagster as dg

from fx_assets import clock
from fx_assets.assets.runs import failures_of, sensor_status
from fx_assets.resources import LakeResource
from fx_assets.settings import Settings

if TYPE_CHECKING:
    from fx_assets.alerting.alert import AlertKind
    from fx_assets.lake import Lake

_log = logging.getLogger(__name__)


def run_link(run_id: str) -> str:
    """Address of a run in Dagster's UI; empty while ``FX_ASSETS_DAGSTER_UI`` is not set."""
    ui = Settings().dagster_ui
    return f"{ui.rstrip('/')}/runs/{run_id}" if ui and run_id else ""


def tell(
    lake: "Lake", kind: "AlertKind", subject: str, sentence: str, *, run_id: str = "", key: str = ""
) -> None:
    """Send an alert to the configured receivers, unless the same was sent within the cool-down.

    Parameters
    ----------
    lake
        Where attempts are recorded.
    subject
        The feed, forecast or job that it is about.
    run_id
        The run that it links to.
    key
        Alerts with the same key are the same; kind and subject unless it is given.
    """
    from fx_assets.alerting.alert import Alert
    from fx_assets.alerting.alerts import Alerter

    try:
        now, link = clock.now(), run_link(run_id)
        alert = Alert(kind=kind, subject=subject, sentence=sentence, at=now, link=link, key=key)
        Alerter(lake).notify(alert, now)
    except Exception as error:
        _log.warning("%s of %s could not be told: %s", kind, subject, type(error).__name__)


def failure_sensor() -> dg.SensorDefinition:
    """Tells of every failed run; the same reason again within the cool-down is told once."""

    @dg.run_failure_sensor(
        name="failed_runs",
        default_status=sensor_status(),
        description="Tells people of failed runs. A refused batch is told of when it is refused.",
    )
    def sensor(context: dg.RunFailureSensorContext, lake: LakeResource) -> None:
        run = context.dagster_run
        failures = failures_of(context.instance, run.run_id)
        if failures and all(failure.by_check for failure in failures):
            return
        first = failures[0].sentence if failures else str(context.failure_event.message)
        tell(
            lake.open(),
            "run_failed",
            run.job_name,
            first,
            run_id=run.run_id,
            key=f"run_failed:{run.job_name}:{first[:200]}",
        )

    return sensor
