"""From bars to labelled features as plain arrays: :func:`labelled_frame` without pandas."""

from __future__ import annotations

from fx_assets.features.base import Bars, FeatureSet, Floats
from fx_assets.features.label_arrays import Instants, known_before, label_available_at, targets
from fx_assets.specs.forecast import TargetSpec


def labelled_columns(
    bars: Bars, available: Instants, features: FeatureSet, target: TargetSpec
) -> dict[str, Floats]:
    """The columns that models read, each of length n, as in a labelled frame of these bars.

    Parameters
    ----------
    bars
        Consecutive bars, oldest first.
    available
        (n,) when each bar was published: by the calendar, unless it is a revision.
    features
        Computed in the order of their columns.
    target
        What ``baseline_mean`` and ``last_target`` are about.
    """
    values = targets(bars.close, target)
    mean, last = known_before(values, label_available_at(available, target), available)
    matrix = features.compute(bars)
    return {
        "close": bars.close,
        "log_return": bars.log_return,
        **{name: matrix[:, i] for i, name in enumerate(features.columns)},
        "target": values,
        "baseline_mean": mean,
        "last_target": last,
    }
