"""Links from each asset to the code that computes it and the YAML that declares it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg

from fx_assets.doors import FAMILIES
from fx_assets.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
KEY = "dagster/code_references"


def with_sources(definitions: dg.Definitions) -> dg.Definitions:
    """Every asset with references to its function, to its family's class, and to its YAML.

    They name files of this machine, or pages of ``FX_ASSETS_SOURCE_URL`` where that is set.
    """
    settings = Settings()
    functions = _functions(definitions)

    def linked(spec: dg.AssetSpec) -> dg.AssetSpec:
        declared = spec.metadata.get(KEY)
        found = [*functions.get(spec.key, []), *_family(spec)]
        found += declared.code_references if declared else []
        pages = [_published(each, settings) for each in found]
        value = dg.CodeReferencesMetadataValue(code_references=pages)
        return spec.merge_attributes(metadata={KEY: value}) if found else spec

    with _unwarned():
        return definitions.map_resolved_asset_specs(func=linked)


def _functions(definitions: dg.Definitions) -> dict[dg.AssetKey, list[Any]]:
    """The function behind each asset, by its key."""
    found: dict[dg.AssetKey, list[Any]] = {}
    for asset in definitions.assets or ():
        if not isinstance(asset, dg.AssetsDefinition):
            continue
        compute: Any = getattr(asset.node_def, "compute_fn", None)
        code = getattr(getattr(compute, "decorated_fn", None), "__code__", None)
        if code is not None:
            reference = _reference(code.co_filename, code.co_firstlineno, "what computes it")
            found.update({key: [reference] for key in asset.keys})
    return found


def _family(spec: dg.AssetSpec) -> list[Any]:
    """The module of a candidate's model family; nothing is imported for it."""
    name = spec.metadata.get("family")
    if not isinstance(name, str) or name not in FAMILIES:
        return []
    module = find_spec(FAMILIES.place(name).partition(":")[0])
    file = module.origin if module else None
    return [_reference(file, None, f"the model family {name}")] if file else []


def _reference(file: str, line: int | None, label: str) -> Any:
    with _unwarned():
        return dg.LocalFileCodeReference(file_path=file, line_number=line, label=label)


def _published(reference: Any, settings: Settings) -> Any:
    """The page of a file in the repository, if it is in it and its address is known."""
    file = getattr(reference, "file_path", None)
    if settings.source_url is None or file is None or not Path(file).is_relative_to(ROOT):
        return reference
    line = f"#L{reference.line_number}" if reference.line_number else ""
    path = Path(file).relative_to(ROOT).as_posix()
    return dg.UrlCodeReference(url=f"{settings.source_url}/{path}{line}", label=reference.label)


@contextmanager
def _unwarned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield
