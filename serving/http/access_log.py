"""The access log: one JSON object a request, written in batches so that no request waits."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TextIO

import msgspec
from msgspec import Struct

FLUSH_SECONDS = 0.2
FLUSH_LINES = 2000


class Entry(Struct, gc=False):
    """One request. Never holds headers, queries or bodies, so no key and no data of a caller."""

    time: float
    request_id: str
    client: str
    key: str
    method: str
    path: str
    status: int
    ms: float


class AccessLog:
    """Collects entries and writes them to standard error."""

    def __init__(self, enabled: bool, stream: TextIO | None = None) -> None:
        self.enabled = enabled
        self._stream = stream or sys.stderr
        self._entries: list[Entry] = []
        self._encode = msgspec.json.Encoder().encode_lines
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: Entry) -> None:
        """Log a request; the line is written soon after."""
        self._entries.append(entry)
        if len(self._entries) >= FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        entries, self._entries = self._entries, []
        if not entries:
            return
        try:
            self._stream.write(self._encode(entries).decode("utf-8", "replace"))
            self._stream.flush()
        except (OSError, ValueError):
            self.enabled = False


class JsonFormatter(logging.Formatter):
    """Every other record of the process as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        content = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(content).decode()
