"""What README and pages say that the packaged forecasts find, made of the pinned numbers of a run.

``python -m fx_assets_tests.golden.readme`` writes the tables anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "README.md"
DOCS = README.parent / "docs"
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
EARNED_HEAD = (
    "| next-day direction, `sign` | a year after costs | before | Sharpe after costs | interval "
    "| before | deflated |\n|---|---|---|---|---|---|---|\n"
)
WORTH_HEAD = (
    "| variance of 20 days, `risk_target` | utility a year | interval | after costs "
    "| bars below the value at risk | Kupiec p | FZ0 p |\n|---|---|---|---|---|---|---|\n"
)
HELD_HEAD = (
    "| variance of the next 20 days, n = 5,069 | all rows | interval | worst 500 in a row "
    "| in calm, usual and wild markets |\n|---|---|---|---|---|\n"
)
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


def on_pages(pinned: dict[str, Any]) -> dict[Path, list[tuple[str, str]]]:
    """The tables of each page, by their heads."""
    risk, sign = pinned["eurusd_volatility"], pinned["eurusd_direction"]
    return {
        README: [(HEAD, table(pinned))],
        DOCS / "economics.md": [(EARNED_HEAD, earned(sign)), (WORTH_HEAD, worth(risk))],
        DOCS / "models.md": [(HELD_HEAD, held(risk))],
    }


def earned(sign: dict[str, Any]) -> str:
    """A row for each recipe of a direction, in the order of the declaration."""
    rows = []
    for name, figure in _recipes(sign):
        sharpe, lower, upper, _ = figure("sharpe")
        cells = [
            *(name, percent(figure("net_return")[0], 1), percent(figure("gross_return")[0], 1)),
            *(number(sharpe), f"{number(lower)} to {number(upper)}"),
            *(number(figure("sharpe_before_costs")[0]), f"{figure('deflated_sharpe')[0]:.2f}"),
        ]
        rows.append(_line(cells))
    return EARNED_HEAD + "".join(rows)


def worth(risk: dict[str, Any]) -> str:
    """A row for each recipe of a variance."""
    rows = []
    for name, figure in _recipes(risk):
        value, lower, upper, _ = figure("utility")
        cells = [
            *(name, f"{100 * value:.2f} %", f"{100 * lower:.2f} to {100 * upper:.2f}"),
            f"{100 * figure('utility_after_costs')[0]:.2f} %",
            f"{100 * figure('var_exceedances')[0]:.1f} %",
            *(f"{figure(name)[0]:.2f}" for name in ("kupiec_p", "fz0_p")),
        ]
        rows.append(_line(cells))
    return WORTH_HEAD + "".join(rows)


def held(risk: dict[str, Any]) -> str:
    """How often the intervals of each recipe of a variance held."""
    scores, rows = risk["scores"], []
    for name in (key.removesuffix(" coverage") for key in scores if key.endswith(" coverage")):
        value, lower, upper, _ = scores[f"{name} coverage"]
        worst = scores[f"{name} coverage_worst"][0]
        regimes = (scores[f"{name} coverage_{r}"][0] for r in ("calm", "usual", "wild"))
        cells = [
            *(_called(name, risk), f"{100 * value:.1f} %"),
            f"{100 * lower:.1f} to {100 * upper:.1f}",
            *(f"{100 * worst:.1f} %", ", ".join(f"{100 * share:.0f} %" for share in regimes)),
        ]
        rows.append(_line(cells))
    return HELD_HEAD + "".join(rows)


def about_money(pinned: dict[str, Any]) -> list[str]:
    """What README and the page about economics say in sentences."""
    risk, sign = pinned["eurusd_volatility"]["economics"], pinned["eurusd_direction"]["economics"]
    sharpe = [row[0] for key, row in sign.items() if key.endswith(" sharpe")]
    most = max(row[0] for key, row in sign.items() if key.endswith(" deflated_sharpe"))
    best, smooth, mean = (risk[f"{n} utility"][0] for n in ("pool", "ewma", "expanding_mean"))
    after, smooth_after = (risk[f"{n} utility_after_costs"][0] for n in ("pool", "ewma"))
    return [
        f"Sharpe ratios lie between {number(min(sharpe))} and {number(max(sharpe))} a year",
        f"the deflated probability that one of them is above zero is at most {most:.2f}",
        f"is worth {100 * best:.2f} % a year of 4 at best, {100 * after:.2f} after costs; "
        f"exponential smoothing {100 * smooth:.2f} and {100 * smooth_after:.2f}, the average of "
        f"all of history {100 * mean:.2f}",
        f"the probability of backtest overfitting is {sign['xgboost backtest_overfitting'][0]:.2f}",
        f"The pool's gains {100 * (best - mean):.2f} % a year on the average of all of history, "
        f"and {100 * (best - smooth):.2f} % on exponential smoothing, "
        f"{100 * (after - smooth_after):.2f} % after costs",
        "To hold the euro itself at constant risk lost "
        f"{-100 * risk['xgboost net_return'][0]:.1f} % a year",
    ]


def pooled(pinned: dict[str, Any]) -> list[str]:
    """What a pool with equal weights gains on its best member, by QLIKE, as the page says it."""
    found = []
    for forecast, title in (
        ("eurusd_volatility", "EUR/USD, 20 days' variance"),
        ("eurusd_volatility_1d", "next day's variance"),
    ):
        scores = pinned[forecast]["scores"]
        best = min(scores[f"{name} qlike"][0] for name in ("garch", "xgboost"))
        gained = percent(1 - scores["pool qlike"][0] / best, 1)
        found.append(f"| {title} | GARCH, XGBoost | {gained} (")
    return found


def number(value: float) -> str:
    """Such as ``−0.64``."""
    return f"{value:+.2f}".replace("-", "−")


def _recipes(forecast: dict[str, Any]) -> Iterator[tuple[str, Callable[[str], list[float]]]]:
    figures = forecast["economics"]
    names = [key.removesuffix(" sharpe") for key in figures if key.endswith(" sharpe")]
    for name in sorted(names, key=lambda name: (name not in BASELINES, name)):
        yield _called(name, forecast), lambda figure, name=name: figures[f"{name} {figure}"]


def _called(name: str, forecast: dict[str, Any]) -> str:
    told = CALLED.get(name, name.replace("_", " "))
    return f"{told} (champion)" if name == forecast["decisions"][-1]["champion"] else told


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


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
    """Put the tables of the pinned numbers in place of those of README and the pages."""
    for page, tables in on_pages(json.loads(PINNED.read_text())).items():
        text = page.read_text()
        for head, made in tables:
            before, _, rest = text.partition(head)
            text = before + made + rest[rest.index("\n\n") + 1 :]
        page.write_text(text)


if __name__ == "__main__":
    main()
