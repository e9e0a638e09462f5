"""Who can predict what: one test for each instrument, target and candidate, judged as one family.

Skill is a claim in two parts: the candidate knows something that the baseline does not (Clark and
West), and that has made its forecasts better (Diebold and Mariano). A candidate can know something
and still lose to the baseline, by the noise of its parameters. Both parts have to hold, so the
p-value of the claim is the larger of the two (an intersection-union test; Berger, 1982).

Of a hundred tests without any truth in them, five have p < 0.05. So every p-value is corrected for
all tests of the table: Holm (1979) bounds the chance of a single false claim, Benjamini and
Yekutieli (2001) the expected share of false claims; both hold under any dependence between tests,
which one euro in every pair makes strong. Holm's decides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.evaluation.losses import loss_for, skill
from fx_assets.evaluation.plausible import Excess, excesses, plausible_limits
from fx_assets.evaluation.significance import clark_west, diebold_mariano, mean_upper_bound
from fx_assets.evaluation.universe import adopted, current_rows
from fx_assets.evaluation.universe_members import while_member
from fx_assets.specs.universe import UniverseSpec
from fx_assets.tables import SERIES_COLUMN, SKILL

SKILL_COLUMNS = [
    SERIES_COLUMN,
    "instrument",
    "kind",
    "horizon",
    "candidate",
    "event_time",
    "target",
    "prediction",
    "baseline",
    "recipe",
    "row_key",
    "label_available_at",
    "batch",
]
"""What has to be read of the ``backtest`` table to judge it."""
SKILL_DTYPES: dict[str, str] = SKILL.dtypes
"""The columns of the ``skill`` table with their pandas dtypes."""
CORRECTIONS = (
    ("p_holm", "p_value", "holm"),
    ("p_benjamini_yekutieli", "p_value", "fdr_by"),
    ("p_holm_clark_west", "p_clark_west", "holm"),
)
"""Each corrected column, the p-values that it corrects, and statsmodels' name of the method."""
CONFIDENCE = 0.95
LEAST_ROWS_TO_SHOW = 30


def skill_table(
    spec: UniverseSpec, backtest: pd.DataFrame, members: pd.DataFrame, market: Calendar
) -> pd.DataFrame:
    """Skill of every candidate for every instrument and target, with corrected p-values.

    Parameters
    ----------
    spec
        The universe.
    backtest
        Its walk-forward rows, at least ``SKILL_COLUMNS``. Rows of other recipes are left out, and
        rows for which the instrument was not a member, or pegged, when they were decided.
    members
        From :func:`fx_assets.evaluation.universe_members.membership`.
    market
        Says when a row was decided.

    Returns
    -------
    DataFrame
        Columns of ``SKILL_DTYPES``, one row for each instrument, target and candidate with at least
        30 rows, those that have left included. ``skill`` is the relative reduction of the mean
        proper score against the baseline, with a 95 % HAC interval; ``p_value`` the larger of those
        of the one-sided tests of Clark and West and of Diebold and Mariano against the baseline,
        all NaN below ``min_rows`` rows. ``p_holm`` and ``p_benjamini_yekutieli`` are corrected for
        all ``tests`` of the table, ``p_holm_clark_west`` is what knowledge alone would have.
        ``skill_demonstrated``: ``p_holm`` is below ``significance``, and the skill at least
        ``min_skill``. ``suspicious``: a figure is beyond what is plausible at the frequency.
    """
    return skill_of(spec, judgeable_rows(spec, backtest, members, market))


def skill_of(spec: UniverseSpec, judgeable: pd.DataFrame) -> pd.DataFrame:
    """As :func:`skill_table`, of the rows that are judged, sorted by event time."""
    rows = [
        _judged(spec, table)
        for _, table in judgeable.groupby(["instrument", "kind", "horizon", "candidate"])
        if len(table) >= LEAST_ROWS_TO_SHOW
    ]
    table = pd.DataFrame(rows, columns=list(SKILL_DTYPES))
    tested = table["p_value"].notna().to_numpy(dtype=bool)
    table["tests"] = int(tested.sum())
    for column, of, method in CORRECTIONS:
        table[column] = np.nan
        if tested.any():
            table.loc[tested, column] = _corrected(table[of][tested], method)
    table["skill_demonstrated"] = (table["p_holm"] < spec.significance) & (
        table["skill"] >= spec.min_skill
    )
    return table.astype(SKILL_DTYPES)


def best_candidates(table: pd.DataFrame) -> pd.DataFrame:
    """Of each instrument and target, the candidate that predicts if its skill is demonstrated.

    Candidates with demonstrated skill come before the others, then the larger skill counts.
    """
    order = table.sort_values(["skill_demonstrated", "skill"], ascending=False, kind="stable")
    best = order.drop_duplicates(["instrument", "kind", "horizon"])
    return best.sort_values(["kind", "horizon", "instrument"], ignore_index=True)


def judgeable_rows(
    spec: UniverseSpec, backtest: pd.DataFrame, members: pd.DataFrame, market: Calendar
) -> pd.DataFrame:
    """Rows of series and recipes as declared, of times of membership, sorted by event time."""
    if backtest.empty:
        return pd.DataFrame(columns=SKILL_COLUMNS)
    rows = current_rows(adopted(spec, backtest))
    instruments = [str(instrument) for instrument in rows["instrument"].unique()]
    pairs = [(instrument, target) for instrument in instruments for target in spec.targets]
    declared = [
        spec.forecast(instrument, target).recipe_hash(candidate)
        for instrument, target in pairs
        for candidate in target.candidates
    ]
    series = [spec.series(instrument, target).id for instrument, target in pairs]
    rows = rows[rows["recipe"].isin(declared) & rows[SERIES_COLUMN].isin(series)]
    inside = while_member(rows["instrument"], rows["event_time"], members, market)
    return rows[inside & rows["target"].notna().to_numpy()].sort_values(
        "event_time", kind="stable", ignore_index=True
    )


def _judged(spec: UniverseSpec, table: pd.DataFrame) -> dict[str, Any]:
    """The row of one candidate, from its rows sorted by event time."""
    about = table.iloc[-1]
    kind, horizon = about["kind"], int(about["horizon"])
    actual, baseline, said = (
        table[name].to_numpy(dtype=np.float64) for name in ("target", "baseline", "prediction")
    )
    loss = loss_for(kind)
    ours, theirs = loss(actual, said), loss(actual, baseline)
    value = skill(ours, theirs)
    # Linear in the losses around the skill, so that one HAC error serves for the ratio.
    margin = mean_upper_bound((1 - value) * theirs - ours, horizon, (1 + CONFIDENCE) / 2)
    half = margin / float(theirs.mean())
    knows = pays = math.nan
    if len(table) >= spec.min_rows:
        knows = clark_west(kind, actual, baseline, said, horizon).p_value
        pays = diebold_mariano(theirs, ours, horizon).p_value
    return {
        SERIES_COLUMN: about[SERIES_COLUMN],
        "instrument": about["instrument"],
        "kind": kind,
        "horizon": horizon,
        "candidate": about["candidate"],
        "recipe": about["recipe"],
        "n": len(table),
        "first_row": table["event_time"].iloc[0],
        "last_row": table["event_time"].iloc[-1],
        "loss": float(ours.mean()),
        "baseline_loss": float(theirs.mean()),
        "skill": value,
        "skill_lower": value - half,
        "skill_upper": value + half,
        "p_clark_west": knows,
        "p_diebold_mariano": pays,
        "p_value": max(knows, pays),
        "suspicious": bool(excess_of(spec, table)),
    }


def excess_of(spec: UniverseSpec, table: pd.DataFrame) -> tuple[Excess, ...]:
    """Which figures of a candidate's rows, sorted by event time, are beyond what is plausible."""
    about = table.iloc[-1]
    horizon = int(about["horizon"])
    limits = plausible_limits(spec.suspicion, about["kind"], horizon, spec.frequency)
    columns = (table[n].to_numpy(dtype=np.float64) for n in ("target", "baseline", "prediction"))
    return excesses(limits, horizon, *columns)


def _corrected(p_values: pd.Series[float], method: str) -> np.ndarray:
    from statsmodels.stats import multitest

    correct: Any = multitest.multipletests
    return np.asarray(correct(p_values.to_numpy(), method=method)[1])
