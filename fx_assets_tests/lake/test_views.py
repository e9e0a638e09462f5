from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pandas as pd

from fx_assets.lake import Lake
from fx_assets_tests.lake import workers

READS, ROWS = 20, 30
"""How often a file is read while a writer commits, and what it has committed by then."""


def moment(day: int) -> pd.Timestamp:
    return pd.Timestamp("2020-01-01", tz="UTC").as_unit("us") + pd.Timedelta(days=day)


def query(file: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.sql(sql).fetchall()


def test_the_file_shows_each_table_of_all_feeds_after_each_commit(tmp_path: Path) -> None:
    file = tmp_path / "fx.duckdb"
    lake = Lake(str(tmp_path / "it's a lake"), file)
    lake.append("prices", "ecb_eurusd", pd.DataFrame({"event_time": [moment(1)], "close": [1.1]}))
    assert query(file, "SELECT feed, close FROM prices") == [("ecb_eurusd", 1.1)]
    lake.append("prices", "ecb_eurgbp", pd.DataFrame({"volume": [5.0], "close": [0.9]}))
    lake.append("prices", "ecb_eurgbp", pd.DataFrame({"close": [0.8], "new": ["x"]}))
    lake.append("predictions", "eurusd_direction", pd.DataFrame({"p": [0.5]}))
    assert query(file, "SELECT feed, close, volume, new FROM prices ORDER BY close") == [
        ("ecb_eurgbp", 0.8, None, "x"),
        ("ecb_eurgbp", 0.9, 5.0, None),
        ("ecb_eurusd", 1.1, None, None),
    ]
    assert query(file, "SELECT forecast, p FROM predictions") == [("eurusd_direction", 0.5)]
    assert query(file, "SELECT typeof(event_time) FROM prices WHERE event_time IS NOT NULL") == [
        ("TIMESTAMP WITH TIME ZONE",)
    ]
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []


def test_features_say_of_which_feed_and_set_they_are_and_those_of_0_1_are_left_out(
    tmp_path: Path,
) -> None:
    file = tmp_path / "fx.duckdb"
    lake = Lake(str(tmp_path / "lake"), file)
    lake.replace("features", "eurusd_direction", pd.DataFrame({"n": [1]}))
    assert query(file, "SELECT n FROM features") == [(1,)]
    lake.replace("features", "ecb_eurusd.fx_close", pd.DataFrame({"n": [2]}))
    lake.replace("features", "ecb_eurusd.ohlc", pd.DataFrame({"n": [3]}))
    rows = [("ecb_eurusd", "fx_close", 2), ("ecb_eurusd", "ohlc", 3)]
    assert query(file, "SELECT feed, feature_set, n FROM features ORDER BY n") == rows
    assert lake.stale_views() == set()


def test_a_table_keeps_its_own_feed_column(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "fx.duckdb")
    lake.append("quality", "ecb_eurusd", pd.DataFrame({"Feed": ["its own"]}))
    assert query(tmp_path / "fx.duckdb", "SELECT feed FROM quality") == [("its own",)]
    assert lake.connect().sql("SELECT * FROM quality").fetchall() == [("its own",)]


def test_a_table_without_rows_is_a_view_without_rows(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "fx.duckdb")
    lake.append("outcomes", "x", pd.DataFrame({"n": [1], "event_time": [moment(1)]})[:0])
    assert query(tmp_path / "fx.duckdb", "SELECT n, event_time, forecast FROM outcomes") == []
    assert lake.connect().sql("SELECT n, event_time, forecast FROM outcomes").fetchall() == []


def test_deferred_views_follow_once_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "fx.duckdb"
    lake = Lake(str(tmp_path / "lake"), file)
    with lake.deferred_views():
        for table in ("prices", "features"):
            lake.append(table, "x", pd.DataFrame({"n": [1]}))
        assert not file.exists()
    assert query(file, "SELECT n FROM prices UNION ALL SELECT n FROM features") == [(1,), (1,)]


def test_a_broken_file_is_made_anew_and_the_commit_stands(tmp_path: Path) -> None:
    file = tmp_path / "fx.duckdb"
    lake = Lake(str(tmp_path / "lake"), file)
    lake.append("prices", "x", pd.DataFrame({"n": [1]}))
    file.write_bytes(b"not a database" * 1000)
    lake.append("features", "x", pd.DataFrame({"n": [2]}))
    assert query(file, "SELECT n FROM prices UNION ALL SELECT n FROM features") == [(1,), (2,)]


def test_the_file_has_a_format_that_older_duckdbs_open(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "fx.duckdb")
    lake.append("prices", "x", pd.DataFrame({"n": [1]}))
    version = query(
        tmp_path / "fx.duckdb", "SELECT tags FROM duckdb_databases() WHERE NOT internal"
    )
    assert "v1.2" in str(version)


def test_a_reader_in_another_process_never_fails_while_a_writer_commits(tmp_path: Path) -> None:
    file = tmp_path / "fx.duckdb"
    context = workers.processes()
    ready, stop = context.Event(), context.Event()
    args = (str(tmp_path / "lake"), file, ready, stop)
    writer = context.Process(target=workers.commit_for_ever, args=args)
    writer.start()
    assert ready.wait(30)
    seen, reads, deadline = 0, 0, time.monotonic() + 60
    while time.monotonic() < deadline and (reads < READS or seen < ROWS):
        [(rows, torn)] = query(
            file,
            "SELECT sum(c), count(*) FILTER (c <> 3)"
            " FROM (SELECT number, count(*) AS c FROM predictions GROUP BY number)",
        )
        assert isinstance(rows, int)
        assert rows >= seen
        assert torn == 0
        seen, reads = rows, reads + 1
    stop.set()
    writer.join()
    assert writer.exitcode == 0
    assert reads >= READS
    assert seen >= ROWS
