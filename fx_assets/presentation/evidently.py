"""What every page that Evidently draws has in common: its import, its style."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

MAP_SERVER = "https://cdn.plot.ly/"
STYLE = (
    "<style>.fx{font:14px/1.5 system-ui,sans-serif;margin:24px;max-width:960px}"
    ".fx table{border-collapse:collapse}.fx td,.fx th{padding:2px 12px;text-align:right;"
    "border-bottom:1px solid #ddd}.fx td:first-child,.fx th:first-child{text-align:left}"
    ".fx .yes{color:#b00020;font-weight:600}</style>"
)


@contextmanager
def evidently() -> Iterator[None]:
    """Where Evidently may be imported and run, without its warnings."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        import_evidently()
        yield


def with_head(page: str, head: str) -> bytes:
    """A page of Evidently's with our part on top, which needs no network."""
    # Plotly names its map server although nothing here draws maps: no page of ours names a CDN.
    page = page.replace(MAP_SERVER, "")
    start = page.index("<body>") + len("<body>")
    return (page[:start] + head + page[start:]).encode()


def import_evidently() -> None:
    """Import it once, with telemetry off; its package has no part that comes without the others.

    Its 2,500 modules stay: looking for garbage among them meanwhile takes a fifth of the time.
    """
    os.environ["DO_NOT_TRACK"] = "1"
    if "evidently.metrics" in sys.modules:
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        import evidently.metrics  # noqa: F401
    finally:
        if collects:
            gc.enable()
