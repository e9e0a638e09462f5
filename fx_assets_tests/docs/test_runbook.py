"""Whoever is woken by an alert finds its entry, and everything that the entry names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from fx_assets.alerting.alert import TITLES
from fx_assets.definitions import defs

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^### (.+)\n((?:.+\n)+)", RUNBOOK, re.MULTILINE))
GROUPS = yaml.safe_load((ROOT / "deploy" / "monitoring" / "alerts.yaml").read_text())["groups"]
RULES = [rule["alert"] for group in GROUPS for rule in group["rules"]]


def test_every_alert_has_an_entry_and_every_entry_an_alert() -> None:
    assert set(ENTRIES) == {*RULES, *TITLES.values()}


@pytest.mark.parametrize("alert", [*RULES, *TITLES.values()])
def test_every_entry_says_what_to_do(alert: str) -> None:
    entry = ENTRIES[alert]
    assert "**Do**" in entry or "**do**" in entry
    assert re.search("[sS]ee", entry) or alert == "Recovered"


def test_the_jobs_and_sensors_that_it_names_exist() -> None:
    repository = defs().get_repository_def()
    known = {job.name for job in repository.get_all_jobs()}
    known |= {found.name for found in (*repository.schedule_defs, *repository.sensor_defs)}
    named = re.findall(r"`((?:FEED|FORECAST)_\w+|compaction|dead_runs)`", RUNBOOK)
    assert len(named) >= 4
    for name in named:
        real = name.replace("FEED", "ecb_eurusd").replace("FORECAST", "eurusd_direction")
        assert real in known, name


def test_it_refers_to_alerts_that_exist() -> None:
    assert {*re.findall(r"\bFx[A-Z]\w+", RUNBOOK)} <= set(RULES)
