"""Walk-forward folds that never move: history is cut from its start, not from its end.

scikit-learn's ``TimeSeriesSplit`` counts its folds back from the newest row, so a new row moves
every boundary and every fit would have to be repeated. Here the first boundary is fixed by the
start of the data; new rows lengthen the last fold or open the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.errors import FxAssetsError, NotEnoughDataError
from fx_assets.specs import ForecastSpec
from fx_assets.tables import FRAME_COLUMNS

Positions = NDArray[np.intp]
_USUAL = pd.Timedelta(1, "D")
"""By how much delays of publication differ."""


def feature_columns(frame: pd.DataFrame) -> list[str]:
    """The names of a labelled frame's feature columns, in order."""
    return [str(name) for name in frame.columns if name not in FRAME_COLUMNS]


def usable_rows(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows have every feature and the baseline: all but the warm-up at the start."""
    needed = [*feature_columns(frame), "baseline_mean", "last_target"]
    return np.asarray(frame[needed].notna().all(axis=1), dtype=bool)


def labelled_rows(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are usable and have a target."""
    known = np.asarray(frame["target"].notna(), dtype=bool)
    return np.asarray(usable_rows(frame) & known, dtype=bool)


@dataclass(frozen=True)
class WalkForward:
    """A scikit-learn cross-validator of walk-forward folds, anchored at the first row.

    Parameters
    ----------
    min_train
        Rows that the first training window has at least.
    first_test
        Position before which no row is tested.
    refit_every
        Rows of a fold's test part; only the last fold may be shorter.
    purge, embargo
        Rows left out between train and test; their sum is ``TimeSeriesSplit``'s ``gap``.
    window
        Rows of a rolling training window; ``None`` lets the window expand.

    Examples
    --------
    >>> for train, test in WalkForward(min_train=3, refit_every=2, purge=1).split(range(7)):
    ...     print(train, test)
    [0 1 2] [4 5]
    [0 1 2 3 4] [6]
    """

    min_train: int = 750
    first_test: int = 0
    refit_every: int = 252
    purge: int = 1
    embargo: int = 0
    window: int | None = None

    def split(
        self,
        X: Sized,
        y: object = None,  # noqa: ARG002
        groups: object = None,  # noqa: ARG002
    ) -> Iterator[tuple[Positions, Positions]]:
        """Yield the positions of train and test rows of each fold, oldest fold first."""
        n = len(X)
        gap = self.purge + self.embargo
        for test_start in range(max(self.first_test, self.min_train + gap), n, self.refit_every):
            train_end = test_start - gap
            train_start = 0 if self.window is None else max(0, train_end - self.window)
            yield (
                np.arange(train_start, train_end, dtype=np.intp),
                np.arange(test_start, min(test_start + self.refit_every, n), dtype=np.intp),
            )

    def get_n_splits(
        self,
        X: Sized,
        y: object = None,  # noqa: ARG002
        groups: object = None,  # noqa: ARG002
    ) -> int:
        """The number of folds."""
        return sum(1 for _ in self.split(X))


@dataclass(frozen=True)
class Fold:
    """One fit and the rows it is tested on.

    ``train`` and ``test`` are row positions in the labelled frame. Times are UTC event times, but
    for ``label_end``, the moment at which the last training label was known, and ``known_by``, the
    earliest moment at which a test row was: ``label_end <= known_by`` always holds.
    """

    index: int
    train: Positions
    test: Positions
    train_start: pd.Timestamp
    train_end: pd.Timestamp
    n_train: int
    label_end: pd.Timestamp
    known_by: pd.Timestamp
    test_start: pd.Timestamp
    test_end: pd.Timestamp
    n_test: int


def folds(frame: pd.DataFrame, spec: ForecastSpec) -> list[Fold]:
    """Cut a labelled frame into the forecast's walk-forward folds, oldest first.

    Warm-up rows are in no fold, unlabelled rows are neither trained on nor tested, and a training
    row whose label was revised after the fold's first test row could be known is left out of it. A
    fold that keeps less than half of ``min_train`` says nothing about its recipe and is left out.

    Raises
    ------
    NotEnoughDataError
        No fold has both enough training rows and a labelled test row: there are too few, or most
        of the history was revised later than it was forecast.
    """
    rule = spec.walk_forward
    usable, labelled = usable_rows(frame), labelled_rows(frame)
    offset = int(np.argmax(usable)) if usable.any() else len(frame)
    first_test = int(frame["event_time"].searchsorted(pd.Timestamp(rule.first_test, tz="UTC")))
    splitter = WalkForward(
        min_train=rule.min_train,
        first_test=max(0, first_test - offset),
        refit_every=rule.refit_every,
        purge=spec.purge,
        embargo=rule.embargo,
        window=rule.window,
    )
    found: list[Fold] = []
    for train, test in splitter.split(range(len(frame) - offset)):
        fold = _fold(len(found), frame, labelled, train + offset, test + offset)
        if fold is not None and fold.n_train >= rule.min_train / 2:
            found.append(fold)
    if not found:
        raise _no_fold(frame, spec, int(labelled.sum()))
    return found


def _no_fold(frame: pd.DataFrame, spec: ForecastSpec, labelled: int) -> NotEnoughDataError:
    rule = spec.walk_forward
    takes = (
        f"it takes {rule.min_train} training rows, {spec.purge + rule.embargo} purged ones, and a "
        f"test row from {rule.first_test} on."
    )
    late = revised_labels(frame)
    if late > len(frame) / 2:
        return NotEnoughDataError(
            f"{spec.name}: {late} of {len(frame)} labels were revised long after they were first "
            "known, so that there is no walk-forward fold that could have known its training rows: "
            f"{takes}",
            remedy=f"Raise edition: in the feed {spec.feed} by one and run again: its bars are "
            "read anew as a history of their own, and judged as at a first load.",
        )
    return NotEnoughDataError(
        f"{spec.name}: {len(frame)} rows, {labelled} of them labelled and past the warm-up, give "
        f"no walk-forward fold: {takes}",
        remedy="Lower walk_forward.min_train, move walk_forward.first_test, or load more bars.",
    )


def revised_labels(frame: pd.DataFrame) -> int:
    """Labels of a frame that were known more than a day later than others are."""
    after = (frame["label_available_at"] - frame["target_time"]).dropna()
    return int((after > after.min() + _USUAL).sum()) if len(after) else 0


def _fold(
    index: int,
    frame: pd.DataFrame,
    labelled: NDArray[np.bool_],
    train: Positions,
    test: Positions,
) -> Fold | None:
    known_by = frame["available_at"].iloc[test].min()
    known = (
        labelled
        & np.asarray(frame["label_available_at"] <= known_by)
        & np.asarray(frame["available_at"] <= known_by)
    )
    train, test = train[known[train]], test[labelled[test]]
    if not len(train) or not len(test):
        return None
    times = frame["event_time"]
    fold = Fold(
        index=index,
        train=train,
        test=test,
        train_start=times.iloc[train[0]],
        train_end=times.iloc[train[-1]],
        n_train=len(train),
        label_end=frame["label_available_at"].iloc[train].max(),
        known_by=known_by,
        test_start=times.iloc[test[0]],
        test_end=times.iloc[test[-1]],
        n_test=len(test),
    )
    if fold.label_end > fold.known_by or fold.train_end >= fold.test_start:
        raise FxAssetsError(
            f"Fold {index} would be trained on a label known at {fold.label_end}, after its first "
            f"test row was known at {fold.known_by}.",
            remedy="This is a bug in the folds: report it with the forecast's defs.yaml.",
        )
    return fold


def fold_table(cut: Sequence[Fold]) -> pd.DataFrame:
    """One row a fold with its boundaries: what the lake's ``folds`` table holds."""
    columns = [name for name in Fold.__dataclass_fields__ if name not in {"train", "test"}]
    table = pd.DataFrame({name: [getattr(fold, name) for fold in cut] for name in columns})
    times = table.select_dtypes("datetimetz").columns
    return table.astype(dict.fromkeys(times, "datetime64[us, UTC]"))


def train_test_tables(
    frame: pd.DataFrame, cut: Sequence[Fold]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The newest fold's training rows and test rows, as two frames."""
    newest = cut[-1]
    return (
        frame.iloc[newest.train].reset_index(drop=True),
        frame.iloc[newest.test].reset_index(drop=True),
    )
