"""Where a deployment keeps what is not in its lake, each as files that can be put away and back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fx_assets.errors import FxAssetsError
from fx_assets.faults import first_line
from fx_assets.lake import Lake
from fx_assets.registry.session import MlflowSession
from fx_assets.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import URL

DAGSTER_URL = "DAGSTER_PG_URL"
"""The variable that ``deploy/dagster.yaml`` takes Dagster's database from."""
_PASSING = ("-wal", "-shm", "-journal", ".lock")
DUMP = "dump"


class Place:
    """Files by name; this one has none, and says why."""

    def __init__(self, name: str, where: str, left_out: str = "") -> None:
        self.name, self.where, self.left_out = name, where, left_out

    @staticmethod
    def of_lake(lake: Lake) -> Place:
        """The lake itself, as something that may be in the way."""
        return Objects("lake", lake) if lake.is_remote else Folder("lake", Path(lake.root))

    def files(self) -> Iterator[str]:
        """The names of its files."""
        return iter(())

    def read(self, file: str) -> bytes:
        """The content of one of them, as of a moment."""
        raise NotImplementedError

    def write(self, file: str, data: bytes) -> None:
        """Put a file there."""
        raise NotImplementedError

    def taken(self) -> bool:
        """Whether there is something already."""
        return False

    def move_aside(self) -> None:
        """Make room."""


class Folder(Place):
    """A folder or a file on local disk; SQLite databases are read as of a moment."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, str(path))
        self.path = path

    def files(self) -> Iterator[str]:
        if self.path.is_file():
            yield self.path.name
        for file in sorted(self.path.rglob("*")) if self.path.is_dir() else []:
            if file.is_file() and not file.name.endswith(_PASSING):
                yield file.relative_to(self.path).as_posix()

    def read(self, file: str) -> bytes:
        found = self._file(file)
        with found.open("rb") as stream:
            if stream.read(16) != b"SQLite format 3\0":
                return found.read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "copy.db")
            with closing(sqlite3.connect(found)) as source, closing(sqlite3.connect(copy)) as made:
                source.backup(made)
            return copy.read_bytes()

    def write(self, file: str, data: bytes) -> None:
        path = self._file(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def taken(self) -> bool:
        return self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir()))

    def move_aside(self) -> None:
        stamp = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
        for path in (self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm"))):
            if path.exists():
                path.rename(f"{path}.before-{stamp}")

    def _file(self, file: str) -> Path:
        return self.path if self.path.name == file and not self.path.is_dir() else self.path / file


class Objects(Place):
    """Files below an S3 prefix."""

    def __init__(self, name: str, store: Lake) -> None:
        super().__init__(name, store.root)
        self._store = store

    def files(self) -> Iterator[str]:
        return iter(self._store.list_blobs(""))

    def read(self, file: str) -> bytes:
        return self._store.read_blob(file)

    def write(self, file: str, data: bytes) -> None:
        self._store.write_blob(file, data)

    def taken(self) -> bool:
        return any(not path.startswith(".") for path in self._store.list_blobs(""))

    def move_aside(self) -> None:
        raise FxAssetsError(
            f"{self.where} is not empty, and objects on S3 are not moved aside.",
            remedy="Name a new prefix (FX_ASSETS_LAKE, FX_ASSETS_MLFLOW_ARTIFACTS), or empty it.",
        )


class Postgres(Place):
    """A database, as one dump; its password goes through the environment, not the arguments."""

    def __init__(self, name: str, url: URL) -> None:
        super().__init__(name, f"{url.host}:{url.port or 5432}/{url.database}")
        self._url = url
        if shutil.which("pg_dump") is None:
            self.left_out = (
                f"{name} at {self.where} is not in it: pg_dump is not installed here. Install "
                "PostgreSQL's client (Debian: postgresql-client), or back it up on its server."
            )

    def files(self) -> Iterator[str]:
        return iter(() if self.left_out else (DUMP,))

    def read(self, file: str) -> bytes:  # noqa: ARG002
        return self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges")

    def write(self, file: str, data: bytes) -> None:  # noqa: ARG002
        self._run(
            *("pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges"),
            *("--single-transaction", "--exit-on-error"),
            given=data,
        )

    def taken(self) -> bool:
        import sqlalchemy

        engine = sqlalchemy.create_engine(self._url)
        try:
            return bool(sqlalchemy.inspect(engine).get_table_names())
        except sqlalchemy.exc.OperationalError as error:
            raise FxAssetsError(
                f"PostgreSQL at {self.where} does not answer: {first_line(str(error.orig))}",
                remedy="Start it, and create the database; tables are made by the restore.",
            ) from None
        finally:
            engine.dispose()

    def _run(self, command: str, *arguments: str, given: bytes | None = None) -> bytes:
        url = self._url
        secrets = {"PGPASSWORD": url.password or "", "PGCONNECT_TIMEOUT": "10"}
        if mode := url.query.get("sslmode"):
            secrets["PGSSLMODE"] = str(mode)
        place = ["--host", url.host or "", "--port", str(url.port or 5432)]
        login = ["--username", url.username or "", "--dbname", url.database or ""]
        try:
            done = subprocess.run(
                [command, *arguments, *place, *login],
                input=given,
                env={**os.environ, **secrets},
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            done = subprocess.CompletedProcess([], 1, b"", f"{command} is not installed".encode())
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise FxAssetsError(
                f"{command} of {self.where}: {first_line(said)}",
                remedy="Use a PostgreSQL client that is not older than the server, and see that "
                "the server answers.",
            )
        return done.stdout


def places(settings: Settings) -> list[Place]:
    """MLflow's database and artifacts, and Dagster's records."""
    return [_mlflow(settings), _artifacts(settings), _dagster(settings)]


def _mlflow(settings: Settings) -> Place:
    name, uri = "mlflow", settings.mlflow_uri
    if uri.startswith("sqlite:///"):
        return Folder(name, Path(uri.removeprefix("sqlite:///")))
    if uri.startswith("postgresql"):
        return _postgres(name, uri)
    shown = MlflowSession(uri).shown_uri
    return Place(name, shown, f"MLflow at {shown} is not in it: back it up where it runs.")


def _artifacts(settings: Settings) -> Place:
    name, root = "mlflow-artifacts", settings.mlflow_artifact_root
    if root.startswith("file://"):
        return Folder(name, Path(url2pathname(urlsplit(root).path)))
    if root.startswith("s3://"):
        return Objects(name, Lake(root))
    where = root or "its server"
    return Place(name, where, f"MLflow's artifacts at {where} are not in it.")


def _dagster(settings: Settings) -> Place:
    name, folder = "dagster", settings.home.resolve() / "data" / "dagster"
    if url := os.environ.get(DAGSTER_URL):
        return _postgres(name, url)
    return Folder(name, folder)


def _postgres(name: str, url: str) -> Place:
    from sqlalchemy import make_url

    return Postgres(name, make_url(url))
