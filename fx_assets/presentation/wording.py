"""Predictions in words: what a person reads on the terminal, in the UI and from the API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol, cast

from fx_assets.calendars import calendar
from fx_assets.evaluation.claim import Claim, percent
from fx_assets.evaluation.stated import Stated
from fx_assets.specs import ForecastSpec, TargetSpec

if TYPE_CHECKING:
    import pandas as pd

DAYS = 366
LATEST_COLUMNS = (
    "forecast",
    "instrument",
    "as of",
    "target",
    "prediction",
    "interval",
    "champion",
    "score against the baseline",
    "skill demonstrated",
)


class Aimed(Protocol):
    """What the words depend on: a ``ForecastSpec``, or a loaded champion."""

    @property
    def target(self) -> TargetSpec:
        """What is predicted."""
        ...


def as_of_text(row: Mapping[str, Any]) -> str:
    """The bar that a prediction was made from: its day, or of an intraday bar its close."""
    return str(row["day"]) if _bars_a_year(row) <= DAYS else f"{row['event_time']:%Y-%m-%d %H:%M}"


def target_text(row: Mapping[str, Any]) -> str:
    """The bar that a prediction is about: its day, or of an intraday bar its close."""
    if _bars_a_year(row) > DAYS:
        return f"{row['target_time']:%Y-%m-%d %H:%M UTC}"
    return target_day(row)


def target_day(row: Mapping[str, Any]) -> str:
    """The market's day of the bar that a prediction is about.

    Rows that were issued before the column existed say only when that bar closes; it lies as far
    from its day as the close of the bar that they were made from.
    """
    known = row.get("target_day")
    if isinstance(known, str):
        return known
    ahead = row["event_time"].date() - date.fromisoformat(str(row["day"]))
    return str(row["target_time"].date() - ahead)


def _bars_a_year(row: Mapping[str, Any]) -> int:
    """Rows that were issued before the column existed are of the ECB's fixings."""
    known = row.get("bars_a_year")
    return calendar("target").bars_a_year if known is None or known != known else int(known)


def value_text(row: Mapping[str, Any], name: str, spec: Aimed) -> str:
    """A predicted value, or a bound of its interval, with its unit."""
    value, shown = float(row[name]), spec.target.definition.shown
    text = shown.text(value, spec.target.horizon, _bars_a_year(row))
    if shown.moves_close:
        return f"{text} ({float(row['as_of_close']) * math.exp(value):.4f})"
    return f"{value:.3g} ({text})" if shown.annualised else text


def prediction_text(row: Mapping[str, Any], spec: Aimed) -> str:
    """The prediction with what it is called."""
    called = spec.target.definition.wording.called
    why = out_of_range_of(row)
    said = f", which is the reference's: {why}" if why else ""
    return f"{called} {value_text(row, 'prediction', spec)}{said}"


def out_of_range_of(row: Mapping[str, Any]) -> str:
    """Why the champion was not heard; empty where it was, and of rows of before it was said."""
    why = row.get("out_of_range")
    return why if isinstance(why, str) else ""


def interval_text(row: Mapping[str, Any], spec: Aimed) -> str:
    """The interval with its nominal coverage."""
    share = f"{100 * float(row['coverage']):.0f} %{spec.target.definition.wording.interval_of}"
    return f"{value_text(row, 'lower', spec)} to {value_text(row, 'upper', spec)} ({share})"


def quantiles_text(row: Mapping[str, Any], spec: Aimed) -> str:
    """The quantiles that are stated with a prediction; empty where there are none."""
    told = row.get("distribution")
    if not isinstance(told, str) or not told:
        return ""
    stated = Stated.model_validate_json(told)
    shown, horizon = spec.target.definition.shown, spec.target.horizon
    pairs = (
        f"{100 * level:g} %: {shown.text(value, horizon, _bars_a_year(row))}"
        for level, value in zip(stated.levels, stated.values, strict=True)
    )
    return f"; quantiles ({stated.family}) {', '.join(pairs)}"


def score_text(row: Mapping[str, Any]) -> str:
    """The champion's out-of-sample score and skill with their uncertainty."""
    if not row["score_rows"]:
        return "no out-of-sample row yet"
    text = f"{row['score_name']} {row['score']:.4g} against {row['baseline_score']:.4g}"
    if row["champion"] == row["baseline_name"]:
        return f"{text}: the champion is the baseline (n = {row['score_rows']:,})"
    return (
        f"{text}, skill {percent(row['skill'])} "
        f"({100 * row['skill_lower']:+.2f} to {100 * row['skill_upper']:+.2f}, "
        f"n = {row['score_rows']:,})"
    )


def caveat_of(row: Mapping[str, Any]) -> str:
    """What has to be said with a prediction's skill; rows of old have none."""
    said = row.get("caveat")
    return said if isinstance(said, str) else ""


def claim_of_row(row: Mapping[str, Any]) -> Claim | None:
    """What may be said of the champion's skill; rows of old do not say it."""
    said = row.get("claim")
    return Claim.model_validate_json(said) if isinstance(said, str) and said else None


def skill_text(row: Mapping[str, Any]) -> str:
    """Whether skill is demonstrated, never without what has to be said with it."""
    caveat, claim = caveat_of(row), claim_of_row(row)
    if row["skill_demonstrated"]:
        said = f"yes, but {caveat}" if caveat else "yes"
    else:
        knows = claim is not None and claim.word == "knows something"
        said = "no, but it knows something" if knows else "no"
        said += f"; {caveat}" if caveat else ""
    return f"{said}. {claim.sentence}" if claim else said


def sentence(row: Mapping[str, Any], spec: Aimed) -> str:
    """A prediction as one sentence."""
    caveat, claim = caveat_of(row), claim_of_row(row)
    honest = "with demonstrated skill" if row["skill_demonstrated"] else "without claim to skill"
    if claim and claim.word == "knows something":
        honest = "which knows something but is not shown to be better than " + claim.missed
    if caveat:
        honest += f", but {caveat}" if row["skill_demonstrated"] else f"; {caveat}"
    return (
        f"{row['instrument']} as of {as_of_text(row)}, for {target_text(row)}: "
        f"{prediction_text(row, spec)}, {interval_text(row, spec)}; by {row['champion']} "
        f"{row['champion_version']}, {honest}."
    )


def latest_row(predictions: pd.DataFrame, spec: ForecastSpec) -> tuple[str, ...]:
    """The newest prediction of a forecast as texts under ``LATEST_COLUMNS``."""
    if predictions.empty:
        return (spec.name, "", "", "", "none yet", "", "", "", "")
    row = cast("dict[str, Any]", predictions.sort_values("event_time").iloc[-1].to_dict())
    late = "" if row["mode"] == "live" else ", issued after the fact"
    return (
        spec.name,
        str(row["instrument"]),
        as_of_text(row),
        f"{target_text(row)}{late}",
        prediction_text(row, spec),
        interval_text(row, spec) + quantiles_text(row, spec),
        f"{row['champion']} {row['champion_version']}",
        score_text(row),
        skill_text(row),
    )
