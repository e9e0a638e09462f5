"""What a strategy would have earned by stored predictions: positions, fills, costs, bar by bar.

A position is decided when a prediction could be made, and taken at the first price of a later bar
that was traded by then or after: the bar that decided is never traded at. Positions are multiples
of a constant capital, so that what is earned adds up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import NEW_YORK, Calendar, Instants
from fx_assets.errors import NotEnoughDataError, SpecError
from fx_assets.evaluation.intervals import VOLATILITY_FLOOR, ewma_volatility
from fx_assets.evaluation.losses import Floats
from fx_assets.specs.strategy import Costs, StrategySpec
from fx_assets.targets import TargetDefinition

FEWEST_BARS = 30
_ROLLOVER = pd.Timedelta(hours=7)
"""From 17:00 in New York, when a night begins, to midnight."""


@dataclass(frozen=True, eq=False)
class Prices:
    """An instrument's bars, in order, and how they are traded.

    Parameters
    ----------
    times
        (n,) closes of the bars, ascending.
    close
        (n,) what positions are decided from.
    price
        (n,) what they are filled at.
    moments
        (n,) when that price was traded.
    known
        (n,) when each bar was known: the decision time of a prediction from it.
    """

    times: Instants
    close: Floats
    price: Floats
    moments: Instants
    known: Instants
    instrument: str

    @classmethod
    def of(
        cls, bars: pd.DataFrame, market: Calendar, strategy: StrategySpec, instrument: str
    ) -> Prices:
        """From bars with ``event_time``, ``close`` and, to be filled at opens, ``open``.

        Raises
        ------
        SpecError
            Fills are at opens, and the bars have none.
        """
        bars = bars.sort_values("event_time")
        times = pd.DatetimeIndex(bars["event_time"]).tz_convert(None).to_numpy("datetime64[us]")
        close = bars["close"].to_numpy(dtype=np.float64)
        price, moments = close, times
        if strategy.fill == "next_open":
            price = bars["open"].to_numpy(dtype=np.float64) if "open" in bars else close * np.nan
            if not np.isfinite(price).all():
                raise SpecError(
                    f"{instrument}: fill is next_open, and bars are without an open.",
                    remedy="Set fill: next_close in the forecast's strategy.",
                )
            moments = times - np.timedelta64(market.bar)
        return cls(times, close, price, moments, market.published(times), instrument)

    @cached_property
    def volatility(self) -> Floats:
        """Exponentially smoothed volatility of a bar, as known at each."""
        return ewma_volatility(np.diff(np.log(self.close), prepend=np.log(self.close[:1])))

    @cached_property
    def usual_volatility(self) -> Floats:
        """The same, of all bars until each."""
        squares = np.diff(np.log(self.close), prepend=np.log(self.close[:1])) ** 2
        mean = np.cumsum(squares) / np.maximum(1, np.arange(len(squares)))
        return np.maximum(np.sqrt(mean), VOLATILITY_FLOOR)

    @cached_property
    def nights(self) -> Floats:
        """(n - 1,) nights from each fill to the next, weekends included; the triple swap's sum."""
        local = pd.DatetimeIndex(self.moments).tz_localize("UTC").tz_convert(NEW_YORK)
        days = (local.tz_localize(None) + _ROLLOVER).normalize()
        return np.diff(days.to_numpy("datetime64[D]")).astype(np.float64)

    def share(self, costs: Costs) -> Floats:
        """(n,) what a unit of the costs is, as a share of the price."""
        if costs.unit == "basis_points":
            return np.full(len(self.price), 1e-4)
        pip = costs.pip_of(self.instrument)
        if pip is None:
            raise SpecError(
                f"{self.instrument} has no customary pip.",
                remedy="Set pip in the costs, or give them in basis_points.",
            )
        return pip / self.price


@dataclass(frozen=True, eq=False)
class Earned:
    """A strategy bar by bar, as shares of the capital; a row is from one fill to the next.

    ``net`` is ``gross - cost + swap``. ``volatility`` is that of a bar of the instrument as the
    decision knew it, ``usual`` the mean of all of history.
    """

    first: int
    """Position of the first row among the bars."""
    filled_at: Instants
    decided_at: Instants
    position: Floats
    price: Floats
    gross: Floats
    cost: Floats
    swap: Floats
    volatility: Floats
    usual: Floats

    @cached_property
    def net(self) -> Floats:
        """What is left."""
        return self.gross - self.cost + self.swap

    @property
    def turnover(self) -> Floats:
        """Change of the position at each fill."""
        return np.abs(np.diff(self.position, prepend=0.0))

    def table(self) -> pd.DataFrame:
        """The rows for the table ``strategy_rows``."""
        moments = {"filled_at": self.filled_at, "decided_at": self.decided_at}
        numbers = ("position", "price", "gross", "cost", "swap", "net")
        return pd.DataFrame(
            {name: pd.DatetimeIndex(at).tz_localize("UTC") for name, at in moments.items()}
            | {name: getattr(self, name) for name in numbers}
        )


def earn(
    predictions: pd.DataFrame,
    prices: Prices,
    strategy: StrategySpec,
    target: TargetDefinition,
    horizon: int,
    bars_a_year: int,
) -> Earned:
    """What the strategy would have earned by stored predictions.

    Parameters
    ----------
    predictions
        ``event_time`` (UTC, of the bar that each is made from) and ``prediction``, in order.
    horizon
        Of the predictions, in bars. Of ``sign`` and ``sized`` each is followed by its share of the
        capital for so long: the position is the mean of the newest ``horizon``.

    Raises
    ------
    NotEnoughDataError
        Fewer than 30 bars could be held.
    SpecError
        The strategy is not for such a target, or its costs cannot be told for the instrument.
    """
    costs = strategy.costs
    refusal = strategy.refusals(target.outcome)
    if costs is None or refusal:
        raise SpecError(
            f"{prices.instrument}: {refusal or 'a strategy without costs says nothing'}.",
            remedy="Set the strategy of the forecast as docs/economics.md shows.",
        )
    at, said = _placed(predictions, prices.times)
    wanted = _positions(said, prices.volatility[at], strategy, target, horizon, bars_a_year)
    fills = np.maximum(np.searchsorted(prices.moments, prices.known[at]), at + 1)
    last = len(prices.price) - 2
    if not len(fills) or min(fills[-1], last) - fills[0] + 1 < FEWEST_BARS:
        raise NotEnoughDataError(
            f"{prices.instrument}: fewer than {FEWEST_BARS} bars follow a prediction.",
            remedy="Wait for more bars, or set walk_forward.first_test to an earlier day.",
        )
    rows = np.arange(fills[0], min(int(fills[-1]), last) + 1)
    newest = np.searchsorted(fills, rows, side="right") - 1
    position, price = wanted[newest], prices.price
    share = prices.share(costs)[rows]
    held = np.where(position > 0, costs.swap_long, costs.swap_short) * np.abs(position)
    risk = target.outcome == "positive"
    known = np.sqrt(said / horizon) if risk else prices.volatility[at]
    return Earned(
        first=int(rows[0]),
        filled_at=prices.moments[rows],
        decided_at=prices.known[at][newest],
        position=position,
        price=price[rows],
        gross=position * (price[rows + 1] / price[rows] - 1.0),
        cost=np.abs(np.diff(position, prepend=0.0)) * costs.side * share,
        swap=held * share * prices.nights[rows],
        volatility=np.maximum(known[newest], VOLATILITY_FLOOR),
        usual=prices.usual_volatility[at][newest],
    )


def _placed(predictions: pd.DataFrame, times: Instants) -> tuple[NDArray[np.intp], Floats]:
    """The bars that predictions were made from, and what they say; of bars that are there."""
    made = pd.DatetimeIndex(predictions["event_time"]).tz_convert(None).to_numpy("datetime64[us]")
    at = np.minimum(np.searchsorted(times, made), len(times) - 1)
    said = predictions["prediction"].to_numpy(dtype=np.float64)
    there = (times[at] == made) & np.isfinite(said)
    return at[there], said[there]


def _positions(
    said: Floats,
    volatility: Floats,
    strategy: StrategySpec,
    target: TargetDefinition,
    horizon: int,
    bars_a_year: int,
) -> Floats:
    """The position that each prediction asks for, in multiples of the capital."""
    if target.outcome == "positive":
        a_year = np.sqrt(np.maximum(said, VOLATILITY_FLOOR**2) * bars_a_year / horizon)
        return np.minimum(strategy.target_volatility / a_year, strategy.largest)
    binary = target.outcome == "binary"
    edge = 2.0 * said - 1.0 if binary else said
    if strategy.kind == "sign":
        asked = strategy.largest * np.sign(edge)
    else:
        expected = edge * volatility * np.sqrt(2.0 * horizon / np.pi) if binary else edge
        asked = expected / (horizon * strategy.risk_aversion * volatility**2)
        asked = np.clip(asked, -strategy.largest, strategy.largest)
    total = np.concatenate([[0.0], np.cumsum(asked)])
    begin = np.maximum(0, np.arange(1, len(asked) + 1) - horizon)
    # Sums of many signs are exact; of sizes they are as good as the eye.
    return asked if horizon == 1 else (total[1:] - total[begin]) / horizon
