"""A daemon and a code server that are started again when they die, as a container engine does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fx_assets.testing.processes import free_port
from fx_assets_tests.homes import Home

LOCATION = "fx"
WORKSPACE = (
    "load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: {name}}}}}]\n"
)
BINARIES = Path(sys.executable).parent
LOOK_SECONDS = 0.5


@dataclass
class Supervised:
    """The processes by name; each is the first of a group of its own."""

    home: Home
    commands: dict[str, list[str]]
    port: int
    """Of the code server."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str) -> None:
        with (self.home.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.commands[name],
                env={**os.environ, **self.home.variables},
                cwd=self.home.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def watch(self) -> None:
        while not self.ended.wait(LOOK_SECONDS):
            for name, process in list(self.processes.items()):
                if process.poll() is not None:
                    self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL for a process and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGKILL)

    def workers(self) -> list[int]:
        """The processes of runs."""
        group = self.processes["code"].pid
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError, ProcessLookupError):
                words = (entry / "cmdline").read_bytes()
                if os.getpgid(int(entry.name)) == group and b"spawn_main" in words:
                    found.append(int(entry.name))
        return found


@contextmanager
def supervised(home: Home, others: Mapping[str, list[str]] | None = None) -> Iterator[Supervised]:
    """Both processes of a home, and others that it needs, ended with the block."""
    port = free_port()
    (home.folder / "workspace.yaml").write_text(WORKSPACE.format(port=port, name=LOCATION))
    serve = ["api", "grpc", "-h", "127.0.0.1", "-p", str(port), "-m", "fx_assets.definitions"]
    made = Supervised(
        home,
        {
            "code": [str(BINARIES / "dagster"), *serve, "--location-name", LOCATION],
            "daemon": [str(BINARIES / "dagster-daemon"), "run", "-w", "workspace.yaml"],
            **(others or {}),
        },
        port,
    )
    for name in made.commands:
        made.start(name)
    watcher = threading.Thread(target=made.watch, daemon=True)
    watcher.start()
    try:
        yield made
    finally:
        made.ended.set()
        watcher.join()
        for name in made.commands:
            made.kill(name)
            made.processes[name].wait()
