"""The sensor sees stores that do not agree with the ledger, and the run that it asks for mends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import boto3
import dagster as dg
import pandas as pd
import pytest
from mlflow import MlflowClient

from fx_assets import clock
from fx_assets.bundles.bundle import champion_ref, load
from fx_assets.bundles.copies import damage
from fx_assets.lake import Lake
from fx_assets.resources import unopened_registry
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.stages.reconcile import differences, reconcile
from fx_assets.stages.rollback import roll_back
from fx_assets.testing import worlds
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.lake.conftest import s3, s3_endpoint
from fx_assets_tests.platform import Platform, failed_checks, failures, forecast_spec, rates_of

__all__ = ["s3", "s3_endpoint"]

POINTER = "bundles/direction/champion.json"
Damage = Callable[[Lake], None]


def away(lake: Lake, path: str) -> None:
    """Take a file of the lake away, wherever the lake is."""
    if not lake.is_remote:
        Path(lake.root, path).unlink()
        return
    bucket, _, prefix = lake.root.removeprefix("s3://").partition("/")
    boto3.client("s3").delete_object(Bucket=bucket, Key=f"{prefix}/{path}")


def flipped(lake: Lake, path: str) -> None:
    content = bytearray(lake.read_blob(path))
    content[len(content) // 2] ^= 1
    lake.write_blob(path, bytes(content))


def bundle(name: str) -> str:
    return f"bundles/direction/1/{name}"


def no_alias(_: Lake) -> None:
    MlflowClient(Settings().mlflow_uri).delete_registered_model_alias("direction", "champion")


DAMAGE: dict[str, tuple[Damage, str]] = {
    "pointer away": (lambda lake: away(lake, POINTER), "points at v1 again"),
    "pointer flipped": (lambda lake: flipped(lake, POINTER), "points at v1 again"),
    "graph flipped": (lambda lake: flipped(lake, bundle("model.onnx")), "model.onnx was damaged"),
    "graph away": (lambda lake: away(lake, bundle("model.onnx")), "model.onnx was damaged"),
    "manifest away": (lambda lake: away(lake, bundle("manifest.json")), "manifest.json was"),
    "golden flipped": (lambda lake: flipped(lake, bundle("golden.json")), "golden.json was"),
    "alias gone": (no_alias, "they are set to v1"),
}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        found.check_name: str(found.description) for found in result.get_asset_check_evaluations()
    }


def healthy(platform: Platform) -> None:
    lake = platform.lake
    assert champion_ref(lake, "direction").version == 1
    assert not damage(lake, "direction", 1)
    load(lake, "direction")
    client = MlflowClient(Settings().mlflow_uri)
    assert client.get_model_version_by_alias("direction", "champion").version
    assert platform.sensor().skip_message == "Every known bar of EURUSD has its prediction."


def asked(platform: Platform) -> dg.RunRequest:
    request = platform.sensor()
    assert isinstance(request, dg.RunRequest), request
    return request


def mended(platform: Platform, *damaged: str) -> None:
    for name in damaged:
        DAMAGE[name][0](platform.lake)
    request = asked(platform)
    assert request.job_name == "direction_predict"
    result = platform.run_requested(request)
    assert result.success, failures(result)
    for name in damaged:
        assert DAMAGE[name][1] in checks(result)["stores_agree"]
    assert "stores_agree" not in failed_checks(result)
    healthy(platform)


AT_ONCE = {"pointer away", "graph flipped", "alias gone"}
"""One damage of each store; CI looks at all."""


@pytest.mark.parametrize(
    "damaged",
    [name if name in AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in DAMAGE],
)
def test_what_is_damaged_is_asked_for_by_the_sensor_and_mended_by_its_run(
    platform: Platform, damaged: str
) -> None:
    healthy(platform)
    mended(platform, damaged)


def test_stores_are_not_compared_while_a_retrain_writes_one_after_the_other(
    platform: Platform,
) -> None:
    DAMAGE["pointer away"][0](platform.lake)
    retrain = platform.definitions.resolve_job_def("direction_retrain")
    under_way = platform.instance.create_run_for_job(retrain, status=dg.DagsterRunStatus.STARTED)
    said = platform.sensor()
    assert isinstance(said, dg.SkipReason)
    assert str(said.skip_message).startswith("Candidates are being judged")
    platform.instance.report_run_failed(under_way)
    assert asked(platform).job_name == "direction_predict"
    mended(platform)


@pytest.mark.slow
def test_on_s3_damage_of_all_stores_at_once_is_mended(
    new_folder: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
    rates: pd.DataFrame,
    s3: tuple[str, dict[str, str]],
) -> None:
    root, options = s3
    platform = Platform(
        new_folder(),
        monkeypatch,
        forecasts=[forecast_spec(candidates=["persistence"])],
        environment={
            "FX_ASSETS_LAKE": root,
            **options,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
    )
    platform.arrive(rates, TODAY)
    for run in (platform.ingest, platform.retrain, lambda: platform.predict(TODAY)):
        result = run()
        assert result.success, failures(result)
    healthy(platform)
    mended(platform, "pointer flipped", "graph away", "golden flipped", "alias gone")
    rolled_back_and_agreed(platform)


def rolled_back_and_agreed(platform: Platform) -> None:
    """A person's step back to v1, after a second version; its run finds nothing to mend."""
    day = str(platform.feeds[0].market.open_days(date.fromisoformat(TODAY), date(2019, 1, 1))[5])
    rates = rates_of(worlds.random_walk(1400, 1, start="2014-01-02"))
    platform.arrive(rates, day)
    for run in (platform.ingest, platform.retrain, lambda: platform.predict(day)):
        result = run()
        assert result.success, failures(result)
    lake, spec = platform.lake, platform.forecasts[0]
    assert champion_ref(lake, "direction").version == 2
    own = SeriesTables(lake, spec, platform.feeds[0])
    roll_back(own, 1, by="ada", reason="v2 stood on bad bars", now=clock.now())
    assert reconcile(own, unopened_registry()).left == []
    assert champion_ref(lake, "direction").version == 1
    assert not differences(own, unopened_registry())
    result = platform.predict(day)
    assert checks(result)["stores_agree"] == "as the ledger says"
    client = MlflowClient(Settings().mlflow_uri)
    alias = client.get_model_version_by_alias("direction", "champion")
    assert alias.tags["bundle"] == "1"
    again = own.ledger()[-1]
    assert (again.verdict, again.version) == ("rollback", 1)


@pytest.mark.slow
def test_the_same_damage_is_mended_again_and_what_cannot_be_is_asked_for_once_an_hour(
    platform: Platform,
) -> None:
    keys = []
    for hour in (18, 20):
        platform.travel(f"{TODAY}T{hour}:00:00+00:00")
        away(platform.lake, POINTER)
        keys.append(asked(platform).run_key)
        mended(platform)
    assert len(set(keys)) == 2

    lake = platform.lake
    away(lake, bundle("model.onnx"))
    for path in lake.list_blobs("candidates/direction"):
        if path.endswith(".onnx"):
            away(lake, path)
    request = asked(platform)
    result = platform.run_requested(request)
    said = failed_checks(result)["stores_agree"]
    assert "The champion's bundle bundles/direction/1 is damaged (model.onnx" in said
    assert "fx-assets run direction --retrain" in said
    assert asked(platform).run_key == request.run_key, "Dagster runs no key twice"
    platform.travel(f"{TODAY}T21:00:00+00:00")
    assert asked(platform).run_key != request.run_key
