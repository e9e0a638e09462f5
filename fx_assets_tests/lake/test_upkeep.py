from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.lake.writes import SPAN_BYTES


def number(n: int) -> pd.DataFrame:
    return pd.DataFrame({"n": [n]})


def test_compaction_changes_no_row_and_keeps_every_version(
    place: tuple[str, dict[str, str] | None],
) -> None:
    root, options = place
    lake = Lake(root, storage_options=options)
    for n in range(6):
        lake.append("t", "x", number(n))
    result = lake.compact("t", "x", run_id="night")
    assert (result.files_before, result.files_after, result.files_deleted) == (6, 1, 0)
    assert sorted(lake.read("t", "x")["n"]) == list(range(6))
    for version in range(6):
        assert len(lake.read("t", "x", version=version)) == version + 1
    assert lake.history("t", "x")[0].run_id == "night"
    assert lake.compact("t", "x").version == result.version


def test_a_pinned_version_survives_deletion_of_old_files(lake: Lake) -> None:
    for n in range(6):
        lake.replace("t", "x", number(n))
    result = lake.compact("t", "x", pinned_versions={2}, grace=timedelta(0))
    assert result.files_deleted == 4
    assert list(lake.read("t", "x", version=2)["n"]) == [2]
    assert list(lake.read("t", "x")["n"]) == [5]
    with pytest.raises(LakeError, match="t/x"):
        lake.read("t", "x", version=3)


def test_files_within_the_grace_are_not_deleted(lake: Lake) -> None:
    for n in range(4):
        lake.replace("t", "x", number(n))
    assert lake.compact("t", "x", pinned_versions=set()).files_deleted == 0
    assert list(lake.read("t", "x", version=0)["n"]) == [0]


def test_replacing_with_the_same_after_compaction_is_still_no_commit(lake: Lake) -> None:
    lake.replace("t", "x", number(1))
    lake.append("t", "x", number(2))
    lake.compact("t", "x")
    assert lake.replace("t", "x", number(1)).committed
    lake.compact("t", "x", pinned_versions=set())
    assert not lake.replace("t", "x", number(1)).committed


def test_the_log_is_kept_and_checkpointed(lake: Lake) -> None:
    for n in range(17):
        lake.append("t", "x", number(n))
    properties = DeltaTable(f"{lake.root}/t/x").metadata().configuration
    assert properties["delta.logRetentionDuration"] == "interval 36500 days"
    assert lake.list_blobs("t/x/_delta_log/_last_checkpoint")
    assert len(lake.history("t", "x")) == 17


def bars(rows: int, changed: int | None = None) -> pd.DataFrame:
    """Hourly bars with many columns; the values of the last ``changed`` rows are others."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(6000, 20)), columns=[f"c{i}" for i in range(20)])
    frame.insert(0, "event_time", pd.date_range("2021-01-01", periods=6000, freq="h", tz="UTC"))
    frame["event_time"] = frame["event_time"].astype("datetime64[us, UTC]")
    frame.loc[:9, "c3"] = np.nan
    frame = frame[:rows].copy()
    if changed:
        frame.loc[frame.index[-changed:], "c7"] += 1.0
    return frame


def size(lake: Lake) -> int:
    return sum(path.stat().st_size for path in Path(lake.root).rglob("*.parquet"))


def test_an_update_of_bars_writes_what_changed_and_not_history(lake: Lake) -> None:
    lake.replace("features", "x", bars(5000, changed=1))
    first = size(lake)
    for rows in range(5001, 5011):
        before = size(lake)
        assert lake.replace("features", "x", bars(rows, changed=1)).committed
        assert size(lake) - before < first / 4
        pd.testing.assert_frame_equal(lake.read("features", "x"), bars(rows, changed=1))
        assert not lake.replace("features", "x", bars(rows, changed=1)).committed
    pd.testing.assert_frame_equal(lake.read("features", "x", version=0), bars(5000, changed=1))


def test_bars_that_follow_one_by_one_do_not_become_a_file_each(lake: Lake) -> None:
    lake.replace("features", "x", bars(5000))
    for rows in range(5001, 5021):
        before, files = size(lake), len(list(Path(lake.root).rglob("*.parquet")))
        assert lake.replace("features", "x", bars(rows)).committed
        assert 0 < size(lake) - before < 2 * SPAN_BYTES
        assert len(list(Path(lake.root).rglob("*.parquet"))) - files <= 2
    assert len(lake.connect().sql("FROM features").fetchall()) == 5020
    source = lake._store.require("features", "x")
    small = [
        n for n in source.get_add_actions(flatten=True)["size_bytes"].to_pylist() if n < SPAN_BYTES
    ]
    assert len(small) <= 1
    pd.testing.assert_frame_equal(lake.read("features", "x"), bars(5020))


@given(st.lists(st.tuples(st.integers(1, 6000), st.integers(0, 6000)), min_size=2, max_size=4))
@settings(max_examples=15)
def test_whatever_changes_the_frame_is_the_content(steps: list[tuple[int, int]]) -> None:
    frames = [bars(*step) for step in steps]
    told = [frame for n, frame in enumerate(frames) if not n or not frame.equals(frames[n - 1])]
    with TemporaryDirectory() as root:
        lake = Lake(root)
        for frame in frames:
            lake.replace("features", "x", frame)
            pd.testing.assert_frame_equal(lake.read("features", "x"), frame)
        for version, frame in enumerate(told):
            pd.testing.assert_frame_equal(lake.read("features", "x", version=version), frame)


def test_another_schema_or_an_earlier_row_writes_everything(lake: Lake) -> None:
    lake.replace("features", "x", bars(5000))
    other = bars(5000).rename(columns={"c7": "d7"})
    lake.replace("features", "x", other)
    pd.testing.assert_frame_equal(lake.read("features", "x"), other)
    other.loc[0, "c1"] = 9.0
    lake.replace("features", "x", other)
    pd.testing.assert_frame_equal(lake.read("features", "x"), other)


def test_replacing_a_month_leaves_the_files_of_other_years_alone(lake: Lake) -> None:
    lake.replace("prices", "x", bars(6000))
    before = size(lake)
    start, end = (pd.Timestamp(day, tz="UTC") for day in ("2021-08-01", "2021-10-01"))
    newest = bars(6000, changed=3)
    month = newest[newest["event_time"] >= start]
    lake.replace_where("prices", "x", month, column="event_time", start=start, end=end)
    assert size(lake) - before < before / 2
    got = lake.read("prices", "x").sort_values("event_time", ignore_index=True)
    pd.testing.assert_frame_equal(got, newest)
