"""What is newest in the tables, and what was in force at a moment; runs in the child."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from fx_assets.bundles.records import Manifest
from fx_assets.calendars import calendar, instant_of
from fx_assets.evaluation.intervals import newest_volatility
from fx_assets.evaluation.spread import SPREAD_BARS
from fx_assets.features.label_arrays import labels
from fx_assets.lake.reader import Reader
from fx_assets.specs.forecast import TargetSpec
from fx_assets.tables import DRIFT, PREDICTIONS, PRICES
from serving.queries.columns import instant, instants, newest_first, numbers, plain, row_of
from serving.queries.context import Context, Drift
from serving.queries.own_rows import own_rows

Row = dict[str, Any]


def newest(reader: Reader, manifest: Manifest) -> tuple[Row | None, Context | None, Drift | None]:
    """The newest issued row, what is known at the newest bar, and the newest drift report."""
    table = own_rows(reader, manifest, PREDICTIONS)
    row = None
    if table is not None:
        row = row_of(table, int(newest_first(table, "event_time")[0]))
    reported, _ = drift(reader, manifest)
    summary = None
    if reported:
        summary = Drift(
            alarm=reported[0]["verdict"] in ("drift", "broken"),
            columns=sum(bool(column["drifted"]) for column in reported),
        )
    return row, _context(reader, manifest), summary


def row_at(reader: Reader, manifest: Manifest, end: int) -> tuple[Row | None, datetime | None]:
    """The row in force at an instant (microseconds), and when the first of all was decided."""
    table = own_rows(reader, manifest, PREDICTIONS)
    if table is None:
        return None, None
    order = newest_first(table, "decision_time")
    decided = instants(table, "decision_time")[order]
    by_then = order[decided <= end]
    return row_of(table, int(by_then[0])) if len(by_then) else None, instant(decided[-1])


def drift(reader: Reader, manifest: Manifest) -> tuple[list[Row], datetime | None]:
    """The newest drift report, all rows that share the latest ``measured_at``, and that instant."""
    table = own_rows(reader, manifest, DRIFT)
    if table is None or "measured_at" not in table.column_names:
        return [], None
    times = instants(table, "measured_at")
    rows = [plain(row_of(table, int(i))) for i in np.flatnonzero(times == times.max())]
    return rows, instant(times.max())


def _context(reader: Reader, manifest: Manifest) -> Context | None:
    table = reader.read(PRICES.name, manifest.feed, ["event_time", "available_at", "close"])
    if table is None or not table.num_rows:
        return None
    order = newest_first(table, "event_time")[::-1]
    close = numbers(table, "close")[order]
    times = instants(table, "event_time")[order].astype("datetime64[us]")
    available = instants(table, "available_at")[order].astype("datetime64[us]")
    target = TargetSpec(kind=manifest.target, horizon=manifest.horizon)
    mean = labels(close, available, target, times, calendar(manifest.calendar)).baseline_mean
    log_returns = np.diff(np.log(close))
    wanted = manifest.distribution is not None or manifest.novelty is not None
    return Context(
        event_time=instant_of(times[-1]),
        as_of=instant(int(available[-1].astype(np.int64))),
        close=float(close[-1]),
        volatility=newest_volatility(log_returns) if len(log_returns) else None,
        baseline_mean=None if np.isnan(mean[-1]) else float(mean[-1]),
        log_returns=log_returns[-SPREAD_BARS:].tolist() if wanted else None,
    )
