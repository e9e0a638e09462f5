"""What the quality gate says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from fx_assets.specs.feed import Severity


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Parameters
    ----------
    check
        A key of ``CHECKS``.
    severity
        ``block``, ``warn`` or ``off``, as the feed's settings say.
    passed
        Whether ``count`` is within ``limit``.
    count
        What was measured: rows, days, a share or a ratio.
    limit
        The threshold, in the unit of ``count``.
    message
        A sentence with the dates and values that a person needs.
    examples
        Some of the offending rows, as ``day: value``.
    """

    check: str
    severity: Severity
    passed: bool
    count: float
    limit: float | None
    message: str
    examples: tuple[str, ...] = ()

    @classmethod
    def switched_off(cls, check: str, limit: float, count: float = 0) -> Finding:
        """Of a check that is off."""
        return cls(check, "off", True, count, limit, "Switched off.")

    def as_row(self) -> dict[str, Any]:
        """The finding as one row of the ``quality`` table."""
        row = asdict(self)
        return row | {
            "count": float(self.count),
            "limit": float("nan") if self.limit is None else float(self.limit),
            "examples": "; ".join(self.examples),
        }


@dataclass(frozen=True)
class GateReport:
    """The gate's verdict on one batch.

    Parameters
    ----------
    findings
        One for each check, in the order of ``CHECKS``.
    quarantined
        Frame of ``REJECTED_DTYPES``: the rows kept out, each with its reason.
    accepted
        Frame of ``BAR_DTYPES``: the rows that may be appended; none if a blocking check failed.
    passed
        Whether every blocking check passed.
    """

    findings: tuple[Finding, ...]
    quarantined: pd.DataFrame
    accepted: pd.DataFrame
    passed: bool

    def finding(self, check: str) -> Finding:
        """The finding of one check."""
        return next(finding for finding in self.findings if finding.check == check)
