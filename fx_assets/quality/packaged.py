"""The ECB's packaged fixings as a reference for feeds of its currencies."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.quality.references import Reference

PACKAGE, FILE = "currency_converter", "eurofxref-hist.zip"
ITSELF = frozenset({"ecb", "frankfurter", "simulated"})
"""Sources that are these fixings, or are about nothing that was ever fixed."""
LETTERS = 6


@lru_cache(maxsize=64)
def packaged_reference(instrument: str) -> Reference | None:
    """The fixings of an instrument such as ``EURUSD``, or ``None`` where the ECB has none."""
    name = "".join(letter for letter in instrument.upper() if letter.isalpha())
    rates = _rates()
    if len(name) != LETTERS or rates is None:
        return None
    base, quote = name[:3], name[3:]
    if base == quote or not {base, quote} <= set(rates.columns):
        return None
    close = (rates[quote] / rates[base]).dropna()
    fixed = pd.DatetimeIndex(close.index) + pd.Timedelta(hours=14, minutes=15)
    return Reference(
        name="the ECB's packaged fixings",
        times=fixed.tz_localize("Europe/Berlin").tz_convert(None).to_numpy("datetime64[us]"),
        days=close.index.to_numpy("datetime64[D]"),
        log_close=np.log(close.to_numpy(np.float64)),
        daily=True,
    )


@lru_cache(maxsize=1)
def _rates() -> pd.DataFrame | None:
    found = find_spec(PACKAGE)
    path = Path(found.origin).with_name(FILE) if found and found.origin else None
    if path is None or not path.is_file():
        return None
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as text:
        table = pd.read_csv(text, index_col="Date", parse_dates=True, na_values="N/A")
    return table.sort_index().select_dtypes("number").assign(EUR=1.0)
