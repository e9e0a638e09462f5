"""Who can predict what: one test for each instrument, target and candidate, judged as one family.

Skill is a claim in two parts: the candidate knows something that the baseline does not (Clark and
West), and that has made its forecasts better (Diebold and Mariano). A candidate can know something
and still lose to the baseline, by the noise of its parameters. Both parts have to hold, so the
p-value of the claim is the larger of the two (an intersection-union test; Berger, 1982).

Of a hundred tests without any truth in them, five have p < 0.05. So every p-value is corrected for
all tests of the table: Holm (1979) bounds the chance of a single false claim, Benjamini and
Yekutieli (2001) the expected share of false claims; both hold under any dependence between tests,
which one euro in every pair makes strong. Holm's decides.

Who predicts is decided against the baseline. What may be said of it is the claim of a single
forecast (:mod:`fx_assets.evaluation.claim`), against baseline and reference, with p-values that lie
below what Holm's correction for all of the table leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.evaluation.compare import (
    Compared,
    compared,
    reference_among,
    with_references,
)
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.plausible import Excess, excesses, plausible_limits
from fx_assets.evaluation.significance import MIN_ROWS, holm_threshold
from fx_assets.evaluation.universe import current_rows, declared_rows
from fx_assets.evaluation.universe_members import while_member
from fx_assets.specs import ForecastSpec
from fx_assets.specs.universe import UniverseSpec, UniverseTarget
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


def skill_of(spec: UniverseSpec, judgeable: pd.DataFrame) -> pd.DataFrame:
    """Skill of every candidate for every instrument and target, with corrected p-values.

    Parameters
    ----------
    spec
        The universe.
    judgeable
        From :func:`judgeable_rows`.

    Returns
    -------
    DataFrame
        Columns of ``SKILL_DTYPES``, one row for each instrument, target and candidate with at least
        30 rows, those that have left included. ``skill`` is the relative reduction of the mean
        proper score against the baseline, with its 95 % block-bootstrap interval; ``p_value`` the
        larger of those of the one-sided tests of Clark and West and of Diebold and Mariano against
        the baseline, all NaN below ``min_rows`` rows. ``p_holm`` and ``p_benjamini_yekutieli`` are
        corrected for all ``tests`` of the table, ``p_holm_clark_west`` is what knowledge alone
        would have. ``may_predict``: ``p_holm`` is below ``significance``, and the skill at least
        ``min_skill``. ``verdict`` and ``claim`` are what may be said against baseline and
        reference; empty where the reference has not been walked forward. ``suspicious``: a figure
        is beyond what is plausible at the frequency.
    """
    return family_table(spec, compare_rows(spec, judgeable))


@dataclass(frozen=True)
class Judged:
    """What was found about one candidate of an instrument, before it is one of a family."""

    row: dict[str, Any]
    found: Compared
    claimable: bool
    """Whether the reference has been walked forward."""


def compare_rows(spec: UniverseSpec, judgeable: pd.DataFrame) -> list[Judged]:
    """Each candidate of these rows beside what it is compared with; other rows change nothing."""
    tests = sorted(_tests(spec, judgeable), key=lambda test: len(test.item.predictions))
    found = [test.compared(spec.min_rows) for test in tests]  # by length: draws are used again
    return [
        Judged(_row(spec, test, each), each, test.reference is not None)
        for test, each in zip(tests, found, strict=True)
    ]


def family_table(spec: UniverseSpec, judged: Sequence[Judged]) -> pd.DataFrame:
    """The table of :func:`skill_of`, of every candidate of the whole family."""
    table = pd.DataFrame([each.row for each in judged], columns=list(SKILL_DTYPES))
    tested = table["p_value"].notna().to_numpy(dtype=bool)
    table["tests"] = int(tested.sum())
    for column, of, method in CORRECTIONS:
        table[column] = np.nan
        if tested.any():
            table.loc[tested, column] = _corrected(table[of][tested], method)
    table["may_predict"] = (table["p_holm"] < spec.significance) & (
        table["skill"] >= spec.min_skill
    )
    needed = holm_threshold([each.found.p_value for each in judged], spec.significance)
    claims = [
        each.found.claim(needed, int(tested.sum())) if each.claimable else None for each in judged
    ]
    table["verdict"] = [claim.word if claim else "" for claim in claims]
    table["claim"] = [claim.model_dump_json() if claim else "" for claim in claims]
    table["skill_demonstrated"] = table["verdict"] == "demonstrated"
    order = ["instrument", "kind", "horizon", "candidate"]
    return table.sort_values(order, ignore_index=True).astype(SKILL_DTYPES)


@dataclass(frozen=True)
class Test:
    """A candidate's rows of one instrument and target, and what they are compared with."""

    forecast: ForecastSpec
    instrument: str
    item: Evidence
    reference: Evidence | None
    """``None`` where it has not been walked forward."""

    def compared(self, min_rows: int = MIN_ROWS) -> Compared:
        """Beside the baseline and the reference; where this is unknown beside the baseline."""
        baseline = baseline_evidence(self.forecast, self.item.predictions)
        reference = self.reference or baseline
        return compared(self.item, baseline, reference, self.forecast.target, min_rows)


def baseline_evidence(forecast: ForecastSpec, rows: pd.DataFrame) -> Evidence:
    """What the baseline said, which stands beside the rows of each candidate."""
    said = rows.assign(prediction=rows["baseline"])
    return Evidence(forecast.baseline.name, forecast.recipe_hash(forecast.baseline), said)


def reference_of_member(
    spec: UniverseSpec,
    forecast: ForecastSpec,
    rows: Mapping[str, pd.DataFrame],
    baseline: Evidence,
) -> Evidence | None:
    """The evidence of the best reference, which may be the baseline; ``None`` where it is unknown.

    ``rows`` are those of each candidate, by its name.
    """
    day = spec.market.bars_a_day
    return reference_among(forecast, baseline, day, lambda candidate: rows.get(candidate.name))


def _tests(spec: UniverseSpec, judgeable: pd.DataFrame) -> Iterator[Test]:
    targets: dict[Any, UniverseTarget] = {(each.kind, each.horizon): each for each in spec.targets}
    for (instrument, *about), rows in judgeable.groupby(["instrument", "kind", "horizon"]):
        forecast = spec.forecast(str(instrument), targets[tuple(about)])
        by_name = {str(name): part for name, part in rows.groupby("candidate")}
        for candidate in forecast.candidates:
            mine = by_name.get(candidate.name)
            if mine is None or len(mine) < MIN_ROWS:
                continue
            item = Evidence(candidate.name, forecast.recipe_hash(candidate), mine)
            baseline = baseline_evidence(forecast, mine)
            reference = reference_of_member(spec, forecast, by_name, baseline)
            yield Test(forecast, str(instrument), item, reference)


def best_candidates(table: pd.DataFrame) -> pd.DataFrame:
    """Of each instrument and target, the candidate that predicts if any may.

    Candidates that may predict come before the others, then the larger skill counts.
    """
    able = table.assign(may_predict=may_predict(table))
    order = able.sort_values(["may_predict", "skill"], ascending=False, kind="stable")
    best = order.drop_duplicates(["instrument", "kind", "horizon"])
    return best.sort_values(["kind", "horizon", "instrument"], ignore_index=True)


def may_predict(table: pd.DataFrame) -> pd.Series[bool]:
    """Whose skill is enough to predict; tables of before it was a column call it demonstrated."""
    return table["may_predict" if "may_predict" in table else "skill_demonstrated"]


def judgeable_rows(
    spec: UniverseSpec, backtest: pd.DataFrame, members: pd.DataFrame
) -> pd.DataFrame:
    """Rows of series and recipes as declared, of times of membership, sorted by event time.

    Those of the references of each target are among them.
    """
    if backtest.empty:
        return pd.DataFrame(columns=SKILL_COLUMNS)
    rows = current_rows(declared_rows(spec, backtest))
    forecasts = (
        spec.forecast(str(instrument), target)
        for instrument in rows["instrument"].unique()
        for target in spec.targets
    )
    day = spec.market.bars_a_day
    recipes = [f.recipe_hash(candidate) for f in forecasts for candidate in with_references(f, day)]
    rows = rows[rows["recipe"].isin(recipes)]
    inside = while_member(rows["instrument"], rows["event_time"], members, spec.market)
    return rows[inside & rows["target"].notna().to_numpy()].sort_values(
        "event_time", kind="stable", ignore_index=True
    )


def _row(spec: UniverseSpec, test: Test, found: Compared) -> dict[str, Any]:
    """The row of one candidate."""
    item, target, beside = test.item, test.forecast.target, found.baseline
    rows = item.predictions
    knows, pays = beside.clark_west_p, beside.diebold_mariano_p
    if beside.skill is None:
        knows = pays = 1.0
    return {
        SERIES_COLUMN: rows[SERIES_COLUMN].iloc[-1],
        "instrument": test.instrument,
        "kind": target.kind,
        "horizon": target.horizon,
        "candidate": item.candidate,
        "recipe": item.recipe,
        "n": len(rows),
        "first_row": rows["event_time"].iloc[0],
        "last_row": rows["event_time"].iloc[-1],
        "loss": float(target.definition.loss(rows["target"], rows["prediction"]).mean()),
        "baseline_loss": beside.loss,
        "skill": beside.skill or 0.0,
        "skill_lower": beside.lower or 0.0,
        "skill_upper": beside.upper or 0.0,
        "skill_on_reference": math.nan if test.reference is None else found.reference.skill,
        "p_clark_west": knows,
        "p_diebold_mariano": pays,
        "p_value": None if knows is None or pays is None else max(knows, pays),
        "suspicious": bool(excess_of(spec, rows)),
    }


def excess_of(spec: UniverseSpec, table: pd.DataFrame) -> tuple[Excess, ...]:
    """Which figures of a candidate's rows, sorted by event time, are beyond what is plausible."""
    about = table.iloc[-1]
    horizon = int(about["horizon"])
    limits = plausible_limits(spec.suspicion, about["kind"], horizon, spec.frequency)
    columns = (table[n].to_numpy(dtype=np.float64) for n in ("target", "baseline", "prediction"))
    return excesses(limits, horizon, *columns)


def _corrected(p_values: pd.Series[float], method: str) -> np.ndarray:
    """Adjusted p-values by ``holm`` or ``fdr_by``, as of statsmodels' ``multipletests``.

    That collects garbage of the whole process at each call.
    """
    values = p_values.to_numpy()
    order, places = np.argsort(values), np.arange(1, len(values) + 1)
    if method == "holm":
        adjusted = np.maximum.accumulate(values[order] * places[::-1])
    else:
        share = places / float(len(values)) / np.sum(1.0 / places)
        adjusted = np.minimum.accumulate((values[order] / share)[::-1])[::-1]
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1)
    return found
