"""What differs between deployments of the server, read from the environment in one place."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from fx_assets.errors import SpecError
from fx_assets.settings import Settings as PlatformSettings


class Settings(BaseSettings):
    """Server settings; each field is the environment variable ``FX_SERVING_<FIELD>``.

    Where the lake is comes from ``FX_ASSETS_LAKE`` and ``FX_ASSETS_HOME``, as for the platform.
    """

    model_config = SettingsConfigDict(
        env_prefix="FX_SERVING_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 chooses one.")
    workers: PositiveInt = Field(default=1, description="Processes that share the port.")
    poll_seconds: PositiveFloat = Field(
        default=1.0, description="Pause between two looks at the pointers and tables of the lake."
    )
    patience_seconds: PositiveFloat = Field(
        default=1.0, description="How long a start waits for the lake before it serves without."
    )
    read_seconds: PositiveFloat = Field(
        default=10.0,
        description="Longest that a read of the lake may take before 503.",
    )
    trial_seconds: PositiveFloat = Field(
        default=5.0, description="Longest that a new bundle may take to compute its golden rows."
    )
    cache: Path | None = Field(
        default=None,
        description="Folder of last good champions; unset means 'serving' in the platform's cache.",
    )
    default_forecast: str = Field(
        default="", description="What /invocations asks; unset means the first by name."
    )
    keys: str = Field(
        default="", description="API keys: 'name:scopes:sha256' entries separated by blanks."
    )
    keys_file: Path | None = Field(
        default=None, description="File of such entries, one a line; '#' starts a comment."
    )
    public_keys: str = Field(
        default="",
        description="Public keys of which one has to have signed what is served, parted by blanks; "
        "'KEY@2027-03-01' counts until that day. Unset means that nothing is checked.",
    )
    public_keys_file: Path | None = Field(
        default=None,
        description="File of such keys, one a line; '#' starts a comment. It is read at each look.",
    )
    rate_limit: str = Field(
        default="", description="Such as '100/second' or '6000/minute', per key or address."
    )
    rate_limit_storage: str = Field(
        default="memory://",
        description="Where hits are counted; 'memory://' counts in each worker, redis:// in all.",
    )
    max_body_bytes: PositiveInt = Field(
        default=2_000_000, description="Larger request bodies are refused."
    )
    max_batch: PositiveInt = Field(
        default=1000, description="Most predictions that one request may ask for."
    )
    member_metrics: NonNegativeInt = Field(
        default=200,
        description="Most targets of members of universes that have gauges of their own.",
    )
    max_connections: PositiveInt = Field(
        default=1000, description="Most connections of a worker; further ones are closed."
    )
    max_head_bytes: PositiveInt = Field(
        default=32_768, description="Most bytes of a request's line and headers."
    )
    client_seconds: PositiveFloat = Field(
        default=10.0, description="How long a client may take to send a head; six times for a body."
    )
    root_path: str = Field(
        default="", description="Prefix that a proxy strips from every path, such as /fx."
    )
    trusted_proxies: list[str] = Field(
        default=[],
        description="Addresses or networks whose X-Forwarded-For and -Prefix count; '*' for any.",
    )
    cors_origins: list[str] = Field(
        default=[], description="Origins that browsers may call from; none unless set."
    )
    access_log: bool = Field(default=True, description="Whether each request is logged as JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @cached_property
    def lake_root(self) -> str:
        """The lake's root as an absolute path or an ``s3://`` URI."""
        return PlatformSettings().lake_root

    @cached_property
    def cache_folder(self) -> Path:
        """The folder of last good champions as an absolute path."""
        return (self.cache or PlatformSettings().cache_folder / "serving").resolve()

    @cached_property
    def copies_folder(self) -> Path:
        """Where the copies of this lake's champions are: of each lake in a folder of its own."""
        return self.cache_folder / hashlib.sha256(self.lake_root.encode()).hexdigest()[:16]


def load_settings() -> Settings:
    """The settings of the environment.

    Raises
    ------
    SpecError
        A variable cannot be read; names it.
    """
    try:
        settings = Settings()
        _ = settings.lake_root, settings.cache_folder
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        prefix = "FX_SERVING_" if error.title == Settings.__name__ else "FX_ASSETS_"
        name = f"{prefix}{'_'.join(str(part) for part in first['loc'][:1])}".upper()
        raise SpecError(
            f"{name}={first.get('input')!r}: {first['msg']}.",
            remedy=f"Correct or unset {name}; docs/serving.md lists what each setting may be.",
        ) from None
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        name = f"FX_SERVING_{found.group(1)}".upper() if found else "A setting"
        raise SpecError(
            f"{name} cannot be read: {error}.",
            remedy='Lists are JSON, such as ["https://example.com"].',
        ) from None
    return settings
