"""What is said of the bar to come: one row for each member and target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.calendars import instant_of, moment
from fx_assets.evaluation.study import Study
from fx_assets.evaluation.universe import between, one_thread
from fx_assets.evaluation.universe_members import histories, members
from fx_assets.evaluation.universe_skill import best_candidates
from fx_assets.features import add_labels, build_features
from fx_assets.models import code_version
from fx_assets.specs.universe import UniverseSpec, UniverseTarget
from fx_assets.tables import UNIVERSE_PREDICTIONS

NEWEST_KEY = list(UNIVERSE_PREDICTIONS.key)
"""What identifies an issued prediction."""
NEWEST_DTYPES: dict[str, str] = UNIVERSE_PREDICTIONS.dtypes
"""The columns of a universe's ``predictions`` table with their pandas dtypes."""


def newest_predictions(
    spec: UniverseSpec,
    prices: pd.DataFrame,
    members_table: pd.DataFrame,
    skill: pd.DataFrame,
    newest: pd.Timestamp,
    now: datetime,
) -> pd.DataFrame:
    """Predict from the newest bar of every member.

    Parameters
    ----------
    spec
        The universe.
    prices
        Bars of the instruments, as known now, with a column ``instrument``.
    members_table
        Memberships; pegged members and those without a fixing at ``newest`` are left out.
    skill
        The ``skill`` table. ``candidate`` is the best of each instrument and target, and
        ``candidate_prediction`` what it says. Where its skill is demonstrated, it is the
        ``champion`` and ``prediction`` is the same; elsewhere the baseline is.
    newest
        Event time of the source's newest publication.
    now
        The clock's time (UTC). ``mode`` is ``live`` if it is before the target's time, else
        ``late``.

    Returns
    -------
    DataFrame
        Columns of ``NEWEST_DTYPES``.
    """
    in_now = members(members_table, now)
    best = best_candidates(skill)
    rows: list[dict[str, Any]] = []
    with one_thread():
        for instrument, bars in prices.groupby("instrument"):
            name = str(instrument)
            if name not in in_now or bars["event_time"].max() != newest:
                continue
            known = between(bars, histories(members_table, name)[-1])
            features = build_features(known, spec.features, spec.market)
            verdicts = best[best["instrument"] == name]
            rows += [
                _row(spec, name, target, features, _verdict(verdicts, target), now)
                for target in spec.targets
            ]
    return pd.DataFrame(rows, columns=list(NEWEST_DTYPES)).astype(NEWEST_DTYPES)


def _verdict(verdicts: pd.DataFrame, target: UniverseTarget) -> dict[str, Any]:
    """The skill of the best candidate; of the first declared one if none was judged."""
    found = verdicts[(verdicts["kind"] == target.kind) & (verdicts["horizon"] == target.horizon)]
    if len(found):
        return {str(name): value for name, value in found.iloc[0].items()}
    unknown: Sequence[str] = ("skill", "skill_lower", "skill_upper", "p_holm")
    return {
        "candidate": target.candidates[0].name,
        "skill_demonstrated": False,
        **dict.fromkeys(unknown, np.nan),
    }


def _row(
    spec: UniverseSpec,
    instrument: str,
    target: UniverseTarget,
    features: pd.DataFrame,
    verdict: dict[str, Any],
    now: datetime,
) -> dict[str, Any]:
    forecast, market = spec.forecast(instrument, target), spec.market
    frame = add_labels(features, forecast.target, market)
    candidate = next(c for c in forecast.candidates if c.name == verdict["candidate"])
    study = Study(forecast, frame, workers=1)
    fitted = study.final(candidate)
    said = float(fitted.model.predict(study.inputs(candidate.family).matrix[-1:])[0])
    baseline = float(study.baseline[-1])
    shown, last = bool(verdict["skill_demonstrated"]), frame.iloc[-1]
    closed = last["event_time"].to_pydatetime()
    return {
        "day": market.bar_day(closed).isoformat(),
        "instrument": instrument,
        "kind": target.kind,
        "horizon": target.horizon,
        "bars_a_year": market.bars_a_year,
        "event_time": last["event_time"],
        "as_of_close": float(last["close"]),
        "decision_time": pd.Timestamp(instant_of(market.published(np.array([moment(closed)]))[0])),
        "target_time": last["target_time"],
        "prediction": said if shown else baseline,
        "baseline": baseline,
        "baseline_name": target.baseline,
        "champion": candidate.name if shown else target.baseline,
        "candidate": candidate.name,
        "candidate_prediction": said,
        "recipe": fitted.recipe if shown else forecast.recipe_hash(forecast.baseline),
        "champion_label_end": fitted.label_end,
        "skill": verdict["skill"],
        "skill_lower": verdict["skill_lower"],
        "skill_upper": verdict["skill_upper"],
        "p_holm": verdict["p_holm"],
        "skill_demonstrated": shown,
        "code_version": code_version(candidate.family if shown else target.baseline, target.kind),
        "mode": "live" if now < last["target_time"] else "late",
        "issued_at": pd.Timestamp(now),
    }
