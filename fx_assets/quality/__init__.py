"""The gate's checks: bars in, findings out."""

from fx_assets.quality.evidence import Evidence, Outcome
from fx_assets.quality.gate import CHECKS, checks_of, inspect
from fx_assets.quality.own import GateCheck
from fx_assets.quality.references import Reference, reference_of
from fx_assets.quality.report import Finding, GateReport

__all__ = [
    "CHECKS",
    "Evidence",
    "Finding",
    "GateCheck",
    "GateReport",
    "Outcome",
    "Reference",
    "checks_of",
    "inspect",
    "reference_of",
]
