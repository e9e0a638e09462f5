"""A universe: many instruments of one source, forecast alike and judged together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any
from zlib import crc32

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from fx_assets.calendars import Calendar, Frequency
from fx_assets.specs.base import Name, Spec, complaint, digest
from fx_assets.specs.cron import Cron
from fx_assets.specs.distribution import DistributionName
from fx_assets.specs.feed import CalendarName, CheckRule, FeedSpec, GateSpec
from fx_assets.specs.forecast import (
    Candidates,
    FeatureSetName,
    ForecastSpec,
    PromotionRule,
    TargetSpec,
    WalkForwardSpec,
)
from fx_assets.specs.series import Series, series_of
from fx_assets.specs.sources import DayClose, Instrument
from fx_assets.specs.strategy import Costs, StrategySpec
from fx_assets.specs.suspicion import SuspicionRule
from fx_assets.specs.watching import FreshnessRule, WatchingSpec

FIRST_FIXING = date(1999, 1, 4)


class UniverseSource(Spec):
    """Where the bars of every instrument come from: the settings of a source, once for all.

    Texts may hold ``{instrument}`` (``EURUSD``), ``{lower}`` (``eurusd``), ``{base}`` and
    ``{quote}`` (its first three letters, and the rest), such as ``path: bars/{lower}.csv``.
    """

    model_config = ConfigDict(extra="allow")

    kind: str
    """Of the source, such as ``ecb``, ``files`` or ``ccxt``."""

    @property
    def settings(self) -> dict[str, Any]:
        """What is set beside the kind."""
        return dict(self.model_extra or {})

    @property
    def base(self) -> str:
        """The currency that every instrument is priced against, of the central bank's rates."""
        return str(self.settings.get("base", "EUR"))

    @property
    def fallback(self) -> bool:
        """Whether something may stand in for the provider."""
        return bool(self.settings.get("fallback", True))

    @property
    def lists_itself(self) -> bool:
        """Whether the source tells which instruments it has."""
        path = str(self.settings.get("path", ""))
        named = not path.startswith("s3://") and any(mark in path for mark in NAMED_FILES)
        return self.kind == "ecb" or named

    def of(self, instrument: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the source of one instrument.

        Parameters
        ----------
        own
            What is set for this instrument alone.
        """
        base, quote = instrument[:3], instrument[3:]
        names = {"instrument": instrument, "lower": instrument.lower(), "base": base} | {
            "quote": quote
        }
        settings = {"kind": self.kind, **_CUSTOM.get(self.kind, {}), **self.settings, **own}
        if self.kind in {"ecb", "frankfurter"}:
            settings["quote"] = own.get("quote", instrument.removeprefix(self.base))
        elif self.kind in {"files", "simulated", "coingecko"}:
            settings["instrument"] = instrument
        if self.kind == "simulated" and "seed" not in own:
            settings["seed"] = int(settings.get("seed", 0)) + crc32(instrument.encode())
        return {name: _filled(value, names) for name, value in settings.items()}


_CUSTOM: dict[str, dict[str, str]] = {
    "ccxt": {"symbol": "{base}/{quote}"},
    "twelve_data": {"symbol": "{base}/{quote}"},
    "cryptocompare": {"pair": "{base}-{quote}"},
}
"""How instruments are called by providers, unless the universe says otherwise."""
NAMED_FILES = ("{instrument}", "{lower}")
"""Marks in a path of files by which instruments are found."""


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    for name, text in names.items():
        value = value.replace(f"{{{name}}}", text)
    return value


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

    candidates: Candidates
    calibrate: bool = False
    """As of a forecast: of a direction, whether probabilities are shrunk to the base rate."""
    quantiles: tuple[float, ...] | None = None
    """As of a forecast: levels at which a predictive distribution is stated beside the value."""
    distribution: bool | DistributionName = False
    """As of a forecast."""
    strategy: StrategySpec = StrategySpec()
    """As of a forecast, with the costs of every instrument that has none in the universe's
    ``costs``."""

    @property
    def label(self) -> str:
        """Kind and horizon, as in ``volatility_1``."""
        return f"{self.kind}_{self.horizon}"

    @field_validator("horizon", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, list):
            raise ValueError(f"{value}: in a universe each horizon is a target of its own")
        return value

    @property
    def target(self) -> TargetSpec:
        return TargetSpec(kind=self.kind, horizon=self.horizon)


class UniverseSpec(Spec):
    """A declared universe."""

    name: Name
    description: str = ""
    source: UniverseSource
    failover: list[UniverseSource] = Field(default=[])
    """Asked in this order, of each instrument whose ``source`` does not answer."""
    instruments: dict[Instrument, dict[str, Any]] = Field(default={})
    """Names, or names with settings of the source that are theirs alone. Unset means all that the
    source has: every currency of the ECB, every file that ``path`` matches."""
    costs: dict[Instrument, Costs] = Field(default={})
    """What trading costs of the strategies of these instruments; of others as their target says."""
    calendar: CalendarName = "target"
    """When there are bars, as for a feed."""
    frequency: Frequency = "1d"
    day_close: DayClose | None = None
    delay_minutes: NonNegativeFloat | None = None
    start: date = FIRST_FIXING
    """First day that is kept."""
    targets: list[UniverseTarget] = Field(min_length=1)
    features: FeatureSetName = "fx_close"
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
    demotion_rate: float = Field(default=0.05, gt=0, lt=0.5)
    """As of a forecast's ``promotion``: share of years in which a champion as good as ever may be
    demoted."""
    live_level: float = Field(default=0.01, ge=0, lt=0.5)
    """As of a forecast's ``promotion``: chance, over all its life, that live rows alone end a
    champion that is no worse than the baseline; 0: never."""
    suspicion: SuspicionRule = SuspicionRule()
    """Verdicts beyond these are marked as too good to be true."""
    gate: GateSpec = GateSpec(
        missing_days=CheckRule(severity="warn", limit=0),
        zero_returns=CheckRule(severity="off", limit=0.4),
    )
    """Judges each instrument alone. Pauses and pegs are the membership's business."""
    coverage: float = Field(default=0.9, gt=0.5, lt=1)
    """Nominal coverage of the prediction interval."""
    watching: WatchingSpec = WatchingSpec(page=False)
    """As of a forecast; Evidently's page of every instrument only where it is asked for."""
    freshness: FreshnessRule = FreshnessRule()
    ingest_cron: Cron = ""
    """When new bars are looked for, in the calendar's time zone; unset means soon after they
    close."""
    automatic: bool = True
    """Whether its schedule and sensor start switched on."""
    workers: PositiveInt | None = None
    """Processes that walk forward; by default every core, and one where ``shard_size`` is set. The
    result does not depend on it."""
    shard_size: PositiveInt | None = None
    """Most instruments of one run; unset means all of them. The result does not depend on it."""
    owners: list[str] = Field(default=["team:research"])

    @model_validator(mode="before")
    @classmethod
    def _pegs_and_pauses_stay_out_of_the_gate(cls, value: Any) -> Any:
        """Keep this class's gate where a declaration sets only some of the checks."""
        if not isinstance(value, dict) or not isinstance(value.get("gate"), dict):
            return value
        ours = cls.model_fields["gate"].default.model_dump()
        return {**value, "gate": {**ours, **value["gate"]}}

    @field_validator("watching", mode="before")
    @classmethod
    def _no_page_unless_asked_for(cls, value: Any) -> Any:
        return {"page": False, **value} if isinstance(value, dict) else value

    @field_validator("instruments", mode="before")
    @classmethod
    def _names_are_enough(cls, value: Any) -> Any:
        if isinstance(value, list):
            twice = sorted({str(name) for name in value if value.count(name) > 1})
            if twice:
                raise ValueError(f"named twice: {', '.join(twice)}")
            return {str(name): {} for name in value}
        if isinstance(value, dict):
            return {name: {} if own is None else own for name, own in value.items()}
        return value

    @model_validator(mode="before")
    @classmethod
    def _of_forecasts_alone(cls, value: Any) -> Any:
        keys = [str(key) for key in value] if isinstance(value, dict) else []
        asked = [key for key in keys if key.startswith(("quantile", "distribution"))]
        if asked:
            raise ValueError(f"{asked[0]}: state it of a target, beside its candidates")
        return value

    @model_validator(mode="after")
    def _every_instrument_has_a_source(self) -> UniverseSpec:
        for instrument in self.instruments or [self.instrument("XXX")]:
            try:
                feed = self.feed(instrument)
            except ValidationError as error:
                reasons = [
                    ": ".join(filter(None, [".".join(map(str, each["loc"])), complaint(each)]))
                    for each in error.errors()
                ]
                who = f"{instrument}: " if instrument in self.instruments else ""
                raise ValueError(f"{who}{'; '.join(reasons)}") from None
            if feed.instrument != instrument:
                raise ValueError(
                    f"the source of {instrument} has {feed.instrument}: name its symbol, such as "
                    f"instruments: {{{instrument}: {{symbol: ...}}}}"
                )
        if not self.instruments and not self.source.lists_itself:
            raise ValueError(
                f"{self.source.kind} does not tell which instruments it has: list them, such as "
                "instruments: [EURUSD, GBPUSD]; of local files, write {instrument} or {lower} "
                "in path"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> UniverseSpec:
        keys = [(target.kind, target.horizon) for target in self.targets]
        twice = sorted({f"{kind} {h}" for kind, h in keys if keys.count((kind, h)) > 1})
        if twice:
            raise ValueError(f"targets declared twice: {', '.join(twice)}; join their candidates")
        for target in self.targets:
            if any(candidate.tune for candidate in target.candidates):
                raise ValueError("a universe does not tune: fix the hyper-parameters in params")
            if any(candidate.weights != "equal" for candidate in target.candidates):
                raise ValueError("a universe pools with equal weights only")
            if any(candidate.family == target.baseline for candidate in target.candidates):
                raise ValueError(f"{target.baseline} is what the candidates are compared with")
            try:
                self.forecast("any", target)
            except ValidationError as error:
                raise ValueError("; ".join(map(complaint, error.errors()))) from None
        return self

    @property
    def market(self) -> Calendar:
        """The calendar of the source's bars."""
        return self.example.market

    @property
    def cron(self) -> str:
        """When new bars are looked for, in the calendar's time zone."""
        return self.ingest_cron or self.example.ingest_cron

    @cached_property
    def example(self) -> FeedSpec:
        """The feed of one of the instruments."""
        return self.feed(next(iter(self.instruments), self.instrument("XXX")))

    @property
    def processes(self) -> int | None:
        """Processes of one run; every core where it is ``None``."""
        return self.workers or (None if self.shard_size is None else 1)

    def shards(self, instruments: Sequence[str]) -> list[list[str]]:
        """The instruments in groups of ``shard_size``, in their order; more make further groups."""
        size = self.shard_size or max(len(instruments), 1)
        return [list(instruments[at : at + size]) for at in range(0, len(instruments), size)]

    def is_named(self, instrument: str) -> bool:
        """Whether it is among the instruments that are named, or none is."""
        return not self.instruments or instrument in self.instruments

    def instrument(self, currency: str) -> str:
        """What a currency's price is called: ``EURUSD``."""
        return f"{self.source.base}{currency}"

    def feed(self, instrument: str) -> FeedSpec:
        """The feed that an instrument would have if it were declared alone."""
        return FeedSpec.model_validate(
            {
                "name": self._feed_name(instrument),
                "source": self.source.of(instrument, self.instruments.get(instrument, {})),
                "failover": [source.of(instrument, {}) for source in self.failover],
                "calendar": self.calendar,
                "frequency": self.frequency,
                "day_close": self.day_close,
                "delay_minutes": self.delay_minutes,
                "start": self.start,
                "gate": self._gate,
                "ingest_cron": self.ingest_cron,
                "freshness": self.freshness,
            }
        )

    @property
    def _gate(self) -> dict[str, Any]:
        """The gate; of intraday bars with the limits of their frequency where none is given."""
        given = self.gate.model_dump(include=self.gate.model_fields_set)
        if self.frequency != "1d":
            usual = type(self).model_fields["gate"].default
            for name in usual.model_fields_set:
                if getattr(self.gate, name) == getattr(usual, name):
                    given[name] = {"severity": getattr(usual, name).severity}
        return given

    def forecast(self, instrument: str, target: UniverseTarget) -> ForecastSpec:
        """The forecast that an instrument would have if it were declared alone."""
        return ForecastSpec(
            name=self.name,
            feed=self._feed_name(instrument),
            target=target.target,
            features=self.features,
            candidates=target.candidates,
            walk_forward=self.walk_forward,
            promotion=PromotionRule(live_level=self.live_level, demotion_rate=self.demotion_rate),
            suspicion=self.suspicion,
            coverage=self.coverage,
            calibrate=target.calibrate,
            quantiles=target.quantiles,
            distribution=target.distribution,
            strategy=self._strategy(instrument, target),
            watching=self.watching,
        )

    def _strategy(self, instrument: str, target: UniverseTarget) -> StrategySpec:
        own = self.costs.get(instrument)
        if own is None or target.strategy.kind == "none":
            return target.strategy
        return target.strategy.model_copy(update={"costs": own})

    @cached_property
    def id(self) -> str:
        """A short stable hash of everything that is declared."""
        return digest(self.model_dump(mode="json"))

    @property
    def calibrates(self) -> bool:
        """Whether what any candidate says is shrunk to what the baseline says."""
        told = [self.forecast("any", target) for target in self.targets]
        return any(one.calibrates(candidate) for one in told for candidate in one.candidates)

    def series(self, instrument: str, target: UniverseTarget) -> Series:
        """What a target of an instrument is about."""
        return series_of(self.forecast(instrument, target), self.feed(instrument))

    def _feed_name(self, instrument: str) -> str:
        return f"{self.name}_{instrument.lower()}"
