"""Alertmanager tells the receivers that the platform's own alerts have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from fx_assets.alerting.alertmanager import main

EVERY = {
    "WEBHOOK_URL": "http://127.0.0.1:9/hook",
    "SLACK_WEBHOOK_URL": "http://127.0.0.1:9/slack",
    "SMTP_HOST": "mail.example",
    "SMTP_USER": "fx",
    "SMTP_PASSWORD": "secret",
    "EMAIL_TO": '["ops@example.com", "desk@example.com"]',
}


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, []),
        ({"WEBHOOK_URL": "", "EMAIL_TO": ""}, []),
        ({"WEBHOOK_URL": EVERY["WEBHOOK_URL"]}, ["webhook_configs"]),
        ({"SMTP_HOST": "mail.example"}, []),
        (EVERY, ["webhook_configs", "slack_configs", "email_configs"]),
    ],
)
def test_a_receiver_is_on_where_its_address_is_set(
    given: dict[str, str], kinds: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"FX_ASSETS_ALERTS_{name}", value)
    file = tmp_path / "alertmanager.yaml"
    assert main([str(file)]) == 0
    (receiver,) = yaml.safe_load(file.read_text())["receivers"]
    assert [kind for kind in receiver if kind != "name"] == kinds
    if shutil.which("amtool"):
        said = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
