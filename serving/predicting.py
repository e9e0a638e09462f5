"""Forecasts from the caller's data: supplied features, or bars that features are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import numpy as np

from fx_assets.features.arrays import labelled_columns
from fx_assets.features.base import Bars as FeatureBars
from serving import metrics
from serving.market import data_facts, day_facts, published
from serving.problems import Problem
from serving.schemas import Bar, Data, Forecast
from serving.service import Service

MOST_BARS = 20_000
FIRST_DAY = date(1970, 1, 1)


def from_inputs(service: Service, inputs: np.ndarray, data: Data) -> list[Forecast]:
    """Forecasts of an (n, p) matrix of the champion's inputs, as of the newest bar."""
    context = service.context
    volatility = None if context is None else context.volatility
    mean = None if context is None else context.baseline_mean
    made = service.champion.predictor.predict(
        inputs,
        volatility=float("nan") if volatility is None else volatility,
        baseline_mean=float("nan") if mean is None else mean,
    )
    answers = [service.supplied(one, data=data, has_baseline=mean is not None) for one in made]
    for answer in answers:
        metrics.predicted(service, answer.value, answer.out_of_range)
    return answers


def from_features(
    service: Service, rows: Sequence[Mapping[str, float]], field: str, data: Data
) -> list[Forecast]:
    """Forecasts of rows of named inputs."""
    return from_inputs(service, service.champion.matrix(rows, field), data)


def from_bars(service: Service, bars: list[Bar], now: datetime, field: str = "bars") -> Forecast:
    """The forecast at the newest of the bars, by the same function that issues forecasts.

    Features, baseline and interval are computed from these bars alone, as if nothing else were
    known.

    Raises
    ------
    Problem
        There are too few bars, one is of a closed day, in the future or given twice.
    """
    champion = service.champion
    manifest = champion.manifest
    if not champion.bars_needed <= len(bars) <= MOST_BARS:
        raise Problem(
            409 if len(bars) <= MOST_BARS else 413,
            "number-of-bars",
            f"{field}: {len(bars)} bars given; the champion of {manifest.forecast} needs from "
            f"{champion.bars_needed} to {MOST_BARS}.",
            field=field,
            value=len(bars),
            remedy="Give consecutive bars up to the one to predict from; 300 are plenty.",
        )
    bars = sorted(bars, key=_day)
    facts = [
        day_facts(manifest.calendar, bar.day) if bar.day >= FIRST_DAY else None for bar in bars
    ]
    usable = [fact for fact in facts if fact is not None]
    if len(usable) < len(bars):
        raise _unusable(service, bars, field)
    closed, ordinals, following, available_us = zip(*usable, strict=True)
    day = np.array(ordinals, dtype=np.int64)
    if any(closed) or (day[1:] == day[:-1]).any():
        raise _unusable(service, bars, field)
    last = bars[-1].day
    as_of = published(manifest.calendar, last)
    if as_of > now:
        raise Problem(
            409,
            "bar-of-the-future",
            f"{field}: the bar of {last} is published at {as_of:%Y-%m-%d %H:%M} UTC, which is yet "
            "to come.",
            field=field,
            value=last.isoformat(),
            remedy="Leave out bars that cannot be known yet.",
        )
    series = FeatureBars(
        close=np.array([bar.close for bar in bars]),
        day=day,
        next_day=np.array(following, dtype=np.int64),
    )
    available = np.array(available_us).astype("datetime64[us]")
    columns = labelled_columns(series, available, champion.features, champion.predictor.target)
    made = champion.predictor.newest(columns)
    data = data_facts(manifest.calendar, last, as_of, bars[-1].close, now)
    answer = service.supplied(made, data=data)
    metrics.predicted(service, answer.value, answer.out_of_range)
    return answer


def need_data(service: Service, now: datetime) -> Data:
    """Age and freshness of the newest bar, which supplied features are as of.

    Raises
    ------
    Problem
        503: the lake holds no prices.
    """
    data = service.data(now)
    if data is None:
        raise Problem(
            503,
            "no-prices",
            f"There are no prices of {service.feed} yet.",
            field="forecast",
            value=service.name,
            remedy=f"Materialize {service.feed}/prices, or run `make run`.",
            headers={"retry-after": "5"},
        )
    return data


def _day(bar: Bar) -> date:
    return bar.day


def _unusable(service: Service, bars: list[Bar], field: str) -> Problem:
    name = service.champion.manifest.calendar
    before: date | None = None
    for bar in bars:
        if bar.day < FIRST_DAY:
            reason = f"{bar.day} is before {FIRST_DAY}"
        elif bar.day == before:
            reason = f"{bar.day} is given twice"
        elif closed := day_facts(name, bar.day).closed:
            reason = f"{bar.day} is closed in the calendar {name}: {closed}"
        else:
            before = bar.day
            continue
        break
    return Problem(
        409,
        "unusable-bar",
        f"{field}: {reason}.",
        field=f"{field}.day",
        value=bar.day.isoformat(),
        remedy="Give one bar for each open day of the forecast's market, and none for others.",
    )
