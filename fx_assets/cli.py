"""The command line: ``fx-assets`` and its commands."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.plural import counted
from fx_assets.settings import load_env_file

INTERRUPTED, BROKEN_PIPE = 130, 141
OBJECTS_UNTIL_COLLECTED = 20_000
"""Python's own 700 make a first run spend a tenth of its time on looking for cycles."""


def command() -> NoReturn:
    """The console script.

    It ends the process at once: at the interpreter's slow goodbye, threads of native libraries that
    still want the GIL have been seen to abort a run that had succeeded.
    """
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code: 130 where a person stopped it."""
    gc.set_threshold(max(OBJECTS_UNTIL_COLLECTED, gc.get_threshold()[0]))
    parser = argparse.ArgumentParser(
        prog="fx-assets", description="Honest exchange-rate forecasts as a Dagster asset graph."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('fx-assets')}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="bring every forecast up to date, doing what is stale")
    run.add_argument(
        "forecasts",
        nargs="*",
        metavar="NAME",
        help="only these forecasts and universes (default: every forecast of an automatic feed)",
    )
    run.add_argument("--retrain", action="store_true", help="judge the candidates now")
    universe = commands.add_parser("universe", help="bring every universe up to date and show it")
    universe.add_argument(
        "universes", nargs="*", metavar="UNIVERSE", help="only these (default: every declared one)"
    )
    _add_import(commands.add_parser("import", help="declare a feed and a forecast from files"))
    new = commands.add_parser("new", help="write a project of your own beside this package")
    new.add_argument("folder", metavar="NAME", help="its name, which its folder gets")
    commands.add_parser("dev", help="start Dagster's UI and daemon, and MLflow's UI")
    window = commands.add_parser("sql", help="a page that asks the tables, reading only")
    window.add_argument("--host", default="127.0.0.1", help="address (default %(default)s)")
    window.add_argument("--port", type=int, default=8001, help="default %(default)s")
    commands.add_parser("check", help="check every declared feed, forecast and universe")
    shown = commands.add_parser("show", help="print the latest forecasts")
    shown.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="only these forecasts and universes, of the latter live evidence and economics, too",
    )
    acknowledge = commands.add_parser("acknowledge", help="say that a held result is real")
    acknowledge.add_argument("forecast", metavar="NAME", help="a forecast or universe")
    acknowledge.add_argument("--candidate", required=True, help="whose result it is")
    acknowledge.add_argument("--instrument", help="of a universe, such as EURUSD")
    acknowledge.add_argument("--reason", required=True, help="what you looked at; it is kept")
    acknowledge.add_argument("--by", default=None, help="your name (default: the user's)")
    rollback = commands.add_parser("rollback", help="let an earlier version predict again")
    rollback.add_argument("forecast", metavar="NAME", help="a forecast or universe")
    which = rollback.add_mutually_exclusive_group(required=True)
    which.add_argument("--to", metavar="VERSION", help="such as 3; also a newer one again")
    which.add_argument("--release", action="store_true", help="let the rule go on from what is")
    rollback.add_argument("--instrument", help="of a universe, such as EURUSD")
    rollback.add_argument("--target", help="of a universe, such as volatility:1")
    rollback.add_argument("--reason", required=True, help="what you saw; it is kept")
    rollback.add_argument("--by", default=None, help="your name (default: the user's)")
    move = commands.add_parser("migrate", help="bring what an older release wrote up to this one")
    move.add_argument("--dry-run", action="store_true", help="only say what would be done")
    verify = commands.add_parser("verify", help="whether the ledgers are what was once said")
    verify.add_argument(
        "forecast", nargs="?", metavar="NAME", help="only the ledgers of a forecast or universe"
    )
    verify.add_argument("--head", metavar="HASH", help="a published head, or a file that holds one")
    keys = commands.add_parser("keys", help="sign bundles and pointers, and change the key")
    _add_keys(keys.add_subparsers(dest="what", required=True))
    prove = commands.add_parser("prove", help="run the contract and honesty suites on plug-ins")
    prove.add_argument("plugin", help="a family, a feature set, a package or a plug-in folder")
    again = commands.add_parser("reload", help="read a feed again, and take what has changed")
    again.add_argument("feed", metavar="FEED", help="a declared feed")
    again.add_argument("--from", dest="first", metavar="DATE", help="first day (default: all)")
    again.add_argument("--to", dest="last", metavar="DATE", help="last day (default: today)")
    again.add_argument(
        "--accept-revisions", action="store_true", help="however many bars are revised"
    )
    backup = commands.add_parser("backup", help="copy everything to a folder or S3 prefix")
    backup.add_argument("to", metavar="TO", help="a folder or s3://bucket/prefix, for many backups")
    backup.add_argument("--name", default=None, help="of this one (default: the moment)")
    restore = commands.add_parser("restore", help="put a backup into a home that has none yet")
    restore.add_argument("source", metavar="FROM")
    restore.add_argument("--at", metavar="WHEN", help="a name, or a moment (default: the newest)")
    restore.add_argument("--force", action="store_true", help="move aside what is there")
    metrics = commands.add_parser("metrics", help="tell Prometheus of runs, data and sizes")
    metrics.add_argument("--host", default="127.0.0.1")
    metrics.add_argument("--port", type=int, default=9464)
    metrics.add_argument("--once", action="store_true", help="print them instead")
    beside = commands.add_parser("compare", help="what a change does to the forecasts")
    beside.add_argument("base", metavar="BASE", help="commit, branch or tag, such as origin/main")
    beside.add_argument(
        "forecasts", nargs="*", metavar="NAME", help="only these forecasts and universes"
    )
    beside.add_argument("--report", metavar="FILE", type=Path, help="Markdown, instead of printing")
    beside.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="FORECAST/CANDIDATE",
        help="may pass although it is worse or suspected; again for more",
    )
    told = commands.add_parser("report", help="a page on a forecast or universe, to hand on")
    told.add_argument("name", metavar="NAME", help="a forecast or universe")
    told.add_argument("--to", metavar="FILE", type=Path, help=".html or .pdf (default: NAME.html)")
    told.set_defaults(here=Path.cwd())
    _add_data(commands.add_parser("data", help="versions of a feed's bars: log, show, diff, tag"))
    options = parser.parse_args(arguments)
    home = _prepare_environment()
    try:
        if options.command == "new":
            from fx_assets.new import write_project

            return write_project(Path(options.folder))
        with contextlib.chdir(home if home.is_dir() else "."):
            return _execute(options)
    except FxAssetsError as error:
        print(f"fx-assets: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "fx-assets: stopped. What was finished is kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return BROKEN_PIPE
    except Exception as error:
        _explain(error, home)
        return 1


def _execute(options: argparse.Namespace) -> int:
    if options.command == "check":
        return _check()
    if options.command == "import":
        from fx_assets.importing.command import import_files

        return import_files(options)
    if options.command == "prove":
        from fx_assets.prove import prove_on_terminal

        return prove_on_terminal(options.plugin)
    if options.command == "dev":
        from fx_assets.dev import serve

        serve()
    if options.command == "sql":
        from fx_assets.sql_window.server import serve as serve_sql

        return serve_sql(options.host, options.port)
    if options.command == "reload":
        from fx_assets.reload import reload_feed

        accepts: bool = options.accept_revisions
        return reload_feed(options.feed, options.first, options.last, accept_revisions=accepts)
    if options.command == "compare":
        from fx_assets.comparing.command import compare_on_terminal

        return compare_on_terminal(options)
    if options.command == "report":
        from fx_assets.reporting.command import report_on_terminal

        return report_on_terminal(
            options.name, options.here / (options.to or f"{options.name}.html")
        )
    if options.command == "data":
        from fx_assets.data.terminal import data_on_terminal

        return data_on_terminal(options)
    if options.command == "migrate":
        from fx_assets.migrate import migrate

        return migrate(dry_run=options.dry_run)
    if options.command == "verify":
        from fx_assets.verify import verify_on_terminal

        return verify_on_terminal(options.forecast, options.head)
    if options.command == "keys":
        from fx_assets.keys import keys_on_terminal

        return keys_on_terminal(options)
    if options.command == "rollback":
        from fx_assets.rollback import roll_back_on_terminal

        return roll_back_on_terminal(options)
    if options.command == "backup":
        from fx_assets.backup import back_up

        return back_up(options.to, options.name)
    if options.command == "metrics":
        from fx_assets.metrics import tell_prometheus

        return tell_prometheus(options.host, options.port, once=options.once)
    if options.command == "restore":
        from fx_assets.backup import restore

        return restore(options.source, options.at, force=options.force)
    if options.command == "universe":
        from fx_assets.run_universe import bring_universes_up_to_date

        return bring_universes_up_to_date(options.universes)
    if options.command == "acknowledge":
        from fx_assets.acknowledge import acknowledge_result

        return acknowledge_result(
            options.forecast,
            options.candidate,
            options.reason,
            options.by,
            instrument=options.instrument,
        )
    from fx_assets.components.declared import declared
    from fx_assets.run import bring_up_to_date, show

    asked = options.names if options.command == "show" else options.forecasts
    panels = [name for name in asked if name in declared().universes]
    others = [name for name in asked if name not in panels]
    code = 0
    if options.command == "show":
        from fx_assets.run_universe import show_universes

        code = show(others) if others or not panels else 0
        return (show_universes(panels) if panels or not others else 0) or code
    if panels:
        from fx_assets.run_universe import bring_universes_up_to_date

        code = bring_universes_up_to_date(panels)
    if others or not panels:
        code = bring_up_to_date(others, force_retrain=options.retrain) or code
    return code


def _add_import(parser: argparse.ArgumentParser) -> None:
    from fx_assets.importing.flags import add_arguments

    add_arguments(parser)


def _add_keys(what: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    new = what.add_parser("new", help="make a private key in a new file, and say its public key")
    new.add_argument("file", metavar="FILE")
    what.add_parser("rotate", help="add a key to the file of keys, and sign by all of them")
    sign = what.add_parser("sign", help="sign anew what one of the keys has signed")
    sign.add_argument(
        "--adopt", action="store_true", help="what is not signed, too: you vouch for it"
    )
    what.add_parser("show", help="the public keys, and what is not signed by them")


def _add_data(parser: argparse.ArgumentParser) -> None:
    from fx_assets.data.flags import add_arguments

    add_arguments(parser)


def _explain(error: Exception, home: Path) -> None:
    """The last net: no error reaches a person as a bare traceback."""
    from fx_assets.faults import described, fault_of, log_traceback

    fault, log = fault_of(error), log_traceback(error, home)
    print(f"fx-assets: {described(error)}", file=sys.stderr)
    if fault:
        print(f"  {fault.sentence}\n  What to do: {fault.remedy}", file=sys.stderr)
    if log:
        print(f"  The whole error is in {log}.", file=sys.stderr)


def _prepare_environment() -> Path:
    """Returns the home, an absolute path; Dagster's records are relative to the working folder."""
    given = os.environ.get("FX_ASSETS_HOME", ".")
    home = Path(given).resolve()
    if not Path(given).is_absolute() and given != ".":
        os.environ["FX_ASSETS_HOME"] = str(home)
    load_env_file(home)
    if (home / "dagster.yaml").is_file():
        os.environ.setdefault("DAGSTER_HOME", str(home))
    for variable in ("DAGSTER_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "true")
    return home


def _check() -> int:
    from fx_assets.components.declared import checked, without_files
    from fx_assets.doors import broken_plugins

    found = checked()
    if broken := broken_plugins():
        said = "\n".join(plugin.why for plugin in broken)
        raise SpecError(said, remedy="Mend it, or take it out of the folder or environment.")
    counts = [counted(len(found.feeds), "feed"), counted(len(found.forecasts), "forecast")]
    if found.universes:
        counts.append(counted(len(found.universes), "universe"))
    print(f"{', '.join(counts[:-1])} and {counts[-1]} are well declared.")
    for sentence in without_files(found):
        print(f"note: {sentence}")
    return 0


if __name__ == "__main__":
    command()
