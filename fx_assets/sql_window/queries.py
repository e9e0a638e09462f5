"""One person's question to the lake: within a time, in a memory, and without side effects."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

import duckdb

from fx_assets.errors import FxAssetsError, LakeError
from fx_assets.lake import Lake

MOST_ROWS = 5_000
SECONDS = 30.0
MEMORY = "512MB"
FRESH_SECONDS = 30.0


class QueryError(FxAssetsError):
    """A question that is not answered."""


class Answer(NamedTuple):
    """Rows of a question, the first ``MOST_ROWS``."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    more: bool


class Queries:
    """Questions take turns; each sees tables as they were at most ``FRESH_SECONDS`` ago."""

    def __init__(self, lake: Lake, seconds: float = SECONDS) -> None:
        self._lake, self._seconds = lake, seconds
        self._turn = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._made = 0.0

    def ask(self, sql: str) -> Answer:
        """The rows of one statement that reads.

        Raises
        ------
        QueryError
            It is not one statement that reads, is wrong, or takes too long or too much memory.
        LakeError
            The storage cannot be reached.
        """
        with self._turn:
            connection = self._opened()
            try:
                statements = connection.extract_statements(sql)
                if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
                    raise QueryError(
                        "This is not one statement that reads.",
                        remedy="Write one SELECT, SHOW, DESCRIBE or SUMMARIZE.",
                    )
                return self._answer(connection, statements[0])
            except duckdb.InterruptException:
                raise QueryError(
                    f"It took longer than {self._seconds:g} s.",
                    remedy="Ask for less: fewer columns, a WHERE on event_time.",
                ) from None
            except (duckdb.Error, OSError) as error:
                # What went wrong in a file may be over with the next look at the tables.
                self._connection = None
                raise QueryError(
                    self._lake.redact(str(error)), remedy="SHOW TABLES lists what there is."
                ) from None

    def _answer(self, connection: duckdb.DuckDBPyConnection, statement: Any) -> Answer:
        late = threading.Timer(self._seconds, connection.interrupt)
        late.start()
        try:
            found = connection.execute(statement)
            columns = found.description or []
            rows = found.fetchmany(MOST_ROWS + 1)
        finally:
            late.cancel()
            late.join()
        return Answer(
            [column[0] for column in columns],
            [str(column[1]) for column in columns],
            [[_shown(value) for value in row] for row in rows[:MOST_ROWS]],
            len(rows) > MOST_ROWS,
        )

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None or time.monotonic() > self._made + FRESH_SECONDS:
            try:
                self._connection = self._lake.connect(confined_to=MEMORY)
            except OSError as error:
                raise LakeError(
                    self._lake.redact(str(error)), remedy="See that the storage can be reached."
                ) from error
            self._made = time.monotonic()
        return self._connection


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
