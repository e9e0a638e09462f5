"""Each job says how large a machine its run needs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fx_assets.definitions import defs

OF_FARGATE = {256: (1, 2), 512: (1, 4), 1024: (2, 8), 2048: (4, 16), 4096: (8, 30)}
"""By CPU units, the least and the most memory in GB that a task may have."""
SMALL = {"ecs/cpu": "512", "ecs/memory": "2048"}
LARGE = {"ecs/cpu": "2048", "ecs/memory": "8192"}


@pytest.fixture(scope="module")
def tags() -> Mapping[str, Mapping[str, str]]:
    """What a run of each declared job is tagged with."""
    jobs = defs().get_repository_def().get_all_jobs()
    return {job.name: job.run_tags for job in jobs if not job.name.startswith("__")}


def test_every_job_asks_for_a_size_that_fargate_has(tags: Mapping[str, Mapping[str, str]]) -> None:
    assert tags
    for name, of_job in tags.items():
        least, most = OF_FARGATE[int(of_job["ecs/cpu"])]
        gigabytes = int(of_job["ecs/memory"]) / 1024
        assert least <= gigabytes <= most, name
        assert gigabytes.is_integer(), name


def test_only_runs_that_fit_and_judge_are_large(tags: Mapping[str, Mapping[str, str]]) -> None:
    large = {name for name, of_job in tags.items() if of_job.items() >= LARGE.items()}
    assert large == {name for name in tags if name.endswith(("_retrain", "_update"))}
    assert all(tags[name].items() >= SMALL.items() for name in tags.keys() - large)
