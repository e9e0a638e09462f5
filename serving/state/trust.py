"""Whose signatures count: what no key vouches for, or is older than was served, is refused."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime

from fx_assets import clock
from fx_assets.bundles.signing import PublicKey, check, entries
from fx_assets.errors import FxAssetsError, SignatureError, SpecError
from fx_assets.lake.location import Location
from serving.blobs import Files
from serving.settings import Settings

_log = logging.getLogger("serving")
NAME = "FX_SERVING_PUBLIC_KEYS"
MEMORY = "signed.json"


def load_public_keys(settings: Settings) -> list[PublicKey]:
    """The public keys of the setting and of its file, read now.

    Raises
    ------
    SpecError
        An entry is no public key, or the file cannot be read or has none.
    """
    file = settings.public_keys_file
    where = f"{NAME}_FILE={file}" if file else NAME
    found = entries(settings.public_keys, file, NAME)
    return [PublicKey.parse(entry, where) for entry in found]


class Trust:
    """The public keys of a server, and when what it has accepted was signed.

    Without keys everything is trusted, as storage is then. The file of keys is read again at each
    look, so that keys come and go without a restart. What was accepted is remembered in the folder
    of last good copies, so that a server that starts again is not given an older pointer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._all = load_public_keys(settings)
        self.checks = bool(self._all)
        self.refused: dict[str, str] = {}
        """By path what is refused by its signature, and why."""
        self.by: dict[str, tuple[str, ...]] = {}
        """By path whose signatures an accepted file has, of the keys that counted then."""
        self._files = Files(Location(str(settings.copies_folder)))
        self._newest = self._remembered()
        self._passed: dict[str, tuple[bytes, frozenset[str]]] = {}
        self._warned = False

    def look(self, lake: Files) -> None:
        """Read the keys again, and what was refused; known keys stay where they cannot be read."""
        if not self.checks:
            return
        try:
            self._all = load_public_keys(self._settings)
        except SpecError as error:
            if not self._warned:
                _log.error("The public keys stay as they were: %s", error.message)
            self._warned = True
        else:
            self._warned = False
        for path in list(self.refused):
            try:
                self.require(lake.read_blob(path), path)
            except SignatureError:
                continue
            except (FxAssetsError, OSError):
                self.refused.pop(path, None)

    def require(self, raw: bytes, path: str) -> None:
        """Refuse a file that may not be followed.

        Raises
        ------
        SignatureError
            No key that counts today has signed it for this path, or one that was accepted for this
            path is newer.
        """
        if not self.checks:
            return
        today = clock.now().astimezone(UTC).date()
        keys = {one.id: one for one in self._all if one.until is None or today <= one.until}
        if self._passed.get(path) == (raw, frozenset(keys)):
            self.refused.pop(path, None)
            return
        try:
            signed = check(raw, path, keys)
            before = self._newest.get(path)
            if before is not None and signed.at < before:
                raise SignatureError(
                    f"{path} was signed at {signed.at:%Y-%m-%d %H:%M:%S} UTC, before what was "
                    f"served last ({before:%Y-%m-%d %H:%M:%S}): an earlier one was put back. "
                    "fx-assets run follows the ledger again, fx-assets keys sign makes what is "
                    "right the newest."
                )
        except SignatureError as error:
            message = self._explained(error.message, today)
            if self.refused.get(path) != message:
                _log.error("%s", message)
            self.refused[path] = message
            raise SignatureError(message, remedy=error.remedy) from None
        self._passed[path] = raw, frozenset(keys)
        self.by[path] = signed.by
        self.refused.pop(path, None)

    def accept(self, raw: bytes, path: str) -> None:
        """Remember what is served from now on; an older one is refused."""
        if not self.checks:
            return
        at = datetime.fromisoformat(json.loads(raw)["signed_at"])
        if self._newest.get(path) == at:
            return
        self._newest = self._remembered() | self._newest | {path: at}
        text = json.dumps({one: when.isoformat() for one, when in self._newest.items()})
        try:
            self._files.write_blob(MEMORY, text.encode())
        except (FxAssetsError, OSError) as error:
            _log.warning("When pointers were signed cannot be remembered: %s", error)

    def reason(self, raw: bytes, path: str) -> str | None:
        """Why a file may not be followed; ``None`` where it may."""
        try:
            self.require(raw, path)
        except SignatureError as error:
            return error.message
        return None

    def by_name(self) -> dict[str, str]:
        """What is refused of each forecast, and of each universe with its members."""
        found: dict[str, list[str]] = {}
        for path, why in list(self.refused.items()):
            found.setdefault(path.split("/")[1].removesuffix(".json"), []).append(why)
        return {name: "; ".join(reasons) for name, reasons in found.items()}

    def _explained(self, message: str, today: date) -> str:
        dated = ((one.id, one.until) for one in self._all if one.until)
        past = [f"{name} until {until}" for name, until in dated if today > until]
        return f"{message} (Of the public keys, {', '.join(past)}.)" if past else message

    def _remembered(self) -> dict[str, datetime]:
        try:
            if not self._files.blob_exists(MEMORY):
                return {}
            found = json.loads(self._files.read_blob(MEMORY))
            return {str(path): datetime.fromisoformat(at) for path, at in found.items()}
        except (FxAssetsError, OSError, ValueError, TypeError, AttributeError):
            return {}
