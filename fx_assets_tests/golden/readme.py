"""What README says that the packaged forecasts find, made of the pinned numbers of a run.

``python -m fx_assets_tests.golden.readme`` writes the table anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "README.md"
PINNED = Path(__file__).with_name("packaged.json")
HEAD = (
    "| forecast | candidate | skill on baseline | interval | skill on smoothing | interval | n "
    "| champion |\n|---|---|---|---|---|---|---|---|\n"
)
FORECASTS = {
    "eurusd_direction": "next-day direction",
    "eurusd_return": "next-day return",
    "eurusd_volatility_1d": "next-day variance",
    "eurusd_volatility": "variance of the next 20 days",
}
CALLED = {
    "pool": "pool of GARCH and XGBoost",
    "garch": "GARCH(1,1)-t",
    "xgboost": "XGBoost",
    "ewma": "EWMA",
    "log_har": "log-HAR",
}
BASELINES = ("base_rate", "zero", "expanding_mean")

Scores = dict[str, list[float]]


def table(pinned: dict[str, Any]) -> str:
    """A row for each candidate of EUR/USD, the best first."""
    rows = []
    for name, title in FORECASTS.items():
        scores, champion = pinned[name]["scores"], pinned[name]["decisions"][-1]["champion"]
        places = 1 if "variance" in title else 2
        tried = [k.removesuffix(" skill") for k in scores if k.endswith(" skill")]
        tried = [candidate for candidate in tried if candidate not in BASELINES]
        tried.sort(key=lambda candidate: -scores[f"{candidate} skill"][0])
        for first, candidate in zip([title, *[""] * len(tried)], tried, strict=False):
            value, lower, upper, n = scores[f"{candidate} skill"]
            called = CALLED.get(candidate, candidate.replace("_", " "))
            cells = [
                *(first, called, percent(value, places), between(lower, upper, places)),
                *_on_reference(scores.get(f"{candidate} skill_on_reference"), places),
                *(f"{n:,.0f}", "**yes**" if candidate == champion else "no"),
            ]
            rows.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|\n")
    return HEAD + "".join(rows)


def sentences(pinned: dict[str, Any]) -> list[str]:
    """What it says of accuracies and of GBP/USD."""
    scores = pinned["eurusd_direction"]["scores"]
    shares = [row for key, row in scores.items() if key.endswith(" accuracy")]
    lowest, highest = (pick(row[0] for row in shares) for pick in (min, max))
    wide = max((row[2] - row[1]) / 2 for row in shares)
    other = pinned["gbpusd_direction"]["scores"]
    best = max(
        (row for key, row in other.items() if _of_a_model(key, "skill")), key=lambda row: row[0]
    )
    return [
        f"Accuracy of direction lies between {lowest:.3f} and {highest:.3f} (each ± {wide:.3f})",
        f"the best candidate has a skill of {percent(best[0], 2)} ({between(best[1], best[2], 2)})",
    ]


def percent(value: float, places: int) -> str:
    """Such as ``−0.12 %``."""
    return f"{value:+.{places}%}".replace("-", "−").replace("%", " %")


def between(lower: float, upper: float, places: int) -> str:
    """Such as ``−0.29 to +0.04``."""
    return f"{percent(lower, places)} to {percent(upper, places)}".replace(" %", "")


def _on_reference(row: list[float] | None, places: int) -> tuple[str, str]:
    if row is None or row[0] is None:
        return "", ""
    if row[:3] == [0.0, 0.0, 0.0]:
        return "0 (it is that)", ""
    return percent(row[0], places), between(row[1], row[2], places)


def _of_a_model(key: str, metric: str) -> bool:
    candidate, _, found = key.partition(" ")
    return found == metric and candidate not in BASELINES


def main() -> None:
    """Put the table of the pinned numbers in place of README's."""
    text = README.read_text()
    before, _, rest = text.partition(HEAD)
    README.write_text(
        before + table(json.loads(PINNED.read_text())) + rest[rest.index("\n\n") + 1 :]
    )


if __name__ == "__main__":
    main()
