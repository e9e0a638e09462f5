"""The ledger of a drill: what was lost (nothing), what was late and why, who cried wolf."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table

from benchmarks.drill.life import Found
from benchmarks.drill.world import FRANKFURT

YEAR = 252


def show(found: Found, console: Console) -> None:
    """Print the ledger."""
    console.print(_faults(found))
    console.print(_totals(found))
    console.print(_spent(found))
    for sentence in found.broken:
        console.print(f"[bold red]BROKEN[/] {sentence}")
    verdict = "[bold green]nothing lost, every invariant held[/]"
    if not found.ok:
        verdict = f"[bold red]{found.lost} lost, {len(found.broken)} invariant(s) broken[/]"
    console.print(verdict)


def _totals(found: Found) -> Table:
    table = Table("what", "figure", "remark", title="Ledger")
    years = found.due / YEAR
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in found.verdicts.most_common())
    late = "; ".join(f"{day} {why}" for day, why in found.late.items())
    rows = [
        ("business days", found.due, f"{found.first} to {found.last}, {years:.2f} years"),
        ("bars published", found.served, "history included"),
        ("bars stored as published", found.stored, f"lost: {found.served - found.stored}"),
        ("predictions due", found.due, "one an open day"),
        ("predictions issued live", found.live, "before their outcome"),
        ("predictions issued late", len(found.late), late),
        ("predictions missed", len(found.missing), ", ".join(map(str, found.missing))),
        ("closed weekdays", found.closed, "their partitions succeed with zero rows"),
        ("ranges made again", found.remade, "predict runs whose rows came out the same"),
        (
            "looks at drift",
            found.looks,
            f"one in {found.drill.watch_every} business days, Evidently's page included",
        ),
        ("false alarms of drift", len(found.drift_alarms), f"at most {years:.1f} expected"),
        ("false alarms of performance", len(found.performance_alarms), ""),
        ("decisions", found.verdicts.total(), verdicts),
        ("false promotions", found.verdicts["replace"], f"K = {found.trials} candidate(s) a look"),
        ("failed runs", found.failed_runs, "none without a fault" if not found.broken else ""),
        ("alerts", found.alerts.total(), ", ".join(f"{n} {k}" for k, n in found.alerts.items())),
        ("facts compared", found.checks, f"{len(found.broken)} invariant(s) broken"),
    ]
    for what, figure, remark in rows:
        table.add_row(what, f"{figure:,}", remark)
    return table


def _faults(found: Found) -> Table:
    table = Table(
        "fault", "injected", "seen by, first at", "cause gone", "recovered", "after", "lost"
    )
    table.title = "Faults"
    for fault in found.faults:
        seen = ", ".join(f"{by} {_local(when)}" for by, when in fault.seen.items()) or "nobody"
        if fault.recovered_at is None:
            recovered, after = "[red]never[/]", ""
        else:
            recovered = _local(fault.recovered_at)
            after = _duration(fault.recovered_at - fault.over_at)
        table.add_row(
            fault.kind,
            str(fault.day),
            seen,
            _local(fault.over_at),
            recovered,
            after,
            str(fault.lost),
        )
    return table


def _spent(found: Found) -> Table:
    table = Table("what ran", "times", "CPU seconds", "a time", title="Time")
    spent = found.spent
    for what, seconds in sorted(spent.seconds.items(), key=lambda pair: -pair[1]):
        times = spent.times[what]
        table.add_row(what, f"{times:,}", f"{seconds:.1f}", f"{seconds / times:.3f}")
    load = os.getloadavg()[0]
    total = sum(spent.seconds.values())
    table.add_row("in all", "", f"{total:.1f}", f"wall {found.wall_seconds:.0f} s, load {load:.1f}")
    return table


def _local(when: datetime) -> str:
    return f"{when.astimezone(FRANKFURT):%m-%d %H:%M}"


def _duration(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
