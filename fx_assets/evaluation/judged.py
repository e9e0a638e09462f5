"""Which rows a person's word is about, and whether it covers these."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.plausible import Excess
from fx_assets.evaluation.suspicion import Acknowledgement, Judged, Suspicion


def judged_rows(item: Evidence, series: str, until: datetime | None = None) -> Judged:
    """Identifies a candidate's labelled rows, or those up to an event time.

    Rows that follow change nothing; a revised bar, other features, another clock or another
    instrument do.
    """
    rows = item.predictions[item.predictions["target"].notna()]
    times = pd.DatetimeIndex(rows["event_time"])
    if until is not None:
        kept = times <= pd.Timestamp(until)
        rows, times = rows[kept], times[kept]
    content = hashlib.sha256(f"{series} {item.recipe}".encode())
    content.update(times.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]").tobytes())
    content.update(rows["target"].to_numpy(dtype=np.float64).tobytes())
    if "row_key" in rows:
        content.update("".join(rows["row_key"]).encode())
    last = times[-1].to_pydatetime() if len(times) else pd.Timestamp(0, tz="UTC").to_pydatetime()
    return Judged(series=series, last_row=last, rows=len(rows), row_hash=content.hexdigest()[:16])


def suspicion_of(item: Evidence, series: str, excess: tuple[Excess, ...]) -> Suspicion:
    """What is recorded of a candidate whose figures are beyond what is plausible."""
    judged = judged_rows(item, series)
    return Suspicion(candidate=item.candidate, recipe=item.recipe, excess=excess, judged=judged)


def covering(
    acknowledgements: Sequence[Acknowledgement], item: Evidence, series: str
) -> Acknowledgement | None:
    """The newest acknowledgement of this recipe on these rows."""
    for given in sorted(acknowledgements, key=lambda a: a.acknowledged_at, reverse=True):
        same = given.recipe == item.recipe and given.judged.series == series
        if same and judged_rows(item, series, given.judged.last_row) == given.judged:
            return given
    return None
