"""Waiting for S3 that is away for a moment; what will not pass by itself is told at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

PATIENCE_SECONDS = 120.0
"""How long a writer waits in all for storage that refuses, hangs or asks to slow down."""
ANSWER_SECONDS = 20.0
"""How long a writer waits for one answer."""
LONGEST_PAUSE = 5.0
"""Between two attempts; the first are shorter."""
_BUSY = {429, 500, 502, 503, 504}
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


def delta_options() -> dict[str, str]:
    """The same for Delta tables, whose object store library makes the attempts."""
    return {
        "max_retries": "1000",
        "retry_timeout": f"{PATIENCE_SECONDS:g}s",
        "backoff_config.max_backoff": f"{LONGEST_PAUSE:g}s",
        "timeout": f"{ANSWER_SECONDS:g}s",
    }


def patiently(call: Callable[[], _T]) -> _T:
    """Make a call of boto3's again while its error is one that passes."""
    retrying = Retrying(
        retry=retry_if_exception(passes),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_random_exponential(multiplier=0.2, max=LONGEST_PAUSE),
        before_sleep=_tell,
        reraise=True,
    )
    return retrying(call)


def passes(error: BaseException) -> bool:
    """Whether an error of boto3's may be over in a moment: no answer, or one that says so."""
    from botocore.exceptions import (
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        SSLError,
    )

    if isinstance(error, ClientError):
        answer: dict[str, Any] = error.response
        return answer.get("ResponseMetadata", {}).get("HTTPStatusCode") in _BUSY
    away = (ConnectionError, HTTPClientError, IncompleteReadError)
    return isinstance(error, away) and not isinstance(error, SSLError)


def _tell(state: RetryCallState) -> None:
    if state.attempt_number == 2:
        _log.warning("S3 does not answer; it is asked again for %g s.", PATIENCE_SECONDS)
