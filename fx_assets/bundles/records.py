"""What a published champion consists of. JSON on disk; needs neither MLflow nor pandas."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AwareDatetime, BaseModel, Field

from fx_assets.errors import RegistryError
from fx_assets.evaluation.claim import Claim
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.intervals import IntervalModel
from fx_assets.evaluation.novelty import Novelty
from fx_assets.evaluation.stated import DistributionModel
from fx_assets.models.base import InputSpec
from fx_assets.models.reads import Reads
from fx_assets.specs.base import Record
from fx_assets.specs.forecast import TargetKind
from fx_assets.tables import features_name

if TYPE_CHECKING:
    from fx_assets.models.onnx_predict import OnnxModel

FORMAT = 1
"""Raised when readers of the old kind could no longer understand a manifest."""

MODEL_FILE, GOLDEN_FILE, MANIFEST_FILE = "model.onnx", "golden.json", "manifest.json"
BACKGROUND_FILE = "background.json"
"""Training rows that explanations are measured against; no part of what predicts."""
POINTER_FILE = "champion.json"


class Blobs(Protocol):
    """Files by relative path, replaced atomically; ``fx_assets.lake.Lake`` is one."""

    def write_blob(self, path: str, data: bytes) -> str:
        """Write or replace a file."""
        ...

    def read_blob(self, path: str) -> bytes:
        """The file's content; raises LakeError where there is none."""
        ...

    def blob_exists(self, path: str) -> bool:
        """Whether there is such a file."""
        ...

    def list_blobs(self, prefix: str) -> list[str]:
        """The paths that begin with ``prefix``."""
        ...


class ScoredMetric(Record):
    """A metric with its 95 % interval, on ``n`` out-of-sample rows."""

    metric: str
    value: float
    lower: float
    upper: float
    n: int
    baseline_value: float


class SkillFacts(Record):
    """What was measured out of sample, and how it may be spoken of."""

    demonstrated: bool
    claim: Claim | None = None
    """``None`` in bundles of before it was said."""
    caveat: str = ""
    """What has to be said with it."""
    loss: ScoredMetric
    """The proper score."""
    skill: ScoredMetric
    interval_coverage: float | None = None
    """Coverage that intervals of this kind had, walking forward; ``None`` where too few rows were
    out of sample to measure it."""


class BaselineFacts(Record):
    """Which recipe claims no skill, and the column of the labelled frame with its value."""

    family: str
    column: str = "baseline_mean"


_OF_TARGETS = {
    "log_return": "log return of one bar; lag 0 is the newest",
    "baseline_mean": "mean of all targets known so far, in units of the target",
    "last_target": "newest target known, in units of the target",
}
"""Inputs that are no features."""


class FittedFacts(Record):
    """All that is said about a fitted recipe, whether it becomes champion or not.

    Instants are UTC.
    """

    forecast: str
    term: str = ""
    """The declared forecast of several horizons of which it is one."""
    feed: str
    calendar: str
    instrument: str
    series: str = ""
    """What the forecast was about; empty in bundles of before it was said."""
    target: TargetKind
    horizon: int
    """Bars ahead."""
    target_unit: str
    baseline: BaselineFacts
    candidate: str
    family: str
    params: dict[str, Any]
    recipe: str
    """The recipe's hash."""
    seed: int = 0
    code_version: str
    commit: str = ""
    """Of the code that fitted it; empty where nothing told."""
    image: str = ""
    """The container image that it was fitted in; empty outside of one."""
    feature_set: str
    columns: tuple[str, ...]
    """Columns of the labelled frame that the inputs are built from."""
    window: int = 0
    """Rows that the inputs reach back over; 0 for the row itself, and with ``parts``."""
    parts: tuple[tuple[tuple[str, ...], int], ...] = ()
    """Columns and window of each part, where inputs of several models stand side by side."""
    input_names: tuple[str, ...]
    """One name for each input of the graph, in order."""
    units: dict[str, str] = Field(default={})
    """Meaning and unit of each column."""
    input_ranges: dict[str, tuple[float | None, float | None]] = Field(default={})
    """Smallest and largest value of each input that training saw."""
    intervals: IntervalModel
    novelty: Novelty | None = None
    """What training inputs are like; ``None`` where nothing is to be out of range."""
    distribution: DistributionModel | None = None
    """How a prediction becomes a distribution; ``None`` unless the forecast asks for one."""
    trained_through: AwareDatetime
    """Event time of the last training row."""
    label_end: AwareDatetime
    """When the last training label was known."""
    data_as_of: AwareDatetime
    n_rows: int
    train_row_hash: str
    table_versions: dict[str, int]
    parity: float = Field(ge=0, allow_inf_nan=False)
    """Largest difference between graph and fitted object (relative for variances)."""
    tolerance: float = Field(ge=0, allow_inf_nan=False)
    """Largest difference that is accepted on the golden rows, measured in the same way."""

    @property
    def reads(self) -> Reads:
        """What the inputs are built from."""
        parts = self.parts or ((self.columns, self.window),)
        return Reads(tuple(InputSpec(columns, window) for columns, window in parts))

    @property
    def features_names(self) -> tuple[str, str]:
        """The name under which its features lie, and that under which lakes of 0.1 hold them."""
        return features_name(self.feed, self.feature_set), self.forecast

    def meaning(self, name: str) -> str:
        """Meaning and unit of an input; empty where it is unknown."""
        return self.units.get(name) or _OF_TARGETS.get(name.partition("_lag_")[0], "")


class ChampionFacts(FittedFacts):
    """All that is said about a champion."""

    version: int
    """Number of the bundle, counted from 1 in each forecast."""
    mlflow_version: int = 0
    """Version of the forecast's registered model in MLflow."""
    decision: Decision
    """What made it champion."""
    skill: SkillFacts
    failed_checks: tuple[str, ...] = ()
    """Checks that the bars failed and that were lowered in the feed, when it was published."""
    mlflow_run_id: str
    dagster_run_id: str = ""


class FileFacts(Record):
    """A file's content, identified."""

    sha256: str
    size: int
    """Bytes."""

    @classmethod
    def of(cls, data: bytes) -> FileFacts:
        """The facts of this content."""
        return cls(sha256=sha256(data), size=len(data))


class Manifest(ChampionFacts):
    """The champion's facts with those of its files."""

    format: int = FORMAT
    created_at: AwareDatetime
    files: dict[str, FileFacts]

    @property
    def content(self) -> dict[str, Any]:
        """Everything but when it was made."""
        content: dict[str, Any] = json.loads(self.model_dump_json(exclude={"created_at"}))
        return content


class Golden(Record):
    """A few input rows and what the fitted model predicts for them; null stands for NaN."""

    inputs: tuple[tuple[float | None, ...], ...]
    outputs: tuple[float, ...]

    @classmethod
    def of(cls, inputs: ArrayLike, outputs: ArrayLike) -> Golden:
        """Golden rows of an ``(n, p)`` matrix and its ``(n,)`` predictions.

        Raises
        ------
        RegistryError
            There is no row, the shapes do not agree, or a prediction is not finite.
        """
        X, y = np.asarray(inputs, dtype=np.float64), np.asarray(outputs, dtype=np.float64)
        if X.ndim != 2 or y.shape != (len(X),) or not len(X) or not np.isfinite(y).all():
            raise RegistryError(
                f"Golden rows of shape {X.shape} with outputs {y.tolist()[:5]}: expected (n, p) "
                "with n > 0, and n finite outputs.",
                remedy="Take labelled rows of the training frame and the fitted model's output.",
            )
        rows = tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in X)
        return cls(inputs=rows, outputs=tuple(y.tolist()))

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Inputs of shape (n, p) and outputs of shape (n,)."""
        width = len(self.inputs[0]) if self.inputs else 0
        inputs = np.array(self.inputs, dtype=np.float64).reshape(len(self.inputs), width)
        return inputs, np.array(self.outputs, dtype=np.float64)


class Pointer(Record):
    """Which version is the champion; the one file that is ever replaced."""

    format: int = FORMAT
    forecast: str
    version: int
    manifest_sha256: str
    published_at: AwareDatetime
    put_back: str = ""
    """Who put a champion back that the rule had demoted: its skill is not demonstrated then."""


@dataclass(frozen=True)
class Bundle:
    """A champion that is to be published."""

    facts: ChampionFacts
    onnx: bytes
    golden: Golden


@dataclass(frozen=True)
class BundleRef:
    """Where a published bundle is."""

    forecast: str
    version: int
    manifest_sha256: str
    published_at: datetime
    """When the pointer last moved to it, or when the bundle was made if it never did."""
    put_back: str = ""
    """As the pointer says."""

    @property
    def folder(self) -> str:
        """The bundle's folder below the root of the blobs."""
        return folder(self.forecast, self.version)


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle that passed every check and can predict; safe to share between threads."""

    ref: BundleRef
    manifest: Manifest
    model: OnnxModel
    golden: Golden

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, p) inputs to (n,) predictions."""
        return self.model.predict(X)


def folder(forecast: str, version: int) -> str:
    """The folder of one version."""
    return f"bundles/{forecast}/{version}"


def version_of(row: Mapping[str, Any]) -> int:
    """The version that made a row of the ``predictions`` table."""
    return int(str(row["champion_version"]).removeprefix("v"))


def manifest_path(forecast: str, version: int) -> str:
    """The file that says what one version is."""
    return f"{folder(forecast, version)}/{MANIFEST_FILE}"


def pointer_path(forecast: str) -> str:
    """The file that names the champion."""
    return f"bundles/{forecast}/{POINTER_FILE}"


def to_json(value: BaseModel) -> bytes:
    """Readable JSON with sorted keys."""
    return json.dumps(json.loads(value.model_dump_json()), indent=1, sort_keys=True).encode()


def sha256(data: bytes) -> str:
    """The content's SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
