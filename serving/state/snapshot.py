"""The last good champions on local disk: what a restarted server answers from without the lake."""

from __future__ import annotations

import logging
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fx_assets.bundles.bundle import load
from fx_assets.bundles.records import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Blobs,
    folder,
    pointer_path,
)
from fx_assets.errors import FxAssetsError
from fx_assets.lake.location import Location
from serving.blobs import Files
from serving.queries.context import Context
from serving.state.champions import Champion
from serving.state.service import Service
from serving.state.trust import Trust

_log = logging.getLogger("serving")
NEWEST = "newest.json"
INSTANTS = (
    "event_time", "decision_time", "target_time", "champion_decided_at", "champion_label_end",
    "issued_at",
)  # fmt: skip


class _Newest(Struct):
    row: dict[str, Any] | None
    context: Context | None
    series: str = ""
    """Of the champion that they were read for."""


class Snapshot:
    """A copy of one lake's champions, which are checked again before they are trusted."""

    def __init__(self, folder: Path, trust: Trust) -> None:
        self.folder, self._trust = folder, trust
        self._files = Files(Location(str(self.folder)))
        self._saved: dict[str, tuple[object, ...]] = {}

    def restore(self) -> dict[str, Service]:
        """Every forecast whose copy is whole, marked stale until the lake has confirmed it."""
        found = {}
        for name in self._files.folders("bundles"):
            try:
                pointer = self._files.read_blob(pointer_path(name))
                self._trust.require(pointer, pointer_path(name))
                champion = Champion(load(self._files, name))
                newest = self._newest(name, champion.manifest.series)
            except (FxAssetsError, msgspec.MsgspecError, OSError, KeyError) as error:
                _log.warning("The last good copy of %s is not usable: %s", name, error)
                continue
            found[name] = Service(
                champion,
                pointer,
                newest.row,
                newest.context,
                stale="The lake has not been reached since the server started.",
            )
        return found

    def save_champion(self, blobs: Blobs, service: Service) -> None:
        """Copy a champion's files; the pointer last, so that the copy is whole or the old one."""
        name, version = service.name, service.champion.version
        where = folder(name, version)
        for file in (MODEL_FILE, GOLDEN_FILE, MANIFEST_FILE):
            self._files.write_blob(f"{where}/{file}", blobs.read_blob(f"{where}/{file}"))
        self._files.write_blob(pointer_path(name), service.pointer)
        for other in self._files.folders(f"bundles/{name}"):
            if other != str(version):
                shutil.rmtree(self.folder / "bundles" / name / other, ignore_errors=True)

    def save_newest(self, service: Service) -> None:
        """Keep the newest forecast and what forecasts are made from, if they have changed."""
        series = service.champion.manifest.series
        present = (series, service.row, service.context)
        if self._saved.get(service.name) == present:
            return
        row = dict(service.row or {}) or None
        content = msgspec.json.encode(_Newest(row, service.context, series))
        self._files.write_blob(f"bundles/{service.name}/{NEWEST}", content)
        self._saved[service.name] = present

    def _newest(self, name: str, series: str) -> _Newest:
        path = f"bundles/{name}/{NEWEST}"
        if not self._files.blob_exists(path):
            return _Newest(None, None)
        newest = msgspec.json.decode(self._files.read_blob(path), type=_Newest)
        if newest.series != series:
            return _Newest(None, None)
        if newest.row is not None:
            times = {key: msgspec.convert(newest.row[key], datetime) for key in INSTANTS}
            newest.row = newest.row | times
        return newest
