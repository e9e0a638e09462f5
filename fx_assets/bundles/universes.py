"""What a universe publishes about itself, so that it can be served from a lake alone.

Needs neither pandas nor MLflow.
"""

from __future__ import annotations

from fx_assets.bundles.records import Manifest
from fx_assets.lake.below import member_folder
from fx_assets.specs.base import Record
from fx_assets.specs.forecast import TargetKind

FOLDER = "universes"
STATES = ("member", "pegged", "left", "young")
"""What an instrument of a universe is."""


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
    """One of ``STATES``."""
    series: tuple[str, ...]
    """The identity of each target, in the universe's order."""
    strategies: tuple[str, ...] = ()
    """What identifies the strategy of each; empty where it was published before that was said."""


class UniverseFacts(Record):
    """What is served under a universe's name."""

    forecast: str
    description: str
    calendar: str
    feature_set: str
    coverage: float
    targets: tuple[PanelTarget, ...]
    instruments: tuple[PanelInstrument, ...]
    declared: str = ""
    """Identifies what was declared when it was last brought up to date; once it was not said."""

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


def of_member(manifest: Manifest) -> Member:
    """The manifest of a member's bundle."""
    by_baseline = manifest.candidate == manifest.baseline.family
    return Member.model_construct(
        **dict(manifest) | {"bundled": True, "baseline_predicts": by_baseline}
    )


def folder_of(manifest: Manifest) -> str:
    """Where the files of a member of a universe lie, below the lake; elsewhere empty."""
    if not isinstance(manifest, Member):
        return ""
    about = (manifest.instrument, manifest.target, manifest.horizon)
    return member_folder(manifest.forecast, *about)
