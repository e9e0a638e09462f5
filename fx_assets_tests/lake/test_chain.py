"""What was said cannot be rewritten unnoticed: every vandal here edits the Delta table itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.lake.chain import content_hashes, head_path
from fx_assets.lake.verified import Verified
from fx_assets.tables import (
    CHAIN_COLUMNS,
    CHAIN_HASH,
    CHAIN_POSITION,
    CONTENT_HASH,
    DECISIONS,
    PREDICTIONS,
    UNIVERSE_PREDICTIONS,
    Table,
)
from fx_assets_tests.examples import PROFILE, examples

ROWS = 12
KINDS = {
    "a daily direction": (PREDICTIONS, "D", ["EURUSD"]),
    "an hourly variance": (PREDICTIONS, "h", ["BTCUSD"]),
    "a universe": (UNIVERSE_PREDICTIONS, "D", ["EURUSD", "EURGBP", "EURJPY"]),
    "decisions": (DECISIONS, "7D", ["EURUSD"]),
}


def rows_of(table: Table, every: str, instruments: list[str], count: int = ROWS) -> pd.DataFrame:
    """Rows with a value in most cells, and without one in some."""
    rng = np.random.default_rng(5)
    times = pd.date_range("2024-01-01 13:15", periods=count, freq=every, tz="UTC").as_unit("us")
    made: dict[str, Any] = {}
    for column in table.columns:
        if column.dtype.startswith("datetime"):
            made[column.name] = times + pd.Timedelta(len(made), "min")
        elif column.dtype == "float64":
            made[column.name] = np.where(rng.random(count) < 0.2, np.nan, rng.normal(size=count))
        elif column.dtype in ("bool", "boolean"):
            made[column.name] = rng.random(count) < 0.5
        elif column.dtype in ("int64", "Int64"):
            made[column.name] = np.arange(count)
        else:
            made[column.name] = [f"{column.name} ä {n % 3}" for n in range(count)]
    made["instrument"] = [instruments[n % len(instruments)] for n in range(count)]
    frame = pd.DataFrame(made)
    frame["series"] = frame["instrument"].str.lower()
    return frame[[name for name in table.names if name not in CHAIN_COLUMNS]]


@pytest.fixture(
    params=[
        k if k == "a daily direction" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS
    ]
)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """A ledger that was written in three commits."""
    table, every, instruments = KINDS[request.param]
    rows = rows_of(table, every, instruments)
    made = Ledger(Lake(str(tmp_path / "lake")), table, rows)
    for start in range(0, ROWS, 5):
        made.insert(rows[start : start + 5])
    return made


class Ledger:
    def __init__(self, lake: Lake, table: Table, rows: pd.DataFrame) -> None:
        self.lake, self.table, self.rows = lake, table, rows

    @property
    def uri(self) -> str:
        return f"{self.lake.root}/{self.table.name}/f"

    def insert(self, rows: pd.DataFrame) -> None:
        Lake(self.lake.root).insert_new(self.table.name, "f", rows, list(self.table.key))

    def verified(self) -> Verified:
        return Lake(self.lake.root).verify(self.table.name, "f")

    def stored(self) -> pd.DataFrame:
        frame = DeltaTable(self.uri).to_pandas()
        return frame.sort_values(CHAIN_POSITION, ignore_index=True)

    def rewrite(self, frame: pd.DataFrame) -> None:
        """What a vandal does: another content, by the same library."""
        schema = pa.schema(DeltaTable(self.uri).schema().to_arrow())
        data = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        write_deltalake(self.uri, data, mode="overwrite")

    def rehash(self, frame: pd.DataFrame, since: int) -> pd.DataFrame:
        """The rows with hashes that fit their content, from a row on."""
        frame = frame.copy()
        schema = pa.schema(DeltaTable(self.uri).schema().to_arrow())
        frame[CONTENT_HASH] = content_hashes(pa.Table.from_pandas(frame, schema=schema))
        for n in range(since, len(frame)):
            before = frame.at[n - 1, CHAIN_HASH]
            text = f"{before}\n{frame.at[n, CHAIN_POSITION]}\n{frame.at[n, CONTENT_HASH]}\n"
            frame.at[n, CHAIN_HASH] = hashlib.sha256(text.encode()).hexdigest()
        return frame


def test_a_ledger_that_nobody_touched_is_as_it_was_written(ledger: Ledger) -> None:
    verified = ledger.verified()
    assert verified.findings == ()
    assert (verified.rows, verified.chained) == (ROWS, ROWS)
    assert verified.head == ledger.lake.head(ledger.table.name, "f")
    assert sorted(ledger.stored()[CHAIN_POSITION]) == list(range(ROWS))


def test_a_file_that_was_changed_in_place_is_named_with_its_ledger(ledger: Ledger) -> None:
    file, *_ = sorted(Path(ledger.uri).rglob("*.parquet"))
    rows = pq.read_table(file)
    pq.write_table(rows.slice(1), file)
    with pytest.raises(LakeError, match=f"{ledger.table.name}/f .* could not be read.*{file.name}"):
        ledger.verified()


@pytest.mark.parametrize(("place", "row"), [(0, 0), (1, 6), (2, ROWS - 1)])
def test_one_changed_cell_of_any_age_and_type_is_found_and_named(
    ledger: Ledger, place: int, row: int
) -> None:
    """CI changes each column in each of the rows, other runs each column in one of them."""
    stored = ledger.stored()
    columns = [each for each in ledger.table.columns if each.name not in CHAIN_COLUMNS]
    for column in columns[place::3] if PROFILE == "suite" else columns:
        frame = stored.copy()
        present = frame.at[row, column.name]
        frame.at[row, column.name] = _other(present, column.dtype)
        ledger.rewrite(frame)
        (finding,) = ledger.verified().findings
        assert finding.startswith(f"row {row} ("), column.name
        assert "was changed" in finding
    ledger.rewrite(stored)
    assert ledger.verified().findings == ()


def _other(value: Any, dtype: str) -> Any:
    if dtype == "object":
        return f"{value}!"
    if dtype.startswith("datetime"):
        return value + pd.Timedelta(1, "us")
    if dtype in ("bool", "boolean"):
        return not value
    if dtype == "float64":
        return 0.0 if pd.isna(value) else np.nextafter(value, np.inf)
    return int(value) + 1


@pytest.mark.parametrize("row", [0, 6, ROWS - 1])
def test_a_removed_row_is_found_whatever_is_added_after_it(ledger: Ledger, row: int) -> None:
    ledger.rewrite(ledger.stored().drop(index=row))
    findings = "\n".join(ledger.verified().findings)
    assert {0: "row 0 is missing", 6: "row 6 is missing", 11: "the newest row is"}[row] in findings
    later = ledger.rows.tail(1).assign(event_time=pd.Timestamp("2030-01-01", tz="UTC"), sequence=99)
    ledger.insert(later[[*ledger.rows]])
    assert ledger.verified().findings, "a row that is added afterwards hides nothing"


def test_the_newest_rows_cannot_be_taken_away_with_their_log(ledger: Ledger) -> None:
    folder = Path(ledger.uri)
    last = max((folder / "_delta_log").glob("*.json"))
    last.unlink()
    (finding,) = ledger.verified().findings
    assert finding.startswith("the newest 2 rows are missing")
    ledger.insert(ledger.rows.tail(2).assign(prediction=0.9, record="{}")[list(ledger.rows)])
    (finding,) = ledger.verified().findings
    assert "row 11 and rows before it are gone or rewritten" in finding


@pytest.mark.parametrize("links", [False, True])
def test_an_inserted_row_is_found(ledger: Ledger, *, links: bool) -> None:
    stored = ledger.stored()
    more = stored.iloc[[4]].copy()
    if not links:
        more[list(CHAIN_COLUMNS)] = None
    ledger.rewrite(pd.concat([stored, more], ignore_index=True))
    assert any("inserted" in finding for finding in ledger.verified().findings)


def test_swapped_rows_are_found(ledger: Ledger) -> None:
    stored, content = ledger.stored(), [c for c in ledger.table.names if c not in CHAIN_COLUMNS]
    frame = stored.copy()
    frame.loc[[3, 8], content] = stored.loc[[8, 3], content].to_numpy()
    ledger.rewrite(frame.astype(stored.dtypes))
    findings = ledger.verified().findings
    assert "holds the content of row 8" in findings[0]
    assert "holds the content of row 3" in findings[1]
    frame = stored.copy()
    frame.loc[[3, 8], CHAIN_POSITION] = [8, 3]
    ledger.rewrite(frame)
    assert any("out of its place" in finding for finding in ledger.verified().findings)


def test_the_order_of_rows_in_files_means_nothing(ledger: Ledger) -> None:
    ledger.rewrite(ledger.stored()[::-1])
    assert ledger.verified().findings == ()


def test_a_row_with_a_hash_of_its_own_does_not_fit_the_next(ledger: Ledger) -> None:
    frame = ledger.stored()
    frame.loc[5, "series"] = "another"
    hashed = ledger.rehash(frame, 5)
    frame.loc[5, list(CHAIN_COLUMNS)] = hashed.loc[5, list(CHAIN_COLUMNS)]
    ledger.rewrite(frame)
    (finding,) = ledger.verified().findings
    assert finding.startswith("row 6 ")
    assert "does not follow row 5" in finding


def test_a_chain_that_was_written_anew_contradicts_what_was_published(ledger: Ledger) -> None:
    published = ledger.verified().head
    frame = ledger.stored()
    frame.loc[5, "series"] = "another"
    ledger.rewrite(ledger.rehash(frame, 5))
    verified = ledger.verified()
    (finding,) = verified.findings
    assert "is not in the chain" in finding
    assert published not in verified.known
    Path(ledger.lake.root, head_path(ledger.table.name, "f")).unlink()
    assert ledger.verified().findings == (), "within the lake nothing is left that knows"
    assert published not in ledger.verified().known, "but whoever kept the head does"


def test_a_head_is_in_the_chain_for_ever(ledger: Ledger) -> None:
    heads = []
    for n in range(3):
        later = pd.Timestamp("2030-01-01", tz="UTC") + pd.Timedelta(n, "D")
        ledger.insert(ledger.rows.tail(1).assign(event_time=later, sequence=90 + n)[[*ledger.rows]])
        heads.append(ledger.lake.head(ledger.table.name, "f"))
    assert set(heads) <= set(ledger.verified().known)
    assert f"row {ROWS} " in ledger.verified().known[heads[0] or ""]


def test_upkeep_replays_and_columns_that_come_later_break_no_chain(ledger: Ledger) -> None:
    table = ledger.table.name
    ledger.insert(ledger.rows)
    ledger.lake.compact(table, "f", set())
    ledger.lake.widen(table, "f", {"fresh": "float64", "told": "object"})
    assert ledger.verified().findings == ()
    later = ledger.rows.tail(1).assign(event_time=pd.Timestamp("2030-01-01", tz="UTC"), sequence=99)
    ledger.insert(later[[*ledger.rows]].assign(fresh=1.5, told="yes", later=2.0))
    verified = ledger.verified()
    assert verified.findings == ()
    assert verified.chained == ROWS + 1


def test_a_writer_that_died_before_it_published_its_head_leaves_a_whole_chain(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fx_assets.lake.chain import Chaining

    later = ledger.rows.tail(1).assign(event_time=pd.Timestamp("2030-01-01", tz="UTC"), sequence=99)
    with monkeypatch.context() as patch:
        patch.setattr(Chaining, "publish", lambda _self: None)
        ledger.insert(later[[*ledger.rows]])
    assert ledger.verified().findings == ()
    ledger.insert(
        later.assign(event_time=pd.Timestamp("2031-01-01", tz="UTC"), sequence=100)[[*ledger.rows]]
    )
    assert ledger.verified().findings == ()
    assert ledger.lake.head(ledger.table.name, "f") == ledger.verified().head


@pytest.fixture
def old(ledger: Ledger) -> Ledger:
    """A ledger whose first rows are of a release without chains."""
    plain = Ledger(Lake(f"{ledger.lake.root}_old"), ledger.table, ledger.rows)
    data = pa.Table.from_pandas(ledger.rows.head(7), preserve_index=False)
    data = data.cast(pa.schema([_as_delta(field) for field in data.schema]))
    write_deltalake(plain.uri, data)
    assert plain.verified().head is None
    assert plain.verified().findings == ()
    plain.insert(ledger.rows)
    return plain


def _as_delta(field: pa.Field) -> pa.Field:
    kind = pa.timestamp("us", "UTC") if pa.types.is_timestamp(field.type) else field.type
    return field.with_type(pa.string() if pa.types.is_large_string(kind) else kind)


VANDALS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "changed": (lambda rows: rows.assign(series=["x", *rows["series"][1:]]), "was changed"),
    "removed": (lambda rows: rows.drop(index=2), "is missing"),
    "inserted": (
        lambda rows: pd.concat([rows, rows.iloc[[1]].assign(series="more")], ignore_index=True),
        "was inserted",
    ),
}


@pytest.mark.parametrize("what", VANDALS)
def test_rows_of_before_the_chain_are_sealed_as_they_stand_when_it_begins(
    old: Ledger, what: str
) -> None:
    verified = old.verified()
    assert verified.findings == ()
    assert (verified.rows, verified.chained) == (ROWS, ROWS - 7)
    act, said = VANDALS[what]
    frame = DeltaTable(old.uri).to_pandas().sort_values(
        [CHAIN_POSITION, *old.table.key], na_position="first", ignore_index=True
    )  # fmt: skip
    old.rewrite(act(frame))
    (finding,) = old.verified().findings
    assert said in finding
    next(Path(old.lake.root, "heads").rglob("*.early.json")).write_text('{"rows": {}}')
    assert "would say which" in old.verified().findings[0]


CELLS = st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["a=1:b\n", "", "0", "é"]))


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=2, max_size=6, unique=True))
def test_rows_that_differ_have_different_hashes(cells: list[tuple[str | None, str | None]]) -> None:
    first, second = zip(*cells, strict=True)
    table = pa.table({"a": pa.array(first, pa.string()), "b": pa.array(second, pa.string())})
    assert len(set(content_hashes(table))) == len(cells)


def test_the_canonical_form_is_what_the_documentation_says() -> None:
    moment = pd.Timestamp("2026-10-30 13:15", tz="UTC")
    table = pa.table(
        {
            "name": ["é"],
            "count": [-3],
            "value": [1.5],
            "at": pa.array([moment], pa.timestamp("us", "UTC")),
            "yes": [True],
            "none": pa.array([None], pa.float64()),
            CHAIN_POSITION: [7],
        }
    )
    bits = int(np.array(1.5).view(np.int64))
    micros = moment.value // 1000
    text = f"at=16:{micros}\ncount=2:-3\nname=2:é\nvalue=19:{bits}\nyes=1:1\n"
    assert content_hashes(table) == [hashlib.sha256(text.encode()).hexdigest()]
