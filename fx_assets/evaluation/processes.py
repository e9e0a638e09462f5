"""Processes that a process of a run begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from multiprocessing.process import AuthenticationString  # type: ignore[attr-defined]
from typing import Any


@contextmanager
def may_have_children() -> Iterator[None]:
    """Celery executes runs in daemonic processes, which may begin no others of their own accord.

    Who uses it waits for those that it begins.
    """
    told: dict[str, Any] = vars(current_process())["_config"]
    before = dict(told)
    # Celery's own kind of key cannot be handed to a process of the standard library.
    told |= {"daemon": False, "authkey": AuthenticationString(told["authkey"])}
    try:
        yield
    finally:
        told.clear()
        told |= before
