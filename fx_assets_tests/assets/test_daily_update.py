"""Day after day: the sensor follows the data, predictions follow the bars, outcomes the truth."""

from __future__ import annotations

from datetime import date

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets.assets.automation import RANGE_END, RANGE_START
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.platform import (
    Platform,
    evening,
    failed_checks,
    failures,
    forecast_spec,
    metadata,
)

TOMORROW = "2018-03-29"
AFTER_EASTER = "2018-04-03"
CLOSED = ("2018-03-30", "2018-04-02")


def asked_days(request: object) -> tuple[str, str]:
    assert isinstance(request, dg.RunRequest), request
    return request.tags[RANGE_START], request.tags[RANGE_END]


def test_one_new_bar_asks_for_its_day_and_scores_the_day_before(
    platform: Platform, rates: pd.DataFrame
) -> None:
    assert isinstance(platform.sensor(), dg.SkipReason)
    assert len(platform.lake.read("outcomes", "direction")) == 0
    platform.arrive(rates, TOMORROW)
    assert isinstance(platform.sensor(), dg.SkipReason), "there is no bar yet to predict from"
    assert platform.ingest("2018").success

    request = platform.sensor()
    assert asked_days(request) == (TOMORROW, TOMORROW)
    result = platform.run_requested(request)

    assert result.success, failures(result)
    assert list(platform.predictions().index) == [TODAY, TOMORROW]
    (outcome,) = platform.lake.read("outcomes", "direction").to_dict("records")
    assert outcome["day"] == TODAY
    assert outcome["mode"] == "live"
    went_up = rates["USD"][TOMORROW] > rates["USD"][TODAY]
    assert outcome["target"] == float(went_up)
    assert outcome["loss"] == pytest.approx((outcome["prediction"] - went_up) ** 2)
    assert outcome["baseline_loss"] == outcome["loss"], "the champion is the baseline"
    assert outcome["known_at"] > outcome["target_time"]
    assert isinstance(platform.sensor(), dg.SkipReason)


@pytest.mark.slow
def test_every_candidate_says_beside_a_live_prediction_what_it_would_have_said(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, TOMORROW)
    platform.ingest("2018")
    result = platform.run_requested(platform.sensor())
    assert result.success, failures(result)
    assert "would have said" in metadata(result, "direction/predictions")["shadows"]

    spec = next(each for each in platform.forecasts if each.name == "direction")
    names = {candidate.name for candidate in spec.all_candidates}
    rows = platform.lake.read("shadow_predictions", "direction")
    issued = platform.predictions()
    for day in (TODAY, TOMORROW):
        of_day = rows[rows["day"] == day].set_index("candidate")
        assert set(of_day.index) == names
        assert set(of_day["mode"]) == {"shadow"}
        assert (of_day["issued_at"] < of_day["target_time"]).all()
        assert (of_day["label_end"] <= of_day["decision_time"]).all()
        champion = issued.loc[day, "champion"]
        assert of_day.loc[champion, "prediction"] == issued.loc[day, "prediction"]
    assert platform.lake.verify("shadow_predictions", "direction").findings == ()

    found = platform.lake.read("live_evidence", "direction").set_index("candidate")
    assert set(found.index) == names - {spec.baseline.name}
    went_up = float(rates["USD"][TOMORROW] > rates["USD"][TODAY])
    said = rows[rows["day"] == TODAY].set_index("candidate")["prediction"]
    for name, row in found.iterrows():
        assert row["rows"] == 1
        assert row["loss"] == pytest.approx((said[name] - went_up) ** 2)
        assert 0 < row["e_better"] < 2
        assert (row["e_better"] > 1) == (row["skill"] > 0)
        assert row["skill_lower"] <= row["skill"] <= row["skill_upper"]
    again = platform.materialize("direction/outcomes")
    assert again.success
    assert len(platform.lake.read("live_evidence", "direction")) == len(found)


def test_after_days_off_one_run_catches_up_and_closed_days_say_why(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, AFTER_EASTER)
    platform.ingest("2018")

    request = platform.sensor()
    assert asked_days(request) == (TOMORROW, AFTER_EASTER)
    result = platform.run_requested(request)

    assert result.success, failures(result)
    rows = platform.predictions()
    assert list(rows.index) == [TODAY, TOMORROW, AFTER_EASTER]
    days = metadata(result, "direction/predictions")["bars"]
    assert f"| {CLOSED[0]} | closed: Good Friday |" in days
    assert f"| {CLOSED[1]} | closed: Easter Monday |" in days
    assert rows["mode"][TOMORROW] == "late", "its outcome was known when it was issued"
    assert rows["mode"][AFTER_EASTER] == "live"
    assert rows["target_time"][TOMORROW] == rows["event_time"][AFTER_EASTER]
    outcomes = platform.lake.read("outcomes", "direction").set_index("day")
    assert dict(outcomes["mode"]) == {TODAY: "live", TOMORROW: "late"}


def test_a_closed_day_is_a_partition_that_succeeds_with_zero_rows(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, TOMORROW)
    platform.ingest("2018")
    platform.travel(evening(CLOSED[0]))
    before = platform.versions(without=["outcomes"])
    result = platform.materialize("direction/predictions", first=CLOSED[0])
    assert result.success, failures(result)
    shown = metadata(result, "direction/predictions")
    assert shown["rows_issued"] == 0
    assert "Good Friday" in shown["bars"]
    assert platform.versions(without=["outcomes"]) == before


def test_a_day_whose_bar_is_not_out_yet_says_when_it_will_be(platform: Platform) -> None:
    platform.travel(f"{TOMORROW}T10:00:00+00:00")
    result = platform.materialize("direction/predictions", first=TOMORROW)
    assert result.success, failures(result)
    days = metadata(result, "direction/predictions")["bars"]
    assert f"its bar will be known at {TOMORROW} 14:00 UTC" in days


def test_an_open_day_whose_bar_has_not_arrived_says_so(platform: Platform) -> None:
    platform.travel(evening(TOMORROW))
    result = platform.materialize("direction/predictions", first=TOMORROW)
    assert result.success, failures(result)
    assert "has no bar of this day" in metadata(result, "direction/predictions")["bars"]
    assert list(platform.predictions().index) == [TODAY]


def test_a_past_day_without_a_champion_of_that_time_is_refused(platform: Platform) -> None:
    before = platform.versions()
    result = platform.predict("2018-03-26", "2018-03-27")
    assert not result.success
    text = failures(result)
    assert (
        "2018-03-26 has no prediction. direction: no champion can predict at 2018-03-26 14:00 UTC"
        in text
    )
    assert "What to do: Ask for a decision time from 2018-03-28 14:00 UTC on" in text
    assert platform.versions() == before
    assert list(platform.predictions().index) == [TODAY]


@pytest.mark.slow
def test_a_refused_day_holds_no_other_back_and_says_why(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, TOMORROW)
    platform.ingest("2018")
    result = platform.predict("2018-03-26", TOMORROW)
    assert result.success, failures(result)
    assert list(platform.predictions().index) == [TODAY, TOMORROW]
    said = failed_checks(result)["no_day_refused"]
    assert said.startswith("2018-03-26 has no prediction. direction: no champion can predict at")
    assert said.endswith("So was 1 later.")


def test_a_day_before_live_from_is_refused_with_a_sentence_that_names_it(
    platform: Platform,
) -> None:
    result = platform.predict("2017-06-01")
    assert not result.success
    assert (
        "2017-06-01 has no prediction: it lies before direction's live_from, 2018-01-01, as it is "
        "declared." in failures(result)
    )
    platform.forecasts[0] = forecast_spec(live_from=None)
    platform.reload()
    result = platform.predict("2018-03-26")
    assert (
        f"2018-03-26 has no prediction: it lies before direction's live_from, {TODAY}, the newest "
        "day that the first decision knew." in failures(result)
    )
    assert f"What to do: Ask for a day from {TODAY} on" in failures(result)


def test_the_same_payload_twice_adds_nothing(platform: Platform) -> None:
    before = platform.versions(without=["quality"])
    result = platform.ingest()
    assert result.success, failures(result)
    assert metadata(result, "eurusd/raw_prices")["rows_added"] == 0
    assert platform.versions(without=["quality"]) == before


def test_an_issued_prediction_made_again_is_the_identical_row_and_no_new_one(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, AFTER_EASTER)
    platform.ingest("2018")
    platform.predict(TOMORROW, AFTER_EASTER)
    issued = platform.predictions()
    before = platform.versions()
    platform.travel("2018-04-04T09:00:00+00:00")
    result = platform.predict(TODAY, AFTER_EASTER)
    assert result.success, failures(result)
    assert platform.versions() == before, "nothing was new, so nothing was committed"
    pd.testing.assert_frame_equal(platform.predictions(), issued)
    (check,) = (c for c in result.get_asset_check_evaluations() if c.check_name == "reproduced")
    assert check.passed
    assert check.description == "3 rows made again, all the same"


def test_a_prediction_that_would_differ_today_is_kept_and_reported(platform: Platform) -> None:
    lake = platform.lake
    rows = lake.read("predictions", "direction")
    lake.replace("predictions", "direction", rows.assign(prediction=0.9))
    result = platform.materialize("direction/predictions", first=TODAY)
    assert result.success, failures(result)
    assert f"{TODAY}: prediction would differ today" in failed_checks(result)["reproduced"]
    assert list(platform.predictions()["prediction"]) == [0.9]


def test_prices_and_features_made_again_are_no_new_versions(platform: Platform) -> None:
    before = platform.versions()
    result = platform.materialize("eurusd/prices", first="2014", last="2018")
    assert result.success, failures(result)
    result = platform.materialize("eurusd/features/fx_close")
    assert result.success, failures(result)
    assert platform.versions() == before


def test_a_revised_rate_adds_a_row_and_changes_no_issued_prediction(
    platform: Platform, rates: pd.DataFrame
) -> None:
    revised = rates.copy()
    revised.loc[TODAY, "USD"] = round(float(rates.loc[TODAY, "USD"]) * 1.01, 6)
    platform.arrive(rates, TOMORROW)
    platform.ingest("2018")
    platform.predict(TOMORROW)
    issued = platform.predictions()
    truth = platform.lake.read("outcomes", "direction")
    platform.arrive(revised, AFTER_EASTER)
    result = platform.ingest("2018")

    assert result.success, failures(result)
    lake = platform.lake
    raw = lake.read("raw_prices", "eurusd")
    versions = raw[raw["event_time"] == issued.loc[TODAY, "event_time"]]
    assert len(versions) == 2
    assert versions["available_at"].max() == evening(AFTER_EASTER), "known since we saw it"

    def known_close(as_of: date | str) -> float:
        bars = lake.prices("eurusd", as_of=evening(as_of)).set_index("event_time")["close"]
        return float(bars[issued.loc[TODAY, "event_time"]])

    assert known_close(TODAY) == known_close(TOMORROW) == rates.loc[TODAY, "USD"]
    assert known_close(AFTER_EASTER) == revised.loc[TODAY, "USD"]
    assert len(lake.read("prices", "eurusd")) == len(rates[:AFTER_EASTER])

    result = platform.predict(TODAY, AFTER_EASTER)
    assert result.success, failures(result)
    assert "reproduced" not in failed_checks(result), "they knew nothing of the revision"
    pd.testing.assert_frame_equal(platform.predictions().loc[:TOMORROW], issued)
    outcomes = platform.lake.read("outcomes", "direction")
    of_today = outcomes[outcomes["day"] == TODAY].sort_values("known_at")
    assert of_today["known_at"].iloc[0] == truth["known_at"].iloc[0]
    if len(of_today) == 2:
        assert of_today["known_at"].iloc[1] == evening(AFTER_EASTER)
    up = np.sign(rates.loc[TOMORROW, "USD"] - revised.loc[TODAY, "USD"])
    assert of_today["target"].iloc[-1] == float(up > 0)


@pytest.mark.slow
def test_an_outcome_gets_a_second_row_when_its_truth_is_revised(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, TOMORROW)
    platform.ingest("2018")
    platform.predict(TOMORROW)
    first = platform.lake.read("outcomes", "direction")
    turned = rates.copy()
    factor = 0.99 if first["target"].iloc[0] else 1.01
    turned.loc[TOMORROW, "USD"] = round(float(rates.loc[TODAY, "USD"]) * factor, 6)
    platform.arrive(turned, AFTER_EASTER)
    platform.ingest("2018")
    platform.predict(AFTER_EASTER)
    rows = platform.lake.read("outcomes", "direction")
    rows = rows[rows["day"] == TODAY].sort_values("known_at")
    assert list(rows["target"]) == [first["target"].iloc[0], 1 - first["target"].iloc[0]]
    assert list(rows["known_at"]) == [first["known_at"].iloc[0], evening(AFTER_EASTER)]


@pytest.mark.slow
def test_a_late_bar_is_taken_and_its_day_predicted_after_the_fact(
    platform: Platform, rates: pd.DataFrame
) -> None:
    late = pd.Timestamp(TOMORROW)
    platform.arrive(rates.drop(late), AFTER_EASTER)
    assert platform.ingest("2018").success
    platform.run_requested(platform.sensor())
    assert list(platform.predictions().index) == [TODAY, AFTER_EASTER]
    platform.arrive(rates, "2018-04-04")
    assert platform.ingest("2018").success
    assert asked_days(platform.sensor()) == (TOMORROW, "2018-04-04")
    result = platform.run_requested(platform.sensor())
    assert result.success, failures(result)
    rows = platform.predictions()
    assert list(rows.index) == [TODAY, TOMORROW, AFTER_EASTER, "2018-04-04"]
    assert rows["mode"][TOMORROW] == "late"
