"""Of hourly forecasts each hour is served as itself, in every answer that reads a table."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fx_assets.bundles.bundle import Bundle, Golden, load, publish, store_bundle
from fx_assets.evaluation import boosted
from fx_assets.evaluation.losses import loss_for
from fx_assets.features import labelled_frame
from fx_assets.lake import Lake
from fx_assets.lake.location import Location
from fx_assets.lake.reader import Reader
from fx_assets.models.onnx_predict import OnnxModel
from fx_assets.testing.lakes import hourly_lake
from fx_assets.testing.lakes.hourly_lake import FIRST, LAST, LATE, SPECS
from fx_assets.testing.lakes.samples import linear_graph
from fx_assets.testing.lakes.server_process import serving, until
from serving.client import tables
from serving.queries.history import price_page
from serving.queries.windows import Window
from serving.state.champions import Champion

KINDS = sorted(SPECS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hourly") / "lake"
    hourly_lake.make(root)
    return root


@pytest.fixture(scope="module")
def api(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(root, tmp_path_factory.mktemp("server")) as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        yield running.client


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def get(api: httpx.Client, kind: str, path: str, **parameters: Any) -> Any:
    answer = api.get(f"/v1/forecasts/hourly_{kind}/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def times(rows: list[dict[str, Any]]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([pd.Timestamp(row["event_time"]) for row in rows])


def test_every_hour_has_its_own_outcome_and_a_revised_truth_as_it_is_known_now(
    api: httpx.Client, root: Path, kind: str
) -> None:
    rows = get(api, kind, "history")["rows"]
    hours = times(rows)
    assert list(hours) == list(pd.date_range(FIRST, LAST, freq="h")[::-1])
    assert rows[0]["outcome"] is None
    true = hourly_lake.truth(kind)[hours[1:]].to_numpy()
    said = np.array([row["outcome"] for row in rows[1:]])
    np.testing.assert_allclose(said, true, rtol=1e-9)
    assert len(set(said)) == len(said)
    outcomes = Lake(str(root)).read("outcomes", f"hourly_{kind}")
    assert len(outcomes) > outcomes["event_time"].nunique() == len(said)

    loss = loss_for(kind)  # type: ignore[arg-type]
    for name, against in (("loss", "prediction"), ("baseline_loss", "baseline")):
        expected = loss(true, np.array([row[against] for row in rows[1:]]))
        np.testing.assert_allclose([row[name] for row in rows[1:]], expected, rtol=1e-9)
    inside = [row["lower"] <= row["outcome"] <= row["upper"] for row in rows[1:]]
    assert [row["inside_interval"] for row in rows[1:]] == inside
    assert 0 < sum(inside) < len(inside)


def test_live_and_late_hours_are_told_apart(api: httpx.Client, kind: str) -> None:
    late, live = (get(api, kind, "history", mode=mode)["rows"] for mode in ("late", "live"))
    assert list(times(late)) == list(pd.date_range(FIRST, periods=LATE, freq="h")[::-1])
    assert times(live).min() == FIRST + pd.Timedelta(LATE, "h")


def test_pages_and_files_of_hours_are_whole(api: httpx.Client, kind: str) -> None:
    whole = get(api, kind, "history")["rows"]
    path, rows = f"/v1/forecasts/hourly_{kind}/history?limit=7", []
    while path:
        page = api.get(path).json()
        rows += page["rows"]
        path = page["next"]
    assert rows == whole
    address = f"/v1/forecasts/hourly_{kind}/history"
    text = api.get(address, params={"format": "csv"}).text
    assert [row["event_time"] for row in csv.DictReader(io.StringIO(text))] == [
        row["event_time"] for row in whole
    ]
    file = pq.read_table(
        io.BytesIO(api.get(address, params={"format": "parquet"}).content)
    ).to_pandas()
    assert list(file["event_time"]) == list(times(whole))


def test_performance_counts_each_live_hour_once_and_no_late_one(
    api: httpx.Client, kind: str
) -> None:
    found = get(api, kind, "performance")
    live = [r for r in get(api, kind, "history", mode="live")["rows"] if r["outcome"] is not None]
    assert found["live_rows"] == found["coverage"]["live_rows"] == len(live) == 38
    assert found["coverage"]["live"] == pytest.approx(np.mean([r["inside_interval"] for r in live]))
    loss = found["live"][0]
    assert loss["rows"] == len(live)
    assert loss["value"] == pytest.approx(np.mean([row["loss"] for row in live]))
    assert loss["baseline"] == pytest.approx(np.mean([row["baseline_loss"] for row in live]))


def test_a_backtest_row_that_was_computed_again_counts_once_as_it_is_now(
    api: httpx.Client, kind: str
) -> None:
    rows = get(api, kind, "history", mode="backtest", limit=10_000)["rows"]
    hours = times(rows)
    assert hours.is_unique
    assert hours.is_monotonic_decreasing
    share = [row["prediction"] / row["outcome"] for row in rows if row["outcome"]]
    assert share[0] == pytest.approx(0.5)
    assert share[-1] == pytest.approx(0.9)
    found = get(api, kind, "performance", window=60)
    points = times(found["rolling"])
    assert points[-1] == hours[0]
    assert set(np.diff(points)) == {np.timedelta64(21, "h")}


def test_the_newest_forecast_is_of_the_newest_hour(api: httpx.Client, kind: str) -> None:
    latest = get(api, kind, "latest")
    assert pd.Timestamp(latest["data"]["event_time"]) == LAST
    assert pd.Timestamp(latest["target_time"]) == LAST + pd.Timedelta(1, "h")
    assert latest["mode"] == "live"
    then = get(api, kind, "issued", date="2026-10-30", hour=3)
    assert pd.Timestamp(then["data"]["event_time"]) == pd.Timestamp("2026-10-30T03:00Z")
    assert pd.Timestamp(then["target_time"]) == pd.Timestamp("2026-10-30T04:00Z")
    assert then["champion"]["version"] == 1


def test_prices_and_features_are_joined_by_the_hour(api: httpx.Client, kind: str) -> None:
    rows = get(api, kind, "prices", limit=48)["rows"]
    assert times(rows)[0] == LAST
    frame = hourly_lake.revised(hourly_lake.bars()).set_index("event_time")
    moved = np.log(frame["close"]).diff()
    for row in rows:
        at = pd.Timestamp(row["event_time"])
        assert row["close"] == frame["close"][at]
        assert row["return_1"] == pytest.approx(moved[at])


def test_the_client_prints_hours_of_hourly_forecasts_and_days_of_daily_ones(
    api: httpx.Client,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    latest = get(api, kind, "latest")
    tables.show("latest", [latest])
    said = capsys.readouterr().out
    assert "2026-10-30 19:00 UTC" in said
    assert "2026-10-30 18:00 UTC" in said
    tables.show("latest", [latest | {"bars_a_year": 252}])
    assert "19:00" not in capsys.readouterr().out
    tables.show("history", {"rows": get(api, kind, "history", limit=2)["rows"]})
    said = capsys.readouterr().out
    assert "2026-10-30 17:00" in said
    assert "2026-10-30 18:00" in said


def test_status_and_metrics_are_of_the_newest_hour(api: httpx.Client, kind: str) -> None:
    status = get(api, kind, "status")
    assert pd.Timestamp(status["data"]["event_time"]) == LAST
    assert status["data"]["missing_bars"] == 0
    lines = api.get("/metrics").text.splitlines()
    missing = [x for x in lines if x.startswith(f'fx_missing_bars{{forecast="hourly_{kind}"}}')]
    assert missing[0].endswith(" 0.0")


def test_features_of_a_lake_that_holds_them_once_a_forecast_are_served(
    root: Path, tmp_path: Path
) -> None:
    lake, asked = Lake(str(root)), Window(None, None, None, 48)
    manifest = load(lake, "hourly_return").manifest
    shared = price_page(Reader(Location(str(root))), manifest, True, asked, "json")
    before = tmp_path / "lake"
    shutil.copytree(root, before)
    here, there = manifest.features_names
    (before / "features" / here).rename(before / "features" / there)
    assert price_page(Reader(Location(str(before))), manifest, True, asked, "json") == shared
    assert json.loads(shared.content)[0]["return_1"] is not None


def test_a_bundle_that_names_columns_as_0_1_did_is_served_like_one_of_today(
    tmp_path: Path,
) -> None:
    frame = labelled_frame(hourly_lake.bars(), SPECS["return"], hourly_lake.FEED.market)
    onnx, rows = linear_graph([0.5], 0.001), np.array([[0.001], [0.002]])
    golden = Golden.of(rows, OnnxModel(onnx).predict(rows))
    said = []
    for column in ("volatility_24h", "realised_volatility_24h"):
        names = {"columns": (column,), "input_names": (column,), "input_ranges": {}}
        facts = hourly_lake.bundle("return").facts.model_copy(update=names)
        lake = Lake(str(tmp_path / column))
        store_bundle(lake, Bundle(facts, onnx, golden))
        champion = Champion(load(lake, facts.forecast, 1))
        made = champion.predictor.newest(frame)
        assert made.inputs[0, 0] == frame["realised_volatility_24h"].iloc[-1]
        said.append((made.prediction, made.lower, made.upper, champion.bars_needed))
    assert said[0] == said[1]
    assert said[0][-1] > 24


def test_a_stated_distribution_is_served_with_its_probabilities(
    api: httpx.Client, kind: str
) -> None:
    latest = get(api, kind, "latest")
    levels, values = zip(*((q["level"], q["value"]) for q in latest["quantiles"]), strict=True)
    assert levels == hourly_lake.LEVELS
    assert list(values) == sorted(set(values))
    assert latest["below"] is None
    for level, value in zip(levels, values, strict=True):
        below = get(api, kind, "latest", below=value)["below"]
        assert below == {"value": value, "probability": pytest.approx(level, abs=1e-9)}
    then = get(api, kind, "issued", date="2026-10-30", hour=12, below=0.0)
    assert 0 <= then["below"]["probability"] <= 0.5
    calibration = get(api, kind, "performance")["calibration"]
    assert calibration["rows"] == hourly_lake.MEASURED.n
    assert calibration["histogram"] == list(hourly_lake.MEASURED.histogram)
    titles = get(api, kind, "model")["metric_titles"]
    assert titles["crps"]["title"] == "CRPS"


def test_history_has_the_quantiles_of_each_row_in_every_form(api: httpx.Client, kind: str) -> None:
    rows = get(api, kind, "history")["rows"]
    assert rows[0]["quantiles"] == get(api, kind, "latest")["quantiles"]
    assert all([q["level"] for q in row["quantiles"]] == [*hourly_lake.LEVELS] for row in rows)
    address = f"/v1/forecasts/hourly_{kind}/history"
    text = api.get(address, params={"format": "csv"}).text
    (first, *_) = csv.DictReader(io.StringIO(text))
    assert json.loads(first["quantiles"]) == rows[0]["quantiles"]
    content = api.get(address, params={"format": "parquet"}).content
    assert pq.read_table(io.BytesIO(content))["quantiles"].to_pylist()[0] == rows[0]["quantiles"]
    walked = get(api, kind, "history", mode="backtest", limit=200)["rows"]
    known = [row["quantiles"] for row in walked if row["quantiles"]]
    assert len(known) == 100
    assert walked[0]["quantiles"] == [
        {"level": level, "value": pytest.approx(walked[0]["prediction"] + level - 0.5)}
        for level in hourly_lake.LEVELS
    ]


def test_bars_and_features_of_the_caller_get_the_quantiles_that_were_issued(
    api: httpx.Client, kind: str
) -> None:
    issued = get(api, kind, "latest")["quantiles"]
    row = {"return_1": 0.001}
    answer = api.post(f"/v1/forecasts/hourly_{kind}/predict/features", json={"features": row})
    assert answer.status_code == 200, answer.text
    found = answer.json()["quantiles"]
    for mine, theirs in zip(found, issued, strict=True):
        assert mine["value"] == pytest.approx(theirs["value"], rel=1e-9)


@pytest.mark.slow
def test_quantiles_that_depend_on_features_are_served_as_they_were_fitted(
    root: Path, tmp_path: Path
) -> None:
    columns = ("return_1", "realised_volatility_24h")
    bars = hourly_lake.revised(hourly_lake.bars())
    frame = labelled_frame(bars, SPECS["volatility"], hourly_lake.FEED.market)
    known = frame.dropna(subset=[*columns, "target"])
    features, bias = known[[*columns]].to_numpy(), hourly_lake.BIAS["volatility"]
    z = np.log(np.maximum(known["target"].to_numpy(), 1e-10) / bias)
    learned = boosted.learn("quantile_xgboost", features, z, hourly_lake.LEVELS)
    made = hourly_lake.bundle("volatility")
    states = {"family": "quantile_xgboost", "boosted": learned.kept(columns, features)}
    distribution = hourly_lake.distribution("volatility").model_copy(update=states)
    facts = made.facts.model_copy(update={"version": 2, "distribution": distribution})
    lake = tmp_path / "lake"
    shutil.copytree(root, lake)
    publish(Lake(str(lake)), Bundle(facts, made.onnx, made.golden))
    newest = frame[[*columns]].to_numpy()[-1:]
    (shape,) = learned.shapes(newest)
    address = f"/v1/forecasts/{SPECS['volatility'].name}/predict"
    with serving(lake, tmp_path / "server") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        given = bars[["open", "high", "low", "close"]].assign(
            event_time=bars["event_time"].map(pd.Timestamp.isoformat)
        )
        answer = running.client.post(f"{address}/bars", json={"bars": given.to_dict("records")})
        assert answer.status_code == 200, answer.text
        told = [quantile["value"] for quantile in answer.json()["quantiles"]]
        np.testing.assert_allclose(
            told, bias * np.exp(shape.quantile(hourly_lake.LEVELS)), rtol=1e-5
        )
        row = {"features": {"return_1": 0.001}}
        until(lambda: running.client.post(f"{address}/features", json=row).status_code == 200)
        answer = running.client.post(f"{address}/features", json=row)
        assert answer.json()["quantiles"] is None, "not all that they depend on was given"
