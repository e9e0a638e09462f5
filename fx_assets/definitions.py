"""What Dagster loads: the declared feeds and forecasts, and the resources that they share."""

from __future__ import annotations

import warnings

import dagster as dg

from fx_assets.assets.automation import compaction, compaction_schedule
from fx_assets.assets.progress import progress_logger
from fx_assets.resources import resources
from fx_assets.specs.files import DECLARED_FOLDER, load_declared


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that this deployment runs."""
    load_declared()
    warnings.simplefilter("ignore", dg.BetaWarning)
    # Building from the folder, not from the project, spares a second in each process: the latter
    # imports every component library that is installed.
    tree = dg.ComponentTree.for_project(DECLARED_FOLDER)
    return dg.Definitions.merge(
        tree.build_defs(DECLARED_FOLDER),
        dg.Definitions(
            jobs=[compaction],
            schedules=[compaction_schedule()],
            resources=resources(),
            loggers={"console": dg.colored_console_logger, "progress": progress_logger},
            executor=dg.in_process_executor,
        ),
    )
