"""What this deployment declares its forecasts to be about, read again when a file changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fx_assets.bundles.records import Manifest
from fx_assets.errors import FxAssetsError
from fx_assets.series.rows import About
from fx_assets.specs.files import load_declared
from fx_assets.specs.series import Series, series_of
from fx_assets.specs.universe import UniverseSpec
from fx_assets.targets import target_definition

_log = logging.getLogger("serving")
Stamp = tuple[tuple[str, int, int], ...]


class DeclaredUniverse:
    """What a universe is declared to be about."""

    def __init__(self, spec: UniverseSpec) -> None:
        self._spec = spec
        self._series: dict[tuple[str, str, int], Series | None] = {}

    @property
    def title(self) -> str:
        """What it is to predict, in words."""
        titles = (target_definition(target.kind).wording.title for target in self._spec.targets)
        return ", ".join(dict.fromkeys(titles))

    def contradiction(self, manifest: Manifest) -> str | None:
        """Why what is published of a member is not what is declared, or ``None``.

        An instrument that is named no more is what it was.
        """
        key = manifest.instrument, manifest.target, manifest.horizon
        if key not in self._series:
            self._series[key] = self._of(*key)
        series = self._series[key]
        if series is None or About.of(series).agrees(vars(manifest)):
            return None
        return (
            f"it is declared as {series.sentence}; what is published was made from another reading "
            "or calendar."
        )

    def _of(self, instrument: str, kind: str, horizon: int) -> Series | None:
        spec = self._spec
        if not spec.is_named(instrument):
            return None
        about = (kind, horizon)
        found = (spec.series(instrument, t) for t in spec.targets if (t.kind, t.horizon) == about)
        return next(found, None)


@dataclass(frozen=True)
class Declared:
    """What is declared."""

    series: Mapping[str, Series] = field(default_factory=dict)
    """What each forecast is about."""
    terms: Mapping[str, str] = field(default_factory=dict)
    """Of each forecast that is a horizon of one of several, the name of that."""
    universes: Mapping[str, DeclaredUniverse] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()
    """Forecasts and universes that nothing starts by itself."""

    @property
    def names(self) -> set[str]:
        """Of everything that can be asked for."""
        return {*self.series, *self.terms.values(), *self.universes}

    def horizons(self, name: str) -> list[str]:
        """The forecasts of a name: itself, or one for each horizon."""
        return [one for one, term in self.terms.items() if term == name] or [name]

    def contradiction(self, manifest: Manifest) -> str | None:
        """Why a bundle is not of the forecast that is declared under its name, or ``None``."""
        series = self.series.get(manifest.forecast)
        if series is None or About.of(series).agrees(vars(manifest)):
            return None
        bars = "bar" if manifest.horizon == 1 else "bars"
        return (
            f"the forecast is declared as {series.sentence}; the published champion, "
            f"{manifest.candidate} v{manifest.version}, predicts {manifest.target} of "
            f"{manifest.instrument}, {manifest.horizon} {bars} ahead, from the feed "
            f"{manifest.feed}, in the reading or calendar that it was trained on."
        )

    def replaced(self, manifest: Manifest) -> bool:
        """Whether a bundle is of a horizon that its forecast is declared with no more.

        Of a single horizon that has become a list, of a list that has become a single one, or of
        one that was taken out of the list.
        """
        if manifest.forecast in self.series:
            return False
        names = {manifest.forecast, manifest.term}
        return bool(names.intersection(self.terms.values()) or manifest.term in self.series)


class Declarations:
    """The declarations of this deployment; none where it has no folder of them.

    A server that holds only a lake serves what is published there. One that also holds the
    declarations does not pass off a champion of another series as the forecast that is declared.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: Stamp | None = None
        self._declared = Declared()

    def read(self) -> Declared:
        """What is declared now; what was last read where a file is wrong."""
        stamp = _stamp(self._folder)
        if stamp == self._stamp:
            return self._declared
        before, self._stamp = self._stamp, stamp
        try:
            found = load_declared.__wrapped__(self._folder)
        except (FxAssetsError, OSError) as error:
            if before is not None or stamp:
                _log.warning("The declarations cannot be read: %s", error)
            return self._declared
        self._declared = Declared(
            series={n: series_of(spec, found.feed_of(n)) for n, spec in found.forecasts.items()},
            terms={name: spec.term for name, spec in found.forecasts.items() if spec.term},
            universes={name: DeclaredUniverse(spec) for name, spec in found.universes.items()},
            paused=frozenset(
                [n for n in found.forecasts if not found.feed_of(n).automatic]
                + [n for n, universe in found.universes.items() if not universe.automatic]
            ),
        )
        return self._declared


def _stamp(folder: Path) -> Stamp:
    files = sorted(folder.rglob("defs.yaml")) if folder.is_dir() else ()
    facts = ((file, file.stat()) for file in files)
    return tuple((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in facts)
