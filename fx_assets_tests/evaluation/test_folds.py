from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.folds import (
    Fold,
    WalkForward,
    fold_table,
    folds,
    labelled_rows,
    train_test_tables,
)
from fx_assets_tests.evaluation.helpers import (
    assert_no_fold_saw_its_test,
    forecast,
    labelled_frame,
)
from fx_assets_tests.examples import examples

FRAME = labelled_frame(400, horizon=3)


@given(
    n_splits=st.integers(2, 6),
    test_size=st.integers(1, 20),
    gap=st.integers(0, 5),
    min_train=st.integers(1, 40),
    window=st.none() | st.integers(1, 30),
)
def test_folds_equal_those_of_scikit_learn_where_its_end_meets_our_start(
    n_splits: int, test_size: int, gap: int, min_train: int, window: int | None
) -> None:
    rows = np.zeros(min_train + gap + n_splits * test_size)
    theirs = TimeSeriesSplit(n_splits, test_size=test_size, gap=gap, max_train_size=window)
    ours = WalkForward(min_train, refit_every=test_size, purge=gap, window=window)
    pairs = zip(ours.split(rows), theirs.split(rows), strict=True)
    for (train, test), (their_train, their_test) in pairs:
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)
    assert ours.get_n_splits(rows) == n_splits


def test_the_splitter_works_as_a_cross_validator_of_scikit_learn() -> None:
    x = np.random.default_rng(0).standard_normal((300, 2))
    y = (x[:, 0] > 0).astype(int)
    splitter = WalkForward(min_train=100, refit_every=50, purge=2)
    scores = cross_val_score(LogisticRegression(), x, y, cv=splitter)
    assert len(scores) == splitter.get_n_splits(x) == 4
    assert scores.mean() > 0.9


cut_settings = st.fixed_dictionaries(
    {
        "min_train": st.integers(20, 120),
        "refit_every": st.integers(5, 90),
        "purge": st.integers(3, 8),
        "embargo": st.integers(0, 4),
    }
)


@settings(max_examples=examples(25), deadline=None)
@given(cut=cut_settings, extra=st.integers(1, 60), rolling=st.booleans())
def test_boundaries_never_move_when_rows_are_appended(
    cut: dict[str, int], extra: int, rolling: bool
) -> None:
    roll = {"scheme": "rolling", "window": 120} if rolling else {}
    spec = forecast(horizon=3, walk_forward={**cut, **roll})
    before = folds(FRAME.iloc[:-extra].assign(target=_as_known(len(FRAME) - extra)), spec)
    after = folds(FRAME, spec)
    for old, new in zip(before, after, strict=False):
        np.testing.assert_array_equal(old.train, new.train)
        assert old.test_start == new.test_start
        np.testing.assert_array_equal(old.test, new.test[: old.n_test])


@settings(max_examples=examples(25), deadline=None)
@given(cut=cut_settings, rolling=st.booleans())
def test_every_labelled_row_after_the_first_boundary_is_tested_exactly_once(
    cut: dict[str, int], rolling: bool
) -> None:
    roll = {"scheme": "rolling", "window": 120} if rolling else {}
    spec = forecast(horizon=3, walk_forward={**cut, **roll})
    found = folds(FRAME, spec)
    tested = np.concatenate([fold.test for fold in found])
    expected = np.flatnonzero(labelled_rows(FRAME))
    np.testing.assert_array_equal(tested, expected[expected >= tested[0]])
    assert_no_fold_saw_its_test(FRAME, found, cut["purge"] + cut["embargo"] - 1)
    if rolling:
        assert max(fold.n_train for fold in found) <= 120


def test_warm_up_rows_are_in_no_fold() -> None:
    frame = labelled_frame(300, warm_up=70)
    found = folds(frame, forecast())
    assert found[0].train[0] == 70
    assert found[0].test[0] == 70 + 60 + 1


def test_no_fold_is_tested_before_first_test() -> None:
    spec = forecast(walk_forward={"first_test": "2002-01-01"})
    found = folds(labelled_frame(400), spec)
    assert found[0].test_start >= pd.Timestamp("2002-01-01", tz="UTC")
    assert found[0].n_train > 200


def test_a_bar_revised_later_is_not_trained_on_by_earlier_folds() -> None:
    frame = labelled_frame(300)
    frame.loc[20, "available_at"] = frame["available_at"].iloc[200]
    found = folds(frame, forecast())
    trained_on = [fold.known_by >= frame["available_at"].iloc[200] for fold in found]
    assert [20 in fold.train for fold in found] == trained_on
    assert any(trained_on)
    assert not all(trained_on)


def test_a_label_revised_later_is_not_trained_on_by_earlier_folds() -> None:
    frame = labelled_frame(300)
    frame.loc[20, "label_available_at"] = frame["available_at"].iloc[290]
    found = folds(frame, forecast())
    assert all(20 not in fold.train for fold in found)
    assert_no_fold_saw_its_test(frame, found, 0)


@settings(max_examples=examples(30), deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 99), when=st.integers(150, 299))
def test_however_many_labels_are_revised_at_once_each_fold_knew_enough_or_the_remedy_is_said(
    share: float, seed: int, when: int
) -> None:
    frame, spec = labelled_frame(300), forecast()
    revised = np.random.default_rng(seed).random(300) < share
    revised &= frame["target"].notna().to_numpy()
    at = frame["available_at"].iloc[when]
    for column in ("available_at", "label_available_at"):
        frame.loc[revised & (frame[column] < at).to_numpy(), column] = at
    found: list[Fold] = []
    refused = ""
    try:
        found = folds(frame, spec)
    except NotEnoughDataError as refusal:
        refused = str(refusal)
    assert found or (revised.sum() > 150 and "Raise edition: in the feed test_feed" in refused)
    for fold in found:
        assert len(fold.train) >= spec.walk_forward.min_train / 2
        assert frame["label_available_at"].iloc[fold.train].max() <= fold.known_by
        assert frame["available_at"].iloc[fold.train].max() <= fold.known_by


def test_too_few_rows_are_refused_with_the_numbers() -> None:
    with pytest.raises(NotEnoughDataError, match="60 training rows"):
        folds(labelled_frame(50), forecast())


def test_a_rolling_window_below_min_train_is_refused() -> None:
    with pytest.raises(ValidationError, match="below min_train"):
        forecast(walk_forward={"scheme": "rolling", "window": 50})


def test_the_newest_fold_is_given_as_tables_and_every_boundary_is_recorded() -> None:
    frame = labelled_frame(300)
    found = folds(frame, forecast())
    train, test = train_test_tables(frame, found)
    assert (len(train), len(test)) == (found[-1].n_train, found[-1].n_test)
    assert train["event_time"].max() == found[-1].train_end
    table = fold_table(found)
    assert len(table) == len(found)
    assert (table["label_end"] <= table["known_by"]).all()
    assert (table["train_end"] < table["test_start"]).all()


def _as_known(n: int) -> np.ndarray:
    target = FRAME["target"].to_numpy(copy=True)[:n]
    target[n - 3 :] = np.nan
    return target
