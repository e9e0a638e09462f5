"""Python imports this at its start: what the server's image lacks, a server does not find here."""

import os
import sys
from importlib.machinery import ModuleSpec

MISSING = frozenset(os.environ.get("ABSENT_FROM_THE_IMAGE", "").split())


class Absent:
    """Makes an import fail as if the module were not installed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"{name} is not in the server's image", name=name)
        return None


if {"serving", "--multiprocessing-fork"} & {*sys.orig_argv}:
    sys.meta_path.insert(0, Absent())
