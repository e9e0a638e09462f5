"""Damaged bundles: what needs them, what goes on without them, and how they are made whole."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from fx_assets.bundles.bundle import champion_ref, load, point_to, store_bundle
from fx_assets.bundles.copies import damage, graph_path, keep_copies, restore
from fx_assets.bundles.records import MODEL_FILE
from fx_assets.errors import RegistryError
from fx_assets.lake import Lake
from fx_assets.testing.lakes.samples import WEIGHTS, champion

FORECAST = "eurusd_direction"
FILES = ("model.onnx", "golden.json", "manifest.json")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three versions in the ledger, the third in force, and the graphs of their drafts."""
    lake = Lake(str(tmp_path))
    for version in (1, 2, 3):
        bundle = champion(version, [*WEIGHTS[:-1], WEIGHTS[-1] + version])
        store_bundle(lake, bundle)
        keep_copies(lake, FORECAST, version)
        facts = load(lake, FORECAST, version).manifest
        path = graph_path(FORECAST, facts.candidate, facts.files[MODEL_FILE].sha256)
        lake.write_blob(path, bundle.onnx)
    point_to(lake, FORECAST, 3)
    return lake


def _file(lake: Lake, version: int, name: str) -> Path:
    return Path(lake.root, "bundles", FORECAST, str(version), name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("version", [1, 3])
def test_any_flipped_bit_is_found_and_made_good_from_the_copies(
    lake: Lake, version: int, name: str
) -> None:
    file = _file(lake, version, name)
    before = file.read_bytes()
    for bit in random.Random(name).sample(range(8 * len(before)), 25):
        damaged = bytearray(before)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        with pytest.raises(RegistryError):
            load(lake, FORECAST, version)
        assert set(damage(lake, FORECAST, version)) == {name}
        assert restore(lake, FORECAST, version) == ([name], {})
        assert file.read_bytes() == before
    assert load(lake, FORECAST, version).manifest.version == version


@pytest.mark.parametrize("version", [1, 3])
def test_a_folder_that_is_gone_is_made_again(lake: Lake, version: int) -> None:
    shutil.rmtree(_file(lake, version, ""))
    restored, left = restore(lake, FORECAST, version)
    assert (sorted(restored), left) == (sorted(FILES), {})
    assert load(lake, FORECAST, version).manifest.version == version


def test_damage_of_one_version_touches_no_other(lake: Lake) -> None:
    for name in FILES:
        _file(lake, 1, name).unlink()
    assert [load(lake, FORECAST, version).manifest.version for version in (2, 3)] == [2, 3]
    assert champion_ref(lake, FORECAST).version == 3


def test_a_copy_that_is_damaged_as_well_is_not_put_anywhere(lake: Lake) -> None:
    _file(lake, 3, MODEL_FILE).write_bytes(b"")
    for graph in Path(lake.root, "candidates").rglob("*.onnx"):
        graph.write_bytes(b"not a graph")
    restored, left = restore(lake, FORECAST, 3)
    assert restored == []
    assert left == {MODEL_FILE: "its content is not the one that was published"}
    with pytest.raises(RegistryError, match=r"fx-assets run eurusd_direction --retrain"):
        load(lake, FORECAST)


def test_what_is_gone_wholly_is_copied_from_nowhere_and_stops_nothing(lake: Lake) -> None:
    for gone in (_file(lake, 1, ""), Path(lake.root, "copies")):
        shutil.rmtree(gone)
    for version in (1, 2, 3):
        keep_copies(lake, FORECAST, version)
    assert set(damage(lake, FORECAST, 1)) == {"manifest.json"}
    assert not damage(lake, FORECAST, 2)
    _file(lake, 2, "golden.json").unlink()
    assert restore(lake, FORECAST, 2) == (["golden.json"], {})


def test_a_damaged_pointer_is_no_damage_of_the_bundle(lake: Lake) -> None:
    pointer = Path(lake.root, "bundles", FORECAST, "champion.json")
    pointer.write_text(pointer.read_text().replace('"version": 3', '"version": 1'))
    assert not damage(lake, FORECAST, 1)
    assert not damage(lake, FORECAST, 3)
    assert point_to(lake, FORECAST, 3).version == 3
    assert load(lake, FORECAST).manifest.version == 3
