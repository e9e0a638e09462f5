"""The files that Prometheus and Grafana read."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

from fx_assets.metrics import GAUGES
from fx_assets_tests.deploy.monitored import MONITORING, Monitored, needs_prometheus

METRIC = re.compile(r"\bfx_[a-z_]+\b")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    return found


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_prometheus
def test_promtool_accepts_the_configuration_and_its_rules() -> None:
    assert f"{len(rules())} rules found" in promtool(
        "check", "config", MONITORING / "prometheus.yaml"
    )


@pytest.mark.slow
@needs_prometheus
def test_every_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", MONITORING / "alerts.test.yaml")


@needs_prometheus
@pytest.mark.slow
@pytest.mark.parametrize(("was", "becomes"), [("> 0.01", "> 0.5"), ("for: 15m", "for: 50m")])
def test_the_tests_of_the_rules_notice_a_change(tmp_path: Path, was: str, becomes: str) -> None:
    text = (MONITORING / "alerts.yaml").read_text()
    assert was in text
    (tmp_path / "alerts.yaml").write_text(text.replace(was, becomes))
    (tmp_path / "tests.yaml").write_text((MONITORING / "alerts.test.yaml").read_text())
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "tests.yaml")],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0


def test_every_alert_is_tested_to_fire() -> None:
    text = (MONITORING / "alerts.test.yaml").read_text()
    fired = set(re.findall(r'alertname="(\w+)",alertstate="firing"', text))
    assert fired == {rule["alert"] for rule in rules()}


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule
        assert rule["for"], rule
        notes = rule["annotations"]
        assert 10 < len(notes["summary"]) < 120, rule
        assert len(notes["description"]) > 80, rule


@pytest.mark.slow
def test_alerts_and_dashboard_ask_only_for_metrics_that_are_exposed(
    watched: Monitored,
) -> None:
    asked = {
        name
        for text in [rule["expr"] for rule in rules()] + [json.dumps(dashboard())]
        # A pattern over the kinds of targets stands for each of them.
        for name in METRIC.findall(re.sub(r"__name__=~\"[^\"]*\"", "", text))
    }
    assert len(asked) > 15
    of_the_platform = {f"fx_platform_{name}" for name in GAUGES}
    assert asked - watched.exposed() - of_the_platform == set()
    assert of_the_platform - asked == set(), "what nobody looks at need not be measured"
    documented = (MONITORING.parents[1] / "docs" / "monitoring-serving.md").read_text()
    assert {name for name in asked if f"`{name}`" not in documented} == {
        name for name in asked if re.search(r"_(bucket|count|sum)$|fx_predicted_", name)
    }


def test_the_dashboard_is_the_one_that_its_script_writes() -> None:
    spec = spec_from_file_location("dashboard", MONITORING / "dashboard.py")
    assert spec
    assert spec.loader
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.to_json() == (MONITORING / "dashboard.json").read_text()
