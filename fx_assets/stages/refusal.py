"""What the quality gate said of every batch, and whether a refusal still stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pandas as pd

from fx_assets.errors import GateError
from fx_assets.lake import Lake
from fx_assets.lake.panel import numbered
from fx_assets.quality import Finding, GateReport
from fx_assets.specs import FeedSpec
from fx_assets.stages.readings import require_reading
from fx_assets.tables import QUALITY, QUARANTINE, READING_COLUMN


def record_findings(
    lake: Lake,
    feed: str,
    report: GateReport,
    *,
    window: tuple[datetime, datetime],
    payload: str,
    reading: str = "",
    now: datetime,
    run_id: str,
    overridden: Sequence[Finding] = (),
) -> None:
    """Append one row a check: the batch's number, the window of event times that was asked for.

    ``overridden`` are the findings that would have refused the batch, had their checks not been
    lowered: they are told in the words of the check that was not made.
    """
    known = numbered(lake.read_or_empty(QUALITY.name, feed))
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
    findings[READING_COLUMN] = reading
    lake.append(QUALITY.name, feed, findings, run_id=run_id)


def require_bars(lake: Lake, spec: FeedSpec) -> None:
    """Refuse to go on from bars of another reading than the declared one, or beside refused ones.

    Raises
    ------
    GateError
        A refusal stands, or the feed has to be read anew.
    """
    require_gate(lake, spec)
    require_reading(lake, spec)


def require_gate(lake: Lake, spec: FeedSpec) -> None:
    """Refuse to go on while a batch of a feed stands refused, in whichever run that was.

    A refusal stands until a later batch of the same window, or of a wider one, has passed. One of
    bars in another reading than the declared one concerns nobody.

    Raises
    ------
    GateError
        A refusal stands.
    """
    feed = spec.name
    quality = numbered(lake.read_or_empty(QUALITY.name, feed))
    if READING_COLUMN in quality:
        quality = quality[
            quality[READING_COLUMN].isna() | (quality[READING_COLUMN] == spec.reading)
        ]
    refusal = _standing_refusal(quality)
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
            f"materialize {feed}/raw_prices of {years} again, or run: fx-assets reload {feed}. "
            "Days that you have judged bad go into the feed's gate.known_bad, bars that you have "
            "found right into gate.confirmed, and thresholds into "
            "its gate settings."
        ),
    )


def resolve_quarantine(lake: Lake, spec: FeedSpec, now: datetime, run_id: str) -> None:
    """Take out of quarantine the bars that have been accepted since, with the same close."""
    kept_out = lake.read_or_empty(QUARANTINE.name, spec.name)
    if kept_out.empty:
        return
    bars = lake.prices(spec.name, now)
    days = pd.to_datetime(kept_out["event_date"].str[:10], format="%Y-%m-%d", errors="coerce")
    held = spec.market.day_index(pd.DatetimeIndex(bars["event_time"])).isin(days.dropna())
    labels = [spec.market.label(time.to_pydatetime()) for time in bars.loc[held, "event_time"]]
    closes = [repr(value) for value in bars.loc[held, "close"].tolist()]
    accepted = set(zip(labels, closes, strict=True))
    rows = zip(kept_out["event_date"], kept_out["value"], strict=True)
    entered = pd.Series([row in accepted for row in rows], index=kept_out.index)
    entered &= kept_out["column"] == "close"
    if entered.any():
        lake.replace(QUARANTINE.name, spec.name, kept_out[~entered], run_id=run_id)


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
        covers = (later["window_start"] <= start) & (later["window_end"] >= end)
        if not bool(covers.any()):
            return pd.DataFrame(refusal)
    return None
