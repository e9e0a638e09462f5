"""What upkeep deletes, and what it must not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.assets.records import end_of_records
from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.stages.upkeep import tidy


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def day(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"event_time": [pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(n, "D")], "n": [n]}
    )


def readable(lake: Lake, table: str, versions: int) -> list[int]:
    found = []
    for version in range(versions):
        try:
            found.append(int(lake.read(table, "x", version=version)["n"].iloc[-1]))
        except LakeError:
            continue
    return found


def test_versions_that_nothing_is_made_from_go_and_those_of_models_and_decisions_stay(
    lake: Lake,
) -> None:
    for n in range(8):
        lake.replace("features", "x", day(n))
        if n == 5:
            lake.append("decisions", "x", pd.DataFrame({"sequence": [0]}))
    manifest, draft = ({"table_versions": {"features/x": n, "raw_prices/f": 0}} for n in (2, 3))
    lake.write_blob("bundles/x/1/manifest.json", json.dumps(manifest).encode())
    lake.write_blob("candidates/x/ewma/draft.json", json.dumps(draft).encode())
    done = {f"{d.table}/{d.name}": d for d in tidy(lake, timedelta(0))}
    assert done["features/x"].deleted == 4
    assert readable(lake, "features", 8) == [2, 3, 5, 7]


def test_versions_of_the_last_weeks_stay(lake: Lake) -> None:
    for n in range(4):
        lake.replace("prices", "x", day(n))
    assert [done.deleted for done in tidy(lake, timedelta(days=30))] == [0]
    assert readable(lake, "prices", 4) == [0, 1, 2, 3]


def test_every_version_of_what_is_appended_to_stays_and_its_files_are_put_together(
    lake: Lake,
) -> None:
    for n in range(4):
        lake.append("predictions", "x", day(n))
    (done,) = tidy(lake, timedelta(0))
    assert (done.merged, done.deleted) == (3, 0)
    assert len(lake.read("predictions", "x", version=1)) == 2


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def test_records_of_old_runs_go_but_not_those_that_an_asset_is_from(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset
    def one() -> int:
        return 1

    runs = [dg.materialize([one], instance=instance).run_id for _ in range(3)]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert end_of_records(instance, yesterday) == 0
    assert end_of_records(instance, datetime.now(UTC) + timedelta(days=1)) == 2
    assert [run.run_id for run in instance.get_runs()] == runs[-1:]
    assert instance.get_latest_materialization_event(one.key) is not None
