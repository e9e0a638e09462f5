"""Keeps the champions in service up to date: looks at the lake, checks, and swaps a reference."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pydantic import ValidationError

from fx_assets.bundles.bundle import load
from fx_assets.bundles.declared import DECLARED_PATH, Noted
from fx_assets.bundles.records import pointer_path
from fx_assets.bundles.universes import Member, UniverseFacts, folder_of, of_member
from fx_assets.errors import FxAssetsError, RegistryError
from fx_assets.lake.below import Below
from fx_assets.lake.schema import require_readable
from fx_assets.settings import Settings as PlatformSettings
from fx_assets.tables import PRICES, SPLITS
from serving.blobs import Files, served
from serving.http.problems import Problem, shortened
from serving.processes.child import Child
from serving.queries.query import LiveSkill, Newest, SaidOfMembers
from serving.queries.reader import Tables
from serving.schemas import Said
from serving.settings import Settings
from serving.state.champions import Champion
from serving.state.declared import Declarations, Declared
from serving.state.members import read_universes
from serving.state.service import Service
from serving.state.snapshot import Snapshot
from serving.state.trials import Copy, Trial, TrialError
from serving.state.trust import Trust

_log = logging.getLogger("serving")
RETRY_REFUSED = 10
"""Looks between two trials of a bundle that was refused and has not changed."""
LOOK_FOR_BEGINNINGS = 10
"""Looks between two at how far what is not published has come."""
MOST_MEMBERS = 500
"""Champions of members of universes that are kept; those that were asked for last."""
RETRY_HARMFUL = 600
"""The same, of one that hung or crashed: each trial holds the look up."""

Listener = Callable[["Store"], None]


class Store:
    """The forecasts in service, by name.

    ``services`` is replaced as a whole by one assignment: who has taken a reference keeps one
    consistent champion to the end of its request, and nobody waits.
    """

    def __init__(self, settings: Settings, tables: Tables, trial: Child) -> None:
        location = served(settings)
        self.services: Mapping[str, Service] = {}
        self.lake_problem: str | None = "The lake has not been looked at yet."
        self.refused: Mapping[str, str] = {}
        """Forecasts without any usable champion, and why."""
        self.foreign: Mapping[str, str] = {}
        """Forecasts whose published champion is of another series than the declared one."""
        self.universes: Mapping[str, UniverseFacts] = {}
        """Forecasts of many instruments, without bundles; one that is gone stays, as they do."""
        self.declared = Declared()
        self.told: Mapping[str, list[Said]] = {}
        """What is said of the members of each universe."""
        self.looks = 0
        self._readable = False
        self._noted: Noted | None = None
        self._priced: frozenset[str] = frozenset()
        self._judged: frozenset[str] = frozenset()
        self._settings = settings
        self._services: Mapping[str, Service] = {}
        self._declarations = Declarations(PlatformSettings().declared_folder)
        self._tables = tables
        self._location, self._files = location, Files(location)
        self.trust = Trust(settings)
        self._snapshot = Snapshot(settings.copies_folder, self.trust)
        self._trial = Trial(settings.trial_seconds, trial)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lake")
        self._listeners: list[Listener] = []
        self._tried: dict[str, tuple[bytes, str, int]] = {}
        self._stamps: dict[str, object] = {}
        self._members: dict[str, tuple[bytes, Champion]] = {}
        self._harmful: dict[str, tuple[bytes, TrialError | None, int]] = {}
        self._warned: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def listen(self, listener: Listener) -> None:
        """Call this on the event loop after each look at the lake."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Serve the last good copies, then what the lake holds, then keep looking."""
        _log.info("What is served is read from the lake at %s", self._location.root)
        loop = asyncio.get_running_loop()
        self.services = await loop.run_in_executor(self._thread, self._restored)
        self._task = asyncio.create_task(self._keep_looking())
        waiting = asyncio.create_task(self._looked())
        await asyncio.wait([waiting], timeout=self._settings.patience_seconds)
        waiting.cancel()

    async def stop(self) -> None:
        """End the looking."""
        if self._task is not None:
            self._task.cancel()
        self._trial.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def starting(self) -> bool:
        """Whether the first look goes on and what it is to find, such as prices, is missing."""
        found = self.services.values()
        return not self.looks and not (found and all(one.context is not None for one in found))

    def get(self, name: str) -> Service:
        """The forecast of that name.

        Raises
        ------
        Problem
            404 for a name that nobody knows, 503 for one that has no champion yet.
        """
        service = self.services.get(name) or next(iter(self.horizons(name)), None)
        if service is None:
            raise self._absent(name)
        return service

    def horizons(self, name: str) -> list[Service]:
        """Of a forecast of several horizons those in service, the shortest first."""
        if name in self.services:
            return []
        every = [one for one in self.services.values() if one.champion.manifest.term == name]
        found = [one for one in every if not one.retired] or every
        return sorted(found, key=lambda service: service.champion.manifest.horizon)

    def any(self) -> Mapping[str, Service]:
        """All forecasts.

        Raises
        ------
        Problem
            503: there is none.
        """
        services = self.services
        if not services:
            raise self._empty()
        return services

    def listed(self) -> Mapping[str, Service]:
        """All forecasts; none where it is known that none of what is declared is published.

        Raises
        ------
        Problem
            503: there is none, and nothing can be said of what is declared.
        """
        told = self._known and (self.universes or self.declared.names)
        return self.services if told else self.any()

    def awaited(self, name: str) -> str:
        """What a declared forecast without a champion waits for, as far as the lake tells."""
        names = self.declared.horizons(name)
        if self._judged.intersection(names):
            return "the judging of its candidates has begun, and has not ended in a decision"
        series = self.declared.series
        feeds = [series[one].feed if one in series else one for one in names]
        if self._priced.intersection(feeds):
            return "its bars have come, and its candidates have not been judged"
        return "no bars of it have come"

    def retired(self, name: str) -> bool:
        """Whether the platform has said what is declared, and not this."""
        return self._noted is not None and self._noted.retired(name)

    @property
    def _known(self) -> bool:
        """Whether it is known what the lake holds: a look has ended, and the last could read it."""
        return bool(self.services or self.universes or (self.looks and self._readable))

    def _absent(self, name: str) -> Problem:
        def without(status: int, kind: str, said: str, remedy: str) -> Problem:
            return Problem(status, kind, said, field="forecast", value=name, remedy=remedy)

        if name in self.refused:
            return without(
                503,
                "champion-refused",
                f"{name} has no usable champion: {self.refused[name]}",
                f"Publish again: materialize {name}/champion.",
            )
        if name in self.foreign:
            return without(
                503,
                "champion-of-another-series",
                f"{name} has no champion yet: {self.foreign[name]}",
                f"Run fx-assets run {name}, or materialize its retrain job; or declare it as it "
                "was.",
            )
        if name in self.universes:
            return Problem(
                400,
                "which-instrument",
                f"{name} is of many instruments: say which.",
                field="instrument",
                remedy=f"Add instrument=; /v1/forecasts/{name}/instruments lists them.",
            )
        if not self._known:
            return self._empty()
        if name in self.declared.names:
            return without(
                503,
                "nothing-published",
                f"{name} is declared, but no champion of it has been published yet: "
                f"{self.awaited(name)}.",
                f"Run fx-assets run {name}, or materialize it in Dagster's UI; where that is at "
                "work, wait for it.",
            )
        if not self.services and not self.universes:
            return self._empty()
        return without(
            404,
            "no-such-forecast",
            f"There is no forecast {shortened(name)!r}.",
            f"Choose one of {', '.join(sorted({*self.services, *self.universes}))}.",
        )

    def _empty(self) -> Problem:
        away = f" {self.lake_problem}" if self.lake_problem else ""
        return Problem(
            503,
            "nothing-published",
            f"No champion has been published yet in the lake at {self._location.label}.{away}",
            remedy="Run `make run`, or check FX_ASSETS_LAKE and FX_ASSETS_HOME.",
        )

    async def member(self, member: Member) -> Champion | None:
        """The champion that a universe's member has published; ``None`` where it has none.

        Raises
        ------
        FxAssetsError
            It cannot be used, and none was in service before.
        """
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._member, member)
        try:
            return await asyncio.wait_for(work, self._settings.read_seconds)
        except TimeoutError:
            kept = self._members.get(folder_of(member))
            return kept and kept[1]

    def _member(self, member: Member) -> Champion | None:
        name, where = member.forecast, folder_of(member)
        files, present = Below(self._files, where), self._members.get(where)
        path = f"{where}{pointer_path(name)}"
        try:
            pointer = files.read_blob(pointer_path(name))
            self.trust.require(pointer, path)
            if present is None or present[0] != pointer:
                copy = Copy(files, name)
                pointer = copy.read_blob(pointer_path(name))
                self.trust.require(pointer, path)
                self._try_member(copy, where, pointer)
                bundle = load(copy, name)
                manifest = of_member(bundle.manifest)
                present = pointer, Champion(replace(bundle, manifest=manifest))
                self.trust.accept(pointer, path)
        except FxAssetsError:
            if present is None and files.blob_exists(pointer_path(name)):
                raise
        if present is None:
            return None
        self._members[where] = present
        while len(self._members) > MOST_MEMBERS:
            self._members.pop(next(iter(self._members)))
        return present[1]

    def _try_member(self, copy: Copy, where: str, pointer: bytes) -> None:
        """Try a member's bundle; one that hung or crashed is left alone as forecasts' are."""
        tried, harm, until = self._harmful.get(where, (b"", None, 0))
        if harm is not None and tried == pointer and self.looks < until:
            raise TrialError(harm.message, remedy=harm.remedy)
        try:
            self._trial.check(copy)
        except TrialError as error:
            _log.error("A bundle of %s was refused: %s", where.rstrip("/"), error.message)
            self._harmful[where] = pointer, error, self.looks + RETRY_HARMFUL
            raise

    async def said(self, facts: UniverseFacts) -> list[Said]:
        """The newest prediction of every member of a universe, and what came of them.

        Raises
        ------
        LakeError
            The tables cannot be read.
        """
        return await self._tables.ask(SaidOfMembers(facts))

    async def _told(self, facts: UniverseFacts) -> list[Said]:
        try:
            return await self.said(facts)
        except (FxAssetsError, OSError):
            return self.told.get(facts.forecast, [])

    async def _looked(self) -> None:
        while not self.looks:
            await asyncio.sleep(0.01)

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                services = await loop.run_in_executor(self._thread, self._look)
                self.services = services
                names = list(services)
                fresh = await asyncio.gather(*(self._newest(services[name]) for name in names))
                self.services = dict(zip(names, fresh, strict=True))
                of = self.universes
                self.told = {name: await self._told(facts) for name, facts in of.items()}
            except Exception:
                _log.exception("A look at the lake failed")
                self.lake_problem = "A look at the lake failed; the server's log has the reason."
            self.looks += 1
            for listener in self._listeners:
                listener(self)
            await asyncio.sleep(self._settings.poll_seconds)

    def _restored(self) -> dict[str, Service]:
        """The last good copies of what is declared."""
        try:
            self._services = self._snapshot.restore()
        except OSError as error:
            _log.warning("The last good copies cannot be read: %s", error)
        return self._as_declared()

    def _as_declared(self) -> dict[str, Service]:
        """The services whose champion is of the declared series; why others are not is kept."""
        found, foreign = {}, {}
        self.declared = declared = self._declarations.read()
        for name, service in self._services.items():
            if declared.replaced(service.champion.manifest):
                continue
            reason = declared.contradiction(service.champion.manifest)
            if reason is None:
                found[name] = replace(
                    service,
                    paused=name in declared.paused,
                    retired=self.retired(name),
                    strategy=self._noted.strategies.get(name) if self._noted else None,
                )
            else:
                foreign[name] = reason
        self.foreign = foreign
        return found

    def _look(self) -> dict[str, Service]:
        present = {**self._services, **self.services}
        try:
            require_readable(self._files, self._location.label)
            names = set(self._files.folders("bundles"))
            self.trust.look(self._files)
            published = read_universes(self._files, self.universes, self.trust)
            self.universes = {**self.universes, **published}
            self._noted = self._read_noted()
            declared = self.declared.series.keys() | self.declared.universes.keys()
            if declared - names - published.keys() and self.looks % LOOK_FOR_BEGINNINGS == 0:
                self._priced = frozenset(self._files.folders(PRICES.name))
                self._judged = frozenset(self._files.folders(SPLITS.name))
            self._readable, self.lake_problem = True, None
            if not (names or published):
                where = self._location.label
                self.lake_problem = f"There is no published bundle in the lake at {where}."
        except (FxAssetsError, OSError) as error:
            names, self._readable, self.lake_problem = set(), False, self._text(error)
        refused: dict[str, str] = {}
        found = {}
        for name in sorted(names | present.keys()):
            service = self._champion(name, present.get(name), refused)
            if service is not None:
                found[name] = service
        self.refused = refused
        self._services = found
        self._trial.rest()
        return self._as_declared()

    def _read_noted(self) -> Noted | None:
        if not self._files.blob_exists(DECLARED_PATH):
            return None
        try:
            return Noted.model_validate_json(self._files.read_blob(DECLARED_PATH))
        except ValidationError as error:
            count = error.error_count()
            _log.warning("%s cannot be read: %s values are wrong", DECLARED_PATH, count)
            return self._noted

    def _champion(
        self, name: str, present: Service | None, refused: dict[str, str]
    ) -> Service | None:
        if self.lake_problem is not None:
            return present and replace(present, stale=self.lake_problem)
        try:
            pointer = self._files.read_blob(pointer_path(name))
        except (FxAssetsError, OSError) as error:
            return present and replace(present, stale=self._text(error))
        if present is not None and present.pointer == pointer:
            distrusted = self.trust.reason(pointer, pointer_path(name))
            return replace(present, stale=None, refused=distrusted)
        tried, reason, rest = self._tried.get(name, (b"", "", 0))
        if tried == pointer and rest > 0:
            self._tried[name] = (tried, reason, rest - 1)
        else:
            try:
                return self._load(name, present)
            except Exception as error:
                reason = self._text(error)
                if tried != pointer:
                    _log.error("A bundle of %s was refused: %s", name, reason)
                again = RETRY_REFUSED
                if isinstance(error, TrialError):
                    again = RETRY_HARMFUL
                elif isinstance(error, RegistryError):
                    again = 0
                self._tried[name] = (pointer, reason, again)
        if present is None:
            refused[name] = reason
            return None
        return replace(present, stale=None, refused=reason)

    def _load(self, name: str, present: Service | None) -> Service:
        copy, path = Copy(self._files, name), pointer_path(name)
        pointer = copy.read_blob(path)
        self.trust.require(pointer, path)
        self._trial.check(copy)
        champion = Champion(load(copy, name))
        self.trust.accept(pointer, path)
        same = present is not None and (
            present.champion.manifest.series == champion.manifest.series
        )
        row, context = (present.row, present.context) if present and same else (None, None)
        service = Service(champion, pointer, row, context)
        self._tried.pop(name, None)
        self._stamps.pop(name, None)
        before = f"version {present.champion.version}" if present else "nothing"
        _log.info("%s: version %s follows %s", name, champion.version, before)
        try:
            self._snapshot.save_champion(copy, service)
        except (FxAssetsError, OSError) as error:
            self._warn_of_copy(name, error)
        return service

    async def _newest(self, service: Service) -> Service:
        """The service with the newest issued row and the newest bar."""
        if service.stale is not None:
            return service
        manifest = service.champion.manifest
        newest, watched = Newest(manifest), LiveSkill(manifest)
        try:
            stamps = await self._tables.stamps([*newest.sources, *watched.sources])
            if self._stamps.get(service.name) == stamps:
                return service
            row, context, drift = await self._tables.ask(newest)
            live = await self._tables.ask(watched)
        except Exception as error:
            if not isinstance(error, FxAssetsError | OSError):
                _log.exception("The newest rows of %s could not be read", service.name)
            return replace(service, stale=self._text(error))
        fresh = replace(service, row=row, context=context, drift=drift, live=live)
        try:
            self._snapshot.save_newest(fresh)
        except (FxAssetsError, OSError) as error:
            self._warn_of_copy(service.name, error)
        self._stamps[service.name] = stamps
        return fresh

    def _warn_of_copy(self, name: str, error: Exception) -> None:
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("No last good copy of %s can be kept: %s", name, error)

    def _text(self, error: Exception) -> str:
        if isinstance(error, FxAssetsError):
            return error.message
        return f"{type(error).__name__}: {self._location.redact(error)}"
