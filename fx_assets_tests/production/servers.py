"""PostgreSQL and an S3 server of a test's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from fx_assets.testing.processes import free_port

ANY = "any"
"""User and password of an S3 server that asks for none."""


@dataclass(frozen=True)
class Postgres:
    """A server with one user, whose password every connection needs."""

    folder: Path
    binaries: Path
    port: int
    user: str
    password: str

    def url(self, database: str) -> str:
        """What SQLAlchemy connects to."""
        login = f"{self.user}:{self.password}"
        return f"postgresql+psycopg2://{login}@127.0.0.1:{self.port}/{database}"

    def ask(self, database: str, sql: str) -> str:
        """What ``psql`` says."""
        return self._run("psql", "-d", database, "-At", "-c", sql)

    def dump(self, database: str) -> str:
        """Every row of every table as SQL."""
        return self._run("pg_dump", "--inserts", "-d", database)

    def create(self, database: str) -> None:
        self._run("createdb", database)

    def _run(self, command: str, *arguments: str) -> str:
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", self.user]
        return subprocess.run(
            [self.binaries / command, *place, *arguments],
            env={**os.environ, "PGPASSWORD": self.password},
            check=True,
            capture_output=True,
            text=True,
        ).stdout


@contextmanager
def postgres(password: str, auth: str = "scram-sha-256") -> Iterator[Postgres]:
    """A new server, gone with the block; skips the test where PostgreSQL is not installed.

    With ``auth="trust"`` nobody is asked for the password: Dagster connects anew for each event,
    and the exchange of secrets takes most of that.
    """
    binaries = _postgres_binaries()
    # Its own user has to reach the folder, which pytest's are not made for.
    folder = Path(tempfile.mkdtemp(prefix="fx-postgres-"))
    owner = {"user": "postgres"} if os.getuid() == 0 else {}
    if owner:
        shutil.chown(folder, "postgres")
    made = Postgres(folder, binaries, free_port(), "fx", password)
    secret = folder / "password"
    secret.write_text(password)
    if owner:
        shutil.chown(secret, "postgres")
    login = ["--username", made.user, "--pwfile", str(secret), "--auth", auth]
    quick = ["-F", "-c", "full_page_writes=off", "-c", f"unix_socket_directories={folder}"]
    log = (folder / "log").open("wb")
    try:
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", "--no-sync", *login],
            check=True, cwd=folder, stdout=subprocess.DEVNULL, **owner,
        )  # fmt: skip
        server = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-p", str(made.port), *quick],
            cwd=folder, stdout=log, stderr=log, **owner,
        )  # fmt: skip
        try:
            _until(lambda: made.ask("postgres", "select 1"), subprocess.CalledProcessError)
            yield made
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for who is connected
            server.wait(30)
    finally:
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def object_store() -> Iterator[int]:
    """The port of an S3 server without buckets."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until(lambda: urlopen(f"http://127.0.0.1:{port}", timeout=5).close(), (URLError, OSError))
        yield port
    finally:
        server.kill()
        server.wait()


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """Address of an S3 server with one bucket."""
    with object_store() as port:
        address = f"http://127.0.0.1:{port}"
        new_bucket(address, bucket)
        yield address


def new_bucket(address: str, name: str) -> str:
    """Make a bucket on such a server, which takes any key; returns its name."""
    import boto3

    boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=ANY,
        aws_secret_access_key=ANY,
    ).create_bucket(Bucket=name)
    return name


def _postgres_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    return found[-1].parent if found else Path(str(on_path)).parent


def _until(ready: object, errors: type[Exception] | tuple[type[Exception], ...]) -> None:
    assert callable(ready)
    for _ in range(600):
        try:
            ready()
        except errors:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not come up")
