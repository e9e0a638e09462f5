"""``fx-assets verify``: whether predictions and decisions are what was once said."""

from __future__ import annotations

import re
from pathlib import Path

from fx_assets.errors import LakeError, SpecError
from fx_assets.lake import Lake
from fx_assets.lake.chain import FOLDER
from fx_assets.lake.verified import Verified
from fx_assets.plural import counted
from fx_assets.runner import terminal
from fx_assets.settings import Settings
from fx_assets.tables import CHAINED

MOST_SHOWN = 20
"""Findings of one table that are printed."""
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def verify_on_terminal(forecast: str | None, head: str | None) -> int:
    """Say of each ledger whether it is as it was written; the exit code, 1 where one is not.

    Parameters
    ----------
    forecast
        Only of this forecast or universe.
    head
        A hash that was published, or a file that holds one: its row has to be in a chain still.

    Raises
    ------
    FxAssetsError
        There is no such forecast, no ledger, or no hash in what is given.
    """
    store, wanted = Lake.from_settings(Settings()), None if head is None else _hashes(head)
    found = [store.verify(*ledger) for ledger in _ledgers(store, forecast)]
    for each in found:
        _tell(each)
    missing = 0
    for one in wanted or ():
        row = next((f"{r} of {_of(each)}" for each in found if (r := each.known.get(one))), None)
        missing += row is None
        _print(
            f"MISSING head {one}: no chain leads to it. What was said then was rewritten or taken "
            "away, or was said elsewhere"
            if row is None
            else f"head {one} is that of {row}, and covers all rows before"
        )
    changed = [each for each in found if each.findings]
    if changed:
        _print(
            "What to do: compare with a backup (fx-assets restore into another home). Where the "
            f"newest rows were lost, not forged, move their file in {FOLDER}/ of the lake away: "
            "what was published before stays contradicted."
        )
    return 1 if changed or missing else 0


def _ledgers(store: Lake, forecast: str | None) -> list[tuple[str, str]]:
    there = {(table, name) for table in CHAINED for name in store.names(table)}
    for path in store.list_blobs(f"{FOLDER}/"):
        _, table, file = path.split("/", 2)
        there.add((table, file.removesuffix(".json").removesuffix(".early")))
    names = sorted({name for _, name in there})
    if forecast is not None and forecast not in names:
        raise SpecError(
            f"Nothing was said of a forecast {forecast}.",
            remedy=f"There is of: {', '.join(names) or 'none'}.",
        )
    if not there:
        raise LakeError(
            f"There is no prediction and no decision in the lake at {store.root}.",
            remedy="Check FX_ASSETS_HOME and FX_ASSETS_LAKE, or run fx-assets run first.",
        )
    return sorted((t, n) for t, n in there if forecast in (None, n))


def _hashes(given: str) -> list[str]:
    path = Path(given)
    text = given if _HASH.fullmatch(given) else path.read_text() if path.is_file() else ""
    found = list(dict.fromkeys(_HASH.findall(text)))
    if not found:
        raise SpecError(
            f"{given} is neither a head nor a file that holds one.",
            remedy="Give the 64 hexadecimal digits of an answer's X-Ledger-Head, or a file with "
            "them.",
        )
    return found


def _tell(each: Verified) -> None:
    rows = counted(each.rows, "row")
    if each.findings:
        for finding in each.findings[:MOST_SHOWN]:
            _print(f"CHANGED {_of(each)}: {finding}")
        if len(each.findings) > MOST_SHOWN:
            _print(f"CHANGED {_of(each)}: and {len(each.findings) - MOST_SHOWN} more")
    elif each.head is None:
        _print(f"{_of(each)}: {rows} of before it had a chain; the next row begins one")
    else:
        early = each.rows - each.chained
        more = f", {early} of them of before it had a chain" if early else ""
        _print(f"{_of(each)}: {rows}{more}, all as they were written; head {each.head}")


def _of(each: Verified) -> str:
    return f"{each.table} of {each.name}"


def _print(text: str) -> None:
    terminal().print(text, markup=False, soft_wrap=True)
