"""Runs jobs of a home that it reads from standard input, and says each run's id and how it ended.

usage: python -m fx_assets_tests.states.launches
"""

from __future__ import annotations

import json
import sys

import dagster as dg

from fx_assets.definitions import defs
from fx_assets.runner import QUIET


def serve() -> None:
    definitions = defs()
    print("ready", flush=True)
    with dg.DagsterInstance.get() as instance:
        for line in sys.stdin:
            job, tags = json.loads(line)
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
            )
            print(json.dumps([result.run_id, result.success]), flush=True)


if __name__ == "__main__":
    serve()
