"""A process that runs one job and stops at one table's write, to be killed there."""

from __future__ import annotations

import io
import json
import sys
import time
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
from deltalake import write_deltalake

from benchmarks.drill.deployment import QUIET, definitions
from fx_assets.lake import delta


def main() -> None:
    live_from, job, tags, table, moment = sys.argv[1:]

    def stop() -> None:
        print("writing", flush=True)
        time.sleep(600)

    def write(target: Any, data: Any, **options: Any) -> None:
        uri = target if isinstance(target, str) else target.table_uri
        if not uri.rstrip("/").endswith(table):
            write_deltalake(target, data, **options)
            return
        if moment == "after":
            write_deltalake(target, data, **options)
            stop()
        whole = io.BytesIO()
        pq.write_table(data, whole)
        half = whole.getvalue()[: len(whole.getvalue()) // 2]
        folder = Path(uri.removeprefix("file://"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"part-00000-{uuid.uuid4()}-c000.snappy.parquet").write_bytes(half)
        stop()

    setattr(delta, "write_deltalake", write)  # noqa: B010
    result = (
        definitions(date.fromisoformat(live_from))
        .resolve_job_def(job)
        .execute_in_process(
            run_config=QUIET,
            instance=dg.DagsterInstance.ephemeral(),
            tags=json.loads(tags),
            raise_on_error=False,
        )
    )
    failures = [e.step_failure_data.error for e in result.all_events if e.is_step_failure]
    print(f"never wrote {table}:", *(e.to_string() for e in failures if e), flush=True)


if __name__ == "__main__":
    main()
