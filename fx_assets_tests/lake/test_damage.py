"""Damaged files of a table are named, with a way to go on that works."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.errors import LakeError
from fx_assets.lake import Lake

ROWS = pd.DataFrame({"event_time": pd.to_datetime(["2020-01-02"], utc=True), "close": [1.1]})


def _truncated_rows(folder: Path) -> Path:
    file = sorted(folder.glob("*.parquet"))[0]
    file.write_bytes(file.read_bytes()[:60])
    return file


def _missing_rows(folder: Path) -> Path:
    file = sorted(folder.glob("*.parquet"))[0]
    file.unlink()
    return file


def _truncated_log(folder: Path) -> Path:
    file = sorted((folder / "_delta_log").glob("*.json"))[-1]
    file.write_bytes(file.read_bytes()[:50])
    return file


@pytest.mark.parametrize("damage", [_truncated_rows, _missing_rows, _truncated_log])
@pytest.mark.parametrize(
    ("table", "loss"),
    [("raw_prices", "is lost"), ("features", "Nothing is lost"), ("alerts", "past rows are lost")],
)
def test_a_damaged_file_is_named_with_what_can_be_done_and_what_is_lost(
    tmp_path: Path, damage: Callable[[Path], Path], table: str, loss: str
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    lake.append(table, "eur", ROWS)
    lake.append(table, "eur", ROWS.assign(close=2.0))
    folder = tmp_path / "lake" / table / "eur"
    file = damage(folder)
    with pytest.raises(LakeError) as refusal:
        Lake(str(tmp_path / "lake")).read(table, "eur")
    said = str(refusal.value)
    assert f"{table}/eur at {lake.root}" in said
    assert f"its file {file.relative_to(folder)} is damaged or missing" in said
    assert "move that folder away and run: fx-assets run" in said
    assert loss in said
    assert "Backtrace" not in said
    shutil.move(folder, tmp_path / "away")
    assert not Lake(str(tmp_path / "lake")).exists(table, "eur")


def test_a_damaged_file_is_named_by_who_would_write_as_well(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    lake.append("predictions", "up", ROWS)
    file = _truncated_rows(tmp_path / "lake" / "predictions" / "up")
    with pytest.raises(LakeError, match=f"its file {file.name} is damaged"):
        Lake(str(tmp_path / "lake")).insert_new("predictions", "up", ROWS, ["event_time"])


def test_views_over_a_damaged_file_name_it_with_its_remedy(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "fx.duckdb")
    lake.append("predictions", "up", ROWS)
    file = _truncated_rows(tmp_path / "lake" / "predictions" / "up")
    (tmp_path / "fx.duckdb").unlink()
    with pytest.raises(LakeError, match=f"its file {file.name} is damaged") as refusal:
        Lake(str(tmp_path / "lake"), tmp_path / "fx.duckdb").refresh_stale_views()
    assert "Put " in str(refusal.value)
    assert "See that the file can be written" not in str(refusal.value)
