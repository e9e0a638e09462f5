"""The declared vocabulary: pure pydantic models that YAML files are read into."""

from fx_assets.specs.feed import CheckRule, EcbSource, FeedSpec, GateSpec
from fx_assets.specs.forecast import (
    CandidateSpec,
    ForecastSpec,
    PromotionRule,
    TargetSpec,
    WalkForwardSpec,
)

__all__ = [
    "CandidateSpec",
    "CheckRule",
    "EcbSource",
    "FeedSpec",
    "ForecastSpec",
    "GateSpec",
    "PromotionRule",
    "TargetSpec",
    "WalkForwardSpec",
]
