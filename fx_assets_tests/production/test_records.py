"""Dagster's records on PostgreSQL are flat once old runs are deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from fx_assets.assets.records import end_of_records, thin_out
from fx_assets_tests.production.servers import Postgres, postgres

pytestmark = pytest.mark.slow


def size(server: Postgres) -> int:
    """Bytes of the database after what autovacuum does by itself."""
    server.ask("dagster", "VACUUM")
    return int(server.ask("dagster", "SELECT pg_database_size('dagster')"))


def test_deleted_runs_make_room_for_new_ones(tmp_path: Path) -> None:
    @dg.asset
    def one() -> int:
        return 1

    with postgres("a-password", auth="trust") as server:
        server.create("dagster")
        kept = f"storage: {{postgres: {{postgres_url: '{server.url('dagster')}'}}}}\n"
        (tmp_path / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{kept}")
        sizes = []
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            for _ in range(4):
                for _ in range(12):
                    dg.materialize([one], instance=instance)
                assert thin_out(instance) >= 7
                assert end_of_records(instance, datetime.now(UTC)) >= 11
                assert len(instance.get_runs()) == 1
                sizes.append(size(server))
    assert sizes[-1] - sizes[0] < 300_000, sizes
