"""What Dagster loads: the declared feeds and forecasts, and the resources that they share."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import dagster as dg

from fx_assets.assets.alerting import failure_sensor
from fx_assets.assets.automation import compaction, compaction_schedule, declared_sensor
from fx_assets.assets.lineage import lineage_sensors
from fx_assets.assets.progress import progress_logger
from fx_assets.assets.records import small_records_sensor
from fx_assets.assets.runs import sensor_status
from fx_assets.components.declared import declared
from fx_assets.components.sources import with_sources
from fx_assets.heartbeats import dead_runs_sensor
from fx_assets.resources import resources
from fx_assets.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that this deployment runs."""
    declared()
    warnings.simplefilter("ignore", dg.BetaWarning)
    return dg.Definitions.merge(
        with_sources(_components(Settings().declared_folder)),
        dg.Definitions(
            jobs=[compaction],
            schedules=[compaction_schedule()],
            sensors=[
                failure_sensor(),
                dead_runs_sensor(sensor_status()),
                small_records_sensor(sensor_status()),
                declared_sensor(declared(), sensor_status()),
                *lineage_sensors(sensor_status()),
            ],
            resources=resources(),
            loggers={"console": dg.colored_console_logger, "progress": progress_logger},
            executor=dg.in_process_executor,
        ),
    )


def _components(folder: Path) -> dg.Definitions:
    """The components below a folder, which need not be a Python package.

    Building from the folder, not from the project, spares a second in each process: the latter
    imports every component library that is installed.
    """
    module = ModuleType("fx_assets.defs")
    module.__file__, module.__path__ = None, [str(folder)]
    return dg.ComponentTree.from_module(module, folder).build_defs(folder)
