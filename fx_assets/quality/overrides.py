"""Checks whose severity a feed has lowered, and what they would have refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.quality.gate import CHECKS, inspect
from fx_assets.quality.references import Reference
from fx_assets.quality.report import Finding
from fx_assets.quality.row_checks import ROW_REASONS
from fx_assets.specs import FeedSpec, GateSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES
from fx_assets.specs.feed import gate_defaults

OF_BATCHES = frozenset(ROW_REASONS) | {"revisions"}
"""Checks of what came in: stored bars cannot tell whether it was in order."""


def lowered_checks(spec: FeedSpec, defaults: GateSpec | None = None) -> tuple[str, ...]:
    """Checks that block by default, for this frequency, and do not in this feed.

    Parameters
    ----------
    defaults
        What else counts as default, such as the gate of every universe.
    """
    usual = [gate_defaults(spec.frequency), *([defaults] if defaults else [])]
    return tuple(
        name
        for name in CHECKS
        if getattr(spec.gate, name).severity != "block"
        and all(getattr(gate, name).severity == "block" for gate in usual)
    )


def overridden_findings(
    stored: pd.DataFrame,
    fresh: pd.DataFrame,
    rejected: pd.DataFrame,
    spec: FeedSpec,
    calendar: Calendar,
    now: datetime,
    defaults: GateSpec | None = None,
    references: Sequence[Reference] = (),
) -> tuple[Finding, ...]:
    """What the lowered checks would have refused of a batch; arguments as for ``inspect``."""
    lowered = lowered_checks(spec, defaults)
    return _blocking(lowered, stored, fresh, rejected, spec, calendar, now, references)


def failing_bars(
    checks: Sequence[str], bars: pd.DataFrame, spec: FeedSpec, calendar: Calendar, now: datetime
) -> tuple[str, ...]:
    """Which of these checks stored bars fail, all of them together, at the default severity.

    Parameters
    ----------
    bars
        As known now (``BAR_DTYPES``).
    """
    nothing = pd.DataFrame(columns=list(BAR_DTYPES)).astype(BAR_DTYPES)
    no_rows = pd.DataFrame(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
    found = _blocking(tuple(checks), nothing, bars, no_rows, spec, calendar, now)
    return tuple(finding.check for finding in found)


def _blocking(
    checks: tuple[str, ...],
    stored: pd.DataFrame,
    fresh: pd.DataFrame,
    rejected: pd.DataFrame,
    spec: FeedSpec,
    calendar: Calendar,
    now: datetime,
    references: Sequence[Reference] = (),
) -> tuple[Finding, ...]:
    if not checks:
        return ()
    rules = {n: getattr(spec.gate, n).model_copy(update={"severity": "block"}) for n in checks}
    strict = spec.model_copy(update={"gate": spec.gate.model_copy(update=rules)})
    report = inspect(stored, fresh, rejected, strict, calendar, now, references)
    return tuple(
        f for f in report.findings if f.check in checks and f.severity == "block" and not f.passed
    )
