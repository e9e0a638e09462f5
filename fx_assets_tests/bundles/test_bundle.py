from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.bundles.bundle import (
    Golden,
    champion_ref,
    load,
    point_to,
    publish,
    published_versions,
    store_bundle,
)
from fx_assets.errors import NoChampionError, RegistryError
from fx_assets.lake import Lake
from fx_assets.testing.lakes.samples import ROWS, WEIGHTS, Folder, champion
from fx_assets_tests.examples import examples

FORECAST = "eurusd_direction"
HERE = f"bundles/{FORECAST}"


def test_a_published_champion_loads_and_predicts_the_same() -> None:
    blobs = Folder()
    ref = publish(blobs, champion())
    loaded = load(blobs, FORECAST)
    assert loaded.ref == ref
    assert loaded.manifest.instrument == "EURUSD"
    assert loaded.manifest.decision == champion().facts.decision
    np.testing.assert_allclose(loaded.predict(ROWS), ROWS @ np.array(WEIGHTS) + 0.1, rtol=1e-12)


def test_the_lake_stores_bundles(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    publish(lake, champion(1))
    publish(lake, champion(2))
    assert load(lake, FORECAST).manifest.version == 2
    assert load(lake, FORECAST, version=1).manifest.version == 1
    assert published_versions(lake, FORECAST) == [1, 2]


def test_the_pointer_is_written_last_and_alone_replaced() -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    publish(blobs, champion(2))
    pointer = f"{HERE}/champion.json"
    assert blobs.writes[3] == blobs.writes[-1] == pointer
    assert [path for path in blobs.writes if blobs.writes.count(path) > 1] == [pointer] * 2


def test_a_stored_bundle_becomes_champion_only_when_it_is_pointed_to() -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    store_bundle(blobs, champion(2))
    assert load(blobs, FORECAST).manifest.version == 1
    assert load(blobs, FORECAST, version=2).manifest.version == 2
    moved = point_to(blobs, FORECAST, 2)
    assert champion_ref(blobs, FORECAST) == moved == load(blobs, FORECAST).ref


def test_the_pointer_moves_to_whole_versions_only() -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    store_bundle(blobs, champion(2))
    blobs.files[f"{HERE}/2/model.onnx"] = blobs.files[f"{HERE}/2/model.onnx"][:-1]
    for version, reason in ((2, "check of the model failed"), (3, "There is no file")):
        with pytest.raises(RegistryError, match=reason):
            point_to(blobs, FORECAST, version)
    assert load(blobs, FORECAST).manifest.version == 1


def test_nothing_published_yet_is_told_apart_from_a_damaged_bundle() -> None:
    with pytest.raises(NoChampionError, match=r"Materialize eurusd_direction/champion"):
        load(Folder(), FORECAST)


@pytest.mark.parametrize("step", ["model.onnx", "golden.json", "manifest.json", "champion.json"])
def test_a_publisher_killed_at_any_step_leaves_the_old_champion_and_can_try_again(
    step: str,
) -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    blobs.stop_at = step
    with pytest.raises(KeyboardInterrupt):
        publish(blobs, champion(2, [2.0, 0.0, 0.0]))
    assert load(blobs, FORECAST).manifest.version == 1
    blobs.stop_at = None
    publish(blobs, champion(2, [2.0, 0.0, 0.0]))
    assert load(blobs, FORECAST).manifest.version == 2


def test_publishing_the_same_content_again_changes_nothing() -> None:
    blobs = Folder()
    first = publish(blobs, champion())
    files = dict(blobs.files)
    assert publish(blobs, champion()) == first
    assert blobs.files == files


def test_publishing_an_earlier_version_again_moves_the_pointer_back() -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    publish(blobs, champion(2))
    publish(blobs, champion(1))
    assert champion_ref(blobs, FORECAST).version == 1


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (champion(1, [9.0, 0.5, -0.25]), "files"),
        (champion(1, recipe="another"), "recipe: 0123456789abcdef there, another here"),
    ],
)
def test_a_version_with_other_content_is_refused_and_stays_as_it_was(
    other: object, named: str
) -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    files = dict(blobs.files)
    with pytest.raises(RegistryError, match=named):
        publish(blobs, other)  # type: ignore[arg-type]
    assert blobs.files == files


def test_a_graph_that_does_not_compute_its_golden_rows_is_never_published() -> None:
    blobs = Folder()
    wrong = replace(champion(), golden=Golden.of(ROWS, [0.5, 0.5, 0.5]))
    with pytest.raises(RegistryError, match=r"golden rows failed: row \d gives .* expected 0\.5"):
        publish(blobs, wrong)
    assert not blobs.files


def test_a_drift_of_the_runtime_beyond_the_tolerance_is_refused() -> None:
    exact = ROWS @ np.array(WEIGHTS) + 0.1
    publish(Folder(), replace(champion(), golden=Golden.of(ROWS, exact + 0.9e-9)))
    with pytest.raises(RegistryError, match=r"tolerance 1e-09"):
        publish(Folder(), replace(champion(), golden=Golden.of(ROWS, exact + 1.2e-9)))


@pytest.mark.parametrize(
    ("file", "check"),
    [
        ("1/model.onnx", "model"),
        ("1/golden.json", "golden rows"),
        ("1/manifest.json", "manifest"),
        ("champion.json", "pointer"),
    ],
)
@pytest.mark.parametrize("kind", ["truncated", "missing", "foreign"])
def test_a_damaged_file_is_refused_by_name(file: str, check: str, kind: str) -> None:
    blobs = Folder()
    publish(blobs, champion())
    path = f"{HERE}/{file}"
    if kind == "missing":
        del blobs.files[path]
    else:
        blobs.files[path] = blobs.files[path][:40] if kind == "truncated" else b"<html>login</html>"
    missing_pointer = kind == "missing" and check == "pointer"
    with pytest.raises(
        NoChampionError if missing_pointer else RegistryError,
        match="has been published" if missing_pointer else f"{path}: the check of the {check}",
    ):
        load(blobs, FORECAST)


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_in_a_bundle_is_noticed(data: st.DataObject) -> None:
    blobs = Folder()
    publish(blobs, champion())
    path = data.draw(st.sampled_from([p for p in sorted(blobs.files) if "/1/" in p]))
    content = bytearray(blobs.files[path])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    blobs.files[path] = bytes(content)
    with pytest.raises(RegistryError, match="sha256"):
        load(blobs, FORECAST)


def test_a_bundle_of_another_forecast_or_version_in_its_place_is_refused() -> None:
    blobs = Folder()
    publish(blobs, champion(1))
    publish(blobs, champion(2))
    for name in ("model.onnx", "golden.json", "manifest.json"):
        blobs.files[f"{HERE}/1/{name}"] = blobs.files[f"{HERE}/2/{name}"]
    with pytest.raises(RegistryError, match="it belongs to eurusd_direction version 2"):
        load(blobs, FORECAST, version=1)


def test_a_manifest_with_keys_of_newer_code_is_read_and_a_newer_format_is_refused() -> None:
    blobs = Folder()
    publish(blobs, champion())
    path = f"{HERE}/1/manifest.json"
    manifest = json.loads(blobs.files[path])
    blobs.files[path] = json.dumps(manifest | {"added_later": 1}).encode()
    assert load(blobs, FORECAST, version=1).manifest.version == 1
    blobs.files[path] = json.dumps(manifest | {"format": 2}).encode()
    with pytest.raises(RegistryError, match="is of format 2, which a newer release"):
        load(blobs, FORECAST, version=1)


def test_golden_rows_keep_every_bit_and_missing_values() -> None:
    rows = np.array([[0.1 + 0.2, np.nan], [1e-300, -0.0]])
    inputs, outputs = Golden.model_validate_json(
        Golden.of(rows, [1 / 3, 2 / 3]).model_dump_json()
    ).arrays()
    np.testing.assert_array_equal(inputs, rows)
    np.testing.assert_array_equal(outputs, [1 / 3, 2 / 3])


@pytest.mark.parametrize("outputs", [[0.1, np.nan, 0.2], [0.1], []])
def test_golden_rows_need_one_finite_output_each(outputs: list[float]) -> None:
    with pytest.raises(RegistryError, match="Golden rows of shape"):
        Golden.of(ROWS, outputs)


def test_readers_during_swaps_see_whole_champions_only(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    publish(lake, champion(1, [1.0, 0.0, 0.0]))

    def read(_: int) -> bool:
        loaded = load(lake, FORECAST)
        expected = ROWS @ np.array([float(loaded.manifest.version), 0.0, 0.0]) + 0.1
        return bool(np.allclose(loaded.predict(ROWS), expected, rtol=1e-12))

    with ThreadPoolExecutor(3) as pool:
        reads = pool.map(read, range(60))
        for version in range(2, 12):
            publish(lake, champion(version, [float(version), 0.0, 0.0]))
        assert all(reads)
    assert load(lake, FORECAST).manifest.version == 11


def test_loading_a_bundle_needs_neither_mlflow_nor_pandas() -> None:
    code = (
        "import sys; import fx_assets.bundles.bundle, fx_assets.registry.links; "
        "print([m for m in ('mlflow', 'pandas', 'dagster', 'sklearn', 'onnx') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd()
    )
    assert shown.stdout.strip() == "[]"
