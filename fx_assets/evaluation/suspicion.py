"""A result that is too good, what it may come from, and who let it pass with which reason.

Needs no pandas: the server reads these records.
"""

from __future__ import annotations

from pydantic import AwareDatetime

from fx_assets.evaluation.plausible import Excess
from fx_assets.specs.base import Record


class Cause(Record):
    """What a probe took away from a candidate, and how much of its skill went with it."""

    probe: str
    """What was changed, in a word or two."""
    vanished: float
    """The share of the skill that is gone, 0 to 1."""
    text: str


class Judged(Record):
    """The rows that a figure is of: what is acknowledged, and nothing else."""

    series: str
    """Identifies instrument, bars and target."""
    last_row: AwareDatetime
    """Event time of the newest row (UTC)."""
    rows: int
    row_hash: str
    """Identifies inputs, truth and baseline of every row, as this recipe sees them."""


class Suspicion(Record):
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


class Acknowledgement(Record):
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
