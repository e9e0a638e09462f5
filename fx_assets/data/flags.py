"""What ``fx-assets data`` is asked with; imports nothing that takes time."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below ``data``."""
    which = "a number, a tag, a day or instant, or FORECAST@VERSION (default: the newest)"
    commands = parser.add_subparsers(dest="what", required=True)
    log = commands.add_parser("log", help="the versions of its bars, newest first")
    diff = commands.add_parser("diff", help="what differs between two versions")
    tag = commands.add_parser("tag", help="name a version, for good")
    show = commands.add_parser("show", help="the bars of a version")
    for command in (log, show, diff, tag):
        command.add_argument("feed", metavar="FEED", help="a feed or universe")
    log.add_argument("--most", type=int, default=20, help="default %(default)s")
    show.add_argument("version", nargs="?", help=which)
    diff.add_argument("before", help=which)
    diff.add_argument("after", nargs="?", help=which)
    tag.add_argument("tag")
    tag.add_argument("version", nargs="?", help=which)
    tag.add_argument("--note", default="", help="why; it is kept")
    tag.add_argument("--by", default=None, help="your name (default: the user's)")
    for command in (show, diff):
        command.add_argument("--csv", type=Path, metavar="FILE", help="write all rows there")
