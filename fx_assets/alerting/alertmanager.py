"""Prometheus's alerts go where the platform's go: Alertmanager's settings from ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from fx_assets.alerting.channels import AlertSettings


def alertmanager_config(settings: AlertSettings) -> dict[str, Any]:
    """What Alertmanager reads; without a receiver it only shows alerts."""
    receiver: dict[str, Any] = {"name": "people"}
    if settings.webhook_url is not None:
        address = settings.webhook_url.get_secret_value()
        receiver["webhook_configs"] = [{"url": address, "send_resolved": True}]
    if settings.slack_webhook_url is not None:
        receiver["slack_configs"] = [
            {
                "api_url": settings.slack_webhook_url.get_secret_value(),
                "send_resolved": True,
                "title": "{{ .CommonLabels.alertname }}",
                "text": "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ end }}",
            }
        ]
    if settings.smtp_host and settings.email_to:
        login: dict[str, Any] = {}
        if settings.smtp_user and settings.smtp_password is not None:
            login = {
                "auth_username": settings.smtp_user,
                "auth_password": settings.smtp_password.get_secret_value(),
            }
        receiver["email_configs"] = [
            {
                "to": ", ".join(settings.email_to),
                "from": settings.email_from,
                "smarthost": f"{settings.smtp_host}:{settings.smtp_port}",
                "require_tls": settings.smtp_starttls,
                "send_resolved": True,
                **login,
            }
        ]
    again = f"{max(1, round(settings.cool_down_hours))}h"
    return {
        "route": {
            "receiver": "people",
            "group_by": ["alertname"],
            "group_wait": "30s",
            "repeat_interval": again,
            "routes": [{"matchers": ['severity="critical"'], "group_wait": "5s"}],
        },
        "receivers": [receiver],
    }


def main(arguments: list[str]) -> int:
    """Write them to a file, which holds addresses and passwords that are secrets."""
    text = yaml.safe_dump(alertmanager_config(AlertSettings()), sort_keys=False)
    Path(arguments[0]).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
