"""What each candidate would have said, and what its live rows say of it.

A shadow is made of the fit that the last retrain stored, at the decision time of a prediction that
was issued, from what was known then, and before its outcome. It is never served as the forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fx_assets.bundles.predictor import Predictor
from fx_assets.bundles.records import FittedFacts
from fx_assets.errors import FxAssetsError
from fx_assets.evaluation.live_evidence import scale_of, weigh
from fx_assets.models.onnx_predict import OnnxModel
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import CandidateSpec
from fx_assets.stages.candidate import load_draft
from fx_assets.stages.issue import Issued
from fx_assets.tables import (
    BACKTEST,
    LIVE_EVIDENCE,
    PREDICTIONS,
    SERIES_COLUMN,
    SHADOW_PREDICTIONS,
    UNCALIBRATED,
)

if TYPE_CHECKING:
    from fx_assets.stages.issue import Frames
    from fx_assets.targets import TargetDefinition

MODE = "shadow"
CONFIDENCE = 0.95
"""Of the confidence sequences that are shown."""
_WALKED = [SERIES_COLUMN, "recipe", "event_time", "target", "prediction", "baseline", UNCALIBRATED]


@dataclass(frozen=True)
class Drafted:
    """A candidate as the last retrain left it."""

    manifest: FittedFacts
    model: OnnxModel

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, p) inputs to (n,) predictions."""
        return self.model.predict(X)


def issue_shadows(
    own: SeriesTables, issued: Issued, now: datetime, notes: dict[str, str]
) -> pd.DataFrame:
    """A row of each candidate beside each live prediction that awaits its outcome and lacks it.

    A candidate whose fit has seen anything of after the decision time, or is of another declaration
    than today's, has none.

    Parameters
    ----------
    issued
        What was issued now.
    notes
        Gets the reason for each candidate without a row.

    Returns
    -------
    DataFrame
        New rows of the table ``shadow_predictions``; may be empty.
    """
    told = [_awaited(rows, now) for rows in (own.read(PREDICTIONS), issued.new_rows) if len(rows)]
    made: list[dict[str, Any]] = []
    if told and issued.frames is not None:
        rows = pd.concat([part.astype(object) for part in told], ignore_index=True)
        known = own.read(SHADOW_PREDICTIONS)
        there = set(zip(known["recipe"], known["event_time"], strict=True)) if len(known) else set()
        for candidate in own.spec.all_candidates:
            recipe = own.spec.recipe_hash(candidate)
            waiting = [
                row
                for row in rows.to_dict("records")
                if (recipe, pd.Timestamp(row["event_time"])) not in there
            ]
            try:
                made += _shadows(own, candidate, recipe, waiting, issued.frames, now)
            except FxAssetsError as error:  # predictions stand, whatever their shadows do
                notes[candidate.name] = error.message
    return pd.DataFrame(made, columns=list(SHADOW_PREDICTIONS.names)).astype(
        SHADOW_PREDICTIONS.dtypes
    )


def _awaited(rows: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Live predictions whose outcome is ahead."""
    return rows[(rows["mode"] == "live") & (rows["target_time"] > pd.Timestamp(now))]


def drafted(own: SeriesTables, candidate: str) -> Predictor:
    """A candidate as the last retrain left it, ready to predict.

    Raises
    ------
    RegistryError
        As of :func:`fx_assets.stages.candidate.load_draft`.
    """
    draft, onnx = load_draft(own, candidate)
    return Predictor(Drafted(draft.facts, OnnxModel(onnx)))


def _shadows(
    own: SeriesTables,
    candidate: CandidateSpec,
    recipe: str,
    waiting: list[dict[Any, Any]],
    frames: Frames,
    now: datetime,
) -> list[dict[str, Any]]:
    served = [row for row in waiting if row["recipe"] == recipe]
    others = [row for row in waiting if row["recipe"] != recipe]
    made = [_row(row, row, candidate, recipe, now) for row in served]
    if not others:
        return made
    predictor = drafted(own, candidate.name)
    facts = predictor.manifest
    learned = max(facts.label_end, facts.data_as_of)
    others = [row for row in others if learned <= row["decision_time"]]
    if not others or facts.recipe != recipe:
        return made
    for row in others:
        said = predictor.newest(frames.known_at(pd.Timestamp(row["decision_time"])))
        told = {
            "prediction": said.prediction,
            "lower": said.lower,
            "upper": said.upper,
            "code_version": facts.code_version,
            "champion_label_end": pd.Timestamp(facts.label_end),
        }
        made.append(_row(row, told, candidate, recipe, now))
    return made


def _row(
    row: Mapping[Any, Any],
    said: Mapping[Any, Any],
    candidate: CandidateSpec,
    recipe: str,
    now: datetime,
) -> dict[str, Any]:
    """A shadow beside an issued row; ``said`` has what the candidate says."""
    about = (SERIES_COLUMN, "day", "event_time", "decision_time", "target_time", "baseline")
    return {
        **{name: row[name] for name in (*about, "champion")},
        **{name: said[name] for name in ("prediction", "lower", "upper", "code_version")},
        "label_end": said["champion_label_end"],
        "candidate": candidate.name,
        "recipe": recipe,
        "mode": MODE,
        "issued_at": pd.Timestamp(now),
    }


def weigh_candidates(
    own: SeriesTables, outcomes: pd.DataFrame, walked: Callable[[], pd.DataFrame] | None = None
) -> pd.DataFrame:
    """What the live rows of each candidate say of it by these outcomes.

    Parameters
    ----------
    outcomes
        Of the issued predictions, as known now: one row an event time, with the loss of what was
        served.
    walked
        Reads the walk-forward rows of the series; by default those of the table ``backtest``.

    Returns
    -------
    DataFrame
        Rows of the table ``live_evidence``, one a recipe that has live rows; may be empty.
    """
    shadows = own.read(SHADOW_PREDICTIONS)
    columns = ["event_time", "target", "known_at", "loss"]
    if shadows.empty or outcomes.empty:
        return _evidence([])
    truth = outcomes[columns].rename(columns={"loss": "champion_loss"})
    scored = shadows.merge(truth, on="event_time").sort_values("event_time", kind="stable")
    baseline = own.spec.recipe_hash(own.spec.baseline)
    scored = scored[scored["recipe"] != baseline]
    loss, before = own.spec.target.definition.loss, own.newest(LIVE_EVIDENCE)
    scales = dict(zip(before["recipe"], before["scale"], strict=True)) if len(before) else {}
    found = []
    for recipe, rows in scored.groupby("recipe", sort=False):
        since = shadows.loc[shadows["recipe"] == recipe, "event_time"].min()
        scale = scales.get(recipe, np.nan)
        if not scale > 0:
            past = _walked(own) if walked is None else walked()
            scale = _scale(past, own.spec.target.definition, str(recipe), since)
        ours, theirs = (loss(rows["target"], rows[said]) for said in ("prediction", "baseline"))
        mean = float(theirs.mean())
        said = weigh(theirs - ours, scale, own.spec.target.horizon, CONFIDENCE)
        known = scale > 0
        found.append(
            {
                "candidate": rows["candidate"].iloc[-1],
                "recipe": recipe,
                "since": since,
                "last": rows["event_time"].iloc[-1],
                "as_of": rows["known_at"].max(),
                "rows": len(rows),
                "loss": float(ours.mean()),
                "baseline_loss": mean,
                "champion_loss": float(rows["champion_loss"].mean()),
                "skill": (said.mean if known else float((theirs - ours).mean())) / mean
                if mean
                else np.nan,
                "skill_lower": said.lower / mean if known and mean else np.nan,
                "skill_upper": said.upper / mean if known and mean else np.nan,
                "e_better": said.better if known else np.nan,
                "e_worse": said.worse if known else np.nan,
                "scale": scale,
            }
        )
    return _evidence(found)


def live_evidence(own: SeriesTables) -> pd.DataFrame:
    """The newest row of ``live_evidence`` of each declared candidate that has live rows."""
    found = own.newest(LIVE_EVIDENCE)
    declared = {own.spec.recipe_hash(candidate) for candidate in own.spec.all_candidates}
    return found[found["recipe"].isin(declared)] if len(found) else found


def live_contradiction(own: SeriesTables, recipe: str) -> str:
    """Why live rows refute that a recipe is no worse than the baseline; empty where they do not.

    At the level ``promotion.live_level``, however often it is asked.
    """
    level, found = own.spec.promotion.live_level, own.newest(LIVE_EVIDENCE)
    mine = found[found["recipe"] == recipe] if len(found) else found
    if not level or mine.empty or not mine["e_worse"].iloc[-1] >= 1 / level:
        return ""
    row = mine.iloc[-1]
    return (
        f"its {int(row['rows']):,} live rows since {row['since']:%Y-%m-%d} contradict it: skill "
        f"{100 * row['skill']:+.2f} % (at most {100 * row['skill_upper']:+.2f} %), e-value "
        f"{row['e_worse']:.3g} that it is worse than the baseline, and {1 / level:g} is enough"
    )


def _walked(own: SeriesTables) -> pd.DataFrame:
    rows = own.store.read_known(BACKTEST.name, own.forecast, _WALKED)
    if rows.empty or SERIES_COLUMN not in rows:
        return pd.DataFrame(columns=_WALKED)
    return rows[rows[SERIES_COLUMN] == own.series.id]


def _scale(rows: pd.DataFrame, target: TargetDefinition, recipe: str, since: pd.Timestamp) -> float:
    """Where differences of losses are cut, by rows before the first live one; NaN where unknown."""
    rows, loss = rows[(rows["recipe"] == recipe) & (rows["event_time"] < since)], target.loss
    if rows.empty:
        return np.nan
    theirs = loss(rows["target"], rows["baseline"])
    for said in (name for name in ("prediction", UNCALIBRATED) if name in rows):
        differ = pd.Series(theirs - loss(rows["target"], rows[said])).dropna()
        # Calibrated rows that say what the baseline says do not tell how far others may be off.
        scale = scale_of(differ[differ != 0])
        if scale > 0:
            return scale
    return np.nan


def _evidence(rows: list[dict[str, Any]]) -> pd.DataFrame:
    kept = [name for name in LIVE_EVIDENCE.names if name != SERIES_COLUMN]
    types = {name: dtype for name, dtype in LIVE_EVIDENCE.dtypes.items() if name in kept}
    return pd.DataFrame(rows, columns=kept).astype(types)
