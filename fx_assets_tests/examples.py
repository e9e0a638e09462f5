"""How many examples of Hypothesis are tried: a fifth of those that CI tries."""

from __future__ import annotations

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "suite")
SHARE = 5


def examples(number: int) -> int:
    """``number`` in CI and where one explores, fewer in each run before."""
    return number // SHARE if PROFILE == "suite" else number
