from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from deltalake import DeltaTable

from fx_assets.errors import LakeError
from fx_assets.lake import Lake


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
    assert properties["delta.deletedFileRetentionDuration"] == "interval 36500 days"
    assert lake.list_blobs("t/x/_delta_log/_last_checkpoint")
    assert len(lake.history("t", "x")) == 17
