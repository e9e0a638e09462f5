"""``fx-assets import``: from price files to a feed and a first forecast."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from fx_assets import clock
from fx_assets.doors import TARGETS
from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.importing import telling
from fx_assets.importing.first_forecast import Proposal, propose
from fx_assets.importing.flags import USUAL_TARGET, flag_for, listed, settings_of
from fx_assets.importing.looking import Looked, look, named, refuse_nonsense, with_option
from fx_assets.importing.paths import one_path
from fx_assets.importing.writing import (
    FEEDS,
    FORECASTS,
    Declaration,
    declaration,
    refuse_to_overwrite,
    write,
)
from fx_assets.settings import Settings
from fx_assets.sources.files.questions import Option, Question
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.base import complaint
from fx_assets.specs.files import Declared, load_declared

MOST_ROUNDS = 8
Ask = Callable[[str], str]


def import_files(
    options: argparse.Namespace, say: Callable[[str], None] = print, ask: Ask | None = None
) -> int:
    """Look at the files, ask what they do not tell, and write their declarations.

    Parameters
    ----------
    ask
        Puts a question to a person and returns what they typed; unset means the terminal, where
        there is one and ``--yes`` is not given.

    Returns
    -------
    int
        0: the declarations are written, or would be (``--dry-run``).

    Raises
    ------
    FxAssetsError
        The files cannot be read, or something must be said about them; nothing has been written.
    """
    deployment = Settings()
    if ask is None and not options.yes and sys.stdin.isatty() and sys.stdout.isatty():
        ask = _typed
    path = one_path(options.paths, deployment.home)
    settings = {"source.path": path, **settings_of(vars(options))}
    if options.volume not in (None, "none"):
        settings["source.columns.volume"] = options.volume
    looked = _until_clear(settings, deployment, say, ask)
    _print(say, telling.bars(looked))
    _print(say, telling.gate(looked))
    feed, proposal = _declarations(options, looked, ask)
    _print(say, (f"note: {note}" for note in (*looked.notes, *proposal.notes)))
    folder = deployment.declared_folder
    attributes = _without_defaults(looked, feed)
    files = [declaration(FEEDS, folder, attributes)]
    if proposal.attributes is not None:
        files.append(declaration(FORECASTS, folder, _checked(proposal.attributes)))
    _refuse_clashes(folder, files, feed, proposal)
    refuse_to_overwrite(files, options.replace)
    if options.dry_run:
        _show(files, say)
        return 0
    if ask is not None and not _agreed(files, say, ask):
        say("Nothing was written.")
        return 1
    _print(say, (f"{write(each)}: {each.file}" for each in files))
    say(_next(feed, proposal))
    return 0


def _typed(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return "q"


def _until_clear(
    settings: dict[str, Any], deployment: Settings, say: Callable[[str], None], ask: Ask | None
) -> Looked:
    """Look, ask all that is open, and look again with the answers."""
    for turn in range(MOST_ROUNDS):
        looked = look(settings, deployment, clock.now())
        if turn == 0:
            _print(say, telling.found(looked.inspection))
        if not looked.questions:
            return looked
        if ask is None:
            _print(say, telling.bars(looked))
            count = len(looked.questions)
            raise SpecError(
                f"{count} thing{'s' * (count > 1)} must be said about the files:\n"
                + "\n".join(f"  {line}" for line in telling.asked(looked.questions)),
                remedy="Give the flags that fit, all at once. Nothing was written.",
            )
        before = dict(looked.settings)
        for question in looked.questions:
            if _settled(question.setting, before, looked.settings):
                continue
            settings = _answered(question, looked, say, ask)
            looked = replace(looked, settings=settings)
    raise SpecError(
        "The files still leave questions open.", remedy="Give the answers as flags; see --help."
    )


def _settled(setting: str, before: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether an answer to another question has answered this one, too."""
    by_format = settings.get("source.format") != before.get("source.format")
    if by_format and setting in ("source.timezone", "source.stamp", "source.columns"):
        return True
    return settings.get(setting) != before.get(setting)


def _answered(
    question: Question, looked: Looked, say: Callable[[str], None], ask: Ask
) -> dict[str, Any]:
    """The settings with a person's answer to a question, asked until it makes sense."""
    say(f"\n{question.message}")
    for number, line in enumerate(listed(question.options), 1):
        say(f"  {number}) {line}")
    hint = f"number, or {question.setting}" if question.options else question.setting
    hint += "; Enter: 1" if _has_a_likeliest(question) else ""
    while True:
        typed = ask(f"{flag_for(question.setting)} [{hint}]: ").strip()
        if typed in ("q", "quit"):
            raise SpecError("Stopped.", remedy="Nothing was written.")
        try:
            settings = with_option(looked.settings, _chosen(question, typed))
            refuse_nonsense(settings)
        except SpecError as error:
            say(error.message)
            continue
        return settings


def _has_a_likeliest(question: Question) -> bool:
    return bool(question.options and question.options[0].evidence)


def _chosen(question: Question, typed: str) -> Option:
    if not typed and _has_a_likeliest(question):
        return question.options[0]
    if typed.isdigit() and 0 < int(typed) <= len(question.options):
        return question.options[int(typed) - 1]
    if not typed:
        raise SpecError("It takes an answer; q stops.")
    if question.setting.startswith("source.columns."):
        return Option({question.setting: typed})
    known = settings_of({question.setting: typed})
    return Option(known or settings_of({"set": [f"{question.setting}={typed}"]}))


def _print(say: Callable[[str], None], lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _declarations(
    options: argparse.Namespace, looked: Looked, ask: Ask | None
) -> tuple[FeedSpec, Proposal]:
    bars = looked.report.accepted if looked.report else pd.DataFrame()
    instrument = looked.inspection.attributes["source"]["instrument"]
    frequency = looked.inspection.attributes["frequency"]
    name = options.feed or _name(f"{instrument}_{frequency}")
    target = options.target
    if target is None and ask is not None and not options.no_forecast:
        typed = ask(f"predict {', '.join(TARGETS)}? [{USUAL_TARGET}]: ").strip()
        target = typed if typed in TARGETS else USUAL_TARGET
    target = target or USUAL_TARGET
    what = "Daily" if frequency == "1d" else f"Bars of {frequency} of"
    formats = sorted({file.format for file in looked.inspection.files} - {"generic"})
    origin = f" ({', '.join(formats)})" if formats else ""
    try:
        feed = named(looked, name, f"{what} {instrument} from files{origin}.", options.automatic)
    except FxAssetsError as error:
        raise SpecError(
            f"--feed {name}: {error.message}", remedy="Choose a name such as eurusd_1h."
        ) from None
    if options.no_forecast:
        return feed, Proposal(None, ())
    forecast = options.forecast or _name(f"{name}_{target}")
    proposal = propose(
        forecast,
        feed,
        bars,
        target,
        options.horizon,
        features=options.features,
        volume=options.volume != "none",
    )
    return feed, proposal


def _name(text: str) -> str:
    lower = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return lower if lower[:1].isalpha() else f"x_{lower}"


def _without_defaults(looked: Looked, feed: FeedSpec) -> dict[str, Any]:
    """What a person would write: what was said or found, no defaults."""
    attributes = dict(looked.inspection.attributes)
    source = {k: v for k, v in attributes.pop("source").items() if v is not None}
    if attributes.get("frequency") == "1d":
        del attributes["frequency"]
    return {
        "name": feed.name,
        "description": feed.description,
        "source": {"kind": "files", **source},
        **attributes,
        **({} if feed.automatic else {"automatic": False}),
    }


def _checked(attributes: dict[str, Any]) -> dict[str, Any]:
    try:
        ForecastSpec.model_validate(attributes)
    except ValidationError as error:
        told = "; ".join(map(complaint, error.errors()))
        raise SpecError(
            f"The forecast {attributes['name']} cannot be declared: {told}.",
            remedy="Correct --forecast, --features, --target or --horizon.",
        ) from None
    return attributes


def _refuse_clashes(
    folder: Path,
    files: list[Declaration],
    feed: FeedSpec,
    proposal: Proposal,
) -> None:
    """Names are shared by all feeds, forecasts and universes."""
    names = {feed.name: "feed"}
    if proposal.attributes is not None:
        forecast = str(proposal.attributes["name"])
        if forecast == feed.name:
            raise SpecError(
                f"The feed and the forecast are both called {forecast}.",
                remedy="Give another --forecast name.",
            )
        names[forecast] = "forecast"
    declared = _declared(folder)
    for name, kind in names.items():
        known = {
            "feed": name in declared.feeds,
            "forecast": name in declared.forecasts,
            "universe": name in declared.universes,
        }
        for other, there in known.items():
            own = any(d.file.parent.name == name and d.there is not None for d in files)
            if there and not (other == kind and own):
                raise SpecError(
                    f"A {other} called {name} is declared already.",
                    remedy=f"Give another --{kind} name.",
                )


def _declared(folder: Path) -> Declared:
    """What is declared well; mistakes elsewhere are the business of ``fx-assets check``."""
    try:
        return load_declared.__wrapped__(folder)
    except SpecError:
        return Declared({}, {})


def _show(files: list[Declaration], say: Callable[[str], None]) -> None:
    _print(say, (f"\n{each.file}:\n{each.text}" for each in files))


def _agreed(files: list[Declaration], say: Callable[[str], None], ask: Ask) -> bool:
    _show(files, say)
    return ask("Write these? [Y/n]: ").strip().lower() in ("", "y", "yes")


def _next(feed: FeedSpec, proposal: Proposal) -> str:
    if proposal.attributes is None:
        return f"Next: declare a forecast with feed: {feed.name} (docs/declare.md)"
    return f"Next: fx-assets run {proposal.attributes['name']}"
