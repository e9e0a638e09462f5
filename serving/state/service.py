"""A forecast in service: its champion, its newest issued forecast, and what it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import msgspec

from fx_assets.bundles.predictor import Predicted
from fx_assets.bundles.records import version_of
from fx_assets.presentation.wording import caveat_of, claim_of_row, out_of_range_of, sentence
from fx_assets.tables import CHAIN_HASH, SERIES_COLUMN
from fx_assets.targets import ValueFormat
from serving.http.problems import Problem
from serving.market import bar_day, data_facts, target_time
from serving.queries.context import Context, Drift, Live
from serving.schemas import Baseline, ChampionRef, Data, Forecast, Interval, Mode, Skill
from serving.state.champions import Champion, verdict_of
from serving.state.distributions import below, made_quantiles, quantiles_of, stated_in


@dataclass(frozen=True)
class Service:
    """What one request sees of a forecast; replaced as a whole, never changed."""

    champion: Champion
    pointer: bytes
    """Content of the pointer that named this champion."""
    row: Mapping[str, Any] | None = None
    """The newest row of the ``predictions`` table."""
    context: Context | None = None
    drift: Drift | None = None
    live: Live | None = None
    stale: str | None = None
    refused: str | None = None
    paused: bool = False
    """Whether nothing starts its updates by itself."""
    retired: bool = False
    """Whether it is declared no more: what it has said is history."""
    strategy: str | None = None
    """What identifies its declared strategy; None where it is not known."""
    unsaid: Problem | None = None
    """Why nothing was issued, where it is known."""

    @property
    def name(self) -> str:
        """The forecast's name."""
        return self.champion.manifest.forecast

    @property
    def series(self) -> str | None:
        """What it is about; None of a bundle that does not say it."""
        return self.champion.manifest.series or None

    @property
    def feed(self) -> str:
        """The feed that it predicts."""
        return self.champion.manifest.feed

    @property
    def skill(self) -> Skill:
        """The champion's, with what the newest issued forecast says of the bars since."""
        skill, row = self.champion.skill, self.row
        if row is None or not caveat_of(row):
            return skill
        return msgspec.structs.replace(
            skill, caveat=caveat_of(row), failed_checks=_failed_checks(row)
        )

    def data(self, now: datetime) -> Data | None:
        """Age and freshness of the newest bar."""
        context = self.context
        if context is None:
            return None
        calendar = self.champion.manifest.calendar
        return data_facts(calendar, context.event_time, context.as_of, context.close, now)

    def latest(self, now: datetime) -> Forecast:
        """The newest issued forecast.

        Raises
        ------
        Problem
            None has been issued yet.
        """
        return self.issued(self.newest_row, now)

    @property
    def newest_row(self) -> Mapping[str, Any]:
        """The newest row of the ``predictions`` table; a ``Problem`` where there is none."""
        if self.row is None:
            raise self.unsaid or Problem(
                503,
                "nothing-issued",
                f"{self.name} has a champion, but no forecast has been issued yet.",
                field="forecast",
                value=self.name,
                remedy=f"Materialize {self.name}/predictions, or run `make run`.",
            )
        return self.row

    def issued(self, row: Mapping[str, Any], now: datetime) -> Forecast:
        """A row of the ``predictions`` table as an answer."""
        manifest = self.champion.manifest
        version = version_of(row)
        same = version == manifest.version and getattr(manifest, "bundled", True)
        day = bar_day(manifest.calendar, row["target_time"])
        stated, key, close = stated_in(row), manifest.calendar, row["as_of_close"]
        data = data_facts(key, row["event_time"], row["decision_time"], close, now)
        return Forecast(
            forecast=self.name,
            instrument=row["instrument"],
            target=row["kind"],
            horizon=row["horizon"],
            bars_a_year=self.champion.market.bars_a_year,
            unit=manifest.target_unit,
            format=self.champion.definition.shown,
            value=row["prediction"],
            interval=Interval(row["lower"], row["upper"], row["coverage"]),
            baseline=Baseline(row["baseline_name"], row["baseline"]),
            decision_time=row["decision_time"],
            target_time=row["target_time"],
            target_day=day,
            mode=row["mode"],
            data=data,
            champion=ChampionRef(
                name=row["champion"],
                family=manifest.family if same else row["champion"],
                version=version,
                recipe=row["recipe"],
                code_version=row["code_version"],
                trained_through=manifest.trained_through if same else row["champion_label_end"],
                label_end=row["champion_label_end"],
            ),
            skill=Skill(
                demonstrated=row["skill_demonstrated"],
                metric=row["score_name"],
                score=row["score"],
                baseline_score=row["baseline_score"],
                skill=row["skill"],
                lower=row["skill_lower"],
                upper=row["skill_upper"],
                rows=row["score_rows"],
                caveat=caveat_of(row) or None,
                failed_checks=_failed_checks(row),
                verdict=verdict_of(claim_of_row(row)),
            ),
            stale=self.stale,
            sentence=sentence(dict(row) | {"target_day": day.isoformat()}, self.champion.predictor),
            issued_at=row["issued_at"],
            good_until=data.next_bar_expected,
            expired=data.missing_bars > 0,
            abstained=out_of_range_of(row) or None,
            ledger_head=row.get(CHAIN_HASH),
            series=row.get(SERIES_COLUMN) or manifest.series or None,
            quantiles=None if stated is None else quantiles_of(stated.levels, stated.values),
        )

    def with_below(
        self, row: Mapping[str, Any], now: datetime, value: float | None, factor: float = 1.0
    ) -> Forecast:
        """A row as an answer, with the probability of at most ``value`` where one is given.

        The outcome is that of the row times ``factor``.

        Raises
        ------
        Problem
            404: the row has no distribution.
        """
        answer = self.issued(row, now)
        if value is not None:
            answer.below = below(self.name, stated_in(row), value, factor)
        return answer

    def supplied(
        self,
        made: Predicted,
        *,
        data: Data,
        has_baseline: bool = True,
        ordinary: bool = False,
    ) -> Forecast:
        """A prediction from the caller's data as an answer.

        ``ordinary`` says that training saw the like of every input.
        """
        champion = self.champion
        manifest = champion.manifest
        target = target_time(manifest.calendar, data.event_time, manifest.horizon)
        return Forecast(
            forecast=manifest.forecast,
            instrument=manifest.instrument,
            target=manifest.target,
            horizon=manifest.horizon,
            bars_a_year=champion.market.bars_a_year,
            unit=manifest.target_unit,
            format=cast("ValueFormat", champion.format_json),
            value=made.prediction,
            interval=Interval(made.lower, made.upper, champion.predictor.intervals.coverage),
            baseline=Baseline(manifest.baseline.family, made.baseline if has_baseline else None),
            decision_time=data.as_of,
            target_time=target,
            target_day=bar_day(manifest.calendar, target),
            mode=_SUPPLIED,
            data=data,
            champion=cast("ChampionRef", champion.ref_json),
            skill=cast("Skill", champion.skill_json),
            stale=self.stale,
            out_of_range=[] if ordinary else champion.out_of_range(made.inputs),
            good_until=data.next_bar_expected,
            expired=data.missing_bars > 0,
            abstained=made.out_of_range or None,
            series=manifest.series or None,
            quantiles=made_quantiles(manifest.distribution, made.distribution),
        )


def _failed_checks(row: Mapping[str, Any]) -> list[str]:
    """The names in a row; rows of old have no such column."""
    names = row.get("failed_checks")
    return names.split(", ") if isinstance(names, str) and names else []


_SUPPLIED: Mode = "supplied"
