"""What is said under a forecast's name counts only for what the forecast is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets import clock
from fx_assets.assets.reviews import newest_alarm
from fx_assets.bundles.bundle import champion_ref, load
from fx_assets.errors import NoChampionError, RegistryError
from fx_assets.presentation.wording import latest_row
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.candidate import load_draft
from fx_assets.stages.due import days_to_predict, retrain_reason
from fx_assets.stages.look import look_at
from fx_assets.tables import (
    BACKTEST,
    DECISIONS,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    SCORES,
    SERIES,
)
from fx_assets.testing import worlds
from fx_assets_tests.before import without_series
from fx_assets_tests.platform import Platform, failures, feed_spec, forecast_spec, rates_of

DAYS = ("2018-03-27", "2018-03-28", "2018-03-29", "2018-04-03")
SAID = (BACKTEST, SCORES, DECISIONS, PREDICTIONS, OUTCOMES)
TWO_RATES = pd.concat(
    [
        rates_of(worlds.garch_world(1400, seed, start="2014-01-02"), code)
        for seed, code in enumerate(("USD", "GBP"), start=4)
    ],
    axis=1,
)


def must(*results: Any) -> None:
    for result in results:
        assert result.success, failures(result)


def own(platform: Platform) -> SeriesTables:
    return SeriesTables(platform.lake, *declared(platform))


def declared(platform: Platform) -> tuple[ForecastSpec, FeedSpec]:
    spec = platform.forecasts[0]
    return spec, next(feed for feed in platform.feeds if feed.name == spec.feed)


def declare(platform: Platform, **changes: object) -> None:
    values = platform.forecasts[0].model_dump(exclude_unset=True) | changes
    platform.forecasts[:] = [forecast_spec(**values)]
    platform.reload()


def rename(platform: Platform, **source: object) -> None:
    """The feed keeps its name and is of another instrument."""
    platform.feeds[:] = [feed_spec(source={"kind": "ecb", **source})]
    platform.reload()


def count(platform: Platform) -> dict[str, int]:
    """Rows of all series."""
    lake = platform.lake
    return {t.name: len(lake.read(t.name, "direction")) for t in SAID}


@pytest.mark.slow
def test_a_forecast_that_moves_to_another_feed_and_back_keeps_two_ledgers(
    platform: Platform,
) -> None:
    platform.feeds[:] = [
        feed_spec(name="usd", source={"kind": "ecb", "quote": "USD"}),
        feed_spec(name="gbp", source={"kind": "ecb", "quote": "GBP"}),
    ]
    platform.forecasts[:] = [
        forecast_spec(
            name="moved", feed="usd", target={"kind": "return"}, candidates=["historical_mean"]
        )
    ]
    platform.reload()
    series = []
    for day, feed in zip(DAYS, ("usd", "gbp", "gbp", "usd"), strict=True):
        platform.forecasts[0] = platform.forecasts[0].model_copy(update={"feed": feed})
        platform.reload()
        platform.arrive(TWO_RATES, day)
        must(*(platform.ingest(feed=name) for name in ("usd", "gbp")))
        spec, bars = declared(platform)
        if retrain_reason(SeriesTables(platform.lake, spec, bars)):
            must(platform.retrain("moved"))
        asked = days_to_predict(SeriesTables(platform.lake, spec, bars), clock.now())
        must(platform.predict(asked[0], asked[-1], "moved"))
        series.append(own(platform).series.id)
    assert series[0] == series[3] != series[1] == series[2]

    lake = platform.lake
    issued = lake.read("predictions", "moved").set_index("series")
    days = {one: set(issued.loc[[one], "day"]) for one in series}
    assert days[series[0]] == set(DAYS)
    assert days[series[1]] == {DAYS[1], DAYS[2]}
    assert set(issued.loc[[series[1]], "instrument"]) == {"EURGBP"}

    outcomes = lake.read("outcomes", "moved")
    for one, code in ((series[0], "USD"), (series[1], "GBP")):
        rows = outcomes[outcomes["series"] == one].sort_values("event_time").set_index("day")
        returns = np.log(TWO_RATES[code]).diff().shift(-1)
        expected = returns[pd.DatetimeIndex(rows.index)].to_numpy()
        np.testing.assert_allclose(rows["target"].to_numpy(dtype=float), expected, atol=1e-5)
        ledger = lake.read("decisions", "moved")
        sequence = sorted(ledger.loc[ledger["series"] == one, "sequence"])
        assert sequence == list(range(len(sequence)))
    in_service = load(lake, "moved").manifest
    assert (in_service.series, in_service.instrument) == (series[0], "EURUSD")
    known = lake.read(SERIES.name, "moved").set_index("series")
    assert dict(known["instrument"]) == {series[0]: "EURUSD", series[1]: "EURGBP"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"target": {"kind": "volatility"}, "candidates": ["ewma"]}, id="volatility"),
        pytest.param(
            {"target": {"kind": "return"}, "candidates": ["ridge"]},
            id="return",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"target": {"kind": "direction", "horizon": 5}}, id="horizon", marks=pytest.mark.slow
        ),
    ],
)
def test_another_target_says_nothing_until_it_has_a_champion_of_its_own(
    platform: Platform, change: dict[str, object]
) -> None:
    before, rows = own(platform), count(platform)
    declare(platform, **change)
    spec, feed = declared(platform)
    after = own(platform)

    assert latest_row(after.read(PREDICTIONS), spec)[4] == "none yet"
    assert all(after.read(table).empty for table in SAID)
    assert days_to_predict(SeriesTables(platform.lake, spec, feed), clock.now()) == []
    assert str(spec.target.horizon) in str(retrain_reason(SeriesTables(platform.lake, spec, feed)))
    asked = platform.sensor()
    assert getattr(asked, "job_name", None) == "direction_retrain"
    with pytest.raises(NoChampionError, match=r"no champion yet for"):
        look_at(SeriesTables(platform.lake, spec, feed), clock.now())
    with pytest.raises(RegistryError, match="has not been tried yet on"):
        load_draft(after, spec.baseline.name if spec.target.kind == "direction" else "persistence")

    must(platform.run_requested(asked), platform.predict("2018-03-28"))
    assert retrain_reason(SeriesTables(platform.lake, spec, feed)) is None
    ledger = SeriesTables(platform.lake, spec, feed).ledger()
    assert [decision.sequence for decision in ledger] == list(range(len(ledger)))
    assert ledger[0].verdict == "bootstrap"
    manifest = load(platform.lake, "direction").manifest
    assert (manifest.series, manifest.target) == (after.series.id, spec.target.kind)
    issued = after.read(PREDICTIONS)
    assert list(issued["kind"]) == [spec.target.kind]
    assert len(before.read(PREDICTIONS)) == rows["predictions"]
    told = platform.lake.connect().sql(
        "select distinct p.series, s.kind, s.horizon from predictions p"
        " join series s using (series, forecast)"
    )
    assert len(told.fetchall()) == 2


def test_a_renamed_instrument_publishes_nothing_under_its_new_name(platform: Platform) -> None:
    platform.arrive(TWO_RATES.rename(columns={"GBP": "CHF"}), "2018-03-28")
    rename(platform, base="USD", quote="CHF")
    spec, feed = declared(platform)
    after = own(platform)
    assert latest_row(after.read(PREDICTIONS), spec)[1:5] == ("", "", "", "none yet")
    assert all(after.read(table).empty for table in SAID)
    assert retrain_reason(SeriesTables(platform.lake, spec, feed)) is not None
    assert not after.in_service()


@pytest.mark.slow
def test_moving_back_puts_the_former_champion_in_service_again(platform: Platform) -> None:
    former, version = own(platform), champion_ref(platform.lake, "direction").version
    ledger = former.read(DECISIONS)
    declare(platform, target={"kind": "return"}, candidates=["ridge"])
    must(platform.retrain(), platform.predict("2018-03-28"))
    assert not former.in_service()

    declare(
        platform,
        target={"kind": "direction"},
        candidates=["persistence", "logistic_regression"],
    )
    asked = platform.sensor()
    assert getattr(asked, "job_name", None) == "direction_retrain"
    must(platform.run_requested(asked))
    assert champion_ref(platform.lake, "direction").version == version
    pd.testing.assert_frame_equal(own(platform).read(DECISIONS)[: len(ledger)], ledger)
    assert retrain_reason(SeriesTables(platform.lake, *declared(platform))) is None


@pytest.mark.slow
def test_a_look_at_one_series_leaves_the_looks_at_another_alone(
    platform: Platform, rates: pd.DataFrame
) -> None:
    declare(platform, target={"kind": "return"}, candidates=["ridge"])
    must(platform.retrain(), platform.predict("2018-03-28"), platform.run("direction_monitor"))
    looked = own(platform)
    assert len(looked.read(PERFORMANCE)) == 1
    declare(platform, target={"kind": "return", "horizon": 5}, candidates=["ridge"])
    assert own(platform).read(PERFORMANCE).empty
    assert newest_alarm(own(platform)) is None


@pytest.fixture
def upgraded(platform: Platform) -> Platform:
    """A platform whose lake was written before rows carried a series."""
    without_series(platform.lake, "direction")
    assert "series" not in platform.lake.read("predictions", "direction")
    return platform


@pytest.mark.slow
def test_an_unchanged_forecast_goes_on_where_the_code_before_left_it(
    upgraded: Platform, rates: pd.DataFrame
) -> None:
    spec, feed = declared(upgraded)
    before = {t.name: upgraded.lake.read(t.name, "direction") for t in SAID}
    version = champion_ref(upgraded.lake, "direction").version
    assert retrain_reason(SeriesTables(upgraded.lake, spec, feed)) is None
    assert days_to_predict(SeriesTables(upgraded.lake, spec, feed), clock.now()) == []
    assert own(upgraded).in_service()
    assert latest_row(own(upgraded).read(PREDICTIONS), spec)[4] != "none yet"

    upgraded.arrive(rates, "2018-03-29")
    must(upgraded.ingest("2018"), upgraded.predict("2018-03-28", "2018-03-29"))
    must(upgraded.run("direction_monitor"), upgraded.retrain())
    lake = upgraded.lake
    for table in SAID:
        rows = lake.read(table.name, "direction")
        old = rows[rows["series"].isna()].drop(columns="series")
        assert len(old) == len(before[table.name])
        key = [name for name in table.key if name != "series"]
        assert not own(upgraded).read(table).duplicated(key).any()
        assert set(rows["series"].dropna()) <= {own(upgraded).series.id}
    assert len(own(upgraded).read(PREDICTIONS)) == len(before["predictions"]) + 1
    assert len(own(upgraded).read(OUTCOMES)) == 1
    ledger = SeriesTables(lake, spec, feed).ledger()
    assert [decision.sequence for decision in ledger] == list(range(len(ledger)))
    assert ledger[-1].verdict in {"keep", "refresh"}
    assert champion_ref(lake, "direction").version in {version, version + 1}


@pytest.mark.parametrize(
    "change",
    [
        {"target": {"kind": "volatility"}, "candidates": ["ewma"]},
        {"target": {"kind": "direction", "horizon": 5}},
    ],
    ids=["target", "horizon"],
)
def test_rows_of_the_code_before_are_not_adopted_by_another_target(
    upgraded: Platform, change: dict[str, object]
) -> None:
    declare(upgraded, **change)
    assert all(own(upgraded).read(table).empty for table in SAID)
    assert retrain_reason(SeriesTables(upgraded.lake, *declared(upgraded))) is not None
    assert not own(upgraded).in_service()


def test_rows_of_the_code_before_are_not_adopted_by_another_instrument(
    upgraded: Platform,
) -> None:
    rename(upgraded, quote="CHF")
    assert all(own(upgraded).read(table).empty for table in SAID)
    assert not own(upgraded).in_service()


def test_a_ledger_that_the_code_before_mixed_is_told_apart(upgraded: Platform) -> None:
    """It judged another instrument under the same name: those rows are of neither."""
    lake = upgraded.lake
    issued = lake.read("predictions", "direction")
    mixed = issued.assign(
        instrument="EURCHF",
        event_time=issued["event_time"] + pd.Timedelta(1, "D"),
        table_versions='{"raw_prices/other": 3}',
    )
    lake.append("predictions", "direction", mixed)
    lake.append("predictions", "direction", mixed.assign(instrument="EURUSD"))
    pd.testing.assert_frame_equal(
        own(upgraded).read(PREDICTIONS).drop(columns="series"), issued, check_like=True
    )


@pytest.mark.slow
def test_a_truth_that_the_code_before_took_from_another_feed_yields_to_the_right_one(
    upgraded: Platform, rates: pd.DataFrame
) -> None:
    upgraded.arrive(rates, "2018-03-29")
    must(upgraded.ingest("2018"))
    lake = upgraded.lake
    issued = lake.read("predictions", "direction").iloc[0]
    wrong = pd.DataFrame({name: [issued.get(name)] for name in OUTCOMES.names[1:]}).assign(
        target=7.0,
        loss=7.0,
        baseline_loss=7.0,
        known_at=pd.Timestamp("2019-01-01T00:00Z").as_unit("us"),
    )
    assert lake.read("outcomes", "direction").empty
    lake.append("outcomes", "direction", wrong.drop(columns="inside_interval"))
    assert list(own(upgraded).read(OUTCOMES)["target"]) == [7.0]
    must(upgraded.predict("2018-03-29"))
    known = own(upgraded).newest(OUTCOMES)
    assert list(known["event_time"]) == [issued["event_time"]]
    assert list(known["target"]) != [7.0]
    assert len(lake.read("outcomes", "direction")) == 2
