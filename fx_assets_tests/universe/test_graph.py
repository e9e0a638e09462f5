"""One chain for all instruments, through real Dagster runs."""

from __future__ import annotations

import io
import re
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from rich.console import Console

from fx_assets import clock, run_universe
from fx_assets.assets.universe_automation import is_behind
from fx_assets.run_universe import show_universe
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.platform import failed_checks, failures, metadata
from fx_assets_tests.universe.conftest import (
    DAYS,
    LEFT_AFTER,
    SPEC,
    Started,
    UniversePlatform,
)
from fx_assets_tests.universe.helpers import moment, universe

NAME = SPEC.name
LEFT = ("EUROLD", "left")
ASSETS = (
    *("instruments", "raw_prices", "prices", "universe", "backtest", "skill", "predictions"),
    "outcomes",
)


def test_the_first_evening_runs_from_a_download_to_predictions(first_evening: Started) -> None:
    platform = first_evening.platform
    assert first_evening.discover.success
    assert first_evening.update.success, failures(first_evening.update)
    assert platform.partitions == ["EURAAA", "EURBBB", "EUROLD", "EURPEG"]
    lake = platform.lake
    issued = lake.read("predictions", NAME)
    assert set(issued["instrument"]) == {"EURAAA", "EURBBB"}
    assert set(lake.read("prices", NAME)["instrument"]) == set(platform.partitions)
    backtest = lake.read("backtest", NAME)
    assert set(backtest["instrument"]) == {"EURAAA", "EURBBB", "EUROLD"}
    skill = lake.read("skill", NAME)
    assert "EUROLD" in set(skill["instrument"])
    assert "EURPEG" not in set(skill["instrument"])


def test_the_number_of_assets_does_not_depend_on_the_number_of_instruments(
    first_evening: Started,
) -> None:
    keys = first_evening.platform.definitions.resolve_asset_graph().get_all_asset_keys()
    assert {key.to_user_string() for key in keys} == {
        f"{NAME}/{table}" for table in (*ASSETS, "drift_report")
    }


def test_a_run_over_all_instruments_is_one_commit_a_table(first_evening: Started) -> None:
    platform = first_evening.platform
    for table in ASSETS:
        assert platform.commits(table) == 0, table


def test_the_skill_is_shown_with_its_family_of_tests_and_a_plot(first_evening: Started) -> None:
    said = metadata(first_evening.update, f"{NAME}/skill")
    assert said["family_of_tests"].startswith("6 tests: every instrument, target and candidate")
    assert "| EUROLD |" in said["skill"]
    assert said["plot"].startswith("![plot](data:image/svg+xml;base64,")
    assert said["demonstrated_direction_1"] == "0 of 3; better than the baseline: 0"


@pytest.mark.slow
def test_a_run_that_brings_nothing_new_makes_no_commit_and_changes_no_prediction(
    platform: UniversePlatform,
) -> None:
    before = {table: platform.commits(table) for table in ASSETS}
    platform.travel(moment("2030-01-02"))
    assert platform.discover().success
    assert isinstance(platform.ask_sensor(), dg.SkipReason)
    assert platform.update().success
    assert {table: platform.commits(table) for table in ASSETS} == before


def test_what_is_declared_anew_is_asked_for_though_no_fixing_has_come(
    platform: UniversePlatform,
) -> None:
    def asked() -> bool:
        return isinstance(platform.ask_sensor(), dg.RunRequest)

    assert not asked()
    platform.spec = universe(min_rows=300)
    platform.reload()
    assert is_behind(platform.lake, platform.spec, clock.now())
    assert asked()
    assert platform.update().success
    assert not asked()
    platform.spec = SPEC
    platform.reload()
    assert asked(), "declared back it is another one than was brought up to date"


def test_a_new_currency_becomes_a_partition_and_a_new_fixing_one_row_each(
    platform: UniversePlatform, many_rates: pd.DataFrame
) -> None:
    lake = platform.lake
    before = {t: len(lake.read(t, NAME)) for t in ("raw_prices", "backtest", "predictions")}
    platform.arrive(many_rates, many_rates.index[DAYS - 5].date())
    assert platform.discover().success
    assert platform.partitions[-1] == "EURNEW"
    request = platform.ask_sensor()
    assert isinstance(request, dg.RunRequest)
    result = platform.update()
    assert result.success, failures(result)
    after = {t: len(lake.read(t, NAME)) for t in before}
    # Two fixings of AAA, BBB and PEG, one of NEW; each row of AAA and BBB for two candidates.
    assert after["raw_prices"] - before["raw_prices"] == 7
    assert after["backtest"] - before["backtest"] == 8
    assert after["predictions"] - before["predictions"] == 8
    new = lake.read("predictions", NAME).sort_values("event_time").tail(8)
    assert new["mode"].tolist() == ["late"] * 4 + ["live"] * 4
    looks = lake.read("performance", NAME)
    assert set(zip(looks["instrument"], looks["kind"], strict=True)) == {
        (name, kind) for name in ("EURAAA", "EURBBB") for kind in ("direction", "volatility")
    }
    assert {"feature", "target"} <= set(lake.read("drift", NAME)["part"])
    assert isinstance(platform.ask_sensor(), dg.SkipReason)
    members = lake.read("universe", NAME).set_index("instrument")
    assert pd.isna(members.loc["EURNEW", "member_from"])


def test_one_instrument_can_be_brought_up_to_date_alone(
    platform: UniversePlatform, many_rates: pd.DataFrame
) -> None:
    before = platform.lake.read("prices", NAME).groupby("instrument").size()
    platform.arrive(many_rates.drop(columns="NEW"), many_rates.index[DAYS - 6].date())
    result = platform.materialize(f"{NAME}/raw_prices", f"{NAME}/prices", first="EURBBB")
    assert result.success, failures(result)
    after = platform.lake.read("prices", NAME).groupby("instrument").size()
    assert (after - before).to_dict() == {"EURAAA": 0, "EURBBB": 1, "EUROLD": 0, "EURPEG": 0}
    assert platform.commits("prices") == 1


@pytest.mark.slow
def test_a_refused_instrument_does_not_stop_the_others(
    platform: UniversePlatform, many_rates: pd.DataFrame
) -> None:
    day = many_rates.index[DAYS - 6]
    wrong = many_rates.drop(columns="NEW").copy()
    wrong.loc[day, "AAA"] *= 100
    platform.arrive(wrong, day.date())
    names = ("raw_prices", "prices", "universe", "predictions")
    first, last = platform.partitions[0], platform.partitions[-1]
    result = platform.materialize(*(f"{NAME}/{t}" for t in names), first=first, last=last)
    assert result.success, failures(result)
    said = failed_checks(result)["every_instrument_passed_the_gate"]
    assert said.startswith("EURAAA: scale_errors")
    newest = platform.lake.read("predictions", NAME)
    newest = newest[newest["event_time"] == newest["event_time"].max()]
    assert set(newest["instrument"]) == {"EURBBB"}
    assert "EURAAA" in set(platform.lake.read("quarantine", NAME)["instrument"])


def test_the_terminal_shows_members_pegs_and_those_that_left(first_evening: Started) -> None:
    text = io.StringIO()
    show_universe(Console(file=text, soft_wrap=True), first_evening.platform.lake, SPEC)
    said = text.getvalue()
    states = {tuple(line.split()[:2]) for line in said.splitlines() if line.startswith("EUR")}
    assert states == {("EURAAA", "member"), ("EURBBB", "member"), ("EURPEG", "pegged"), LEFT}
    assert re.search(r"P\(up\) \d\d\.\d %", said)
    assert "% a year" in said
    assert "direction 1: 0 of 3 instruments" in said
    assert "Holm's correction for 6 tests at 5%" in said


@pytest.mark.slow
def test_an_instrument_that_left_before_anything_was_said_has_its_bars_and_its_backtest(
    first_evening: Started, tmp_path: Path
) -> None:
    lake = first_evening.platform.lake
    ledger = lake.read("decisions", NAME).query("instrument == 'EUROLD'")
    walked = lake.read("backtest", NAME).query("instrument == 'EUROLD'")
    now = lake.read("prices", NAME)["available_at"].max() + pd.Timedelta(1, "h")
    with serving(lake.root, tmp_path / "served", now=now.isoformat()) as running:
        api, base = running.client, f"/v1/forecasts/{NAME}"
        until(lambda: bool(api.get("/v1/forecasts").json().get("universes")))
        for kind, champion in zip(ledger["kind"], ledger["champion"], strict=True):
            mine = {"instrument": "EUROLD", "target": kind, "limit": 1000}
            rows = api.get(f"{base}/history", params=mine | {"mode": "backtest"}).json()["rows"]
            known = walked[(walked["kind"] == kind) & walked["candidate"].ne("")]
            assert {row["champion"] for row in rows} == {champion}
            assert len(rows) == known["event_time"].nunique()
            assert api.get(f"{base}/history", params=mine).json()["rows"] == []
            bars = api.get(f"{base}/prices", params=mine).json()["rows"]
            assert len(bars) == LEFT_AFTER
            for path in ("performance", "live", "status"):
                answer = api.get(f"{base}/{path}", params=mine)
                assert answer.status_code == 200, (path, answer.text)
            refused = api.get(f"{base}/latest", params=mine)
            assert refused.status_code == 404
            assert refused.json()["type"].endswith(":nothing-said")
            assert "mode=backtest" in refused.json()["remedy"]
        pegged = {"instrument": "EURPEG", "target": "volatility"}
        assert api.get(f"{base}/prices", params=pegged).json()["rows"]
        assert api.get(f"{base}/history", params=pegged | {"mode": "backtest"}).json()["rows"] == []


def test_a_member_without_a_forecast_is_told_from_one_without_a_bar() -> None:
    newest = pd.Timestamp("2026-11-11 12:00", tz="UTC")
    earlier = newest - pd.Timedelta(1, "D")
    known = pd.DataFrame(
        {
            "instrument": ["EURNEW", "EUROLD"],
            "first_fixing": earlier - pd.Timedelta(500, "D"),
            "last_fixing": [newest, earlier],
            "fixings": 400,
            "member_from": earlier - pd.Timedelta(9, "D"),
            "member_until": pd.NaT,
            "pegged": False,
        }
    )
    lines = run_universe._without_forecast(known, SPEC, set(), newest)
    assert [line[:2] for line in lines] == [
        ("EURNEW", "too few rows to judge"),
        ("EUROLD", "no new bar"),
    ]


def test_a_universe_is_late_by_its_newest_bar_and_names_the_instruments_that_lag(
    platform: UniversePlatform,
) -> None:
    def look(cursor: str | None) -> tuple[dict[str, dg.AssetCheckEvaluation], str | None]:
        sensor = platform.definitions.resolve_sensor_def(f"{NAME}_is_fresh")
        resources = platform._resources()
        with dg.build_sensor_context(
            platform.instance, cursor=cursor, resources=resources
        ) as context:
            answer = sensor.evaluate_tick(context)
        for event in answer.asset_events:
            platform.instance.report_runless_asset_event(event)
        return {event.asset_key.path[-1]: event for event in answer.asset_events}, answer.cursor

    fresh, cursor = look(None)
    assert {table: check.passed for table, check in fresh.items()} == {
        "prices": True,
        "predictions": True,
    }, "EUROLD has left, and is late no more"
    prices = platform.lake.read("prices", NAME)
    aaa = prices[prices["instrument"] == "EURAAA"].sort_values("event_time")
    platform.lake.replace("prices", NAME, prices.drop(aaa.index[-2:]))
    lagging, cursor = look(cursor)
    assert set(lagging) == {"prices"}
    assert "Of 4 instruments 1 lack the newest bar: EURAAA since" in str(
        lagging["prices"].description
    )
    platform.travel(prices["event_time"].max() + pd.Timedelta(days=30))
    late, _ = look(cursor)
    assert not late["prices"].passed
    assert not late["predictions"].passed
    told = platform.lake.read("alerts", "platform")
    assert "stale" in set(told["kind"])
