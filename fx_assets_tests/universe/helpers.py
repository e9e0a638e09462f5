"""Universes to test with: specs, tables of prices, and what members they have."""

from __future__ import annotations

from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.evaluation.universe import walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import judgeable_rows, skill_of
from fx_assets.lake import Lake
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.panel_decide import decide_panel
from fx_assets.stages.panel_issue import issue_panel
from fx_assets.testing import worlds


def universe(**changes: object) -> UniverseSpec:
    """A universe with a short history and cheap candidates."""
    values: dict[str, object] = {
        "name": "small_universe",
        "description": "A few currencies against the euro, for tests.",
        "source": {"kind": "ecb"},
        "membership": {"min_history": 460, "max_missed": 5, "peg_window": 60},
        "targets": [
            {"kind": "direction", "candidates": ["logistic_regression"]},
            {"kind": "volatility", "candidates": ["ewma"]},
        ],
        "walk_forward": {"first_test": "1999-01-01", "min_train": 200, "refit_every": 504},
        "min_rows": 250,
    }
    return UniverseSpec.model_validate({**values, **changes})


def prices_of(bars: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Many instruments' bars as one table."""
    return pd.concat(
        [frame.assign(instrument=name) for name, frame in bars.items()], ignore_index=True
    )


def judged(spec: UniverseSpec, bars: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The skill table of these instruments, from bars to verdict."""
    prices = prices_of(bars)
    members = membership(prices, spec.membership, spec.market)
    rows = walk_universe(spec, prices, members, pd.DataFrame())
    return skill_table(spec, rows, members)


def skill_table(spec: UniverseSpec, backtest: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on walk-forward rows, of times of membership."""
    return skill_of(spec, judgeable_rows(spec, backtest, members))


def coin(number: int, first: str = "A") -> str:
    """A made-up currency against the euro."""
    return f"EUR{first}{chr(65 + number // 26)}{chr(65 + number % 26)}"


def issued(
    folder: Path,
    spec: UniverseSpec,
    prices: pd.DataFrame,
    rows: pd.DataFrame,
    now: datetime,
    **verdict: object,
) -> pd.DataFrame:
    """What is said of the newest bars, from walk-forward rows; ``verdict`` changes the skill."""
    lake, market = Lake(str(folder)), spec.market
    members = membership(prices, spec.membership, market)
    judged = judgeable_rows(spec, rows, members)
    skill = skill_of(spec, judged).assign(**verdict)
    readings = {name: spec.feed(str(name)).reading for name in prices["instrument"].unique()}
    raw = prices.assign(reading=prices["instrument"].map(readings))
    tables = {"raw_prices": raw, "prices": prices, "universe": members, "backtest": rows}
    tables["skill"] = skill
    for name, table in tables.items():
        lake.replace(name, spec.name, table)
    decide_panel(spec, lake, skill, judged, now)
    return issue_panel(spec, lake, sorted(prices["instrument"].unique()), now).new_rows


def moment(day: str) -> datetime:
    """18:00 UTC of a day: its fixing has been published."""
    return datetime.combine(pd.Timestamp(day).date(), time(18), tzinfo=UTC)


def with_gaps(n: int, missing: list[tuple[int, int]], seed: int = 0) -> pd.DataFrame:
    """A random walk without the bars of these ranges of positions."""
    keep = np.ones(n, dtype=bool)
    for start, end in missing:
        keep[start:end] = False
    return walk(n, seed)[keep].reset_index(drop=True)


@cache
def walk(n: int, seed: int) -> pd.DataFrame:
    """A random walk, made once."""
    return worlds.random_walk(n, seed)
