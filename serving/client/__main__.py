"""``python -m serving.client``: latest forecasts, their history, and predictions on demand.

Tables on a terminal, JSON for pipes. Exit codes: 0 answered, 1 refused by the server, 2 wrong
usage, 3 no answer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from serving.client.api import Api, Refused, Unreachable
from serving.client.inputs import InputError, request_body

ANSWERED, REFUSED, USAGE, NO_ANSWER = 0, 1, 2, 3
URL = "http://127.0.0.1:8000"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask once; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        with Api(options.url, options.key) as api:
            answer = options.ask(api, options)
    except Refused as error:
        print(error, file=sys.stderr)
        return REFUSED
    except Unreachable as error:
        print(error, file=sys.stderr)
        return NO_ANSWER
    except InputError as error:
        print(error, file=sys.stderr)
        return USAGE
    try:
        _show(answer, options)
    except BrokenPipeError:
        sys.stderr.close()
    return ANSWERED


def _show(answer: Any, options: argparse.Namespace) -> None:
    if options.json or not sys.stdout.isatty():
        json.dump(answer, sys.stdout, indent=None if options.command == "history" else 2)
        print(flush=True)
        return
    from serving.client import tables

    tables.show(options.command, answer)


def _latest(api: Api, options: argparse.Namespace) -> Any:
    chosen = _member(options)
    if options.below is not None:
        chosen = {**(chosen or {}), "below": options.below}
    if options.forecast:
        return [api.get(f"/v1/forecasts/{name}/latest", chosen) for name in options.forecast]
    listed, answers = api.get("/v1/forecasts"), []
    # Where nothing is served, the server says of the first what is to be done.
    nothing = not (listed["forecasts"] or listed.get("universes"))
    for row in listed["unpublished"][:1] if nothing else listed["forecasts"]:
        name = row["forecast"]
        if row.get("retired"):
            print(f"{name} is no longer declared; ask for it by name", file=sys.stderr)
            continue
        try:
            answers.append(api.get(f"/v1/forecasts/{name}/latest"))
        except Refused as error:
            if not error.kind.endswith(":nothing-issued"):
                raise
            print(error, file=sys.stderr)
    for row in listed.get("universes", ()):
        name, members = row["forecast"], len(row["instruments"])
        print(f"{name}: {members} instruments; ask for instruments {name}", file=sys.stderr)
    return answers


def _history(api: Api, options: argparse.Namespace) -> Any:
    days = {"start": options.start, "to": options.to}
    return api.pages(
        options.forecast,
        options.mode,
        options.limit,
        **days,
        series=options.series,
        member=_member(options),
    )


def _instruments(api: Api, options: argparse.Namespace) -> Any:
    return api.get(f"/v1/forecasts/{options.forecast}/instruments")


def _member(options: argparse.Namespace) -> dict[str, Any]:
    """Which instrument and target of a universe is asked for."""
    given = {name: getattr(options, name) for name in ("instrument", "target", "horizon")}
    return {name: value for name, value in given.items() if value}


def _performance(api: Api, options: argparse.Namespace) -> Any:
    return api.get(f"/v1/forecasts/{options.forecast}/performance", _member(options))


def _why(api: Api, options: argparse.Namespace) -> Any:
    return api.explanation(options.forecast, options.date, member=_member(options))


def _champions(api: Api, options: argparse.Namespace) -> Any:
    reigns = api.champions(options.forecast, options.series, member=_member(options))
    return {"forecast": options.forecast, "reigns": reigns}


def _predict(api: Api, options: argparse.Namespace) -> Any:
    kind, body = request_body(options.features, options.bars, options.body)
    path = f"/v1/forecasts/{options.forecast}/predict/{kind}"
    return api.post(path, body, _member(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.client", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--url",
        default=os.environ.get("FX_SERVING_URL", URL),
        help="of the server; or FX_SERVING_URL (default %(default)s)",
    )
    shared.add_argument(
        "--key",
        default=os.environ.get("FX_SERVING_KEY", ""),
        help="API key; FX_SERVING_KEY keeps it out of the list of processes",
    )
    shared.add_argument("--json", action="store_true", help="JSON on a terminal too")
    earlier = argparse.ArgumentParser(add_help=False)
    earlier.add_argument("--series", help="an earlier one, as GET .../series lists them")
    member = argparse.ArgumentParser(add_help=False)
    member.add_argument("--instrument", help="of a forecast of many, such as EURUSD")
    member.add_argument("--target", help="of a forecast of several targets")
    member.add_argument("--horizon", type=_positive, help="of a forecast of several horizons")
    commands = parser.add_subparsers(dest="command", required=True)

    def about_one(
        name: str,
        text: str,
        ask: Callable[[Api, argparse.Namespace], Any],
        *more: argparse.ArgumentParser,
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[shared, *more], help=text)
        command.add_argument("forecast")
        command.set_defaults(ask=ask)
        return command

    latest = commands.add_parser("latest", parents=[shared, member], help="the newest forecasts")
    latest.add_argument("forecast", nargs="*", help="names; all of them if none is given")
    latest.add_argument(
        "--below", type=float, metavar="X", help="how probable an outcome of at most X is"
    )
    latest.set_defaults(ask=_latest)

    history = about_one("history", "forecasts and outcomes", _history, earlier, member)
    history.add_argument("--mode", choices=["issued", "live", "late", "backtest"], default="issued")
    history.add_argument("--from", dest="start", type=date.fromisoformat, metavar="DATE")
    history.add_argument("--to", type=date.fromisoformat, metavar="DATE")
    history.add_argument("--limit", type=_positive, default=20, help="rows (default %(default)s)")

    said = "how good the champion was, and what it would have earned"
    about_one("performance", said, _performance, member)
    why = about_one("why", "what moved a forecast", _why, member)
    why.add_argument("--date", type=date.fromisoformat, help="in force at its end (default: now)")
    about_one("champions", "who was champion, and why", _champions, earlier, member)
    about_one("instruments", "the instruments of a universe, and what is said", _instruments)
    predict = about_one("predict", "predict from your own data", _predict, member)
    given = predict.add_mutually_exclusive_group(required=True)
    given.add_argument("--features", nargs="+", metavar="NAME=VALUE", help="the model's inputs")
    given.add_argument("--bars", metavar="FILE", help="CSV with day and close; - reads the input")
    given.add_argument(
        "--body",
        metavar="FILE",
        help="JSON as the API takes it, single or batch; - reads the input",
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
