"""How good a result may be before it is suspected."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from fx_assets.specs.base import Spec


class SuspicionRule(Spec):
    """Results beyond these are held back until a person has looked for a leak.

    A limit that is unset is the default of the feed's frequency, scaled to the horizon.
    """

    accuracy: float | None = Field(default=None, gt=0.5, le=1)
    """Largest plausible share of right directions where both are equally frequent; of returns the
    share of right signs."""
    roc_auc: float | None = Field(default=None, gt=0.5, le=1)
    """Largest plausible area under the ROC curve of a direction."""
    skill: PositiveFloat | None = None
    """Largest plausible Brier skill of a direction, and R² against the random walk of a return."""
    qlike: float | None = Field(default=None, ge=0)
    """Smallest plausible QLIKE of a variance."""
    log_correlation: float | None = Field(default=None, gt=0, le=1)
    """Largest plausible correlation of predicted and realised log variance."""
    confidence: float = Field(default=0.99, gt=0.5, lt=1)
    """One-sided, with which luck is ruled out before anything is suspected."""
