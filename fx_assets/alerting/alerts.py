"""Tells people, once: an alert goes to every channel, and not again before its cool-down is over.

The ``alerts`` table of the lake holds one row for each attempt. A row is *claimed* before anything
is sent, by an insertion that only one of several writers can win; so two sensors that see the same
thing send one message. A receiver that fails is tried again a bounded number of times, is logged,
and never fails the caller.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import pandas as pd

from fx_assets.alerting.alert import Alert
from fx_assets.alerting.channels import AlertSettings, Channel, Undelivered, channels
from fx_assets.lake import Lake
from fx_assets.tables import ALERTS, PLATFORM

_log = logging.getLogger(__name__)

Outcome = Literal["delivered", "failed", "suppressed"]


class Alerter:
    """Sends alerts to the configured channels; safe in several processes at once.

    Parameters
    ----------
    store
        The lake.
    settings
        Receivers, cool-down and attempts.
    """

    def __init__(self, store: Lake, settings: AlertSettings | None = None) -> None:
        self.store = store
        self.settings = settings or AlertSettings()
        self.channels = channels(self.settings)

    def notify(self, alert: Alert, now: datetime) -> dict[str, Outcome]:
        """Send an alert to each channel that has not had it within the cool-down.

        A channel whose attempts all failed is tried again when the alert is raised again, with as
        many attempts, until the cool-down starts a new round. Never raises.

        Returns
        -------
        dict
            What came of it, by channel.
        """
        return {
            name: self._to_channel(alert, name, send, now) for name, send in self.channels.items()
        }

    def _to_channel(self, alert: Alert, name: str, send: Channel, now: datetime) -> Outcome:
        try:
            sequence, attempt = self._next(alert, name, now)
        except Exception as error:
            # The record is a courtesy against repetition; a lake that is away must not hide alerts.
            _log.warning("Alert %s is sent without a record: %s", alert.dedupe_key, error)
            return self._send(send, alert, name)[0]
        if sequence is None:
            return "suppressed"
        if not self._record(alert, name, sequence, attempt, "claimed", "", now):
            return "suppressed"
        outcome, problem = self._send(send, alert, name)
        self._record(alert, name, sequence, attempt, outcome, problem, now)
        return outcome

    def _next(self, alert: Alert, name: str, now: datetime) -> tuple[int | None, int]:
        """Number of the message and of the attempt at it; None if nothing is to be sent."""
        rows = self.store.read_or_empty(ALERTS.name, PLATFORM)
        if len(rows):
            rows = rows[(rows["key"] == alert.dedupe_key) & (rows["channel"] == name)]
        if rows.empty:
            return 0, 0
        newest = rows[rows["sequence"] == rows["sequence"].max()]
        sequence, attempt = int(newest["sequence"].iloc[0]), int(newest["attempt"].max())
        cool_down = timedelta(hours=self.settings.cool_down_hours)
        if pd.Timestamp(now) - newest["at"].min() >= cool_down:
            return sequence + 1, 0
        delivered = (newest["state"] == "delivered").any()
        in_flight = (newest["attempt"] == attempt).sum() == 1
        if delivered or in_flight or attempt + 1 >= self.settings.attempts:
            return None, 0
        return sequence, attempt + 1

    def _send(self, send: Channel, alert: Alert, name: str) -> tuple[Outcome, str]:
        pause, said = self.settings.backoff_seconds, ""
        for attempt in range(self.settings.attempts):
            try:
                send(alert)
            except Undelivered as error:
                said = str(error)
            except Exception as error:
                said = type(error).__name__
            else:
                return "delivered", ""
            if attempt + 1 < self.settings.attempts:
                time.sleep(pause)
                pause *= 2
        _log.warning(
            "Alert %s did not reach %s after %d attempts: %s",
            alert.dedupe_key,
            name,
            self.settings.attempts,
            said,
        )
        return "failed", said

    def _record(
        self,
        alert: Alert,
        name: str,
        sequence: int,
        attempt: int,
        state: str,
        error: str,
        now: datetime,
    ) -> bool:
        """Write one row; False if another writer has it already."""
        row: Mapping[str, object] = {
            "at": pd.Timestamp(now),
            "kind": alert.kind,
            "subject": alert.subject,
            "sentence": alert.sentence,
            "link": alert.link,
            "key": alert.dedupe_key,
            "channel": name,
            "sequence": sequence,
            "attempt": attempt,
            "state": state,
            "error": error,
        }
        frame = pd.DataFrame([row]).astype(ALERTS.dtypes)
        try:
            done = self.store.insert_new(ALERTS.name, PLATFORM, frame, list(ALERTS.key))
            return bool(done.rows)
        except Exception as problem:
            _log.warning("Alert %s could not be recorded: %s", alert.dedupe_key, problem)
            return True
