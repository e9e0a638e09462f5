"""Progress on a terminal: one line a finished step, and what is being done right now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar

import dagster as dg

Listener = Callable[[str, str], None]
"""Called with a step's name and what happens in it: ``start``, ``done``, or a message."""

listener: ContextVar[Listener | None] = ContextVar("listener", default=None)

_STEP_EVENTS = {
    dg.DagsterEventType.STEP_START: "start",
    dg.DagsterEventType.STEP_SUCCESS: "done",
    dg.DagsterEventType.STEP_FAILURE: "failed",
    dg.DagsterEventType.STEP_SKIPPED: "skipped",
}


class _ToListener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell = listener.get()
        if tell is None:
            return
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        step = meta.get("step_key") or (event.step_key if event else None) or ""
        if event is None:
            tell(step, meta.get("orig_message") or record.getMessage())
        elif event.event_type in _STEP_EVENTS:
            tell(step, _STEP_EVENTS[event.event_type])


def _progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("fx_assets.progress", level=logging.INFO)
    logger.addHandler(_ToListener())
    return logger


progress_logger = dg.LoggerDefinition(
    _progress_logger, description="Tells the command line how a run is getting on."
)
