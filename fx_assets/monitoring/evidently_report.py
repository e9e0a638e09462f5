"""Evidently's page and Evidently's own verdicts, beside ours.

The page is one self-contained HTML file; telemetry is switched off before the import, which takes
three seconds and therefore happens in here only. Evidently draws the columns that are nearest to
their thresholds, and judges them by our thresholds; its default tests are run on all columns.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fx_assets.monitoring.drift import ColumnDrift, DriftReport, StockVerdict
from fx_assets.monitoring.monitored import reference_and_current
from fx_assets.presentation.evidently import STYLE, evidently, with_head

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

DRAWN_COLUMNS = 8
"""Columns that are drawn; each takes about 50 ms and 15 kB."""


@dataclass(frozen=True)
class EvidentlyReport:
    """The page, and the report with Evidently's default verdicts in its columns."""

    html: bytes
    report: DriftReport


def evidently_report(
    report: DriftReport, monitored: pd.DataFrame, trained_through: datetime
) -> EvidentlyReport:
    """Run Evidently on the rows that a drift report was made of.

    Parameters
    ----------
    report
        From :func:`~fx_assets.monitoring.drift.drift_report`; without columns (too few rows) the
        page has its sentence only.
    monitored, trained_through
        As given to ``drift_report``.
    """
    if not report.columns:
        return EvidentlyReport(_page(report, ""), report)
    reference, _ = reference_and_current(monitored, trained_through, report.window)
    samples = {c.column: _samples(c, reference, monitored) for c in report.columns}
    with evidently():
        judged = report.with_stock({name: _stock(*pair) for name, pair in samples.items()})
        nearest = sorted(judged.columns, key=lambda c: -c.severity)
        drawn = _evidently_html(nearest[:DRAWN_COLUMNS], samples)
    return EvidentlyReport(_page(judged, drawn), judged)


def _samples(
    column: ColumnDrift, reference: pd.DataFrame, monitored: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """The column's reference and newest values."""
    newest = monitored[["event_time", column.column]].dropna().iloc[-column.rows :]
    before = reference[reference["event_time"] < newest["event_time"].iloc[0]]
    return (
        before[column.column].dropna().reset_index(drop=True),
        newest[column.column].reset_index(drop=True),
    )


def _stock(reference: pd.Series, current: pd.Series) -> StockVerdict:
    """What Evidently's default test for such a column says at its default threshold."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    test = get_stattest(reference, current, ColumnType.Numerical, None)
    found = test(reference, current, ColumnType.Numerical, None)
    return StockVerdict(
        method=test.display_name,
        score=float(found.drift_score),
        threshold=float(found.actual_threshold),
        drifted=bool(found.drifted),
    )


def _evidently_html(
    columns: list[ColumnDrift], samples: dict[str, tuple[pd.Series, pd.Series]]
) -> str:
    """Evidently's report of standardised columns, judged by our thresholds."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(numerical_columns=[column.column for column in columns])

    def dataset(which: int) -> Any:
        frame = pd.DataFrame(
            {
                c.column: (samples[c.column][which] - c.reference_mean) / c.reference_std
                for c in columns
            }
        )
        return Dataset.from_pandas(frame, data_definition=definition)

    metrics: list[Any] = [
        ValueDrift(column=c.column, method="wasserstein", threshold=c.threshold) for c in columns
    ]
    run = Report(metrics, include_tests=True).run(dataset(1), dataset(0))
    page: str = run.get_html_str(as_iframe=False)
    return page


def _page(report: DriftReport, drawn: str) -> bytes:
    return with_head(drawn or "<!doctype html><html><body></body></html>", _summary(report))


def _summary(report: DriftReport) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(c.column)}</td><td>{c.distance:.3f}</td><td>{c.threshold:.3f}</td>"
        f"<td>{c.shift:.3f}</td><td>{c.shift_threshold:.3f}</td>"
        f"{_said(c.drifted)}{_stock_cells(c.stock)}</tr>"
        for c in sorted(report.columns, key=lambda c: -c.severity)
    )
    faults = "".join(f"<li>{html.escape(fault.sentence)}</li>" for fault in report.broken)
    table = (
        "<table><tr><th>column</th><th>distance</th><th>threshold</th>"
        "<th>shift</th><th>threshold</th><th>drift</th>"
        "<th>Evidently's default</th><th>score</th><th>threshold</th><th>drift</th></tr>"
        f"{rows}</table>"
        if rows
        else ""
    )
    return (
        f"{STYLE}<div class='fx'><h1>Drift of {html.escape(report.forecast)}</h1>"
        f"<p><b>{html.escape(report.verdict)}</b>: {html.escape(report.sentence)}</p>"
        f"<ul>{faults}</ul><p>The newest {report.window} rows up to that of "
        f"{report.as_of:%Y-%m-%d %H:%M} UTC against {report.reference_rows:,} training rows, in "
        "their standard deviations. Thresholds are calibrated on the reference's own windows to "
        f"{report.alarms_a_year:g} false alarms a year; Evidently's defaults are shown for "
        f"comparison.</p>{table}</div>"
    )


def _said(drifted: bool) -> str:
    return f"<td class='{'yes' if drifted else 'no'}'>{'yes' if drifted else 'no'}</td>"


def _stock_cells(stock: StockVerdict | None) -> str:
    if stock is None:
        return "<td></td>" * 4
    return (
        f"<td>{html.escape(stock.method)}</td><td>{stock.score:.3f}</td>"
        f"<td>{stock.threshold:g}</td>{_said(stock.drifted)}"
    )
