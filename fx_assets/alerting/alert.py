"""Something that a person should know."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from fx_assets.specs.base import Spec

AlertKind = Literal[
    "run_failed",
    "gate_failed",
    "stale",
    "recovered",
    "drift",
    "performance",
    "promotion",
    "demotion",
    "suspicion",
]
TITLES: dict[AlertKind, str] = {
    "run_failed": "Run failed",
    "gate_failed": "Quality gate refused a batch",
    "stale": "Late",
    "recovered": "Recovered",
    "drift": "Drift",
    "performance": "Performance",
    "promotion": "New champion",
    "demotion": "Champion demoted",
    "suspicion": "Too good: look for a leak",
}


class Alert(Spec):
    """Something that a person should know."""

    kind: AlertKind
    subject: str
    """The feed or forecast that it is about."""
    sentence: str
    at: AwareDatetime
    link: str = ""
    """Where to look: the run, the asset, the report."""
    key: str = ""
    """Alerts with the same key are the same; kind and subject unless it is given."""

    @property
    def dedupe_key(self) -> str:
        """What identifies the alert among others."""
        return self.key or f"{self.kind}:{self.subject}"

    @property
    def title(self) -> str:
        """A few words."""
        return f"{TITLES[self.kind]}: {self.subject}"

    def payload(self) -> dict[str, object]:
        """The alert as a JSON object."""
        found: dict[str, object] = self.model_dump(mode="json")
        return found | {"title": self.title, "key": self.dedupe_key}
