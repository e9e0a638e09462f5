"""What the clients of vendors' JSON APIs share: keys, budgets, answers, and errors without keys."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from fx_assets.errors import SourceError, one_line
from fx_assets.sources import http
from fx_assets.sources.bars import Ask
from fx_assets.sources.budget import RequestBudget
from fx_assets.sources.http import ApiCall, Download, Patience, TransientError, shown

MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class Vendor:
    """A provider's name and terms.

    Parameters
    ----------
    kind
        Its name in specs, settings and tables, such as ``twelve_data``.
    name
        Its name for people.
    url
        Address of its API.
    budget
        Requests in a time, such as ``8/minute;800/day``.
    key
        The key, where there is one.
    key_header
        The header that carries the key, and what stands before it there.
    get_a_key
        Where a person gets a key.
    """

    kind: str
    name: str
    url: str
    budget: str
    key: SecretStr | None = None
    key_header: tuple[str, str] = ("Authorization", "")
    get_a_key: str = ""

    @property
    def variable(self) -> str:
        """Beginning of the names of its settings."""
        return f"FX_ASSETS_{self.kind.upper()}"

    @property
    def key_variable(self) -> str:
        """The environment variable of the key."""
        return f"{self.variable}_KEY"


@dataclass(frozen=True)
class Answer:
    """An HTTP status below 500 and what its JSON says."""

    status: int
    body: Any
    retry_after: float | None = None


class VendorClient:
    """Asks one vendor for JSON.

    The key travels in a header, so that no address contains it, and is blanked out of whatever the
    vendor says. Requests are counted in a budget that all feeds and processes share. What is not
    whole JSON is tried again; an HTML page, a refused key, a block by location, or a limit whose
    end lies beyond the patience of a fetch is an error at once.

    Parameters
    ----------
    vendor
        Name, address, key and budget.
    ask
        Says timeouts, attempts and patience, and the folder of the shared budget.
    judge
        Raises what an answer of this vendor stands for, through :meth:`refused`,
        :meth:`key_refused`, :meth:`limited` and :meth:`busy`; returns whether the answer is one to
        use. Otherwise its status is judged as HTTP means it: 404 is left to the caller.

    Raises
    ------
    SourceError
        The key cannot be sent in a header.
    """

    def __init__(
        self,
        vendor: Vendor,
        ask: Ask,
        judge: Callable[[VendorClient, Answer], bool],
    ) -> None:
        self.vendor = vendor
        self.url = shown(vendor.url)
        self._settings = settings = ask.settings
        self._judge = judge
        self._key = _sendable(vendor)
        self._patience = Patience(settings.patience_seconds)
        self._budget = RequestBudget(
            vendor.kind, vendor.budget, f"{vendor.variable}_BUDGET", ask.cache_folder
        )
        self._sha256 = hashlib.sha256()

    @property
    def has_key(self) -> bool:
        """Whether requests carry a key."""
        return bool(self._key)

    @property
    def sha256(self) -> str:
        """Hash of all answers so far, one after the other."""
        return self._sha256.hexdigest()

    def get(self, path: str, query: Mapping[str, object], expected: str) -> Answer:
        """The answer to one question.

        Parameters
        ----------
        path
            Added to the vendor's address.
        query
            Parameters, without the key.
        expected
            What the answer should be, for messages, such as "daily bars of EUR/USD".

        Raises
        ------
        SourceError
            The vendor does not answer, refuses, or answers with something else.
        """
        header, before_key = self.vendor.key_header
        self.url = shown(self.vendor.url.rstrip("/") + path)
        found: list[Answer] = []
        call = ApiCall(
            judge=lambda download: found.append(self._read(download, expected)),
            patience=self._patience,
            query={name: str(value) for name, value in query.items()},
            headers={header: before_key + self._key} if self._key else {},
            before=lambda: self._budget.spend(self._patience),
        )
        content = http.download(
            self.vendor.url.rstrip("/") + path,
            self._settings,
            expected=f"{self.vendor.name}'s {expected}",
            max_bytes=MAX_BYTES,
            api=call,
        ).content
        self._sha256.update(content)
        return found[-1]

    def refused(self, message: object, remedy: str) -> SourceError:
        """To raise where the vendor says no."""
        return SourceError(f"{self.vendor.name} refuses: {self.clean(message)}", remedy=remedy)

    def key_refused(self, message: object) -> SourceError:
        """To raise where the vendor wants a key, or another one."""
        vendor = self.vendor
        known = "set" if self.has_key else "not set"
        return self.refused(
            f"{self.clean(message)} ({vendor.key_variable} is {known}.)",
            f"Set {vendor.key_variable} to a valid key; you get one at {vendor.get_a_key}.",
        )

    def busy(self, message: object) -> TransientError:
        """To raise where the vendor has a problem, so that it is asked again after a pause."""
        return TransientError(
            f"{self.vendor.name} cannot answer: {self.clean(message)}", remedy="Try again later."
        )

    def limited(self, message: object, wait: float | None = None) -> SourceError:
        """To raise where the vendor limits requests.

        It is asked again after ``wait`` seconds, or after a pause where it does not say; not where
        that is longer than the patience.
        """
        said = f"{self.vendor.name} limits requests: {self.clean(message)}"
        if wait is not None and wait > self._patience.left:
            until = datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=wait)
            return SourceError(
                f"{said} It asks to wait until {until:%Y-%m-%d %H:%M:%S} UTC, and a fetch waits no "
                "longer than FX_ASSETS_PATIENCE_SECONDS.",
                remedy="Try again then.",
            )
        return TransientError(
            said,
            remedy=f"Try again later, or lower {self.vendor.variable}_BUDGET, so that requests "
            "are spaced.",
            wait=wait,
        )

    def not_understood(self, expected: str, found: object) -> SourceError:
        """To raise where an answer's JSON has another form."""
        return SourceError(
            f"Expected {self.vendor.name}'s {expected} from {self.url}: the answer has another "
            f"form: {self.clean(found)}",
            remedy=f"Check {self.vendor.variable}_URL; the vendor may have changed its API.",
        )

    def without_key(self, text: str) -> str:
        """A text in which the key is blanked out."""
        return text.replace(self._key, "(key)") if self._key else text

    def clean(self, message: object) -> str:
        """What a vendor says as one line, short, and without the key."""
        return one_line(self.without_key(str(message)))

    def _read(self, download: Download, expected: str) -> Answer:
        status, vendor = download.status, self.vendor
        if status == 451 or (status == 403 and _is_html(download.content)):
            raise self.refused(
                f"it is blocked from this location (HTTP {status}).",
                "Name another provider as the feed's source, or in its failover.",
            )
        if _is_html(download.content) and status != 429:
            raise SourceError(
                f"Expected {vendor.name}'s {expected} from {download.url}: HTTP {status} with an "
                "HTML page instead of JSON.",
                remedy=f"Check {vendor.variable}_URL, and the network: a login page or a filter "
                "answers in its place.",
            )
        try:
            body = json.loads(download.content)
        except (ValueError, RecursionError):
            if status == 200:
                raise TransientError(
                    f"Expected {vendor.name}'s {expected} from {download.url}: "
                    f"{len(download.content):,} bytes that are not whole JSON.",
                    remedy="Try again later.",
                ) from None
            body = None
        answer = Answer(status, body, download.retry_after)
        if self._judge(self, answer):
            return answer
        said = body if body is not None else f"HTTP {status}."
        if status == 429:
            raise self.limited(_message(said) if body is not None else said, download.retry_after)
        if status in (401, 403):
            raise self.key_refused(_message(said))
        if status not in (200, 404):
            raise self.refused(f"HTTP {status}. {_message(said)}", "Check the feed's source.")
        return answer


def _sendable(vendor: Vendor) -> str:
    key = vendor.key.get_secret_value().strip() if vendor.key else ""
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SourceError(
            f"{vendor.key_variable} holds characters that no key of {vendor.name} has.",
            remedy="Set it again, without quotes, spaces and line breaks.",
        )
    return key


def _is_html(content: bytes) -> bool:
    return content.lstrip()[:1] == b"<"


def _message(body: Any) -> str:
    """The sentence in an error's body, wherever it is."""
    if isinstance(body, dict):
        for name in ("message", "Message", "error_message", "error", "status", "Err"):
            if body.get(name):
                return _message(body[name])
    return str(body)
