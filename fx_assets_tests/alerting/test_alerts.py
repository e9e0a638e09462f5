"""Alerts arrive once, everywhere; a broken receiver harms nobody. Receivers are real sockets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_string
from pathlib import Path

import pytest

from fx_assets.alerting.alert import Alert
from fx_assets.alerting.alerts import Alerter
from fx_assets.alerting.channels import AlertSettings
from fx_assets.lake import Lake
from fx_assets_tests.alerting.receivers import SECRET, MailServer, Receiver, receiving

NOW = datetime(2024, 4, 10, 18, tzinfo=UTC)
DRIFT = Alert(
    kind="drift",
    subject="eurusd_direction",
    sentence="2 of 43 columns drifted: <return_1> & others.",
    at=NOW,
    link="http://localhost:3000/runs/1",
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def settings(**values: object) -> AlertSettings:
    return AlertSettings.model_validate({"backoff_seconds": 0.01, "timeout_seconds": 2, **values})


def test_an_alert_reaches_log_webhook_slack_and_mail(
    receiver: Receiver, mail_server: MailServer, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = settings(
        webhook_url=receiver.url,
        slack_webhook_url=receiver.url,
        smtp_host="127.0.0.1",
        smtp_port=mail_server.server_address[1],
        smtp_starttls=False,
        email_to=["ops@example.com"],
    )
    with caplog.at_level(logging.WARNING):
        found = Alerter(lake, chosen).notify(DRIFT, NOW)
    assert found == dict.fromkeys(("log", "webhook", "slack", "email"), "delivered")
    assert DRIFT.sentence in caplog.text
    hook, slack = receiver.bodies
    assert hook["kind"] == "drift"
    assert hook["link"] == DRIFT.link
    text = slack["blocks"][0]["text"]["text"]  # type: ignore[index]
    assert "&lt;return_1&gt; &amp; others" in text
    assert f"<{DRIFT.link}|Open>" in text
    mail = message_from_string(mail_server.mails[0])
    assert mail["Subject"] == "[fx-assets] Drift: eurusd_direction"
    assert mail["To"] == "ops@example.com"
    assert DRIFT.sentence in mail.get_payload()


def test_the_same_alert_is_sent_again_only_after_its_cool_down(
    receiver: Receiver, lake: Lake
) -> None:
    def notify(hours: float, alert: Alert = DRIFT) -> str:
        alerter = Alerter(lake, settings(webhook_url=receiver.url, cool_down_hours=24))
        return alerter.notify(alert, NOW + timedelta(hours=hours))["webhook"]

    assert [notify(h) for h in (0, 1, 23.9, 24, 25, 48)] == [
        "delivered",
        "suppressed",
        "suppressed",
        "delivered",
        "suppressed",
        "delivered",
    ]
    assert notify(49, DRIFT.model_copy(update={"subject": "gbpusd_direction"})) == "delivered"
    assert notify(49, DRIFT.model_copy(update={"key": "another report"})) == "delivered"
    assert len(receiver.bodies) == 5


def test_of_many_that_see_the_same_thing_one_sends(receiver: Receiver, lake: Lake) -> None:
    alerters = [Alerter(lake, settings(webhook_url=receiver.url)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda a: a.notify(DRIFT, NOW)["webhook"], alerters))
    assert sorted(outcomes) == ["delivered", "suppressed", "suppressed", "suppressed"]
    assert len(receiver.bodies) == 1


def test_a_receiver_that_stumbles_gets_the_alert_after_a_pause(
    receiver: Receiver, lake: Lake
) -> None:
    receiver.answers = [503, 500]
    alerter = Alerter(lake, settings(webhook_url=receiver.url, attempts=3))
    assert alerter.notify(DRIFT, NOW)["webhook"] == "delivered"
    assert len(receiver.bodies) == 3


def test_a_broken_receiver_is_logged_tried_a_bounded_number_of_times_and_never_raises(
    receiver: Receiver, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500] * 100
    chosen = settings(
        webhook_url=receiver.url,
        slack_webhook_url=f"http://127.0.0.1:9/{SECRET}",
        smtp_host="127.0.0.1",
        smtp_port=9,
        smtp_user="me",
        smtp_password=SECRET,
        email_to=["ops@example.com"],
        attempts=2,
    )
    with caplog.at_level(logging.DEBUG):
        rounds = [Alerter(lake, chosen).notify(DRIFT, NOW + timedelta(hours=h)) for h in range(5)]
    assert [r["webhook"] for r in rounds] == ["failed", "failed", *["suppressed"] * 3]
    assert [r["email"] for r in rounds][:2] == ["failed", "failed"]
    assert rounds[0]["log"] == "delivered"
    assert len(receiver.bodies) == 4
    assert "did not reach webhook after 2 attempts: 127.0.0.1 answered 500" in caplog.text
    own = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("fx_assets"))
    table = lake.read("alerts", "platform")
    assert SECRET not in own + table.to_string() + repr(chosen)
    assert (table["state"] == "failed").sum() == 6
    assert Alerter(lake, chosen).notify(DRIFT, NOW + timedelta(hours=25))["webhook"] == "failed"


def test_addresses_that_are_secret_stay_out_of_every_log(
    receiver: Receiver, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        Alerter(lake, settings(webhook_url=receiver.url)).notify(DRIFT, NOW)
    assert SECRET not in caplog.text


def test_a_lake_that_is_away_does_not_hide_an_alert(receiver: Receiver) -> None:
    class Away:
        def read_or_empty(self, table: str, name: str) -> object:
            raise OSError("no disk")

        def insert_new(self, *arguments: object) -> object:
            raise OSError("no disk")

    alerter = Alerter(Away(), settings(webhook_url=receiver.url))  # type: ignore[arg-type]
    assert alerter.notify(DRIFT, NOW)["webhook"] == "delivered"


def test_channels_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, lake: Lake) -> None:
    assert list(Alerter(lake).channels) == ["log"]
    monkeypatch.setenv("FX_ASSETS_ALERTS_WEBHOOK_URL", f"http://127.0.0.1:9/{SECRET}")
    monkeypatch.setenv("FX_ASSETS_ALERTS_SMTP_HOST", "localhost")
    monkeypatch.setenv("FX_ASSETS_ALERTS_EMAIL_TO", '["a@b.org"]')
    assert list(Alerter(lake).channels) == ["log", "webhook", "email"]
    assert SECRET not in repr(AlertSettings())
