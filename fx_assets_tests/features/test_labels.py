"""Labels end where they say, and nothing at a row was known later than the row."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.features import add_labels, build_features
from fx_assets.specs import TargetSpec
from fx_assets.testing.honesty import assert_future_scramble_invariant, assert_prefix_invariant
from fx_assets.testing.worlds import TARGET, ecb_bars, garch_world, random_walk

KINDS = ("direction", "return", "volatility")
KNOWN = ("baseline_mean", "last_target")
LABELS = ["target", "target_time", "label_available_at", "baseline_mean", "last_target"]


def plain_frame(bars: pd.DataFrame) -> pd.DataFrame:
    return bars[["event_time", "available_at", "close"]]


def label(
    bars: pd.DataFrame, kind: str, horizon: int = 1, as_of: datetime | None = None
) -> pd.DataFrame:
    return add_labels(plain_frame(bars), TargetSpec(kind=kind, horizon=horizon), TARGET, as_of)


@cache
def fixings() -> pd.DataFrame:
    return ecb_bars(first="2014-01-01", last="2018-12-31")


def revised(bars: pd.DataFrame, seed: int, share: float = 0.05) -> pd.DataFrame:
    """Some bars became known in their final form only days or months later."""
    rng = np.random.default_rng(seed)
    days = np.where(rng.random(len(bars)) < share, rng.integers(1, 200, len(bars)), 0)
    return bars.assign(available_at=bars["available_at"] + pd.to_timedelta(days, unit="D"))


def test_targets_are_what_the_spec_says() -> None:
    bars = fixings()
    close = bars["close"].to_numpy()
    returns = np.diff(np.log(close))
    t = 100
    assert label(bars, "direction", 3)["target"][t] == float(close[t + 3] > close[t])
    assert label(bars, "return", 5)["target"][t] == pytest.approx(np.log(close[t + 5] / close[t]))
    variance = label(bars, "volatility", 20)["target"][t]
    assert variance == pytest.approx((returns[t : t + 20] ** 2).sum())


def test_an_unchanged_close_counts_as_not_up() -> None:
    bars = random_walk(10, seed=1).assign(close=1.0)
    assert (label(bars, "direction")["target"][:-1] == 0.0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", [1, 20])
def test_the_newest_rows_have_no_label_but_know_when_it_will_end(kind: str, horizon: int) -> None:
    bars = ecb_bars(last="2024-03-28")
    frame = label(bars, kind, horizon)
    assert list(frame.columns[-5:]) == LABELS
    newest = frame.iloc[-horizon:]
    assert newest["target"].isna().all()
    assert newest["label_available_at"].isna().all()
    assert frame["target"].iloc[:-horizon].notna().all()
    day = TARGET.following(datetime(2024, 3, 28).date(), horizon)  # noqa: DTZ001
    assert frame["target_time"].iloc[-1] == TARGET.event_time(day)
    later = label(ecb_bars(), kind, horizon)["target_time"]
    assert (frame["target_time"] == later[: len(frame)]).all()
    for name in ("target_time", "label_available_at"):
        assert str(frame[name].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_fewer_bars_than_the_horizon_give_rows_without_labels(kind: str, n: int) -> None:
    frame = label(random_walk(5, seed=1)[:n], kind, horizon=5)
    assert len(frame) == n
    assert frame[["target", "baseline_mean", "last_target"]].isna().all(axis=None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", [1, 7])
def test_a_label_is_first_used_at_the_row_on_which_it_ends(kind: str, horizon: int) -> None:
    frame = label(fixings(), kind, horizon)
    usable = frame["target"].shift(horizon)
    assert frame["last_target"].equals(usable.rename("last_target"))
    np.testing.assert_allclose(frame["baseline_mean"], usable.expanding().mean(), 1e-9, 1e-15)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), horizon=st.integers(1, 25))
def test_no_row_knows_a_label_before_it_could_be_known(kind: str, seed: int, horizon: int) -> None:
    bars = revised(garch_world(150, seed), seed)
    frame = label(bars, kind, horizon)
    labelled = frame.dropna(subset=["target"])
    assert (labelled["target_time"] < labelled["label_available_at"]).all()
    assert (labelled["label_available_at"] >= labelled["available_at"]).all()
    published = [TARGET.available_at(d) for d in TARGET.day_index(
        pd.DatetimeIndex(bars["event_time"])).date]  # fmt: skip
    for t in range(0, len(frame), 7):
        known = labelled[labelled["label_available_at"] <= published[t]]
        assert (known["target_time"] <= frame["event_time"][t]).all()
        np.testing.assert_allclose(
            frame["baseline_mean"][t], known["target"].mean() if len(known) else np.nan
        )
        newest = known["target"].iloc[-1] if len(known) else np.nan
        np.testing.assert_array_equal(frame["last_target"][t], newest)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 299), horizon=st.integers(1, 25))
def test_what_a_row_knows_of_labels_does_not_change_with_the_future(
    kind: str, seed: int, cut: int, horizon: int
) -> None:
    bars = revised(random_walk(300, seed), seed)

    def build(some: pd.DataFrame) -> pd.DataFrame:
        return label(some, kind, horizon)

    assert_prefix_invariant(build, bars, [cut], columns=[*KNOWN, "target_time"])
    assert_future_scramble_invariant(build, bars, cut, seed, columns=[*KNOWN, "target_time"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_that_a_revision_made_late_counts_only_after_the_revision(kind: str) -> None:
    bars = fixings().copy()
    late = TARGET.available_at(TARGET.day_of(bars["event_time"][150])) + timedelta(hours=1)
    bars.loc[100, "available_at"] = late
    frame = label(bars, kind)
    assert frame["label_available_at"][99] == late
    targets = frame["target"]
    on_time = targets[:150].drop([99, 100])
    assert frame["baseline_mean"][150] == pytest.approx(on_time.mean(), abs=1e-15)
    assert frame["baseline_mean"][151] == pytest.approx(targets[:151].mean(), abs=1e-15)
    other = label(bars.assign(close=bars["close"].where(bars.index != 100, 2.0)), kind)
    for name in KNOWN:
        assert frame[name][101:151].equals(other[name][101:151])


def test_volatility_is_known_when_the_last_revised_bar_within_it_is() -> None:
    bars = fixings().copy()
    bars.loc[105, "available_at"] += timedelta(days=90)
    known = label(bars, "volatility", 10)["label_available_at"]
    assert (known[95:106] == bars["available_at"][105]).all()
    assert (label(bars, "return", 10)["label_available_at"][96:105] < known[96:105]).all()


def test_as_of_hides_labels_that_became_known_later() -> None:
    bars = fixings()
    as_of = bars["available_at"][500].to_pydatetime()
    frame = label(bars, "return", 5, as_of)
    assert frame["target"][:496].notna().all()
    assert frame["target"][496:].isna().all()
    assert frame["label_available_at"][496:].isna().all()
    assert (frame["label_available_at"][:496] <= as_of).all()


def test_an_off_by_one_target_is_caught() -> None:
    def build(bars: pd.DataFrame) -> pd.DataFrame:
        frame = label(bars, "return")
        return frame.assign(last_target=frame["target"])

    for check in (
        lambda: assert_prefix_invariant(build, fixings(), [200], columns=KNOWN),
        lambda: assert_future_scramble_invariant(build, fixings(), 200, 1, columns=KNOWN),
    ):
        with pytest.raises(AssertionError, match="last_target of row 199"):
            check()


def test_labels_join_the_feature_frame_without_changing_it() -> None:
    features = build_features(fixings(), "fx_close", TARGET)
    labelled = add_labels(features, TargetSpec(kind="direction"), TARGET)
    assert labelled[list(features.columns)].equals(features)
    assert list(labelled.columns) == [*features.columns, *LABELS]
