"""Many instruments walked forward alike: one function an instrument, spread over processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeVar

import pandas as pd
from pydantic import ValidationError

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.compare import with_references
from fx_assets.evaluation.processes import may_have_children
from fx_assets.evaluation.study import PREDICTION_COLUMNS, Study
from fx_assets.evaluation.universe_members import histories
from fx_assets.features import add_labels, build_features
from fx_assets.models import candidate_code
from fx_assets.specs.bars import PRICE_COLUMNS
from fx_assets.specs.base import digest
from fx_assets.specs.universe import UniverseSpec
from fx_assets.tables import SERIES_COLUMN, UNCALIBRATED, UNIVERSE_BACKTEST, WALKS

T = TypeVar("T")
R = TypeVar("R")

ROW_COLUMNS = (SERIES_COLUMN, "instrument", "kind", "horizon", *PREDICTION_COLUMNS)
"""The columns of a universe's walk-forward rows; the table also has ``batch``."""
ROW_OF = [SERIES_COLUMN, "instrument", "kind", "horizon", "candidate", "event_time"]
"""What a walk-forward row is about."""
KEYS = ["fold_key", "row_key"]
CACHE_COLUMNS = [*ROW_OF, *KEYS, "recipe", "prediction", "batch"]
"""What has to be read of the ``backtest`` table to go on from it; of calibrated rows what the model
said besides."""
INPUT_COLUMNS = ("event_time", "available_at", *PRICE_COLUMNS)
"""What is read of a bar."""
FEWEST_FOR_PROCESSES = 4
"""Starting processes takes longer than walking a few instruments forward."""

Progress = Callable[[int, int], None]
"""Called with the number of instruments done and to do."""


@dataclass(frozen=True)
class Walk:
    """One instrument, and what is needed to walk it forward.

    ``bars`` are its prices as known now; ``spans`` the first and the last fixing of each of its
    histories; ``cached`` its walk-forward rows so far.
    """

    instrument: str
    bars: pd.DataFrame
    spans: list[tuple[pd.Timestamp, pd.Timestamp]]
    cached: pd.DataFrame


def walk_universe(
    spec: UniverseSpec,
    prices: pd.DataFrame,
    members: pd.DataFrame,
    stored: pd.DataFrame,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Walk every instrument forward that was ever a member.

    Parameters
    ----------
    spec
        The universe.
    prices
        Bars of the instruments, as known now, with a column ``instrument``.
    members
        Their memberships, from :func:`fx_assets.evaluation.universe_members.membership`.
    stored
        The ``backtest`` table so far, at least its ``CACHE_COLUMNS``, or a frame without columns;
        its fits are not repeated.
    progress
        Told how many instruments are done and to do.

    Returns
    -------
    DataFrame
        The rows to append to the table: those that it lacks, or whose fit, inputs or truth have
        changed. ``batch`` counts the appends of an instrument's rows; of rows about the same, the
        one of the last batch counts.
    """
    known = current_rows(adopted(spec, stored))
    parts = {str(name): rows for name, rows in known.groupby("instrument")} if len(known) else {}
    walks = []
    for name, bars in prices.groupby("instrument"):
        spans = histories(members, str(name))
        if spans:
            cached = parts.get(str(name), pd.DataFrame(columns=CACHE_COLUMNS))
            walks.append(Walk(str(name), bars, spans, cached))
    found = []
    for done, rows in enumerate(spread(partial(walk, spec), walks, spec.processes), start=1):
        found.append(rows)
        if progress is not None:
            progress(done, len(walks))
    filled = [rows for rows in found if len(rows)]
    return pd.concat(filled, ignore_index=True) if filled else _no_rows()


def walk(spec: UniverseSpec, task: Walk) -> pd.DataFrame:
    """Walk-forward rows of one instrument that are not in ``task.cached``.

    Those of every candidate, and of the references that claims are made against.

    A history too short for a fold has none.
    """
    tables: list[pd.DataFrame] = []
    with one_thread():
        for span in task.spans:
            features = build_features(between(task.bars, span), spec.features, spec.market)
            for target in spec.targets:
                forecast = spec.forecast(task.instrument, target)
                frame = add_labels(features, forecast.target, spec.market)
                series = spec.series(task.instrument, target).id
                stored = task.cached[task.cached[SERIES_COLUMN] == series]
                day = spec.market.bars_a_day
                study = Study(forecast, frame, stored=stored, workers=1, bars_a_day=day)
                tables += _rows(study, task.instrument, series)
    table = pd.concat(tables, ignore_index=True) if tables else _no_rows()
    batch = 0 if task.cached.empty else int(task.cached["batch"].max()) + 1
    return _changed(table, task.cached).assign(batch=batch)


def walked_with(spec: UniverseSpec, prices: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """What the walk-forward rows of these instruments are made from.

    Parameters
    ----------
    prices
        Their bars, as known now, with a column ``instrument``; in any order.
    members
        All memberships.

    Returns
    -------
    DataFrame
        Columns of :data:`fx_assets.tables.WALKS`; instruments that were never members have no row.
    """
    columns = [name for name in INPUT_COLUMNS if name in prices]
    hashed = pd.util.hash_pandas_object(prices[columns], index=False)
    bars = hashed.groupby(prices["instrument"].to_numpy()).agg(["sum", "size"])
    codes = [
        candidate_code(forecast, candidate)
        for target in spec.targets
        for forecast in [spec.forecast("any", target)]
        for candidate in with_references(forecast, spec.market.bars_a_day)
    ]
    found = []
    for name, total, size in bars.itertuples(name=None):
        spans = histories(members, str(name))
        if not spans:
            continue
        recipes = [
            forecast.recipe_hash(candidate)
            for target in spec.targets
            for forecast in [spec.forecast(str(name), target)]
            for candidate in with_references(forecast, spec.market.bars_a_day)
        ]
        series = [spec.series(str(name), target).id for target in spec.targets]
        found.append((str(name), digest([int(total), size, spans, recipes, series, codes])))
    return pd.DataFrame(found, columns=list(WALKS.names)).astype(WALKS.dtypes)


def between(bars: pd.DataFrame, span: tuple[pd.Timestamp, pd.Timestamp]) -> pd.DataFrame:
    """The bars from the first to the last fixing of a history, sorted."""
    times = bars["event_time"]
    inside = bars[(times >= span[0]) & (times <= span[1])]
    return inside.sort_values("event_time", ignore_index=True)


def adopted(spec: UniverseSpec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their series, also those of before rows carried one.

    These were of the ECB's fixings, whose reading the instrument's name decides.
    """
    if rows.empty or (SERIES_COLUMN in rows and rows[SERIES_COLUMN].notna().all()):
        return rows
    known = rows[SERIES_COLUMN] if SERIES_COLUMN in rows else pd.Series(None, index=rows.index)
    if spec.source.kind != "ecb":
        return rows.assign(**{SERIES_COLUMN: known})
    ids = {
        (instrument, target.kind, target.horizon): spec.series(str(instrument), target).id
        for instrument in rows["instrument"].unique()
        for target in spec.targets
    }
    about = zip(rows["instrument"], rows["kind"], rows["horizon"], strict=True)
    given = pd.Series([ids.get(key) for key in about], index=rows.index, dtype="object")
    return rows.assign(**{SERIES_COLUMN: known.astype("object").fillna(given)})


def declared_rows(spec: UniverseSpec, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the series that are declared now: of others under the same names, none."""
    if rows.empty:
        return rows
    series = set()
    for instrument in rows["instrument"].unique():
        with suppress(ValidationError):  # what had settings of its own is unknown without them
            series |= {spec.series(str(instrument), target).id for target in spec.targets}
    told = adopted(spec, rows)
    return told[told[SERIES_COLUMN].isin(series)]


def current_rows(stored: pd.DataFrame) -> pd.DataFrame:
    """Of the rows about the same, the one that was appended last."""
    if stored.empty:
        return stored
    newest = stored.sort_values("batch", kind="stable")
    return newest.drop_duplicates(ROW_OF, keep="last", ignore_index=True)


def spread(work: Callable[[T], R], items: Iterable[T], workers: int | None) -> Iterator[R]:
    """``work`` of each item, in order, over processes where there are enough items for that."""
    tasks = list(items)
    processes = min(workers or os.cpu_count() or 1, len(tasks))
    if processes < 2 or len(tasks) < FEWEST_FOR_PROCESSES:
        yield from map(work, tasks)
        return
    # A fork would copy the locks of the threads that Dagster runs beside this one.
    with may_have_children(), ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(work, tasks)


def one_thread() -> AbstractContextManager[Any]:
    """Keeps linear algebra on one thread: small problems are slower on many."""
    import threadpoolctl

    limit: Callable[[int], AbstractContextManager[Any]] = threadpoolctl.threadpool_limits
    return limit(1)


def _rows(study: Study, instrument: str, series: str) -> Iterator[pd.DataFrame]:
    target = study.spec.target
    try:
        folds = len(study.folds)
    except NotEnoughDataError:
        folds = 0
    for candidate in with_references(study.spec, study.bars_a_day) if folds else []:
        rows = study.walk_forward(candidate).predictions.assign(
            **{SERIES_COLUMN: series},
            instrument=instrument,
            kind=target.kind,
            horizon=target.horizon,
        )
        yield rows[[*ROW_COLUMNS, *({UNCALIBRATED} & {*rows})]]


def _changed(table: pd.DataFrame, cached: pd.DataFrame) -> pd.DataFrame:
    """The rows whose keys are not those of the row that is stored about the same."""
    if cached.empty or table.empty:
        return table
    before = table[ROW_OF].merge(cached[ROW_OF + KEYS], on=ROW_OF, how="left")
    same = (before[KEYS].to_numpy() == table[KEYS].to_numpy()).all(axis=1)
    changed: pd.DataFrame = table[~same].reset_index(drop=True)
    return changed


def _no_rows() -> pd.DataFrame:
    names = [*ROW_COLUMNS, "batch"]
    dtypes = UNIVERSE_BACKTEST.dtypes
    return pd.DataFrame(columns=names).astype({name: dtypes[name] for name in names})
