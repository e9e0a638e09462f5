"""A bar is named by its market's day on both sides, wherever in the world that day ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from fx_assets.bundles.bundle import Bundle, Golden, point_to, store_bundle
from fx_assets.calendars import Calendar
from fx_assets.evaluation.decision import ledger_table
from fx_assets.lake import Lake
from fx_assets.presentation.wording import latest_row, target_text
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.samples import linear_graph
from fx_assets.testing.lakes.server_process import serving, until
from serving.client import tables

MARKETS: dict[str, dict[str, Any]] = {
    "around_the_clock": {"calendar": "24x7"},
    "week_to_midnight": {"calendar": "24x5", "day_close": "00:00 UTC"},
    "week_to_new_york": {"calendar": "24x5"},
    "week_to_tokyo": {"calendar": "24x5", "day_close": "08:00 Asia/Tokyo"},
    "london_after_midnight": {"calendar": "24x7", "day_close": "00:30 Europe/London"},
}
LAST = {"around_the_clock": date(2026, 10, 30), "london_after_midnight": date(2026, 10, 24)}
"""A Friday; for London the day before summer time ends. Else a Thursday, for a Friday."""
BARS = 60


def feed(name: str) -> FeedSpec:
    source = {"kind": "ccxt", "exchange": "kraken", "symbol": "BTC/USD"}
    return FeedSpec.model_validate({"name": f"feed_{name}", "source": source, **MARKETS[name]})


def spec(name: str) -> ForecastSpec:
    return ForecastSpec.model_validate(
        {
            "name": name,
            "feed": f"feed_{name}",
            "target": {"kind": "direction"},
            "features": "fx_close",
            "candidates": ["logistic_regression"],
            "live_from": "2026-10-01",
        }
    )


def days(name: str) -> tuple[date, date]:
    """The day of the newest bar, and the next of the market."""
    last = LAST.get(name, date(2026, 10, 29))
    return last, feed(name).market.following(last, 1)


def fill(lake: Lake, name: str) -> None:
    market = feed(name).market
    last, _ = days(name)
    closes = [market.event_time(d) for d in market.open_days(last - timedelta(days=120), last)]
    closes = closes[-BARS:]
    close = (1.1 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.004, BARS)))).round(4)
    known = pd.DatetimeIndex([market.publication(at) for at in closes]).as_unit("us")
    bars = pd.DataFrame(
        {
            "event_time": pd.DatetimeIndex(closes).as_unit("us"),
            "available_at": known,
            **dict.fromkeys(("open", "high", "low", "volume", "market_cap"), np.nan),
            "close": close,
            "source": "kraken",
            "ingested_at": known,
            "payload": "0" * 64,
        }
    )
    for table in ("raw_prices", "prices"):
        lake.append(table, f"feed_{name}", bars)
    before = closes[-3]
    facts = small_lake.bundle(1).facts.model_copy(
        update={
            "forecast": name,
            "feed": f"feed_{name}",
            "calendar": market.key,
            "instrument": feed(name).instrument,
            "series": series_of(spec(name), feed(name)).id,
            "columns": ("return_1",),
            "input_names": ("return_1",),
            "trained_through": closes[-4],
            "label_end": before,
            "data_as_of": before,
        }
    )
    golden = Golden.of(np.array([[0.001], [-0.002]]), np.full(2, 0.5))
    store_bundle(lake, Bundle(facts, linear_graph([0.0], 0.5), golden))
    point_to(lake, name, 1)
    made = small_lake.decision(1).model_copy(
        update={
            "forecast": name, "series": facts.series, "decided_at": before,
            "published_at": before, "data_as_of": before, "label_end": before,
        }
    )  # fmt: skip
    lake.append("decisions", name, ledger_table([made]))
    now = known[-1].to_pydatetime() + timedelta(minutes=1)
    issued = issue_days([last], SeriesTables(lake, spec(name), feed(name)), now)
    lake.append("predictions", name, issued.new_rows)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(str(tmp_path_factory.mktemp("days") / "lake"))
    for name in MARKETS:
        fill(lake, name)
    return lake


@pytest.fixture(scope="module")
def api(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("server")
    with serving(lake.root, folder, now="2026-10-31T00:10:00+00:00") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        yield running.client


@pytest.mark.parametrize("name", MARKETS)
def test_the_terminal_names_the_markets_days(lake: Lake, name: str) -> None:
    made_of, about = days(name)
    rows = lake.read("predictions", name)
    _, _, as_of, target, *_ = latest_row(rows, spec(name))
    assert (as_of, target.partition(",")[0]) == (str(made_of), str(about))
    row = rows.iloc[-1].to_dict()
    if name != "london_after_midnight":
        assert target_text({k: v for k, v in row.items() if k != "target_day"}) == str(about)


@pytest.mark.parametrize("name", MARKETS)
def test_every_answer_names_the_markets_days(
    api: httpx.Client, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made_of, about = map(str, days(name))
    path = f"/v1/forecasts/{name}"
    latest = api.get(f"{path}/latest").json()
    assert (latest["data"]["day"], latest["target_day"]) == (made_of, about)
    assert f"as of {made_of}, for {about}:" in latest["sentence"]
    history = api.get(f"{path}/history").json()
    assert [(r["day"], r["target_day"]) for r in history["rows"]] == [(made_of, about)]
    price = api.get(f"{path}/prices").json()["rows"][0]
    assert price["day"] == made_of
    market: Calendar = feed(name).market
    told = api.get(f"{path}/model").json()
    event_time = pd.Timestamp(told["training"]["trained_through"]).to_pydatetime()
    assert told["training"]["trained_through_day"] == str(market.bar_day(event_time))
    known = pd.Timestamp(told["history"][0]["data_as_of"]).to_pydatetime()
    assert told["history"][0]["data_day"] == str(market.bar_day(known))
    bars = [
        {"day": row["day"], "close": row["close"]}
        for row in api.get(f"{path}/prices?limit=60").json()["rows"]
    ]
    supplied = api.post(f"{path}/predict/bars", json={"bars": bars}).json()
    assert (supplied["data"]["day"], supplied["target_day"]) == (made_of, about)

    tables.show("latest", [latest])
    tables.show("history", history)
    said = capsys.readouterr().out
    assert made_of in said
    assert about in said
    said = re.sub(r"good until \S+", "", said)  # an instant with its time, not a day
    dates = {str(datetime.fromisoformat(latest[k]).date()) for k in ("target_time",)}
    assert not [day for day in dates - {made_of, about} if day in said]


@pytest.mark.slow
def test_a_friday_is_never_called_saturday(api: httpx.Client) -> None:
    for name in ("week_to_midnight", "week_to_new_york", "week_to_tokyo"):
        latest = api.get(f"/v1/forecasts/{name}/latest").json()
        assert date.fromisoformat(latest["target_day"]).strftime("%A") == "Friday"
