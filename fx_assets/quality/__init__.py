"""The gate's checks: bars in, findings out."""

from fx_assets.quality.gate import CHECKS, inspect
from fx_assets.quality.references import Reference, reference_of
from fx_assets.quality.report import Finding, GateReport

__all__ = ["CHECKS", "Finding", "GateReport", "Reference", "inspect", "reference_of"]
