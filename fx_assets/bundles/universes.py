"""What a universe publishes about itself, so that it can be served from a lake alone.

Needs neither pandas nor MLflow.
"""

from __future__ import annotations

from fx_assets.bundles.records import Manifest
from fx_assets.specs.base import Record
from fx_assets.specs.forecast import TargetKind

FOLDER = "universes"


class PanelTarget(Record):
    """Something that is predicted of every member."""

    kind: TargetKind
    horizon: int
    """Bars ahead."""
    unit: str
    baseline: str

    @property
    def name(self) -> str:
        """Kind and horizon, as they are asked for."""
        return f"target={self.kind}&horizon={self.horizon}"


class PanelInstrument(Record):
    """An instrument of a universe."""

    instrument: str
    feed: str
    """What it would be called as a feed of its own."""
    state: str
    """``member``, ``pegged``, ``left`` or ``young``."""
    series: tuple[str, ...]
    """The identity of each target, in the universe's order."""


class UniverseFacts(Record):
    """What is served under a universe's name."""

    forecast: str
    description: str
    calendar: str
    feature_set: str
    coverage: float
    targets: tuple[PanelTarget, ...]
    instruments: tuple[PanelInstrument, ...]

    def of(self, instrument: str) -> PanelInstrument | None:
        """The instrument of that name."""
        return next((one for one in self.instruments if one.instrument == instrument), None)


def universe_path(name: str) -> str:
    """Where a universe's facts lie in the lake."""
    return f"{FOLDER}/{name}.json"


class Member(Manifest):
    """One target of one instrument, as if it were a forecast of its own."""

    baseline_predicts: bool = True
    bundled: bool = False
    """Whether it has a bundle; without one only what was issued is known."""
