"""Simulated days: the clock moves, the platform decides what to run, everything is checked."""

from __future__ import annotations

import gc
import os
import time as wall
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd

from benchmarks.drill import faults
from benchmarks.drill.deployment import (
    FEED,
    FORECAST,
    Deployment,
    Request,
    Spent,
    environment,
    quiet_logs,
)
from benchmarks.drill.faults import Fault, Kind
from benchmarks.drill.invariants import Gaps, InvariantError, Invariants, gaps, require
from benchmarks.drill.world import FIRST_DAY, FRANKFURT, Vendor, at, is_open, open_days, random_walk
from fx_assets import clock
from fx_assets.tables import ALERTS, DECISIONS, PREDICTIONS, RAW_PRICES
from fx_assets.testing.vendors.ecb_server import running

INGEST, LATENESS, RETRAIN, COMPACTION = time(16, 10), time(18, 5), time(18, 0), time(5, 0)
LATER = (timedelta(minutes=35), timedelta(minutes=100))
"""After the first look at lateness, while something is late: the second and third attempt."""
HISTORY_DAYS = 1700
SATURDAY, SUNDAY = 5, 6
REMADE_EVERY = 5
"""Business days between two times at which the predictions of these days are made again."""


@dataclass
class Drill:
    """What to drill, and how closely to look.

    Parameters
    ----------
    days
        Business days.
    seed
        Of the world, the days of the faults, and the samples that are checked.
    faults
        Kinds of faults, one of each.
    history_days
        Business days before the first.
    watch_every
        Business days between two looks at drift and performance; the platform would look every day.
    """

    days: int = 520
    seed: int = 0
    faults: Sequence[Kind] = faults.KINDS
    history_days: int = HISTORY_DAYS
    watch_every: int = 5


@dataclass
class Found:
    """What the drill found."""

    drill: Drill
    first: date
    last: date
    ended: datetime
    """What the clock said at the end."""
    faults: list[Fault] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    served: int = 0
    stored: int = 0
    due: int = 0
    live: int = 0
    late: dict[date, str] = field(default_factory=dict)
    """Days predicted after their outcome, with the reason."""
    missing: list[date] = field(default_factory=list)
    closed: int = 0
    looks: int = 0
    drift_alarms: list[str] = field(default_factory=list)
    performance_alarms: list[str] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    """Of the decisions."""
    trials: int = 0
    """K: most candidates tried at a look."""
    remade: int = 0
    failed_runs: int = 0
    checks: int = 0
    alerts: Counter[str] = field(default_factory=Counter)
    spent: Spent = field(default_factory=Spent)
    wall_seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Bars and predictions that are not there, and faults that were not recovered from."""
        unrecovered = sum(fault.recovered_at is None for fault in self.faults)
        return self.served - self.stored + len(self.missing) + unrecovered

    @property
    def ok(self) -> bool:
        """Whether nothing was lost and every invariant held."""
        return not self.broken and self.lost == 0

    def and_then(self, later: Found) -> Found:
        """This life and a later one as one ledger."""
        return Found(
            drill=self.drill,
            first=self.first,
            last=later.last,
            ended=later.ended,
            faults=self.faults + later.faults,
            broken=self.broken + later.broken,
            served=later.served,
            stored=later.stored - (self.served - self.stored),
            due=self.due + later.due,
            live=self.live + later.live,
            late=self.late | later.late,
            missing=self.missing + later.missing,
            closed=self.closed + later.closed,
            looks=self.looks + later.looks,
            drift_alarms=self.drift_alarms + later.drift_alarms,
            performance_alarms=self.performance_alarms + later.performance_alarms,
            verdicts=self.verdicts + later.verdicts,
            trials=max(self.trials, later.trials),
            remade=self.remade + later.remade,
            failed_runs=self.failed_runs + later.failed_runs,
            checks=self.checks + later.checks,
            alerts=self.alerts + later.alerts,
            spent=self.spent.plus(later.spent),
            wall_seconds=max(self.wall_seconds, later.wall_seconds),
        )


def halves(drill: Drill) -> tuple[Drill, Drill]:
    """The first and the second half of a drill, each to be lived on a platform of its own.

    The second starts from the history that the first has lived through; faults alternate.
    """
    first = drill.days // 2
    return (
        replace(drill, days=first, faults=tuple(drill.faults[::2])),
        replace(
            drill,
            days=drill.days - first,
            history_days=drill.history_days + first,
            faults=tuple(drill.faults[1::2]),
        ),
    )


def live(
    drill: Drill, folder: Path, progress: Callable[[int, str], None] = lambda _days, _text: None
) -> Found:
    """Drill a platform in ``folder`` from its first evening to the last day.

    ``progress`` is told how many business days have passed, and what day it is.

    Raises
    ------
    InvariantError
        The platform did not come through its first evening.
    """
    began = wall.monotonic()
    days = open_days(FIRST_DAY, drill.history_days + drill.days + 30)
    vendor = Vendor(random_walk(days, drill.seed), clock.now)
    drilled = days[drill.history_days : drill.history_days + drill.days]
    with running() as server, _variables(environment(folder, server.url)), quiet_logs():
        vendor.serve(server)
        thresholds = gc.get_threshold()
        try:
            found = _Life(drill, folder, vendor, drilled, days, progress).live()
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)
    found.wall_seconds = wall.monotonic() - began
    return found


class _Life:
    def __init__(
        self,
        drill: Drill,
        folder: Path,
        vendor: Vendor,
        drilled: list[date],
        days: list[date],
        progress: Callable[[int, str], None],
    ) -> None:
        self.drill, self.vendor, self.drilled, self.days = drill, vendor, drilled, days
        self.progress = progress
        self.live_from = drilled[0]
        self.travel_to(at(self.live_from, INGEST))
        self.deployment = Deployment(folder, self.live_from)
        self.lake = self.deployment.lake
        self.invariants = Invariants(self.lake, self.live_from, drill.seed)
        self.plan = faults.plan(drilled[1:], drill.seed, drill.faults) if drill.faults else {}
        self.found = Found(drill, drilled[0], drilled[-1], clock.now(), spent=self.deployment.spent)
        self.business_days = 0
        self.since_remade: list[tuple[Request, pd.DataFrame]] = []

    def live(self) -> Found:
        day = self.live_from
        while day <= self.drilled[-1] or day.weekday() >= SATURDAY:
            self.progress(self.business_days, f"{day} {self.plan.get(day, '')}")
            self.one_day(day)
            if day == self.live_from:
                require(not self.found.broken, "the first evening failed", self.found.broken)
                self.deployment.settle()
            day += timedelta(days=1)
        self._account()
        return self.found

    def one_day(self, day: date) -> None:
        kind = self.plan.get(day)
        fault = None
        if kind:
            following = [d for d in self.days if d > day][: faults.OUTAGE_DAYS + 1]
            fault = faults.plant(kind, day, following, self.vendor)
            self.found.faults.append(fault)
        if day.weekday() < SATURDAY:
            self._weekday(day, fault)
        elif day.weekday() == SATURDAY:
            self._saturday(day, fault)
        else:
            self.travel_to(at(day, COMPACTION))
            self._run(self.deployment.scheduled("compaction", clock.now()))
        self._notice()
        if day.weekday() < SATURDAY:
            with self.deployment.spent.on("invariants"):
                self._assert(day)

    def _weekday(self, day: date, fault: Fault | None) -> None:
        self.travel_to(at(day, INGEST))
        open_today = is_open(day)
        request = self.deployment.scheduled(f"{FEED}_ingest", clock.now())
        if (request is not None) != open_today:
            self.found.broken.append(f"{day}: the schedule asked {request} on open={open_today}")
        with ExitStack() as stack:
            if fault and fault.kind == "disk full":
                stack.enter_context(faults.disk_full())
            if not self._killed(request, fault):
                self._run(request)
            self._follow(fault)
        self.business_days += open_today
        self._notice()
        self.travel_to(at(day, LATENESS))
        self._lateness()
        for pause in LATER:
            if self._gaps().none:
                break
            self.travel_to(at(day, LATENESS) + pause)
            self._lateness()
        if not open_today:
            self._closed_day(day)
        if open_today and self.business_days % self.drill.watch_every == 0:
            self._watch()
        if open_today and self.business_days % REMADE_EVERY == 0:
            self._remake()

    def _saturday(self, day: date, fault: Fault | None) -> None:
        self.travel_to(at(day, RETRAIN))
        request = self.deployment.scheduled(f"{FORECAST}_retrain", clock.now())
        if fault and fault.kind == "registry away":
            with faults.registry_away(self.live_from) as without:
                if request is None:
                    self.found.broken.append(f"{day}: no retrain was asked for")
                else:
                    result = self.deployment.run(request, without)
                    if result.success:
                        self.found.broken.append(f"{day}: retrained without a registry")
                    else:
                        fault.notice("failed run", clock.now())
            return
        retrained = self._run(request)
        if retrained is not None and retrained.success:
            for open_fault in self._open():
                if open_fault.kind == "registry away":
                    open_fault.recovered_at = clock.now()

    def _follow(self, fault: Fault | None = None) -> None:
        """What the sensor of new prices asks for, until it asks for nothing."""
        while (request := self.deployment.sensed(f"{FORECAST}_follows_prices")) is not None:
            if not self._killed(request, fault):
                self._run(request)
            if request.job == f"{FORECAST}_predict":
                return

    def _killed(self, request: Request | None, fault: Fault | None) -> bool:
        if fault is None or request is None:
            return False
        job, table, committed = faults.targets().get(fault.kind, ("", "", False))
        if request.job != job:
            return False
        faults.kill_run(self.deployment, request, table, committed=committed)
        fault.notice("failed run", clock.now())
        return True

    def _run(self, request: Request | None) -> dg.ExecuteInProcessResult | None:
        if request is None:
            return None
        result = self.deployment.run(request)
        now = clock.now()
        for check in result.get_asset_check_evaluations():
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
                self._seen(f"gate: {check.check_name}", now)
        if not result.success:
            self._seen("failed run", now)
            if not self._open():
                self.found.broken.append(
                    f"{now:%Y-%m-%d %H:%M}: {request.job} failed: {_why(result)}"
                )
        elif request.job == f"{FORECAST}_predict":
            self.since_remade.append((request, self.lake.read(PREDICTIONS.name, FORECAST)))
        return result

    def _lateness(self) -> None:
        for sensor in (f"{FEED}_is_fresh", f"{FORECAST}_is_fresh"):
            request = self.deployment.sensed(sensor)
            if request is not None:
                self._seen("lateness", clock.now())
                self._run(request)
                self._follow()
        self._notice()

    def _watch(self) -> None:
        """A look at drift and performance, and what a review asks for after it."""
        request = self.deployment.sensed(f"{FORECAST}_is_watched")
        result = self._run(request)
        if result is None:
            return
        self.found.looks += 1
        for check in result.get_asset_check_evaluations():
            if not check.passed:
                alarms = (
                    self.found.performance_alarms
                    if check.check_name == "performance"
                    else self.found.drift_alarms
                )
                alarms.append(f"{clock.now():%Y-%m-%d} {check.check_name}: {check.description}")
        self._run(self.deployment.sensed(f"{FORECAST}_review"))

    def _remake(self) -> None:
        """Predict again what was predicted since: the same rows have to come out, and stay.

        Not while something is missing: a gate that refused a batch rightly lets no run through.
        """
        if not self._gaps().none:
            return
        requests, self.since_remade = self.since_remade, []
        before = self.lake.version(PREDICTIONS.name, FORECAST)
        if not requests:
            return
        starts = [request.tags["dagster/asset_partition_range_start"] for request, _ in requests]
        ends = [request.tags["dagster/asset_partition_range_end"] for request, _ in requests]
        tags = {
            "dagster/asset_partition_range_start": min(starts),
            "dagster/asset_partition_range_end": max(ends),
        }
        result = self.deployment.run(Request(f"{FORECAST}_predict", tags, "drill"))
        try:
            require(result.success, "8 a range that was made could not be made again", tags)
            made_again = [
                check
                for check in result.get_asset_check_evaluations()
                if check.check_name == "reproduced"
            ]
            require(
                all(check.passed for check in made_again),
                "8 rows came out otherwise",
                [check.description for check in made_again],
            )
            after = self.lake.version(PREDICTIONS.name, FORECAST)
            require(before == after, "8 making rows again changed the table", f"{before} {after}")
        except InvariantError as error:
            self.found.broken.append(f"{clock.now():%Y-%m-%d}: {error}")
        self.found.remade += len(requests)

    def _closed_day(self, day: date) -> None:
        """6: the partition of a closed day succeeds with zero rows.

        While a refused batch stands, the gate rightly lets no run through; there are no rows then.
        """
        before = self.lake.version(PREDICTIONS.name, FORECAST)
        name = day.isoformat()
        tags = {
            "dagster/asset_partition_range_start": name,
            "dagster/asset_partition_range_end": name,
        }
        result = self.deployment.run(Request(f"{FORECAST}_predict", tags, "drill"))
        after = self.lake.version(PREDICTIONS.name, FORECAST)
        held_back = not self._gaps().none and "GateError" in _why(result)
        if before != after or not (result.success or held_back):
            self.found.broken.append(f"{day}: 6 a closed day failed or has rows: {_why(result)}")
        self.found.closed += 1

    def _assert(self, day: date) -> None:
        try:
            self.invariants.check(clock.now())
        except InvariantError as error:
            self.found.broken.append(f"{day}: {error}")

    def travel_to(self, now: datetime) -> None:
        os.environ["FX_ASSETS_NOW"] = now.isoformat()
        if hasattr(self, "deployment"):
            self.deployment.travel(now)

    def _open(self) -> list[Fault]:
        return [fault for fault in self.found.faults if fault.recovered_at is None]

    def _seen(self, by: str, now: datetime) -> None:
        for fault in self._open():
            fault.notice(by, now)

    def _gaps(self) -> Gaps:
        return gaps(self.lake, self.vendor.truth(clock.now()), self.live_from)

    def _notice(self) -> None:
        """Has a fault been recovered from: its cause is gone and nothing is missing?"""
        now = clock.now()
        for fault in self._open():
            if fault.kind == "registry away" or now < fault.over_at:
                continue
            if fault.kind == "revised bar":
                raw = self.lake.read(RAW_PRICES.name, FEED)
                days = raw["event_time"].dt.tz_convert(FRANKFURT).dt.date
                if int((days == fault.day).sum()) > 1:
                    fault.notice("bitemporal row", now)
            if self._gaps().none:
                fault.recovered_at = now

    def _account(self) -> None:
        found, now = self.found, clock.now()
        found.ended = now
        truth = self.vendor.truth(now)
        left = gaps(self.lake, truth, self.live_from)
        due = [day for day in truth if day >= self.live_from]
        predictions = self.lake.read(PREDICTIONS.name, FORECAST)
        modes = dict(
            zip(
                predictions["event_time"].dt.tz_convert(FRANKFURT).dt.date,
                predictions["mode"],
                strict=True,
            )
        )
        found.served, found.stored = len(truth), len(truth) - len(left.bars)
        found.due, found.missing = len(due), left.predictions
        found.live = sum(modes.get(day) == "live" for day in due)
        for day in due:
            if modes.get(day) == "late":
                found.late[day] = self._reason(day)
        decisions = self.lake.read(DECISIONS.name, FORECAST)
        found.verdicts.update(str(verdict) for verdict in decisions["verdict"])
        found.trials = int(decisions["trials"].max())
        found.failed_runs = self.deployment.failed_runs
        found.checks = self.invariants.checks
        alerts = self.lake.read_or_empty(ALERTS.name, "platform")
        if len(alerts):
            found.alerts.update(alerts[alerts["state"] == "delivered"]["kind"])
        for fault in found.faults:
            until = fault.over_at.astimezone(FRANKFURT).date()
            fault.lost = sum(fault.day <= day <= until for day in [*left.bars, *left.predictions])

    def _reason(self, day: date) -> str:
        for fault in self.found.faults:
            if fault.day <= day and at(day, INGEST) < fault.over_at:
                return fault.kind
        return "no fault explains it"


def _why(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            return " ".join(error.message.split())[:400]
    return "no step failed"


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    names = [*values, "FX_ASSETS_NOW"]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
