"""Answers as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from fx_assets.plural import counted
from fx_assets.targets.shown import ValueFormat

DAYS = 366
"""Bars a year of which no two can be of one day."""


def show(command: str, answer: Any) -> None:
    """Print the answer of a command."""
    console = Console()
    if command == "history":
        console.print(_history(answer))
        return
    if command == "instruments":
        console.print(_instruments(answer))
        return
    if command == "performance":
        _performance(console, answer)
        return
    if command == "why":
        console.print(_contributions(answer))
        console.print(answer["sentence"], style="yellow", markup=False)
        return
    if command == "champions":
        console.print(_reigns(answer))
        return
    forecasts = answer if command == "latest" else answer.get("forecasts", [answer])
    console.print(_forecasts(forecasts))
    for forecast in forecasts:
        for note in _notes(forecast):
            console.print(f"{forecast['forecast']}: {note}", style="yellow", markup=False)


def _forecasts(forecasts: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("forecast\nchampion")
    table.add_column("for\nas of", no_wrap=True)
    table.add_column("value\ninterval")
    table.add_column("baseline")
    table.add_column("skill")
    for row in forecasts:
        interval, baseline, champion = row["interval"], row["baseline"], row["champion"]
        low, high = (_text(row, interval[bound]) for bound in ("lower", "upper"))
        table.add_row(
            f"{row['forecast']}\n{champion['name']} v{champion['version']}",
            f"{_bar(row, row['target_day'], row['target_time'])}\n"
            f"{_bar(row, row['data']['day'], row['data']['event_time'])}",
            f"{_text(row, row['value'])}\n{low} to {high} ({interval['coverage']:.0%})",
            f"{_text(row, baseline['value'])}\n{baseline['name']}",
            _skill(row["skill"]),
            end_section=True,
        )
    return table


def _instruments(answer: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("instrument\nstate", "target\nfor", "value\ninterval", "by\nverdict"):
        table.add_column(name)
    table.add_column("outcomes, inside\nthe newest")
    targets = {(one["target"], one["horizon"]): one for one in answer["targets"]}
    said: dict[str, list[dict[str, Any]]] = {}
    for row in answer["said"]:
        units = {"bars_a_year": answer["bars_a_year"]}
        target = targets[row["target"], row["horizon"]]
        shown = row | units | {"format": target["format"], "words": target["outcomes"]}
        said.setdefault(row["instrument"], []).append(shown)
    for one in answer["instruments"]:
        about = f"{one['instrument']}\n{one['state']}"
        for row in said.get(one["instrument"], ()):
            low, high = (_text(row, row[bound]) for bound in ("lower", "upper"))
            inside = "" if row["inside"] is None else f", {row['inside']:.0%}"
            table.add_row(
                about,
                f"{row['target']} {row['horizon']}\n"
                f"{_bar(answer, row['target_day'], row['target_time'])}",
                f"{_text(row, row['value'])}\n{low} to {high}",
                f"{row['champion']}\n{_word(row)}",
                f"{row['outcomes']}{inside}\n{'' if row['came'] is None else _came(row)}",
                end_section=True,
            )
        if one["instrument"] not in said:
            table.add_row(about)
    return table


def _came(row: dict[str, Any]) -> str:
    words = row["words"]
    return words[int(row["came"])] if words else _text(row, row["came"])


def _word(row: dict[str, Any]) -> str:
    """What may be said of a member's skill; rows of old say only whether it is demonstrated."""
    return row["verdict"] or ("demonstrated" if row["demonstrated"] else "none demonstrated")


def _bar(answer: dict[str, Any], day: str, closed: str) -> str:
    """A bar by its market's day, or of an intraday bar by its close (UTC)."""
    daily = answer.get("bars_a_year", DAYS + 1) <= DAYS
    return day if daily else f"{closed[:16].replace('T', ' ')} UTC"


def _skill(skill: dict[str, Any]) -> str:
    if skill["demonstrated"]:
        how = "demonstrated, see below" if skill.get("caveat") else "demonstrated"
        return f"{how}\n{skill['skill']:+.2%}"
    verdict = skill.get("verdict")
    if verdict and verdict["word"] == "knows something":
        return f"knows\nsomething\n{skill['skill']:+.2%}"
    return "none\ndemonstrated"


def _notes(row: dict[str, Any]) -> list[str]:
    notes = []
    if row.get("quantiles"):
        stated = (f"{one['level']:.4g}: {_text(row, one['value'])}" for one in row["quantiles"])
        notes.append(f"quantiles {', '.join(stated)}")
    for one in row.get("term") or ():
        own = row | {"horizon": one["horizon"]}
        low, high = (_text(own, one["interval"][bound]) for bound in ("lower", "upper"))
        notes.append(f"{one['horizon']} bars: {_text(own, one['value'])} ({low} to {high})")
    if row.get("below"):
        below = row["below"]
        notes.append(f"P(at most {below['value']:g}) = {below['probability']:.4f}")
    if row["skill"].get("caveat"):
        said = "skill demonstrated, but " if row["skill"]["demonstrated"] else ""
        notes.append(f"{said}{row['skill']['caveat']}")
    verdict = row["skill"].get("verdict")
    if verdict and row["champion"]["name"] != verdict["baseline"]["name"]:
        notes.append(verdict["sentence"])
    if row["stale"]:
        notes.append(f"the last good copy answers: {row['stale']}")
    if row["data"]["freshness"] != "fresh":
        missing = row["data"]["missing_bars"]
        are = "is" if missing == 1 else "are"
        notes.append(
            f"the data is {row['data']['freshness']}: {counted(missing, 'bar')} {are} missing"
        )
    if row.get("abstained"):
        notes.append(f"the champion is not heard, the value is the reference's: {row['abstained']}")
    if row.get("expired"):
        notes.append(f"expired: it was good until {row['good_until']}")
    if row["mode"] == "late":
        notes.append("issued after its target time, from what was known before")
    if row["out_of_range"]:
        notes.append(f"outside of what training saw: {', '.join(row['out_of_range'])}")
    return notes


def _text(row: dict[str, Any], value: float | None) -> str:
    if value is None:
        return "none"
    return ValueFormat(**row["format"]).text(value, row["horizon"], row["bars_a_year"])


def _history(answer: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("made at", "for", "mode", "champion"):
        table.add_column(name)
    for name in ("prediction", "lower", "upper", "baseline", "outcome", "loss"):
        table.add_column(name, justify="right")
    for row in answer["rows"]:
        numbers = (row[name] for name in ("prediction", "lower", "upper", "baseline", "outcome"))
        table.add_row(
            _bar(answer, row["day"], row["event_time"]),
            _bar(answer, row["target_day"], row["target_time"]),
            row["mode"],
            " ".join(part for part in (row["champion"], row["version"]) if part),
            *map(_number, numbers),
            _number(row["loss"]),
        )
    return table


def _performance(console: Console, answer: dict[str, Any]) -> None:
    earned = answer["economics"]
    parts = [(answer, "metric", "metric")]
    if earned:
        parts.append((earned, "what it would have earned", "title"))
    for found, title, name in parts:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column(title)
        for evidence in ("walking forward", "live"):
            table.add_column(evidence, justify="right")
        live = {row[name]: row for row in found["live"]}
        for row in found["backtest"]:
            table.add_row(row[name], _measured(row), _measured(live.get(row[name])))
        console.print(table)
    if earned:
        console.print(earned["sentence"], style="yellow", markup=False)


def _measured(row: dict[str, Any] | None) -> str:
    """A figure with its interval, where it has one."""
    if row is None or row["value"] is None:
        return ""
    if row["lower"] is None or row["lower"] == row["upper"]:
        return _number(row["value"])
    return f"{_number(row['value'])} ({_number(row['lower'])} to {_number(row['upper'])})"


def _contributions(answer: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, title=answer["scale"])
    table.add_column("input")
    for name in ("value", "usual", "effect"):
        table.add_column(name, justify="right")
    for row in answer["contributions"]:
        effect = f"{row['effect']:+.4g} ± {row['standard_error']:.1g}"
        table.add_row(row["name"], _number(row["value"]), _number(row["usual"]), effect)
    table.add_row("usually", "", "", f"{answer['base']:.4g}", style="bold")
    table.add_row("this time", "", "", f"{answer['total']:.4g}", style="bold")
    return table


def _reigns(answer: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("champion", "since", "until", "how", "why"):
        table.add_column(name)
    for row in answer["reigns"]:
        until = row["until"][:10] if row["until"] else "now"
        table.add_row(row["champion"], row["since"][:10], until, row["how"], row["why"])
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
