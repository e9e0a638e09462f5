"""The declared vocabulary: pure pydantic models that YAML files are read into."""

from fx_assets.specs.feed import CheckRule, EcbSource, FeedSpec, GateSpec
from fx_assets.specs.forecast import (
    CandidateSpec,
    ForecastSpec,
    PromotionRule,
    TargetSpec,
    WalkForwardSpec,
)
from fx_assets.specs.watching import WatchingSpec

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
    "WatchingSpec",
]
