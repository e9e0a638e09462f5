"""``fx-assets keys``: makes keys, signs what is published with them, and shows who signed what."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fx_assets import clock
from fx_assets.bundles.copies import damage
from fx_assets.bundles.records import (
    BACKGROUND_FILE,
    MANIFEST_FILE,
    POINTER_FILE,
    Blobs,
    pointer_path,
    sha256,
)
from fx_assets.bundles.signing import (
    PublicKey,
    SigningKey,
    check,
    seal,
    seal_path,
    sealed,
    signed,
    signed_by_all,
    signing_keys,
    unsigned,
    within,
)
from fx_assets.bundles.universes import FOLDER
from fx_assets.errors import FxAssetsError, SignatureError, SpecError
from fx_assets.lake import Lake
from fx_assets.lake.below import MEMBERS, Below
from fx_assets.plural import counted
from fx_assets.runner import say
from fx_assets.settings import Settings

MOST_SHOWN = 20
_BUNDLES = "bundles/"


def keys_on_terminal(options: Namespace) -> int:
    """Make a key, sign, or show; the exit code, 1 where something is not signed as it should be.

    Raises
    ------
    FxAssetsError
        It cannot be, and why.
    """
    if options.what == "new":
        return _new(Path(options.file))
    if options.what == "rotate":
        return _rotate()
    _require_keys()
    lake = Lake.from_settings(Settings())
    return _show(lake) if options.what == "show" else _sign(lake, adopt=options.adopt)


def renew(lake: Lake) -> int:
    """Sign anew what this deployment has signed; how many files, 0 where it signs nothing.

    What a backup brings back is older than what servers have seen, and is refused until then.
    """
    own = _own()
    found = [one for one in _published(lake) if own and not isinstance(one, _Bundle)]
    ours = [one for one in found if _signed_by_one(one, own)]
    for one in ours:
        one.sign()
    return len(ours)


@dataclass(frozen=True)
class _File:
    """A pointer, or what a universe says of itself."""

    blobs: Blobs
    path: str
    forecast: str

    @property
    def name(self) -> str:
        return f"{within(self.blobs)}{self.path}"

    @property
    def wrong(self) -> str | None:
        """Why it is not signed by each of the keys."""
        return signed_by_all(self.blobs, self.path)

    @property
    def whole(self) -> str | None:
        """Why a person may not vouch for it either."""
        return None if unsigned(self.blobs.read_blob(self.path)) else "it cannot be read"

    def sign(self) -> None:
        content = self.blobs.read_blob(self.path)
        self.blobs.write_blob(self.path, signed(self.blobs, self.path, content))


@dataclass(frozen=True)
class _Bundle(_File):
    """A stored version; ``path`` is that of its seal."""

    version: int

    @property
    def manifest_sha256(self) -> str:
        folder = self.path.rpartition("/")[0]
        return sha256(self.blobs.read_blob(f"{folder}/{MANIFEST_FILE}"))

    @property
    def wrong(self) -> str | None:
        return sealed(self.blobs, self.forecast, self.version, self.manifest_sha256)

    @property
    def whole(self) -> str | None:
        found = damage(self.blobs, self.forecast, self.version)
        found.pop(BACKGROUND_FILE, None)
        return ", ".join(f"{file}: {what}" for file, what in found.items()) or None

    def sign(self) -> None:
        seal(self.blobs, self.forecast, self.version, self.manifest_sha256)


def _published(lake: Lake) -> Iterator[_File]:
    """Every bundle, then every pointer, which vouches for one, then the universes."""
    pointers = []
    for path in (*lake.list_blobs(_BUNDLES), *lake.list_blobs(MEMBERS)):
        where, found, inner = path.rpartition(f"/{_BUNDLES}")
        blobs: Blobs = Below(lake, f"{where}/") if found else lake
        parts = (inner if found else path.removeprefix(_BUNDLES)).split("/")
        if parts[-1] == POINTER_FILE:
            pointers.append(_File(blobs, pointer_path(parts[0]), parts[0]))
        elif parts[-1] == MANIFEST_FILE and parts[1].isdecimal():
            version = int(parts[1])
            yield _Bundle(blobs, seal_path(parts[0], version), parts[0], version)
    yield from pointers
    for path in lake.list_blobs(f"{FOLDER}/"):
        yield _File(lake, path, Path(path).stem)


def _sign(lake: Lake, *, adopt: bool) -> int:
    own = _own()
    done, left = 0, []
    for one in _published(lake):
        with lake.lock(f"decisions-{one.forecast}"):
            wrong = one.wrong
            if wrong is None and isinstance(one, _Bundle):
                continue
            if wrong is not None and not (adopt or _signed_by_one(one, own)):
                left.append(wrong)
                continue
            if wrong is not None and (damaged := one.whole):
                left.append(f"{one.name} is damaged: {damaged}")
                continue
            one.sign()
            done += 1
    say(f"{counted(done, 'file')} signed by {' and '.join(own)}.")
    for reason in left[:MOST_SHOWN]:
        say(f"LEFT {reason}")
    if left:
        say(
            f"{counted(len(left), 'file')} left as found. What is from before there was this key: "
            "look at it, then fx-assets keys sign --adopt; what is damaged: fx-assets run first."
        )
    return 1 if left else 0


def _own() -> dict[str, PublicKey]:
    return {key.public.id: key.public for key in signing_keys()}


def _signed_by_one(one: _File, own: Mapping[str, PublicKey]) -> bool:
    """Whether one of the keys has signed it, so that the others may."""
    try:
        check(one.blobs.read_blob(one.path), one.name, own)
        if isinstance(one, _Bundle):
            stated = unsigned(one.blobs.read_blob(one.path))
            return bool(stated.get("manifest_sha256") == one.manifest_sha256)
    except FxAssetsError:
        return False
    return True


def _show(lake: Lake) -> int:
    for key in signing_keys():
        say(f"key {key.public.id}, public: {key.public.text}")
    everything = list(_published(lake))
    wrong = list(filter(None, (one.wrong for one in everything)))
    good = counted(len(everything) - len(wrong), "file")
    say(f"{good} of {len(everything)} signed by all of them.")
    for reason in wrong[:MOST_SHOWN]:
        say(f"NOT SIGNED {reason}")
    if wrong:
        say("What to do: fx-assets keys sign; it says what only a person can vouch for.")
    return 1 if wrong else 0


def _new(file: Path) -> int:
    if file.exists():
        raise SpecError(
            f"{file} exists, and may hold a key.",
            remedy="Name a new file; beside a key that is in use: fx-assets keys rotate.",
        )
    key = _add(file)
    say(f"The private key {key.public.id} is in {file}: give it to the platform only, as")
    say(f"FX_ASSETS_SIGNING_KEY_FILE={file.resolve()}")
    _tell_servers(key)
    say("What is published already is signed by: fx-assets keys sign --adopt")
    return 0


def _rotate() -> int:
    file = Settings().signing_key_path
    _require_keys()
    if file is None:
        raise SpecError(
            "FX_ASSETS_SIGNING_KEY is not in a file, where a second key could be put.",
            remedy="fx-assets keys new FILE, put both keys into the variable, parted by a blank, "
            "and run fx-assets keys sign.",
        )
    before = " and ".join(key.public.id for key in signing_keys())
    key = _add(file)
    code = _sign(Lake.from_settings(Settings()), adopt=False)
    _tell_servers(key)
    say(
        f"When every server has it, take the public key of {before} from them, and its line out of "
        f"{file}."
    )
    return code


def _add(file: Path) -> SigningKey:
    key = SigningKey.new()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        number = os.open(file, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
        with os.fdopen(number, "a+", encoding="utf-8") as stream:
            stream.seek(0)
            begun = stream.read()
            line = f"{key.secret}  # {key.public.id} of {clock.now():%Y-%m-%d}\n"
            stream.write(line if begun.endswith("\n") or not begun else f"\n{line}")
    except OSError as error:
        raise SpecError(
            f"{file} cannot be written: {error.strerror}.", remedy="Name a file that can be."
        ) from None
    return key


def _tell_servers(key: SigningKey) -> None:
    say(f"Its public key, for the servers (FX_SERVING_PUBLIC_KEYS): {key.public.text}")


def _require_keys() -> None:
    if not signing_keys():
        raise SignatureError(
            "This deployment has no key: FX_ASSETS_SIGNING_KEY_FILE and FX_ASSETS_SIGNING_KEY are "
            "not set.",
            remedy="Make one with fx-assets keys new FILE, and set what it prints.",
        )
