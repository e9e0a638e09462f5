"""Forecasts from the caller's data: supplied features, or bars that features are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter

import numpy as np

from fx_assets.errors import FxAssetsError
from fx_assets.features.arrays import OPTIONAL_COLUMNS, bars_from_columns, labelled_columns
from serving.http.problems import Problem
from serving.market import BarFacts, bar_name, data_facts, facts_of, published
from serving.schemas import Bar, Data, Forecast
from serving.state import metrics
from serving.state.service import Service

MOST_BARS = 20_000
_NAMES = ("close", *OPTIONAL_COLUMNS)
_GIVEN = attrgetter(*_NAMES)


def from_inputs(service: Service, inputs: np.ndarray, data: Data) -> list[Forecast]:
    """Forecasts of an (n, p) matrix of the champion's inputs, as of the newest bar.

    Raises
    ------
    Problem
        409: a row is one that no bars can give.
    """
    ordinary = service.champion.ordinary(inputs)
    if not ordinary:
        service.champion.require_possible(inputs)
    context = service.context
    volatility = None if context is None else context.volatility
    mean = None if context is None else context.baseline_mean
    made = service.champion.predictor.predict(
        inputs,
        volatility=float("nan") if volatility is None else volatility,
        baseline_mean=float("nan") if mean is None else mean,
        log_returns=None if context is None else context.log_returns,
    )
    for one in made:
        service.champion.require_sensible(one.prediction)
    answers = [
        service.supplied(one, data=data, has_baseline=mean is not None, ordinary=ordinary)
        for one in made
    ]
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
    key = manifest.calendar
    facts = facts_of(key, bars)
    wrong, event_us, available_us = _columns_of(facts)
    if not (event_us[1:] > event_us[:-1]).all():
        order = np.argsort(event_us, kind="stable")
        bars, facts = [bars[i] for i in order], [facts[i] for i in order]
        wrong, event_us, available_us = _columns_of(facts)
    if wrong or (event_us[1:] == event_us[:-1]).any():
        raise _unusable(list(zip(facts, bars, strict=True)), field)
    event_time = datetime.fromtimestamp(event_us[-1] / 1_000_000, UTC)
    as_of = published(key, event_time)
    if as_of > now:
        name = bar_name(key, event_time)
        raise Problem(
            409,
            "bar-of-the-future",
            f"{field}: the bar of {name} is published at {as_of:%Y-%m-%d %H:%M} UTC, which is yet "
            "to come.",
            field=field,
            value=name,
            remedy="Leave out bars that cannot be known yet.",
        )
    prices = {
        name: _prices(values)
        for name, values in zip(_NAMES, zip(*map(_GIVEN, bars), strict=True), strict=True)
    }
    times = event_us.astype("datetime64[us]")
    try:
        series = bars_from_columns({"event_time": times, **prices}, champion.market)
        columns = labelled_columns(
            series,
            available_us.astype("datetime64[us]"),
            champion.features,
            champion.predictor.target,
            champion.market,
        )
    except FxAssetsError as error:
        raise Problem(
            409,
            "unusable-bar",
            f"{field}: {error.message}",
            field=field,
            value=bar_name(key, event_time),
            remedy=error.remedy or "",
        ) from None
    made = champion.predictor.newest(columns)
    champion.require_sensible(made.prediction)
    data = data_facts(key, event_time, as_of, bars[-1].close, now)
    answer = service.supplied(made, data=data)
    metrics.predicted(service, answer.value, answer.out_of_range)
    return answer


def _columns_of(facts: Sequence[BarFacts]) -> tuple[bool, np.ndarray, np.ndarray]:
    """Whether one of the bars is wrong, and when each closes and is published."""
    wrong, event_us, available_us = zip(*facts, strict=True)
    return (
        wrong.count(None) < len(wrong),
        np.array(event_us, dtype=np.int64),
        np.array(available_us, dtype=np.int64),
    )


def _prices(values: tuple[float | None, ...]) -> np.ndarray:
    """A column of bars; most callers leave most of them out."""
    if values.count(None) == len(values):
        return np.full(len(values), np.nan)
    return np.array(values, dtype=np.float64)


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
        )
    return data


def _unusable(pairs: list[tuple[BarFacts, Bar]], field: str) -> Problem:
    before: BarFacts | None = None
    for fact, bar in pairs:
        value = bar.event_time or bar.day or bar.close
        shown = value if isinstance(value, float) else value.isoformat()
        if fact.wrong or (before and before.event_us == fact.event_us):
            break
        before = fact
    return Problem(
        409,
        "unusable-bar",
        f"{field}: {fact.wrong or f'{shown} is given twice'}.",
        field=f"{field}.{'event_time' if bar.event_time else 'day'}",
        value=shown,
        remedy="Give one bar for each close of the forecast's market, and none for others.",
    )
