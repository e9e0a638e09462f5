"""What the routes share: settings, champions, tables, and the prepared newest answers."""

from __future__ import annotations

import hashlib
from datetime import datetime

from fx_assets import clock
from fx_assets.bundles.universes import Member
from serving.blobs import served
from serving.http.problems import Problem
from serving.http.responses import JSON, Prepared, json_bytes, ledger_head
from serving.http.shortcuts import Shortcuts
from serving.http.threads import Aside
from serving.queries.reader import Tables
from serving.schemas import Data
from serving.settings import Settings
from serving.state import metrics
from serving.state.children import Children
from serving.state.members import Choice, member_service
from serving.state.service import Service
from serving.state.store import Store

LATE_SECONDS = 5
"""How long an answer may be kept when a bar is late, or the lake is away."""
LONGEST_PAUSE_SECONDS = 7 * 86_400
"""No market pauses for longer: whoever waits longer for a bar has a clock that is wrong."""


def keep_seconds(data: Data | None, stale: str | None, now: datetime) -> int:
    """How long an answer may be kept: until the next bar is expected, by a sound clock."""
    if data is None or stale is not None:
        return LATE_SECONDS
    wait = (data.next_bar_expected - now).total_seconds()
    return int(wait) if 1 <= wait <= LONGEST_PAUSE_SECONDS else LATE_SECONDS


class Latest:
    """The newest forecast of one forecast as finished responses."""

    def __init__(self, service: Service, now: datetime, visibility: str) -> None:
        forecast = service.latest(now)
        body = json_bytes(forecast)
        forecast.data.age_seconds = 0.0
        self.version = forecast.champion.version
        # Weak: the age in the body moves on while nothing else does.
        self.etag = f'W/"{hashlib.sha256(json_bytes(forecast)).hexdigest()[:20]}"'
        seconds = keep_seconds(forecast.data, service.stale, now)
        headers = [
            (b"etag", self.etag.encode()),
            (b"cache-control", f"{visibility}, max-age={seconds}".encode()),
            *((name.encode(), value.encode()) for name, value in ledger_head(forecast).items()),
        ]
        length = (b"content-length", str(len(body)).encode())
        self.response = Prepared(body, [(b"content-type", JSON), length, *headers])
        self.unchanged = Prepared(b"", headers, 304)


class Server:
    """One process's state; made once, started and stopped with the application."""

    def __init__(self, settings: Settings, children: Children, *, private: bool) -> None:
        self.settings = settings
        self.tables = Tables(served(settings), settings.read_seconds, children.reader)
        self.store = Store(settings, self.tables, children.trial)
        self.shortcuts = Shortcuts()
        self.aside = Aside()
        self.visibility = "private" if private else "public"
        self._latest: dict[str, Latest] = {}
        self.store.listen(self._refresh)
        self.shortcuts.unless(
            lambda name: name in self.store.universes or bool(self.store.horizons(name))
        )

    def latest(self, name: str) -> Latest:
        """The newest forecast, finished.

        Raises
        ------
        Problem
            There is no such forecast, or nothing has been issued.
        """
        ready = self._latest.get(name)
        if ready is not None:
            return ready
        return Latest(self.store.get(name), self.now(), self.visibility)

    async def find(self, name: str, choice: Choice) -> Service:
        """The forecast of that name, or of a universe the member that is chosen.

        Raises
        ------
        Problem
            There is no such forecast, instrument or target, or the choice is not complete.
        """
        facts = self.store.universes.get(name)
        if facts is not None:
            declared = self.store.declared.universes.get(name)
            return await member_service(self.tables, self.store.member, facts, choice, declared)
        horizons = self.store.horizons(name)
        service = next(
            (one for one in horizons if one.champion.manifest.horizon == choice.horizon), None
        ) or self.store.get(name)
        manifest = service.champion.manifest
        if horizons and choice.horizon not in (None, manifest.horizon):
            known = [str(one.champion.manifest.horizon) for one in horizons]
            raise Problem(
                404,
                "no-such-horizon",
                f"{name} has no horizon of {choice.horizon} bars.",
                field="horizon",
                value=choice.horizon,
                remedy=f"Give one of {', '.join(known)}, or leave it out.",
            )
        own = Choice(manifest.instrument, manifest.target, manifest.horizon)
        given = (choice.instrument, choice.target, choice.horizon)
        about = (own.instrument, own.target, own.horizon)
        for field, asked, mine in zip(Choice.__dataclass_fields__, given, about, strict=True):
            if asked not in (None, mine):
                raise Problem(
                    404,
                    f"no-such-{field}",
                    f"{name} has {field}={mine} only.",
                    field=field,
                    value=asked,
                    remedy=f"Leave {field} out, or give {mine}.",
                )
        return service

    async def bundled(self, name: str, choice: Choice) -> Service:
        """As :meth:`find`, of what has a published bundle.

        Raises
        ------
        Problem
            As :meth:`find`; 404 where a member of a universe has issued rows only.
        """
        service = await self.find(name, choice)
        manifest = service.champion.manifest
        if isinstance(manifest, Member) and not manifest.bundled:
            raise Problem(
                404,
                "nothing-published",
                f"{name} has published no champion of {manifest.instrument}.",
                field="instrument",
                value=manifest.instrument,
                remedy=f"GET /v1/forecasts/{name}/instruments lists who is a member; a run of the "
                "universe publishes who predicts it.",
            )
        return service

    def now(self) -> datetime:
        """The platform's clock."""
        return clock.now()

    def _refresh(self, store: Store) -> None:
        now = self.now()
        ready = {}
        for name, service in store.services.items():
            try:
                ready[name] = Latest(service, now, self.visibility)
            except Problem:
                continue
        self._latest = ready
        metrics.observe(store, now, self.settings.member_metrics)
