"""A family is another one when code that it reaches changes, and only then."""

from __future__ import annotations

import ast
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from types import FrameType

import pytest

import fx_assets.features
import fx_assets.models
from fx_assets import code_identity as identity_module
from fx_assets.code_identity import code_identity
from fx_assets.doors import FAMILIES, FEATURE_SETS
from fx_assets.features import feature_set
from fx_assets.features.frame import bars_of
from fx_assets.features.spans import DAY
from fx_assets.models import code_reached, code_version
from fx_assets.testing.families import TRAIN, FamilyCase
from fx_assets.testing.markets import bars_of_market, market
from fx_assets_tests.models.cases import CASES, INSTALLED

pytestmark = pytest.mark.long

Change = Callable[[str, str], str]
"""Gives a module's text another form, by its name and its text."""
MODULES = {
    f"{package.__name__}.{found.name}"
    for package in (fx_assets.models, fx_assets.features)
    for found in pkgutil.iter_modules(package.__path__)
}


@pytest.fixture
def rewritten(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Change], None]]:
    read = identity_module.source_of

    def rewrite(change: Change) -> None:
        monkeypatch.setattr(identity_module, "source_of", lambda name: change(name, read(name)))
        _forget()

    yield rewrite
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    identity_module._module.cache_clear()
    code_version.cache_clear()


def identities() -> dict[str, str]:
    """The code of every family and feature set."""
    families = {family: code_version(family) for family in FAMILIES}
    return families | {name: features_reached(name)[1] for name in FEATURE_SETS}


def features_reached(name: str) -> tuple[set[str], str]:
    declared = FEATURE_SETS[name]
    found = code_identity(
        (declared.__module__, declared.__name__),
        ("fx_assets.features.base", "FeatureSet"),
        methods=("features", "compute"),
    )
    return set(found.definitions), found.digest


def test_no_comment_and_no_docstring_changes_an_identity(rewritten) -> None:
    before = identities()
    rewritten(
        lambda _, text: (
            "# Said before.\n" + re.sub(r'^( *)"""(?=\S)', r'\1"""Or: ', text, flags=re.M)
        )
    )
    assert identities() == before


@cache
def executed() -> dict[str, set[str]]:
    """The functions of models that ran while each family was fitted and asked, by their names."""
    found: dict[str, set[str]] = {}
    for case in CASES:
        found.setdefault(case.family, set()).update(_ran(partial(_fit_and_predict, case)))
    return found


def _fit_and_predict(case: FamilyCase) -> None:
    rows = case.rows(TRAIN)
    case.build().fit(rows, case.targets(TRAIN)).predict(rows[:50])


def _ran(compute: Callable[[], object]) -> set[str]:
    """The functions of models and features that ran, as ``module:class.function``."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module in MODULES:
            seen.add(f"{module}:{frame.f_code.co_qualname.partition('.<locals>')[0]}")

    sys.setprofile(note)
    try:
        compute()
    finally:
        sys.setprofile(None)
    return seen


def _functions(module: str) -> Iterator[str]:
    for node in ast.parse(identity_module.source_of(module)).body:
        if isinstance(node, ast.FunctionDef):
            yield f"{module}:{node.name}"
        elif isinstance(node, ast.ClassDef):
            methods = (part for part in node.body if isinstance(part, ast.FunctionDef))
            yield from (f"{module}:{node.name}.{part.name}" for part in methods)


FUNCTIONS = sorted(name for module in MODULES for name in _functions(module))


def test_whatever_runs_in_a_fit_or_a_prediction_is_part_of_the_familys_identity() -> None:
    for family, ran in executed().items():
        missed = ran & set(FUNCTIONS) - set(code_reached(family).definitions)
        assert not missed, family


def _mutated(name: str) -> Change:
    """A function's body begins with one statement more."""
    module, _, path = name.partition(":")

    def change(found: str, text: str) -> str:
        if found != module:
            return text
        tree = ast.parse(text)
        body: list[ast.stmt] = tree.body
        for step in path.split("."):
            node = next(n for n in body if getattr(n, "name", None) == step)
            body = node.body  # type: ignore[attr-defined]
        body.insert(0, ast.parse("mutated = True").body[0])
        return ast.unparse(tree)

    return change


def _changed(families: Iterable[str], name: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Those of the families that a mutation of a function changes."""
    module = name.partition(":")[0]
    before = {family: code_version(family) for family in families}
    known, read = identity_module._module, identity_module.source_of
    with monkeypatch.context() as patch:
        patch.setattr(identity_module, "source_of", lambda m: _mutated(name)(m, read(m)))
        mutant = known.__wrapped__(module)
        patch.setattr(identity_module, "_module", lambda m: mutant if m == module else known(m))
        code_version.cache_clear()
        changed = {family for family in families if code_version(family) != before[family]}
    code_version.cache_clear()
    return changed


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, marks=pytest.mark.slow if place % 3 else ())
        for place, module in enumerate(sorted(m for m in MODULES if ".models." in m))
    ],
)
def test_a_changed_function_changes_the_families_that_run_it_and_none_that_cannot_reach_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _functions(module):
        reaching = [f for f in FAMILIES if name in code_reached(f).definitions]
        running = [family for family, seen in executed().items() if name in seen]
        others = [family for family in FAMILIES if family not in reaching]
        looked_at = {*running[:3], *reaching[:2], *others[:2]}
        assert _changed(looked_at, name, monkeypatch) == looked_at - set(others), name


@pytest.mark.parametrize(
    "helper", ["_window:squares", "_window:training_returns", "_har:SpanMeans._means"]
)
def test_a_shared_helper_changes_exactly_the_families_that_run_it(
    helper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"fx_assets.models.{helper}"
    running = {family for family, seen in executed().items() if name in seen}
    assert running
    assert _changed(INSTALLED, name, monkeypatch) == running


def test_a_changed_constant_changes_those_that_reach_it(rewritten) -> None:
    before = identities()
    rewritten(
        lambda _, text: text.replace("RETURN_LIMIT: Final = 10.0", "RETURN_LIMIT: Final = 9.0")
    )
    changed = {name for name, found in identities().items() if found != before[name]}
    assert changed == {"ewma", "garch", "har", "log_har", "arima"}


def test_a_helper_of_features_changes_the_feature_sets_that_reach_it(rewritten) -> None:
    before = identities()
    rewritten(_mutated("fx_assets.features.rolling:ratio"))
    changed = {name for name, found in identities().items() if found != before[name]}
    assert changed == {
        n for n in FEATURE_SETS if "fx_assets.features.rolling:ratio" in features_reached(n)[0]
    }
    assert "fx_close" in changed


def test_the_version_of_a_numeric_package_changes_those_that_call_it(monkeypatch) -> None:
    before = identities()
    installed = identity_module.installed_version
    monkeypatch.setattr(
        identity_module,
        "installed_version",
        lambda name: "99" if name in {"xgboost", "TA-Lib"} else installed(name),
    )
    _forget()
    changed = {name for name, found in identities().items() if found != before[name]}
    _forget()
    assert changed == {"xgboost", *FEATURE_SETS}


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_whatever_computes_a_feature_is_part_of_its_sets_identity(name: str) -> None:
    bars = bars_of(bars_of_market(market("1d"), 600), market("1d"))
    found = feature_set(name, DAY)
    ran = _ran(lambda: found.compute(bars))
    assert ran & set(FUNCTIONS) <= features_reached(name)[0]
