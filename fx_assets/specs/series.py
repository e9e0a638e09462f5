"""What a forecast is about: the identity that its rows carry."""

from __future__ import annotations

from functools import cached_property

from fx_assets.specs.base import Spec, digest
from fx_assets.specs.feed import FeedSpec
from fx_assets.specs.forecast import ForecastSpec, TargetKind


class Series(Spec):
    """What a forecast predicts, and from which reading of which feed.

    A forecast is a name; when one of these facts changes it is about something else, and nothing
    that was said before counts for it or against it.
    """

    feed: str
    instrument: str
    reading: str
    """Identifies what a bar of the feed means."""
    kind: TargetKind
    horizon: int
    """Bars ahead."""
    calendar: str
    """Of the feed's bars, as ``fx_assets.calendars.calendar`` reads it; the reading decides it."""

    @cached_property
    def id(self) -> str:
        """A short stable hash of the facts (16 hex digits): what rows carry."""
        return digest([self.feed, self.instrument, self.reading, self.kind, self.horizon])

    @property
    def sentence(self) -> str:
        """The facts in words."""
        bars = "bar" if self.horizon == 1 else "bars"
        return (
            f"{self.kind} of {self.instrument}, {self.horizon} {bars} ahead, from the feed "
            f"{self.feed} in the reading {self.reading}"
        )


def series_of(spec: ForecastSpec, feed: FeedSpec) -> Series:
    """The series that a declared forecast is about.

    Parameters
    ----------
    spec
        The forecast.
    feed
        The feed that it names.
    """
    return Series(
        feed=feed.name,
        instrument=feed.instrument,
        reading=feed.reading,
        kind=spec.target.kind,
        horizon=spec.target.horizon,
        calendar=feed.market.key,
    )
