"""What Dagster loads: complete, described, and light."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from fx_assets.components.declared import declared
from fx_assets.definitions import defs

HEAVY = {
    *("mlflow", "evidently", "sklearn", "xgboost", "arch", "statsmodels"),
    *("matplotlib", "onnxruntime", "dagster_mlflow", "skl2onnx", "onnxmltools"),
    *("ccxt", "lightgbm", "optuna", "torch"),
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


def test_all_definitions_load(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    script = (
        "import sys, json; from fx_assets.definitions import defs; defs();"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(answer.stdout.splitlines()[-1]))
    assert "dagster" in loaded
    assert loaded & HEAVY == set()


def test_every_asset_has_a_description_owners_kinds_and_a_group(
    definitions: dg.Definitions,
) -> None:
    specs = definitions.resolve_all_asset_specs()
    groups = {*declared().feeds, *declared().forecasts, *declared().universes}
    for spec in specs:
        assert spec.description, spec.key
        assert len(spec.description) > 20, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name in groups, spec.key
        assert spec.key.path[0] == spec.group_name


def test_every_feature_has_a_meaning_that_the_ui_shows(definitions: dg.Definitions) -> None:
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    schema = specs["ecb_eurusd/features/fx_close"].metadata["dagster/column_schema"]
    assert len(schema.columns) >= 35
    assert all(column.description for column in schema.columns)


def test_columns_are_made_of_columns_of_assets_that_exist(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    for spec in specs.values():
        lineage = spec.metadata.get("dagster/column_lineage")
        for parts in lineage.deps_by_column.values() if lineage else ():
            assert {part.asset_key for part in parts} <= specs.keys(), spec.key


def test_forecasts_on_a_feed_share_the_asset_of_a_feature_set(definitions: dg.Definitions) -> None:
    graph, shared = (
        definitions.resolve_asset_graph(),
        dg.AssetKey(["ecb_eurusd", "features", "fx_close"]),
    )
    readers = {key.path[0] for key in graph.get(shared).child_keys}
    assert readers == {
        name for name, spec in declared().forecasts.items() if spec.feed == "ecb_eurusd"
    }
    names = {key.to_user_string() for key in graph.get_all_asset_keys() if "features" in key.path}
    sets = {(spec.feed, spec.features) for spec in declared().forecasts.values()}
    assert names == {f"{feed}/features/{name}" for feed, name in sets}


def test_each_declaration_has_its_jobs_schedules_and_sensors(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    jobs = set(repository.job_names)
    schedules = {schedule.name for schedule in repository.schedule_defs}
    sensors = {sensor.name for sensor in repository.sensor_defs}
    for feed in declared().feeds:
        assert {f"{feed}_ingest", f"{feed}_profile"} <= jobs & schedules
    for forecast in declared().forecasts:
        assert {f"{forecast}_retrain", f"{forecast}_predict"} <= jobs
        assert f"{forecast}_retrain" in schedules
        assert f"{forecast}_follows_prices" in sensors
    assert "compaction" in jobs & schedules


def test_schedules_and_sensors_say_what_they_do(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    for automation in (*repository.schedule_defs, *repository.sensor_defs):
        assert automation.description, automation.name


def test_every_blocking_check_of_the_gate_is_declared(definitions: dg.Definitions) -> None:
    from fx_assets.quality import CHECKS

    checks = {
        key.name: definitions.resolve_asset_graph().get(key).blocking
        for key in definitions.resolve_asset_graph().asset_check_keys
        if key.asset_key.path == ["ecb_eurusd", "raw_prices"]
    }
    assert {name for name, blocking in checks.items() if blocking} == set(CHECKS)
    assert checks["live_source"] is False


def test_every_asset_links_to_its_code_and_to_its_declaration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FX_ASSETS_SOURCE_URL", "https://git.example/desk/blob/main")
    specs = {spec.key: spec for spec in defs().resolve_all_asset_specs()}
    for key, spec in specs.items():
        links = spec.metadata["dagster/code_references"].code_references
        code, *_, declaration = [getattr(link, "url", "") for link in links]
        assert re.fullmatch(
            r"https://git\.example/desk/blob/main/fx_assets/assets/\w+\.py#L\d+", code
        ), key
        assert declaration.endswith("/defs.yaml#L1"), key
    ridge = specs[dg.AssetKey(["eurusd_return", "models", "ridge"])]
    links = ridge.metadata["dagster/code_references"].code_references
    assert links[1].url == "https://git.example/desk/blob/main/fx_assets/models/ridge.py"


def test_links_lead_to_files_of_this_machine_where_no_address_is_set(
    definitions: dg.Definitions,
) -> None:
    for spec in definitions.resolve_all_asset_specs():
        for link in spec.metadata["dagster/code_references"].code_references:
            lines = Path(link.file_path).read_text().splitlines()
            assert link.line_number is None or lines[link.line_number - 1].strip()
