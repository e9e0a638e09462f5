from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import NotEnoughDataError
from fx_assets.profiling.page import DRAWN, page, summary
from fx_assets.profiling.profile import (
    READ_COLUMNS,
    FeedProfile,
    autocorrelation,
    moments,
    profile,
    revisions,
)
from fx_assets.settings import Settings
from fx_assets.sources import fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets_tests.platform import Platform, failures, metadata

NOW = datetime(2024, 3, 10, 12, 30, tzinfo=UTC)
SPEC = FeedSpec.model_validate(
    {
        "name": "simulated",
        "source": {"kind": "simulated", "seed": 5, "annual_volatility": 0.1},
        "calendar": "24x5",
        "frequency": "1h",
        "start": "2022-03-01",
    }
)


@pytest.fixture(scope="module")
def whole() -> pd.DataFrame:
    return fetch_bars(SPEC, Settings(), NOW).bars[READ_COLUMNS]


@pytest.fixture(scope="module")
def raw(whole: pd.DataFrame) -> pd.DataFrame:
    """Ten bars and one bar are missing; three were revised, one of them twice."""
    bars = whole.drop(index=[*range(3000, 3010), 8000]).reset_index(drop=True)
    again = bars.loc[[500, 500, 9000, 7000]].reset_index(drop=True)
    again["close"] *= [1.001, 1.003, 0.9995, 1.0]
    again["volume"] *= [1, 1, 1, 2]
    for column in ("available_at", "ingested_at"):
        again[column] = again["event_time"] + pd.to_timedelta([1, 2, 1, 1], unit="D")
    bars.loc[10_000:, "source"] = "files"
    shuffled: pd.DataFrame = pd.concat([bars, again]).sample(frac=1, random_state=0)
    return shuffled


@pytest.fixture(scope="module")
def found(raw: pd.DataFrame) -> FeedProfile:
    return profile(raw, SPEC, NOW)


def test_a_gap_is_what_the_calendar_has_and_the_bars_have_not(
    found: FeedProfile, whole: pd.DataFrame
) -> None:
    assert (found.due, found.missing, found.unexpected) == (len(whole), 11, 0)
    assert found.rows == len(whole) - 11
    longest = found.gaps.iloc[0]
    assert longest["missing"] == 10
    assert longest["after"] == whole["event_time"].iloc[2999]
    assert longest["until"] == whole["event_time"].iloc[3010]
    assert list(found.gaps["missing"]) == [10, 1]
    years = found.by_year.set_index("year")
    assert list(years["missing"]) == [10, 1, 0]
    assert list(years["longest"]) == [10, 1, 0]
    assert (years["bars"] + years["missing"] == years["due"]).all()
    assert years["revised"].sum() == 3


def test_weekends_are_no_gaps(whole: pd.DataFrame) -> None:
    spotless = profile(whole, SPEC, NOW)
    assert spotless.missing == 0
    assert spotless.gaps.empty
    assert spotless.revisions == 0
    assert spotless.largest_revisions.empty
    assert dict(summary(spotless))["longest gap"] == "none"


def test_bars_outside_the_calendar_are_counted_apart(whole: pd.DataFrame) -> None:
    off = whole.iloc[[100]].assign(
        event_time=whole["event_time"].iloc[100] + pd.Timedelta(minutes=20)
    )
    assert profile(pd.concat([whole, off]), SPEC, NOW).unexpected == 1


def test_each_revision_says_what_it_changed_by_how_much_and_when(
    found: FeedProfile, raw: pd.DataFrame
) -> None:
    assert (found.revised, found.revisions) == (3, 4)
    changes = revisions(raw)
    assert sorted(changes["change_bp"].round(2)) == [-5.0, 0.0, 10.0, 19.96]
    assert set(changes["columns"]) == {"close", "volume"}
    largest = found.largest_revisions.iloc[0]
    assert largest["change_bp"] == pytest.approx(1e4 * np.log(1.003 / 1.001))
    assert largest["known_at"] - largest["event_time"] == pd.Timedelta("2D")


def test_a_profile_knows_nothing_that_came_later(raw: pd.DataFrame) -> None:
    then = datetime(2023, 1, 1, tzinfo=UTC)
    past = profile(raw, SPEC, then)
    assert past.last <= pd.Timestamp(then)
    assert past.revised == 1
    pd.testing.assert_series_equal(
        past.series["close"],
        profile(raw[raw["available_at"] <= pd.Timestamp(then)], SPEC, NOW).series["close"],
    )


def test_returns_span_no_gap(found: FeedProfile, whole: pd.DataFrame) -> None:
    series = found.series.set_index("event_time")
    assert np.isnan(series["return_bp"][whole["event_time"].iloc[3010]])
    assert series["return_bp"].isna().sum() == 3  # the first bar, and the bars after both gaps
    at = whole["event_time"].iloc[4000]
    expected = 1e4 * np.log(whole["close"].iloc[4000] / whole["close"].iloc[3999])
    assert series["return_bp"][at] == pytest.approx(expected)


def test_moments_are_those_of_the_textbook() -> None:
    from scipy import stats

    x = 1e-3 * np.random.default_rng(0).standard_t(5, 4000)
    x[100:105] = 0.0
    got = moments(np.append(x, np.nan), 252)
    assert got["annual_volatility"] == pytest.approx(x.std(ddof=1) * np.sqrt(252))
    assert got["skewness"] == pytest.approx(stats.skew(x), rel=1e-2)
    assert got["excess_kurtosis"] == pytest.approx(stats.kurtosis(x), rel=1e-2)
    assert got["longest_unchanged"] == 5
    assert got["zero_share"] == 5 / 4000
    assert autocorrelation(x, 3) == pytest.approx(pd.Series(x).autocorr(3))


def test_providers_have_their_share_and_their_time(found: FeedProfile) -> None:
    assert list(found.providers["source"]) == ["simulated", "files"]
    assert found.providers["share"].sum() == pytest.approx(1)
    assert found.providers["last"].iloc[0] < found.providers["first"].iloc[1]


def test_fixings_that_never_change_have_a_profile() -> None:
    spec = FeedSpec.model_validate(
        {"name": "peg", "source": {"kind": "ecb", "quote": "DKK"}, "start": "2020-01-01"}
    )
    closes = spec.market.closes(spec.start, datetime(2020, 12, 31, tzinfo=UTC).date())
    times = pd.DatetimeIndex(closes).tz_localize("UTC")
    bars = pd.DataFrame({"event_time": times, "available_at": times, "ingested_at": times})
    bars = bars.reindex(columns=READ_COLUMNS).assign(close=7.46, source="ecb")
    got = profile(bars, spec, NOW)
    assert got.returns["zero_share"] == 1
    assert np.isnan(got.returns["skewness"])
    assert "range_bp" not in got.series
    assert b"Profile of peg" in page(got, 252)


def test_too_few_bars_are_an_error_that_says_so(whole: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughDataError, match="2 bars"):
        profile(whole.iloc[:2], SPEC, NOW)


def test_the_page_needs_no_network_and_says_what_was_sampled(
    found: FeedProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.profiling.page.MOST_DRAWN", 500)
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    text = page(found, SPEC.market.bars_a_year).decode()
    assert os.environ["DO_NOT_TRACK"]
    assert not re.search(r"""<(script|link|img|iframe)[^>]+(src|href)=["']?(https?:)?//""", text)
    assert "cdn." not in text
    assert "@import url" not in text
    assert f"a random sample of 500 of the {found.rows:,} bars" in text
    assert "2022-08-2" in text
    for _, value in summary(found):
        assert value in text
    for column in set(DRAWN) & set(found.series):
        assert column in text
    assert {"pearson", "spearman", "kendall"} <= set(re.findall("pearson|spearman|kendall", text))


def test_a_sample_is_the_same_each_time_and_in_order(found: FeedProfile) -> None:
    sample = found.sample(500)
    assert len(sample) == 500
    assert sample["event_time"].is_monotonic_increasing
    pd.testing.assert_frame_equal(sample, found.sample(500))


@pytest.mark.slow
def test_the_job_leaves_a_page_in_the_lake_and_one_run_in_mlflow(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fx_assets.registry.session import MlflowSession

    platform = Platform(new_folder(), monkeypatch, feeds=[SPEC], forecasts=[])
    platform.travel(NOW)
    asked = platform.tick("simulated_profile", "2024-03-10T04:12+00:00")
    assert isinstance(asked, dg.SkipReason)
    months = pd.period_range("2022-03", "2024-03", freq="M")
    ingested = platform.ingest(str(months[0]), str(months[-1]), feed="simulated")
    assert ingested.success, failures(ingested)
    assert isinstance(platform.tick("simulated_profile", "2024-03-10T04:12+00:00"), dg.RunRequest)
    for _ in range(2):
        result = platform.run("simulated_profile")
        assert result.success, failures(result)
    told: dict[str, Any] = metadata(result, "simulated/profile")
    assert told["dagster/row_count"] == len(platform.lake.prices("simulated"))
    assert told["missing"] == 0
    assert "annualised volatility" in told["summary"]
    text = platform.lake.read_blob("monitoring/simulated/profile.html")
    assert Path(told["report"]).read_bytes() == text
    client = MlflowSession(Settings().mlflow_uri).client()
    experiment = client.get_experiment_by_name("profiles")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id in told["mlflow_run"]
    assert run.data.metrics["bars"] == told["dagster/row_count"]
    artifact = Path(client.download_artifacts(run.info.run_id, "profile.html"))
    assert artifact.read_bytes() == text
