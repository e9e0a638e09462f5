"""The log of a Delta table, read without the Delta library: a server has no use for its 130 MB."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from fx_assets.errors import LakeError
from fx_assets.lake.blobs import BlobStore

READABLE = {"timestampNtz"}
"""Features of tables that change nothing about how rows are read."""
PRIMITIVE = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}


class Log:
    """What the newest version of a table consists of.

    Commits are read one after the other from the newest checkpoint on, so that nothing is listed.
    """

    def __init__(self, store: BlobStore, folder: str) -> None:
        self.version = -1
        self.schema = pa.schema([])
        self._store, self._folder = store, folder
        self._added: dict[str, int] = {}
        self._stamp: bytes | None = None

    @property
    def files(self) -> list[str]:
        """The Parquet files below the lake's root, in the order of writing."""
        return [path for _, path in sorted((time, path) for path, time in self._added.items())]

    def update(self) -> bool:
        """Read what is new; False if there is no such table.

        Raises
        ------
        LakeError
            The storage cannot be reached, or the log is not one that can be read.
        """
        if self.version < 0:
            self._begin()
        while (commit := self._find(f"{self.version + 1:020}.json")) is not None:
            try:
                self._take(json.loads(line) for line in commit.splitlines() if line)
            except (ValueError, KeyError, TypeError) as error:
                raise self._unreadable(f"commit {self.version + 1}: {error}") from error
            self.version += 1
        return self.version >= 0

    def _begin(self) -> None:
        """Start at the newest checkpoint, where there is one that can be read."""
        try:
            last = json.loads(self._find("_last_checkpoint") or b"null")
            if last is None or last.get("parts"):
                return
            found = self._find(f"{last['version']:020}.checkpoint.parquet")
            if found is None:
                return
            table = pq.read_table(pa.BufferReader(found), use_threads=False)
        except (ValueError, KeyError, AttributeError, pa.ArrowException):
            return
        kinds = [kind for kind in ("protocol", "metaData", "add") if kind in table.column_names]
        for kind in kinds:
            column = table[kind].combine_chunks().drop_null()
            self._take({kind: action} for action in column.to_pylist())
        self.version = last["version"]

    def _take(self, actions: Iterable[dict[str, Any]]) -> None:
        for action in actions:
            if (found := action.get("protocol")) is not None:
                features = set(found.get("readerFeatures") or ())
                if found["minReaderVersion"] > 1 and not (features and features <= READABLE):
                    raise self._unreadable(f"it asks for reader {found['minReaderVersion']}")
            elif (found := action.get("metaData")) is not None:
                self.schema = _schema(json.loads(found["schemaString"]))
            elif (found := action.get("add")) is not None:
                self._added[self._path(found["path"])] = found["modificationTime"]
            elif (found := action.get("remove")) is not None:
                self._added.pop(self._path(found["path"]), None)

    def _path(self, stored: str) -> str:
        return f"{self._folder}/{unquote(stored)}"

    def _find(self, name: str) -> bytes | None:
        return self._store.find(f"{self._folder}/_delta_log/{name}")

    def _unreadable(self, reason: str) -> LakeError:
        return LakeError(
            f"The log of {self._folder} at {self._store.location.label} cannot be read: {reason}.",
            remedy="`fx-assets run` names the damaged file, and how to go on.",
        )


def _schema(stored: dict[str, Any]) -> pa.Schema:
    return pa.schema([_field(field) for field in stored["fields"]])


def _field(stored: dict[str, Any]) -> pa.Field:
    return pa.field(stored["name"], _type(stored["type"]), stored["nullable"])


def _type(stored: Any) -> pa.DataType:
    if isinstance(stored, str):
        return PRIMITIVE[stored]
    if stored["type"] == "struct":
        return pa.struct([_field(field) for field in stored["fields"]])
    if stored["type"] == "array":
        return pa.list_(_type(stored["elementType"]))
    return pa.map_(_type(stored["keyType"]), _type(stored["valueType"]))
