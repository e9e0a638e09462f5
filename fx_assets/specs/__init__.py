"""The declared vocabulary: pure pydantic models that YAML files are read into."""

from fx_assets.specs.feed import CheckRule, FeedSpec, GateSpec
from fx_assets.specs.forecast import (
    CandidateSpec,
    ForecastSpec,
    PromotionRule,
    TargetSpec,
    WalkForwardSpec,
)
from fx_assets.specs.sources import (
    CcxtSource,
    CoinGeckoSource,
    CryptoCompareSource,
    EcbSource,
    FilesSource,
    FrankfurterSource,
    SimulatedSource,
    Source,
    TwelveDataSource,
)
from fx_assets.specs.watching import WatchingSpec

__all__ = [
    "CandidateSpec",
    "CcxtSource",
    "CheckRule",
    "CoinGeckoSource",
    "CryptoCompareSource",
    "EcbSource",
    "FeedSpec",
    "FilesSource",
    "ForecastSpec",
    "FrankfurterSource",
    "GateSpec",
    "PromotionRule",
    "SimulatedSource",
    "Source",
    "TargetSpec",
    "TwelveDataSource",
    "WalkForwardSpec",
    "WatchingSpec",
]
