"""What pages and Makefile tell people to type exists: commands, flags, names, variables, files."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest

from fx_assets.alerting.channels import AlertSettings
from fx_assets.settings import PACKAGED_DECLARATIONS, Settings
from fx_assets.specs.files import load_declared
from fx_assets_tests.specs.test_docs import DOCS, PAGES, ROOT, name, text
from serving.settings import Settings as ServerSettings

MAKEFILE = ROOT / "Makefile"
DEPLOYED = [
    path
    for path in sorted((ROOT / "deploy").rglob("*"))
    if path.is_file() and path.suffix != ".pyc"
]
OURS = ("fx_assets", "fx_assets_tests", "serving", "benchmarks")
TOOLS = ("fx-assets", "make", "python", "dg", "pip")
ERRORS = ("fx-assets is pinned to Python 3.11",)
"""What looks like a command and is a message."""
PLACEHOLDERS = {"<forecast>": "eurusd_direction", "FEED": "ecb_eurusd"}
MODULE = re.compile(r"python -m ([\w.]+)")
VARIABLE = re.compile(r"\bFX_(?:ASSETS|SERVING)_[A-Z0-9_]+")


class Seen(Exception):  # noqa: N818
    """A parser and what it has made of the arguments."""

    def __init__(self, parser: argparse.ArgumentParser, options: argparse.Namespace | None) -> None:
        self.parser, self.options = parser, options


def spans(page: Path) -> Iterator[str]:
    """Lines of code blocks, and code within text, which may go over the end of a line."""
    prose = []
    for i, part in enumerate(re.split(r"^```.*$", text(page), flags=re.MULTILINE)):
        if i % 2:
            yield from part.replace("\\\n", " ").splitlines()
        else:
            prose.append(part)
    for span in re.findall(r"`([^`]+)`", "".join(prose)):
        yield " ".join(span.split())


def recipes() -> Iterator[str]:
    """Lines of the Makefile's recipes."""
    for line in text(MAKEFILE).splitlines():
        if line.startswith("\t"):
            yield line.strip().lstrip("@").replace("$(BIN)/", "")


def commands(lines: Iterator[str]) -> Iterator[tuple[str, ...]]:
    """The words of each command of a tool that is ours or is told to be used."""
    for line in lines:
        if line in ERRORS or not re.search(rf"(^|[ /])({'|'.join(TOOLS)})( |$)", line):
            continue
        for part in re.split(r" \| | && | \|\| ", line.removeprefix("$ ")):
            words = _words(part)
            if words[-1:] == ["..."] and not words[-2:][0].startswith("--"):
                words.pop()
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words and Path(words[0]).name in TOOLS:
                yield (Path(words[0]).name, *(PLACEHOLDERS.get(w, w) for w in words[1:]))


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        return [re.sub(r"^\[(?=--)|(?<=\w)\]$", "", w) if "--" in command else w for w in lexer]
    except ValueError:  # an apostrophe: no command
        return []


@cache
def told() -> dict[tuple[str, ...], str]:
    """Every command, and where it stands."""
    found = {words: name(page) for page in PAGES for words in commands(spans(page))}
    return found | dict.fromkeys(commands(recipes()), "Makefile")


def asked(tool: str) -> list[tuple[str, ...]]:
    return [words[1:] for words in told() if words[0] == tool]


def module_of(words: tuple[str, ...]) -> str:
    """The module with the ``main`` that a command runs."""
    if words[0] == "fx-assets":
        return "fx_assets.cli"
    module = words[2]
    return f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module


def parsed(
    module: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, *, parse: bool = True
) -> Seen:
    """What the parser of ``module.main`` makes of arguments; nothing is carried out.

    Raises
    ------
    SystemExit
        The parser refuses them.
    """
    original = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> NoReturn:
        raise Seen(self, original(self, args, namespace) if parse else None)

    main = importlib.import_module(module).main
    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [module, *arguments])
        try:
            main()
        except Seen as seen:
            return seen
    raise AssertionError(f"{module} has no parser")


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, child in action.choices.items()
    }


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
    for child in subcommands(parser).values():
        yield from options_of(child)


OUR_COMMANDS = [
    words
    for words in told()
    if (words[0] == "fx-assets" and len(words) > 1)
    or (words[:2] == ("python", "-m") and words[2].partition(".")[0] in OURS)
]


def test_commands_are_found_in_pages_and_makefile() -> None:
    """So that the tests below test something."""
    assert ("python", "-m", "serving", "new-key", "NAME", "--scopes", "read,predict") in told()
    assert ("python", "-m", "benchmarks.gate") in told()
    assert ("fx-assets", "run", "--retrain") in told()
    assert ("make", "bench-intraday") in told()
    assert ("dg", "check", "defs") in told()
    assert {words[0] for words in told()} == set(TOOLS)
    assert len(told()) > 50


@pytest.mark.parametrize("words", OUR_COMMANDS, ids=" ".join)
def test_every_command_with_its_flags_is_understood(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, bare = module_of(words), words[0] == "fx-assets" and len(words) == 2
    if bare:  # spoken of, without what it needs
        assert words[1] in subcommands(parsed(module, (), monkeypatch, parse=False).parser)
        return
    arguments = words[1:] if words[0] == "fx-assets" else words[3:]
    options = parsed(module, arguments, monkeypatch).options
    declared = load_declared(PACKAGED_DECLARATIONS)
    given = getattr(options, "forecast", None) or getattr(options, "forecasts", None) or []
    if module != "fx_assets.cli" or options.command in ("run", "acknowledge"):
        given = [given] if isinstance(given, str) else given
        named = {forecast for forecast in given if not forecast.isupper()}
        assert named <= {*declared.forecasts, *declared.universes}, given


def test_every_module_and_script_that_a_page_runs_is_there() -> None:
    for words in asked("python"):
        if words[:1] == ("-m",):
            assert importlib.util.find_spec(words[1]), words
        if words and words[0].endswith(".py"):
            assert (ROOT / words[0]).is_file(), words


def test_every_target_of_make_exists_with_its_variables() -> None:
    makefile = text(MAKEFILE)
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for words in asked("make"):
        for word in words:
            variable, equals, _ = word.partition("=")
            if equals:
                assert re.search(rf"^{variable} \?= ", makefile, re.MULTILINE), word
            else:
                assert word in targets, words
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert set(phony.split()) == targets


@pytest.mark.long
def test_make_can_plan_each_target_and_tells_of_it() -> None:
    """Planning carries nothing out."""
    tells = ["make", "--no-print-directory", f"PYTHON={sys.executable}", "help"]
    help_of = subprocess.run(tells, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.findall(r"^([a-z-]+):", text(MAKEFILE), re.MULTILINE):
        assert re.search(rf"^{target} ", help_of, re.MULTILINE), target
        plan = [*tells[:3], "--dry-run", target]
        assert subprocess.run(plan, cwd=ROOT, capture_output=True).returncode == 0, target


def test_every_command_of_dg_exists_with_its_flags_and_assets() -> None:
    from dagster_dg_cli.cli import cli

    declared = load_declared(PACKAGED_DECLARATIONS)
    for words in asked("dg"):
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), rest.pop(0))
            assert found is not None, words
            command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words
        for asset in re.findall(r'key:"(\w+)/', " ".join(rest)):
            assert asset in {*declared.feeds, *declared.forecasts}, words


def test_every_extra_that_is_to_be_installed_is_one() -> None:
    extras = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    for words in asked("pip"):
        for extra in re.findall(r"^(?:fx-assets|\.)\[(\w+)\]$", "\n".join(words), re.MULTILINE):
            assert extra in extras, words


def test_every_flag_that_is_spoken_of_is_one_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"fx_assets.cli", *map(module_of, OUR_COMMANDS)}
    known = {
        option
        for module in modules
        for option in options_of(parsed(module, (), monkeypatch, parse=False).parser)
    }
    for page in PAGES:
        for span in spans(page):
            if re.match(r"--\w", span):
                assert span.split()[0].partition("=")[0] in known, (name(page), span)


@pytest.mark.parametrize("page", [*PAGES, *DEPLOYED], ids=name)
def test_every_environment_variable_that_is_named_is_read(page: Path) -> None:
    platform, alerts, server = (
        {f"{prefix}{field.upper()}" for field in settings.model_fields}
        for prefix, settings in (
            ("FX_ASSETS_", Settings),
            ("FX_ASSETS_ALERTS_", AlertSettings),
            ("FX_SERVING_", ServerSettings),
        )
    )
    known = platform | alerts | server | read_elsewhere()
    for variable in VARIABLE.findall(text(page)):
        if variable.endswith("_"):
            assert any(each.startswith(variable) for each in known), variable
        else:
            assert variable in known, variable


@cache
def read_elsewhere() -> frozenset[str]:
    """Variables that stand as a string of their own in the code."""
    code = "".join(
        text(path)
        for package in ("fx_assets", "serving")
        for path in (ROOT / package).rglob("*.py")
    )
    return frozenset(re.findall(r"\"(FX_(?:ASSETS|SERVING)_[A-Z0-9_]*[A-Z0-9])\"", code))


def test_the_page_about_serving_has_every_setting_of_the_server_and_no_other() -> None:
    table = text(DOCS / "serving.md").partition("## Settings")[2].partition("\n\nWith keys")[0]
    named = {
        setting
        for row in re.findall(r"^\| (`[A-Z].*?) \|", table, re.MULTILINE)
        for setting in re.findall(r"`(\w+)`", row)
    }
    assert named == {field.upper() for field in ServerSettings.model_fields}


def test_the_page_about_monitoring_names_receivers_of_alerts_that_are_read() -> None:
    page = text(DOCS / "monitoring.md").partition("## Alerts")[2].partition("\n## ")[0]
    short = set(re.findall(r"`_([A-Z_]+)[`=]", page)) | {"WEBHOOK_URL"}
    assert short <= {field.upper() for field in AlertSettings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_and_module_of_ours_that_a_page_names_exists(page: Path) -> None:
    for span in spans(page):
        if re.fullmatch(rf"(?:{'|'.join((*OURS, 'deploy', 'docs'))})/[\w./-]+", span):
            # A declaration may be one that the page tells how to write.
            assert (ROOT / span).exists() or span.endswith("/defs.yaml"), span
        elif re.fullmatch(r"(?:fx_assets|fx_assets_tests|serving|benchmarks)(?:\.\w+)+", span):
            assert importable(span), span


def importable(dotted: str) -> bool:
    """Whether it is a module, or something in one."""
    parts = dotted.split(".")
    for known in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:known]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[known:]:
            found = getattr(found, attribute, None)
        return found is not None
    return False
