"""How many examples of Hypothesis are tried: an eighth of those that CI tries."""

from __future__ import annotations

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "suite")
SHARE = 8


def examples(number: int) -> int:
    """``number`` in CI and where one explores, fewer in each run before."""
    return max(number // SHARE, 2) if PROFILE == "suite" else number
