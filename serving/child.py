"""What runs in the process that reads tables."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from serving import pandas_free

if TYPE_CHECKING:
    from fx_assets.lake.reader import Reader


@dataclass(frozen=True)
class Call:
    """A function of the lake's tables, with its other arguments."""

    make: str
    """As ``module:name``."""
    arguments: Sequence[object]
    root: str


def begin() -> None:
    """Prepare the process: the server stops it, not the terminal's interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    pandas_free.enforce()
    from serving import history, newest, performance, reasons, watched  # noqa: F401


def run(call: Call) -> Any:
    """Make the call with a reader of the lake, which is kept for the next one."""
    module, _, name = call.make.partition(":")
    return getattr(import_module(module), name)(_reader(call.root), *call.arguments)


@cache
def _reader(root: str) -> Reader:
    from fx_assets.lake.location import Location
    from fx_assets.lake.reader import Reader

    return Reader(Location(root))
