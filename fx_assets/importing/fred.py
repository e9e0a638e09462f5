"""Exchange rates of the Federal Reserve (release H.10) by the names that FRED gives them."""

from __future__ import annotations

from typing import Any

from fx_assets.sources.files.inspect import Inspection

SERIES: dict[str, str] = {
    "DEXUSEU": "EURUSD",
    "DEXUSUK": "GBPUSD",
    "DEXUSAL": "AUDUSD",
    "DEXUSNZ": "NZDUSD",
    "DEXJPUS": "USDJPY",
    "DEXCAUS": "USDCAD",
    "DEXSZUS": "USDCHF",
    "DEXMXUS": "USDMXN",
    "DEXCHUS": "USDCNY",
    "DEXINUS": "USDINR",
    "DEXKOUS": "USDKRW",
    "DEXBZUS": "USDBRL",
    "DEXSFUS": "USDZAR",
    "DEXSDUS": "USDSEK",
    "DEXNOUS": "USDNOK",
    "DEXDNUS": "USDDKK",
    "DEXSIUS": "USDSGD",
    "DEXHKUS": "USDHKD",
    "DEXTAUS": "USDTWD",
    "DEXTHUS": "USDTHB",
    "DEXMAUS": "USDMYR",
    "DEXSLUS": "USDLKR",
}
"""FRED's name of a series, and its instrument."""
CALENDAR = "US"
DAY_CLOSE = "12:00 America/New_York"
"""The rates are those of noon in New York."""
NOTE = (
    "These are the noon rates of the Federal Reserve; it publishes those of a week on the next "
    "Monday, so live predictions from them are late: --delay-minutes says by how much."
)


def add_what_fred_means(settings: dict[str, Any], inspection: Inspection) -> bool:
    """Add instrument, calendar and close of a file that is FRED's; returns whether it is."""
    closes = {file.columns.get("close", "").upper() for file in inspection.files}
    series = closes & set(SERIES)
    if len(series) != 1:
        return False
    settings.setdefault("source.instrument", SERIES[series.pop()])
    if settings.setdefault("calendar", CALENDAR) == CALENDAR:
        settings.setdefault("day_close", DAY_CLOSE)
    return True
