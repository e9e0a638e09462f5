"""How champions do in office, and others would, on rows that their choice does not rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from fx_assets.evaluation.cusum import LEAST_HISTORY, Fall, choice_bias, fall_limit, falls, steps
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.evidence import Paired
from fx_assets.evaluation.significance import MIN_ROWS, clark_west
from fx_assets.specs import ForecastSpec
from fx_assets.specs.base import digest

YEAR = timedelta(days=365.25)
FELL = ("fall", "live")
"""Grounds on which a champion is sent away by what came after its choice."""


@dataclass(frozen=True)
class Reign:
    """A ledger beside the rows that are known by now."""

    spec: ForecastSpec
    series: str
    ledger: tuple[Decision, ...]
    rows: Paired
    """Those of the baseline and of the recipes that are asked about."""

    @cached_property
    def decisions(self) -> list[Decision]:
        """The decisions since the champion came into office, which is the first of them."""
        found: list[Decision] = []
        for decision in reversed(self.ledger):
            if decision.recipe != self.ledger[-1].recipe:
                break
            found.insert(0, decision)
        return found

    @cached_property
    def rows_a_year(self) -> float:
        """Of the newest year, or as many as come in a year where there are fewer."""
        times, year = self.rows.times, np.timedelta64(YEAR)
        span = max(times[-1] - times[0], np.timedelta64(1, "D"))
        newest = int((times > times[-1] - year).sum())
        return float(newest if span >= year else newest * (year / span))

    @property
    def chosen(self) -> Decision:
        """The decision whose figures made the champion, a model, what it is."""
        recipe = self.ledger[-1].recipe
        return next(
            (d for d in reversed(self.ledger) if (d.verdict, d.recipe) == ("replace", recipe)),
            self.decisions[0],
        )

    def fall(self, known: Sequence[Fall] = (), bias: float | None = None) -> Fall | None:
        """Where the champion, a model, stands; ``None`` where its history is too short.

        ``known`` are falls whose limit is taken where it is of the same history; ``bias`` is by how
        many standard errors its choice overstates its gain, by default as Clark and West's test.
        """
        recipe, chosen = self.ledger[-1].recipe, self.chosen
        if bias is None:
            found = chosen.statistics_of(chosen.champion)
            needed = (found and found.needed_p) or chosen.thresholds.clark_west_p
            bias = bias_of(found.clark_west_p if found else None, needed)
        history, seen = self._rows_by(chosen), self._rows_by(self.decisions[0])
        return self.fall_of(recipe, history, seen, bias, known)

    def fall_of(
        self, recipe: str, history: int, seen: int, bias: float, known: Sequence[Fall] = ()
    ) -> Fall | None:
        """The fall of a recipe after rows that were seen, with the limit from its history."""
        if history < LEAST_HISTORY:
            return None
        gains = self.rows.baseline_loss - self.rows.loss(recipe)
        since = pd.Timestamp(self.rows.times[seen - 1], tz="UTC").to_pydatetime()
        rate = self.spec.promotion.demotion_rate
        about = (history, since, rate)
        kept = next((f for f in known if (f.history, f.since, f.rate) == about), None)
        limit = kept or fall_limit(
            gains[:history],
            rows_a_year=self.rows_a_year,
            horizon=self.spec.target.horizon,
            rate=rate,
            seed=int(digest([self.spec.name, self.series, recipe, str(since)]), 16) % 2**32,
            bias=bias,
        )
        if limit is None:
            return None
        path = falls(steps(gains[seen:], limit.step), limit.head_start)
        now = float(path[-1]) if len(path) else limit.head_start
        return Fall(**dict(limit) | {"since": since, "rows": self.rows.n - seen, "fall": now})

    def fall_before(self, recipe: str, bias: float) -> Fall | None:
        """How far a recipe fell on the newest ``demotion_rows`` rows, had it been champion."""
        before = self.rows.n - self.spec.promotion.demotion_rows
        return self.fall_of(recipe, before, before, bias)

    def return_p(self, recipe: str) -> float | None:
        """Clark–West p-value on the rows after a recipe's last demotion; ``None`` without one."""
        ended = (d for d in reversed(self.ledger) if d.recipe_before == recipe != d.recipe)
        last = next((d for d in ended if d.ground in FELL or _sent_away(d)), None)
        if last is None:
            return None
        rows, target = self.rows, self.spec.target
        after = rows.times > np.datetime64(last.last_row.replace(tzinfo=None))
        if after.sum() < MIN_ROWS:
            return 1.0
        said = rows.said[recipe][after]
        found = clark_west(
            target.kind, rows.target[after], rows.baseline[after], said, target.horizon
        )
        return found.p_value

    def _rows_by(self, decision: Decision) -> int:
        """How many of the rows a decision knew."""
        newest = np.datetime64(decision.last_row.replace(tzinfo=None))
        return int(np.searchsorted(self.rows.times, newest, side="right"))


def _sent_away(decision: Decision) -> bool:
    return decision.verdict in ("demote", "rollback") and decision.starts_cool_down


def bias_of(p_value: float | None, needed: float) -> float:
    """By how many standard errors a recipe's gain is overstated because it had to pass."""
    from scipy.special import ndtri

    return 0.0 if p_value is None else choice_bias(-float(ndtri(p_value)), -float(ndtri(needed)))
