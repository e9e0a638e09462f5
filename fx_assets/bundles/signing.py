"""Ed25519 signatures: that what is served was made by who holds a key, and made for this place.

A pointer and a universe's facts carry their signatures; a bundle's are in a file of its own, the
seal, which names the manifest by its hash. What is signed is the content together with its path in
the lake and the moment, so neither another place's nor an earlier file passes for the present one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fx_assets import clock
from fx_assets.bundles.records import Blobs, folder
from fx_assets.errors import FxAssetsError, SignatureError, SpecError
from fx_assets.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEAL_FILE = "signature.json"
_AT, _SIGNATURES = "signed_at", "signatures"
_BEGIN = b"fx-assets 1\n"
"""Of everything that is signed, so that a signature is of no use elsewhere."""
_BYTES = 32
_PUBLIC = 6
"""How much of a key is shown that may be a private one, by mistake."""
_SHOWN = 3


@dataclass(frozen=True)
class PublicKey:
    """What signatures are checked with."""

    raw: bytes
    until: date | None = None
    """The last day (UTC) on which it counts."""

    @property
    def id(self) -> str:
        """Its name in signatures: 16 hex digits of its SHA-256."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def text(self) -> str:
        """As it is given to a server."""
        return base64.b64encode(self.raw).decode()

    @classmethod
    def parse(cls, entry: str, where: str) -> PublicKey:
        """``BASE64``, or ``BASE64@2027-03-01``.

        Raises
        ------
        SpecError
            It is something else.
        """
        text, _, until = entry.partition("@")
        raw = _decoded(text)
        try:
            last = date.fromisoformat(until) if until else None
        except ValueError:
            raw = None
        if raw is None:
            raise SpecError(
                f"{where} has {entry[:_PUBLIC]!r}... ({len(entry)} characters), which is no public "
                "key.",
                remedy="Give what fx-assets keys show prints, with @2027-03-01 behind a key that "
                "is to count until that day only.",
            )
        return cls(raw, last)


@dataclass(frozen=True)
class Signed:
    """A file that passed: when it was signed, and by which of the keys that were asked for."""

    at: datetime
    by: tuple[str, ...]


class SigningKey:
    """A private key; it shows itself by its public half only."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.public.id})"

    @property
    def secret(self) -> str:
        """As it stands in its file; nothing but that file may hold it."""
        return base64.b64encode(self._key.private_bytes_raw()).decode()

    def sign(self, message: bytes) -> str:
        """The signature as base64."""
        return base64.b64encode(self._key.sign(message)).decode()

    @classmethod
    def new(cls) -> SigningKey:
        """A fresh one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str, where: str) -> SigningKey:
        """Of a file's line.

        Raises
        ------
        SpecError
            It is no private key; what it is is not told.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = _decoded(text)
        if raw is None:
            raise SpecError(
                f"{where} holds something that is no private key ({len(text)} characters).",
                remedy="Make one with fx-assets keys new FILE, and give that file.",
            )
        return cls(Ed25519PrivateKey.from_private_bytes(raw))


def entries(text: str, file: Path | None, name: str) -> list[str]:
    """What a setting and its file hold: parted by blanks, and by lines; ``#`` starts a comment.

    Raises
    ------
    SpecError
        The file cannot be read, or holds nothing.
    """
    found = text.split()
    if file is None:
        return found
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SpecError(
            f"{name}_FILE={file} cannot be read: {reason}.",
            remedy=f"Name a file that this user may read, or unset {name}_FILE.",
        ) from None
    listed = [one for line in lines for one in line.partition("#")[0].split()]
    if not listed:
        raise SpecError(f"{name}_FILE={file} holds no key.", remedy="Put one in, or unset it.")
    return found + listed


def signing_keys() -> list[SigningKey]:
    """The private keys of this deployment; none where nothing is to be signed.

    Raises
    ------
    SpecError
        One cannot be read.
    """
    settings = Settings()
    secret, file, name = settings.signing_key, settings.signing_key_path, "FX_ASSETS_SIGNING_KEY"
    text = secret.get_secret_value() if secret else ""
    where = f"{name}_FILE={file}" if file else name
    return [SigningKey.parse(one, where) for one in entries(text, file, name)]


def signed(blobs: Blobs, path: str, content: bytes) -> bytes:
    """JSON with the signatures of the deployment's keys; as it is where there is none.

    It is later than what is signed in its place already, whatever the clock says.
    """
    keys = signing_keys()
    if not keys:
        return content
    value = unsigned(content) | {_AT: _later(blobs, path).isoformat()}
    message = _message(value, within(blobs) + path)
    value[_SIGNATURES] = [{"key": one.public.id, "value": one.sign(message)} for one in keys]
    return json.dumps(value, indent=1, sort_keys=True).encode()


def write_signed(blobs: Blobs, path: str, content: bytes) -> None:
    """Write JSON as :func:`signed` makes it, unless it is there."""
    there = blobs.blob_exists(path) and unsigned(blobs.read_blob(path)) == json.loads(content)
    if not there or signed_by_all(blobs, path) is not None:
        blobs.write_blob(path, signed(blobs, path, content))


def unsigned(raw: bytes) -> dict[str, Any]:
    """The content of JSON that may be signed; empty where it cannot be read."""
    try:
        value = dict(json.loads(raw))
    except (ValueError, TypeError):
        return {}
    return {key: said for key, said in value.items() if key not in (_AT, _SIGNATURES)}


def check(raw: bytes, path: str, keys: Mapping[str, PublicKey]) -> Signed:
    """Whether one of the keys has signed this content for this path.

    Parameters
    ----------
    path
        In the lake, from its root.
    keys
        By their ids.

    Raises
    ------
    SignatureError
        None has, or the content is not what was signed.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_once)
        signatures = value.pop(_SIGNATURES, [])
        named = [(str(one["key"]), str(one["value"])) for one in signatures]
        at = datetime.fromisoformat(value[_AT]) if named else None
    except (ValueError, TypeError, AttributeError, KeyError):
        raise _refusal(
            path, "its signatures cannot be read: it was altered or is damaged"
        ) from None
    if at is None:
        raise _refusal(path, "it is not signed")
    message, by = _message(value, path), []
    for name, signature in named:
        if name not in keys:
            continue
        if not _verifies(keys[name].raw, signature, message):
            raise _refusal(
                path, f"it is not what the key {name} signed: it was altered, or is of elsewhere"
            )
        by.append(name)
    if not by:
        others = ", ".join(ascii(name[:16]) for name, _ in named[:_SHOWN])
        raise _refusal(path, f"it is signed by {others}, which is none of the public keys")
    return Signed(at, tuple(by))


def seal(blobs: Blobs, forecast: str, version: int, manifest_sha256: str) -> None:
    """Sign a stored bundle, where this deployment signs and has not done so."""
    if not signing_keys() or sealed(blobs, forecast, version, manifest_sha256) is None:
        return
    path = seal_path(forecast, version)
    facts = {"forecast": forecast, "version": version, "manifest_sha256": manifest_sha256}
    blobs.write_blob(path, signed(blobs, path, json.dumps(facts).encode()))


def sealed(blobs: Blobs, forecast: str, version: int, manifest_sha256: str) -> str | None:
    """Why a bundle is not signed by each key of this deployment; ``None`` where it is."""
    path = seal_path(forecast, version)
    reason = signed_by_all(blobs, path)
    if reason is None and signing_keys():
        stated = unsigned(blobs.read_blob(path)).get("manifest_sha256")
        if stated != manifest_sha256:
            return f"{path} was signed for another manifest, of sha256 {stated}"
    return reason


def signed_by_all(blobs: Blobs, path: str) -> str | None:
    """Why a file is not signed by each key of this deployment; ``None`` where it is, or none."""
    keys = {one.public.id: one.public for one in signing_keys()}
    if not keys:
        return None
    if not blobs.blob_exists(path):
        return f"{path} does not exist"
    try:
        by = check(blobs.read_blob(path), within(blobs) + path, keys).by
    except SignatureError as error:
        return error.message.rstrip(".")
    missing = sorted(keys.keys() - set(by))
    return f"{path} is not signed by {', '.join(missing)}" if missing else None


def require_sealed(blobs: Blobs, forecast: str, version: int, manifest_sha256: str) -> None:
    """Refuse to vouch for a bundle that no key of this deployment has signed.

    Raises
    ------
    SignatureError
        It is unsigned, or another one; never where this deployment signs nothing.
    """
    reason = sealed(blobs, forecast, version, manifest_sha256)
    if reason is not None:
        raise SignatureError(
            f"{within(blobs)}{folder(forecast, version)} may not become champion: {reason}.",
            remedy="A bundle of before there was the key: fx-assets keys sign --adopt. Otherwise "
            "find out who wrote it; a retrain publishes the next version.",
        )


def seal_path(forecast: str, version: int) -> str:
    """The file with the signatures of a bundle."""
    return f"{folder(forecast, version)}/{SEAL_FILE}"


def within(blobs: object) -> str:
    """The folder of the lake that blobs are below; empty, or it ends with a slash."""
    return str(getattr(blobs, "within", ""))


def _decoded(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _BYTES else None


def _message(value: Mapping[str, Any], path: str) -> bytes:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return _BEGIN + path.encode() + b"\n" + canonical.encode()


def _later(blobs: Blobs, path: str) -> datetime:
    now = clock.now().astimezone(UTC)
    try:
        before = datetime.fromisoformat(json.loads(blobs.read_blob(path))[_AT])
        return max(now, before.astimezone(UTC) + timedelta(microseconds=1))
    except (FxAssetsError, ValueError, TypeError, KeyError, OverflowError):
        return now


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; what names a key twice is read differently by different readers."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _verifies(key: bytes, signature: str, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _refusal(path: str, found: str) -> SignatureError:
    return SignatureError(
        f"{path}: the check of the signature failed: {found}.",
        remedy="Where the platform runs, with its key: fx-assets keys show says what is not signed "
        "by it, fx-assets run signs a pointer that was altered anew.",
    )
