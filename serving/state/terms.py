"""The horizons of one forecast as an answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from fx_assets.presentation.term import term_rows
from serving.schemas import Forecast, Interval, Quantile, TermPoint
from serving.state.service import Service


def term_of(services: Sequence[Service], now: datetime) -> list[TermPoint]:
    """What is said of each horizon after the newest bar.

    Parameters
    ----------
    services
        By ascending horizon; those that have said nothing of that bar are left out.
    """
    known = {one.name: one for one in services}
    rows = {name: one.row for name, one in known.items() if one.row is not None}
    definition = services[0].champion.definition
    points = []
    for said in term_rows(definition, rows):
        service, factor = known[said.forecast], said.moved
        answer = service.issued(said.row, now)
        points.append(
            TermPoint(
                horizon=answer.horizon,
                forecast=service.name,
                event_time=answer.data.event_time,
                target_time=answer.target_time,
                target_day=answer.target_day,
                value=said.value,
                issued=answer.value,
                interval=Interval(
                    answer.interval.lower * factor,
                    answer.interval.upper * factor,
                    answer.interval.coverage,
                ),
                quantiles=None
                if answer.quantiles is None
                else [Quantile(one.level, one.value * factor) for one in answer.quantiles],
                baseline=answer.baseline,
                champion=answer.champion.name,
                version=answer.champion.version,
                demonstrated=answer.skill.demonstrated,
                verdict=answer.skill.verdict.word if answer.skill.verdict else None,
            )
        )
    return points


def as_shown(answer: Forecast, points: Sequence[TermPoint]) -> Forecast:
    """An answer about one of the horizons with all of them, and its value as it is shown there."""
    mine = next((one for one in points if one.horizon == answer.horizon), None)
    if mine is None or mine.value == mine.issued:
        return msgspec.structs.replace(answer, term=list(points))
    return msgspec.structs.replace(
        answer,
        value=mine.value,
        interval=mine.interval,
        quantiles=mine.quantiles,
        term=list(points),
    )


def factor_of(points: Sequence[TermPoint], horizon: int) -> float:
    """By what the value of a horizon is multiplied; 1 where it is shown as it was issued."""
    return next((one.value / one.issued for one in points if one.horizon == horizon), 1.0)
