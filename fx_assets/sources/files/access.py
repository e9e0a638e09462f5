"""Finds files and reads their bytes: local or on S3, globs, compressed or not."""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import io
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from fx_assets.errors import SourceError

WILDCARDS = re.compile(r"[*?\[]")
TABLES = (
    *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".parq", ".feather", ".arrow"),
    *(".xlsx", ".csv.gz"),
)
"""Endings of the files in an archive that are read; texts only where there is none of these."""
MAX_UNPACKED_BYTES = 8_000_000_000
_DAMAGED = (
    *(OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, struct.error),
    *(ValueError, LookupError, OverflowError, lzma.LZMAError, pa.ArrowException),
)
"""What the archive readers of the standard library raise on damaged archives."""
_ZIP = b"PK\x03\x04"
_PACKED: Mapping[bytes, Callable[[io.BytesIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"\x28\xb5\x2f\xfd": partial(pa.CompressedInputStream, compression="zstd"),
}
"""How a compressed file begins, and what opens it."""
_IDENTITY = "Check the path, and the AWS_* variables if the bucket is not public."


@dataclass(frozen=True)
class FileBytes:
    """One file's content; the files of an archive are files of their own.

    Parameters
    ----------
    name
        What a person calls it: a path, an ``s3://`` address, or ``archive.zip!member``.
    content
        The bytes, unpacked.
    sha256
        Hash of the file as it is stored.
    """

    name: str
    content: bytes
    sha256: str


def read_files(path: str, home: Path) -> Iterator[FileBytes]:
    """Every file that a path or glob names, in the order of names.

    Parameters
    ----------
    path
        A local path, which may be relative to ``home``, or ``s3://bucket/key``; ``*``, ``?`` and
        ``[...]`` match within a folder, ``**`` any folders.

    Raises
    ------
    SourceError
        There is no such file, or it cannot be read or unpacked.
    """
    stored = _from_s3(path) if path.startswith("s3://") else _from_disk(path, home)
    for name, content in stored:
        sha256 = hashlib.sha256(content).hexdigest()
        for inner, unpacked in _unpacked(name, content):
            yield FileBytes(inner, unpacked, sha256)


def _from_disk(path: str, home: Path) -> Iterator[tuple[str, bytes]]:
    full = str(home / Path(path).expanduser())
    if WILDCARDS.search(path) and not os.path.exists(full):
        names = sorted(n for n in glob.glob(full, recursive=True) if os.path.isfile(n))
        if not names:
            raise SourceError(f"No file matches {full}.", remedy=_siblings(full))
    else:
        names = [full]
    for name in names:
        try:
            yield name, Path(name).read_bytes()
        except IsADirectoryError:
            raise SourceError(
                f"{name} is a folder.", remedy=f"Say which files in it: {path.rstrip('/')}/*.csv"
            ) from None
        except FileNotFoundError:
            raise SourceError(f"There is no file {name}.", remedy=_siblings(name)) from None
        except OSError as error:
            raise SourceError(
                f"{name} cannot be read: {error.strerror or error}.",
                remedy="Let the account that runs fx-assets read it.",
            ) from error


def _siblings(path: str) -> str:
    """What there is in the deepest folder that exists."""
    folder = Path(path)
    while WILDCARDS.search(str(folder)) or not folder.is_dir():
        folder = folder.parent
    found = sorted(entry.name for entry in folder.iterdir())[:8]
    return f"{folder} has {', '.join(found) or 'nothing'}. Correct source.path."


def _from_s3(path: str) -> Iterator[tuple[str, bytes]]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = path.removeprefix("s3://").partition("/")
    if not bucket or not key or "@" in bucket:
        raise SourceError(
            "The address of the files is not of the form s3://bucket/key.",
            remedy="Correct source.path; credentials belong in the AWS_* variables only.",
        )
    own_server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        client = boto3.client(
            "s3",
            endpoint_url=own_server,
            region_name=os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
            config=Config(
                retries={"total_max_attempts": 5, "mode": "standard"},
                s3={"addressing_style": "path"} if own_server else {},
                connect_timeout=10,
                read_timeout=60,
            ),
        )
        keys = [key]
        if WILDCARDS.search(key):
            prefix, wanted = WILDCARDS.split(key)[0], re.compile(_as_regex(key))
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            listed = (entry["Key"] for page in pages for entry in page.get("Contents", []))
            keys = sorted(name for name in listed if wanted.fullmatch(name))
        if not keys:
            raise SourceError(f"No object matches {path}.", remedy=_IDENTITY)
        for name in keys:
            answer = client.get_object(Bucket=bucket, Key=name)
            yield f"s3://{bucket}/{name}", answer["Body"].read()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        raise SourceError(f"{path} cannot be read: S3 says {code}.", remedy=_IDENTITY) from None
    except (BotoCoreError, ValueError) as error:
        kind = type(error).__name__
        raise SourceError(f"{path} cannot be read: {kind}.", remedy=_IDENTITY) from None


def _as_regex(pattern: str) -> str:
    """A glob over keys as a regular expression; ``*`` stays within a folder."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        words.get(part) or (part.replace("[!", "[^") if part[:1] == "[" else re.escape(part))
        for part in parts
    )


def _unpacked(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    opens = next((opens for magic, opens in _PACKED.items() if content.startswith(magic)), None)
    try:
        if opens is not None:
            with opens(io.BytesIO(content)) as stream:
                yield name, _bounded(stream.read(MAX_UNPACKED_BYTES + 1), name)
        elif content.startswith(_ZIP) and not is_workbook(content):
            yield from _members(name, content)
        else:
            yield name, content
    except _DAMAGED as error:
        raise SourceError(
            f"{name} cannot be unpacked: {error}.",
            remedy="Copy it again; it is damaged, incomplete or locked by a password.",
        ) from error


def is_workbook(content: bytes) -> bool:
    """Whether a file is an Excel workbook, which is a zip of XML and read as a file of its own."""
    if not content.startswith(_ZIP):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def _members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
            _bounded(None, name)
        inside = [
            entry
            for entry in sorted(archive.namelist())
            if not entry.endswith("/") and not re.search(r"(^|/)(\.|__MACOSX/)", entry)
        ]
        tables = [entry for entry in inside if entry.lower().endswith(TABLES)]
        for entry in tables or [e for e in inside if e.lower().endswith((".txt", ".prn"))]:
            yield from _unpacked(f"{name}!{entry}", archive.read(entry))


def _bounded(content: bytes | None, name: str) -> bytes:
    if content is None or len(content) > MAX_UNPACKED_BYTES:
        raise SourceError(
            f"{name} unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000_000} GB.",
            remedy="Cut it into files of a year each.",
        )
    return content
