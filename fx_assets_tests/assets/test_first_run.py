"""The first evening of a platform: from a published file to a prediction, and its provenance."""

from __future__ import annotations

import json

import dagster as dg
import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.calendars import calendar
from fx_assets.evaluation.folds import folds
from fx_assets.settings import Settings
from fx_assets.tables import CATALOGUE, FEATURES
from fx_assets_tests.assets.conftest import TODAY, Started
from fx_assets_tests.platform import failed_checks, failures, metadata

TARGET = calendar("target")
FEATURES_KEY = "eurusd/features/fx_close"
pytestmark = pytest.mark.usefixtures("first_evening")


def test_the_first_evening_succeeds_and_every_table_exists(started: Started) -> None:
    for result in (started.ingest, started.retrain, started.predict):
        assert result.success, failures(result)
    assert set(started.platform.versions()) == {
        *(f"{t}/eurusd" for t in ("raw_prices", "prices", "quality", "sources", "readings")),
        "features/eurusd.fx_close",
        *(f"{table}/direction" for table in ("series", "splits", "train_set", "test_set")),
        *(f"{table}/direction" for table in ("backtest", "scores", "decisions")),
        *(f"{table}/direction" for table in ("predictions", "shadow_predictions", "outcomes")),
    }


def test_what_is_stored_is_what_the_catalogue_says(first_evening: Started) -> None:
    lake = first_evening.platform.lake
    names = {"feed": "eurusd", "forecast": "direction"}
    for table in CATALOGUE:
        name = names.get(table.owner)
        if table is FEATURES:
            name = "eurusd.fx_close"
        if name is None or not lake.exists(table.name, name):
            continue
        rows = lake.read(table.name, name)
        assert set(table.names) <= set(rows.columns), table.name
        assert table.more or set(rows.columns) == set(table.names), table.name
        assert not rows.duplicated(list(table.key)).any(), table.name


def test_a_fallback_is_said_in_a_warning_in_the_tables_and_in_the_metadata(
    started: Started,
) -> None:
    (check,) = failed_checks(started.ingest).items()
    assert check[0] == "live_source"
    assert "ecb-snapshot" in check[1]
    assert f"last date {TODAY}" in check[1]
    shown = metadata(started.ingest, "eurusd/raw_prices")
    (row,) = started.platform.lake.read("sources", "eurusd").to_dict("records")
    assert shown["provider"] == row["provider"] == "ecb-snapshot"
    assert shown["payload_sha256"] == row["sha256"]
    assert shown["payload_last_date"] == str(row["last_date"])[:10] == TODAY
    assert "no connection" in row["fallback_reason"]
    raw = started.platform.lake.read("raw_prices", "eurusd")
    assert set(raw["payload"]) == {row["sha256"]}


def test_the_first_champion_is_the_baseline_and_the_first_look_is_recorded(
    started: Started,
) -> None:
    ledger = started.platform.lake.read("decisions", "direction").sort_values("sequence")
    assert list(ledger["verdict"]) == ["bootstrap", "keep"]
    assert list(ledger["looked"]) == [False, True]
    assert set(ledger["champion"]) == {"base_rate"}
    assert (ledger["trials"] == 2).all()
    assert "Started with base_rate" in ledger["sentence"].iloc[0]
    shown = metadata(started.retrain, "direction/champion")
    assert all(sentence in shown["decision"] for sentence in ledger["sentence"])
    assert "persistence" in shown["figures"]


def test_the_champion_is_published_as_a_bundle_that_passes_its_own_checks(
    started: Started,
) -> None:
    bundle = load(started.platform.lake, "direction")
    assert bundle.manifest.version == 1
    assert bundle.manifest.candidate == "base_rate"
    assert bundle.manifest.dagster_run_id == started.retrain.run_id


def test_the_newest_bar_has_a_prediction_with_its_provenance(started: Started) -> None:
    ((day, row),) = started.platform.predictions().iterrows()
    assert day == TODAY
    assert row["event_time"] == TARGET.event_time(pd.Timestamp(TODAY).date())
    assert row["decision_time"] == TARGET.available_at(pd.Timestamp(TODAY).date())
    assert row["target_time"] == TARGET.event_time(pd.Timestamp("2018-03-29").date())
    assert row["mode"] == "live"
    assert (row["champion"], row["champion_version"]) == ("base_rate", "v1")
    assert not row["skill_demonstrated"]
    assert row["lower"] < row["prediction"] == row["baseline"] < row["upper"]
    versions = json.loads(row["table_versions"])
    assert versions["raw_prices/eurusd"] == 0
    assert row["code_version"]
    assert row["recipe"] == load(started.platform.lake, "direction").manifest.recipe


def test_every_issued_row_uses_only_what_was_known_at_its_decision_time(started: Started) -> None:
    rows = started.platform.predictions()
    raw = started.platform.lake.read("raw_prices", "eurusd").set_index("event_time")
    assert (raw.loc[rows["event_time"], "available_at"].array <= rows["decision_time"].array).all()
    assert (rows["champion_label_end"] <= rows["decision_time"]).all()
    assert (rows["target_time"] > rows["decision_time"]).all()
    assert (rows["event_time"] <= rows["decision_time"]).all()


def test_no_backtest_row_was_predicted_by_a_fit_that_knew_its_outcome(started: Started) -> None:
    lake = started.platform.lake
    rows = lake.read("backtest", "direction")
    assert set(rows["candidate"]) == {"base_rate", "persistence", "logistic_regression"}
    assert (rows["target_time"] > rows["event_time"]).all()
    assert (rows["label_available_at"] > rows["target_time"]).all()
    frame = started.platform.frame()
    for fold in folds(frame, started.platform.forecasts[0]):
        train, test = frame.iloc[fold.train], frame.iloc[fold.test]
        assert train["label_available_at"].max() <= test["available_at"].min()
    counts = rows.groupby("candidate")["row_key"].agg(["size", "nunique"])
    assert (counts["size"] == counts["nunique"]).all()
    assert counts["size"].nunique() == 1, "candidates were not judged on identical rows"


def test_bars_are_never_available_before_they_close(started: Started) -> None:
    raw = started.platform.lake.read("raw_prices", "eurusd")
    assert (raw["available_at"] > raw["event_time"]).all()
    assert (raw["ingested_at"] >= raw["available_at"]).all()


def test_the_train_set_ends_a_purge_before_the_test_set(started: Started) -> None:
    lake = started.platform.lake
    train, test = lake.read("train_set", "direction"), lake.read("test_set", "direction")
    assert train["label_available_at"].max() <= test["available_at"].min()
    assert train["target"].notna().all()


def test_the_newest_row_without_a_label_is_kept_in_the_features(started: Started) -> None:
    frame = started.platform.frame()
    assert frame["target"].isna().sum() == 1
    assert pd.isna(frame["target"].iloc[-1])
    shown = metadata(started.retrain, FEATURES_KEY)
    assert shown["last_bar"].startswith(TODAY)


def test_dagster_and_mlflow_name_each_other(started: Started) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(Settings().mlflow_uri)
    parents = set()
    for candidate in ("base_rate", "persistence", "logistic_regression"):
        shown = metadata(started.retrain, f"direction/models/{candidate}")
        run = client.get_run(shown["mlflow_run"])
        assert run.data.tags["dagster_run_id"] == started.retrain.run_id
        assert shown["mlflow_run"] in shown["mlflow_page"]
        assert "brier" in run.data.metrics
        parents.add(run.data.tags["mlflow.parentRunId"])
    (parent,) = map(client.get_run, parents)
    assert parent.data.tags["dagster_run_id"] == started.retrain.run_id
    assert parent.info.status == "FINISHED"


def test_mlflow_names_the_champion_and_the_challenger(started: Started) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(Settings().mlflow_uri)
    decision = started.platform.lake.read("decisions", "direction").iloc[-1]
    champion = client.get_model_version_by_alias("direction", "champion")
    challenger = client.get_model_version_by_alias("direction", "challenger")
    assert champion.tags["candidate"] == decision["champion"] == "base_rate"
    assert challenger.tags["candidate"] == decision["challenger"]
    shown = metadata(started.retrain, "direction/models/base_rate")
    assert champion.run_id == shown["mlflow_run"]


def test_every_commit_names_the_dagster_run_that_made_it(started: Started) -> None:
    lake = started.platform.lake
    runs = {
        "raw_prices/eurusd": started.ingest,
        "features/eurusd.fx_close": started.retrain,
        "backtest/direction": started.retrain,
        "predictions/direction": started.predict,
    }
    for table, result in runs.items():
        commit = lake.history(*table.split("/"))[0]
        assert commit.run_id == result.run_id, table


def test_a_person_sees_what_columns_mean_and_what_they_are_made_of(started: Started) -> None:
    results = {
        FEATURES_KEY: started.retrain, "direction/train_set": started.retrain,
        "direction/predictions": started.predict, "direction/outcomes": started.predict,
    }  # fmt: skip
    made_of = {}
    for asset, result in results.items():
        found, name = (
            metadata(result, asset)["dagster/column_lineage"].deps_by_column,
            asset.split("/")[1],
        )
        for column, parts in found.items():
            key = f"{name}.{column}"
            made_of[key] = {f"{p.asset_key.to_user_string()}.{p.column_name}" for p in parts}
    assert made_of["features.rsi_14"] == {"eurusd/prices.close"}
    assert made_of["train_set.rsi_14"] == {f"{FEATURES_KEY}.rsi_14"}
    assert made_of["train_set.target"] == {f"{FEATURES_KEY}.close"}
    assert made_of["outcomes.prediction"] == {"direction/predictions.prediction"}
    assert made_of["outcomes.loss"] == {"direction/predictions.prediction", "eurusd/prices.close"}
    assets = started.platform.definitions.resolve_asset_graph()
    for key in assets.get_all_asset_keys() - {dg.AssetKey(["eurusd", "profile"])}:
        schema = assets.get(key).metadata["dagster/column_schema"].columns
        assert all(column.description for column in schema), key


def test_a_person_sees_rows_the_last_bar_a_plot_and_scores(started: Started) -> None:
    prices = metadata(started.ingest, "eurusd/prices")
    assert prices["last_bar"].startswith(TODAY)
    assert "data:image/svg+xml;base64," in prices["plot"]
    candidate = metadata(started.retrain, "direction/models/logistic_regression")
    assert "| brier |" in candidate["scores"]
    assert "data:image/svg+xml;base64," in candidate["cumulative_loss_difference"]
    assert candidate["fits"] == 3, "2016, 2017 and the begun year"
    latest = metadata(started.predict, "direction/predictions")["latest"]
    assert latest.startswith(f"EURUSD as of {TODAY}, for 2018-03-29: P(up)")
    assert "without claim to skill" in latest
    assert isinstance(started.predict, dg.ExecuteInProcessResult)
