"""The connection to MLflow: quiet, without telemetry, and quick to say that it cannot be made."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from fx_assets.errors import RegistryError, without_logins
from fx_assets.registry.relocation import relocate

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "13",
}
"""Set before MLflow is imported, unless the deployment has set them already."""

_SQLITE = "sqlite:///"
_REVISIONS = re.compile(r"found version (\w+), but expected (\w+)")
_LOCK_SECONDS = 120
_CONNECT_SECONDS = 5
_PAGE = 500


class MlflowSession:
    """The connection to one tracking and registry URI; any number of threads may share it.

    Parameters
    ----------
    tracking_uri : str
        ``sqlite:///<absolute path>``, ``http(s)://...`` or another database URI. A server's user
        and password go into MLflow's own variables: its errors and warnings repeat addresses.
    artifact_root : str
        Where experiments keep their artifacts; those of a local store that was moved follow it.
    """

    def __init__(self, tracking_uri: str, artifact_root: str = "") -> None:
        self.tracking_uri, self.artifact_root = _without_login(tracking_uri), artifact_root
        self._lock = threading.Lock()
        self._ready: MlflowClient | None = None

    @property
    def shown_uri(self) -> str:
        """The URI without user and password."""
        return without_logins(self.tracking_uri, shown="")

    def client(self) -> MlflowClient:
        """The client, connected; the first call creates or upgrades a SQLite database.

        Raises
        ------
        RegistryError
            The registry cannot be reached, or its database cannot be used.
        """
        with self._lock:
            if self._ready is None:
                self._ready = self._connect()
            return self._ready

    def _connect(self) -> MlflowClient:
        for variable, value in ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        for name in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with self.errors("connecting"):
            if self.tracking_uri.startswith(_SQLITE):
                return self._open_sqlite(Path(self.tracking_uri.removeprefix(_SQLITE)))
            if not self.tracking_uri.startswith(("http://", "https://")):
                self._reach_database()
            return self._open()

    def _open(self) -> MlflowClient:
        import mlflow

        client = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
        client.search_experiments(max_results=1)
        return client

    def _open_sqlite(self, file: Path) -> MlflowClient:
        """Create or upgrade the database, one process at a time; a killed one leaves no trace."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=_LOCK_SECONDS):
            if not file.exists():
                new = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
                try:
                    with _without_fsync(new):
                        upgrade(f"{_SQLITE}{new}")
                    _sync(new)
                    new.replace(file)
                finally:
                    new.unlink(missing_ok=True)
            # MLflow would try for most of an hour to open what cannot be opened.
            with closing(sqlite3.connect(file)) as database:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("SELECT count(*) FROM sqlite_master")
            try:
                client = self._open()
            except Exception as error:
                if "out-of-date" not in str(error):
                    raise
                require_known_revision(self, str(error))
                upgrade(self.tracking_uri)
                client = self._open()
            relocate(self.tracking_uri, self.artifact_root)
            return client

    def _reach_database(self) -> None:
        # MLflow would retry a refused connection for most of an hour.
        import sqlalchemy

        timeout = {"connect_timeout": _CONNECT_SECONDS}
        arguments = timeout if self.tracking_uri.startswith(("postgresql", "mysql")) else {}
        engine = sqlalchemy.create_engine(self.tracking_uri, connect_args=arguments)
        try:
            engine.connect().close()
        finally:
            engine.dispose()

    @contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Turn MLflow's, the database's and the network's errors into a RegistryError."""
        try:
            yield
        except RegistryError:
            raise
        except Timeout as error:
            raise RegistryError(
                f"MLflow at {self.shown_uri}: {action}: another process has held "
                f"{error.lock_file} for {_LOCK_SECONDS} s.",
                remedy="Wait for the other process to finish, or end it.",
            ) from error
        except Exception as error:
            if not _is_foreign(error):
                raise
            require_known_revision(self, str(error))
            text = without_logins(str(error), shown="").strip()
            first = text.splitlines()[0] if text else type(error).__name__
            raise RegistryError(
                f"MLflow at {self.shown_uri}: {action}: {first}",
                remedy=self._remedy(error, text),
            ) from error

    def _remedy(self, error: Exception, text: str) -> str:
        if isinstance(error, ImportError):
            return "Install the database's driver into the environment of the platform."
        if _package(error) in {"google", "onnx"}:
            return "The model is not an ONNX graph; export it again with Model.to_onnx."
        if "out-of-date" in text:
            return "Back it up (fx-assets backup TO), then run: fx-assets migrate"
        if self.tracking_uri.startswith(_SQLITE):
            return (
                "Check that FX_ASSETS_MLFLOW names a SQLite file that this user may write; move a "
                "damaged file away and it is created again (published champions are unaffected)."
            )
        return (
            "Check that the server is up and that FX_ASSETS_MLFLOW and its credentials are right."
        )


def _without_login(uri: str) -> str:
    """A server's address, when its user and password are where MLflow looks for them."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or parts.username is None:
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    return without_logins(uri, shown="")


def require_known_revision(session: MlflowSession, said: str) -> None:
    """Refuse a database that a newer MLflow has written, by what MLflow says of it.

    Raises
    ------
    RegistryError
        Names both revisions and the way out.
    """
    found = _REVISIONS.search(said)
    if found is None:
        return
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.store.db.utils import _get_alembic_config

    config: Any = _get_alembic_config(session.tracking_uri)  # type: ignore[no-untyped-call]
    scripts = ScriptDirectory.from_config(config)
    try:
        scripts.get_revision(found[1])
    except CommandError:
        release = version_of("mlflow")
        raise RegistryError(
            f"MLflow's database at {session.shown_uri} is at revision {found[1]}, which MLflow "
            f"{release} does not know; it knows {found[2]}: a newer MLflow has upgraded it.",
            remedy="Install the MLflow that did, or put the database back from a backup that was "
            f"made with MLflow {release}.",
        ) from None


def revisions(session: MlflowSession) -> tuple[str, str] | None:
    """The revision of a database, and that of this MLflow; ``None`` of a server or of nothing.

    Raises
    ------
    RegistryError
        The database cannot be read, or a newer MLflow has upgraded it.
    """
    uri = session.tracking_uri
    absent = uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).exists()
    if absent or uri.startswith(("http://", "https://")):
        return None
    with session.errors("reading its revision"):
        import sqlalchemy
        from mlflow.store.db import utils

        engine = sqlalchemy.create_engine(uri)
        try:
            of: Any = utils
            found, known = (
                str(of._get_schema_version(engine)),
                str(of._get_latest_schema_revision()),
            )
        finally:
            engine.dispose()
        require_known_revision(session, f"found version {found}, but expected {known}")
        return found, known


def pages(search: Any, **asked: Any) -> Iterator[Any]:
    """All that one of the client's searches finds."""
    token = None
    while True:
        page = search(**asked, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def upgrade(uri: str) -> None:
    """What ``mlflow db upgrade`` does."""
    import mlflow.db

    mlflow.db.upgrade.main([uri], standalone_mode=False)


@contextmanager
def _without_fsync(file: Path) -> Iterator[None]:
    """Spare a database that nobody else sees yet the waiting for the disk: 4 s become 1.5 s."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def relax(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            names = [row[2] for row in connection.execute("PRAGMA database_list")]
            if str(file) in names:
                connection.execute("PRAGMA synchronous=OFF")
                connection.execute("PRAGMA journal_mode=MEMORY")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _package(error: Exception) -> str:
    return type(error).__module__.partition(".")[0]


def _is_foreign(error: Exception) -> bool:
    return isinstance(error, OSError | sqlite3.Error | ImportError) or _package(error) in {
        "mlflow", "requests", "sqlalchemy", "urllib3", "boto3", "botocore", "alembic", "google",
        "onnx",
    }  # fmt: skip
