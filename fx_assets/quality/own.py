"""Checks of one's own: one class that says what it looks for, and finds it."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fx_assets.doors import CHECKS
from fx_assets.quality.evidence import Evidence, Outcome
from fx_assets.quality.report import Finding
from fx_assets.specs import CheckRule

if TYPE_CHECKING:
    import pandas as pd


class GateCheck(ABC):
    """Base of other people's checks. The first line of a class's docstring is what it asserts.

    A feed asks for it by name: ``gate: {own: {my_check: {severity: warn, limit: 3}}}``.
    """

    door: ClassVar[str] = CHECKS.group
    name: ClassVar[str]
    limit: ClassVar[float] = 0.0
    """The most that is within order, where a feed leaves it open; in the unit of ``count``."""
    frequencies: ClassVar[tuple[str, ...]] = ("1d", "1h")
    """The bars that ``fx-assets prove`` tries it with."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions that it needs."""

    @abstractmethod
    def look(self, evidence: Evidence) -> Outcome:
        """What the batch, and what is stored, show.

        ``Outcome.count`` is held against the limit; ``blamed`` are event times of the batch
        (``datetime64[us]``) that go to quarantine with ``reason`` where the check blocks.
        """

    @classmethod
    @abstractmethod
    def planted(cls, bars: pd.DataFrame) -> pd.DataFrame:
        """Bars in order, spoilt within their last 50 rows as this check has to find it."""


def looking(name: str) -> Callable[[Evidence], Outcome]:
    """What a check does, of ours or of a plug-in."""
    found: Any = CHECKS[name]
    if isinstance(found, type) and issubclass(found, GateCheck):
        return found().look
    check: Callable[[Evidence], Outcome] = found
    return check


def meaning_of(name: str) -> str:
    """What a check asserts: the first line of its docstring."""
    return (inspect.getdoc(CHECKS[name]) or name).partition("\n")[0]


def own_finding(name: str, rule: CheckRule, evidence: Evidence) -> tuple[Finding, Outcome]:
    """A plug-in's finding; one that fails to look blocks as its rule says, and tells why.

    It looks at a copy: what it changes there, no other check sees.
    """
    limit = float(getattr(CHECKS[name], "limit", 0.0) if rule.limit is None else rule.limit)
    if rule.severity == "off":
        return Finding.switched_off(name, limit), Outcome(0, "")
    try:
        given = replace(evidence, stored=evidence.stored.copy(), batch=evidence.batch.copy())
        outcome = looking(name)(given)
    except Exception as error:  # whatever a stranger's code does
        said = f"The check itself failed: {type(error).__name__}: {error}."
        return Finding(name, rule.severity, False, 0, limit, said), Outcome(0, said)
    return finding_of(name, rule, outcome, limit, passed=outcome.count <= limit), outcome


def finding_of(
    name: str, rule: CheckRule, outcome: Outcome, limit: float, *, passed: bool
) -> Finding:
    """What a check found, as severe as its rule says unless the outcome only warns."""
    severity = "warn" if outcome.only_warns and rule.severity == "block" else rule.severity
    return Finding(name, severity, passed, outcome.count, limit, outcome.message, outcome.examples)
