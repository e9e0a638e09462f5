from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from fx_assets.errors import LakeError
from fx_assets.lake import Lake


def test_files_are_written_replaced_listed_and_read(
    place: tuple[str, dict[str, str] | None],
) -> None:
    root, options = place
    lake = Lake(root, storage_options=options)
    assert not lake.blob_exists("bundles/a/current.json")
    assert lake.write_blob("bundles/a/current.json", b"one") == f"{root}/bundles/a/current.json"
    lake.write_blob("bundles/a/current.json", b"two")
    lake.write_blob("bundles/b/model.onnx", b"\x00")
    assert lake.read_blob("bundles/a/current.json") == b"two"
    assert lake.blob_exists("bundles/a/current.json")
    assert not lake.blob_exists("bundles/a/current")
    assert lake.list_blobs("bundles/") == ["bundles/a/current.json", "bundles/b/model.onnx"]
    assert lake.list_blobs("bundles/a/cur") == ["bundles/a/current.json"]
    assert lake.list_blobs("nothing/") == []
    assert lake.tables() == []
    with pytest.raises(LakeError, match="no file bundles/c"):
        lake.read_blob("bundles/c")


def test_a_lake_is_weighed_by_its_first_folders(
    place: tuple[str, dict[str, str] | None],
) -> None:
    root, options = place
    lake = Lake(root, storage_options=options)
    lake.write_blob("bundles/a/model.onnx", b"12345")
    lake.write_blob("bundles/b/c/model.onnx", b"123")
    lake.write_blob("monitoring/a.html", b"1")
    found = lake.sizes()
    assert (found["bundles"], found["monitoring"]) == (8, 1)


def test_files_of_before_a_moment_are_told_with_their_size_and_can_be_deleted(
    place: tuple[str, dict[str, str] | None],
) -> None:
    root, options = place
    lake = Lake(root, storage_options=options)
    lake.write_blob("monitoring/a/old.html", b"12345")
    lake.write_blob("monitoring/b.html", b"1")
    lake.write_blob("bundles/x", b"1")
    now = datetime.now(UTC)
    assert lake.old_blobs("monitoring/", now - timedelta(hours=1)) == {}
    soon = now + timedelta(hours=1)
    assert lake.old_blobs("monitoring/", soon) == {
        "monitoring/a/old.html": 5,
        "monitoring/b.html": 1,
    }
    lake.delete_blob("monitoring/a/old.html")
    lake.delete_blob("monitoring/a/old.html")
    assert lake.list_blobs("") == ["bundles/x", "monitoring/b.html"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../b", "", "a//b"])
def test_a_path_outside_the_lake_is_refused(lake: Lake, path: str) -> None:
    with pytest.raises(LakeError, match="not a path below"):
        lake.write_blob(path, b"")


def test_a_reader_sees_the_old_file_or_the_new_one_whole(lake: Lake) -> None:
    size = 200_000
    lake.write_blob("pointer", b"0" * size)
    stop = threading.Event()

    def replace_often() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            lake.write_blob("pointer", str(turn % 10).encode() * size)

    writer = threading.Thread(target=replace_often)
    writer.start()
    try:
        for _ in range(300):
            content = lake.read_blob("pointer")
            assert len(content) == size
            assert len(set(content)) == 1
    finally:
        stop.set()
        writer.join()
    assert lake.list_blobs("") == ["pointer"]
