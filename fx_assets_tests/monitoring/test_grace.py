"""How late a feed may be is said where the feed is declared."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.resources import resources
from fx_assets.testing import worlds
from fx_assets_tests.platform import TARGET, Platform, feed_spec

DUE = pd.Timestamp("2018-03-29").date()
"""A Thursday; the bars end on the day before."""


@pytest.mark.parametrize("grace", [0, 30, 300])
def test_a_bar_is_overdue_after_the_grace_of_its_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: int
) -> None:
    platform = Platform(
        tmp_path, monkeypatch, feeds=[feed_spec(freshness={"grace_minutes": grace})]
    )
    bars = worlds.random_walk(62, 1, start="2018-01-02")
    platform.lake.append("prices", "eurusd", bars)
    assert bars["event_time"].iloc[-1] == TARGET.event_time(DUE - timedelta(days=1))
    overdue = TARGET.available_at(DUE) + timedelta(minutes=grace)

    def asked(at: pd.Timestamp) -> bool:
        platform.travel(at)
        found = platform.definitions.resolve_sensor_def("eurusd_is_fresh")
        lake = {"lake": resources()["lake"]}
        with dg.build_sensor_context(platform.instance, resources=lake) as context:
            return bool(found.evaluate_tick(context).run_requests)

    before, after = (pd.Timestamp(overdue) + pd.Timedelta(by, "min") for by in (-1, 1))
    assert (asked(before), asked(after)) == (False, True)
