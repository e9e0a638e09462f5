"""How many requests a provider may get, counted for all feeds and processes together."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from fx_assets.errors import SourceError
from fx_assets.sources.http import Patience

if TYPE_CHECKING:
    from pyrate_limiter import AbstractBucket, Rate

log = logging.getLogger(__name__)

LOCK_SECONDS = 10.0
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 30 * 86_400}
_in_process: dict[tuple[str, str], AbstractBucket] = {}


class RequestBudget:
    """Sliding windows of requests, kept in a SQLite file that every process counts in.

    Parameters
    ----------
    provider
        Names the count; all feeds of a provider share it.
    allowed
        Requests in a time, such as ``8/minute;800/day``. A month is 30 days.
    variable
        The setting that holds ``allowed``, for messages.
    folder
        Where the counts are; ``None``, or a folder that cannot be written to, counts this process
        only.

    Raises
    ------
    SourceError
        ``allowed`` contradicts itself, such as ``8/minute;5/day``.
    """

    def __init__(self, provider: str, allowed: str, variable: str, folder: Path | None) -> None:
        self.provider = provider
        self.allowed = allowed
        self.variable = variable
        self._folder = folder
        self._rates = _rates(allowed, variable)

    def spend(self, patience: Patience) -> float:
        """Count one request as soon as the budget has room; returns the seconds waited.

        Raises
        ------
        SourceError
            Room comes only after more than the patience that is left.
        """
        waited = 0.0
        while (wait := self._try()) > 0:
            if wait > patience.left:
                raise SourceError(
                    f"The budget of {self.provider} ({self.allowed}, all feeds together) is used "
                    f"up until {_at(wait)}, and a fetch waits no longer than "
                    "FX_ASSETS_PATIENCE_SECONDS.",
                    remedy=f"Try again then, ask for a shorter range, or set {self.variable} to "
                    "what your plan allows.",
                )
            log.info("Waiting %.1f s for the budget of %s.", wait, self.provider)
            time.sleep(wait)
            patience.left -= wait
            waited += wait
        return waited

    def _try(self) -> float:
        """Seconds until there is room; 0 when the request was counted."""
        if self._folder is None:
            return _put(self._own())
        try:
            with self._shared(self._folder) as bucket:
                return _put(bucket)
        except (OSError, sqlite3.Error) as error:
            log.warning(
                "Requests to %s are counted for this process only, because %s cannot be used: %s",
                self.provider,
                self._folder,
                error,
            )
            return _put(self._own())

    @contextmanager
    def _shared(self, folder: Path) -> Iterator[AbstractBucket]:
        from pyrate_limiter import SQLiteBucket

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "budgets.sqlite"
        with filelock.FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            bucket = SQLiteBucket.init_from_file(
                self._rates, table=self.provider, db_path=str(path)
            )
            try:
                yield bucket
            finally:
                bucket.close()  # type: ignore[no-untyped-call]

    def _own(self) -> AbstractBucket:
        from pyrate_limiter import InMemoryBucket

        key = (self.provider, self.allowed)
        return _in_process.setdefault(key, InMemoryBucket(self._rates))


def _put(bucket: AbstractBucket) -> float:
    from pyrate_limiter import RateItem

    now = bucket.now()  # type: ignore[no-untyped-call]
    bucket.leak(now)
    decision = bucket.put_decision(RateItem("request", now))
    return 0.0 if decision.allowed else (decision.retry_after_ms or 0) / 1000 + 0.001  # type: ignore[union-attr]


def _rates(allowed: str, variable: str) -> list[Rate]:
    from pyrate_limiter import Rate, validate_rate_list

    parts = (part.split("/") for part in allowed.split(";"))
    rates = sorted(
        (Rate(int(limit), _SECONDS[unit] * 1000) for limit, unit in parts),
        key=lambda rate: rate.interval,
    )
    if not validate_rate_list(rates):
        raise SourceError(
            f"{variable}={allowed!r} contradicts itself: a longer time must allow more requests, "
            "and fewer of them per second.",
            remedy="Set it like 8/minute;800/day.",
        )
    return rates


def _at(seconds: float) -> str:
    instant = datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=seconds)
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
