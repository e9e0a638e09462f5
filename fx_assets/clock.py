"""The one clock. Everything that asks for the time asks here, in UTC."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta

from fx_assets.errors import SpecError

NOW_VARIABLE = "FX_ASSETS_NOW"


def now() -> datetime:
    """The current time in UTC, or the instant in ``FX_ASSETS_NOW`` when that is set.

    ``FX_ASSETS_NOW`` is an ISO 8601 instant with an offset, such as ``2015-01-15T17:00:00+00:00``;
    it lets tests and drills travel in time.

    Raises
    ------
    SpecError
        ``FX_ASSETS_NOW`` is not an instant with an offset.
    """
    fixed = os.environ.get(NOW_VARIABLE)
    if not fixed:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(fixed)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise SpecError(
            f"{NOW_VARIABLE}={fixed!r} is not an ISO 8601 instant with an offset.",
            remedy=f"Set it like {NOW_VARIABLE}=2015-01-15T17:00:00+00:00, or unset it.",
        )
    return instant.astimezone(UTC)


def instant(when: datetime | date | str) -> datetime:
    """A moment that a person named, in UTC: without a zone it is UTC, a day means its end.

    Raises
    ------
    ValueError
        A text that is neither a day, such as ``2020-06-30``, nor an ISO 8601 instant.
    """
    if isinstance(when, str):
        when = date.fromisoformat(when) if len(when) == 10 else datetime.fromisoformat(when)
    if isinstance(when, datetime):
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return datetime.combine(when + timedelta(days=1), time(), tzinfo=UTC) - timedelta.resolution
