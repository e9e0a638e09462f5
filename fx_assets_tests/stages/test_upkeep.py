"""What upkeep deletes, and what it must not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets.assets.records import end_of_records
from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.lake.upkeep import PARTS
from fx_assets.settings import Settings
from fx_assets.stages.upkeep import forget_files, tidy

NOW = datetime(2024, 2, 1, tzinfo=UTC)


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
    done = {f"{d.table}/{d.name}": d for d in tidy(lake, timedelta(0), NOW)}
    assert done["features/x"].deleted == 4
    assert readable(lake, "features", 8) == [2, 3, 5, 7]


def test_versions_of_the_last_weeks_stay(lake: Lake) -> None:
    for n in range(4):
        lake.replace("prices", "x", day(n))
    assert [done.deleted for done in tidy(lake, timedelta(days=30), NOW)] == [0]
    assert readable(lake, "prices", 4) == [0, 1, 2, 3]


def test_every_version_of_what_is_appended_to_stays_and_its_files_are_put_together(
    lake: Lake,
) -> None:
    for n in range(4):
        lake.append("predictions", "x", day(n))
    (done,) = tidy(lake, timedelta(0), NOW)
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


def test_what_runs_printed_goes_with_their_records(tmp_path: Path) -> None:
    @dg.asset
    def talkative() -> None:
        print("hello")

    logs = {"module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager", "config": {"base_dir": str(tmp_path)}}  # fmt: skip
    with dg.instance_for_test(overrides={"compute_logs": logs}) as instance:
        runs = [dg.materialize([talkative], instance=instance).run_id for _ in range(2)]
        assert {path.name for path in tmp_path.iterdir()} >= set(runs)
        end_of_records(instance, datetime.now(UTC) + timedelta(days=1))
        assert {path.name for path in tmp_path.iterdir()} & set(runs) == {runs[-1]}


def aged(file: Path, days: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(b"x" * 1000)
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(file, (then, then))
    return file


def test_old_pages_graphs_and_downloads_go_and_what_is_named_stays(
    lake: Lake, tmp_path: Path
) -> None:
    root, cache = Path(lake.root), tmp_path / "cache"
    digests = [sha256(bytes([n])).hexdigest() for n in range(3)]
    manifest = {"table_versions": {}, "files": {"model.onnx": {"sha256": digests[0]}}}
    draft = {"facts": {"table_versions": {}}, "onnx_sha256": digests[1]}
    lake.write_blob("bundles/x/1/manifest.json", json.dumps(manifest).encode())
    lake.write_blob("candidates/x/ewma/draft.json", json.dumps(draft).encode())
    aged(root / "candidates/x/ewma/draft.json", 4000)
    graphs = [aged(root / f"candidates/x/ewma/{digest[:16]}.onnx", 31) for digest in digests]
    young = aged(root / f"candidates/x/ewma/{'f' * 16}.onnx", 29)
    alarms = root / "monitoring/x/alarms"
    pages = [aged(alarms / f"{days}.html", days) for days in (9, 364, 366, 4000)]
    newest = aged(root / "monitoring/x/drift.html", 4000)
    ends = (".payload", ".json")
    payloads = [aged(cache / f"{days}{end}", days) for days in (364, 366) for end in ends]
    left = [aged(cache / f".0.payload.abc{n}", n) for n in (0, 2)]
    others = [aged(cache / "budgets.sqlite", 4000), aged(cache / "serving/x/champion.json", 4000)]
    said = list(forget_files(lake, cache, Settings(), datetime.now(UTC)))
    assert [line.split(": ")[1] for line in said] == [
        "2 deleted, 0.0 MB", "1 deleted, 0.0 MB", "3 deleted, 0.0 MB",
    ]  # fmt: skip
    gone = {graphs[2], *pages[2:], *payloads[2:], left[1]}
    everything = {*graphs, young, *pages, newest, *payloads, *left, *others}
    assert {path for path in everything if not path.exists()} == gone
    again = forget_files(lake, cache, Settings(), datetime.now(UTC))
    assert all(": 0 deleted" in line for line in again)


@pytest.mark.slow
def test_a_table_that_grows_is_not_written_anew_every_night(lake: Lake, tmp_path: Path) -> None:
    large = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 8))).add_prefix("c")
    lake.append("predictions", "x", large)
    (first,) = (tmp_path / "predictions" / "x").glob("*.parquet")
    for _ in range(40):
        lake.append("predictions", "x", large.iloc[:10])
        lake.append("predictions", "x", large.iloc[:10])
        done = lake.compact("predictions", "x")
        assert done.files_after <= 2 * PARTS
    assert len(lake.read("predictions", "x")) == 20_800
    written = sum(file.stat().st_size for file in tmp_path.rglob("*.parquet"))
    assert written < 2 * first.stat().st_size
