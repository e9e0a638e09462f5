"""Which instruments the source of a universe has."""

from __future__ import annotations

import glob
import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources.bars import Provenance
from fx_assets.sources.ecb import EcbClient
from fx_assets.sources.ecb_bars import EcbPayload
from fx_assets.sources.ecb_files import NO_FIXING
from fx_assets.specs.universe import NAMED_FILES, UniverseSpec

INSTRUMENT_COLUMNS = ("instrument", "currency", "first_fixing", "last_fixing", "fixings")


def listed(
    spec: UniverseSpec, settings: Settings, now: datetime
) -> tuple[pd.DataFrame, Provenance | None]:
    """Every instrument of a universe, sorted, and where the list came from.

    Columns of ``INSTRUMENT_COLUMNS``; what only a look at the bars would tell is empty.

    Raises
    ------
    SourceError
        The source does not answer, or no file has a name that fits.
    """
    if spec.source.kind == "ecb":
        client = EcbClient(settings, settings.cache_folder)
        payload = client.fetch(fallback=spec.source.fallback)
        found = instruments(payload, spec, now)
        if spec.instruments:
            wanted = pd.DataFrame({"instrument": sorted(spec.instruments)})
            found = wanted.merge(found, on="instrument", how="left")
            found["fixings"] = found["fixings"].fillna(0).astype("int64")
        return found, payload.provenance
    names = sorted(spec.instruments) or _named_by_files(spec, settings.home)
    table = pd.DataFrame({"instrument": names}, columns=list(INSTRUMENT_COLUMNS))
    texts = dict.fromkeys(("currency", "first_fixing", "last_fixing"), "")
    return table.assign(**texts, fixings=0), None


def _named_by_files(spec: UniverseSpec, home: Path) -> list[str]:
    path = str(home / Path(str(spec.source.settings["path"])).expanduser())
    pattern, wanted = re.escape(path), path
    for mark, letters in zip(NAMED_FILES, ("[A-Z0-9]{3,20}", "[a-z0-9]{3,20}"), strict=True):
        first, wanted = f"(?P<name>{letters})", wanted.replace(mark, "*")
        pattern = pattern.replace(re.escape(mark), first, 1).replace(re.escape(mark), "(?P=name)")
    pattern = pattern.replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    found = {
        match["name"].upper()
        for file in glob.glob(wanted, recursive=True)
        if (match := re.fullmatch(pattern, file))
    }
    if not found:
        raise SourceError(
            f"No file matches {path}.",
            remedy="Correct source.path: {instrument} stands for EURUSD, {lower} for eurusd. Or "
            "list the instruments.",
        )
    return sorted(found)


def instruments(payload: EcbPayload, spec: UniverseSpec, now: datetime) -> pd.DataFrame:
    """Every instrument that has had a fixing since the universe's start, sorted.

    Columns of ``INSTRUMENT_COLUMNS``; the first and the last fixing as days. Fixings after ``now``
    count for nothing. A redenominated currency is two instruments, as it is two columns of the
    ECB's file: TRL until 2004, TRY since.
    """
    table, market = payload.table, spec.market
    today = market.day_of(now)
    known = table.days >= np.datetime64(spec.start)
    known &= table.days < np.datetime64(today)
    if now >= market.event_time(today):
        known |= table.days == np.datetime64(today)
    base_fixed = _fixed(payload, spec.source.base) & known
    found: list[tuple[str, str, date, date, int]] = []
    for currency in sorted({"EUR", *table.currencies} - {spec.source.base}):
        days = table.days[_fixed(payload, currency) & base_fixed]
        if len(days):
            name = spec.instrument(currency)
            found.append((name, currency, days.min().item(), days.max().item(), len(set(days))))
    return pd.DataFrame(found, columns=list(INSTRUMENT_COLUMNS))


def _fixed(payload: EcbPayload, currency: str) -> np.ndarray:
    """On which rows of the file the currency has a fixing."""
    days = payload.table.days
    fixed = ~np.isnat(days)
    if currency != "EUR":
        fixed &= ~pd.Series(payload.table.texts(currency)).isin(NO_FIXING).to_numpy(dtype=bool)
    return np.asarray(fixed)
