"""A forecast: what to predict from a feed, by whom, and when a challenger may take over."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fx_assets.code_identity import installed_version
from fx_assets.doors import FAMILIES, FEATURE_SETS, TARGETS
from fx_assets.specs.base import Name, Shape, Spec, digest
from fx_assets.specs.cron import Cron
from fx_assets.specs.distribution import DistributionName, DistributionSpec, distribution_of
from fx_assets.specs.strategy import StrategySpec
from fx_assets.specs.suspicion import SuspicionRule
from fx_assets.specs.tuning import TuningSpec
from fx_assets.specs.watching import WatchingSpec
from fx_assets.targets import TargetDefinition, target_definition

TargetKind: TypeAlias = str
"""The name of a kind of target."""


class TargetSpec(Spec):
    """What is predicted.

    ``direction``: whether the close ``horizon`` bars ahead is above today's (1) or not (0).
    ``return``: the log return to the close ``horizon`` bars ahead.
    ``volatility``: the variance of the next ``horizon`` bars, the sum of their squared log returns.
    Further kinds come through the door of targets.
    """

    kind: Annotated[TargetKind, Shape(lambda kind: kind | {"enum": list(TARGETS)})]
    horizon: Annotated[
        PositiveInt,
        Shape(lambda one: {"anyOf": [one, {"type": "array", "items": one, "minItems": 2}]}),
    ] = 1
    """Bars ahead; a declaration may list several."""

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if value not in TARGETS:
            raise ValueError(f"no kind of target {value!r}; choose one of {TARGETS.choices}")
        return value

    @property
    def definition(self) -> TargetDefinition:
        """What the kind is: its loss, limits, labels and words."""
        return target_definition(self.kind)

    def is_among(self, targets: Collection[str]) -> bool:
        """Whether a family predicts it that states these kinds, or kinds of outcome."""
        return self.kind in targets or self.definition.outcome in targets

    @property
    def baseline(self) -> str:
        """The family that claims no skill."""
        return self.definition.baseline


POOL = "pool"
"""What the family of a pool of other candidates is called."""


class CandidateSpec(Spec):
    """A model family on trial, with its hyper-parameters; or a pool of other candidates."""

    family: Name
    name: Name = ""
    """Defaults to the family; needed when one family is tried twice."""
    params: dict[str, bool | int | float | str] = Field(default={})
    when_installed: bool = False
    """Leaves the candidate out where the package is missing that its family needs, as PyTorch may
    be; otherwise that is an error."""
    tune: TuningSpec | None = None
    """Searches hyper-parameters inside each training window; those in ``params`` stay fixed."""
    members: list[Name] = Field(default=[])
    """Of a pool: names of the forecast's candidates whose predictions are pooled."""
    weights: Literal["equal", "trailing", "stacked", "hedged"] = "equal"
    """Of a pool: equal; in inverse proportion to the mean loss of the newest 500 labels known;
    those that would have had the least loss on all labels known; or exponential in the losses of
    all labels known, with a bounded regret."""
    calibrate: bool | None = None
    """Of a direction: whether its probability is shrunk to the base rate; unset means that the
    forecast says so."""

    @field_validator("family")
    @classmethod
    def _known_family(cls, value: str) -> str:
        if value not in FAMILIES and value != POOL:
            able = ", ".join(sorted([*FAMILIES, POOL]))
            raise ValueError(f"no family {value!r}; choose one of {able}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _from_family_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"family": value, "name": value}
        if isinstance(value, dict) and "name" not in value and "family" in value:
            return {**value, "name": value["family"]}
        return value

    @property
    def pools(self) -> bool:
        """Whether it is a pool of other candidates."""
        return self.family == POOL

    @property
    def installed(self) -> bool:
        """Whether the packages are there that fit the family."""
        return self.pools or all(
            installed_version(library) for library in FAMILIES[self.family].libraries
        )

    @model_validator(mode="after")
    def _fixed_or_searched(self) -> CandidateSpec:
        both = sorted(set(self.params) & set(self.tune.space if self.tune else {}))
        if both:
            raise ValueError(f"{', '.join(both)}: both in params and in tune.space; give one")
        return self

    @model_validator(mode="after")
    def _members_make_a_pool(self) -> CandidateSpec:
        if not self.pools:
            if self.members or self.weights != "equal":
                raise ValueError(
                    f"members and weights are given with family: {POOL}, and only then"
                )
            return self
        if len(set(self.members)) < 2 or len(set(self.members)) < len(self.members):
            raise ValueError("a pool has two members or more, each once: name them in members")
        if self.params or self.tune or self.calibrate:
            raise ValueError("a pool has neither params nor tune nor calibrate; its members have")
        return self


Candidates = Annotated[
    list[
        Annotated[
            CandidateSpec,
            Shape(lambda it: {"anyOf": [{"type": "string", "enum": sorted(FAMILIES)}, it]}),
        ]
    ],
    Field(min_length=1),
]
"""Candidates, each by its settings or by the name of its family."""


class WalkForwardSpec(Spec):
    """How history is cut into folds, and how often a model is fitted again."""

    scheme: Literal["expanding", "rolling"] = "expanding"
    window: PositiveInt | None = None
    """Bars in a rolling training window."""
    first_test: date = date(2005, 1, 1)
    """No fold is tested before this day."""
    min_train: PositiveInt = 750
    """No fold is trained on fewer rows."""
    refit_every: PositiveInt = 252
    """Bars between two fits."""
    purge: NonNegativeInt | None = None
    """Rows dropped between train and test; at least, and by default, the horizon."""
    embargo: NonNegativeInt = 0
    """Further rows dropped after the purge."""

    @model_validator(mode="after")
    def _window_goes_with_rolling(self) -> WalkForwardSpec:
        if (self.scheme == "rolling") != (self.window is not None):
            raise ValueError("window is given with scheme: rolling, and only then")
        if self.window is not None and self.window < self.min_train:
            raise ValueError(
                f"window is {self.window}, below min_train, {self.min_train}: lower min_train, too"
            )
        return self


class PromotionRule(Spec):
    """When a champion is replaced, refreshed or demoted (DESIGN: judging and promoting)."""

    rule: Literal["sequential", "fixed"] = "sequential"
    """``fixed`` tests each look at ``significance`` / K, and demotes without a test."""
    min_rows: PositiveInt = 2000
    """Paired out-of-sample rows that a challenger needs (never below 1,000)."""
    significance: float = Field(default=0.05, gt=0, lt=0.5)
    """Share of years without any signal in which a recipe may be promoted."""
    min_skill: NonNegativeFloat = 0.001
    """Relative loss reduction against the baseline that counts as skill."""
    look_every_weeks: PositiveInt = 4
    cool_down_weeks: NonNegativeInt = 13
    demotion_rows: PositiveInt = 500
    """Trailing rows on which a champion that lost to the baseline is looked at by people."""
    demotion_rate: float = Field(default=0.05, gt=0, lt=0.5)
    """Share of years in which a champion as good as ever may be demoted."""
    live_level: float = Field(default=0.01, ge=0, lt=0.5)
    """Chance, over all its life, that live rows alone end a champion that is no worse than the
    baseline; 0: never."""
    refresh_rows: PositiveInt = 250
    refresh_max_degradation: NonNegativeFloat = 0.02

    @field_validator("min_rows")
    @classmethod
    def _at_least_a_thousand(cls, value: int) -> int:
        if value < 1000:
            raise ValueError("min_rows must be at least 1000: fewer rows cannot show skill")
        return value


def _known_feature_set(value: str) -> str:
    if value not in FEATURE_SETS:
        raise ValueError(f"no feature set {value!r}; choose one of {', '.join(FEATURE_SETS)}")
    return value


FeatureSetName = Annotated[Name, AfterValidator(_known_feature_set)]


class ForecastSpec(Spec):
    """A declared forecast."""

    name: Name
    term: str = Field(default="", exclude=True)
    """The declared forecast of several horizons of which it is one."""
    description: str = ""
    feed: Name
    target: TargetSpec
    features: FeatureSetName = "fx_close"
    """Name of a feature set."""
    candidates: Candidates
    walk_forward: WalkForwardSpec = WalkForwardSpec()
    promotion: PromotionRule = PromotionRule()
    suspicion: SuspicionRule = SuspicionRule()
    calibrate: bool = True
    """Of a direction: candidates' probabilities are shrunk to the base rate, as far as earlier ones
    were overconfident."""
    strategy: StrategySpec = StrategySpec()
    """What is done with it, at what costs; shown beside the verdict, never judged by."""
    coverage: float = Field(default=0.9, gt=0.5, lt=1)
    """Nominal coverage of the prediction interval."""
    quantiles: tuple[float, ...] | None = None
    """Levels, ascending, at which a predictive distribution is stated beside the value."""
    distribution: bool | DistributionName = False
    """``true`` states quantiles at 5, 25, 50, 75 and 95 % unless ``quantiles`` says others; or what
    the distribution is made of, ``garch_t`` (of returns only, and their default), ``conformal``,
    ``quantile_xgboost`` or ``quantile_lightgbm``."""
    abstain: float = Field(default=0.001, ge=0, lt=0.5)
    """Share of rows like those of training whose inputs are called out of range; 0: none."""
    live_from: date | None = None
    """First day that is predicted; unset means the newest day that the first decision knew."""
    retrain_cron: Cron = "0 18 * * 6"
    """When candidates are judged again, in the time zone of the feed's calendar."""
    watching: WatchingSpec = WatchingSpec()
    owners: list[str] = Field(default=["team:research"])

    @field_validator("abstain", mode="before")
    @classmethod
    def _may_be_off(cls, value: Any) -> Any:
        return 0.0 if value in ("off", False) else value

    @field_validator("candidates")
    @classmethod
    def _fit_the_target(
        cls, value: list[CandidateSpec], info: ValidationInfo
    ) -> list[CandidateSpec]:
        target = info.data.get("target")
        if target is None:
            return value
        for candidate in value:
            if candidate.calibrate and target.definition.outcome != "binary":
                raise ValueError(
                    f"{candidate.name} is to calibrate a {target.kind}, which is no probability; "
                    "leave out calibrate"
                )
            if candidate.pools:
                continue
            if not target.is_among(FAMILIES[candidate.family].targets):
                able = sorted(
                    n for n, family in FAMILIES.items() if target.is_among(family.targets)
                )
                raise ValueError(
                    f"{candidate.family} does not predict {target.kind}; "
                    f"choose one of {', '.join(able)}"
                )
        return value

    @field_validator("quantiles", "distribution")
    @classmethod
    def _of_the_target(cls, value: Any, info: ValidationInfo) -> Any:
        target = info.data.get("target")
        if target is not None and info.field_name == "quantiles":
            distribution_of(asked=False, levels=value, target=target.definition)
        elif target is not None:
            distribution_of(value, info.data.get("quantiles"), target.definition)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ForecastSpec:
        refusal = self.strategy.refusals(self.target.definition.outcome)
        if refusal:
            raise ValueError(refusal)
        names = [candidate.name for candidate in self.candidates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"candidates named twice: {', '.join(twice)}; give each its own name")
        able = {c.name for c in [self.baseline, *self.candidates] if not c.pools}
        for pool in (candidate for candidate in self.candidates if candidate.pools):
            unknown = [name for name in pool.members if name not in able]
            if unknown:
                raise ValueError(
                    f"{pool.name} pools {', '.join(unknown)}, which the forecast does not try; "
                    f"choose among {', '.join(sorted(able))}"
                )
        purge = self.walk_forward.purge
        if purge is not None and purge < self.target.horizon:
            raise ValueError(
                f"walk_forward.purge is {purge}, below the horizon of {self.target.horizon}: "
                "training labels would overlap the test rows"
            )
        return self

    @property
    def density(self) -> DistributionSpec | None:
        """The predictive distribution that is asked for."""
        return distribution_of(self.distribution, self.quantiles, self.target.definition)

    @property
    def purge(self) -> int:
        """Rows between train and test, without the embargo."""
        return self.walk_forward.purge or self.target.horizon

    @property
    def baseline(self) -> CandidateSpec:
        return CandidateSpec(family=self.target.baseline, name=self.target.baseline)

    @property
    def all_candidates(self) -> list[CandidateSpec]:
        """The baseline first, then the declared candidates."""
        others = [c for c in self.candidates if c.name != self.target.baseline]
        tried = [self.baseline, *(c for c in others if c.installed or not c.when_installed)]
        names = {candidate.name for candidate in tried}
        return [candidate for candidate in tried if names.issuperset(candidate.members)]

    def calibrates(self, candidate: CandidateSpec) -> bool:
        """Whether what a candidate says is shrunk to what the baseline says."""
        asked = self.calibrate if candidate.calibrate is None else candidate.calibrate
        plain = not candidate.pools and candidate.family != self.target.baseline
        return asked and plain and self.target.definition.outcome == "binary"

    def fitted_of(self, candidate: CandidateSpec) -> list[CandidateSpec]:
        """The candidates that are fitted for one, each once; none of them is made of others."""
        parts = self.made_of(candidate)
        if parts == [candidate]:
            return parts
        found = {leaf.name: leaf for part in parts for leaf in self.fitted_of(part)}
        return list(found.values())

    def made_of(self, candidate: CandidateSpec) -> list[CandidateSpec]:
        """The candidates that a pool pools; of a calibrated one itself as it is without, and the
        baseline; of another itself."""
        if self.calibrates(candidate):
            return [candidate.model_copy(update={"calibrate": False}), self.baseline]
        if not candidate.pools:
            return [candidate]
        known = {candidate.name: candidate for candidate in [*self.candidates, self.baseline]}
        return [known[name] for name in candidate.members]

    def recipe_hash(self, candidate: CandidateSpec) -> str:
        """Identifies family, hyper-parameters, tuning, feature set, target, refit cadence and
        calibration."""
        if candidate.pools:
            pooled = [self.recipe_hash(member) for member in self.made_of(candidate)]
            return digest({"pool": pooled, "weights": candidate.weights})
        if self.calibrates(candidate):
            return digest({"calibrated": [self.recipe_hash(c) for c in self.made_of(candidate)]})
        tuning = {} if candidate.tune is None else {"tune": candidate.tune.model_dump(mode="json")}
        return digest(
            {
                **tuning,
                "family": candidate.family,
                "params": candidate.params,
                "feed": self.feed,
                "features": self.features,
                "target": self.target.model_dump(mode="json"),
                "walk_forward": self.walk_forward.model_dump(mode="json"),
                "purge": self.purge,
            }
        )
