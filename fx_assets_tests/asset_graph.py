"""The packaged asset graph as text; ``make snapshot`` writes it, and its difference is reviewed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from fx_assets.definitions import defs

SNAPSHOT = Path(__file__).with_name("asset_graph.txt")


def described(definitions: dg.Definitions) -> str:
    """Every asset with what it is made from and judged by, then what starts runs."""
    return "\n".join([*_assets(definitions), *_automation(definitions)]) + "\n"


def _assets(definitions: dg.Definitions) -> Iterator[str]:
    graph = definitions.resolve_asset_graph()
    checks = sorted(graph.asset_check_keys, key=lambda key: key.name)
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        parts = node.partitions_def
        kinds = ", ".join(sorted(node.kinds))
        yield f"{key.to_user_string()}  [{kinds}]{f'  {_partitions(parts)}' if parts else ''}"
        for parent in sorted(node.parent_keys):
            yield f"  from {parent.to_user_string()}"
        for check in checks:
            if check.asset_key == key:
                yield f"  check {check.name}{' (blocking)' if graph.get(check).blocking else ''}"
        if node.freshness_policy:
            yield "  has a freshness policy"


def _partitions(parts: dg.PartitionsDefinition) -> str:
    if isinstance(parts, dg.TimeWindowPartitionsDefinition):
        return f"by {parts.cron_schedule} from {parts.start.date()}"
    return f"by {getattr(parts, 'name', type(parts).__name__)}"


def _automation(definitions: dg.Definitions) -> Iterator[str]:
    repository = definitions.get_repository_def()
    for job in sorted(repository.get_all_jobs(), key=lambda job: job.name):
        if not job.name.startswith("__"):
            keys = sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
            yield f"\njob {job.name}\n" + "\n".join(f"  {key}" for key in keys)
    for schedule in sorted(repository.schedule_defs, key=lambda found: found.name):
        when = f"{schedule.cron_schedule} {schedule.execution_timezone}"
        yield f"\nschedule {schedule.name}: {when} -> {schedule.job_name}"
    for sensor in sorted(repository.sensor_defs, key=lambda found: found.name):
        jobs = ", ".join(sorted(job.name for job in sensor.jobs)) if sensor.has_jobs else "no job"
        yield f"\nsensor {sensor.name} -> {jobs}"


def main() -> None:
    """Write it where it is kept."""
    argparse.ArgumentParser(description="Write the packaged asset graph as text.").parse_args()
    SNAPSHOT.write_text(described(defs()))


if __name__ == "__main__":
    main()
