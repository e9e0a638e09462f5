"""A feed's profile as one self-contained HTML file.

Our tables and panels come first, Evidently's distributions and correlations below them. Evidently
draws a sample of large feeds; telemetry is switched off before its import, which takes seconds and
therefore happens in here only.
"""

from __future__ import annotations

import base64
import html
from typing import Any

import pandas as pd

from fx_assets.presentation.evidently import STYLE, evidently, with_head
from fx_assets.profiling.figures import panels
from fx_assets.profiling.profile import FeedProfile

MOST_DRAWN = 20_000
"""Rows that Evidently draws and correlates."""
DRAWN = ("return_bp", "abs_return_bp", "range_bp", "body_bp", "volume", "market_cap", "close")
"""Columns that Evidently draws; open, high and low are distributed as closes are."""
_WIDE = (
    "<style>.fx{max-width:1240px}.fx img{max-width:100%}.fx h2{font-size:15px;margin:16px 0 4px}"
    ".fx .side{display:flex;flex-wrap:wrap;gap:0 48px}</style>"
)
_STAMP = "%Y-%m-%d %H:%M"


def page(profile: FeedProfile, bars_a_year: int) -> bytes:
    """The page; it needs no network."""
    sample = profile.sample(MOST_DRAWN)
    with evidently():
        drawn = _evidently_html(sample)
    return with_head(drawn, _head(profile, panels(profile, bars_a_year), len(sample)))


def summary(profile: FeedProfile) -> list[tuple[str, str]]:
    """What a person asks first, as pairs of a name and a text."""
    r, p = profile.returns, profile
    gap = p.gaps.iloc[0] if len(p.gaps) else None
    revision = p.largest_revisions.iloc[0] if len(p.largest_revisions) else None
    shares = zip(p.providers["source"], p.providers["share"], strict=True)
    rows = [
        ("bars", f"{p.rows:,} of {p.frequency}, calendar {p.calendar}"),
        ("span", f"{p.first:{_STAMP}} to {p.last:{_STAMP}} UTC"),
        ("missing bars", f"{p.missing:,} of {p.due:,} due ({p.missing / max(1, p.due):.3%})"),
        (
            "longest gap",
            "none" if gap is None else f"{gap['missing']:,} bars after {gap['after']:{_STAMP}}",
        ),
        ("unexpected bars", f"{p.unexpected:,}"),
        ("revised bars", f"{p.revised:,} ({p.revisions:,} revisions)"),
        (
            "largest revision",
            "none"
            if revision is None
            else f"{revision['change_bp']:+.2f} bp of the close of "
            f"{revision['event_time']:{_STAMP}}",
        ),
        ("providers", ", ".join(f"{name} {share:.1%}" for name, share in shares)),
    ]
    if "std_bp" in r:
        rows += [
            ("annualised volatility", f"{r['annual_volatility']:.2%}"),
            ("mean, std of a return", f"{r['mean_bp']:+.3f}, {r['std_bp']:.2f} bp"),
            ("skewness, excess kurtosis", f"{r['skewness']:+.2f}, {r['excess_kurtosis']:.2f}"),
            ("best, worst return", f"{r['best_bp']:+.1f}, {r['worst_bp']:+.1f} bp"),
            ("share of ups", f"{r['up_share']:.4f}"),
            (
                "unchanged closes",
                f"{r['zero_share']:.2%}, at most {r['longest_unchanged']:.0f} in a row",
            ),
            (
                "autocorrelation at lag 1",
                f"{r['acf_1']:+.4f}, of absolute returns {r['acf_1_abs']:+.4f}",
            ),
        ]
    return rows


def _head(profile: FeedProfile, figure: bytes, drawn: int) -> str:
    picture = base64.b64encode(figure).decode()
    sampled = (
        f"a random sample of {drawn:,} of the {profile.rows:,} bars"
        if drawn < profile.rows
        else "all bars"
    )
    sections = [
        ("Largest moves", profile.extremes),
        ("Longest gaps", profile.gaps),
        ("Largest revisions", profile.largest_revisions),
        ("Providers", profile.providers),
        ("Columns", profile.columns[profile.columns["share"] > 0]),
        ("By year", profile.by_year),
    ]
    tables = "".join(
        f"<section><h2>{title}</h2>{_table(table)}</section>" for title, table in sections
    )
    facts = "".join(
        f"<tr><td>{name}</td><td>{html.escape(text)}</td></tr>" for name, text in summary(profile)
    )
    return (
        f"{STYLE}{_WIDE}<div class='fx'><h1>Profile of {html.escape(profile.feed)}</h1>"
        f"<p>{html.escape(profile.instrument)} as known at {profile.at:{_STAMP}} UTC. Returns are "
        "logarithmic, from close to close, and span no gap; bp is a ten-thousandth.</p>"
        f"<table>{facts}</table>"
        f"<img alt='price, volatility, distribution, memory, seasons, gaps' "
        f"src='data:image/png;base64,{picture}'/>"
        f"<div class='side'>{tables}</div><h2>Distributions and correlations</h2>"
        f"<p>Drawn by Evidently from {sampled}; all figures above are of all bars.</p></div>"
    )


def _table(table: pd.DataFrame) -> str:
    if table.empty:
        return "<p>None.</p>"
    shown = pd.DataFrame({name: [_cell(x, str(name)) for x in table[name]] for name in table})
    return str(shown.to_html(index=False, border=0, justify="right"))


def _cell(value: Any, column: str) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:{_STAMP}}"
    if column in {"share", "zero"}:
        return f"{value:.2%}"
    if column.endswith("_bp"):
        return f"{value:+,.2f}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and column != "year" else str(value)


def _evidently_html(series: pd.DataFrame) -> str:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import DatasetCorrelations
    from evidently.presets import ValueStats

    columns = [name for name in DRAWN if name in series]
    frame = series[columns].reset_index(drop=True)
    dataset = Dataset.from_pandas(frame, DataDefinition(numerical_columns=columns))
    metrics: list[Any] = [DatasetCorrelations(), *(ValueStats(column=name) for name in columns)]
    text: str = Report(metrics).run(dataset, None).get_html_str(as_iframe=False)
    return text
