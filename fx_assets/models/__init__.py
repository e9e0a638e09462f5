"""Model families behind one small interface; each is one class, loaded on demand.

Ours are modules of this package, and come through the same door as other people's
(:mod:`fx_assets.doors`): an entry point of the group ``fx_assets.families``, or a class in a
project's plug-in folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fx_assets.code_identity import CodeIdentity, code_identity, installed_version
from fx_assets.doors import FAMILIES, TARGETS
from fx_assets.errors import SpecError
from fx_assets.models.base import (
    FEATURES,
    Columns,
    FeatureWindow,
    InputSpec,
    Model,
    NoParams,
    Params,
    Window,
    model_inputs,
)
from fx_assets.specs.base import digest
from fx_assets.specs.forecast import CandidateSpec, ForecastSpec, TargetSpec

__all__ = [
    "FEATURES",
    "Columns",
    "FeatureWindow",
    "InputSpec",
    "Model",
    "NoParams",
    "Params",
    "Window",
    "build_model",
    "candidate_code",
    "code_reached",
    "code_version",
    "kinds_of",
    "model_class",
    "model_inputs",
]


def model_class(family: str) -> type[Model[Any]]:
    """The class of a family.

    Raises
    ------
    SpecError
        There is no such family.
    """
    found: type[Model[Any]] = FAMILIES[family]
    return found


def build_model(
    family: str, target: TargetSpec, params: Mapping[str, Any] | None = None, seed: int = 0
) -> Model[Any]:
    """An unfitted model.

    Raises
    ------
    SpecError
        The family does not exist, does not predict this kind of target, does not know a
        hyper-parameter or its value, or needs a library that is not installed; the message names
        what is allowed or missing.
    """
    found = model_class(family)
    if not target.is_among(found.targets):
        able = sorted(name for name, other in FAMILIES.items() if target.is_among(other.targets))
        raise SpecError(
            f"{family} does not predict {target.kind}.", remedy=f"Choose one of {', '.join(able)}."
        )
    for library in found.libraries:
        if not installed_version(library):
            extra = f"[{found.extra}]" if found.extra else ""
            raise SpecError(
                f"{family} needs {library}, which is not installed.",
                remedy=f"Run pip install 'fx-assets{extra}', or take the candidate out.",
            )
    return found(target=target, seed=seed, **dict(params or {}))


def kinds_of(family: str) -> list[str]:
    """The kinds of target that a family predicts."""
    found = model_class(family)
    return [kind for kind in TARGETS if TargetSpec(kind=kind).is_among(found.targets)]


@lru_cache(maxsize=256)
def code_version(family: str, kind: str = "") -> str:
    """A short hash of the code that decides what a family computes of a kind of target.

    It covers what of ours its fit and prediction and the target's labels, limits and loss reach,
    the numeric packages that this calls, and the libraries that fit the family
    (:mod:`fx_assets.code_identity`). Imports none of those libraries.
    """
    return code_reached(family, kind).digest


def candidate_code(spec: ForecastSpec, candidate: CandidateSpec) -> str:
    """:func:`code_version` of a candidate of a forecast; of one that is made of others, such as a
    pool, of those as well."""
    if spec.made_of(candidate) == [candidate]:
        return code_version(candidate.family, spec.target.kind)
    found = "pool_weights" if candidate.pools else "shrinkage"
    own = code_identity(
        (f"{__name__}.pool", "pooled"), ("fx_assets.evaluation.pooling", found), methods=()
    )
    members = [candidate_code(spec, member) for member in spec.made_of(candidate)]
    return digest([own.digest, *members])


def code_reached(family: str, kind: str = "") -> CodeIdentity:
    """The code that a family's inputs, fit and prediction reach; their ONNX graph is not in it.

    Without a kind of target, that of all which it predicts.
    """
    found = model_class(family)
    targets = [TARGETS[name] for name in ([kind] if kind else kinds_of(family))]
    return code_identity(
        (found.__module__, found.__name__),
        (f"{__name__}.base", "model_inputs"),
        *((target.__module__, target.__name__) for target in targets),
        methods=("fit", "predict", "labels", "loss"),
        libraries=found.libraries,
    )
