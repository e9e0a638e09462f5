"""What must hold on every simulated day, read from the real tables and worked out apart from them.

Each check raises :class:`InvariantError` with the invariant, the table and the offending row. The
numbers are those of the design's section on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import cast

import numpy as np
import pandas as pd

from benchmarks.drill.deployment import FEED, FORECAST, feed_spec, forecast_spec
from benchmarks.drill.world import CLOSE, FRANKFURT, PUBLICATION, at, is_open
from fx_assets.calendars import calendar
from fx_assets.features import feature_set
from fx_assets.features.frame import feature_frame
from fx_assets.lake import Lake
from fx_assets.tables import (
    DECISIONS,
    FEATURES,
    OUTCOMES,
    PREDICTIONS,
    PRICES,
    RAW_PRICES,
    SPLITS,
    TEST_SET,
    TRAIN_SET,
    features_name,
)

STAMPS = ("event_time", "available_at", "source", "ingested_at")


class InvariantError(AssertionError):
    """An invariant does not hold."""


def require(holds: object, invariant: str, found: object) -> None:
    """Raise :class:`InvariantError` unless it holds."""
    if not holds:
        raise InvariantError(f"{invariant}: {found}")


@dataclass
class Invariants:
    """Remembers what the tables held, and compares.

    Parameters
    ----------
    lake
        The lake under drill.
    live_from
        First day of the drill.
    seed
        Chooses the rows of the checks that are made on samples.
    """

    lake: Lake
    live_from: date
    seed: int = 0
    checks: int = 0
    """Single facts that were compared so far."""
    _rows: dict[str, np.ndarray] = field(default_factory=dict)
    _versions: dict[str, int | None] = field(default_factory=dict)
    _prices: pd.DataFrame | None = None
    _seen: pd.Index = field(default_factory=lambda: pd.Index([]))

    def __post_init__(self) -> None:
        self.spec = forecast_spec(self.live_from)
        self.market = calendar(feed_spec().calendar)
        self.features = feature_set(self.spec.features)
        self.columns = list(self.features.columns)
        self.random = np.random.default_rng(self.seed)

    def check(self, now: datetime) -> None:
        """Assert everything that can be asserted after a day.

        Raises
        ------
        InvariantError
            An invariant does not hold.
        """
        raw = self.lake.read(RAW_PRICES.name, FEED)
        prices = self.lake.read(PRICES.name, FEED).sort_values("event_time", ignore_index=True)
        predictions = self.lake.read_or_empty(PREDICTIONS.name, FORECAST)
        self.stamped(raw, now)
        self.only_grows(f"{RAW_PRICES.name}/{FEED}", raw)
        self.on_open_days(raw, prices)
        self.as_known(raw, prices, now)
        if len(predictions):
            self.only_grows(f"{PREDICTIONS.name}/{FORECAST}", predictions)
            self.nothing_from_the_future(predictions, raw)
            self.scored(predictions, prices)
        self.prefix_invariant(prices)
        if self._changed(DECISIONS.name):
            decisions = self.lake.read(DECISIONS.name, FORECAST)
            self.only_grows(f"{DECISIONS.name}/{FORECAST}", decisions)
            self.champions_knew_no_outcome(decisions)
            self.purged()

    def stamped(self, raw: pd.DataFrame, now: datetime) -> None:
        """1: every bar says when it closed, when it could be known, from whom and since when."""
        missing = raw[list(STAMPS)].isna().any(axis=1)
        require(not missing.any(), "1 a bar lacks a stamp", raw[missing].head(1).to_dict("records"))
        early = raw["available_at"] < raw["event_time"]
        require(not early.any(), "1 a bar was known before it closed", raw[early].head(1))
        late = (raw["ingested_at"] > pd.Timestamp(now) + pd.Timedelta(1, "s")) | (
            raw["event_time"] > pd.Timestamp(now)
        )
        require(not late.any(), "5 a bar from the future", raw[late].head(1).to_dict("records"))
        self.checks += 3 * len(raw)

    def only_grows(self, table: str, rows: pd.DataFrame) -> None:
        """1, 2: each row that was there is there still, to the last bit."""
        columns = sorted(rows.columns)
        hashes = np.sort(pd.util.hash_pandas_object(rows[columns], index=False).to_numpy())
        before = self._rows.get(table)
        if before is not None:
            values, counts = np.unique(before, return_counts=True)
            times = np.searchsorted(hashes, values, "right") - np.searchsorted(hashes, values)
            lost = int((times < counts).sum())
            require(not lost, f"1 {table} is append-only", f"{lost} row(s) changed or are gone")
            self.checks += len(before)
        self._rows[table] = hashes

    def on_open_days(self, raw: pd.DataFrame, prices: pd.DataFrame) -> None:
        """6: no weekend, no holiday, no bar twice, and each at the fixing's time."""
        events = raw["event_time"].drop_duplicates()
        for event in events[~events.isin(self._seen)]:
            day = event.tz_convert(FRANKFURT).date()
            require(is_open(day), "6 a bar on a closed day", event)
            require(event == pd.Timestamp(at(day, CLOSE)), "6 a bar off the fixing's time", event)
        self._seen = pd.Index(events)
        twice = prices["event_time"].duplicated()
        require(
            not twice.any(), "6 a bar twice in prices", prices[twice].head(1).to_dict("records")
        )
        again = raw.duplicated(["event_time", "available_at", "close"])
        require(not again.any(), "1 a bar twice in raw_prices", raw[again].head(1))
        self.checks += len(raw)

    def as_known(self, raw: pd.DataFrame, prices: pd.DataFrame, now: datetime) -> None:
        """1: prices are the newest revision of each bar, unless a run was stopped before them."""
        columns = ["event_time", "available_at", "close"]
        expected = newest_known(raw, now)[columns].reset_index(drop=True)
        found = prices[columns].reset_index(drop=True)
        if not found.equals(expected):
            behind = self._prices is not None and found.equals(self._prices)
            require(behind, "1 prices are not what is known now", f"{len(found)} {len(expected)}")
        self._prices = found
        self.checks += len(expected)

    def prices_are_current(self, raw: pd.DataFrame, prices: pd.DataFrame, now: datetime) -> bool:
        """Whether every known bar has reached prices."""
        columns = ["event_time", "close"]
        return newest_known(raw, now)[columns].equals(
            prices.sort_values("event_time")[columns].reset_index(drop=True)
        )

    def nothing_from_the_future(self, predictions: pd.DataFrame, raw: pd.DataFrame) -> None:
        """2: bars and labels behind a prediction were known by its decision time."""
        require(not predictions["day"].duplicated().any(), "2 a day predicted twice", "")
        for name, earlier, later in (
            ("its bar closed later", "event_time", "decision_time"),
            ("its champion's labels were known later", "champion_label_end", "decision_time"),
            ("it was issued before it was decided", "decision_time", "issued_at"),
        ):
            wrong = predictions[earlier] > predictions[later]
            require(not wrong.any(), f"2 {name}", predictions[wrong]["day"].tolist())
        live = predictions["mode"] == "live"
        in_time = predictions["issued_at"] < predictions["target_time"]
        require((live == in_time).all(), "2 a late prediction called live", "")
        newest = predictions.sort_values("event_time").tail(10)
        recent = raw[raw["event_time"] >= newest["event_time"].min()]
        for row in newest.itertuples():
            event, decided = (
                cast("pd.Timestamp", row.event_time),
                cast("pd.Timestamp", row.decision_time),
            )
            day = event.tz_convert(FRANKFURT).date()
            require(
                decided == pd.Timestamp(at(day, PUBLICATION)), "2 decided at another time", row.day
            )
            known = newest_known(recent, decided)
            close = known.loc[known["event_time"] == event, "close"]
            require(
                len(close) == 1 and float(close.iloc[0]) == row.as_of_close,
                "2 a prediction used a bar that was not known",
                row.day,
            )
            require(
                known["event_time"].max() == event, "2 a prediction missed a known bar", row.day
            )
        self.checks += 5 * len(predictions)

    def scored(self, predictions: pd.DataFrame, prices: pd.DataFrame) -> None:
        """Each prediction whose outcome is known is scored with the truth as it is known."""
        outcomes = self.lake.read_or_empty(OUTCOMES.name, FORECAST)
        if outcomes.empty:
            return
        self.only_grows(f"{OUTCOMES.name}/{FORECAST}", outcomes)
        newest = outcomes.sort_values("known_at").drop_duplicates("day", keep="last")
        for wrong, said in (
            (~newest["event_time"].isin(predictions["event_time"]), "scored without a prediction"),
            (~newest["target_time"].isin(prices["event_time"]), "scored before its outcome"),
        ):
            require(not wrong.any(), said, newest.loc[wrong, "day"].tolist())
        close = prices.set_index("event_time")["close"]
        recent = newest.sort_values("event_time").iloc[-5:-1]
        for row in recent.itertuples():
            rose = close[row.target_time] > close[row.event_time]
            require(bool(row.target) == rose, "scored with another outcome", row.day)
        self.checks += 2 * len(newest)

    def prefix_invariant(self, prices: pd.DataFrame) -> None:
        """3: a row of features, drawn at random, is the same from its own past alone."""
        features = self.lake.read_or_empty(FEATURES.name, features_name(FEED, self.spec.features))
        if features.empty:
            return
        features = features.sort_values("event_time", ignore_index=True)
        position = int(self.random.integers(max(0, len(features) - 600), len(features)))
        row = features.iloc[position]
        past = prices[prices["event_time"] <= row["event_time"]].reset_index(drop=True)
        if not np.array_equal(features["close"], prices["close"].to_numpy()[: len(features)]):
            return  # a revision has reached prices and not yet the features
        again = feature_frame(past, self.features, self.market).iloc[-1]
        stored = row[self.columns].to_numpy(np.float64)
        computed = again[self.columns].to_numpy(np.float64)
        same = stored.view(np.uint64) == computed.view(np.uint64)
        different = [c for c, equal in zip(self.columns, same, strict=True) if not equal]
        require(not different, f"3 features at {row['event_time']} know their future", different)
        self.checks += len(self.columns)

    def champions_knew_no_outcome(self, decisions: pd.DataFrame) -> None:
        """2: a champion's labels and data were known when it was decided on."""
        for name in ("label_end", "data_as_of"):
            wrong = decisions[name] > decisions["decided_at"]
            require(not wrong.any(), f"2 a champion's {name} lies after its decision", "")
        self.checks += 2 * len(decisions)

    def purged(self) -> None:
        """4: no training label was known only after the first test row."""
        splits = self.lake.read(SPLITS.name, FORECAST)
        wrong = splits["label_end"] > splits["known_by"]
        require(not wrong.any(), "4 a fold is not purged", splits[wrong].to_dict("records")[:1])
        train = self.lake.read(TRAIN_SET.name, FORECAST)
        test = self.lake.read(TEST_SET.name, FORECAST)
        if len(train) and len(test):
            known, first = train["label_available_at"].max(), test["available_at"].min()
            require(known <= first, "4 train and test overlap", f"{known} > {first}")
        self.checks += len(splits) + 1

    def _changed(self, table: str) -> bool:
        version = self.lake.version(table, FORECAST)
        changed = self._versions.get(table) != version
        self._versions[table] = version
        return changed and version is not None


def newest_known(raw: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """One row a bar, as known at an instant; written apart from the platform's own function."""
    known = raw[raw["available_at"] <= pd.Timestamp(now)]
    ordered = known.sort_values(["event_time", "available_at", "ingested_at"], kind="stable")
    return ordered.groupby("event_time", sort=True).tail(1).reset_index(drop=True)


@dataclass(frozen=True)
class Gaps:
    """What is not there yet that should be."""

    bars: list[date]
    """Published and not stored as published."""
    predictions: list[date]

    @property
    def none(self) -> bool:
        return not self.bars and not self.predictions


def gaps(lake: Lake, published: Mapping[date, float], live_from: date) -> Gaps:
    """Compare the tables with what the vendor has said by now."""
    prices = lake.read_or_empty(PRICES.name, FEED)
    stored: dict[date, float] = {}
    if len(prices):
        days = prices["event_time"].dt.tz_convert(FRANKFURT).dt.date
        stored = dict(zip(days, prices["close"], strict=True))
    issued = lake.read_or_empty(PREDICTIONS.name, FORECAST)
    done = set() if issued.empty else set(issued["event_time"].dt.tz_convert(FRANKFURT).dt.date)
    return Gaps(
        bars=[day for day, rate in published.items() if stored.get(day) != rate],
        predictions=[day for day in published if day >= live_from and day not in done],
    )
