"""A champion in service: a loaded bundle with everything that an answer about it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property

import numpy as np
from msgspec import Raw

from fx_assets.bundles.predictor import Predictor
from fx_assets.bundles.records import LoadedBundle, Manifest
from fx_assets.calendars import calendar
from fx_assets.evaluation.claim import Claim
from fx_assets.features.base import feature_set
from fx_assets.features.spans import present_name
from fx_assets.targets import target_definition
from fx_assets.targets.base import LARGEST
from serving.http.problems import Problem
from serving.http.responses import json_bytes
from serving.schemas import Benchmark, ChampionRef, InputFact, Skill, SkillVerdict

WARM_UP_SLACK = 1
NAMED = 5
"""Most names that an error message lists."""


class Champion:
    """Never changes; a request takes one reference and uses nothing else."""

    def __init__(self, bundle: LoadedBundle) -> None:
        manifest = bundle.manifest
        self.bundle = bundle
        self.manifest = manifest
        self.definition = target_definition(manifest.target)
        self.predictor = Predictor(bundle)
        self.market = calendar(manifest.calendar)
        self.features = feature_set(manifest.feature_set, self.market.bar)
        self.names = manifest.input_names
        self._known = frozenset(self.names)
        ranges = [manifest.input_ranges.get(name, (None, None)) for name in self.names]
        self._least = np.array([-LARGEST if low is None else low for low, _ in ranges])
        self._greatest = np.array([LARGEST if high is None else high for _, high in ranges])
        bounds = [
            self.definition.possible if name in _OF_TARGETS else (-LARGEST, LARGEST)
            for name in self.names
        ]
        self._lowest, self._highest = np.array(bounds, dtype=np.float64).reshape(-1, 2).T
        self.ref = ref_of(manifest)
        self.skill = _skill(manifest, bundle.ref.put_back)
        self.ref_json = Raw(json_bytes(self.ref))
        self.skill_json = Raw(json_bytes(self.skill))
        self.format_json = Raw(json_bytes(self.definition.shown))

    @property
    def version(self) -> int:
        """Number of the bundle."""
        return self.manifest.version

    @cached_property
    def bars_needed(self) -> int:
        """Fewest bars of which the newest has every input."""
        columns = self.manifest.columns
        uses = {*columns, *map(present_name, columns)}
        warm_up = max((f.warm_up for f in self.features.features if f.name in uses), default=0)
        labels = self.manifest.horizon + 1
        window = 2 if self.manifest.reads.reach > 1 else 0
        return max(warm_up + WARM_UP_SLACK, labels, window, 2)

    def matrix(self, rows: Sequence[Mapping[str, float]], field: str) -> np.ndarray:
        """Named inputs as an (n, p) matrix.

        Raises
        ------
        Problem
            A name is missing or unknown; says which, and what was probably meant.
        """
        width = len(self.names)
        out = np.empty((len(rows), width))
        for i, row in enumerate(rows):
            if len(row) != width:
                raise self._misnamed(row, field if len(rows) == 1 else f"{field}[{i}]")
            try:
                out[i] = list(map(row.__getitem__, self.names))
            except KeyError:
                where = field if len(rows) == 1 else f"{field}[{i}]"
                raise self._misnamed(row, where) from None
        return out

    def ordinary(self, inputs: np.ndarray) -> bool:
        """Whether training saw the like of every input of every row."""
        return bool(((inputs >= self._least) & (inputs <= self._greatest)).all())

    def require_possible(self, inputs: np.ndarray) -> None:
        """Refuse rows that no bars can give: an infinite input, or a share of ups beyond 0 and 1.

        Raises
        ------
        Problem
            409: names row, input and value.
        """
        # No comparison holds of NaN, and none of these of an infinity.
        possible = (inputs >= self._lowest) & (inputs <= self._highest)
        if possible.all():
            return
        wrong = ~possible
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        name, value = self.names[column], float(inputs[row, column])
        least, most = self._lowest[column], self._highest[column]
        limits = f"from {least:g} to {most:.4g}" if least > -LARGEST else "a finite number"
        raise Problem(
            409,
            "impossible-input",
            f"{name} of row {row} is {value:g}; it can only be {limits}.",
            field=name,
            value=value,
            remedy="Give inputs that bars can have; GET "
            f"/v1/forecasts/{self.manifest.forecast}/model has their units and training ranges.",
        )

    def require_sensible(self, value: float) -> None:
        """Refuse an answer that its target cannot have, such as a negative variance.

        Raises
        ------
        Problem
            409: the inputs lead there.
        """
        least, most = self.definition.possible
        if least <= value <= most:
            return
        raise Problem(
            409,
            "impossible-input",
            f"From these inputs the champion of {self.manifest.forecast} computes {value:g}, which "
            f"no {self.manifest.target} can be.",
            field="features",
            value=value,
            remedy="Give inputs within the training ranges of "
            f"GET /v1/forecasts/{self.manifest.forecast}/model.",
        )

    def out_of_range(self, inputs: np.ndarray) -> list[str]:
        """The inputs of one row that lie outside of what training saw."""
        row = inputs[0]
        (outside,) = ((row < self._least) | (row > self._greatest)).nonzero()
        return [self.names[i] for i in outside]

    def input_facts(self) -> list[InputFact]:
        """Name, unit and training range of each input."""
        manifest = self.manifest
        shared = manifest.columns[0] if manifest.window else ""
        return [
            InputFact(
                name,
                manifest.units.get(name) or manifest.meaning(shared or name),
                *manifest.input_ranges.get(name, (None, None)),
            )
            for name in self.names
        ]

    def _misnamed(self, row: Mapping[str, float], field: str) -> Problem:
        unknown = sorted(row.keys() - self._known)
        missing = [name for name in self.names if name not in row]
        said = []
        if missing:
            said.append(f"{len(missing)} missing ({_some(missing)})")
        if unknown:
            close = get_close_matches(unknown[0], missing or self.names, n=1)
            hint = f", did you mean {close[0]}?" if close else ""
            said.append(f"{len(unknown)} unknown ({_some(unknown)}{hint})")
        return Problem(
            409,
            "other-inputs",
            f"{field}: the champion of {self.manifest.forecast} reads {len(self.names)} inputs; of "
            f"those given, {' and '.join(said)}.",
            field=field,
            value=_some(unknown or missing),
            remedy=f"Give exactly the inputs of GET /v1/forecasts/{self.manifest.forecast}/model.",
        )


def ref_of(manifest: Manifest) -> ChampionRef:
    """What answers say of the model of a bundle."""
    return ChampionRef(
        name=manifest.candidate,
        family=manifest.family,
        version=manifest.version,
        recipe=manifest.recipe,
        code_version=manifest.code_version,
        trained_through=manifest.trained_through,
        label_end=manifest.label_end,
    )


_OF_TARGETS = frozenset({"baseline_mean", "last_target"})
"""Inputs that are outcomes, or means of them."""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown}, ..."


def verdict_of(claim: Claim | None) -> SkillVerdict | None:
    """A claim as an answer."""
    if claim is None:
        return None
    sides = {name: getattr(claim, name) for name in ("baseline", "reference")}
    return SkillVerdict(
        word=claim.word,
        sentence=claim.sentence,
        rows=claim.rows,
        needed_p=claim.needed_p,
        tried=claim.tried,
        **{
            name: Benchmark(
                name=side.benchmark,
                score=side.loss,
                skill=side.skill,
                lower=side.lower,
                upper=side.upper,
                clark_west_p=side.clark_west_p,
                diebold_mariano_p=side.diebold_mariano_p,
            )
            for name, side in sides.items()
        },
    )


def _skill(manifest: Manifest, put_back: str) -> Skill:
    loss, skill = manifest.skill.loss, manifest.skill.skill
    return Skill(
        demonstrated=manifest.skill.demonstrated and not put_back,
        metric=loss.metric,
        score=loss.value,
        baseline_score=loss.baseline_value,
        skill=skill.value,
        lower=skill.lower,
        upper=skill.upper,
        rows=loss.n,
        caveat="; ".join(filter(None, [manifest.skill.caveat, put_back])) or None,
        failed_checks=list(manifest.failed_checks),
        verdict=verdict_of(manifest.skill.claim),
    )
