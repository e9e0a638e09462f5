"""What goes in and out of the API, as msgspec types; OpenAPI is made from these."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from fx_assets.targets import Metric, Reference, ValueFormat, Wording
from fx_assets.targets.shown import Outcome

Kind = Annotated[
    str, Meta(description="A kind of target: direction, return, volatility, or a plug-in's.")
]
Mode = Literal["live", "late", "backtest", "supplied"]
Verdict = Literal["fresh", "late", "stale"]

Instant = Annotated[datetime, Meta(description="UTC.")]
Close = Annotated[float, Meta(gt=0, le=1e12, description="The bar's close: a positive price.")]
Amount = Annotated[float, Meta(ge=0, le=1e18)]
Day = Annotated[date, Meta(description="The market's local date.")]


SeriesId = Annotated[
    str | None,
    Meta(
        description="Which series it is about, as in GET /v1/forecasts/{forecast}/series; null of "
        "a champion of before bundles said it."
    ),
]


class Interval(Struct):
    """Where the outcome is expected, or for a probability the share of ups it stood for."""

    lower: float
    upper: float
    coverage: Annotated[float, Meta(description="Nominal coverage, such as 0.9.")]


class Quantile(Struct):
    """The value below which the outcome is expected to lie with the probability ``level``."""

    level: float
    value: float


class Below(Struct):
    """How probable an outcome of at most ``value`` is, by the forecast's distribution."""

    value: float
    probability: float


class Baseline(Struct):
    """What the recipe without any skill says."""

    name: str
    value: float | None


class Data(Struct):
    """The newest bar that the forecast is made from."""

    day: Day
    event_time: Annotated[datetime, Meta(description="When that bar closed (UTC).")]
    as_of: Annotated[datetime, Meta(description="When that bar became known (UTC).")]
    close: float | None
    age_seconds: Annotated[float, Meta(description="Time since ``as_of``, as of this answer.")]
    missing_bars: Annotated[int, Meta(description="Bars that should be known by now and are not.")]
    freshness: Annotated[
        Verdict, Meta(description="fresh: no bar is missing; late: one is; stale: more are.")
    ]
    next_bar_expected: Instant


class ChampionRef(Struct):
    """The model that predicts."""

    name: str
    family: str
    version: Annotated[int, Meta(description="Number of the published bundle.")]
    recipe: Annotated[str, Meta(description="Hash of the recipe.")]
    code_version: str
    trained_through: Instant
    label_end: Annotated[datetime, Meta(description="When its last training label was known.")]


class Benchmark(Struct):
    """The champion beside a benchmark on identical out-of-sample rows; no figure beside itself."""

    name: str
    score: Annotated[float, Meta(description="The benchmark's.")]
    skill: Annotated[float | None, Meta(description="1 - score of the champion / its score.")]
    lower: Annotated[float | None, Meta(description="Of its 95 % interval.")]
    upper: float | None
    clark_west_p: Annotated[
        float | None, Meta(description="Small where the champion knows what it does not.")
    ]
    diebold_mariano_p: Annotated[
        float | None, Meta(description="Small where the champion's forecasts are better.")
    ]


class SkillVerdict(Struct):
    """What may be said of the champion's skill."""

    word: Annotated[
        str,
        Meta(
            description="demonstrated: both tests hold against baseline and reference, and both "
            "intervals lie above zero. knows something: Clark and West's test holds against both. "
            "not demonstrated: anything less."
        ),
    ]
    sentence: str
    rows: int
    needed_p: Annotated[float, Meta(description="What the p-values have to lie below.")]
    tried: Annotated[
        int, Meta(description="Recipes tried on the series so far; of a universe its tests.")
    ]
    baseline: Benchmark
    reference: Annotated[
        Benchmark, Meta(description="What a practitioner would use without any work.")
    ]


class Skill(Struct):
    """Out-of-sample score against the baseline, and whether it is more than luck."""

    demonstrated: Annotated[bool, Meta(description="Whether the verdict's word is so.")]
    metric: Annotated[str, Meta(description="The proper score: brier, mse or qlike.")]
    score: float | None
    baseline_score: float | None
    skill: Annotated[float | None, Meta(description="1 - score / baseline score.")]
    lower: Annotated[float | None, Meta(description="Of its 95 % interval.")]
    upper: float | None
    rows: int
    caveat: Annotated[
        str | None,
        Meta(
            description="What has to be said with it: lowered checks that the bars failed, or a "
            "result beyond what is plausible, and who acknowledged it why."
        ),
    ] = None
    failed_checks: Annotated[
        list[str],
        Meta(description="Checks that would have refused the bars, had they not been lowered."),
    ] = []
    verdict: Annotated[
        SkillVerdict | None, Meta(description="Absent where it was issued before it was said.")
    ] = None


class TermPoint(Struct, kw_only=True):
    """What a forecast of several horizons says of one of them."""

    horizon: Annotated[int, Meta(description="Bars ahead.")]
    forecast: Annotated[str, Meta(description="The horizon's own name, for every other route.")]
    event_time: Annotated[
        datetime, Meta(description="Close of the bar that it is made from (UTC).")
    ]
    target_time: Instant
    target_day: Day
    value: Annotated[
        float,
        Meta(description="Of a variance at least that of each shorter horizon, else as issued."),
    ]
    issued: Annotated[float, Meta(description="What was issued, and is scored.")]
    interval: Annotated[Interval, Meta(description="Times value / issued, of a variance.")]
    quantiles: Annotated[
        list[Quantile] | None, Meta(description="Likewise; null unless it states them.")
    ]
    baseline: Baseline
    champion: str
    version: int
    demonstrated: Annotated[bool, Meta(description="Whether its skill is more than luck.")]
    verdict: Annotated[
        str | None, Meta(description="demonstrated, knows something or not demonstrated.")
    ] = None


class Forecast(Struct, kw_only=True):
    """A forecast with all that is needed to judge it."""

    forecast: str
    instrument: str
    target: Kind
    horizon: Annotated[int, Meta(description="Bars ahead.")]
    bars_a_year: Annotated[int, Meta(description="About how many bars the feed has in a year.")]
    unit: Annotated[str, Meta(description="Of value, interval and baseline.")]
    format: Annotated[ValueFormat, Meta(description="How to show value, interval and baseline.")]
    value: float
    interval: Interval
    baseline: Baseline
    decision_time: Instant
    target_time: Annotated[datetime, Meta(description="When the predicted bar closes (UTC).")]
    target_day: Annotated[date, Meta(description="The market's day of the predicted bar.")]
    mode: Annotated[
        Mode,
        Meta(
            description="live: issued before the outcome; late: issued after it from what was "
            "known before; backtest: walk-forward; supplied: from the caller's data."
        ),
    ]
    data: Data
    champion: ChampionRef
    skill: Skill
    stale: Annotated[
        str | None,
        Meta(description="Why the lake could not be asked, when the last good copy answers."),
    ] = None
    out_of_range: Annotated[
        list[str], Meta(description="Inputs outside of what training saw.")
    ] = []
    sentence: Annotated[
        str | None, Meta(description="An issued forecast in words; null for supplied data.")
    ] = None
    issued_at: Annotated[
        datetime | None, Meta(description="When it was issued (UTC); null for supplied data.")
    ] = None
    good_until: Annotated[
        datetime | None, Meta(description="When the next is due, by the market's calendar (UTC).")
    ] = None
    expired: Annotated[bool, Meta(description="Whether that has passed.")] = False
    abstained: Annotated[
        str | None,
        Meta(
            description="Why value is the reference's (or the baseline's) and not the champion's: "
            "which inputs are how far from what training saw; null where the champion was heard."
        ),
    ] = None
    ledger_head: Annotated[
        str | None,
        Meta(
            description="Hash of this row and of all that were issued before it: who keeps it can "
            "prove later that nothing of that was rewritten (`fx-assets verify --head`)."
        ),
    ] = None
    series: SeriesId = None
    quantiles: Annotated[
        list[Quantile] | None,
        Meta(description="In units of value, never descending; null unless it states them."),
    ] = None
    below: Annotated[Below | None, Meta(description="Where ``below=`` asks for it.")] = None
    term: Annotated[
        list[TermPoint] | None,
        Meta(description="All horizons, where a forecast of several is asked for by its name."),
    ] = None


class Newest(Struct):
    """The newest issued forecast, in short."""

    value: float
    lower: float
    upper: float
    target_time: Instant
    target_day: Day
    issued_at: Instant


class Unpublished(Struct):
    """A declared forecast or universe of which nothing is served yet."""

    forecast: str
    instrument: Annotated[str | None, Meta(description="Null for a universe.")]
    title: Annotated[str, Meta(description="What is to be predicted, in a word or two.")]
    horizon: Annotated[int | None, Meta(description="Bars ahead; null for a universe.")]
    paused: bool
    state: Annotated[
        Literal["not published", "refused", "of another series"],
        Meta(description="Nothing is published, or what is published is not served."),
    ]
    reason: Annotated[
        str | None,
        Meta(description="What is waited for, or why what is published is not served."),
    ] = None


class ForecastSummary(Struct):
    """A forecast that is served."""

    forecast: str
    instrument: str
    target: Kind
    title: Annotated[str, Meta(description="What is predicted, in a word or two.")]
    horizon: int
    unit: str
    format: ValueFormat
    feed: str
    champion: ChampionRef
    skill: Skill
    data: Data | None
    stale: str | None
    refused: Annotated[
        str | None, Meta(description="Why a newer champion was refused, if one was.")
    ]
    series: SeriesId = None
    bars_a_year: Annotated[int, Meta(description="About how many bars the feed has in a year.")] = 0
    newest: Annotated[Newest | None, Meta(description="Null while none has been issued.")] = None
    published_at: Annotated[
        datetime | None,
        Meta(description="When its champion was published (UTC): forecasts are due from then on."),
    ] = None
    term: Annotated[
        str | None, Meta(description="The forecast of several horizons of which it is one.")
    ] = None
    paused: Annotated[
        bool, Meta(description="Whether its updates are not started by themselves.")
    ] = False
    retired: Annotated[
        bool, Meta(description="Whether it is declared no more, so that nothing updates it.")
    ] = False


class UniverseTarget(Struct):
    """What is predicted of every member of a universe."""

    target: Kind
    horizon: Annotated[int, Meta(description="Bars ahead.")]
    unit: str
    baseline: str
    title: str
    format: ValueFormat
    outcomes: Annotated[
        tuple[str, str] | None, Meta(description="Of a binary target: what 0 and 1 mean.")
    ] = None


class UniverseSummary(Struct):
    """A forecast of many instruments."""

    forecast: str
    description: str
    bars_a_year: int
    targets: list[UniverseTarget]
    instruments: list[str]
    paused: Annotated[
        bool, Meta(description="Whether its updates are not started by themselves.")
    ] = False
    retired: Annotated[
        bool, Meta(description="Whether it is declared no more, so that nothing updates it.")
    ] = False


class Said(Struct, kw_only=True):
    """The newest prediction of a target of an instrument."""

    instrument: str
    target: Kind
    horizon: Annotated[int, Meta(description="Bars ahead.")]
    event_time: Instant
    day: Day
    target_time: Instant
    target_day: Annotated[str, Meta(description="The market's day of the predicted bar.")]
    mode: Mode
    value: float
    lower: float | None
    upper: float | None
    baseline: float | None
    champion: str
    demonstrated: Annotated[bool, Meta(description="Whether its skill is more than luck.")]
    verdict: Annotated[
        str | None, Meta(description="demonstrated, knows something or not demonstrated.")
    ] = None
    skill: Annotated[
        float | None, Meta(description="Out of sample, against the baseline: what is told with it.")
    ] = None
    skill_on_reference: Annotated[
        float | None, Meta(description="The champion's, against what costs no work.")
    ] = None
    outcomes: Annotated[int, Meta(description="Live predictions whose outcome is known.")] = 0
    inside: Annotated[
        float | None, Meta(description="Share of these that lay within their interval.")
    ] = None
    live_skill: Annotated[
        float | None, Meta(description="1 - their mean loss / that of the baseline.")
    ] = None
    came: Annotated[float | None, Meta(description="The newest outcome that is known.")] = None
    came_time: Annotated[datetime | None, Meta(description="When that bar closed (UTC).")] = None
    came_day: Annotated[str | None, Meta(description="The market's day of that bar.")] = None


class InstrumentState(Struct):
    """An instrument of a universe."""

    instrument: str
    state: Annotated[str, Meta(description="member, pegged, left or young.")]


class Instruments(Struct, kw_only=True):
    """The instruments of a universe, and what is said of them."""

    forecast: str
    bars_a_year: int
    targets: list[UniverseTarget]
    instruments: list[InstrumentState]
    said: Annotated[list[Said], Meta(description="The newest prediction of each.")]


class ForecastList(Struct):
    """Every forecast that is served."""

    forecasts: list[ForecastSummary]
    universes: Annotated[
        list[UniverseSummary], Meta(description="Forecasts of many instruments, judged together.")
    ] = []
    unpublished: Annotated[
        list[Unpublished],
        Meta(description="Declared forecasts and universes of which nothing is served."),
    ] = []


class Features(Struct, forbid_unknown_fields=True):
    """The inputs of one prediction; see the model card for names, units and ranges."""

    features: Annotated[
        dict[str, float], Meta(description="Each of the champion's inputs by name, in any order.")
    ]


class FeatureRows(Struct, forbid_unknown_fields=True):
    """The inputs of several predictions."""

    rows: Annotated[
        list[dict[str, float]], Meta(min_length=1, description="One object a prediction.")
    ]


class Bar(Struct, forbid_unknown_fields=True):
    """One bar; a daily one has a ``day``, an intraday one an ``event_time``."""

    close: Close
    day: Day | None = None
    event_time: Annotated[datetime, Meta(tz=True, description="When the bar closes.")] | None = None
    open: Close | None = None
    high: Close | None = None
    low: Close | None = None
    volume: Amount | None = None
    market_cap: Amount | None = None


class Bars(Struct, forbid_unknown_fields=True):
    """Consecutive bars; the forecast is made at the newest of them."""

    bars: Annotated[
        list[Bar],
        Meta(min_length=2, description="One for each close, in any order. Give 300 or more."),
    ]


class BarSeries(Struct, forbid_unknown_fields=True):
    """Several series of bars."""

    series: Annotated[list[Bars], Meta(min_length=1, description="One a prediction.")]


class Forecasts(Struct):
    """Answers in the order of the request."""

    forecasts: list[Forecast]


class HistoryRow(Struct, kw_only=True):
    """A prediction and what came of it."""

    event_time: Instant
    day: Annotated[date, Meta(description="The market's day of the bar that it is made from.")]
    target_time: Instant
    target_day: Annotated[date, Meta(description="The market's day of the bar it is about.")]
    mode: Mode
    champion: str
    version: Annotated[str | None, Meta(description="Null for a backtest.")]
    prediction: float
    lower: float | None
    upper: float | None
    baseline: float | None
    outcome: Annotated[float | None, Meta(description="Null while it is not known.")]
    loss: Annotated[float | None, Meta(description="Proper score; lower is better.")]
    baseline_loss: float | None
    inside_interval: bool | None
    caveat: Annotated[
        str | None, Meta(description="Said with the skill when it was issued; null for a backtest.")
    ] = None
    quantiles: Annotated[
        list[Quantile] | None,
        Meta(description="As it was stated, or walked forward; null where none is. JSON in CSV."),
    ] = None


class History(Struct):
    """A page of predictions, newest first."""

    forecast: str
    bars_a_year: Annotated[int, Meta(description="About how many bars the feed has in a year.")]
    rows: list[HistoryRow]
    next: Annotated[str | None, Meta(description="Path of the next page of older rows.")]
    series: SeriesId = None


class Measure(Struct):
    """A metric with its 95 % interval beside the baseline's value."""

    metric: str
    value: float | None
    lower: float | None
    upper: float | None
    rows: int
    baseline: Annotated[
        float | None, Meta(description="Of the baseline; for pr_auc the share of ups.")
    ]


class SkillPoint(Struct):
    """Skill over the window of outcomes that ends here."""

    event_time: Instant
    day: Day
    skill: float | None
    lower: float | None
    upper: float | None


class HitPoint(Struct):
    """How often it was on the right side, over the window of outcomes that ends here."""

    event_time: Instant
    day: Day
    rate: float
    lower: Annotated[float, Meta(description="Of its binomial 95 % interval.")]
    upper: float
    baseline: Annotated[
        float | None, Meta(description="The baseline's; null where it takes no side.")
    ]


class Bin(Struct):
    """What happened when it said about this."""

    rows: int
    predicted: float
    observed: float
    lower: float
    upper: float


class Coverage(Struct):
    """How often outcomes were inside of the interval."""

    nominal: float | None
    backtest: Annotated[float | None, Meta(description="Measured, walking forward.")]
    live: Annotated[float | None, Meta(description="Of issued predictions with an outcome.")]
    live_rows: int


class Calibration(Struct, kw_only=True):
    """Where outcomes fell in the distributions that were stated before them, walking forward."""

    family: Annotated[str, Meta(description="What the distribution is made of.")]
    rows: int
    histogram: Annotated[
        list[float],
        Meta(description="Shares of the probability integral transforms in 20 equal bins."),
    ]
    distance: Annotated[float, Meta(description="Largest distance from uniformity.")]
    p_value: Annotated[
        float, Meta(description="Of uniformity, by blocks of rows; small where it is wrong.")
    ]
    below: Annotated[
        list[Quantile], Meta(description="Each level, and the share of outcomes below its value.")
    ]


class EarnedFigure(Struct):
    """A figure of what following the forecast would have earned, with its 95 % interval."""

    figure: str
    title: str
    unit: Annotated[
        str, Meta(description="share, share a year, probability, or empty of a plain number.")
    ]
    value: float | None
    lower: float | None
    upper: float | None
    rows: int


class Economics(Struct, kw_only=True):
    """What following the forecast would have earned after costs; nothing is decided by it."""

    sentence: str
    measured_at: Instant
    backtest: Annotated[
        list[EarnedFigure],
        Meta(description="By walk-forward predictions; empty where the strategy was refused."),
    ]
    live: Annotated[list[EarnedFigure], Meta(description="By issued ones; empty below 30 of them.")]


class Performance(Struct, kw_only=True):
    """How good the champion's recipe was; backtest and live are never mixed."""

    forecast: str
    champion: ChampionRef
    backtest: list[Measure]
    live: Annotated[
        list[Measure], Meta(description="Of live predictions; empty below 30 outcomes.")
    ]
    live_rows: int
    window: Annotated[int, Meta(description="Rows of a rolling window.")]
    rolling: list[SkillPoint]
    reliability: Annotated[list[Bin], Meta(description="For directions; else empty.")]
    coverage: Coverage
    hits: Annotated[
        list[HitPoint],
        Meta(description="Of the backtest; empty for targets without sides, such as volatility."),
    ] = []
    calibration: Annotated[
        Calibration | None, Meta(description="Null unless the forecast states a distribution.")
    ] = None
    economics: Annotated[
        Economics | None, Meta(description="Null unless the forecast declares a strategy.")
    ] = None
    series: SeriesId = None


class InputFact(Struct):
    """An input of the model."""

    name: str
    unit: str
    least: Annotated[float | None, Meta(description="Smallest value that training saw.")]
    greatest: float | None


class ModelCard(Struct, kw_only=True):
    """What the champion is and where it comes from."""

    forecast: str
    instrument: str
    feed: str
    target: Kind
    horizon: int
    bars_a_year: int
    unit: str
    format: ValueFormat
    outcome: Annotated[
        Outcome, Meta(description="0 or 1, any number, or a number that is not negative.")
    ]
    wording: Wording
    baseline: Annotated[str, Meta(description="The family that claims no skill.")]
    metric_titles: Annotated[dict[str, Metric], Meta(description="By the metric's name.")]
    reference: Annotated[
        Reference, Meta(description="What a practitioner would use without any work.")
    ]
    champion: ChampionRef
    published_at: Instant
    params: dict[str, Any]
    seed: int
    feature_set: str
    inputs: list[InputFact]
    training: Annotated[
        dict[str, Any],
        Meta(
            description="Rows, window, row hash and Delta versions; how its bars are "
            "shown; the commit and image that fitted it."
        ),
    ]
    decision: Annotated[dict[str, Any], Meta(description="The record that made it champion.")]
    history: Annotated[list[dict[str, Any]], Meta(description="Every decision, newest first.")]
    metrics: list[Measure]
    skill: Skill
    intervals: dict[str, Any]
    mlflow: Annotated[dict[str, Any], Meta(description="Run and registered version.")]
    parity: Annotated[dict[str, float], Meta(description="Graph against fitted object.")]
    files: Annotated[dict[str, Any], Meta(description="SHA-256 and size of each file.")]
    series: SeriesId = None


class Contribution(Struct):
    """What one input, or a group of a window's lags, adds to a forecast."""

    name: str
    value: Annotated[
        float | None, Meta(description="Of a group of lags, the standard deviation of returns.")
    ]
    usual: Annotated[float | None, Meta(description="Its mean over training rows.")]
    effect: Annotated[
        float, Meta(description="On the explanation's scale; positive raises the forecast.")
    ]
    standard_error: Annotated[float, Meta(description="Of the effect; 0 where it is exact.")]
    meaning: str


class Explanation(Struct, kw_only=True):
    """An issued forecast taken apart: ``base`` plus all effects is ``total``."""

    forecast: str
    event_time: Annotated[datetime, Meta(description="Of the bar that it was made from (UTC).")]
    decision_time: Instant
    version: Annotated[int, Meta(description="Of the champion that made it.")]
    family: str
    prediction: Annotated[float, Meta(description="As it was issued.")]
    scale: Annotated[str, Meta(description="What base, effects and total are measured in.")]
    base: Annotated[float, Meta(description="What is usually said, on the scale.")]
    total: Annotated[float, Meta(description="What was said this time, on the scale.")]
    contributions: Annotated[list[Contribution], Meta(description="Largest effect first.")]
    background_rows: Annotated[int, Meta(description="Training rows that are compared with.")]
    exact: Annotated[bool, Meta(description="Whether all coalitions of inputs were evaluated.")]
    sentence: str
    series: SeriesId = None


class Reign(Struct, kw_only=True):
    """A champion's time in office, with the evidence of the decision that began it."""

    champion: str
    recipe: Annotated[str, Meta(description="Hash of the recipe.")]
    since: Instant
    until: Annotated[datetime | None, Meta(description="UTC; null for the present one.")]
    how: Literal["bootstrap", "keep", "replace", "refresh", "demote", "rollback"]
    why: str
    ended: Annotated[str, Meta(description="Why it ended; empty for the present one.")]
    skill: Annotated[float | None, Meta(description="Against the baseline, at its beginning.")]
    clark_west_p: float | None
    needed_p: Annotated[float, Meta(description="What the Clark–West p-value had to lie below.")]
    diebold_mariano_p: Annotated[float | None, Meta(description="Against the champion before.")]
    trials: Annotated[int, Meta(description="Recipes tried (K).")]
    rows: Annotated[int, Meta(description="Rows that all candidates had in common.")]
    row_hash: str
    versions: Annotated[list[int], Meta(description="The bundles that it published.")]
    refreshes: int
    looks: Annotated[int, Meta(description="How often challengers were tested against it.")]
    challengers_refused: int


class Champions(Struct):
    """Who was champion when, why, and on which evidence."""

    forecast: str
    reigns: Annotated[list[Reign], Meta(description="Newest first.")]
    series: SeriesId = None


class SeriesFacts(Struct, kw_only=True):
    """What a forecast is, or was, about: all that was said of it stays under this identity."""

    series: SeriesId
    feed: str
    instrument: str
    target: Kind
    horizon: Annotated[int, Meta(description="Bars ahead.")]
    version: Annotated[int, Meta(description="Its newest bundle.")]
    trained_through: Instant
    in_service: bool


class SeriesList(Struct):
    """Every series that was forecast under a name."""

    forecast: str
    series: Annotated[list[SeriesFacts], Meta(description="The one in service first.")]


class LiveCandidate(Struct, kw_only=True):
    """What a candidate would have done on live rows, from the first one on."""

    candidate: str
    recipe: Annotated[str, Meta(description="Hash of the recipe.")]
    since: Annotated[datetime, Meta(description="Close of the first bar that it spoke at (UTC).")]
    rows: Annotated[int, Meta(description="Live rows with an outcome.")]
    loss: float
    baseline_loss: float
    champion_loss: Annotated[float | None, Meta(description="Of what was served on the same rows.")]
    skill: Annotated[
        float | None,
        Meta(
            description="Mean difference of the losses, large ones cut as for the bounds, by "
            "baseline_loss; uncut (1 - loss / baseline_loss) while no scale is known."
        ),
    ]
    lower: Annotated[
        float | None,
        Meta(description="Of the skill, 95 % at all times together; null while no scale is known."),
    ]
    upper: float | None
    e_better: Annotated[
        float | None,
        Meta(description="E-value that it is better than the baseline: 20 is evidence at 5 %."),
    ]
    e_worse: Annotated[float | None, Meta(description="E-value that it is worse.")]
    newest: Annotated[
        float | None,
        Meta(description="Of the newest bar. A shadow, not the forecast."),
    ]
    champion: Annotated[bool, Meta(description="Whether it is served now.")]


class LiveEvidence(Struct, kw_only=True):
    """What each candidate would have said and done live: shadows, never served as the forecast."""

    forecast: str
    metric: Annotated[str, Meta(description="The proper score that losses are.")]
    candidates: Annotated[list[LiveCandidate], Meta(description="The best first.")]
    series: SeriesId = None


class Status(Struct, kw_only=True):
    """Freshness of the data, and drift where it has been measured."""

    forecast: str
    data: Data | None
    predictions_issued_at: datetime | None
    drift: Annotated[
        list[dict[str, Any]], Meta(description="The newest drift report; empty without one.")
    ]
    drift_measured_at: datetime | None
    series: SeriesId = None


class Prices(Struct):
    """Bars, with their features where asked for, newest first."""

    forecast: str
    feed: str
    rows: Annotated[
        list[dict[str, Any]], Meta(description="event_time, close, and features by name.")
    ]
    next: str | None
    series: SeriesId = None


class Live(Struct):
    """The process runs."""

    status: Literal["alive"]


class ForecastHealth(Struct):
    """Whether a forecast is served, and by whom."""

    forecast: str
    version: int | None
    stale: str | None
    refused: str | None
    signed_by: Annotated[
        list[str], Meta(description="Public keys that its pointer was checked with; none unset.")
    ] = []


class Ready(Struct):
    """Whether forecasts are served, and what is wrong with any."""

    status: Literal["ready", "degraded", "not ready"]
    forecasts: list[ForecastHealth]
    lake: Annotated[str | None, Meta(description="Why the lake cannot be read, if it cannot.")]
