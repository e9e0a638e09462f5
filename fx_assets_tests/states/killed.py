"""``fx-assets run`` in a process that SIGKILL ends just before its n-th write.

usage: python -m fx_assets_tests.states.killed N; without N it lives, and writes go to standard
error by name.
"""

from __future__ import annotations

import os
import signal
import sys

from fx_assets.cli import main
from fx_assets_tests.states.deaths import Writes, writing


class Killed(Writes):
    """Writes of which the n-th (from 0) never happens."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def about_to(self, name: str) -> None:
        if len(self.names) == self.n:
            os.kill(os.getpid(), signal.SIGKILL)
        super().about_to(name)


if __name__ == "__main__":
    with writing(Killed(int(sys.argv[1]) if len(sys.argv) > 1 else -1)) as writes:
        code = main(["run"])
    print("\n".join(writes.names), file=sys.stderr)
    sys.exit(code)
