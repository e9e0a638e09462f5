"""What the quality gate said of every batch, and whether a refusal still stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pandas as pd

from fx_assets.errors import GateError
from fx_assets.lake import Lake
from fx_assets.quality import Finding, GateReport

TABLE = "quality"


def record_findings(
    lake: Lake,
    feed: str,
    report: GateReport,
    *,
    window: tuple[datetime, datetime],
    payload: str,
    now: datetime,
    run_id: str,
    overridden: Sequence[Finding] = (),
) -> None:
    """Append one row a check: the batch's number, the window of event times that was asked for.

    ``overridden`` are the findings that would have refused the batch, had their checks not been
    lowered: they are told in the words of the check that was not made.
    """
    known = lake.read_or_empty(TABLE, feed)
    strict = {finding.check: finding for finding in overridden}
    told = [
        replace(strict[f.check], severity=f.severity) if f.check in strict else f
        for f in report.findings
    ]
    findings = pd.DataFrame([finding.as_row() for finding in told])
    findings["overridden"] = findings["check"].isin(list(strict))
    findings.insert(0, "batch", 0 if known.empty else int(known["batch"].max()) + 1)
    findings.insert(1, "checked_at", pd.Timestamp(now))
    findings["window_start"], findings["window_end"] = map(pd.Timestamp, window)
    findings["payload"] = payload
    lake.append(TABLE, feed, findings, run_id=run_id)


def require_gate(lake: Lake, feed: str) -> None:
    """Refuse to go on while a batch of a feed stands refused, in whichever run that was.

    A refusal stands until a later batch of the same window, or of a wider one, has passed.

    Raises
    ------
    GateError
        A refusal stands.
    """
    refusal = _standing_refusal(lake.read_or_empty(TABLE, feed))
    if refusal is None:
        return
    reasons = "\n".join(f"  {row.check}: {row.message}" for row in refusal.itertuples())
    window = refusal.iloc[0]
    first, last = window["window_start"].year, (window["window_end"] - pd.Timedelta(1, "s")).year
    years = f"{first}" if first == last else f"{first}...{last}"
    raise GateError(
        f"The quality gate of {feed} refused its batch of {years} on "
        f"{window['checked_at']:%Y-%m-%d %H:%M} UTC; prices are as they were.\n{reasons}",
        remedy=(
            f"Look at the quarantine table of {feed}. When the provider has corrected itself, "
            f"materialize {feed}/raw_prices of {years} again; days that you have judged bad go "
            "into the feed's gate.known_bad, and thresholds into its gate settings."
        ),
    )


def _standing_refusal(quality: pd.DataFrame) -> pd.DataFrame | None:
    """The failed blocking checks of the newest batch that no later one has made good."""
    if quality.empty:
        return None
    failed = quality[(quality["severity"] == "block") & ~quality["passed"]]
    passed = quality[~quality["batch"].isin(failed["batch"])]
    for batch in sorted(failed["batch"].unique(), reverse=True):
        refusal = failed[failed["batch"] == batch]
        start, end = refusal["window_start"].iloc[0], refusal["window_end"].iloc[0]
        later = passed[passed["batch"] > batch]
        if not ((later["window_start"] <= start) & (later["window_end"] >= end)).any():
            return refusal
    return None
