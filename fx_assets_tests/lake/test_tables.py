from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
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
from fx_assets.settings import Settings
from fx_assets_tests.examples import examples

START = pd.Timestamp("2020-01-01", tz="UTC").as_unit("us")
days = st.integers(0, 30)
cells = st.tuples(
    days, st.floats(allow_nan=True, allow_infinity=True), st.none() | st.text(max_size=5)
)


def frame_of(rows: list[tuple[int, float, str | None]]) -> pd.DataFrame:
    numbers = np.array([day for day, _, _ in rows], dtype="int64")
    return pd.DataFrame(
        {
            "event_time": START + pd.to_timedelta(numbers, unit="D").as_unit("us"),
            "close": np.array([close for _, close, _ in rows], dtype="float64"),
            "source": pd.Series([source for _, _, source in rows], dtype="object"),
            "flag": numbers % 2 == 0,
            "n": numbers,
        }
    )


frames = st.lists(cells, max_size=12).map(frame_of)
a_few = settings(max_examples=examples(25), deadline=None)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Equal as bags of rows, types included."""
    columns = list(right.columns)
    left, right = (f.sort_values(columns, ignore_index=True) for f in (left, right))
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@a_few
@given(st.lists(frames, min_size=1, max_size=3))
def test_what_is_appended_is_read_back(batches: list[pd.DataFrame]) -> None:
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        for batch in batches:
            assert lake.append("t", "x", batch).rows == len(batch)
        kept = [batch for batch in batches if len(batch)]
        same(lake.read("t", "x"), pd.concat(kept, ignore_index=True) if kept else batches[0])


def of_instruments(rows: list[tuple[int, str, float]]) -> pd.DataFrame:
    frame = frame_of([(day, close, None) for day, _, close in rows])
    return frame.assign(instrument=[name for _, name, _ in rows]).drop_duplicates(
        ["instrument", "event_time"], ignore_index=True
    )


def test_rows_of_some_instruments_are_replaced_and_those_of_others_stay(tmp_path: Path) -> None:
    lake, random = Lake(str(tmp_path)), np.random.default_rng(5)
    state = of_instruments([(day, name, 1.0) for name in "ABC" for day in range(4)])
    lake.replace("t", "x", state)
    for ours in ({"A", "C"}, {"B"}, {"A"}, {"A", "B", "C"}):
        chosen = [(int(day), name, 2.0) for name in sorted(ours) for day in random.permutation(6)]
        mine = of_instruments(chosen[: random.integers(1, len(chosen))])
        lake.replace_values("t", "x", mine, column="instrument", values=ours)
        state = pd.concat([state[~state["instrument"].isin(ours)], mine], ignore_index=True)
        same(lake.read("t", "x"), state)
        same(lake.read_values("t", "x", "instrument", ours), mine)
        version = lake.version("t", "x")
        again = mine.sample(frac=1, random_state=1)
        lake.replace_values("t", "x", again, column="instrument", values=ours)
        assert lake.version("t", "x") == version, "the same rows in another order are the same"
    with pytest.raises(LakeError, match="rows of other instruments"):
        lake.replace_values("t", "x", state, column="instrument", values={"Z"})


def test_bars_that_come_to_others_of_their_instrument_are_written_alone(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    before = of_instruments([(day, name, 1.0 + day) for name in "AB" for day in range(5)])
    lake.replace_values("t", "x", before, column="instrument", values={"A", "B"})
    more = of_instruments([(day, name, 1.0 + day) for name in "AB" for day in range(6)])
    assert lake.replace_values("t", "x", more, column="instrument", values={"A", "B"}).rows == 2
    revised = more.assign(close=more["close"].where(more["n"] != 2, 9.0))
    both = lake.replace_values("t", "x", revised, column="instrument", values={"A", "B"})
    assert both.rows == 12
    same(lake.read("t", "x"), revised)


@a_few
@given(frames, frames)
def test_inserting_adds_each_key_once_and_twice_changes_nothing(
    first: pd.DataFrame, second: pd.DataFrame
) -> None:
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.insert_new("t", "x", first, ["event_time", "flag"])
        commit = lake.insert_new("t", "x", second, ["event_time", "flag"])
        expected = first.drop_duplicates("event_time")
        new = second.drop_duplicates("event_time")
        new = new[~new["event_time"].isin(expected["event_time"])]
        assert commit.rows == len(new)
        same(lake.read("t", "x"), pd.concat([expected, new]) if len(new) else expected)
        again = lake.insert_new("t", "x", second, ["event_time", "flag"])
        assert (again.version, again.rows) == (commit.version, 0)


@a_few
@given(frames, frames)
def test_replacing_leaves_exactly_the_frame_and_twice_changes_nothing(
    first: pd.DataFrame, second: pd.DataFrame
) -> None:
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.replace("t", "x", first)
        commit = lake.replace("t", "x", second)
        pd.testing.assert_frame_equal(lake.read("t", "x"), second, check_exact=True)
        again = lake.replace("t", "x", second)
        assert (again.version, again.rows, again.committed) == (commit.version, 0, False)


@a_few
@given(frames, frames, days, days)
def test_replacing_a_range_leaves_the_rest_and_twice_changes_nothing(
    first: pd.DataFrame, second: pd.DataFrame, low: int, high: int
) -> None:
    start, end = (START + timedelta(days=day) for day in (low, high))
    inside = second[(second["event_time"] >= start) & (second["event_time"] < end)]
    outside = first[~((first["event_time"] >= start) & (first["event_time"] < end))]
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.append("t", "x", first)
        lake.replace_where("t", "x", inside, column="event_time", start=start, end=end)
        parts = [part for part in (outside, inside) if len(part)]
        same(lake.read("t", "x"), pd.concat(parts) if parts else first[:0])
        version = lake.version("t", "x")
        lake.replace_where("t", "x", inside, column="event_time", start=start, end=end)
        assert lake.version("t", "x") == version


def test_every_kind_of_write_works_at_both_places(
    place: tuple[str, dict[str, str] | None],
) -> None:
    root, options = place
    lake = Lake(root, storage_options=options)
    frame = frame_of([(day, 1.0 + day, "ecb") for day in range(20)])
    start, end = START + timedelta(days=5), START + timedelta(days=10)
    assert lake.append("a", "x", frame).version == 0
    assert lake.insert_new("a", "x", frame, ["event_time"]).rows == 0
    assert lake.replace("a", "x", frame[:10]).version == 1
    half = frame[5:7]
    assert lake.replace_where("a", "x", half, column="event_time", start=start, end=end).rows == 2
    same(lake.read("a", "x"), frame[:7].reset_index(drop=True))
    same(lake.read("a", "x", version=0), frame)
    assert lake.read("a", "x", columns=["n"])["n"].sum() == 21
    assert lake.names("a") == ["x"]
    assert lake.tables() == ["a"]
    assert not lake.exists("a", "y")
    assert lake.version("a", "y") is None
    assert lake.read_or_empty("a", "y").empty
    counted = lake.connect().sql("SELECT forecast, count(*) FROM a GROUP BY 1").fetchall()
    assert counted == [("x", 7)]


def test_commits_name_their_run_and_carry_metadata(lake: Lake) -> None:
    frame = frame_of([(1, 1.0, "ecb")])
    lake.append("t", "x", frame, run_id="run-1", metadata={"payload": "abc"})
    lake.replace("t", "x", frame, run_id="run-2")
    newest, oldest = lake.history("t", "x")
    assert (oldest.version, oldest.run_id, oldest.metadata) == (0, "run-1", {"payload": "abc"})
    assert (newest.version, newest.run_id, newest.metadata) == (1, "run-2", {})
    assert abs(newest.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(LakeError, match="run_id"):
        lake.append("t", "x", frame, metadata={"run_id": "mine"})


def test_the_settings_say_where_the_lake_is(tmp_path: Path) -> None:
    lake = Lake.from_settings(Settings(home=tmp_path, lake="data/lake"))
    lake.append("t", "x", pd.DataFrame({"n": [1]}))
    assert lake.root == str(tmp_path / "data" / "lake")
    assert (tmp_path / "fx.duckdb").exists()
    assert not lake.is_remote


def test_bounds_of_a_range_may_be_in_any_time_zone(lake: Lake) -> None:
    lake.append("t", "x", frame_of([(day, 1.0, "ecb") for day in range(4)]))
    berlin = [(START + timedelta(days=d)).tz_convert("Europe/Berlin") for d in (1, 3)]
    empty = frame_of([])
    lake.replace_where("t", "x", empty, column="event_time", start=berlin[0], end=berlin[1])
    assert sorted(lake.read("t", "x")["n"]) == [0, 3]


def test_an_empty_frame_creates_the_table_with_its_columns(lake: Lake) -> None:
    empty = frame_of([])
    assert lake.append("t", "x", empty).version == 0
    assert list(lake.read("t", "x").columns) == list(empty.columns)
    assert lake.append("t", "x", empty).committed is False
    assert lake.append("t", "x", frame_of([(1, 1.0, "ecb")])).version == 1
    assert str(lake.read("t", "x")["event_time"].dtype) == "datetime64[us, UTC]"


def test_new_columns_join_and_old_rows_have_no_value_there(lake: Lake) -> None:
    lake.append("t", "x", frame_of([(1, 1.0, "ecb")]))
    lake.append("t", "x", frame_of([(2, 2.0, "ecb")]).assign(extra=5.0).drop(columns="source"))
    rows = lake.read("t", "x").sort_values("n", ignore_index=True)
    assert rows["extra"].isna().tolist() == [True, False]
    assert rows["source"].isna().tolist() == [False, True]


def test_a_column_without_values_is_text_and_does_not_break_later_writes(lake: Lake) -> None:
    lake.append("t", "x", pd.DataFrame({"n": [1], "reason": [None]}))
    lake.append("t", "x", pd.DataFrame({"n": [2], "reason": ["jump"]}))
    lake.append("t", "x", pd.DataFrame({"n": [None], "reason": [None]}))
    rows = lake.read("t", "x")
    assert set(rows["reason"]) == {None, "jump"}
    assert rows["n"].sum() == 3


@pytest.mark.parametrize("write", ["append", "replace"])
def test_a_datetime_without_time_zone_is_refused_by_name(lake: Lake, write: str) -> None:
    naive = pd.DataFrame({"event_time": pd.to_datetime(["2020-01-01"])})
    with pytest.raises(LakeError, match=r"t/x.*event_time.*without a time zone"):
        getattr(lake, write)("t", "x", naive)
    assert not lake.exists("t", "x")


def test_other_time_zones_and_units_become_microseconds_in_utc(lake: Lake) -> None:
    moment = pd.Timestamp("2020-06-01 12:00", tz="Europe/Berlin")
    lake.append("t", "x", pd.DataFrame({"at": [moment]}))
    stored = lake.read("t", "x")["at"]
    assert str(stored.dtype) == "datetime64[us, UTC]"
    assert stored[0] == moment


def test_values_that_do_not_fit_the_column_are_refused_and_nothing_is_written(lake: Lake) -> None:
    lake.append("t", "x", pd.DataFrame({"close": [1.0]}))
    with pytest.raises(LakeError, match=r"close.*string.*double"):
        lake.append("t", "x", pd.DataFrame({"close": ["N/A"]}))
    assert lake.version("t", "x") == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda lake: lake.read("prices", "nobody"), "no table prices/nobody"),
        (lambda lake: lake.read("t", "x", version=7), "versions 0 to 0; 7"),
        (lambda lake: lake.read("t", "x", columns=["wrong"]), "no column wrong"),
        (lambda lake: lake.read("..", "x"), "cannot name a table"),
        (lambda lake: lake.append("t", "../x", pd.DataFrame({"n": [1]})), "cannot name a table"),
        (lambda lake: lake.append("t", "x", pd.DataFrame()), "without columns"),
        (lambda lake: lake.insert_new("t", "x", pd.DataFrame({"m": [1]}), ["n"]), "no column"),
        (
            lambda lake: lake.insert_new("t", "x", pd.DataFrame({"n": [1, None]}), ["n"]),
            "missing values",
        ),
        (
            lambda lake: lake.replace_where(
                "t", "x", pd.DataFrame({"n": [9]}), column="n", start=0, end=9
            ),
            "outside 0 <= n < 9",
        ),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_what_to_do(
    lake: Lake, call: object, message: str
) -> None:
    lake.append("t", "x", pd.DataFrame({"n": [1]}))
    with pytest.raises(LakeError, match=message) as caught:
        call(lake)  # type: ignore[operator]
    assert "What to do" in str(caught.value)


def test_a_folder_deleted_under_an_open_lake_starts_again(lake: Lake) -> None:
    for number in range(3):
        lake.append("t", "x", pd.DataFrame({"n": [number]}))
    shutil.rmtree(Path(lake.root))
    assert lake.append("t", "x", pd.DataFrame({"n": [7]})).version == 0
    assert list(lake.read("t", "x")["n"]) == [7]


def test_rows_are_read_in_the_order_of_writing_wherever_the_checkpoints_are(lake: Lake) -> None:
    for number in range(20):
        lake.append("t", "x", pd.DataFrame({"n": [number]}))
    before = [list(lake.read("t", "x", version=v)["n"]) for v in range(20)]
    table = DeltaTable(f"{lake.root}/t/x")
    for version in (4, 11, 19):
        table.load_as_version(version)
        table.create_checkpoint()
    after = [list(Lake(lake.root).read("t", "x", version=v)["n"]) for v in range(20)]
    assert before == after == [list(range(v + 1)) for v in range(20)]


@pytest.mark.parametrize("name", ["x%41y", "a%2Fb"])
def test_a_folder_that_delta_lake_would_take_for_another_one_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(LakeError, match=name[1:4]) as caught:
        Lake(str(tmp_path / name))
    assert "without % in its path" in caught.value.remedy
    assert Lake(str(tmp_path / "100% mine")).tables() == []
