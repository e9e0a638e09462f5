"""One writer at a time: by threads, by processes, on disk and on S3, and after deaths."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fx_assets.lake import Lake, turns

Place = tuple[str, dict[str, str] | None]
HOLD = """
import json, sys, time
from fx_assets.lake import Lake
root, options = json.loads(sys.argv[1])
with Lake(root, storage_options=options).turn("job", "killed", print):
    print("held", flush=True)
    time.sleep(600)
"""


def nothing(owner: str) -> None:
    """What is done while waiting."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.02)


@pytest.mark.slow
def test_of_many_owners_one_has_the_turn_at_a_time_and_each_gets_it(place: Place) -> None:
    inside, most, had = [0], [0], []

    def work(owner: str) -> None:
        lake = Lake(place[0], storage_options=place[1])
        for _ in range(4):
            with lake.turn("job", owner, nothing):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                had.append(owner)
                time.sleep(0.005)
                inside[0] -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, "abcd"))
    assert most == [1]
    assert sorted(had) == sorted("abcd" * 4)


def test_who_waits_is_told_for_whom_and_turns_of_other_names_are_free(place: Place) -> None:
    lake = Lake(place[0], storage_options=place[1])
    told: list[str] = []
    done = threading.Event()

    def wait() -> None:
        with Lake(place[0], storage_options=place[1]).turn("job", "second", told.append):
            done.set()

    with lake.turn("job", "first", nothing), lake.turn("other", "first", nothing):
        thread = threading.Thread(target=wait)
        thread.start()
        while not told:
            time.sleep(0.01)
        assert not done.is_set()
    thread.join()
    assert told == ["first"]
    assert done.is_set()
    assert lake.tables() == []


def test_an_owner_that_has_the_turn_goes_on_at_once_in_any_process(place: Place) -> None:
    one, other = (Lake(place[0], storage_options=place[1]) for _ in range(2))
    with one.turn("job", "run", nothing), other.turn("job", "run", nothing):
        pass


@pytest.mark.slow
def test_a_killed_process_gives_its_turn_back(place: Place) -> None:
    command = [sys.executable, "-c", HOLD, json.dumps(place)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    with Lake(place[0], storage_options=place[1]).turn("job", "next", pytest.fail):
        pass


@pytest.mark.parametrize("lives", [True, False])
def test_a_holder_of_another_host_is_overtaken_when_it_gives_no_signs_of_life(
    s3: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    monkeypatch.setattr(turns, "SILENCE_SECONDS", 3.0)
    monkeypatch.setattr(turns, "BEAT_SECONDS", 0.05 if lives else 600.0)
    monkeypatch.setattr("socket.gethostname", lambda: threading.current_thread().name)
    got = threading.Event()

    def wait() -> None:
        with Lake(s3[0], storage_options=s3[1]).turn("job", "next", nothing):
            got.set()

    with Lake(s3[0], storage_options=s3[1]).turn("job", "first", nothing):
        thread = threading.Thread(target=wait)
        thread.start()
        assert got.wait(5 if lives else 60) is not lives
    thread.join()
    assert got.is_set()
