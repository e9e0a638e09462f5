"""The catalogue: every stored table once.

A table lies at ``<lake>/<table>/<name>``, where the name is a feed's, a forecast's or a universe's;
features have a feed's and a feature set's (:func:`features_name`). What identifies its rows, and
which of several rows about one thing counts, is said here and nowhere else: writers take keys and
types from it, readers their joins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES

Owner = Literal["feed", "forecast", "universe", "platform"]
Written = Literal["appended", "replaced"]

TEXT, NUMBER, COUNT, YES = "object", "float64", "int64", "bool"
INSTANT = "datetime64[us, UTC]"


@dataclass(frozen=True)
class Column:
    """A column with its pandas dtype; instants are UTC."""

    name: str
    dtype: str
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """A stored table.

    Rows that are equal in ``about`` are about the same thing; of these the one that is last by the
    columns in ``newest`` counts, where there can be several. Columns were added over time: one that
    a stored table lacks is empty in all its rows.
    """

    name: str
    owner: Owner
    row: str
    """What a row is."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Unique among rows; empty where nothing is."""
    about: tuple[str, ...] = ()
    """What a row is about; the key unless it is given."""
    newest: tuple[str, ...] = ()
    written: Written = "appended"
    more: str = ""
    """Which columns there are besides."""
    carries: str = ""
    """The table whose columns of the same names are carried over."""
    made_of: tuple[tuple[str, str], ...] = ()
    """Other columns, each with one that it is computed from, such as ``prices.close``."""
    loss: str = "Its past rows are lost."
    """What is lost with an appended table; nothing where it is empty."""
    version: int = field(default=1)
    """Of the schema; raised when older code could no longer read it."""
    chained: bool = False
    """Whether each row carries a hash of itself and of the row before it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def dtypes(self) -> dict[str, str]:
        """The columns with their pandas dtypes."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def subject(self) -> tuple[str, ...]:
        """What a row is about."""
        return self.about or self.key

    @property
    def made_again(self) -> bool:
        """Whether all of its rows are made again from other tables."""
        return self.written == "replaced" or not self.loss

    @property
    def lineage(self) -> list[tuple[str, str]]:
        """Columns with those of other tables that they are made of, as far as that is said."""
        told = {name for name, _ in self.made_of}
        carried = next((t.names for t in CATALOGUE if t.name == self.carries), ())
        same = [n for n in self.names if n in carried and n not in told]
        return [*((name, f"{self.carries}.{name}") for name in same), *self.made_of]

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


SERIES_COLUMN = "series"
"""The column of every row about a forecast that says what it is about."""
_SERIES = Column(
    SERIES_COLUMN, TEXT, "what the forecast was about, by the hash in the table `series`"
)
_EVENT = Column("event_time", INSTANT, "close of the bar that it is made from")
_TARGET_TIME = Column("target_time", INSTANT, "close of the bar that it is about")
INSTRUMENT_COLUMN = "instrument"
UNCALIBRATED = "uncalibrated"
_INSTRUMENT = Column(INSTRUMENT_COLUMN, TEXT, "what is priced")
_KIND = Column("kind", TEXT, "direction, return or volatility")
_HORIZON = Column("horizon", COUNT, "how far ahead", "bars")
_RECIPE = Column("recipe", TEXT, "hash of the recipe")
_CANDIDATE = Column("candidate", TEXT, "name of the candidate")
_CODE = Column("code_version", TEXT, "hash of the family's code")
_PREDICTION = Column("prediction", NUMBER, "what is said", "of the target")
_BASELINE = Column("baseline", NUMBER, "what the baseline says", "of the target")
_MODE = Column("mode", TEXT, "live, or late when it was issued after its target time")

CHAIN_POSITION, CONTENT_HASH, CHAIN_HASH = "chain_position", "content_hash", "chain_hash"
CHAIN_COLUMNS = (CHAIN_POSITION, CONTENT_HASH, CHAIN_HASH)
"""The columns of a table whose rows are chained; the lake fills them."""
_CHAIN = (
    Column(CHAIN_POSITION, "Int64", "place in the chain of the table; empty of before it had one"),
    Column(CONTENT_HASH, TEXT, "SHA-256 of the row's other columns"),
    Column(CHAIN_HASH, TEXT, "SHA-256 of the one of the row before, place and content hash"),
)

_BAR_MEANINGS = {
    "event_time": "when the bar closed",
    "available_at": "when it could first be known",
    "open": "first price",
    "high": "highest price",
    "low": "lowest price",
    "close": "last price, or the fixing",
    "volume": "what was traded",
    "market_cap": "market capitalisation",
    "source": "the provider that it came from, also after a failover",
    "ingested_at": "when it was stored",
    "payload": "SHA-256 of what the provider sent",
}
_PRICED = {"open", "high", "low", "close"}
_BARS = tuple(
    Column(name, dtype, _BAR_MEANINGS.get(name, ""), "of the quote" if name in _PRICED else "")
    for name, dtype in BAR_DTYPES.items()
)
_REJECTED_MEANINGS = {
    "event_date": "its date, as it was written",
    "column": "the column that is wrong",
    "value": "its value, as it was written",
    "check": "the check that it fails",
    "reason": "why",
    "source": "the provider",
    "ingested_at": "when it was looked at",
    "payload": "SHA-256 of what the provider sent",
}

READING_COLUMN = "reading"
"""The column that says by which reading of its feed a bar was made."""
_READING = Column(
    READING_COLUMN, TEXT, "what decided the meaning of its bar, by the hash in the table `readings`"
)
RAW_PRICES = Table(
    name="raw_prices",
    owner="feed",
    row="a bar, or a revision of one",
    columns=(*_BARS, _READING),
    key=("event_time", "available_at", "close", READING_COLUMN),
    about=("event_time", READING_COLUMN),
    newest=("available_at", "ingested_at"),
    loss="Its bars are fetched again; when each was first known, and what was corrected since, is "
    "lost.",
)
PRICES = Table(
    name="prices",
    owner="feed",
    row="a bar as known now",
    columns=_BARS,
    key=("event_time",),
    written="replaced",
    carries="raw_prices",
)
QUARANTINE = Table(
    name="quarantine",
    owner="feed",
    row="a row that was kept out, with the check and the reason",
    columns=tuple(Column(n, t, _REJECTED_MEANINGS.get(n, "")) for n, t in REJECTED_DTYPES.items()),
    key=("event_date", "column", "value", "reason"),
)
QUALITY = Table(
    name="quality",
    owner="feed",
    row="one check of one ingestion",
    columns=(
        Column("batch", COUNT, "number of the ingestion"),
        Column("checked_at", INSTANT, "when it was judged"),
        Column("check", TEXT, "name of the check"),
        Column("severity", TEXT, "block, warn or off"),
        Column("passed", YES, "whether the count is within the limit"),
        Column(
            "overridden",
            "boolean",
            "whether it would have refused the batch, had it not been lowered",
        ),
        Column("count", NUMBER, "what was measured"),
        Column("limit", NUMBER, "where a finding starts"),
        Column("message", TEXT, "the finding in words"),
        Column("examples", TEXT, "some of the offending rows"),
        Column("window_start", INSTANT, "first event time that was asked for"),
        Column("window_end", INSTANT, "end of what was asked for"),
        Column("payload", TEXT, "SHA-256 of what the provider sent"),
        Column(READING_COLUMN, TEXT, "by which reading its bars were made"),
    ),
    key=("batch", "check"),
)
SOURCES = Table(
    name="sources",
    owner="feed",
    row="a payload that was read",
    columns=(
        Column("provider", TEXT, "which of the source's ways answered"),
        Column("url", TEXT, "what was read, without credentials"),
        Column("sha256", TEXT, "of the payload"),
        Column("last_date", TEXT, "newest day in it"),
        Column("fetched_at", INSTANT, "when it was read"),
        Column("fallback_reason", TEXT, "why the live source was not used"),
        Column("etag", TEXT, "the provider's mark of it"),
        Column("not_modified", YES, "whether the provider said that nothing changed"),
        Column("notes", TEXT, "what else a person should know"),
    ),
    key=("provider", "sha256"),
)
READINGS = Table(
    name="readings",
    owner="feed",
    row="a reading of the feed that came into force",
    columns=(
        Column(READING_COLUMN, TEXT, "hash of everything that decides what a bar means"),
        Column("since", INSTANT, "since when its bars count"),
        Column("start", TEXT, "first day that was asked for"),
        Column("facts", TEXT, "what it is made of: settings and values, as JSON"),
    ),
    key=(READING_COLUMN, "since"),
)
FILES = Table(
    name="files",
    owner="feed",
    row="a file that was read, or that came back with another content",
    columns=(
        Column("name", TEXT, "its path or address"),
        Column("sha256", TEXT, "of its content"),
        Column("size", COUNT, "of its content", "bytes"),
        Column("seen_at", INSTANT, "when it was first read so"),
    ),
    key=("name", "sha256", "seen_at"),
)
TAGS = Table(
    name="data_tags",
    owner="feed",
    row="a name that a person gave to a version of the bars",
    columns=(
        Column("tag", TEXT, "the name"),
        Column("version", COUNT, "the Delta version of raw_prices"),
        Column("committed_at", INSTANT, "when that was made"),
        Column("tagged_at", INSTANT, "when it was named"),
        Column("by", TEXT, "who named it"),
        Column("note", TEXT, "why"),
    ),
    key=("tag",),
)

SERIES = Table(
    name="series",
    owner="forecast",
    row="what the forecast is, or was, about",
    columns=(
        Column(SERIES_COLUMN, TEXT, "hash of the five facts that follow"),
        Column("feed", TEXT, "where its bars come from"),
        _INSTRUMENT,
        Column("reading", TEXT, "hash of what decides the meaning of a bar of the feed"),
        _KIND,
        _HORIZON,
        Column("calendar", TEXT, "of the feed's bars"),
        Column("first_seen", INSTANT, "when it was first worked on"),
    ),
    key=(SERIES_COLUMN,),
)
_LABELS = (
    Column("target", NUMBER, "what happened; empty while it is not known", "of the target"),
    _TARGET_TIME,
    Column("label_available_at", INSTANT, "when the label is known"),
    Column("baseline_mean", NUMBER, "mean of all targets known by available_at", "of the target"),
    Column("last_target", NUMBER, "newest target known by available_at", "of the target"),
)
_BAR = (
    _EVENT,
    Column("available_at", INSTANT, "when the bar could first be known"),
    Column("close", NUMBER, "last price, or the fixing", "of the quote"),
    Column("log_return", NUMBER, "of the close since the bar before"),
)
FEATURES = Table(
    name="features",
    owner="feed",
    row="a bar's features, of one feature set",
    columns=(_READING, *_BAR),
    key=("event_time",),
    written="replaced",
    more="the columns of the feature set",
    carries="prices",
    made_of=(("log_return", "prices.close"),),
)
_FRAME = Table(
    name="frame",
    owner="forecast",
    row="a bar's features, its label, and when that was known",
    columns=(_SERIES, *_BAR, *_LABELS),
    key=("event_time",),
    written="replaced",
    more=FEATURES.more,
    carries="features",
    made_of=(
        *((name, "features.close") for name in ("target", "baseline_mean", "last_target")),
        ("label_available_at", "features.available_at"),
    ),
)
"""A labelled frame; of these only the newest fold's rows are stored."""
FRAME_COLUMNS = frozenset(_FRAME.names)
"""The columns of a labelled frame that are not features."""
_PARTS = ("train", "test")
SPLITS = Table(
    name="splits",
    owner="forecast",
    row="a walk-forward fold: its boundaries and sizes",
    columns=(
        Column("index", COUNT, "number of the fold"),
        Column("train_start", INSTANT, "event time of the first training row"),
        Column("train_end", INSTANT, "event time of the last training row"),
        Column("n_train", COUNT, "training rows"),
        Column("label_end", INSTANT, "when the last training label was known"),
        Column("known_by", INSTANT, "when the first test row could be known"),
        Column("test_start", INSTANT, "event time of the first test row"),
        Column("test_end", INSTANT, "event time of the last test row"),
        Column("n_test", COUNT, "test rows"),
    ),
    key=("index",),
    written="replaced",
    made_of=(
        *((f"{part}_{end}", "features.event_time") for part in _PARTS for end in ("start", "end")),
        *((f"n_{part}", "features.close") for part in _PARTS),
        ("label_end", "features.available_at"),
        ("known_by", "features.available_at"),
    ),
)
TRAIN_SET = replace(_FRAME, name="train_set", row="a training row of the newest fold")
TEST_SET = replace(_FRAME, name="test_set", row="a test row of the newest fold")
_WALKED = (
    _RECIPE,
    Column("family", TEXT, "model family"),
    _CANDIDATE,
    Column("fold", COUNT, "number of the fold"),
    _EVENT,
    _TARGET_TIME,
    _PREDICTION,
    Column("target", NUMBER, "what happened", "of the target"),
    _BASELINE,
    Column("fold_key", TEXT, "identifies the fit: recipe, code and training rows"),
    Column("row_key", TEXT, "identifies the row's inputs, truth and baseline"),
    Column("label_available_at", INSTANT, "when the truth was known"),
)
BACKTEST = Table(
    name="backtest",
    owner="forecast",
    row="an out-of-sample prediction of one recipe, with the keys of its fit and inputs",
    columns=(
        _SERIES,
        *_WALKED,
        Column("made_at", INSTANT, "when it was computed"),
        Column(UNCALIBRATED, NUMBER, "what the model said, where it is calibrated"),
    ),
    key=(SERIES_COLUMN, "recipe", "fold_key", "row_key"),
    about=(SERIES_COLUMN, "recipe", "event_time"),
    newest=("made_at",),
    loss="",
    carries="features",
    made_of=(
        *((name, "features.close") for name in ("target", "baseline")),
        ("label_available_at", "features.available_at"),
    ),
)
QUANTILES = Table(
    name="quantiles",
    owner="forecast",
    row="a quantile of the distribution of a walk-forward row, where the forecast asks for them",
    columns=(
        _SERIES,
        _RECIPE,
        _CANDIDATE,
        _EVENT,
        Column("level", NUMBER, "probability of an outcome below it"),
        Column("value", NUMBER, "the quantile", "of the target"),
        Column("made_at", INSTANT, "when it was computed"),
    ),
    key=(SERIES_COLUMN, "recipe", "event_time", "level", "value"),
    about=(SERIES_COLUMN, "recipe", "event_time", "level"),
    newest=("made_at",),
    loss="",
    made_of=(("value", "backtest.prediction"),),
)
TRIALS = Table(
    name="trials",
    owner="forecast",
    row="a setting that a tuning tried",
    columns=(
        _SERIES,
        _RECIPE,
        _CANDIDATE,
        Column("tuning_key", TEXT, "identifies the search"),
        Column("fold", COUNT, "number of the fold whose training rows it saw"),
        Column("trained_through", INSTANT, "event time of the last of these"),
        Column("number", COUNT, "place in the search"),
        Column("state", TEXT, "complete or failed"),
        Column("score", NUMBER, "mean loss; smaller is better"),
        Column("seconds", NUMBER, "what it took", "s"),
        Column("params", TEXT, "the setting as JSON"),
        Column("chosen", YES, "whether it was the best"),
        Column("stopped_by", TEXT, "what ended the search: trials or seconds"),
    ),
    key=(SERIES_COLUMN, "recipe", "tuning_key", "number"),
)
SCORES = Table(
    name="scores",
    owner="forecast",
    row="a metric of one candidate, with its interval and n",
    columns=(
        _SERIES,
        Column("metric", TEXT, "name of the metric"),
        Column("value", NUMBER, "measured out of sample"),
        Column("lower", NUMBER, "of its 95 % interval"),
        Column("upper", NUMBER, "of its 95 % interval"),
        Column("n", COUNT, "rows"),
        Column("baseline_value", NUMBER, "the baseline's"),
        _CANDIDATE,
        _RECIPE,
        _CODE,
        Column("row_hash", TEXT, "of the training rows"),
        Column("data_as_of", INSTANT, "when the newest of the data became available"),
        Column("mlflow_run_id", TEXT, "the candidate's run"),
    ),
    key=(SERIES_COLUMN, "recipe", "code_version", "row_hash", "metric"),
    about=(SERIES_COLUMN, "recipe", "code_version", "metric"),
    newest=("data_as_of",),
    loss="",
)
ECONOMICS = Table(
    name="economics",
    owner="forecast",
    row="a figure of what a recipe's strategy would have earned after costs",
    columns=(
        _SERIES,
        _CANDIDATE,
        _RECIPE,
        Column("strategy", TEXT, "hash of the strategy and its costs as declared"),
        Column("evidence", TEXT, "backtest, or live of the predictions that were issued"),
        Column("figure", TEXT, "name of the figure; refused where there is none"),
        Column("value", NUMBER, "as shares of the capital where it is money"),
        Column("lower", NUMBER, "of its 95 % interval"),
        Column("upper", NUMBER, "of its 95 % interval"),
        Column("n", COUNT, "bars, or of a utility outcomes"),
        Column("sentence", TEXT, "all of it in words"),
        Column("data_as_of", INSTANT, "when the newest of the data became available"),
        Column("measured_at", INSTANT, "when it was weighed"),
    ),
    key=(SERIES_COLUMN, "recipe", "strategy", "evidence", "figure", "measured_at"),
    about=(SERIES_COLUMN, "recipe", "evidence", "figure"),
    newest=("measured_at",),
    loss="",
)
STRATEGY_ROWS = Table(
    name="strategy_rows",
    owner="forecast",
    row="a bar of a recipe's strategy, from one fill to the next",
    columns=(
        _SERIES,
        _CANDIDATE,
        _RECIPE,
        Column("strategy", TEXT, "hash of the strategy and its costs as declared"),
        Column("evidence", TEXT, "backtest, or live of the predictions that were issued"),
        Column("filled_at", INSTANT, "when the price was traded that the position is taken at"),
        Column("decided_at", INSTANT, "when the newest prediction behind it could be made"),
        Column("position", NUMBER, "held from then to the next fill", "times the capital"),
        Column("price", NUMBER, "that it is taken at", "of the quote"),
        Column("gross", NUMBER, "position times the change of the price", "of the capital"),
        Column("cost", NUMBER, "spread and commission of the change of position", "of the capital"),
        Column("swap", NUMBER, "received for the nights until the next fill", "of the capital"),
        Column("net", NUMBER, "gross - cost + swap", "of the capital"),
    ),
    key=(SERIES_COLUMN, "recipe", "evidence", "filled_at"),
    written="replaced",
    made_of=(("price", "prices.close"), ("position", "backtest.prediction")),
)
DECISIONS = Table(
    name="decisions",
    owner="forecast",
    row="a decision about the champion",
    columns=(
        _SERIES,
        Column("forecast", TEXT, "name of the forecast"),
        Column("sequence", COUNT, "position in the ledger of the series, from 0"),
        Column("decided_at", INSTANT, "when"),
        Column("data_as_of", INSTANT, "when the newest of the data became available"),
        Column("verdict", TEXT, "bootstrap, keep, replace, refresh, demote or rollback"),
        Column("champion", TEXT, "who predicts from now on"),
        _RECIPE,
        Column("champion_before", TEXT, "who did before"),
        Column("recipe_before", TEXT, "by which recipe"),
        Column("label_end", INSTANT, "when the last training label was known"),
        Column("published_at", INSTANT, "of the decision that put the model in production"),
        Column("version", "Int64", "the bundle in production"),
        Column("challenger", TEXT, "the best of the others"),
        Column("looked", YES, "whether challengers were tested"),
        Column("trials", COUNT, "K, the candidates tried"),
        Column("rule", TEXT, "the promotion rule: sequential or fixed"),
        Column("needed_p", NUMBER, "what the best challenger's p-value has to lie below", "share"),
        Column(
            "error_budget", NUMBER, "for the recipes on trial to err in, a year", "share of years"
        ),
        Column("error_spent", NUMBER, "of it in this year, this look included", "share of years"),
        Column("error_left", NUMBER, "of it, for the looks that remain", "share of years"),
        Column("boundary_correlation", NUMBER, "mean correlation of the recipes on trial"),
        Column("boundary_seed", "Int64", "of the bootstrap that the level is from"),
        Column("boundary_replications", "Int64", "of it", "years"),
        Column("fallen", NUMBER, "what the champion's gain has lost since its best", "loss"),
        Column("fall_limit", NUMBER, "beyond which it is demoted", "loss"),
        Column("ground", TEXT, "what it was demoted on: fall, live, trailing or undeclared"),
        Column("rows", COUNT, "rows that all candidates have in common"),
        Column("row_hash", TEXT, "of these"),
        Column("sentence", TEXT, "the decision in words"),
        Column("record", TEXT, "all of it as JSON"),
        *_CHAIN,
    ),
    key=(SERIES_COLUMN, "sequence"),
    chained=True,
    loss="The ledger starts anew with the baseline; past decisions are lost.",
    version=2,  # the verdict rollback
)
ACKNOWLEDGEMENTS = Table(
    name="acknowledgements",
    owner="forecast",
    row="a person's word that a result which was held back is real",
    columns=(
        _SERIES,
        Column("forecast", TEXT, "name of the forecast"),
        _CANDIDATE,
        _RECIPE,
        Column("rows", COUNT, "rows that were judged"),
        Column("last_row", INSTANT, "event time of the newest of them"),
        Column("row_hash", TEXT, "of their inputs, truth and baseline"),
        Column("figures", TEXT, "what is too good, beside what is plausible"),
        Column("reason", TEXT, "why it is real"),
        Column("by", TEXT, "who says so"),
        Column("acknowledged_at", INSTANT, "when"),
        Column("sequence", COUNT, "the decision that held it back"),
        Column("record", TEXT, "all of it as JSON"),
    ),
    key=(SERIES_COLUMN, "sequence", "recipe", "acknowledged_at"),
)
_VERDICT = "demonstrated, knows something or not demonstrated"
_CLAIM = "the verdict with skill, interval and p-values against baseline and reference, as JSON"
PREDICTIONS = Table(
    name="predictions",
    owner="forecast",
    row="an issued prediction with its provenance",
    columns=(
        _SERIES,
        Column("day", TEXT, "the market's day of the bar that it is made from"),
        _INSTRUMENT,
        _KIND,
        _HORIZON,
        Column("bars_a_year", COUNT, "about how many bars the feed has in a year"),
        _EVENT,
        Column("as_of_close", NUMBER, "that bar's close", "of the quote"),
        Column("decision_time", INSTANT, "what was known by then was used"),
        _TARGET_TIME,
        Column("target_day", TEXT, "the market's day of the bar that it is about"),
        Column("good_until", INSTANT, "when the next one is due, by the feed's calendar"),
        _PREDICTION,
        Column("abstained", "boolean", "whether it is the reference's, as inputs are out of range"),
        Column("out_of_range", TEXT, "which inputs are how far from what training saw"),
        Column("lower", NUMBER, "of its interval", "of the target"),
        Column("upper", NUMBER, "of its interval", "of the target"),
        Column("coverage", NUMBER, "nominal coverage of the interval"),
        Column(
            "distribution",
            TEXT,
            "the predictive distribution and its quantiles, as JSON; empty unless asked for",
        ),
        _BASELINE,
        Column("baseline_name", TEXT, "the recipe that claims no skill"),
        Column("champion", TEXT, "who said it"),
        Column("champion_version", TEXT, "of the bundle, such as v3"),
        _RECIPE,
        Column("champion_decided_at", INSTANT, "when the champion was decided on"),
        Column("champion_label_end", INSTANT, "when its last training label was known"),
        Column("score_name", TEXT, "the proper score"),
        Column("score", NUMBER, "the champion's, out of sample"),
        Column("baseline_score", NUMBER, "the baseline's on the same rows"),
        Column("score_rows", COUNT, "rows"),
        Column("skill", NUMBER, "1 - score / baseline_score"),
        Column("skill_lower", NUMBER, "of its 95 % interval"),
        Column("skill_upper", NUMBER, "of its 95 % interval"),
        Column("skill_demonstrated", YES, "whether the verdict is demonstrated"),
        Column("verdict", TEXT, _VERDICT),
        Column("claim", TEXT, _CLAIM),
        Column("failed_checks", TEXT, "lowered checks that its bars failed, separated by commas"),
        Column("caveat", TEXT, "what has to be said with its skill"),
        _CODE,
        Column("input_hash", TEXT, "of what the model read"),
        Column("table_versions", TEXT, "the Delta versions it was made from, as JSON"),
        _MODE,
        Column("issued_at", INSTANT, "when it was issued"),
        *_CHAIN,
    ),
    key=(SERIES_COLUMN, "event_time"),
    chained=True,
    loss="They are made again, as issued after the fact; what was said at the time is lost.",
    made_of=(("as_of_close", "raw_prices.close"), ("prediction", "raw_prices.close")),
)
SHADOW_PREDICTIONS = Table(
    name="shadow_predictions",
    owner="forecast",
    row="what a candidate would have said, at the decision time of an issued prediction",
    columns=(
        _SERIES,
        Column("day", TEXT, "the market's day of the bar that it is made from"),
        _EVENT,
        Column("decision_time", INSTANT, "what was known by then was used"),
        _TARGET_TIME,
        _CANDIDATE,
        _RECIPE,
        _PREDICTION,
        Column("lower", NUMBER, "of its interval", "of the target"),
        Column("upper", NUMBER, "of its interval", "of the target"),
        _BASELINE,
        Column("champion", TEXT, "who was served"),
        _CODE,
        Column("label_end", INSTANT, "when its last training label was known"),
        Column("mode", TEXT, "shadow: never served as the forecast"),
        Column("issued_at", INSTANT, "when it was made, before its target time"),
        *_CHAIN,
    ),
    key=(SERIES_COLUMN, "recipe", "event_time"),
    chained=True,
)
LIVE_EVIDENCE = Table(
    name="live_evidence",
    owner="forecast",
    row="what the live rows of a candidate say of it, since its first",
    columns=(
        _SERIES,
        _CANDIDATE,
        _RECIPE,
        Column("since", INSTANT, "event time of its first live row"),
        Column("last", INSTANT, "event time of the newest with an outcome"),
        Column("as_of", INSTANT, "when the newest of their outcomes was known"),
        Column("rows", COUNT, "live rows with an outcome"),
        Column("loss", NUMBER, "mean proper score of what it said; smaller is better"),
        Column("baseline_loss", NUMBER, "that of the baseline on these rows"),
        Column("champion_loss", NUMBER, "that of what was served"),
        Column("skill", NUMBER, "mean difference of losses, cut at scale, by baseline_loss"),
        Column("skill_lower", NUMBER, "of its confidence sequence"),
        Column("skill_upper", NUMBER, "of its confidence sequence"),
        Column("e_better", NUMBER, "e-value against being no better than the baseline"),
        Column("e_worse", NUMBER, "e-value against being no worse than the baseline"),
        Column("scale", NUMBER, "difference of losses at which one is cut"),
    ),
    key=(SERIES_COLUMN, "recipe", "rows", "as_of"),
    about=(SERIES_COLUMN, "recipe"),
    newest=("as_of", "rows"),
    loss="",
    made_of=(
        ("loss", "shadow_predictions.prediction"),
        ("baseline_loss", "shadow_predictions.baseline"),
        ("champion_loss", "outcomes.loss"),
    ),
)
OUTCOMES = Table(
    name="outcomes",
    owner="forecast",
    row="a prediction beside what happened; a revised truth adds a row",
    columns=(
        _SERIES,
        Column("day", TEXT, "the market's day of the bar that it was made from"),
        _EVENT,
        _TARGET_TIME,
        Column("known_at", INSTANT, "when what happened was known"),
        _MODE,
        Column("champion", TEXT, "who said it"),
        Column("champion_version", TEXT, "of the bundle, such as v3"),
        _PREDICTION,
        Column("lower", NUMBER, "of its interval", "of the target"),
        Column("upper", NUMBER, "of its interval", "of the target"),
        _BASELINE,
        Column("target", NUMBER, "what happened", "of the target"),
        Column("loss", NUMBER, "proper score of the prediction; smaller is better"),
        Column("baseline_loss", NUMBER, "that of the baseline"),
        Column("inside_interval", "boolean", "whether the interval held; empty for a direction"),
        Column("pit", NUMBER, "probability that its distribution gave to at most what happened"),
        Column("crps", NUMBER, "of its distribution; smaller is better", "of the target"),
        Column("log_score", NUMBER, "minus the logarithm of its density", "nats"),
    ),
    key=(SERIES_COLUMN, "event_time", "target", "known_at"),
    about=(SERIES_COLUMN, "event_time"),
    newest=("known_at",),
    loss="",
    carries="predictions",
    made_of=(
        *(
            (name, "prices.close")
            for name in ("target", "loss", "baseline_loss", "inside_interval")
        ),
        ("known_at", "prices.available_at"),
        ("loss", "predictions.prediction"),
        ("baseline_loss", "predictions.baseline"),
        *(("inside_interval", f"predictions.{bound}") for bound in ("lower", "upper")),
    ),
)
DRIFT = Table(
    name="drift",
    owner="forecast",
    row="one column of one drift report",
    columns=(
        _SERIES,
        Column("as_of", INSTANT, "event time of the newest row"),
        Column("measured_at", INSTANT, "when it was looked at"),
        Column("verdict", TEXT, "of the report: quiet, drift, broken or not_enough_data"),
        Column("column", TEXT, "name of the column"),
        Column("part", TEXT, "feature, prediction or target"),
        Column("rows", COUNT, "newest rows that were compared"),
        Column("distance", NUMBER, "from the reference", "standard deviations"),
        Column("threshold", NUMBER, "largest distance that is no alarm"),
        Column("shift", NUMBER, "of the mean", "standard deviations"),
        Column("shift_threshold", NUMBER, "largest shift that is no alarm"),
        Column("drifted", YES, "whether one of them is beyond"),
        Column("reference_mean", NUMBER, "of the reference"),
        Column("reference_std", NUMBER, "of the reference"),
        Column("current_mean", NUMBER, "of the newest rows"),
        Column("current_std", NUMBER, "of the newest rows"),
        Column("stock_method", TEXT, "Evidently's default test"),
        Column("stock_score", NUMBER, "what it measured"),
        Column("stock_drifted", "boolean", "what it says"),
        Column("sentence", TEXT, "the report in words"),
    ),
    key=(SERIES_COLUMN, "measured_at", "column"),
    newest=("measured_at",),
)
PERFORMANCE = Table(
    name="performance",
    owner="forecast",
    row="one look at live predictions",
    columns=(
        _SERIES,
        Column("as_of", INSTANT, "event time of the newest row"),
        Column("measured_at", INSTANT, "when it was looked at"),
        Column("verdict", TEXT, "better, undecided, worse, baseline or too_few"),
        Column("alarm", YES, "whether someone should look"),
        Column("champion", TEXT, "who made the newest of them"),
        Column("rows", COUNT, "outcomes"),
        Column("sentence", TEXT, "the look in words"),
        Column("drift_verdict", TEXT, "of the drift report of the same look"),
        Column("features_broken", YES, "whether a feature is not what its prices give"),
        Column("skill", NUMBER, "against the baseline, of all live outcomes"),
        Column("skill_lower", NUMBER, "of its confidence sequence"),
        Column("skill_upper", NUMBER, "of its confidence sequence"),
        Column("mae", NUMBER, "mean absolute error", "of the target"),
        Column("mae_baseline", NUMBER, "the baseline's", "of the target"),
        Column("bias", NUMBER, "mean outcome beyond what it should be"),
        Column("bias_z", NUMBER, "the same", "standard errors"),
        Column("coverage", NUMBER, "share of outcomes inside their interval"),
        Column("coverage_z", NUMBER, "beyond the nominal one", "standard errors"),
    ),
    key=(SERIES_COLUMN, "measured_at"),
    newest=("measured_at",),
)


def _of_instruments(table: Table, row: str, *about: Column) -> Table:
    """A table of a feed or forecast as a universe has it: with the instrument in every row."""
    first = (_INSTRUMENT, *about)
    names = [column.name for column in first]
    others = (column for column in table.columns if column.name not in names)
    return replace(
        table,
        owner="universe",
        row=row,
        columns=(*first, *others),
        key=(*names, *(name for name in table.key if name not in names)),
        about=(*names, *table.subject) if table.newest else (),
    )


INSTRUMENTS = Table(
    name="instruments",
    owner="universe",
    row="an instrument that the source has, or has had",
    columns=(
        _INSTRUMENT,
        Column("currency", TEXT, "ISO 4217 code"),
        Column("first_fixing", TEXT, "day of the first"),
        Column("last_fixing", TEXT, "day of the last"),
        Column("fixings", COUNT, "how many"),
    ),
    key=("instrument",),
    written="replaced",
)
MEMBERSHIP = Table(
    name="universe",
    owner="universe",
    row="a time in which an instrument was a member",
    columns=(
        _INSTRUMENT,
        Column("first_fixing", INSTANT, "first of the history"),
        Column("last_fixing", INSTANT, "last of the history"),
        Column("fixings", COUNT, "how many"),
        Column("member_from", INSTANT, "first day of the membership"),
        Column("member_until", INSTANT, "its end; empty for a present member"),
        Column("pegged", YES, "whether it was left out because it does not move"),
    ),
    key=("instrument", "first_fixing", "member_from"),
    written="replaced",
)
UNIVERSE_RAW_PRICES = _of_instruments(RAW_PRICES, "a bar of one instrument, or a revision of one")
UNIVERSE_PRICES = _of_instruments(PRICES, "a bar of one instrument as known now")
UNIVERSE_READINGS = _of_instruments(READINGS, "a reading of an instrument that came into force")
UNIVERSE_FILES = _of_instruments(FILES, "a file that was read for an instrument, or has changed")
UNIVERSE_QUARANTINE = _of_instruments(QUARANTINE, "a row of an instrument that was kept out")
UNIVERSE_QUALITY = _of_instruments(QUALITY, "one check of one ingestion of an instrument")
UNIVERSE_SOURCES = _of_instruments(
    SOURCES, "a payload that was read; without an instrument, the list of instruments"
)
UNIVERSE_BACKTEST = Table(
    name="backtest",
    owner="universe",
    row="an out-of-sample prediction of one recipe for one instrument",
    columns=(
        _SERIES,
        _INSTRUMENT,
        _KIND,
        _HORIZON,
        *_WALKED,
        Column("batch", COUNT, "number of the run that computed it"),
        Column(UNCALIBRATED, NUMBER, "what the model said, where it is calibrated"),
    ),
    key=(SERIES_COLUMN, "instrument", "kind", "horizon", "candidate", "event_time", "batch"),
    about=(SERIES_COLUMN, "instrument", "kind", "horizon", "candidate", "event_time"),
    newest=("batch",),
)
UNIVERSE_QUANTILES = _of_instruments(QUANTILES, QUANTILES.row, _KIND, _HORIZON)
UNIVERSE_SCORES = _of_instruments(
    SCORES, "a metric of a candidate's distribution, with its interval and n", _KIND, _HORIZON
)
UNIVERSE_ECONOMICS = _of_instruments(ECONOMICS, ECONOMICS.row, _KIND, _HORIZON)
UNIVERSE_STRATEGY_ROWS = _of_instruments(STRATEGY_ROWS, STRATEGY_ROWS.row, _KIND, _HORIZON)
WALKS = Table(
    name="walks",
    owner="universe",
    row="an instrument that was walked forward",
    columns=(
        _INSTRUMENT,
        Column("inputs", TEXT, "hash of the bars, histories, recipes and code that it was with"),
    ),
    key=("instrument",),
    written="replaced",
)
SKILL = Table(
    name="skill",
    owner="universe",
    row="the verdict on one candidate for one instrument and target",
    columns=(
        _SERIES,
        _INSTRUMENT,
        _KIND,
        _HORIZON,
        _CANDIDATE,
        _RECIPE,
        Column("n", COUNT, "rows of membership"),
        Column("first_row", INSTANT, "event time of the first"),
        Column("last_row", INSTANT, "event time of the last"),
        Column("loss", NUMBER, "mean proper score"),
        Column("baseline_loss", NUMBER, "the baseline's"),
        Column("skill", NUMBER, "1 - loss / baseline_loss"),
        Column("skill_lower", NUMBER, "of its 95 % interval"),
        Column("skill_upper", NUMBER, "of its 95 % interval"),
        Column("p_clark_west", NUMBER, "against the baseline"),
        Column("p_diebold_mariano", NUMBER, "against the baseline"),
        Column("p_value", NUMBER, "what is corrected"),
        Column("p_holm", NUMBER, "corrected by Holm"),
        Column("p_benjamini_yekutieli", NUMBER, "corrected by Benjamini and Yekutieli"),
        Column("p_holm_clark_west", NUMBER, "Clark and West's, corrected by Holm"),
        Column("tests", COUNT, "in the family"),
        Column("may_predict", YES, "whether it predicts where it is the best"),
        Column("skill_on_reference", NUMBER, "1 - loss / that of the reference"),
        Column("skill_demonstrated", YES, "whether the verdict is demonstrated"),
        Column("verdict", TEXT, _VERDICT),
        Column("claim", TEXT, _CLAIM),
        Column("suspicious", "boolean", "whether a figure is beyond what is plausible"),
    ),
    key=("instrument", "kind", "horizon", "candidate"),
    written="replaced",
)
_PREDICTED = (
    Column("candidate", TEXT, "the best candidate"),
    Column("candidate_prediction", NUMBER, "what it says", "of the target"),
    Column("p_holm", NUMBER, "its p-value, corrected by Holm"),
)
UNIVERSE_DECISIONS = _of_instruments(
    DECISIONS, "a decision about the champion of one instrument and target", _KIND, _HORIZON
)
UNIVERSE_ACKNOWLEDGEMENTS = _of_instruments(ACKNOWLEDGEMENTS, ACKNOWLEDGEMENTS.row, _KIND, _HORIZON)
UNIVERSE_PREDICTIONS = _of_instruments(
    replace(PREDICTIONS, columns=(*PREDICTIONS.columns, *_PREDICTED)),
    "an issued prediction for one instrument and target",
    _KIND,
    _HORIZON,
)
UNIVERSE_SHADOW_PREDICTIONS = _of_instruments(
    SHADOW_PREDICTIONS, SHADOW_PREDICTIONS.row, _KIND, _HORIZON
)
UNIVERSE_LIVE_EVIDENCE = _of_instruments(LIVE_EVIDENCE, LIVE_EVIDENCE.row, _KIND, _HORIZON)
UNIVERSE_OUTCOMES = _of_instruments(OUTCOMES, OUTCOMES.row, _KIND, _HORIZON)
UNIVERSE_DRIFT = _of_instruments(
    DRIFT, "one column of one drift report of an instrument and target", _KIND, _HORIZON
)
UNIVERSE_PERFORMANCE = _of_instruments(
    PERFORMANCE, "one look at live predictions of an instrument and target", _KIND, _HORIZON
)

ALERTS = Table(
    name="alerts",
    owner="platform",
    row="an attempt to tell somebody",
    columns=(
        Column("at", INSTANT, "when"),
        Column("kind", TEXT, "what it is about"),
        Column("subject", TEXT, "the feed or forecast"),
        Column("sentence", TEXT, "what is told"),
        Column("link", TEXT, "where to look"),
        Column("key", TEXT, "alerts with the same key are the same"),
        Column("channel", TEXT, "how it is told"),
        Column("sequence", COUNT, "number of the message"),
        Column("attempt", COUNT, "number of the attempt at it"),
        Column("state", TEXT, "claimed, delivered or failed"),
        Column("error", TEXT, "why it failed"),
    ),
    key=("key", "channel", "sequence", "attempt", "state"),
)
PLATFORM = "platform"
"""The name under which the platform's own tables lie."""

CATALOGUE: tuple[Table, ...] = tuple(
    table
    for name, table in list(globals().items())
    if isinstance(table, Table) and not name.startswith("_")
)
"""Every table above, in order."""
SCHEMAS = {
    name: max(table.version for table in CATALOGUE if table.name == name)
    for name in sorted({table.name for table in CATALOGUE})
}
"""The version of each table's schema."""
CHAINED = tuple(dict.fromkeys(table.name for table in CATALOGUE if table.chained))
"""The tables whose rows are chained."""
FEED_TABLES = frozenset(table.name for table in CATALOGUE if table.owner == "feed")


def features_name(feed: str, feature_set: str) -> str:
    """The name under which a feed's features of a set lie."""
    return f"{feed}.{feature_set}"


def tables_of(owner: Owner) -> Iterator[Table]:
    """The tables of a kind of owner, in order."""
    return (table for table in CATALOGUE if table.owner == owner)


def described(column: Column) -> str:
    """What a column means, with its unit."""
    return f"{column.meaning} ({column.unit})" if column.unit else column.meaning
