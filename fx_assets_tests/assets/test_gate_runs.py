"""What the provider gets wrong stops at the gate, in the run that fetched it and in later ones."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.platform import (
    Edit,
    Platform,
    evening,
    failed_checks,
    failures,
    started_steps,
)

DAY = "2018-04-04"
NEVER_WRITTEN = ("raw_prices", "prices", "features", "predictions", "outcomes")


def newest(lines: list[str]) -> float:
    return float(lines[1].split(",")[1])


def times_hundred(lines: list[str]) -> list[str]:
    return [lines[0], f"{DAY},{100 * newest(lines)},", *lines[2:]]


def swapped_day_and_month(lines: list[str]) -> list[str]:
    """The rates of 7 May and of 5 July under each other's dates."""
    other = {"2018-05-07": "2018-07-05", "2018-07-05": "2018-05-07"}
    return [lines[0], *(other.get(line[:10], line[:10]) + line[10:] for line in lines[1:])]


def zero(lines: list[str]) -> list[str]:
    return [lines[0], f"{DAY},0,", *lines[2:]]


def twice_with_another_rate(lines: list[str]) -> list[str]:
    return [lines[0], f"{DAY},{newest(lines) * 1.001},", *lines[1:]]


def from_the_future(lines: list[str]) -> list[str]:
    return [lines[0], f"2199-04-06,{newest(lines)},", *lines[1:]]


def on_closed_days(lines: list[str]) -> list[str]:
    closed = ("2018-03-30", "2018-03-31", "2018-04-01", "2018-04-02")
    return [*lines, *(f"{day},{newest(lines)}," for day in closed)]


def not_a_number(lines: list[str]) -> list[str]:
    return [lines[0], f"{DAY},1.2x,", *lines[2:]]


FAULTS: dict[str, tuple[Edit, str, str]] = {
    "x100": (times_hundred, "scale_errors", DAY),
    "day and month": (swapped_day_and_month, "date_errors", "2018-07-05"),
    "zero": (zero, "non_positive", DAY),
    "duplicate": (twice_with_another_rate, "duplicates", DAY),
    "future": (from_the_future, "future_bars", "2199-04-06"),
    "closed days": (on_closed_days, "closed_days", "2018-04-02"),
    "text": (not_a_number, "schema_and_types", DAY),
}


AT_ONCE = {"x100", "duplicate", "text"}
"""Faults of a value, of the rows and of the file; CI tries the others too."""


@pytest.mark.parametrize(
    "fault",
    [name if name in AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS],
)
def test_a_fault_fails_its_check_and_leaves_the_tables_as_they_were(
    platform: Platform, rates: pd.DataFrame, fault: str
) -> None:
    edit, check, bad_day = FAULTS[fault]
    before = platform.versions(without=["quality", "sources", "quarantine", "alerts"])
    day = "2018-07-10" if fault == "day and month" else DAY
    platform.arrive(rates, day, edit)

    result = platform.ingest("2018")

    assert not result.success
    assert check in failed_checks(result)
    assert platform.versions(without=["quality", "sources", "quarantine", "alerts"]) == before
    assert started_steps(result) == {"eurusd__raw_prices"}
    kept_out = platform.lake.read("quarantine", "eurusd")
    assert bad_day in set(kept_out["event_date"])
    assert kept_out["reason"].str.len().gt(0).all()


@pytest.mark.slow
def test_a_missing_day_and_a_bar_of_a_closed_one_are_said_and_stop_nothing(
    platform: Platform, rates: pd.DataFrame
) -> None:
    def edit(lines: list[str]) -> list[str]:
        kept = [line for line in lines if not line.startswith("2018-04-03")]
        return [*kept, f"2018-04-02,{newest(lines)},"]

    platform.arrive(rates, DAY, edit)
    result = platform.ingest("2018")
    assert result.success
    assert set(failed_checks(result)) >= {"missing_days", "closed_days"}
    assert platform.lake.read("quarantine", "eurusd")["event_date"].tolist() == ["2018-04-02"]
    stored = platform.lake.read("prices", "eurusd")["event_time"].dt.strftime("%Y-%m-%d")
    assert DAY in set(stored)
    assert "2018-04-02" not in set(stored)


@pytest.mark.slow
def test_downstream_of_a_refused_batch_nothing_runs_until_the_provider_corrects_itself(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, DAY, times_hundred)
    platform.ingest("2018")
    before = platform.versions()
    later_runs = {
        "prices": lambda: platform.materialize("eurusd/prices", first="2018"),
        "features": lambda: platform.materialize("eurusd/features/fx_close"),
        "prediction": lambda: platform.materialize("direction/predictions", first=TODAY),
        "outcomes": lambda: platform.materialize("direction/outcomes"),
        "predict job": lambda: platform.predict(TODAY),
        "retrain job": platform.retrain,
    }
    for name, run in later_runs.items():
        result = run()
        assert not result.success, name
        text = failures(result)
        assert (
            "The quality gate of eurusd refused its batch of 2018 on 2018-04-04 18:00 UTC" in text
        ), name
        assert "scale_errors" in text
        assert "materialize eurusd/raw_prices of 2018 again" in text
    assert platform.versions() == before

    platform.travel("2018-04-04T19:00:00+00:00")
    platform.publish(rates[:DAY])
    assert platform.ingest("2018").success
    result = platform.run_requested(platform.sensor())
    assert result.success, failures(result)
    assert list(platform.predictions().index) == [TODAY, "2018-03-29", "2018-04-03", DAY]


@pytest.mark.slow
def test_an_ingestion_of_other_years_does_not_clear_a_refusal(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, DAY, times_hundred)
    platform.ingest("2018")
    platform.travel("2018-04-04T19:00:00+00:00")
    platform.ingest("2014", "2016")
    result = platform.materialize("eurusd/features/fx_close")
    assert "refused its batch of 2018" in failures(result)


@pytest.mark.slow
def test_a_correction_within_the_same_instant_clears_a_refusal(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, DAY, times_hundred)
    platform.ingest("2018")
    platform.publish(rates[:DAY])
    assert platform.ingest("2018").success


@pytest.mark.slow
def test_an_operator_lets_it_go_on_by_naming_the_day_as_known_bad(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, DAY, zero)
    assert not platform.ingest("2018").success
    gate = platform.feeds[0].gate.model_copy(update={"known_bad": [date.fromisoformat(DAY)]})
    platform.feeds[0] = platform.feeds[0].model_copy(update={"gate": gate})
    platform.reload()
    platform.travel("2018-04-04T19:00:00+00:00")
    result = platform.ingest("2018")
    assert result.success, failures(result)
    result = platform.run_requested(platform.sensor())
    assert result.success, failures(result)
    assert list(platform.predictions().index) == [TODAY, "2018-03-29", "2018-04-03"]
    prices = platform.lake.read("prices", "eurusd")
    assert prices["event_time"].max() < pd.Timestamp(DAY, tz="UTC")


@pytest.mark.slow
def test_a_warning_does_not_stop_anything(platform: Platform, rates: pd.DataFrame) -> None:
    jumped = rates.copy()
    jumped.loc[DAY:, "USD"] = (jumped.loc[DAY:, "USD"] * 1.15).round(6)
    platform.arrive(jumped, DAY)
    result = platform.ingest("2018")
    assert result.success, failures(result)
    assert DAY in failed_checks(result)["jumps"]
    assert platform.run_requested(platform.sensor()).success


def test_quarantined_rows_are_kept_once_however_often_they_come(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, DAY, zero)
    platform.ingest("2018")
    platform.travel(evening("2018-04-05"))
    platform.ingest("2018")
    kept_out = platform.lake.read("quarantine", "eurusd")
    assert list(kept_out["event_date"]).count(DAY) == 1


@pytest.mark.slow
def test_one_refusal_is_told_once_though_the_provider_packs_its_payload_anew(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, DAY, times_hundred)
    platform.ingest("2018")
    platform.travel("2018-04-04T19:00:00+00:00")
    platform.publish(rates[:DAY], lambda lines: [*times_hundred(lines), ""])
    assert not platform.ingest("2018").success
    payloads = platform.lake.read("quality", "eurusd").groupby("batch")["payload"].first()
    assert payloads.iloc[-1] != payloads.iloc[-2]
    told = platform.lake.read("alerts", "platform")
    assert len(told[(told["kind"] == "gate_failed") & (told["state"] == "delivered")]) == 1
