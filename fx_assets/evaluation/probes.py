"""Where a result that is too good comes from: what is taken away, and how much skill goes with it.

A probe is a cheap variant of the recipe, without tuning, on a few folds and their newest training
rows. Every probe is judged on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fx_assets import models
from fx_assets.calendars import Calendar
from fx_assets.evaluation.folds import Fold, feature_columns
from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.evaluation.study import Study
from fx_assets.evaluation.suspicion import Cause
from fx_assets.features.base import feature_set
from fx_assets.features.frame import feature_frame
from fx_assets.models.base import Model
from fx_assets.specs import CandidateSpec

MOST_FOLDS, MOST_ROWS = 6, 10_000
"""Folds that a probe is fitted on, evenly spread, and newest training rows of each."""
SLOW_FAMILIES = {"random_forest": (3, 3_000), "lstm": (2, 3_000), "arima": (2, 3_000)}
"""The same for families whose fit takes seconds."""
MOST_CAUSES = 3
LEAST_SHARE = 0.1
"""A probe that takes less of the skill than this says nothing."""
STEPS_OF_RANKING = 10
"""Causes that differ by less than a tenth of the skill are ranked by how much they explain."""
GROUPS: dict[str, tuple[str, ...]] = {
    "high and low": ("high", "low"),
    "open": ("open",),
    "volume": ("volume",),
    "market cap": ("market_cap",),
}
"""What is left out together, by its name for people."""
PRICES = ("open", "high", "low", "close", "volume", "market_cap")
LAGGED = ("log_return", "baseline_mean", "last_target")
"""Columns of a labelled frame besides the features that follow prices."""
WIDE_HOUR = 3.0
"""A bar of an hour of the day is wide when its range is so many times the usual one."""


def likely_causes(
    study: Study, candidate: CandidateSpec, bars: pd.DataFrame, market: Calendar
) -> tuple[Cause, ...]:
    """The likeliest causes of a candidate's skill, the likeliest first, three at most.

    Parameters
    ----------
    study
        What it was judged on.
    candidate
        The recipe that is suspected; of a pool its first member is probed.
    bars
        The bars that the frame was made of, as known then.
    market
        The feed's calendar.
    """
    prober = _Prober(study, study.spec.fitted_of(candidate)[0], bars, market)
    if prober.skill <= 0:
        return ()
    found = [*prober.without_groups(), *prober.newest_value_of_a_column(), *prober.later_source()]
    telling = [cause for cause in found if cause.vanished >= LEAST_SHARE]
    # The order of the list is from narrow to wide causes: the sort keeps it among equals.
    ranked = sorted(telling, key=lambda c: round(STEPS_OF_RANKING * c.vanished), reverse=True)
    return tuple(ranked[:MOST_CAUSES])


@dataclass(frozen=True)
class _Prober:
    study: Study
    candidate: CandidateSpec
    bars: pd.DataFrame
    market: Calendar

    @property
    def frame(self) -> pd.DataFrame:
        return self.study.frame

    @cached_property
    def limits(self) -> tuple[int, int]:
        return SLOW_FAMILIES.get(self.candidate.family, (MOST_FOLDS, MOST_ROWS))

    @cached_property
    def folds(self) -> list[Fold]:
        cut = self.study.folds
        chosen = np.unique(np.linspace(0, len(cut) - 1, min(self.limits[0], len(cut))).round())
        return [cut[int(k)] for k in chosen]

    @cached_property
    def baseline_loss(self) -> float:
        return self.mean_loss([self.study.baseline[fold.test] for fold in self.folds])

    @cached_property
    def fits(self) -> list[Model[Any]]:
        return self.fit(self.matrix)

    @cached_property
    def skill(self) -> float:
        return self.skill_of([m.predict(self.matrix[f.test]) for m, f in self.pairs(self.fits)])

    @property
    def matrix(self) -> Floats:
        return self.study.inputs(self.candidate).matrix

    @property
    def family(self) -> type[Model[Any]]:
        return models.model_class(self.candidate.family)

    def pairs(self, fits: list[Model[Any]]) -> list[tuple[Model[Any], Fold]]:
        return list(zip(fits, self.folds, strict=True))

    def inputs(self, frame: pd.DataFrame) -> Floats:
        return models.model_inputs(frame, self.family, feature_columns(frame))

    def fit(self, matrix: Floats) -> list[Model[Any]]:
        made, candidate, target = [], self.candidate, self.study.spec.target
        for fold in self.folds:
            rows = fold.train[-self.limits[1] :]
            model = models.build_model(candidate.family, target, candidate.params, seed=fold.index)
            made.append(model.fit(matrix[rows], self.study.target[rows]))
        return made

    def mean_loss(self, said: list[Floats]) -> float:
        came = np.concatenate([self.study.target[fold.test] for fold in self.folds])
        return float(loss_for(self.study.spec.target.kind)(came, np.concatenate(said)).mean())

    def skill_of(self, said: list[Floats]) -> float:
        return 1 - self.mean_loss(said) / self.baseline_loss

    def vanished(self, frame: pd.DataFrame) -> float:
        """The share of the skill that a refit on another frame lacks."""
        matrix = self.inputs(frame)
        left = self.skill_of([m.predict(matrix[f.test]) for m, f in self.pairs(self.fit(matrix))])
        return self.share(left)

    def share(self, left: float) -> float:
        return float(np.clip(1 - left / self.skill, 0, 1))

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """The feature columns that read each group, found by changing the group a little."""
        if not self.family.reads_features():
            return {}
        columns = self.study.columns
        before = self.features_of(self.bars)
        found = {}
        for name, group in GROUPS.items():
            there = [c for c in group if c in self.bars and self.bars[c].notna().any()]
            if there:
                change = {c: self.bars[c] * (0.999 if c == "low" else 1.001) for c in there}
                after = self.features_of(self.bars.assign(**_noisy(change)))
                found[name] = [c for c in columns if not before[c].equals(after[c])]
        if "open" in found:
            wide = found.get("high and low", [])
            found["open"] = [c for c in found["open"] if c not in wide]
        return {name: readers for name, readers in found.items() if 0 < len(readers) < len(columns)}

    def features_of(self, bars: pd.DataFrame) -> pd.DataFrame:
        made = feature_set(self.study.spec.features, self.market.bar)
        return feature_frame(bars, made, self.market, self.study.spec.feed)

    def without_groups(self) -> list[Cause]:
        causes = []
        for name, readers in self.readers.items():
            gone = self.vanished(self.frame.drop(columns=readers))
            text = (
                f"{name}: without the {len(readers)} columns that read {_it(name)}, "
                f"{gone:.0%} of the skill goes."
            )
            causes.append(Cause(probe=name, vanished=gone, text=f"{text} {self.look(name)}"))
        return causes

    def look(self, group: str) -> str:
        """What to look at in the bars, with what they show."""
        if group != "high and low":
            return f"Does the {group} of a bar belong to a later one?"
        return (
            "Is the close that of the bar before, or do high and low reach beyond their own bar? "
            + _ranges(self.bars, self.market)
        )

    def newest_value_of_a_column(self) -> list[Cause]:
        """The column whose values matter most when they are known one bar later.

        It is found without a refit, and its share is measured with one: what other columns know as
        well does not vanish.
        """
        if not self.family.reads_features():
            return []
        columns = self.family.input_columns(self.study.columns).columns
        matrix = self.matrix
        gone: dict[str, float] = {}
        for position, column in enumerate(columns):
            said = []
            for model, fold in self.pairs(self.fits):
                rows = matrix[fold.test].copy()
                rows[:, position :: len(columns)] = matrix[fold.test - 1, position :: len(columns)]
                said.append(model.predict(rows))
            gone[column] = self.share(self.skill_of(said))
        name = max(gone, key=gone.__getitem__)
        share = self.vanished(self.frame.assign(**{name: self.frame[name].shift(1)}))
        with_outcome = self.frame[[name, "target"]].corr("spearman").iloc[0, 1]
        text = (
            f"the column {name}: with its values one bar later, {share:.0%} of the skill "
            f"goes; its rank correlation with the outcome is {with_outcome:+.2f}. Does it read "
            "what is not known yet?"
        )
        return [Cause(probe=f"column {name}", vanished=share, text=text)]

    def later_source(self) -> list[Cause]:
        """Every price one bar later; what follows from the calendar stays."""
        there = [name for name in PRICES if name in self.bars]
        late = self.bars.assign(**{name: self.bars[name].shift(1).bfill() for name in there})
        made = self.features_of(late)
        frame = self.frame.assign(**{name: made[name] for name in self.study.columns})
        frame = frame.assign(**{name: self.frame[name].shift(1) for name in LAGGED})
        gone = self.vanished(frame)
        text = (
            f"the newest bar: with every price known one bar later, {gone:.0%} of the skill goes. "
            "Are the source's times a bar early, or are bars taken that were not finished? Where "
            "nothing is wrong, the market itself reverts or trends from bar to bar."
        )
        return [Cause(probe="source one bar later", vanished=gone, text=text)]


def _noisy(change: dict[str, pd.Series[float]]) -> dict[str, pd.Series[float]]:
    """A change that no ratio of neighbours cancels out."""
    rng = np.random.default_rng(0)
    return {name: values * (1 + 1e-6 * rng.random(len(values))) for name, values in change.items()}


def _it(group: str) -> str:
    return "them" if group == "high and low" else "it"


def _ranges(bars: pd.DataFrame, market: Calendar) -> str:
    """How often the next close lies within a bar's range, and whether an hour's bars are wide."""
    high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in ("high", "low", "close"))
    known = ~np.isnan(high[:-1] + low[:-1])
    inside = ((low[:-1] <= close[1:]) & (close[1:] <= high[:-1]))[known].mean()
    text = f"The next close lies within a bar's range in {inside:.0%} of bars"
    if market.daily:
        return f"{text} (usual: about half)."
    times = pd.DatetimeIndex(bars["event_time"]).tz_convert("UTC").strftime("%H:%M")
    width = pd.Series(np.log(high / low)).groupby(np.asarray(times)).median()
    wide, usual = str(width.idxmax()), float(width.median())
    if usual > 0 and width[wide] >= WIDE_HOUR * usual:
        ratio = width[wide] / usual
        return f"{text}; bars that close at {wide} UTC are {ratio:.0f} times as wide as usual."
    return f"{text} (usual: about half)."
