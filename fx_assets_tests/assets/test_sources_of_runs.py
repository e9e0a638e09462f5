"""Where a run's bars came from: the live file, or a stand-in that says so."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from fx_assets.testing.vendors.ecb_server import LOGIN_PAGE, EcbServer, ok, running
from fx_assets_tests.platform import Platform, ecb_zip, failed_checks, failures, metadata

DAY = "2018-03-29"


@pytest.fixture
def server(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[EcbServer]:
    """The ECB's address leads to a server of the test's own."""
    with running() as server:
        monkeypatch.setenv("FX_ASSETS_ECB_HISTORY_URL", f"{server.url}/hist.zip")
        monkeypatch.setenv("FX_ASSETS_ECB_DAILY_URL", f"{server.url}/daily.xml")
        yield server


def test_the_live_file_is_used_and_no_check_fails(
    platform: Platform, rates: pd.DataFrame, server: EcbServer
) -> None:
    platform.arrive(rates, DAY)
    server.script("/hist.zip", ok(ecb_zip(rates[:DAY])))
    platform.snapshot.unlink()
    result = platform.ingest("2018")
    assert result.success, failures(result)
    assert failed_checks(result) == {}
    shown = metadata(result, "eurusd/raw_prices")
    assert shown["provider"] == "ecb-live"
    assert shown["rows_added"] == 1
    assert set(platform.lake.read("sources", "eurusd")["provider"]) == {"ecb-snapshot", "ecb-live"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (LOGIN_PAGE, "an HTML page titled 'Sign in to WiFi'"),
        (b"PK\x03\x04 cut off", "a damaged or truncated zip"),
    ],
    ids=["a login page", "a truncated zip"],
)
def test_a_wrong_answer_means_a_stand_in_and_a_warning(
    platform: Platform, rates: pd.DataFrame, server: EcbServer, answer: bytes, said: str
) -> None:
    platform.arrive(rates, DAY)
    server.script("/hist.zip", ok(answer))
    result = platform.ingest("2018")
    assert result.success, failures(result)
    assert list(failed_checks(result)) == ["live_source"]
    assert said in failed_checks(result)["live_source"]
    assert metadata(result, "eurusd/raw_prices")["rows_added"] == 1


def test_without_a_fallback_the_run_fails_and_the_tables_are_as_they_were(
    platform: Platform, rates: pd.DataFrame, server: EcbServer
) -> None:
    source = platform.feeds[0].source.model_copy(update={"fallback": False})
    platform.feeds[0] = platform.feeds[0].model_copy(update={"source": source})
    platform.reload()
    platform.arrive(rates, DAY)
    server.script("/hist.zip", ok(LOGIN_PAGE))
    before = platform.versions()
    result = platform.ingest("2018")
    assert not result.success
    assert "found an HTML page titled 'Sign in to WiFi'" in failures(result)
    assert "What to do:" in failures(result)
    assert platform.versions() == before
