"""What a lake says, in few numbers that any changed row changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.lake import Lake

ISSUED = (
    "prediction",
    "lower",
    "upper",
    "baseline",
    "as_of_close",
    "score",
    "baseline_score",
    "skill",
    "skill_lower",
    "skill_upper",
)
DECIDED = ("verdict", "champion", "challenger", "looked", "trials", "rows", "sentence")
JUDGED = ("n", "loss", "baseline_loss", "skill", "p_clark_west", "p_diebold_mariano", "p_holm")


def summary(lake: Lake, forecasts: Iterable[str], universe: str) -> dict[str, Any]:
    """Predictions, decisions and scores as they are; of backtests moments for each candidate."""
    found: dict[str, Any] = {}
    for name in forecasts:
        issued = lake.read("predictions", name).sort_values("event_time")
        decisions = lake.read("decisions", name).sort_values("sequence")
        scores = lake.read("scores", name).sort_values(["candidate", "metric"])
        scores = scores[~scores["metric"].str.fullmatch(r"coverage_\d{4}")]
        found[name] = {
            "predictions": [
                {
                    "event_time": row["event_time"].isoformat(),
                    "target_time": row["target_time"].isoformat(),
                    "champion": f"{row['champion']} {row['champion_version']}",
                    **{column: _number(row[column]) for column in ISSUED},
                }
                for row in issued.to_dict("records")
            ],
            "decisions": [
                {column: _plain(row[column]) for column in DECIDED}
                for row in decisions.to_dict("records")
            ],
            "scores": {
                f"{row['candidate']} {row['metric']}": [
                    _number(row[column]) for column in ("value", "lower", "upper", "n")
                ]
                for row in scores.to_dict("records")
            },
            "backtest": _moments(lake.read("backtest", name), ["candidate"]),
        }
        if name in lake.names("economics"):
            found[name]["economics"] = _earned(lake.read("economics", name))
    skill = lake.read("skill", universe).sort_values(["instrument", "kind", "candidate"])
    keys = ["instrument", "kind", "candidate"]
    issued = lake.read("predictions", universe)
    found[universe] = {
        "skill": {
            " ".join(row[key] for key in keys): [_number(row[column]) for column in JUDGED]
            for row in skill.to_dict("records")
        },
        "predictions": _moments(issued, ["instrument", "kind"]),
        "backtest": _moments(lake.read("backtest", universe), ["kind", "candidate"]),
    }
    return found


def _earned(rows: pd.DataFrame) -> dict[str, Any]:
    """What each recipe's strategy would have earned in its backtest: figures, and the sentence."""
    rows = rows[rows["evidence"] == "backtest"].sort_values(["candidate", "figure"])
    figures = {
        f"{row['candidate']} {row['figure']}": [
            _number(row[column]) for column in ("value", "lower", "upper", "n")
        ]
        for row in rows.to_dict("records")
    }
    told = rows.drop_duplicates("candidate")
    return figures | dict(zip(told["candidate"], told["sentence"], strict=True))


def _moments(rows: pd.DataFrame, by: list[str]) -> dict[str, list[float | None]]:
    """Rows, and of each column its sum and its sum weighted by the place in time."""
    found = {}
    columns = [c for c in ("prediction", "baseline", "target") if c in rows]
    ordered = rows.sort_values(["event_time", *by], kind="stable")
    for key, part in ordered.groupby(by, sort=True):
        places = np.arange(1, len(part) + 1) / len(part)
        values = [part[column].to_numpy(dtype=float) for column in columns]
        sums = [total for v in values for total in (np.nansum(v), np.nansum(v * places))]
        found[" ".join(map(str, key))] = [_number(total) for total in (len(part), *sums)]
    return found


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _plain(value: Any) -> Any:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
