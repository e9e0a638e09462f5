"""Weighted figures of many resamples at once: what metrics are made of."""

from __future__ import annotations

import numpy as np

from fx_assets.targets.losses import Floats


def means(weights: Floats, *columns: Floats) -> Floats:
    """Weighted mean of each (n,) column for each row of an (r, n) weight matrix: (columns, r)."""
    return np.asarray((weights @ np.column_stack(columns)).T / weights.sum(axis=1))


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is not positive."""
    return np.divide(
        numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0
    )


def ranking_areas(target: Floats, prediction: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision, for each row of a weight matrix.

    Equal to scikit-learn's ``roc_auc_score`` and ``average_precision_score`` with
    ``sample_weight``, ties included, from one sort. NaN where a resample has one class only.
    """
    order = np.argsort(-prediction, kind="stable")
    ranked = prediction[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    drawn = weights[:, order]
    seen = np.cumsum(drawn, axis=1)[:, last_of_tie]
    positives = np.cumsum(drawn * (target[order] > 0.5), axis=1)[:, last_of_tie]
    new_positives = np.diff(positives, axis=1, prepend=0.0)
    negatives = seen - positives
    new_negatives = np.diff(negatives, axis=1, prepend=0.0)
    total_positive, total_negative = positives[:, -1], negatives[:, -1]
    concordant = np.einsum("ij,ij->i", new_negatives, positives - 0.5 * new_positives)
    precision = np.divide(positives, seen, out=np.zeros_like(seen), where=seen > 0)
    average_precision = np.einsum("ij,ij->i", new_positives, precision)
    return (
        ratio(concordant, total_positive * total_negative),
        ratio(average_precision, total_positive * (total_negative > 0)),
    )
