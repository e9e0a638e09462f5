"""Issues predictions: from what was known at the decision time, by the champion of that time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.bundles.bundle import LoadedBundle, load
from fx_assets.bundles.copies import restored
from fx_assets.bundles.predictor import Predictor
from fx_assets.bundles.records import Blobs, folder
from fx_assets.calendars import Calendar
from fx_assets.errors import LostChampionError, NoChampionError, RegistryError, SpecError
from fx_assets.evaluation.decision import Decision, active_champion, caveat_text, stand_ins
from fx_assets.evaluation.live import first_live_day
from fx_assets.evaluation.stated import stated
from fx_assets.explaining.explain import Explanation, explain, load_background
from fx_assets.explaining.explanations import keep_explanation
from fx_assets.features import feature_set, labelled_frame
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import ForecastSpec
from fx_assets.specs.series import Series
from fx_assets.stages.overrides import standing_overrides
from fx_assets.tables import CHAIN_COLUMNS, PREDICTIONS, RAW_PRICES, SERIES_COLUMN

ISSUED_ONLY = frozenset(
    {"issued_at", "mode", "table_versions", "failed_checks", "caveat", *CHAIN_COLUMNS}
)
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
    unverified: list[str] = field(default_factory=list)
    """Rows that had been issued before and cannot be made again, each with the reason."""
    notes: dict[str, str] = field(default_factory=dict)
    """What happened to each bar, or to a closed day."""
    refused: dict[date, str] = field(default_factory=dict)
    """Days without any prediction that were refused, each with the reason."""
    newest: Inputs | None = None
    """What ``latest`` was made of."""
    frames: Frames | None = None
    """What was known at the moments that were asked for."""


def issue_days(
    days: Sequence[date], own: SeriesTables, now: datetime, *, bars: AbstractSet[Any] | None = None
) -> Issued:
    """Issue one prediction for each known bar of these days, or for those of ``bars`` alone.

    A bar that was predicted from before is again, to compare; its row stays as it was issued.
    A day that cannot be predicted is noted with its reason, and holds no other back.

    Raises
    ------
    NoChampionError
        No day had a bar to predict from, and at least one was refused: it lies before the first
        live day, or no champion existed that had not seen the outcome.
    """
    feed, existing = own.feed, own.read(PREDICTIONS)
    records = cast("list[dict[str, Any]]", existing.to_dict("records"))
    before = {row["event_time"]: row for row in records}
    issuer = _Issuer(own, now)
    made: list[dict[str, Any]] = []
    issued = Issued(new_rows=pd.DataFrame(), latest=None)
    refusals: list[NoChampionError] = []
    for day in days:
        closed = feed.market.closed_reason(day)
        if closed:
            issued.notes[day.isoformat()] = f"closed: {closed}"
            continue
        early = issuer.too_early(day)
        if early:
            refusals.append(early)
            issued.refused[day] = early.message
            continue
        refused: list[NoChampionError] = []
        predicted = False
        for event_time in issuer.bars_of(day):
            if bars is not None and event_time not in bars:
                continue
            name = feed.market.label(event_time)
            reason = issuer.why_not(event_time)
            if reason:
                issued.notes[name] = reason
                continue
            earlier = before.get(pd.Timestamp(event_time))
            try:
                row = issuer.issue(event_time, stand_in=earlier is None)
            except NoChampionError as refusal:
                if earlier is not None and isinstance(refusal, LostChampionError):
                    predicted, issued.latest = True, earlier
                    issued.unverified.append(f"{name}: {refusal.message}")
                    issued.notes[name] = f"could not be made again: {refusal.message}"
                    continue
                refused.append(refusal)
                issued.notes[name] = f"refused: {refusal.message}"
                continue
            predicted = True
            known = before.get(row["event_time"])
            if known is None:
                made.append(row)
                issued.notes[name] = f"issued, {row['mode']}"
                issued.latest = row
                continue
            issued.verified += 1
            changed = _differences(known, row)
            issued.notes[name] = f"as it was issued at {known['issued_at']:%Y-%m-%d %H:%M} UTC"
            issued.latest = known
            if changed:
                issued.differences.append(f"{name}: {', '.join(changed)} would differ today")
        if refused and not predicted:
            refusals += refused
            issued.refused[day] = refused[0].message
    if refusals and issued.latest is None:
        raise refusals[0]
    issued.newest, issued.frames = issuer.newest, issuer.frames
    issued.new_rows = _typed(pd.DataFrame(made, columns=list(PREDICTIONS.names)))
    return issued


def explain_newest(issued: Issued, store: Blobs) -> Explanation | None:
    """Why the newest prediction is what it is, kept for the server; ``None`` where it cannot be.

    Raises
    ------
    FxAssetsError
        The background cannot be read, or the explanation not be kept.
    """
    newest = issued.newest
    if newest is None or issued.latest is None or issued.latest.get("abstained") is True:
        return None
    manifest = newest.bundle.manifest
    background = load_background(store, manifest.forecast, manifest.version)
    said = explain(newest.bundle, newest.values, background)
    keep_explanation(store, said, issued.latest)
    return said


class _Issuer:
    """Makes the rows of one forecast; reads each table and each bundle once."""

    def __init__(self, own: SeriesTables, now: datetime) -> None:
        spec, feed, store = self.spec, self.feed, self.store = own.spec, own.feed, own.store
        self.now, self.market, self.series = now, feed.market, own.series
        self.raw = store.bars_of(feed.name, feed.reading)
        self.days = self.market.day_index(pd.DatetimeIndex(self.raw["event_time"]))
        self.known_from = self.raw.groupby("event_time")["available_at"].min()
        self.ledger = own.ledger()
        self.live_from = first_live_day(spec, self.ledger, self.market)
        self.overrides = standing_overrides(store, feed, now)
        self.newest: Inputs | None = None
        self._bundles: dict[int, LoadedBundle | RegistryError] = {}
        self.frames = Frames(self.raw, spec, self.market)

    def bars_of(self, day: date) -> list[datetime]:
        """When the bars of an open day close, those that are due and those that are there."""
        if self.market.daily:
            return [self.market.event_time(day)]
        there = pd.DatetimeIndex(self.raw["event_time"][self.days == pd.Timestamp(day)])
        return sorted({*self.market.event_times(day), *there.to_pydatetime().tolist()})

    def too_early(self, day: date) -> NoChampionError | None:
        """Why a day is not predicted that lies before the first live one."""
        if self.live_from is None or day >= self.live_from:
            return None
        whence = (
            "as it is declared"
            if self.spec.live_from
            else "the newest day that the first decision knew"
        )
        return NoChampionError(
            f"{day} has no prediction: it lies before {self.spec.name}'s live_from, "
            f"{self.live_from}, {whence}.",
            remedy=f"Ask for a day from {self.live_from} on; for earlier days read the backtest "
            "table, whose rows are out of sample.",
        )

    def why_not(self, event_time: datetime) -> str | None:
        """Why a bar is not predicted from, or ``None`` when it is."""
        known_from = self.known_from.get(pd.Timestamp(event_time))
        if known_from is not None and known_from <= self.now:
            return None
        published = self.market.publication(event_time)
        if published > self.now:
            return f"its bar will be known at {published:%Y-%m-%d %H:%M} UTC"
        what = "bar of this day" if self.market.daily else "such bar"
        return f"{self.feed.name} has no {what}"

    def issue(self, event_time: datetime, *, stand_in: bool) -> dict[str, Any]:
        """The row of one bar.

        Parameters
        ----------
        stand_in
            Whether a later champion may take the place of one whose bundle is lost.

        Raises
        ------
        NoChampionError
            No champion existed by the decision time that had not seen the outcome, or it is lost.
        """
        decided = self.market.publication(event_time)
        try:
            decision = active_champion(self.ledger, decided)
        except NoChampionError as error:
            raise NoChampionError(
                f"{self.market.label(event_time)} has no prediction. {error.message}",
                remedy=error.remedy,
            ) from None
        decision, bundle = self._healthy(decision, decided, stand_in=stand_in)
        return self._row(decided, decision, bundle, self._frames_of(bundle).known_at(decided))

    def _frames_of(self, bundle: LoadedBundle) -> Frames:
        """With the features that a bundle was made from, where it reads any."""
        manifest = bundle.manifest
        shaped = manifest.distribution is not None and manifest.distribution.boosted is not None
        reads = shaped or manifest.candidate != manifest.baseline.family
        return self.frames.of(manifest.feature_set) if reads else self.frames

    def _healthy(
        self, decision: Decision, decided: datetime, *, stand_in: bool
    ) -> tuple[Decision, LoadedBundle]:
        found: list[str] = []
        for able in stand_ins(self.ledger, decision, decided) if stand_in else [decision]:
            bundle = self._bundle(able.bundle)
            if isinstance(bundle, LoadedBundle):
                return able, bundle
            found.append(bundle.message)
        name, version = self.spec.name, decision.bundle
        raise LostChampionError(
            f"{name} v{version}, its champion then, cannot be used, and no copy of it is left. "
            f"{found[0]}",
            remedy=f"Put {folder(name, version)} back from a backup. If it is the champion still: "
            f"fx-assets run {name} --retrain publishes the next version.",
        )

    def _bundle(self, version: int) -> LoadedBundle | RegistryError:
        if version not in self._bundles:
            name = self.spec.name
            try:
                restored(self.store, name, version)
                bundle = load(self.store, name, version)
                self._frames_of(bundle)
                self._bundles[version] = bundle
            except RegistryError as error:
                self._bundles[version] = error
        return self._bundles[version]

    def _row(
        self,
        decided: datetime,
        decision: Decision,
        bundle: LoadedBundle,
        frame: pd.DataFrame,
    ) -> dict[str, Any]:
        spec, manifest = self.spec, bundle.manifest
        loss, skill = manifest.skill.loss, manifest.skill.skill
        newest = frame.iloc[-1]
        predictor = Predictor(bundle)
        made = predictor.newest(frame)
        self.newest = Inputs(bundle, made.inputs)
        failed = tuple(sorted({*self.overrides, *decision.failed_checks, *manifest.failed_checks}))
        raw = RAW_PRICES.name
        return {
            **about_bar(self.series, newest, decided, self.market, self.now),
            "prediction": made.prediction,
            "abstained": bool(made.out_of_range),
            "out_of_range": made.out_of_range,
            "lower": made.lower,
            "upper": made.upper,
            "coverage": predictor.intervals.coverage,
            "distribution": stated(manifest.distribution, made.distribution),
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
            "verdict": decision.claim.word if decision.claim else "",
            "claim": decision.claim.model_dump_json() if decision.claim else "",
            "failed_checks": ", ".join(failed),
            "caveat": caveat_text(decision, failed),
            "code_version": manifest.code_version,
            "input_hash": hashlib.sha256(made.inputs.tobytes()).hexdigest()[:16],
            "table_versions": json.dumps(
                {
                    f"{raw}/{self.store.stored_as(self.feed.name)}": self.store.version(
                        raw, self.feed.name
                    )
                }
            ),
        }


def about_bar(
    series: Series, newest: pd.Series[Any], decided: datetime, market: Calendar, now: datetime
) -> dict[str, Any]:
    """What a prediction's row says of the bar that it is made from, and of the one ahead.

    Parameters
    ----------
    newest
        The row of a labelled frame that is predicted from.
    decided
        The moment by which all that is used was known (UTC).
    """
    event_time = newest["event_time"].to_pydatetime()
    target_time = market.next_close(event_time, series.horizon)
    return {
        SERIES_COLUMN: series.id,
        "day": market.bar_day(event_time).isoformat(),
        "instrument": series.instrument,
        "kind": series.kind,
        "horizon": series.horizon,
        "bars_a_year": market.bars_a_year,
        "event_time": newest["event_time"],
        "as_of_close": float(newest["close"]),
        "decision_time": pd.Timestamp(decided),
        "target_time": pd.Timestamp(target_time),
        "target_day": market.bar_day(target_time).isoformat(),
        "good_until": pd.Timestamp(market.publication(market.next_close(event_time))),
        "mode": "live" if now < target_time else "late",
        "issued_at": pd.Timestamp(now),
    }


class Frames:
    """Labelled frames as they were known at many moments, computed as seldom as possible.

    A row of a labelled frame depends on no later bar. So where nothing was revised in between, an
    earlier frame is the beginning of a later one.
    """

    def __init__(self, raw: pd.DataFrame, spec: ForecastSpec, market: Calendar) -> None:
        self._raw, self._spec, self._market = raw, spec, market
        self._others: dict[str, Frames] = {}
        first_known = raw.groupby("event_time")["available_at"].transform("min")
        revised = raw["available_at"] > first_known
        self._revisions = pd.DatetimeIndex(raw["available_at"][revised]).unique().sort_values()
        self._newest = raw["available_at"].max()
        self._until: pd.Timestamp | None = None
        self._known, self._in_order = pd.DataFrame(), True

    def of(self, features: str) -> Frames:
        """The same of another feature set: that which a champion of before reads.

        Raises
        ------
        RegistryError
            There is no such feature set.
        """
        if features == self._spec.features:
            return self
        if features not in self._others:
            try:
                feature_set(features, self._market.bar)
            except SpecError as error:
                raise RegistryError(error.message, remedy=error.remedy) from error
            spec = self._spec.model_copy(update={"features": features})
            self._others[features] = Frames(self._raw, spec, self._market)
        return self._others[features]

    def known_at(self, instant: datetime) -> pd.DataFrame:
        """The labelled frame of the bars that were known at an instant, its newest row last.

        Labels of its last rows may be filled in, where they became known later.
        """
        asked = pd.Timestamp(instant)
        later = self._revisions[self._revisions > asked]
        until = (
            later[0] - pd.Timedelta(1, "us") if len(later) else pd.Timestamp.max.tz_localize("UTC")
        )
        if until != self._until:
            self._known, self._until = self._frame(until), until
            self._in_order = self._known["available_at"].is_monotonic_increasing
        if self._in_order:
            rows = int(self._known["available_at"].searchsorted(asked, side="right"))
            return self._known[:rows]
        known = (self._known["available_at"] <= asked).to_numpy()
        rows = int(known.sum())
        return self._known[:rows] if known[:rows].all() else self._frame(asked)

    def _frame(self, instant: pd.Timestamp) -> pd.DataFrame:
        from fx_assets.lake import as_known_at

        bars = as_known_at(self._raw, instant.to_pydatetime(warn=False))
        return labelled_frame(bars, self._spec, self._market)


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(PREDICTIONS.dtypes)


def _differences(before: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Columns that differ; one that did not exist when the row was issued does not."""
    compared = (
        name for name in PREDICTIONS.names if name not in ISSUED_ONLY and pd.notna(before.get(name))
    )
    return [name for name in compared if before[name] != again[name]]
