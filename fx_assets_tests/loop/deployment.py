"""The platform's own definitions, with the clock of a test: this process follows its file.

While there is no such file, the test is still making the past, and nothing is loaded.
"""

import os
import threading
import time
from pathlib import Path

from fx_assets import clock
from fx_assets_tests.loop.live import CLOCK_VARIABLE


def _read() -> None:
    os.environ[clock.NOW_VARIABLE] = Path(os.environ[CLOCK_VARIABLE]).read_text()


def _follow() -> None:
    while True:
        time.sleep(0.1)
        _read()


while not Path(os.environ[CLOCK_VARIABLE]).exists():
    time.sleep(0.1)
_read()
threading.Thread(target=_follow, daemon=True).start()

from fx_assets.definitions import defs  # noqa: E402, F401
