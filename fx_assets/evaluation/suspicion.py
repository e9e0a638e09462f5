"""A result that is too good, what it may come from, and who let it pass with which reason."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from pydantic import AwareDatetime

from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.plausible import Excess
from fx_assets.specs.base import Spec


class Cause(Spec):
    """What a probe took away from a candidate, and how much of its skill went with it."""

    probe: str
    """What was changed, in a word or two."""
    vanished: float
    """The share of the skill that is gone, 0 to 1."""
    text: str


class Judged(Spec):
    """The rows that a figure is of: what is acknowledged, and nothing else."""

    series: str
    """Identifies instrument, bars and target."""
    last_row: AwareDatetime
    """Event time of the newest row (UTC)."""
    rows: int
    row_hash: str
    """Identifies inputs, truth and baseline of every row, as this recipe sees them."""


class Suspicion(Spec):
    """Why a candidate is suspected."""

    candidate: str
    recipe: str
    excess: tuple[Excess, ...]
    judged: Judged
    causes: tuple[Cause, ...] = ()
    """The likeliest first; empty where the probes were not run."""

    @property
    def figures(self) -> str:
        """Every figure beside its limit."""
        return ", ".join(found.text for found in self.excess)

    @property
    def explanation(self) -> str:
        """What the probes found, in words."""
        if not self.causes:
            return "The probes found no cause."
        listed = " ".join(f"({k}) {cause.text}" for k, cause in enumerate(self.causes, start=1))
        return f"Likeliest causes: {listed}"


class Acknowledgement(Spec):
    """A person's word that a result is real. All instants are UTC."""

    forecast: str
    candidate: str
    recipe: str
    judged: Judged
    excess: tuple[Excess, ...]
    reason: str
    by: str
    acknowledged_at: AwareDatetime
    sequence: int
    """The decision that was acknowledged."""

    @property
    def text(self) -> str:
        """Who, when and why."""
        return f"acknowledged by {self.by} on {self.acknowledged_at:%Y-%m-%d}: {self.reason}"


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


def covering(
    acknowledgements: Sequence[Acknowledgement], item: Evidence, series: str
) -> Acknowledgement | None:
    """The newest acknowledgement of this recipe on these rows."""
    for given in sorted(acknowledgements, key=lambda a: a.acknowledged_at, reverse=True):
        same = given.recipe == item.recipe and given.judged.series == series
        if same and judged_rows(item, series, given.judged.last_row) == given.judged:
            return given
    return None
