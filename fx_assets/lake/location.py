"""Where the lake is, and the options to reach it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from fx_assets.errors import LakeError
from fx_assets.lake.patience import ANSWER_SECONDS, delta_options, patiently

_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Location:
    """The lake's root, a local folder or ``s3://bucket/prefix``, and how to reach it.

    Options for S3 are the standard ``AWS_*`` variables (``AWS_ENDPOINT_URL``, ``AWS_REGION``,
    ``AWS_ACCESS_KEY_ID``, ...); ``storage_options`` win over the environment. Commits use the
    conditional PUT of S3, so no lock service is needed.

    ``patience`` is how many seconds a reader waits for one answer of S3, without a second attempt;
    writers leave it out and wait for storage that is away (``fx_assets.lake.patience``). A
    ``discreet`` one names neither bucket, endpoint nor folder in messages, which a server shows
    to everybody.
    """

    def __init__(
        self,
        root: str,
        storage_options: dict[str, str] | None = None,
        *,
        patience: float | None = None,
        discreet: bool = False,
    ) -> None:
        self.patience, self.discreet = patience, discreet
        scheme, separator, _ = root.partition("://")
        self.is_remote = bool(separator)
        escape = _ESCAPE.search(root if separator else str(Path(root).expanduser().resolve()))
        if escape:
            raise LakeError(
                f"The lake cannot live at {root}: Delta Lake takes {escape[0]} in a path for "
                f"{unquote(escape[0])!r}, and would look in another folder.",
                remedy="Rename the folder, or set FX_ASSETS_LAKE to one without % in its path.",
            )
        if not self.is_remote:
            self.root = str(Path(root).expanduser().resolve())
            self.storage_options: dict[str, str] | None = None
            self.bucket, self.prefix = "", ""
            return
        if scheme != "s3":
            raise LakeError(
                f"The lake cannot live at a {scheme}:// address.",
                remedy="Set FX_ASSETS_LAKE to a folder or to s3://bucket/prefix.",
            )
        address = urlsplit(root)
        if "@" in address.netloc or not address.netloc:
            raise LakeError(
                "The lake's s3:// address is not of the form s3://bucket/prefix.",
                remedy="Give credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only.",
            )
        self.root = root.rstrip("/")
        self.bucket, self.prefix = address.netloc, address.path.strip("/")
        self.storage_options = _s3_options(storage_options or {})
        if patience is None:
            self.storage_options = delta_options() | self.storage_options
        else:
            self.storage_options |= {
                "timeout": f"{patience:g}s",
                "connect_timeout": f"{patience:g}s",
                "max_retries": "0",
            }

    def uri(self, *parts: str) -> str:
        """The address of something below the root."""
        return "/".join([self.root, *parts])

    def table_uri(self, table: str, name: str) -> str:
        """The address of a table; refuses names that would leave the root."""
        for part in (table, name):
            if not _NAME.fullmatch(part):
                raise LakeError(
                    f"{part!r} cannot name a table.",
                    remedy="Use letters, digits, '_', '-', '.', with a letter or digit first.",
                )
        return self.uri(table, name)

    def key(self, path: str) -> str:
        """The S3 object key of a path below the root."""
        return f"{self.prefix}/{path}" if self.prefix else path

    @property
    def label(self) -> str:
        """The root as messages name it."""
        if not self.discreet:
            return self.root
        return "its S3 bucket" if self.is_remote else "its folder"

    def redact(self, error: object) -> str:
        """The error's text without the credentials that S3 servers echo in their answers."""
        text = str(error)
        options = self.storage_options or {}
        hidden = [options.get(variable) for variable in _SECRETS]
        if self.discreet:
            endpoint = _endpoint(options) or ""
            hidden += [self.root, quote(self.root), endpoint, urlsplit(endpoint).netloc]
            hidden += [self.bucket, urlsplit(endpoint).hostname]
        for part in hidden:
            if part:
                text = text.replace(part, "***")
        return text

    def asking(self, call: Callable[[], _T]) -> _T:
        """What a call of the client's returns; a writer waits for storage that is away."""
        return patiently(call) if self.patience is None else call()

    def s3_client(self) -> Any:
        """A boto3 client made from the same options as the Delta tables'."""
        import boto3
        from botocore.config import Config

        options = self.storage_options or {}
        endpoint = _endpoint(options)
        seconds = ANSWER_SECONDS if self.patience is None else self.patience
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=options["AWS_REGION"],
            aws_access_key_id=options.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=options.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=options.get("AWS_SESSION_TOKEN"),
            config=Config(
                retries={"total_max_attempts": 1, "mode": "standard"},
                s3={"addressing_style": "path"} if endpoint else {},
                connect_timeout=seconds,
                read_timeout=seconds,
            ),
        )


def _endpoint(options: dict[str, str]) -> str | None:
    return options.get("AWS_ENDPOINT_URL_S3") or options.get("AWS_ENDPOINT_URL")


def _s3_options(given: dict[str, str]) -> dict[str, str]:
    options = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    options |= {key.upper(): value for key, value in given.items()}
    endpoint = _endpoint(options)
    if endpoint:
        options["AWS_ENDPOINT_URL"] = endpoint
        if endpoint.startswith("http://"):
            options.setdefault("AWS_ALLOW_HTTP", "true")
    options.setdefault("AWS_REGION", options.get("AWS_DEFAULT_REGION", "us-east-1"))
    options["AWS_CONDITIONAL_PUT"] = "etag"
    return options
