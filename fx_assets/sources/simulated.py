"""A seeded artificial price, to try things out without a network.

Log returns from close to close follow a GARCH(1,1) (Bollerslev, 1986) with Student-t innovations
(Bollerslev, 1987) and mean zero: nothing about their sign can be predicted, something about their
size can. The path within a bar is a Brownian bridge of that bar's variance whose extremes are
drawn from their exact distribution between the points of a grid, so that range-based estimators
find the variance that made the path.

The bar of an instant follows from seed, start, calendar, first price and volatility alone: random
numbers are counted by the bar's position in the calendar (Philox; Salmon et al., 2011) and drawn in
whole chunks. A part that is fetched later agrees bit for bit with the whole, within one version of
NumPy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import DAY, Instants, instant_of, moment
from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch, Provenance, price_bars, rejected_rows
from fx_assets.specs import FeedSpec, SimulatedSource

SOURCE = "simulated"
ALPHA, BETA = 0.06, 0.92
FREEDOM = 6.0
"""Degrees of freedom of the innovations."""
GAP, PAUSE_GAP = 0.01, 0.2
"""Share of a bar's variance before its open: usually, and after a pause of the market."""
STEPS = 8
"""Points of the grid within a bar; extremes between them are drawn exactly."""
CHUNK = 1 << 14
UNITS = 1e6
"""Units outstanding at the start; they grow by :data:`ISSUED` a year."""
ISSUED = 0.02
_YEAR = np.timedelta64(31_556_952, "s")
_INNOVATIONS, _PATHS = 0, 1
_DAYS_A_YEAR = {"target": 252, "24x5": 260, "24x7": 365}
"""By which a year's volatility is divided; another number would revise every stored bar."""

Floats = NDArray[np.float64]


def fetch(source: SimulatedSource, ask: Ask) -> Batch:
    """The wanted bars, with volume and market capitalisation; two seconds for a million.

    Raises
    ------
    SourceError
        The feed begins later than now.
    """
    feed, market, now, wanted = ask.feed, ask.market, ask.now, ask.wanted
    until = min(wanted.last, now)
    last = max(feed.start, market.day_of(until))
    closes = market.closes(feed.start, last)
    closes = closes[closes <= moment(until)]
    if not len(closes):
        raise SourceError(
            f"{feed.name} begins on {feed.start}, and no bar of it closes by {now:%Y-%m-%d %H:%M}.",
            remedy="Move the feed's start to the past.",
        )
    inside = np.zeros(len(closes), dtype=bool)
    for after, end in wanted.spans:
        inside |= (closes > moment(after)) & (closes <= moment(end))
    path = _Path(source, closes, np.timedelta64(market.bar), _bars_a_year(feed))
    made = _identity(feed, source)
    bars, _ = price_bars(path.bars(inside), market, source=SOURCE, payload=made, now=now)
    newest = instant_of(closes[-1])
    return Batch(
        bars=bars,
        rejected=rejected_rows([], source=SOURCE, ingested_at=now),
        provenance=Provenance(
            provider=SOURCE,
            url=f"simulated://seed/{source.seed}",
            sha256=hashlib.sha256(f"{made} {newest.isoformat()}".encode()).hexdigest(),
            last_date=market.bar_day(newest),
            fetched_at=now,
            notes=f"Artificial prices made from seed {source.seed}; nobody traded at them.",
        ),
    )


def _bars_a_year(feed: FeedSpec) -> int:
    days = _DAYS_A_YEAR.get(feed.calendar)
    return days * (DAY // feed.market.bar) if days else feed.market.bars_a_year


def _identity(feed: FeedSpec, source: SimulatedSource) -> str:
    """Hash of all that bars follow from; it stands where others have the hash of a payload."""
    text = f"{source.model_dump_json()} {feed.start} {feed.market.key}"
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _Path:
    """The whole path at its closes; bars are made for those that are asked for.

    Parameters
    ----------
    closes
        Every close since the start, without holes.
    bar
        Length of a bar.
    """

    source: SimulatedSource
    closes: Instants
    bar: np.timedelta64
    bars_a_year: int

    def bars(self, inside: NDArray[np.bool_]) -> pd.DataFrame:
        """``event_time`` and prices of the bars at the positions ``inside``."""
        variance, returns = self._returns()
        level = np.cumsum(returns)
        chunks = np.unique(np.flatnonzero(inside) // CHUNK)
        parts = [self._chunk(int(chunk), variance, returns, level) for chunk in chunks]
        if not parts:
            return pd.DataFrame({"event_time": pd.DatetimeIndex([], tz="UTC")})
        frame = pd.concat(parts, ignore_index=True)
        positions = np.concatenate([np.arange(c * CHUNK, (c + 1) * CHUNK) for c in chunks])
        positions = positions[: len(frame)]
        wanted: pd.DataFrame = frame[inside[positions]]
        return wanted.reset_index(drop=True)

    def _returns(self) -> tuple[Floats, Floats]:
        """Each bar's variance and log return from close to close, padded to whole chunks."""
        chunks = -(-len(self.closes) // CHUNK)
        drawn = np.concatenate(
            [self._random(_INNOVATIONS, c).standard_t(FREEDOM, CHUNK) for c in range(chunks)]
        )
        z = drawn * np.sqrt((FREEDOM - 2) / FREEDOM)
        usual = self.source.annual_volatility**2 / self.bars_a_year
        omega = usual * (1 - ALPHA - BETA)
        factors = (ALPHA * z[:-1] ** 2 + BETA).tolist()
        variance = np.fromiter(
            accumulate(factors, lambda before, factor: omega + factor * before, initial=usual),
            dtype=np.float64,
            count=len(z),
        )
        return variance, np.sqrt(variance) * z

    def _chunk(self, chunk: int, variance: Floats, returns: Floats, level: Floats) -> pd.DataFrame:
        rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        held = self.closes[rows]
        # Always whole chunks: how NumPy rounds may depend on the length of an array.
        closes = np.pad(held, (0, CHUNK - len(held)), mode="edge")
        random = self._random(_PATHS, chunk)
        normal = random.standard_normal((STEPS + 2, CHUNK))
        uniform = random.random((2 * STEPS, CHUNK))
        v, r = variance[rows], returns[rows]
        before = self.closes[max(0, rows.start - 1)]
        gap = np.where(np.diff(closes, prepend=before) > self.bar, PAUSE_GAP, GAP)
        opened = gap * r + np.sqrt(gap * (1 - gap) * v) * normal[0]
        high, low = _extremes(opened, r, v * (1 - gap), normal[1:-1], uniform)
        start = np.log(self.source.price) + level[rows] - r
        usual = self.source.annual_volatility**2 / self.bars_a_year
        years = (closes - self.closes[0]) / _YEAR
        close = np.exp(start + r)
        frame = pd.DataFrame(
            {
                "event_time": pd.DatetimeIndex(closes).tz_localize("UTC"),
                "open": np.exp(start + opened),
                "high": np.exp(start + high),
                "low": np.exp(start + low),
                "close": close,
                "volume": _volume(closes - self.bar, v / usual, (high - low) ** 2 / v, normal[-1]),
                "market_cap": close * UNITS * (1 + ISSUED) ** years,
            }
        )
        return frame.iloc[: len(held)]

    def _random(self, stream: int, chunk: int) -> np.random.Generator:
        key = np.array([self.source.seed & 0xFFFF_FFFF_FFFF_FFFF, stream], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, chunk]))


def _extremes(
    opened: Floats, closed: Floats, variance: Floats, normal: Floats, uniform: Floats
) -> tuple[Floats, Floats]:
    """Highest and lowest log price of Brownian bridges from ``opened`` to ``closed``.

    Between two points a and b of the grid, v the variance of the step, the maximum of a bridge is
    ``(a + b + sqrt((a - b)^2 - 2 v ln U)) / 2`` with U uniform (Karatzas and Shreve, 1991, 4.3.40).
    """
    walk = np.cumsum(normal, axis=0) * np.sqrt(variance / STEPS)
    share = np.arange(1, STEPS + 1)[:, None] / STEPS
    points = opened + walk + share * (closed - opened - walk[-1])
    points = np.concatenate([opened[None], points[:-1], closed[None]])
    a, b = points[:-1], points[1:]
    spread = np.sqrt((a - b) ** 2 - 2 * (variance / STEPS) * np.log1p(-uniform[:STEPS]))
    high = ((a + b + spread) / 2).max(axis=0)
    spread = np.sqrt((a - b) ** 2 - 2 * (variance / STEPS) * np.log1p(-uniform[STEPS:]))
    low = ((a + b - spread) / 2).min(axis=0)
    return np.maximum(high, np.maximum(opened, closed)), np.minimum(low, np.minimum(opened, closed))


def _volume(opens: Instants, variance: Floats, span: Floats, normal: Floats) -> Floats:
    """Units traded: more in wide and nervous bars, in the afternoon (UTC) and on weekdays."""
    days = opens.astype("datetime64[D]")
    hour = (opens - days) / np.timedelta64(1, "h")
    weekend = (days.astype(np.int64) + 3) % 7 >= 5
    season = 0.4 * np.cos(2 * np.pi * (hour - 15) / 24) - 0.3 * weekend
    wide = 0.25 * np.log(np.maximum(span, 1e-3))
    volume: Floats = 1e3 * np.exp(season + 0.4 * np.log(variance) + wide + 0.3 * normal)
    return volume
