from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from fx_assets.errors import LakeError
from fx_assets.lake import Lake, delta


@pytest.mark.parametrize("failure", [CommitFailedError("conflict"), DeltaError("no checkpoint")])
def test_a_commit_that_stands_although_an_error_came_back_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def written_but_unanswered(*args: Any, **options: Any) -> None:
        write_deltalake(*args, **options)
        raise failure

    monkeypatch.setattr(delta, "write_deltalake", written_but_unanswered)
    lake = Lake(str(tmp_path))
    for number in range(3):
        commit = lake.append("t", "x", pd.DataFrame({"n": [number]}))
        assert (commit.version, commit.rows, commit.committed) == (number, 1, True)
    assert list(lake.read("t", "x")["n"]) == [0, 1, 2]


def test_a_table_that_is_always_in_conflict_is_given_up_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*args: Any, **options: Any) -> None:
        raise CommitFailedError("version taken")

    monkeypatch.setattr(delta, "write_deltalake", taken)
    monkeypatch.setattr(delta, "ATTEMPTS", 4)
    with pytest.raises(LakeError, match=r"t/x .* could not be committed in 4 attempts"):
        Lake(str(tmp_path)).append("t", "x", pd.DataFrame({"n": [1]}))
