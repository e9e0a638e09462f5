"""``fx-assets compare``: what a change does to the forecasts, before it is merged."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from fx_assets import clock
from fx_assets.comparing.changes import Change, changes
from fx_assets.comparing.checkout import Checkout, commit_of, unpack
from fx_assets.comparing.report import Finding, Suspected, figure, headline, markdown
from fx_assets.comparing.snapshot import members_of, take_bars, take_known
from fx_assets.comparing.verdict import SIGNIFICANCE, TOLERANCE, difference, words
from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.evaluation.compare import claim_of
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.significance import MIN_ROWS
from fx_assets.settings import Settings
from fx_assets.specs import TargetSpec
from fx_assets.specs.files import load_declared

NO_HARM, WORSE, NOT_COMPARABLE = 0, 1, 2
PICTURE = "compare.png"


@dataclass(frozen=True)
class Asked:
    """What a person wants compared, and how strictly."""

    base: str
    forecasts: tuple[str, ...] = ()
    """All that are declared, where it is empty."""
    accept: frozenset[str] = frozenset()
    """``forecast/candidate`` that may pass although it is worse or suspected."""
    significance: float = SIGNIFICANCE
    tolerance: float = TOLERANCE


def compare_on_terminal(options: argparse.Namespace) -> int:
    """Compare what the command line asks for; what cannot be asked is said, and answered with 2."""
    asked = Asked(options.base, tuple(options.forecasts), frozenset(options.accept))
    try:
        return compare(asked, options.report)
    except FxAssetsError as error:
        print(f"fx-assets: {error}", file=sys.stderr)
        return NOT_COMPARABLE


def compare(asked: Asked, report: Path | None = None) -> int:
    """Judge what differs from another commit on identical rows, and say what is worse.

    Prints a report in Markdown, or writes it to ``report`` with ``compare.png`` beside it.

    Returns
    -------
    int
        0: no harm. 1: a changed recipe is significantly worse, or too good to be true. 2: something
        that changed cannot be compared.

    Raises
    ------
    FxAssetsError
        There is no such commit, or one of the sides cannot be judged.
    """
    settings = Settings()
    here = settings.home.resolve()
    with tempfile.TemporaryDirectory(prefix="fx-assets-compare-") as folder:
        scratch = Path(folder)
        commit = commit_of(here, asked.base)
        unpack(here, commit, scratch / "base")
        sides = Checkout(scratch / "base", f"{asked.base} ({commit[:9]})"), Checkout(here, "This")
        findings, bars = _judged(asked, sides, settings, scratch)
    strange = sorted(asked.accept - {found.name for found in findings})
    if strange:
        raise SpecError(
            f"There is no candidate {strange[0]!r} to accept.",
            remedy=f"Write forecast/candidate, such as {findings[0].name}.",
        )
    findings = [replace(f, accepted=f.name in asked.accept) for f in findings]
    text = markdown(
        findings,
        base=f"`{asked.base}` at `{commit[:9]}`",
        significance=asked.significance,
        tolerance=asked.tolerance,
        bars=bars,
        picture="" if report is None else PICTURE,
    )
    if report is None:
        print(text)
    else:
        report.parent.mkdir(parents=True, exist_ok=True)
        picture = figure(findings)
        if picture is not None:
            report.with_name(PICTURE).write_bytes(picture)
        report.write_text(text, encoding="utf-8")
        print(f"{headline(findings)} {report}")
    if any(found.blocks for found in findings):
        return WORSE
    unclear = any(found.verdict == "not comparable" and not found.accepted for found in findings)
    return NOT_COMPARABLE if unclear else NO_HARM


def _judged(
    asked: Asked, sides: tuple[Checkout, Checkout], settings: Settings, scratch: Path
) -> tuple[list[Finding], str]:
    """Every candidate's finding, and which bars they rest on."""
    declared, now = load_declared(settings.declared_folder), clock.now()
    there = {*declared.forecasts, *declared.universes}
    told = [name for one in asked.forecasts for name in declared.named(one) or [one]]
    asked = replace(asked, forecasts=tuple(told))
    unknown = sorted(set(told) - there)
    if unknown:
        raise SpecError(
            f"There is no forecast or universe {unknown[0]!r}.",
            remedy=f"Declared are {', '.join(sorted(there))}.",
        )
    names = asked.forecasts or tuple(declared.forecasts)
    feeds = {s.feed: declared.feeds[s.feed] for n, s in declared.forecasts.items() if n in names}
    wanted = {n: f for n, f in feeds.items() if f.automatic or asked.forecasts}
    universes = [
        universe
        for name, universe in declared.universes.items()
        if name in names or (universe.automatic and not asked.forecasts)
    ]
    members = {universe.name: members_of(universe, settings) for universe in universes}
    panels = {u.name: [u.feed(m) for m in members[u.name] if u.is_named(m)] for u in universes}
    bars, without = take_bars(wanted.values(), panels, settings, scratch, now, _say)
    for name, why in without.items():
        _say(f"{name}: no bars. {why}")
    known = scratch / "known"
    take_known(declared, settings, known)
    request = {"bars": bars, "known": str(known), "members": members}
    only_facts = {**request, "walk": {}, "probe": False}
    facts = [side.ask({**only_facts, "out": f"facts{k}"}, scratch) for k, side in enumerate(sides)]
    found = [
        change
        for change in changes(*facts)
        if not asked.forecasts or change.forecast.partition("/")[0] in asked.forecasts
    ]
    for k, side in enumerate(sides):
        walk = _to_walk(found, {"changed"} if k == 0 else {"changed", "new"}, facts[k], bars)
        if walk:
            _say(f"Walking forward: {side.called}.")
            walked = side.ask(
                {**request, "walk": walk, "probe": k == 1, "out": f"rows{k}"}, scratch
            )
            facts[k] = {**facts[k], **walked}
    return _findings(found, facts, scratch, asked), _bars_told(bars, now)


def _to_walk(
    found: Sequence[Change], kinds: Collection[str], facts: Mapping[str, Any], bars: Collection[str]
) -> dict[str, list[str]]:
    """The candidates whose rows are needed, by forecast."""
    walk: dict[str, list[str]] = {}
    for change in found:
        there = facts.get(change.forecast, {"candidates": {}, "feed": ""})
        candidate = there["candidates"].get(change.candidate)
        if change.kind in kinds and candidate and candidate["installed"] and there["feed"] in bars:
            walk.setdefault(change.forecast, []).append(change.candidate)
    return walk


def _findings(
    found: Sequence[Change], facts: Sequence[Mapping[str, Any]], scratch: Path, asked: Asked
) -> list[Finding]:
    told = [_finding(change, facts[1], scratch, asked) for change in found]
    paired = [k for k, each in enumerate(told) if each.difference is not None]
    said = words(
        [d for k in paired if (d := told[k].difference) is not None],
        asked.significance,
        asked.tolerance,
    )
    for k, word in zip(paired, said, strict=True):
        told[k] = replace(told[k], word=word)
    return told


def _finding(change: Change, after: Mapping[str, Any], scratch: Path, asked: Asked) -> Finding:
    rows = [_rows(scratch, k, change.forecast, change.candidate) for k in (0, 1)]
    if rows[1] is None:
        return Finding(change)
    facts = after[change.forecast]
    target = TargetSpec.model_validate(facts["target"])
    reference = _rows(scratch, 1, change.forecast, "_reference")
    suspicion = facts["candidates"][change.candidate].get("suspicion")
    found = Finding(
        change,
        claim=_claim(rows[1], reference, target, asked),
        suspected=Suspected(**suspicion) if suspicion else None,
    )
    if rows[0] is None:
        return found
    both = rows[0].merge(rows[1], on="event_time", suffixes=("_before", "_after"))
    both = both[both["target_before"] == both["target_after"]]
    if len(both) < MIN_ROWS:
        what = (*change.what, f"{len(both)} rows in common, fewer than {MIN_ROWS}")
        return Finding(replace(change, kind="not comparable", what=what), claim=found.claim)
    return replace(
        found,
        claim_before=_claim(rows[0], reference, target, asked),
        difference=difference(
            target.kind,
            target.horizon,
            both["target_after"].to_numpy(float),
            both["prediction_before"].to_numpy(float),
            both["prediction_after"].to_numpy(float),
        ),
    )


def _claim(
    rows: pd.DataFrame, reference: pd.DataFrame | None, target: TargetSpec, asked: Asked
) -> Any:
    item = Evidence("it", "it", rows)
    baseline = Evidence("baseline", "baseline", rows.assign(prediction=rows["baseline"]))
    other = baseline
    if reference is not None:
        own = rows.drop(columns="prediction").merge(
            reference[["event_time", "prediction"]], on="event_time"
        )
        other = Evidence("reference", "reference", own)
    return claim_of(item, baseline, other, target, significance=asked.significance, tried=1)


def _rows(scratch: Path, k: int, forecast: str, candidate: str) -> pd.DataFrame | None:
    """The outcomes that are known of a candidate's walk-forward rows."""
    file = scratch / f"rows{k}" / forecast / f"{candidate}.parquet"
    if not file.exists():
        return None
    rows = pd.read_parquet(file)
    return rows[rows["target"].notna()].reset_index(drop=True)


def _bars_told(bars: Collection[str], now: datetime) -> str:
    return f"bars of {', '.join(sorted(bars)) or 'no feed'} as known at {now:%Y-%m-%d %H:%M} UTC"


def _say(text: str) -> None:
    print(text, flush=True)
