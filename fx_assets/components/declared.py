"""What this deployment has declared, checked down to each candidate's hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterator

from fx_assets.errors import SpecError
from fx_assets.evaluation.tuning import search_space
from fx_assets.models import build_model
from fx_assets.settings import Settings
from fx_assets.specs import ForecastSpec
from fx_assets.specs.files import Declared, Mistake, load_declared

PLATFORM_PARAMS = frozenset({"seed", "target"})


def declared() -> Declared:
    """The feeds and forecasts below the deployment's folder, read once a process.

    Raises
    ------
    SpecError
        Something is declared wrongly; the message has a line for each mistake in any file.
    """
    return load_declared(Settings().declared_folder, candidate_mistakes)


def candidate_mistakes(spec: ForecastSpec) -> Iterator[Mistake]:
    """Hyper-parameters that a candidate's family does not know, or whose values it refuses."""
    for position, candidate in enumerate(spec.candidates):
        ours = sorted(PLATFORM_PARAMS & set(candidate.params))
        if ours:
            message = f"the platform sets {' and '.join(ours)} itself; leave it out"
            yield Mistake(("candidates", position, "params", ours[0]), message)
            continue
        if candidate.when_installed and not candidate.installed:
            continue
        try:
            build_model(candidate.family, spec.target, candidate.params)
        except SpecError as error:
            message = " ".join(filter(None, [error.message, error.remedy]))
            yield Mistake(("candidates", position, "params"), message)
            continue
        if candidate.tune is None:
            continue
        try:
            search_space(candidate, spec.target)
        except SpecError as error:
            message = " ".join(filter(None, [error.message, error.remedy]))
            yield Mistake(("candidates", position, "tune"), message)
