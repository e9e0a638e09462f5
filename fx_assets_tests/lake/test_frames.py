"""Reading a version twice costs one reading, and nobody sees what another does to his frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.lake import Lake
from fx_assets.lake.frames import FrameCache


def numbers(*values: int) -> pd.DataFrame:
    return pd.DataFrame({"n": list(values), "text": [f"row {value}" for value in values]})


def without_files(lake: Lake) -> None:
    """Only what is at hand can be read from now on."""
    for file in Path(lake.root).rglob("*.parquet"):
        file.unlink()


def test_a_version_that_was_read_is_at_hand(lake: Lake) -> None:
    lake.append("t", "x", numbers(1, 2))
    read = lake.read("t", "x")
    without_files(lake)
    pd.testing.assert_frame_equal(lake.read("t", "x"), read)


def test_what_a_reader_does_to_his_frame_is_his_own_affair(lake: Lake) -> None:
    lake.append("t", "x", numbers(1, 2))
    for _ in range(3):
        frame = lake.read("t", "x")
        assert list(frame["n"]) == [1, 2]
        frame["n"] = 0
        frame.loc[0, "text"] = "changed"
        frame.drop(index=1, inplace=True)
    assert list(lake.read("t", "x")["text"]) == ["row 1", "row 2"]


def test_the_newest_version_is_read_whoever_wrote_it(lake: Lake) -> None:
    other = Lake(lake.root)
    for count in range(1, 20):
        (lake if count % 2 else other).append("t", "x", numbers(count))
        assert sorted(lake.read("t", "x")["n"]) == list(range(1, count + 1))
        assert len(lake.read("t", "x", columns=["text"])) == count
    assert len(lake.read("t", "x", version=3)) == 4


def test_a_table_that_took_the_place_of_another_is_read_anew(lake: Lake, tmp_path: Path) -> None:
    lake.append("t", "x", numbers(1))
    assert list(lake.read("t", "x")["n"]) == [1]
    other = Lake(str(tmp_path / "other"))
    other.append("t", "x", numbers(2))
    shutil.rmtree(Path(lake.root, "t"))
    shutil.copytree(Path(other.root, "t"), Path(lake.root, "t"))
    assert list(lake.read("t", "x")["n"]) == [2]


def test_keys_are_compared_with_a_version_at_hand_as_with_one_that_is_not(lake: Lake) -> None:
    lake.append("t", "x", numbers(1, 2))
    lake.read("t", "x")
    assert lake.insert_new("t", "x", numbers(2, 3), ["n"]).rows == 1
    assert lake.insert_new("t", "x", numbers(3, 4), ["n"]).rows == 1
    assert sorted(lake.read("t", "x")["n"]) == [1, 2, 3, 4]
    assert lake.insert_new("t", "x", numbers(1, 4), ["n", "text"]).rows == 0


def test_frames_that_were_not_used_make_way_and_large_ones_are_not_kept() -> None:
    cache = FrameCache(most_bytes=100, largest_bytes=50)
    for name in ("a", "b"):
        cache.put(name, 1, numbers(1), 50)
    assert cache.get("a", 1) is not None
    cache.put("c", 1, numbers(1), 50)
    assert [name for name in "abc" if cache.get(name, 1) is not None] == ["a", "c"]
    cache.put("d", 1, numbers(1), 51)
    assert cache.get("d", 1) is None
    cache.put("a", 2, numbers(2), 50)
    assert cache.get("a", 1) is None
    kept = cache.get("a", 2, ["text"])
    assert kept is not None
    assert list(kept.columns) == ["text"]
    assert cache.get("c", 1) is not None


@pytest.mark.parametrize("how", ["replace", "compact"])
def test_after_any_other_commit_the_table_is_read_anew(lake: Lake, how: str) -> None:
    for value in (1, 2, 3):
        lake.append("t", "x", numbers(value))
    before = lake.read("t", "x")
    if how == "replace":
        lake.replace("t", "x", numbers(7))
        assert list(lake.read("t", "x")["n"]) == [7]
    else:
        lake.compact("t", "x")
        after = lake.read("t", "x").sort_values("n", ignore_index=True)
        pd.testing.assert_frame_equal(after, before)
