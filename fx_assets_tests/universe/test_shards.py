"""A universe whose instruments are spread over runs says what one run says, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.assets.universe_steps import ROUND, STEPS
from fx_assets.evaluation.universe_members import membership
from fx_assets.heartbeats import SHARD, WRITES
from fx_assets.lake import Lake
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages import panel_judge
from fx_assets.stages.panel_judge import judge_panel, walk_panel
from fx_assets_tests.platform import failures
from fx_assets_tests.universe.helpers import coin, moment, prices_of, universe, walk
from fx_assets_tests.universe.test_any_source import HOURS, NAMES, SPEC, Desk

pytestmark = pytest.mark.slow

NAME = SPEC.name
OF_RUNS = {
    *("table_versions", "ingested_at", "issued_at", "checked_at", "read_at", "run_id"),
    *("chain_position", "content_hash", "chain_hash"),
}
"""Columns that tell when, in which order or by which run rows were written."""
TABLES = ("raw_prices", "prices", "universe", "backtest", "walks", "skill", "predictions")
COMPARED = (*TABLES, "decisions", "outcomes")


class Shards(Desk):
    """The universe of the files with so many instruments a run."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, size: int | None) -> None:
        self.spec: UniverseSpec = SPEC.model_copy(update={"shard_size": size})
        super().__init__(folder, patch, [], [])

    def ask(self) -> list[dg.RunRequest] | str:
        """What its sensor asks for now, where it left off."""
        found = self.definitions.resolve_sensor_def(f"{NAME}_follows_instruments")
        with dg.build_sensor_context(
            self.instance, cursor=getattr(self, "cursor", None), resources=self._resources()
        ) as context:
            data = found.evaluate_tick(context)
        self.cursor = data.cursor
        return list(data.run_requests or []) or str(data.skip_message)

    def follow(self, *, backwards: bool = False) -> list[dg.RunRequest]:
        """Run all that the sensor asks for until it asks for nothing."""
        told = []
        while not isinstance(asked := self.ask(), str):
            for request in reversed(asked) if backwards else asked:
                result = self.run_requested(request)
                assert result.success, failures(result)
            told += asked
        return told


def content(lake: Lake, table: str) -> pd.DataFrame:
    """The rows of a table without what tells of runs, in an order of their own."""
    rows = lake.read(table, NAME)
    rows = rows.drop(columns=[c for c in rows if c in OF_RUNS])
    order = [c for c in ("instrument", "candidate", "event_time", "sequence") if c in rows]
    return rows.sort_values(order, ignore_index=True)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, pd.DataFrame]]:
    """What two hours give where each is one run over all instruments."""
    with pytest.MonkeyPatch.context() as patch:
        desk = Shards(tmp_path_factory.mktemp("one"), patch, None)
        for hours in (HOURS, HOURS + 1):
            desk.write(hours)
            assert desk.discover().success
            result = desk.update()
            assert result.success, failures(result)
        yield {table: content(desk.lake, table) for table in COMPARED}


@pytest.mark.parametrize(("size", "backwards"), [(1, True), (2, False)])
def test_shards_of_any_size_in_any_order_give_the_rows_of_one_run(
    one_run: dict[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    backwards: bool,
) -> None:
    desk = Shards(tmp_path, monkeypatch, size)
    for hours in (HOURS, HOURS + 1):
        desk.write(hours)
        assert desk.discover().success
        told = desk.follow(backwards=backwards)
        shards = -(-len(NAMES) // size)
        assert [r.job_name for r in told] == [
            step.job(NAME) for step in STEPS for _ in range(shards if step.sharded else 1)
        ]
        assert len({r.tags[WRITES] for r in told if SHARD in r.tags and WRITES in r.tags}) == (
            3 * shards
        )
        assert len({r.tags[ROUND] for r in told}) == 1
    for table, rows in one_run.items():
        pd.testing.assert_frame_equal(content(desk.lake, table), rows, check_exact=True)


def test_a_shard_that_was_killed_is_run_again_and_the_family_waits_for_it(
    one_run: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Shards(tmp_path, monkeypatch, 2)
    desk.write(HOURS)
    desk.discover()
    for step in ("ingest", "members"):
        for request in asked(desk):
            assert request.job_name == f"{NAME}_{step}"
            assert desk.run_requested(request).success
    first, second = asked(desk)
    assert desk.run_requested(first).success
    early = desk.materialize(f"{NAME}/skill")
    assert not early.success
    assert "1 of its instruments have not been walked forward" in str(failures(early))
    assert NAMES[2] in str(failures(early))
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(panel_judge, "replace_instruments", killed)
        with suppress(KeyboardInterrupt):
            assert not desk.run_requested(second).success
    assert set(desk.lake.read("backtest", NAME)["instrument"]) == set(NAMES), "rows came first"
    assert not desk.materialize(f"{NAME}/skill").success
    version = desk.lake.version("backtest", NAME)
    assert desk.run_requested(second).success
    assert desk.lake.version("backtest", NAME) == version, "nothing is written twice"
    decide = asked(desk)
    assert [request.job_name for request in decide] == [f"{NAME}_decide"]
    assert desk.run_requested(decide[0]).success
    pd.testing.assert_frame_equal(
        content(desk.lake, "skill")[["instrument", "candidate"]],
        one_run["skill"][["instrument", "candidate"]],
    )


def asked(desk: Shards) -> list[dg.RunRequest]:
    """The runs that the sensor asks for."""
    found = desk.ask()
    assert not isinstance(found, str), found
    return found


def test_a_family_of_many_shards_is_judged_by_processes_as_it_is_by_one(tmp_path: Path) -> None:
    judged, now = {}, moment("2030-01-02")
    prices = prices_of({coin(i): walk(800, i) for i in range(4)})
    for size in (None, 1):
        spec = universe(targets=[{"kind": "volatility", "candidates": ["ewma"]}], workers=2)
        spec = spec.model_copy(update={"shard_size": size})
        lake = Lake(str(tmp_path / str(size)))
        readings = {name: spec.feed(str(name)).reading for name in prices["instrument"].unique()}
        lake.replace(
            "raw_prices", spec.name, prices.assign(reading=prices["instrument"].map(readings))
        )
        lake.replace("prices", spec.name, prices)
        lake.replace("universe", spec.name, membership(prices, spec.membership, spec.market))
        for shard in reversed(spec.shards(sorted(readings))):
            walk_panel(spec.model_copy(update={"workers": 1}), lake, shard)
        judged[size] = judge_panel(spec, lake, now)
        assert len(lake.read("decisions", spec.name)) == 4
        bundles = lake.list_blobs(f"members/{spec.name}")
        judged[size, "bundles"] = [(path, lake.read_blob(path)) for path in sorted(bundles)]
    one, many = judged[None], judged[1]
    pd.testing.assert_frame_equal(many.skill, one.skill, check_exact=True)
    assert many.decisions == one.decisions
    assert len(judged[1, "bundles"]) > 20
    different = [
        a[0] for a, b in zip(judged[1, "bundles"], judged[None, "bundles"], strict=True) if a != b
    ]
    assert not [path for path in different if path.endswith(".onnx")]
