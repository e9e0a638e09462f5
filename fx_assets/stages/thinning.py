"""Which old rows stay of tables that grow with every look, so that they do not grow for ever.

What is taken out changes no answer: of evidence the newest row counts, and of batches that passed
the gate those stay that something could still be made good by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd

from fx_assets.tables import INSTRUMENT_COLUMN, LIVE_EVIDENCE, QUALITY, READING_COLUMN

YOUNG = timedelta(days=2)
"""How long every row stays."""
_OF_MEMBERS = (INSTRUMENT_COLUMN, "kind", "horizon")
_WINDOW = ["window_start", "window_end"]


def evidence_that_stays(now: datetime, rows: pd.DataFrame) -> pd.Series[bool]:
    """Rows of ``live_evidence``: the young ones, and the newest of each recipe and day."""
    about = [name for name in (*_OF_MEMBERS, *LIVE_EVIDENCE.subject) if name in rows]
    days = rows.assign(day=rows["as_of"].dt.floor("D"))
    ordered = days.sort_values(list(LIVE_EVIDENCE.newest), kind="stable")
    newest = ~ordered.duplicated([*about, "day"], keep="last")
    return newest.reindex(rows.index) | _young(rows["as_of"], now)


def findings_that_stay(now: datetime, rows: pd.DataFrame) -> pd.Series[bool]:
    """Rows of ``quality``: all but those of old batches that passed every check.

    Of these the newest of each month stays, and any whose window no later one covers that passed
    the same checks: it may have made a refusal good.
    """
    if not {"batch", *_WINDOW} <= set(rows):
        return pd.Series(True, index=rows.index)
    about = [name for name in (INSTRUMENT_COLUMN, READING_COLUMN) if name in rows]
    bad = ~rows["passed"].astype(bool)
    if "overridden" in rows:
        bad |= rows["overridden"].eq(True).fillna(False)
    rows = rows.assign(bad=bad, month=rows["checked_at"].dt.strftime("%Y-%m"))
    rows[about] = rows[about].fillna("")
    told: dict[str, Any] = {"bad": "any", "checked_at": "max", "month": "max", "check": frozenset}
    batches = rows.groupby([*about, "batch"]).agg(told | dict.fromkeys(_WINDOW, "first"))
    good = batches[~batches["bad"]].reset_index().sort_values("batch", ascending=False)
    good["stays"] = _young(good["checked_at"], now) | ~good.duplicated([*about, "month"])
    groups = good.groupby(about) if about else [("", good)]
    gone = [index for _, group in groups for index in _made_good(group)]
    key = [*about, "batch"]
    left = good.loc[gone, key].assign(gone=True)
    found = rows[key].merge(left, on=key, how="left")["gone"]
    return pd.Series(found.isna().to_numpy(), index=rows.index) | rows["batch"].isna()


def _made_good(batches: pd.DataFrame) -> Iterator[int]:
    """Batches of a feed, newest first: those need not stay whose window a later one covers."""
    covered: set[tuple[datetime, datetime, frozenset[str]]] = set()
    columns: list[list[Any]] = [batches[name].tolist() for name in ("stays", *_WINDOW, "check")]
    for index, stays, start, end, checks in zip(batches.index, *columns, strict=True):
        if not stays and any(
            since <= start and end <= until and checks <= known for since, until, known in covered
        ):
            yield int(index)
        covered.add((start, end, checks))


def _young(instants: pd.Series[pd.Timestamp], now: datetime) -> pd.Series[bool]:
    return instants >= pd.Timestamp(now - YOUNG)


def choices(now: datetime) -> dict[str, Callable[[pd.DataFrame], pd.Series[bool]]]:
    """What stays of each table that is thinned."""
    return {
        LIVE_EVIDENCE.name: partial(evidence_that_stays, now),
        QUALITY.name: partial(findings_that_stay, now),
    }
