"""What Dagster loads: the declared feeds and forecasts, and the resources that they share."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from fx_assets.assets.automation import compaction, compaction_schedule
from fx_assets.assets.progress import progress_logger
from fx_assets.resources import resources
from fx_assets.specs.files import load_declared


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that this deployment runs."""
    load_declared()
    return dg.Definitions.merge(
        dg.load_from_defs_folder(project_root=Path(__file__).parents[1]),
        dg.Definitions(
            jobs=[compaction],
            schedules=[compaction_schedule()],
            resources=resources(),
            loggers={"console": dg.colored_console_logger, "progress": progress_logger},
            executor=dg.in_process_executor,
        ),
    )
