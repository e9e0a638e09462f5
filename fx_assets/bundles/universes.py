"""What a universe publishes about itself, so that it can be served from a lake alone.

Needs neither pandas nor MLflow.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from fx_assets.specs.forecast import TargetKind

FOLDER = "universes"


class _Json(BaseModel):
    # Unknown keys are legal: a server of the old code reads what the new code writes.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class PanelTarget(_Json):
    """Something that is predicted of every member."""

    kind: TargetKind
    horizon: int
    """Bars ahead."""
    baseline: str
    candidates: tuple[str, ...]

    @property
    def name(self) -> str:
        """Kind and horizon, as they are asked for."""
        return f"target={self.kind}&horizon={self.horizon}"


class PanelInstrument(_Json):
    """An instrument of a universe."""

    instrument: str
    feed: str
    """What it would be called as a feed of its own."""
    state: str
    """``member``, ``pegged``, ``left``, or ``young``."""
    series: tuple[str, ...]
    """The identity of each target, in the universe's order."""


class UniverseFacts(_Json):
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
