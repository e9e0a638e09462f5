"""A source of one's own: one class that says where bars come from and what they are."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

import pandas as pd

from fx_assets.doors import SOURCES
from fx_assets.errors import FxAssetsError, SourceError, one_line
from fx_assets.settings import Settings
from fx_assets.sources.bars import Ask, Batch, Wanted, price_bars
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.sources import SourceSpec


@dataclass(frozen=True)
class Tryout:
    """How a source can be tried without its vendor.

    Parameters
    ----------
    settings
        What stands below ``source:`` in YAML, without ``kind``.
    environment
        Variables to set, keys included.
    fail
        Makes the vendor fail from then on.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    fail: Callable[[], None] | None = None


class SourcePlugin(SourceSpec):
    """Base of other people's sources. Its fields are the settings in YAML, below ``source:``.

    A class states ``name`` and the same as ``kind: Literal[...]``, its bars' ``bar_columns``,
    ``frequencies`` and ``publication_delay``, the ``libraries`` that it needs, in ``secrets`` the
    environment variables with keys, and has a field or property ``instrument``.
    """

    door: ClassVar[str] = SOURCES.group
    name: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions that it needs."""

    @abstractmethod
    def bars(self, ask: Ask) -> pd.DataFrame:
        """The wanted bars, or more, in any order.

        Returns
        -------
        DataFrame
            ``event_time``, when each bar closes (UTC), and the columns in ``bar_columns``.

        Raises
        ------
        Exception
            Anything; it becomes a ``SourceError`` that shows no secret.
        """

    @classmethod
    def tryout(cls, truth: pd.DataFrame, folder: Path) -> AbstractContextManager[Tryout]:
        """Stand in for the vendor with given bars, so that ``fx-assets prove`` can try the source.

        Parameters
        ----------
        truth
            Bars with ``event_time`` (UTC) and every price and volume; the last one is unfinished.
        folder
            An empty folder, for files.
        """
        raise NotImplementedError(
            f"{cls.__name__} has no tryout: write one, docs/plugins.md says how"
        )

    def secret(self, variable: str) -> str:
        """A key from the environment.

        Raises
        ------
        SourceError
            It is not set.
        """
        value = os.environ.get(variable, "").strip()
        if not value:
            raise SourceError(
                f"{self.name} needs a key, and {variable} is not set.",
                remedy=f"Set {variable}, in the environment or in .env.",
            )
        return value

    def fetch(
        self,
        feed: FeedSpec,
        settings: Settings,
        now: datetime,
        cache_dir: Path | None,
        wanted: Wanted,
    ) -> Batch:
        """The bars as a batch, without those that the clock says are unfinished.

        Raises
        ------
        SourceError
            They cannot be had, or are no bars.
        """
        ask = Ask(feed, settings, now, cache_dir, wanted)
        try:
            table = self.bars(ask)
            bars, _ = price_bars(
                _checked(table, self), feed.market, source=self.name, payload="", now=now
            )
        except FxAssetsError as error:
            raise SourceError(
                self._clean(error.message), remedy=self._clean(error.remedy)
            ) from None
        except Exception as error:
            # Not chained: the cause's text may hold a key.
            raise SourceError(
                f"{self.name} failed: {type(error).__name__}: {self._clean(str(error))}",
                remedy=f"Look at the settings of {feed.name}, and at the code of the source.",
            ) from None
        bars = bars[wanted.covers(bars["event_time"])].reset_index(drop=True)
        prices = pd.util.hash_pandas_object(bars.drop(columns=["ingested_at", "payload"]))
        sha256 = hashlib.sha256(prices.to_numpy().tobytes()).hexdigest()
        bars = bars.assign(payload=sha256).astype(BAR_DTYPES)
        return ask.batch(bars, provider=self.name, url=f"plugin://{self.name}", sha256=sha256)

    def _clean(self, text: str) -> str:
        """A text on one line without the value of any secret."""
        for variable in self.secrets:
            for spelt in spellings(os.environ.get(variable, "").strip()):
                text = text.replace(spelt, f"({variable})")
        return one_line(text)


def spellings(secret: str) -> list[str]:
    """How a secret appears in addresses, headers and texts, the longest first; none of an empty."""
    encoded = b64encode(secret.encode()).decode()
    forms = {secret, quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("=")}
    return sorted(forms - {""}, key=len, reverse=True)


def _checked(table: pd.DataFrame, source: SourcePlugin) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame) or "event_time" not in table or "close" not in table:
        columns = list(table) if isinstance(table, pd.DataFrame) else type(table).__name__
        raise SourceError(
            f"{source.name} returns {columns}, not a table with event_time and close.",
            remedy="Return a DataFrame with event_time and the columns in bar_columns.",
        )
    times = pd.DatetimeIndex(table["event_time"])
    if times.tz is None:
        raise SourceError(
            f"{source.name} returns event times without a zone.",
            remedy='Make them UTC, such as pd.to_datetime(..., unit="s", utc=True).',
        )
    known = [name for name in BAR_DTYPES if name in {"event_time", *(source.bar_columns or table)}]
    return table[[name for name in known if name in table]].reset_index(drop=True)
