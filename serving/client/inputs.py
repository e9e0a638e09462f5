"""What a prediction is asked from: features on the command line, bars in a CSV file, or JSON."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "features": "features",
    "rows": "features/batch",
    "bars": "bars",
    "series": "bars/batch",
}
"""The path below ``predict/`` by the one member of the body."""


class InputError(Exception):
    """What was given cannot be sent."""


def request_body(
    features: list[str] | None, bars: str | None, body: str | None
) -> tuple[str, dict[str, Any]]:
    """Path below ``predict/`` and JSON body; exactly one argument is given.

    Raises
    ------
    InputError
        It cannot be read; the message says where.
    """
    if features is not None:
        return "features", {"features": dict(map(_feature, features))}
    if bars is not None:
        return "bars", {"bars": _bars(_text(bars), bars)}
    text = _text(str(body))
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{body}: not JSON: {error}") from error
    kinds = [name for name in KINDS if isinstance(found, dict) and name in found]
    if len(kinds) != 1:
        raise InputError(
            f"{body}: expected a JSON object with one of {', '.join(KINDS)}.\n"
            '  What to do: write such as {"features": {...}} or {"bars": [{"day": ..., "close": '
            "...}]}."
        )
    return KINDS[kinds[0]], found


def _feature(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        if not name or not equals:
            raise ValueError
        return name, float(value)
    except ValueError:
        raise InputError(f"{text!r} is not NAME=VALUE with a number.") from None


def _bars(text: str, where: str) -> list[dict[str, Any]]:
    rows = csv.DictReader(text.splitlines())
    named = set(rows.fieldnames or ())
    if "close" not in named or not named & {"day", "event_time"}:
        raise InputError(
            f"{where}: the first line is {','.join(rows.fieldnames or ()) or 'empty'}.\n"
            "  What to do: name the columns day and close, such as 2026-10-30,1.1172, or for "
            "intraday bars event_time and close; open, high, low, volume and market_cap may follow."
        )
    return [_bar(row, f"{where}, line {rows.line_num}") for row in rows]


def _bar(row: dict[str, str], where: str) -> dict[str, Any]:
    bar: dict[str, Any] = {name: row[name] for name in ("day", "event_time") if row.get(name)}
    for name in ("close", "open", "high", "low", "volume", "market_cap"):
        text = row.get(name)
        if not text and name != "close":
            continue
        try:
            bar[name] = float(text or "")
        except ValueError:
            raise InputError(f"{where}: {name} is {text!r}, not a number.") from None
    return bar


def _text(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read: {error}") from error
