"""Small files beside the tables (payloads, bundles, reports), replaced atomically."""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from fx_assets.errors import LakeError
from fx_assets.faults import described, fault_in
from fx_assets.lake.location import Location

_TEMPORARY = ".blob-"


class BlobStore:
    """Files below the lake's root by relative path; readers see an old file or a new one, whole."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._client: Any = None

    def write(self, path: str, data: bytes) -> str:
        """Write or replace a file; returns its address."""
        path = _checked(path)
        if self.location.is_remote:
            self._call(path, "put_object", Key=self.location.key(path), Body=data)
        else:
            self._write_file(Path(self.location.uri(path)), data)
        return self.location.uri(path)

    def read(self, path: str) -> bytes:
        """The file's content.

        Raises
        ------
        LakeError
            There is no such file.
        """
        data = self.find(path)
        if data is None:
            raise LakeError(
                f"There is no file {path} in the lake at {self.location.label}.",
                remedy="Run the step that writes it, or check FX_ASSETS_LAKE.",
            )
        return data

    def find(self, path: str) -> bytes | None:
        """The file's content; None if there is no such file."""
        path = _checked(path)
        if self.location.is_remote:
            return self._read_object(path)
        try:
            return Path(self.location.uri(path)).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        path = _checked(path)
        if not self.location.is_remote:
            return Path(self.location.uri(path)).is_file()
        return path in self.paths(path)

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is gone already."""
        path = _checked(path)
        if self.location.is_remote:
            self._call(path, "delete_object", Key=self.location.key(path))
        else:
            Path(self.location.uri(path)).unlink(missing_ok=True)

    def written_before(self, prefix: str, before: datetime) -> dict[str, int]:
        """The bytes of each file below ``prefix`` that was last written before, by its path."""
        if self.location.is_remote:
            start = len(self.location.key(""))
            entries = (
                (entry["Key"][start:], entry["LastModified"], entry["Size"])
                for page in self._pages(Prefix=self.location.key(prefix))
                for entry in page.get("Contents", [])
            )
        else:
            files = ((path, os.stat(self.location.uri(path))) for path in self.paths(prefix))
            entries = (
                (path, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)
                for path, status in files
            )
        return {path: size for path, written, size in entries if written < before}

    def paths(self, prefix: str) -> list[str]:
        """The paths of all files that begin with ``prefix``, sorted."""
        if self.location.is_remote:
            start = len(self.location.key(""))
            return sorted(key[start:] for key in self._keys(self.location.key(prefix)))
        root = Path(self.location.root)
        folder = root / prefix.rpartition("/")[0]
        files = (file for file in folder.rglob("*") if file.is_file())
        paths = (f.relative_to(root).as_posix() for f in files if not f.name.startswith(_TEMPORARY))
        return sorted(path for path in paths if path.startswith(prefix))

    def sizes(self) -> dict[str, int]:
        """Bytes below each folder of the root."""
        found: defaultdict[str, int] = defaultdict(int)
        if self.location.is_remote:
            start = len(self.location.key(""))
            for page in self._pages(Prefix=self.location.key("")):
                for entry in page.get("Contents", []):
                    found[entry["Key"][start:].partition("/")[0]] += entry["Size"]
            return dict(found)
        for folder in self.folders():
            for file in (Path(self.location.root) / folder).rglob("*"):
                with suppress(FileNotFoundError):  # a writer or the upkeep may take it away
                    status = file.stat(follow_symlinks=False)
                    found[folder] += status.st_size if S_ISREG(status.st_mode) else 0
        return dict(found)

    def folders(self, prefix: str = "") -> list[str]:
        """The names of the folders directly below ``prefix``, sorted."""
        if not self.location.is_remote:
            folder = Path(self.location.root) / prefix
            return sorted(e.name for e in folder.iterdir() if e.is_dir()) if folder.is_dir() else []
        start = self.location.key(f"{prefix}/" if prefix else "")
        pages = self._pages(Prefix=start, Delimiter="/")
        found = [c["Prefix"] for page in pages for c in page.get("CommonPrefixes", [])]
        return sorted(folder[len(start) :].rstrip("/") for folder in found)

    def _write_file(self, file: Path, data: bytes) -> None:
        temporary = file.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(file)
        except OSError as error:
            fault = fault_in(str(error))
            raise LakeError(
                f"{file} cannot be written: {described(error)}."
                + (f" {fault.sentence}" if fault else ""),
                remedy=fault.remedy if fault else "See that its folder can be written to.",
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _read_object(self, path: str) -> bytes | None:
        from botocore.exceptions import BotoCoreError, ClientError

        def get() -> bytes:
            answer = self._s3().get_object(Bucket=self.location.bucket, Key=self.location.key(path))
            found: bytes = answer["Body"].read()
            return found

        try:
            return self.location.asking(get)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise self._error(path, error) from None
        except BotoCoreError as error:
            raise self._error(path, error) from None

    def _keys(self, prefix: str) -> list[str]:
        return [
            entry["Key"]
            for page in self._pages(Prefix=prefix)
            for entry in page.get("Contents", [])
        ]

    def _pages(self, **arguments: str) -> list[dict[str, Any]]:
        from botocore.exceptions import BotoCoreError, ClientError

        pages = self._s3().get_paginator("list_objects_v2")
        try:
            return self.location.asking(
                lambda: list(pages.paginate(Bucket=self.location.bucket, **arguments))
            )
        except (BotoCoreError, ClientError) as error:
            raise self._error(arguments["Prefix"], error) from None

    def _call(self, path: str, method: str, **arguments: Any) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            call = getattr(self._s3(), method)
            self.location.asking(lambda: call(Bucket=self.location.bucket, **arguments))
        except (BotoCoreError, ClientError) as error:
            raise self._error(path, error) from None

    def _s3(self) -> Any:
        if self._client is None:
            self._client = self.location.s3_client()
        return self._client

    def _error(self, path: str, error: Exception) -> LakeError:
        return LakeError(
            f"{path} in the lake at {self.location.label}: {self.location.redact(error)}",
            remedy="Check that the storage can be reached and that its credentials allow this.",
        )


def _checked(path: str) -> str:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or str(pure) != path:
        raise LakeError(
            f"{path!r} is not a path below the lake's root.",
            remedy="Use a relative path with '/', such as 'bundles/eurusd_direction/current.json'.",
        )
    return path
