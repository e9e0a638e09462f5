"""A short drill loses nothing, and says what went wrong and how it was made good."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from datetime import UTC, date, datetime, time, timedelta

import pytest
from rich.console import Console

from benchmarks.drill.faults import KINDS, plan, plant
from benchmarks.drill.ledger import show
from benchmarks.drill.life import Drill, halves
from benchmarks.drill.world import HISTORY_PATH, Vendor, at, open_days, random_walk
from fx_assets.testing.vendors.ecb_server import running
from fx_assets_tests.benchmarks.drill.conftest import SHORT, Drilled

DAYS = open_days(date(2023, 1, 2), 120)


def test_nothing_is_lost_in_a_drill_and_every_invariant_holds(drilled: Drilled) -> None:
    found = drilled.found
    assert found.broken == []
    assert found.lost == 0
    assert found.ok
    assert found.stored == found.served == SHORT.history_days + SHORT.days
    assert found.due == SHORT.days == found.live + len(found.late)
    assert found.checks > 10_000
    assert found.remade > 0
    assert found.failed_runs >= 2


def test_each_fault_is_seen_and_recovered_from_on_the_day_its_cause_is_gone(
    drilled: Drilled,
) -> None:
    faults = {fault.kind: fault for fault in drilled.found.faults}
    assert set(faults) == set(SHORT.faults)
    for fault in faults.values():
        assert fault.recovered_at is not None
        assert fault.recovered_at - fault.over_at < timedelta(hours=8)
    assert set(faults["price x100"].seen) == {"gate: scale_errors", "failed run", "lateness"}
    assert "failed run" in faults["run killed between two tables"].seen
    assert "bitemporal row" in faults["revised bar"].seen


def test_a_day_whose_bar_was_refused_is_predicted_late_and_the_reason_is_known(
    drilled: Drilled,
) -> None:
    assert list(drilled.found.late.values()) == ["price x100"]


def test_the_ledger_can_be_read(drilled: Drilled) -> None:
    page = io.StringIO()
    show(drilled.found, Console(file=page, width=160))
    text = page.getvalue()
    assert "nothing lost, every invariant held" in text
    assert "false promotions" in text
    for kind in SHORT.faults:
        assert kind in text


def test_what_is_lost_fails_the_drill(drilled: Drilled) -> None:
    found = drilled.found.and_then(drilled.found)
    assert found.ok
    assert found.due == 2 * SHORT.days
    found.missing.append(date(2023, 1, 2))
    assert not found.ok
    found.missing.clear()
    found.faults[0].recovered_at, recovered = None, found.faults[0].recovered_at
    assert not found.ok
    found.faults[0].recovered_at = recovered
    found.broken.append("2023-01-02: 3 features know their future")
    page = io.StringIO()
    show(found, Console(file=page, width=160))
    assert "1 invariant(s) broken" in page.getvalue()


def test_each_fault_has_a_day_and_the_registry_is_away_on_a_saturday() -> None:
    for seed in range(5):
        planned = plan(DAYS, seed)
        assert sorted(planned.values()) == sorted(KINDS)
        assert max(planned) < DAYS[-1]
        (saturday,) = [day for day, kind in planned.items() if kind == "registry away"]
        assert saturday.weekday() == 5


def test_a_drill_too_short_for_its_faults_is_refused() -> None:
    with pytest.raises(ValueError, match="business days, not 20"):
        plan(DAYS[:20], 0)


def test_two_halves_are_one_drill() -> None:
    drill = Drill(days=521)
    first, second = halves(drill)
    assert first.days + second.days == drill.days
    assert second.history_days == first.history_days + first.days
    assert sorted((*first.faults, *second.faults)) == sorted(drill.faults)


def test_the_vendor_answers_as_it_is_told_to() -> None:
    now = [datetime(2023, 1, 2, tzinfo=UTC)]
    vendor = Vendor(random_walk(DAYS, seed=1), lambda: now[0])
    outage = plant("outage", DAYS[10], DAYS[11:], vendor)
    wrong = plant("price x100", DAYS[30], DAYS[31:], vendor)
    late = plant("late by a day", DAYS[40], DAYS[41:], vendor)
    with running() as server:
        vendor.serve(server)
        now[0] = at(DAYS[10], time(16, 10))
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(server.url + HISTORY_PATH)  # noqa: S310
        now[0] = outage.over_at
        with urllib.request.urlopen(server.url + HISTORY_PATH) as answer:  # noqa: S310
            assert answer.status == 200
    shown = vendor.published(at(DAYS[30], time(16, 10)))
    assert shown[DAYS[30]] == pytest.approx(100 * vendor.rates[DAYS[30]])
    assert vendor.published(wrong.over_at)[DAYS[30]] == vendor.rates[DAYS[30]]
    assert DAYS[40] not in vendor.published(at(DAYS[40], time(23, 0)))
    assert DAYS[40] in vendor.published(late.over_at)
    assert DAYS[41] not in vendor.published(at(DAYS[41], time(15, 59)))
