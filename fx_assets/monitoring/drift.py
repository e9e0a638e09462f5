"""The drift report of a forecast: numbers of every column, faults, and one verdict.

Three questions, asked apart. Is a column *broken*? (:mod:`broken`, no statistics.) Do the newest
rows lie further from the training reference than promised? (:mod:`calibration`.) Do inputs still
say about the label what they used to? (:mod:`relation`.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, Field

from fx_assets.calendars import Calendar, calendar
from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.losses import loss_for
from fx_assets.evaluation.outcomes import live_rows
from fx_assets.monitoring.broken import BrokenColumn, implausible
from fx_assets.monitoring.calibration import (
    Calibration,
    ColumnScale,
    cached_calibration,
    calibrate,
    measure,
)
from fx_assets.monitoring.monitored import (
    LABEL_COLUMNS,
    PREDICTION,
    calendar_columns,
    reference_and_current,
)
from fx_assets.monitoring.relation import Relation, label_relation
from fx_assets.specs import ForecastSpec
from fx_assets.specs.base import Spec
from fx_assets.specs.watching import DriftRule

if TYPE_CHECKING:
    from fx_assets.bundles.records import Blobs

Verdict = Literal["quiet", "drift", "broken", "not_enough_data"]
Part = Literal["feature", "prediction", "target"]


class StockVerdict(Spec):
    """What Evidently's default test says about a column."""

    method: str
    score: float
    threshold: float
    drifted: bool


class ColumnDrift(Spec):
    """One column's newest rows against the reference."""

    column: str
    part: Part
    rows: int
    distance: float
    """Wasserstein distance in the reference's standard deviations."""
    threshold: float
    """The largest distance that is no alarm."""
    shift: float
    """Distance of the means in the reference's standard deviations."""
    shift_threshold: float
    usual: float
    """The distance that one window in twenty of the reference exceeds."""
    drifted: bool
    reference_mean: float
    reference_std: float
    current_mean: float
    current_std: float
    stock: StockVerdict | None = None

    @property
    def severity(self) -> float:
        """Distance or shift against its threshold, whichever is further; above 1 is drift."""
        return max(self.distance / self.threshold, self.shift / self.shift_threshold)


class DriftReport(Spec):
    """A drift report; ``sentence`` says what it found."""

    forecast: str
    as_of: AwareDatetime
    """Event time of the newest row."""
    measured_at: AwareDatetime
    verdict: Verdict
    sentence: str
    window: int
    reference_rows: int
    alarms_a_year: float
    """False alarms that were promised, for distances and relation together."""
    columns: tuple[ColumnDrift, ...] = ()
    broken: tuple[BrokenColumn, ...] = ()
    relation: Relation | None = None
    untested: dict[str, str] = Field(default_factory=dict)
    calibration_hash: str = ""

    @property
    def alarm(self) -> bool:
        """Whether someone should look."""
        return self.verdict in ("drift", "broken")

    @property
    def features_broken(self) -> bool:
        """Whether an input is wrong; from right ones a strange prediction is the market's doing."""
        return any(fault.column != PREDICTION for fault in self.broken)

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns beyond their thresholds, the worst first."""
        beyond = [column for column in self.columns if column.drifted]
        return tuple(sorted(beyond, key=lambda c: -c.severity))

    @property
    def share_unusual(self) -> float:
        """Share of columns beyond what one window in twenty exceeds: near 1 in a new regime."""
        return float(np.mean([c.distance > c.usual for c in self.columns])) if self.columns else 0.0

    @property
    def stock_alarm(self) -> bool | None:
        """Whether Evidently's defaults see drift in half of the columns; None if unasked."""
        said = [column.stock.drifted for column in self.columns if column.stock is not None]
        return float(np.mean(said)) >= 0.5 if said else None

    def with_stock(self, verdicts: Mapping[str, StockVerdict]) -> DriftReport:
        """The report with Evidently's verdicts beside ours."""
        columns = tuple(
            column.model_copy(update={"stock": verdicts.get(column.column)})
            for column in self.columns
        )
        return self.model_copy(update={"columns": columns})


def drift_report(
    spec: ForecastSpec,
    monitored: pd.DataFrame,
    *,
    trained_through: datetime,
    measured_at: datetime,
    rule: DriftRule | None = None,
    blobs: Blobs | None = None,
    broken: Sequence[BrokenColumn] = (),
    relation: Relation | None = None,
    market: Calendar | None = None,
) -> DriftReport:
    """Compare the newest rows with the training reference.

    Parameters
    ----------
    monitored
        A :func:`~fx_assets.monitoring.monitored.monitored_frame` up to the newest row.
    trained_through
        Event time of the champion's last training row.
    measured_at
        The clock's time.
    blobs
        Where the calibration is kept; without it every report calibrates anew (0.3 s).
    broken
        Faults of features found by computing them again.
    relation
        The test of recent losses (:func:`check_relation`).
    market
        The feed's calendar; unset means the ECB's fixings.
    """
    rule, market = rule or DriftRule(), market or calendar("target")
    reference, _ = reference_and_current(monitored, trained_through, rule.window)
    faults = (*broken, *_implausible_predictions(reference, monitored, rule.window))
    as_of = monitored["event_time"].iloc[-1].to_pydatetime()
    facts = {
        "forecast": spec.name,
        "as_of": as_of,
        "measured_at": measured_at,
        "window": rule.window,
        "reference_rows": len(reference),
        "alarms_a_year": rule.alarms_a_year,
        "broken": faults,
        "relation": relation,
    }
    try:
        calibration = _calibration(spec.name, reference, rule, blobs, market.bars_a_year)
    except NotEnoughDataError as error:
        verdict: Verdict = "broken" if faults else "not_enough_data"
        said = [fault.sentence for fault in faults] or [error.message]
        return DriftReport.model_validate(facts | {"verdict": verdict, "sentence": " ".join(said)})
    columns = tuple(
        _column(scale, calibration, reference, monitored, rule.window)
        for scale in calibration.columns
    )
    verdict = _verdict(columns, faults, relation)
    report = DriftReport.model_validate(
        facts
        | {
            "verdict": verdict,
            "sentence": "",
            "columns": columns,
            "untested": calibration.untested
            | dict.fromkeys(calendar_columns(spec.features, market.key), "known from the calendar"),
            "calibration_hash": calibration.data_hash,
        }
    )
    return report.model_copy(update={"sentence": _sentence(report)})


def check_relation(
    backtest: pd.DataFrame,
    outcomes: pd.DataFrame,
    spec: ForecastSpec,
    *,
    since: datetime,
    rule: DriftRule,
    bars_a_year: int,
) -> Relation:
    """Test the losses of live predictions since the champion took office.

    Parameters
    ----------
    backtest
        Walk-forward rows of the champion's recipe: ``event_time, prediction, target, baseline``.
    outcomes
        The ``outcomes`` table; those of live predictions count, a revised truth as it is known now.
    since
        When the champion of this recipe was appointed; earlier outcomes are another's.
    bars_a_year
        Of the feed's calendar.
    """
    loss = loss_for(spec.target.kind)
    past = backtest[backtest["target"].notna() & backtest["baseline"].notna()]
    history = loss(past["target"], past["prediction"]) - loss(past["target"], past["baseline"])
    excess: Sequence[float] = ()
    if len(outcomes):
        live = live_rows(outcomes[outcomes["event_time"] >= pd.Timestamp(since)])
        excess = (live["loss"] - live["baseline_loss"]).tolist()
    return label_relation(
        history,
        excess,
        spec.target.horizon,
        rule.relation_alarms_a_year,
        bars_a_year=bars_a_year,
    )


def report_table(report: DriftReport) -> pd.DataFrame:
    """One row a column, for the ``drift`` table; unique by ``measured_at`` and ``column``."""
    return pd.DataFrame(
        [
            {
                "as_of": pd.Timestamp(report.as_of),
                "measured_at": pd.Timestamp(report.measured_at),
                "verdict": report.verdict,
                **c.model_dump(exclude={"usual", "stock"}),
                "stock_method": c.stock.method if c.stock else None,
                "stock_score": c.stock.score if c.stock else np.nan,
                "stock_drifted": c.stock.drifted if c.stock else None,
                "sentence": report.sentence,
            }
            for c in report.columns
        ]
    ).astype({"stock_drifted": "boolean", "stock_method": "object"} if report.columns else {})


def _calibration(
    forecast: str,
    reference: pd.DataFrame,
    rule: DriftRule,
    blobs: Blobs | None,
    bars_a_year: int,
) -> Calibration:
    asked = (reference, rule.window, rule.column_alarms_a_year, bars_a_year)
    return calibrate(*asked) if blobs is None else cached_calibration(blobs, forecast, *asked)


def _implausible_predictions(
    reference: pd.DataFrame, monitored: pd.DataFrame, window: int
) -> tuple[BrokenColumn, ...]:
    said = monitored[PREDICTION].dropna().to_numpy(dtype=np.float64)[-window:]
    usual = reference[PREDICTION].dropna().to_numpy(dtype=np.float64)
    return implausible(PREDICTION, said, usual)


def _column(
    scale: ColumnScale,
    calibration: Calibration,
    reference: pd.DataFrame,
    monitored: pd.DataFrame,
    window: int,
) -> ColumnDrift:
    # The newest known values: labels of the last bars are yet to come.
    newest = monitored[["event_time", scale.name]].dropna().iloc[-window:]
    values = newest[scale.name].to_numpy(dtype=np.float64)
    known = reference[reference["event_time"] < newest["event_time"].iloc[0]]
    distance, shift = (float(found[-1]) for found in measure(scale, known, newest, window))
    threshold = scale.distance.threshold(calibration.limit)
    shift_threshold = scale.shift.threshold(calibration.limit)
    part: Part = "feature"
    if scale.name in LABEL_COLUMNS:
        part = "prediction" if scale.name == PREDICTION else "target"
    return ColumnDrift(
        column=scale.name,
        part=part,
        rows=len(values),
        distance=distance,
        threshold=threshold,
        shift=shift,
        shift_threshold=shift_threshold,
        usual=scale.distance.threshold(1.0),
        drifted=distance > threshold or shift > shift_threshold,
        reference_mean=scale.mean,
        reference_std=scale.std,
        current_mean=float(values.mean()),
        current_std=float(values.std()),
    )


def _verdict(
    columns: Sequence[ColumnDrift], faults: Sequence[BrokenColumn], relation: Relation | None
) -> Verdict:
    if faults:
        return "broken"
    if any(column.drifted for column in columns) or (relation is not None and relation.alarm):
        return "drift"
    return "quiet"


def _sentence(report: DriftReport) -> str:
    said: list[str] = []
    if report.broken:
        names = ", ".join(dict.fromkeys(fault.column for fault in report.broken))
        said.append(f"Broken: {names}. {report.broken[0].sentence}")
    if report.drifted:
        worst = report.drifted[0]
        said.append(
            f"{len(report.drifted)} of {len(report.columns)} columns lie further from the training "
            f"reference than promised, most of all {worst.column}: distance {worst.distance:.2f} "
            f"(threshold {worst.threshold:.2f}), shift {worst.shift:.2f} (threshold "
            f"{worst.shift_threshold:.2f}) standard deviations."
        )
    elif report.columns:
        said.append(
            f"None of {len(report.columns)} columns lies further from the training reference than "
            f"its threshold (at most {report.alarms_a_year:g} false alarms a year)."
        )
    if report.relation is not None:
        said.append(report.relation.sentence)
    return " ".join(said)
