"""Where alerts go: the log, a webhook, Slack, e-mail. Each raises :class:`Undelivered` or returns.

Addresses of webhooks are secrets. No message of an error names one: what goes wrong is told by the
host, the status and the type of the exception.
"""

from __future__ import annotations

import json
import logging
import re
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from http.client import HTTPException
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fx_assets.alerting.alert import Alert
from fx_assets.errors import SpecError

_log = logging.getLogger("fx_assets.alerts")

Channel = Callable[[Alert], None]


class Undelivered(Exception):  # noqa: N818
    """A receiver did not take an alert; the text is safe to show."""


class AlertSettings(BaseSettings):
    """Where alerts go; each field is the environment variable ``FX_ASSETS_ALERTS_<FIELD>``.

    A channel is on when its address is set; the log is always on.
    """

    model_config = SettingsConfigDict(
        env_prefix="FX_ASSETS_ALERTS_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    webhook_url: SecretStr | None = Field(
        default=None, description="Receives each alert as a JSON object, by POST."
    )
    slack_webhook_url: SecretStr | None = Field(
        default=None, description="A Slack incoming webhook."
    )
    smtp_host: str | None = None
    smtp_port: PositiveInt = 587
    smtp_starttls: bool = True
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    email_from: str = "fx-assets@localhost"
    email_to: Annotated[list[str], NoDecode] = Field(
        default=[], description="Addresses, parted by commas or as a JSON list."
    )
    cool_down_hours: NonNegativeFloat = Field(
        default=24.0, description="Hours before the same alert is sent again."
    )
    attempts: PositiveInt = Field(default=3, description="Attempts for each receiver.")
    backoff_seconds: NonNegativeFloat = Field(
        default=0.5, description="First pause between attempts; it doubles."
    )
    timeout_seconds: PositiveFloat = 5.0

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            prefix = self.model_config["env_prefix"]
            raise SpecError(
                " ".join(
                    f"{prefix}{str(detail['loc'][0]).upper()}: {detail['msg']}."
                    for detail in error.errors()
                ),
                remedy="Set it as docs/monitoring.md says, or unset it.",
            ) from None

    @field_validator("email_to", mode="before")
    @classmethod
    def _parted(cls, stated: object) -> object:
        if not isinstance(stated, str):
            return stated
        if stated.lstrip().startswith("["):
            return json.loads(stated)
        return [one for one in re.split(r"[\s,;]+", stated) if one]


def channels(settings: AlertSettings) -> dict[str, Channel]:
    """The channels that are configured, by name; the log first."""
    found: dict[str, Channel] = {"log": to_log}
    if settings.webhook_url is not None:
        found["webhook"] = _post(settings.webhook_url, settings, lambda a: a.payload())
    if settings.slack_webhook_url is not None:
        found["slack"] = _post(settings.slack_webhook_url, settings, slack_message)
    if settings.smtp_host and settings.email_to:
        found["email"] = lambda alert: _send_mail(alert, settings)
    return found


def to_log(alert: Alert) -> None:
    """Write the alert to the log ``fx_assets.alerts``."""
    _log.warning("%s: %s %s", alert.title, alert.sentence, alert.link)


def slack_message(alert: Alert) -> dict[str, object]:
    """The body of a Slack incoming webhook (api.slack.com/messaging/webhooks)."""

    def plain(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    link = f"\n<{alert.link}|Open>" if alert.link else ""
    body = f"*{plain(alert.title)}*\n{plain(alert.sentence)}{link}"
    return {
        "text": f"{alert.title}: {alert.sentence}",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": body[:3000]}}],
    }


def mail_message(alert: Alert, settings: AlertSettings) -> EmailMessage:
    """The alert as a plain text mail."""
    message = EmailMessage()
    message["Subject"] = " ".join(f"[fx-assets] {alert.title}".split())
    message["From"] = settings.email_from
    message["To"] = ", ".join(settings.email_to)
    message.set_content(f"{alert.sentence}\n\n{alert.link}\n")
    return message


def _post(
    url: SecretStr, settings: AlertSettings, body: Callable[[Alert], dict[str, object]]
) -> Channel:
    def post(alert: Alert) -> None:
        # Not httpx, which logs the address of every request.
        address = url.get_secret_value()
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Undelivered("the address that is set is not an http or https URL")
        request = Request(  # noqa: S310
            address,
            data=json.dumps(body(alert)).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "fx-assets"},
            method="POST",
        )
        try:
            with urlopen(request, timeout=settings.timeout_seconds):  # noqa: S310
                return
        except HTTPError as error:
            raise Undelivered(f"{parts.hostname} answered {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise Undelivered(f"{parts.hostname}: {type(error).__name__}") from None

    return post


def _send_mail(alert: Alert, settings: AlertSettings) -> None:
    host, port = str(settings.smtp_host), settings.smtp_port
    try:
        with smtplib.SMTP(host, port, timeout=settings.timeout_seconds) as server:
            if settings.smtp_starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_user and settings.smtp_password:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(mail_message(alert, settings))
    except (OSError, smtplib.SMTPException) as error:
        raise Undelivered(f"{host}:{port}: {type(error).__name__}") from None
