"""One writer at a time: whoever comes next waits, and the dead hold nobody up.

On a local disk the operating system keeps the lock and frees it when its process ends. On S3 a
turn is an object with a number that only one writer can create (``If-None-Match``); its holder
writes it anew while it lives. Who waits sees by its own clock that it is no longer written, so
that clocks need not agree.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fx_assets.errors import LakeError
from fx_assets.lake.location import Location

LOCKS = ".locks"
LOOK_SECONDS = 1.0
"""Between two looks of a waiting writer; it grows to ten times as much."""
BEAT_SECONDS = 20.0
"""Between two signs of life of a holder on S3."""
SILENCE_SECONDS = 180.0
"""After which a holder on S3 is dead."""
Waiting = Callable[[str], None]
"""Called once, with the owner of the turn that is waited for."""


@contextmanager
def local_turn(folder: Path, name: str, owner: str, waiting: Waiting) -> Iterator[None]:
    """Have the turn of a local lake; an owner that has it already, in any process, goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(folder / f"{name}.turn"), folder / f"{name}.owner"
    told, pause = False, LOOK_SECONDS
    while True:
        try:
            lock.acquire(timeout=pause)
            break
        except Timeout:
            other = note.read_text() if note.exists() else ""
        if other == owner:
            yield
            return
        if not told:
            waiting(other)
            told = True
    try:
        note.write_text(owner)
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextmanager
def remote_turn(location: Location, name: str, owner: str, waiting: Waiting) -> Iterator[None]:
    """Have the turn of a lake on S3; an owner that has it already, in any process, goes on."""
    turns = _Turns(location, name, owner)
    told, pause = False, LOOK_SECONDS
    seen: _Turn | None = None
    since = time.monotonic()
    while True:
        newest = turns.newest()
        if newest is not None and newest.held_by(owner):
            yield
            return
        if newest != seen:
            seen, since = newest, time.monotonic()
        silent = time.monotonic() - since > SILENCE_SECONDS
        if newest is None or newest.free or silent:
            held = turns.take(0 if newest is None else newest.number + 1)
            if held is not None:
                break
            continue
        if not told:
            waiting(newest.owner)
            told = True
        time.sleep(pause)
        pause = min(pause * 1.5, 10 * LOOK_SECONDS)
    ended = threading.Event()
    beats = threading.Thread(target=turns.keep, args=(held, ended), daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()
        # A turn that is not given back is taken when it has been silent.
        with suppress(LakeError):
            turns.write(held, free=True)


@dataclass(frozen=True)
class _Turn:
    """The newest turn as its holder last wrote it."""

    number: int
    owner: str
    free: bool
    host: str
    process: int
    sign: int

    def held_by(self, owner: str) -> bool:
        return not self.free and self.owner == owner


class _Turns:
    """The numbered turns of one name; the highest number holds, or was the last to hold."""

    def __init__(self, location: Location, name: str, owner: str) -> None:
        self._location, self._owner = location, owner
        self._client = location.s3_client()
        self._prefix = location.key(f"{LOCKS}/{name}.turn.")
        self._signs = 0

    def newest(self) -> _Turn | None:
        keys = self._keys()
        if not keys:
            return None
        found = self._call("get_object", Key=keys[-1])
        if found is None:
            return self.newest()
        known = json.loads(found["Body"].read())
        turn = _Turn(number=int(keys[-1].removeprefix(self._prefix)), **known)
        dead = turn.host == this_host() and not process_exists(turn.process)
        return replace(turn, free=True) if dead else turn

    def take(self, number: int) -> int | None:
        """Try to be the first with a number; returns it, or None where somebody else was."""
        if not self.write(number, new=True):
            return None
        keys = self._keys()
        # Older numbers are deleted, so that one that was taken and given back can be had again.
        if int(keys[-1].removeprefix(self._prefix)) > number:
            self._call("delete_object", Key=self._key(number))
            return None
        for key in keys[:-1]:
            self._call("delete_object", Key=key)
        return number

    def keep(self, number: int, ended: threading.Event) -> None:
        """Write the turn anew until it ends."""
        while not ended.wait(BEAT_SECONDS):
            # Storage that is away for a moment must not end the writer.
            with suppress(LakeError):
                self.write(number)

    def write(self, number: int, *, new: bool = False, free: bool = False) -> bool:
        """Write a turn; False where a new one is there already."""
        self._signs += 1
        known = {
            "owner": self._owner,
            "free": free,
            "host": this_host(),
            "process": os.getpid(),
            "sign": self._signs,
        }
        only_new = {"IfNoneMatch": "*"} if new else {}
        key, data = self._key(number), json.dumps(known).encode()
        if self._call("put_object", Key=key, Body=data, **only_new) is not None:
            return True
        # It may be there because the answer to our own first attempt was lost.
        found = self._call("get_object", Key=key)
        return found is not None and found["Body"].read() == data

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012}"

    def _keys(self) -> list[str]:
        found = self._call("list_objects_v2", Prefix=self._prefix)
        return sorted(entry["Key"] for entry in (found or {}).get("Contents", []))

    def _call(self, method: str, **arguments: Any) -> Any:
        """The answer of S3; None where the object is not there, or is there already."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            call = getattr(self._client, method)
            return self._location.asking(lambda: call(Bucket=self._location.bucket, **arguments))
        except (BotoCoreError, ClientError) as error:
            answer = getattr(error, "response", {})
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status in {404, 409, 412} and answer["Error"]["Code"] != "NoSuchBucket":
                return None
            raise LakeError(
                f"The lock {arguments.get('Key', self._prefix)} in the lake at "
                f"{self._location.label}: {self._location.redact(error)}",
                remedy="Check that the storage can be reached and that its credentials allow this.",
            ) from None


def this_host() -> str:
    """Where process numbers mean this; containers may share a host's name, not its numbers."""
    name = socket.gethostname()
    with suppress(OSError):
        return f"{name} {os.readlink('/proc/self/ns/pid')}"
    return name


def process_exists(process: int) -> bool:
    """Whether this machine has such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
