"""What a server reads without the Delta library is what the Delta library reads."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.lake.location import Location
from fx_assets.lake.reader import Reader

START = pd.Timestamp("2020-01-01", tz="UTC").as_unit("us")
Place = tuple[str, dict[str, str] | None]


def rows(number: int, first: int = 0) -> pd.DataFrame:
    count = np.arange(first, first + number)
    return pd.DataFrame(
        {
            "event_time": START + pd.to_timedelta(count, unit="D").as_unit("us"),
            "close": np.where(count % 5, count / 3, np.nan),
            "source": [None if n % 7 == 0 else f"ä/{n} %20" for n in count],
            "n": count,
            "even": count % 2 == 0,
        }
    )


def whole(lake: Lake) -> list[dict[str, object]]:
    table = DeltaTable(f"{lake.root}/t/x", storage_options=lake._location.storage_options)
    return in_order(pa.table(table.to_pyarrow_dataset().to_table()))


def in_order(table: pa.Table) -> list[dict[str, object]]:
    return sorted(table.to_pylist(), key=repr)


@pytest.mark.parametrize(
    "place", ["local", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)
def test_a_reader_follows_every_kind_of_write_over_checkpoints(place: Place) -> None:
    """Checkpoints come every 15 commits."""
    root, options = place
    lake, chance = Lake(root, storage_options=options), random.Random(4)
    location = Location(root, options)
    following = Reader(location)
    assert following.read("t", "x") is None
    for step in range(40):
        kind = chance.choice(["append", "append", "insert", "range", "replace", "compact"])
        frame = rows(chance.randrange(1, 9), chance.randrange(20))
        if step >= 20:
            frame["later"] = 1.5
        if kind == "insert":
            lake.insert_new("t", "x", frame, ["n"])
        elif kind == "range":
            low, high = frame["event_time"].min(), frame["event_time"].max()
            lake.replace_where("t", "x", frame[:-1], column="event_time", start=low, end=high)
        elif kind == "replace":
            lake.replace("t", "x", frame)
        elif kind == "compact" and step:
            lake.compact("t", "x")
        else:
            lake.append("t", "x", frame)
        if step % 4 == 3:
            expected = whole(lake)
            for reader in (following, Reader(location)):
                found = reader.read("t", "x")
                assert found is not None
                assert in_order(found) == expected
    assert following.read("t", "x").schema.field("event_time").type == pa.timestamp("us", "UTC")
    assert following.read("t", "x", ["n", "unknown"]).column_names == ["n"]


def test_a_table_in_place_of_another_is_read_anew(lake: Lake) -> None:
    reader = Reader(Location(lake.root))
    for number in range(3):
        lake.append("t", "x", rows(2, number))
    assert reader.read("t", "x").num_rows == 6
    Path(lake.root, "t", "x").rename(Path(lake.root, "old"))
    assert reader.read("t", "x") is None
    lake.append("t", "x", rows(1))
    assert reader.read("t", "x").num_rows == 1


def test_a_checkpoint_that_is_damaged_is_done_without(lake: Lake) -> None:
    for number in range(20):
        lake.append("t", "x", rows(1, number))
    (checkpoint,) = Path(lake.root, "t", "x", "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(b"PAR1")
    assert Reader(Location(lake.root)).read("t", "x")["n"].to_pylist() == list(range(20))


@pytest.mark.parametrize("content", ["{", '{"metaData": {}}', '{"add": {"path": 1}}'])
def test_a_damaged_log_is_an_error_and_mended_it_is_read(lake: Lake, content: str) -> None:
    lake.append("t", "x", rows(2))
    lake.append("t", "x", rows(2, 2))
    log = Path(lake.root, "t", "x", "_delta_log", f"{1:020}.json")
    reader = Reader(Location(lake.root))
    good = log.read_text()
    log.write_text(content)
    with pytest.raises(LakeError, match="t/x"):
        reader.read("t", "x")
    log.write_text(good)
    assert reader.read("t", "x").num_rows == 4


def test_rows_that_the_log_marks_as_deleted_elsewhere_are_refused(lake: Lake) -> None:
    """Deletion vectors, as other writers leave them, are not read; neither are their rows."""
    lake.append("t", "x", rows(2))
    asks = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"]}
    log = Path(lake.root, "t", "x", "_delta_log", f"{1:020}.json")
    log.write_text(json.dumps({"protocol": asks}))
    with pytest.raises(LakeError, match="reader 3"):
        Reader(Location(lake.root)).read("t", "x")
