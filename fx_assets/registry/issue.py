"""Issues predictions: from what was known at the decision time, by the champion of that time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import Calendar, calendar
from fx_assets.errors import NoChampionError
from fx_assets.evaluation.decision import Decision, active_champion
from fx_assets.features import labelled_frame
from fx_assets.registry.bundle import LoadedBundle, load
from fx_assets.registry.candidate import ScoredMetric
from fx_assets.registry.champion import read_decisions
from fx_assets.registry.predictor import Predictor
from fx_assets.specs import FeedSpec, ForecastSpec

if TYPE_CHECKING:
    from fx_assets.lake import Lake

ISSUED_ONLY = frozenset({"issued_at", "mode", "table_versions"})
"""What a row says of the moment at which it was issued; all else can be made again."""


@dataclass(frozen=True)
class Inputs:
    """A champion, and what it read when it made a row."""

    bundle: LoadedBundle
    values: NDArray[np.float64]
    """(1, p)."""


@dataclass
class Issued:
    """What came of the days that were asked for."""

    new_rows: pd.DataFrame
    latest: Mapping[str, Any] | None
    verified: int = 0
    """Rows that had been issued before and were made again."""
    differences: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    """What happened to each day, by date."""
    newest: Inputs | None = None
    """What ``latest`` was made of."""


def issue_days(
    days: Sequence[date], spec: ForecastSpec, feed: FeedSpec, store: Lake, now: datetime
) -> Issued:
    """Issue one prediction for each open day whose bar is known.

    A day that was issued before is made again and compared; its row stays as it was issued.

    Raises
    ------
    NoChampionError
        For one of the days, no champion existed that had not seen its outcome.
    """
    market = calendar(feed.calendar)
    existing = store.read_or_empty("predictions", spec.name)
    records = cast("list[dict[str, Any]]", existing.to_dict("records"))
    before = {row["day"]: row for row in records}
    issuer = _Issuer(spec, feed, store, market, now)
    made: list[dict[str, Any]] = []
    issued = Issued(new_rows=pd.DataFrame(), latest=None)
    for day in days:
        name = day.isoformat()
        reason = issuer.why_not(day)
        if reason:
            issued.notes[name] = reason
            continue
        row = issuer.issue(day)
        if name not in before:
            made.append(row)
            issued.notes[name] = f"issued, {row['mode']}"
            issued.latest = row
            continue
        issued.verified += 1
        changed = _differences(before[name], row)
        issued.notes[name] = f"as it was issued at {before[name]['issued_at']:%Y-%m-%d %H:%M} UTC"
        issued.latest = before[name]
        if changed:
            issued.differences.append(f"{name}: {', '.join(changed)} would differ today")
    issued.newest = issuer.newest
    issued.new_rows = _typed(pd.DataFrame(made, columns=list(COLUMNS)))
    return issued


class _Issuer:
    """Makes the rows of one forecast; reads each table and each bundle once."""

    def __init__(
        self, spec: ForecastSpec, feed: FeedSpec, store: Lake, market: Calendar, now: datetime
    ) -> None:
        self.spec, self.feed, self.store, self.market, self.now = spec, feed, store, market, now
        self.raw = store.read("raw_prices", feed.name)
        self.days = market.day_index(pd.DatetimeIndex(self.raw["event_time"]))
        self.ledger = read_decisions(store, spec.name)
        self.newest: Inputs | None = None
        self._bundles: dict[int, LoadedBundle] = {}

    def why_not(self, day: date) -> str | None:
        """Why a day has no prediction, or ``None`` when it gets one."""
        closed = self.market.closed_reason(day)
        if closed:
            return f"closed: {closed}"
        known = (self.days == pd.Timestamp(day)) & (self.raw["available_at"] <= self.now)
        if known.any():
            return None
        if self.market.available_at(day) > self.now:
            return f"its bar will be known at {self.market.available_at(day):%Y-%m-%d %H:%M} UTC"
        return f"{self.feed.name} has no bar of this day"

    def issue(self, day: date) -> dict[str, Any]:
        """The row of one day.

        Raises
        ------
        NoChampionError
            No champion existed by the decision time that had not seen the outcome.
        """
        from fx_assets.lake import as_known_at

        decided = self.market.available_at(day)
        try:
            decision = active_champion(self.ledger, decided)
        except NoChampionError as error:
            raise NoChampionError(
                f"{day} has no prediction. {error.message}", remedy=error.remedy
            ) from None
        bundle = self._bundle(int(decision.version or 0))
        bars = as_known_at(self.raw, decided)
        frame = labelled_frame(bars, self.spec, self.market)
        return self._row(day, decided, decision, bundle, frame)

    def _bundle(self, version: int) -> LoadedBundle:
        if version not in self._bundles:
            self._bundles[version] = load(self.store, self.spec.name, version)
        return self._bundles[version]

    def _row(
        self,
        day: date,
        decided: datetime,
        decision: Decision,
        bundle: LoadedBundle,
        frame: pd.DataFrame,
    ) -> dict[str, Any]:
        spec, manifest = self.spec, bundle.manifest
        loss, skill = (ScoredMetric(**manifest.skill[name]) for name in ("loss", "skill"))
        newest = frame.iloc[-1]
        predictor = Predictor(bundle)
        made = predictor.newest(frame)
        self.newest = Inputs(bundle, made.inputs)
        target_time = newest["target_time"].to_pydatetime()
        return {
            "day": day.isoformat(),
            "instrument": self.feed.instrument,
            "kind": spec.target.kind,
            "horizon": spec.target.horizon,
            "event_time": newest["event_time"],
            "as_of_close": float(newest["close"]),
            "decision_time": pd.Timestamp(decided),
            "target_time": newest["target_time"],
            "prediction": made.prediction,
            "lower": made.lower,
            "upper": made.upper,
            "coverage": predictor.intervals.coverage,
            "baseline": made.baseline,
            "baseline_name": spec.baseline.name,
            "champion": decision.champion,
            "champion_version": f"v{manifest.version}",
            "recipe": decision.recipe,
            "champion_decided_at": pd.Timestamp(decision.decided_at),
            "champion_label_end": pd.Timestamp(manifest.label_end),
            "score_name": loss.metric,
            "score": loss.value,
            "baseline_score": loss.baseline_value,
            "score_rows": loss.n,
            "skill": skill.value,
            "skill_lower": skill.lower,
            "skill_upper": skill.upper,
            "skill_demonstrated": decision.skill_demonstrated,
            "code_version": manifest.code_version,
            "input_hash": hashlib.sha256(made.inputs.tobytes()).hexdigest()[:16],
            "table_versions": json.dumps(
                {f"raw_prices/{self.feed.name}": self.store.version("raw_prices", self.feed.name)}
            ),
            "mode": "live" if self.now < target_time else "late",
            "issued_at": pd.Timestamp(self.now),
        }


COLUMNS: dict[str, str] = {
    "day": "object",
    "instrument": "object",
    "kind": "object",
    "horizon": "int64",
    "event_time": "datetime64[us, UTC]",
    "as_of_close": "float64",
    "decision_time": "datetime64[us, UTC]",
    "target_time": "datetime64[us, UTC]",
    "prediction": "float64",
    "lower": "float64",
    "upper": "float64",
    "coverage": "float64",
    "baseline": "float64",
    "baseline_name": "object",
    "champion": "object",
    "champion_version": "object",
    "recipe": "object",
    "champion_decided_at": "datetime64[us, UTC]",
    "champion_label_end": "datetime64[us, UTC]",
    "score_name": "object",
    "score": "float64",
    "baseline_score": "float64",
    "score_rows": "int64",
    "skill": "float64",
    "skill_lower": "float64",
    "skill_upper": "float64",
    "skill_demonstrated": "bool",
    "code_version": "object",
    "input_hash": "object",
    "table_versions": "object",
    "mode": "object",
    "issued_at": "datetime64[us, UTC]",
}
"""The columns of the ``predictions`` table with their pandas dtypes."""


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(COLUMNS)


def _differences(before: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    return [name for name in COLUMNS if name not in ISSUED_ONLY and before.get(name) != again[name]]
