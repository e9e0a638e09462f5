"""A feed: an instrument's bars from one source at one frequency."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from fx_assets.calendars import (
    DAY_CLOSES,
    FREQUENCIES,
    OWN_CALENDARS,
    Calendar,
    Frequency,
    calendar,
    calendars_like,
    custom_close,
    frequencies_of,
    is_calendar,
    rests_at_weekends,
)
from fx_assets.doors import CHECKS
from fx_assets.specs.base import Name, Spec, digest
from fx_assets.specs.cron import Cron
from fx_assets.specs.sources import (
    DayClose,
    Source,
    source_class,
)
from fx_assets.specs.watching import FreshnessRule

Severity = Literal["block", "warn", "off"]


class CheckRule(Spec):
    """One check of the quality gate: what a finding does, and where it starts."""

    severity: Severity = "block"
    limit: float | None = Field(
        default=None, description="The check's threshold, where it has one."
    )

    @field_validator("severity", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare off as false


def _rule(severity: Severity, limit: float | None = None) -> CheckRule:
    return CheckRule(severity=severity, limit=limit)


class Confirmed(Spec):
    """A bar that looks wrong and is right: a devaluation, a crash, a redenomination."""

    day: date
    """The market's day of the bar."""
    close: float = Field(gt=0)
    """Its close; a bar of that day with another close is judged as ever."""
    reason: str = Field(min_length=1)


class GateSpec(Spec):
    """The checks of the quality gate, and where each of them starts.

    ``block``: a finding refuses the whole batch. ``warn``: it is reported and the batch goes on.
    ``off``: it is not looked for. Rows that no table can hold (broken, without a close, not
    positive, ambiguous, in the future) go to quarantine whatever the severity.
    """

    schema_and_types: CheckRule = _rule("block", 0)
    """Most rows whose cells cannot be read, or whose columns have the wrong type."""
    nulls: CheckRule = _rule("block", 0)
    """Most rows of a batch that may lack a close."""
    duplicates: CheckRule = _rule("block", 0)
    """Most rows of a batch that may share their event time with another."""
    non_positive: CheckRule = _rule("block", 0)
    """Most rows of a batch that may have a price of zero or below, or a negative volume or market
    capitalisation."""
    future_bars: CheckRule = _rule("block", 0)
    """Most rows of a batch that may close after now."""
    closed_days: CheckRule = _rule("block", 0)
    """Most bars of a batch that may close when no bar of the calendar does, on a closed day or off
    the grid of intraday bars. They go to quarantine; up to two, or two in a thousand, or
    additions to all bars that are due, only warn."""
    missing_days: CheckRule = _rule("block", 0)
    """Most open days without a bar between the first and the last that go without a word. It blocks
    when more than that, and more than a twentieth, are missing in the newest year; else it warns.
    Of intraday bars: the largest share of the bars due since 250 bars before the batch that may be
    missing."""
    revisions: CheckRule = _rule("block", 20)
    """Most stored bars that a batch may revise at once."""
    jumps: CheckRule = _rule("warn", 12.0)
    """A log return beyond this many trailing robust standard deviations is a jump."""
    scale_errors: CheckRule = _rule("block", 0.5)
    """A log return beyond this size is an error when it is a power of ten or an inversion, when it
    is undone within five bars, or while no later bar confirms it."""
    date_errors: CheckRule = _rule("block", 1.5)
    """How many times rougher the path may be than with day and month exchanged (real: below 1)."""
    zero_returns: CheckRule = _rule("block", 0.4)
    """Largest share of unchanged closes in the last 250 returns, or those of a day where that is
    longer (real: below 0.36 daily). Where prices hardly ever moved, as of pegs, it only warns."""
    ohlc_consistency: CheckRule = _rule("block", 0)
    """Most bars of a batch whose high or low does not contain open and close, by more than a unit
    of the last decimal of the prices around."""
    stale_close: CheckRule = _rule("block", 0.3)
    """Largest correlation of (high+low)/2/close - 1 with the next return (stale closes: 0.8), and
    of bars of 1h and more the largest share whose close equals the open (stale: 0.73)."""
    price_ranges: CheckRule = _rule("block", 0.25)
    """How far, in log price, a high, low or open may lie off the rest of its bar where a year's
    volatility is up to 6.25 %; beyond, in proportion to it. Half as far warns."""
    wide_bars: CheckRule = _rule("block", 0.4)
    """Largest share of the bars of one time of day, in 60 days, that hold the range or the volume
    of a whole day (daily: of one weekday in a year, those of a week)."""
    stuck_prices: CheckRule = _rule("block", 20)
    """Most closes in a row that do not move, or repeat those of a day or a week before, where the
    price moves otherwise."""
    volumes: CheckRule = _rule("block", 500.0)
    """How many times a volume may exceed that of one bar in twenty."""
    references: CheckRule = _rule("block", 0.25)
    """By how much returns may correlate more closely with the next or last return of another
    history of the instrument than with that of the same day."""
    own: dict[Name, CheckRule] = Field(
        default={}, description="Checks of plug-ins that are to look at these bars, by name."
    )
    confirmed: list[Confirmed] = Field(
        default=[], description="Bars an operator has examined and found right, by day and close."
    )
    known_bad: list[date] = Field(
        default=[], description="Days an operator has examined; their bars go to quarantine."
    )

    @field_validator("own")
    @classmethod
    def _known_checks(cls, value: dict[str, CheckRule]) -> dict[str, CheckRule]:
        for name in value:
            if name in cls.model_fields:
                raise ValueError(f"{name} is a check of every gate; write it beside own, not below")
            if name not in CHECKS:
                theirs = [known for known in CHECKS if known not in cls.model_fields]
                raise ValueError(f"no check {name!r}; plug-ins offer {', '.join(theirs) or 'none'}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _keep_the_rest_of_a_rule(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        filled = dict(value)
        for name, rule in value.items():
            field = cls.model_fields.get(name)
            if isinstance(rule, dict) and field and isinstance(field.default, CheckRule):
                filled[name] = field.default.model_dump() | rule
        return filled


_INTRADAY: dict[str, tuple[CheckRule, ...]] = {
    "missing_days": (_rule("warn", 0.02),) * 6,
    "revisions": tuple(_rule("block", n) for n in (1440, 288, 96, 48, 24, 20)),
    "jumps": (_rule("warn", 20.0),) * 6,
    "zero_returns": (
        *(_rule("warn", 0.9), _rule("warn", 0.8), _rule("block", 0.8), _rule("block", 0.7)),
        *(_rule("block", 0.5), _rule("block", 0.5)),
    ),
    "wide_bars": (*(_rule("block", 0.4),) * 5, _rule("block", 0.7)),
    "stuck_prices": tuple(_rule("block", n) for n in (3600, 720, 240, 120, 60, 20)),
    "stale_close": (*(_rule("warn", 0.7),) * 4, _rule("block", 0.5), _rule("block", 0.5)),
}
"""Rules of intraday bars, by frequency from 1min to 4h, where they differ from those of daily bars:
the shorter the bar, the more often its close does not move or bounces between bid and ask."""


def gate_defaults(frequency: Frequency) -> GateSpec:
    """The checks of the gate for bars of a frequency, where a feed leaves them open."""
    if frequency not in FREQUENCIES or frequency == "1d":
        return GateSpec()
    place = FREQUENCIES.index(frequency)
    return GateSpec().model_copy(update={name: rules[place] for name, rules in _INTRADAY.items()})


def _cron_after(day_close: str, delay: float, *, weekdays: bool) -> str:
    """Ten minutes after a daily bar is published, in its own zone, and again every two hours."""
    clock = day_close.partition(" ")[0]
    try:
        close = time.fromisoformat(clock)
    except ValueError:
        return ""
    minutes = close.hour * 60 + close.minute + 10 + round(delay)
    later, first = divmod(minutes // 60, 24)
    later += close == time()
    hours = [hour for hour in range(first, first + 5, 2) if hour < 24]
    days = "*" if not weekdays else _WEEKDAYS_LATER[later % 7]
    return f"{minutes % 60} {','.join(map(str, hours))} * * {days}"


_WEEKDAYS_LATER = ("1-5", "2-6", "0,3-6", "0,1,4-6", "0-2,5,6", "0-3,6", "0-4")
"""Monday to Friday, so many days later."""


INGEST_CRONS: dict[str, str] = {
    "target": "10 16,17,19 * * 1-5",
    "24x5": _cron_after(DAY_CLOSES["24x5"], 0, weekdays=True),
    "24x7": _cron_after(DAY_CLOSES["24x7"], 0, weekdays=False),
}
"""When daily bars are fetched, unless the feed says otherwise: publication can be late."""
INTRADAY_CRONS: dict[str, str] = {
    "1min": "* * * * *",
    "5min": "*/5 * * * *",
    "15min": "1-59/15 * * * *",
    "30min": "1,31 * * * *",
    "1h": "1 * * * *",
    "4h": "1 */4 * * *",
}


def _calendar_name(value: str) -> str:
    if is_calendar(value):
        return value
    like = calendars_like(value)
    hint = f" Did you mean {' or '.join(map(repr, like))}?" if like else ""
    own = ", ".join(map(repr, OWN_CALENDARS))
    raise ValueError(
        f"no calendar {value!r}.{hint} Allowed: {own}, an exchange such as 'NYSE' or 'XLON', a "
        "country such as 'US' or 'JP'"
    )


CalendarName = Annotated[str, AfterValidator(_calendar_name)]


class FeedSpec(Spec):
    """A declared feed."""

    name: Name
    description: str = ""
    source: Source
    failover: list[Source] = Field(default=[])
    """Asked in this order when ``source`` does not answer; each bar says whom it came from."""
    calendar: CalendarName = "target"
    """When there are bars: ``target``, ``24x5``, ``24x7``, or of daily bars an exchange (``NYSE``)
    or a country (``US``), whose weekdays without holidays are meant."""
    frequency: Frequency = "1d"
    day_close: DayClose | None = None
    """When a daily bar closes, such as ``17:00 America/New_York``; midnight ends the day.
    Unset means the calendar's custom."""
    delay_minutes: NonNegativeFloat | None = None
    """Minutes from a bar's close until it can be known; unset means the provider's custom."""
    start: date = date(1999, 1, 4)
    """First day that is kept."""
    edition: PositiveInt = 1
    """Raised by a person when the provider has replaced its history as a whole."""
    gate: GateSpec = GateSpec()
    ingest_cron: Cron = ""
    """When new bars are fetched, in the calendar's time zone; unset means soon after they close."""
    freshness: FreshnessRule = FreshnessRule()
    automatic: bool = True
    """Whether schedules and sensors start switched on, and ``fx-assets run`` without names
    includes it; off for feeds that need a network or a key."""
    owners: list[str] = Field(default=["team:research"])

    @model_validator(mode="before")
    @classmethod
    def _soon_after_the_close(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("ingest_cron"):
            return value
        frequency, market = value.get("frequency", "1d"), value.get("calendar", "target")
        if frequency in INTRADAY_CRONS:
            return {**value, "ingest_cron": INTRADAY_CRONS[frequency]}
        day_close = value.get("day_close") or (
            custom_close(str(market)) if is_calendar(str(market)) else None
        )
        if market == "target" or day_close is None:
            return {**value, "ingest_cron": INGEST_CRONS["target"]}
        source = value.get("source")
        kind = source.get("kind") if isinstance(source, dict) else getattr(source, "kind", None)
        delay = value.get("delay_minutes")
        usual = getattr(source_class(kind), "publication_delay", 0)
        late = delay if isinstance(delay, int | float) else usual
        weekdays = is_calendar(str(market)) and rests_at_weekends(str(market))
        return {**value, "ingest_cron": _cron_after(str(day_close), late, weekdays=weekdays)}

    @model_validator(mode="before")
    @classmethod
    def _gate_of_the_frequency(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("frequency", "1d") == "1d":
            return value
        given = value.get("gate", {})
        if isinstance(given, GateSpec):
            given = given.model_dump(include=given.model_fields_set)
        if not isinstance(given, dict):
            return value
        defaults = gate_defaults(value["frequency"]).model_dump(include=set(_INTRADAY))
        filled = {
            name: defaults[name] | rule if name in defaults and isinstance(rule, dict) else rule
            for name, rule in given.items()
        }
        return {**value, "gate": {**defaults, **filled}}

    @model_validator(mode="after")
    def _source_fits_the_calendar(self) -> FeedSpec:
        if self.calendar == "target" and (self.frequency != "1d" or self.day_close):
            raise ValueError(
                "the calendar target has one fixing a day; for bars of exchanges and brokers "
                "choose calendar: 24x7 or 24x5"
            )
        self._refuse_what_the_calendar_does_not_tell()
        if self.frequency != "1d" and self.day_close:
            raise ValueError(f"day_close is for daily bars, and these are of {self.frequency}")
        for source in (self.source, *self.failover):
            able = source.frequencies
            if self.frequency not in able:
                raise ValueError(
                    f"{source.kind} has no bars of {self.frequency}; it has {', '.join(able)}"
                )
            if source.fixing and self.calendar != "target":
                raise ValueError(f"{source.kind} has fixings of TARGET days: use calendar: target")
            if source.instrument != self.source.instrument:
                raise ValueError(
                    f"failover to {source.kind} would bring {source.instrument} bars into a feed "
                    f"of {self.source.instrument}"
                )
        return self

    def _refuse_what_the_calendar_does_not_tell(self) -> None:
        able = frequencies_of(self.calendar)
        if self.frequency not in able:
            raise ValueError(
                f"the calendar {self.calendar} has no bars of {self.frequency}: it is for bars of "
                f"{', '.join(able)}; choose calendar: 24x5 or 24x7"
            )
        if self.day_close is None and custom_close(self.calendar) is None:
            raise ValueError(
                f"the calendar {self.calendar} does not tell when a day closes; set day_close, "
                "such as 12:00 America/New_York"
            )

    @property
    def instrument(self) -> str:
        return self.source.instrument

    @property
    def market(self) -> Calendar:
        """The calendar of the feed's bars."""
        if self.calendar == "target":
            return calendar("target")
        return calendar(f"{self.calendar}|{self.frequency}|{self.day_close or ''}|{self._delay:g}")

    @property
    def reading(self) -> str:
        """A short stable hash of everything that decides what a bar of this feed means."""
        return digest(self.reading_facts)

    @property
    def reading_facts(self) -> dict[str, str]:
        """What decides the meaning of a bar, by setting: the source's, and when bars close.

        Where bars are fetched from, from when on, and how they are judged do not belong to it. A
        setting that is left open reads the same as one that repeats the custom.
        """
        facts = {f"source.{name}": value for name, value in self.source.reading.items()}
        facts |= {"calendar": self.calendar, "frequency": self.frequency}
        if self.edition > 1:
            facts["edition"] = str(self.edition)
        if self.calendar == "target":
            return facts
        if self.frequency == "1d":
            facts["day_close"] = self.day_close or custom_close(self.calendar) or ""
        return facts | {"delay_minutes": f"{self._delay:g}"}

    @property
    def _delay(self) -> float:
        if self.delay_minutes is not None:
            return self.delay_minutes
        return self.source.publication_delay
