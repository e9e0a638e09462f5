"""The flags of ``fx-assets import`` that answer questions: which setting each of them is."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from fx_assets.errors import SpecError

if TYPE_CHECKING:
    from fx_assets.sources.files.questions import Option

USUAL_TARGET = "volatility"


@dataclass(frozen=True)
class Flag:
    """One flag: the setting that it is, and what may stand behind it."""

    name: str
    setting: str
    shown: str
    help: str
    choices: tuple[str, ...] = ()


FLAGS: tuple[Flag, ...] = (
    Flag("--instrument", "source.instrument", "EURUSD", "what the files price"),
    Flag("--timezone", "source.timezone", "ZONE", "clock of times without an offset"),
    Flag("--stamp", "source.stamp", "open|close", "what a row's time is", ("open", "close")),
    Flag("--format", "source.format", "FORMAT", "instead of what is recognised"),
    Flag("--offsets", "source.offsets", "local", "epochs that write a local clock", ("local",)),
    Flag("--day-first", "source.day_first", "yes|no", "whether 05/04/2024 is in April"),
    Flag("--date-format", "source.date_format", "FORMAT", "as strptime has it, or s, ms, us"),
    Flag("--decimal", "source.decimal", "MARK", "decimal mark", (".", ",")),
    Flag("--thousands", "source.thousands", "MARK", "mark between thousands"),
    Flag("--delimiter", "source.delimiter", "MARK", "what separates cells"),
    Flag("--symbol", "source.symbol", "NAME", "which instrument of a table that has several"),
    Flag("--sheet", "source.sheet", "NAME", "which sheet of a workbook"),
    Flag("--scale", "source.price_scale", "NUMBER", "what prices are divided by"),
    Flag("--calendar", "calendar", "NAME", "when the market has bars: 24x5, 24x7, target, US, ..."),
    Flag("--frequency", "frequency", "1h", "length of a bar"),
    Flag("--day-close", "day_close", "'17:00 America/New_York'", "when a daily bar closes"),
    Flag("--delay-minutes", "delay_minutes", "NUMBER", "from a bar's close until it is known"),
    Flag("--start", "start", "DAY", "first day that is kept"),
)
_BY_SETTING = {flag.setting: flag for flag in FLAGS}
_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_NUMBERS = ("source.price_scale", "delay_minutes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the command line know the command's paths and flags."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        type=_absolute,
        help="files, a folder, a glob in quotes, or s3://bucket/...",
    )
    parser.add_argument("--feed", metavar="NAME", help="default: from instrument and frequency")
    parser.add_argument("--forecast", metavar="NAME", help="default: the feed's and the target")
    parser.add_argument(
        "--target", metavar="KIND", help=f"what to predict (default: {USUAL_TARGET})"
    )
    parser.add_argument("--horizon", type=int, default=1, metavar="BARS", help="bars ahead")
    parser.add_argument("--features", metavar="SET", help="default: by the columns")
    parser.add_argument(
        "--no-forecast", action="store_true", help="declare the feed without a forecast"
    )
    parser.add_argument(
        "--automatic",
        action="store_true",
        help="switch the schedules on, and let fx-assets run without names include it",
    )
    parser.add_argument("--replace", action="store_true", help="overwrite declarations")
    parser.add_argument("--dry-run", action="store_true", help="look and tell, write nothing")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    _add_answers(parser)


def _absolute(path: str) -> str:
    """The command may change its working folder; what a person named stays the same."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))


def _add_answers(parser: argparse.ArgumentParser) -> None:
    """Let a parser know the flags that answer questions."""
    group = parser.add_argument_group("what the files do not tell")
    for flag in FLAGS:
        group.add_argument(
            flag.name, dest=flag.setting, metavar=flag.shown.strip("'"), help=flag.help
        )
    group.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help="time, date, open, high, low, close, volume or market_cap, and the file's name of it",
    )
    group.add_argument(
        "--volume", metavar="COLUMN", help="the column of volumes, or ticks, or none"
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="any other setting of the feed, such as gate.duplicates.severity=warn",
    )


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, as the flags say.

    Raises
    ------
    SpecError
        A flag has a value that cannot be its.
    """
    found: dict[str, Any] = {}
    for flag in FLAGS:
        given = options.get(flag.setting)
        if given is not None:
            found[flag.setting] = _value(flag, given)
    for text in options.get("column") or ():
        ours, theirs = _halves(text, "--column", "close=Kurs")
        found[f"source.columns.{ours}"] = theirs
    for text in options.get("set") or ():
        name, written = _halves(text, "--set", "gate.duplicates.severity=warn")
        found[name] = _yaml(written, text)
    return found


def _value(flag: Flag, given: str) -> Any:
    if flag.setting == "source.day_first":
        if given.lower() not in _WORDS:
            raise SpecError(f"--day-first is {given!r}.", remedy="Say yes or no.")
        return _WORDS[given.lower()]
    if flag.setting in _NUMBERS:
        try:
            number = float(given)
        except ValueError:
            raise SpecError(
                f"{flag.name} is {given!r}, which is no number.", remedy=f"Such as {flag.name} 1000"
            ) from None
        return int(number) if number.is_integer() else number
    if flag.choices and given not in flag.choices:
        raise SpecError(
            f"{flag.name} is {given!r}.", remedy=f"Choose one of {' '.join(flag.choices)}."
        )
    return {"\\t": "\t", "tab": "\t"}.get(given, given)


def _halves(text: str, flag: str, example: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise SpecError(f"{flag} {text!r} has no '='.", remedy=f"Such as {flag} {example}")
    return name.strip(), value.strip()


def _yaml(written: str, text: str) -> Any:
    try:
        return yaml.safe_load(written) if written else None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(
            f"--set {text!r} cannot be read: {error}", remedy="Write the value as YAML does."
        ) from None


def as_flags(option: Option) -> str:
    """The flags that choose an option."""
    return " ".join(_flag(name, value) for name, value in option.settings.items())


def _flag(setting: str, value: Any) -> str:
    if setting == "source.columns" and isinstance(value, Mapping):
        return " ".join(_flag(f"{setting}.{ours}", theirs) for ours, theirs in value.items())
    known = _BY_SETTING.get(setting)
    if value is None:
        return f"without {known.name}" if known else f"--set {setting}="
    if setting.startswith("source.columns."):
        return f"--column {shlex.quote(setting.removeprefix('source.columns.') + '=' + str(value))}"
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if known is not None:
        return f"{known.name} {shlex.quote(str(value))}"
    written = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...")
    return f"--set {shlex.quote(f'{setting}={written.strip()}')}"


def flag_for(setting: str) -> str:
    """What answers a question about a setting, where no option is known."""
    known = _BY_SETTING.get(setting)
    if known is not None:
        return f"{known.name} {known.shown}"
    if setting == "source.columns":
        return "--column time=NAME --column close=NAME"
    if setting.startswith("source.columns."):
        return f"--column {setting.removeprefix('source.columns.')}=NAME"
    return f"--set {setting}=VALUE"


def listed(options: Sequence[Option]) -> list[str]:
    """A line for each option: its flags, and what speaks for it."""
    return [
        as_flags(option) + (f"   ({option.evidence})" if option.evidence else "")
        for option in options
    ]
