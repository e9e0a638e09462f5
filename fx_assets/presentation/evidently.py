"""What every page that Evidently draws has in common: its import, its style."""

from __future__ import annotations

import gc
import os
import sys

MAP_SERVER = "https://cdn.plot.ly/"
STYLE = (
    "<style>.fx{font:14px/1.5 system-ui,sans-serif;margin:24px;max-width:960px}"
    ".fx table{border-collapse:collapse}.fx td,.fx th{padding:2px 12px;text-align:right;"
    "border-bottom:1px solid #ddd}.fx td:first-child,.fx th:first-child{text-align:left}"
    ".fx .yes{color:#b00020;font-weight:600}</style>"
)


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
