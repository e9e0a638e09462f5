"""Which code a computation reaches, and a hash of it that only a change of that code changes.

The code is read, not run: from the names that a computation starts at, every function, constant,
class and method of ours is followed that they mention. Comments, docstrings, annotations of
functions and what is raised compute nothing and do not count. A method counts when its class is
reached and its name is mentioned anywhere in the code that is, or where a decorator may call it,
so what nobody calls does not.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

NUMERIC = {
    "arch": "arch",
    "lightgbm": "lightgbm",
    "numba": "numba",
    "numpy": "numpy",
    "optuna": "optuna",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "statsmodels": "statsmodels",
    "talib": "TA-Lib",
    "torch": "torch",
    "xgboost": "xgboost",
}
"""Packages whose version can change a number, and the distribution that each comes from."""

_PLAIN_DECORATORS = {
    *("abstractmethod", "cached_property", "classmethod", "override", "property", "staticmethod")
}
"""Decorators below which a method is called by its name only."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class CodeIdentity:
    """What is reached.

    Parameters
    ----------
    definitions
        ``module:name`` and ``module:class.method`` of all code of ours, sorted.
    packages
        Import names of the numeric packages that it mentions, sorted.
    digest
        Of the definitions' code and the packages' versions, 16 hexadecimal digits.
    """

    definitions: tuple[str, ...]
    packages: tuple[str, ...]
    digest: str


def code_identity(
    *starts: tuple[str, str], methods: Iterable[str] = (), libraries: Iterable[str] = ()
) -> CodeIdentity:
    """What is reached from names of modules.

    Parameters
    ----------
    starts
        Pairs of a module and a name in it. Modules of the starts' own top-level packages and of
        this one are followed, others are not.
    methods
        Names of methods that are called from outside.
    libraries
        Further distributions whose version counts.
    """
    reach = _Reach({__package__, *(module.partition(".")[0] for module, _ in starts)})
    reach.attributes.update(methods)
    for module, name in starts:
        reach.name(module, name)
    reach.close()
    versions = {*(NUMERIC[package] for package in reach.packages), *libraries}
    content = hashlib.sha256()
    for key in sorted(reach.found):
        code = ",".join(map(_code, reach.found[key]))
        content.update(f"{key}\n[{code}]\n".encode())
    for distribution in sorted(versions):
        content.update(f"{distribution}=={installed_version(distribution)}\n".encode())
    return CodeIdentity(
        tuple(sorted(reach.found)), tuple(sorted(reach.packages)), content.hexdigest()[:16]
    )


def installed_version(distribution: str) -> str:
    """The installed version of a distribution; empty if there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


@dataclass
class _Reach:
    """The definitions found so far, and the classes whose methods are still to be looked at."""

    ours: set[str]
    found: dict[str, list[ast.AST]] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    classes: list[tuple[str, ast.ClassDef]] = field(default_factory=list)

    def name(self, module: str, name: str) -> None:
        """Reach what a name of a module is bound to."""
        known = _module(module)
        if name in known.bound:
            key = f"{module}:{name}"
            if key not in self.found:
                self.found[key] = []
                for node in known.bound[name]:
                    self._definition(module, key, node)
        elif name in known.imports:
            self._imported(known.imports[name])
        elif _is_module(f"{module}.{name}"):
            pass  # its own names are reached where they are mentioned
        elif "__getattr__" in known.bound:
            for every in known.bound:
                self.name(module, every)

    def close(self) -> None:
        """Reach the methods that are mentioned, until no further one is."""
        size = -1
        while size != len(self.found):
            size = len(self.found)
            for module, node in list(self.classes):
                for method in _methods(node):
                    key = f"{module}:{node.name}.{method.name}"
                    called = method.name in self.attributes or _called_unnamed(method)
                    if key not in self.found and called:
                        self.found[key] = [method]
                        self._mentioned(module, method)

    def _definition(self, module: str, key: str, node: ast.stmt) -> None:
        if isinstance(node, ast.ClassDef):
            self.classes.append((module, node))
            shell = _shell(node)
            self.found[key].append(shell)
            self._mentioned(module, shell)
        else:
            self.found[key].append(node)
            self._mentioned(module, node)

    def _mentioned(self, module: str, node: ast.AST) -> None:
        said = _said(module, node)
        for name, *path in said.dotted:
            self._attribute(module, name, path, said.local)
        self.attributes.update(said.attributes)
        for name in said.names:
            self._plain(module, name, said.local)

    def _plain(self, module: str, name: str, local: dict[str, _Import]) -> None:
        if name in local:
            self._imported(local[name])
        else:
            self.name(module, name)

    def _attribute(
        self, module: str, name: str, path: list[str], local: dict[str, _Import]
    ) -> None:
        """``package.module.name`` reaches a name of another module."""
        target = local.get(name) or _module(module).imports.get(name)
        if target is None:
            return
        owner = target.module if target.name is None else f"{target.module}.{target.name}"
        for step in path:
            if not self._is_ours(owner) or not _is_module(owner):
                return
            if _is_module(f"{owner}.{step}"):
                owner = f"{owner}.{step}"
            else:
                self.name(owner, step)
                return

    def _imported(self, target: _Import) -> None:
        if self._is_ours(target.module):
            if target.name is not None:
                self.name(target.module, target.name)
        elif (package := target.module.partition(".")[0]) in NUMERIC:
            self.packages.add(package)

    def _is_ours(self, module: str) -> bool:
        return module.partition(".")[0] in self.ours


@dataclass(frozen=True)
class _Import:
    module: str
    name: str | None
    """``None`` where the module itself is bound."""


@dataclass(frozen=True)
class _Module:
    bound: dict[str, list[ast.stmt]]
    """The statements at the top that bind or change each name."""
    imports: dict[str, _Import]


@dataclass(frozen=True)
class _Said:
    """What a definition mentions, each once."""

    names: tuple[str, ...]
    attributes: tuple[str, ...]
    dotted: tuple[tuple[str, ...], ...]
    """Names with the attributes that follow them."""
    local: dict[str, _Import]


@lru_cache(maxsize=16384)
def _said(module: str, node: ast.AST) -> _Said:
    parts = list(_within(node))
    found = [part for part in parts if isinstance(part, ast.Attribute)]
    return _Said(
        tuple(dict.fromkeys(part.id for part in parts if isinstance(part, ast.Name))),
        tuple(dict.fromkeys(part.attr for part in found)),
        tuple(dict.fromkeys(filter(None, map(_path, found)))),
        dict(_imports(module, parts)),
    )


def _path(node: ast.Attribute) -> tuple[str, ...]:
    """A name and the attributes after it; empty where another expression is before them."""
    path = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        path.append(value.attr)
        value = value.value
    return (value.id, *reversed(path)) if isinstance(value, ast.Name) else ()


@lru_cache(maxsize=4096)
def _shell(node: ast.ClassDef) -> ast.ClassDef:
    """A class without its methods."""
    return ast.ClassDef(
        name=node.name,
        bases=node.bases,
        keywords=node.keywords,
        body=[part for part in node.body if not isinstance(part, Function)],
        decorator_list=node.decorator_list,
    )


@lru_cache(maxsize=16384)
def _code(node: ast.AST) -> str:
    return _dump(node)


@lru_cache(maxsize=512)
def _module(name: str) -> _Module:
    tree = ast.parse(source_of(name))
    statements = list(_top(tree.body))
    bound: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        for target in _binds(statement):
            bound.setdefault(target, []).append(statement)
    for statement in statements:
        if isinstance(statement, ast.Expr | ast.For | ast.While | ast.With | ast.AugAssign):
            for mentioned in sorted(_names(statement)):
                if mentioned in bound and statement not in bound[mentioned]:
                    bound[mentioned].append(statement)
    return _Module(bound, dict(_imports(name, statements)))


def source_of(module: str) -> str:
    """The source text of a module, which this does not import."""
    file = _file(module)
    return "" if file is None else file.read_text(encoding="utf-8")


def _is_module(name: str) -> bool:
    return _file(name) is not None


@lru_cache(maxsize=4096)
def _file(module: str) -> Path | None:
    """Where the source of a module is; of a package, its ``__init__.py``."""
    known = getattr(sys.modules.get(module), "__file__", None)
    if known is not None:
        return Path(known)
    package, _, name = module.rpartition(".")
    if not package:
        found = None if module in sys.modules else find_spec(module)
        return None if found is None or found.origin is None else Path(found.origin)
    folders = getattr(sys.modules.get(package), "__path__", None)
    if folders is None:
        parent = _file(package)
        folders = [parent.parent] if parent is not None and parent.name == "__init__.py" else []
    places = [Path(f, name, "__init__.py") for f in folders] + [
        Path(f, f"{name}.py") for f in folders
    ]
    return next((place for place in places if place.is_file()), None)


def _top(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under conditions too, but none for type checkers."""
    for statement in body:
        if isinstance(statement, ast.If):
            if "TYPE_CHECKING" not in _names(statement.test):
                yield from _top(statement.body)
            yield from _top(statement.orelse)
        elif isinstance(statement, ast.Try):
            for part in (statement.body, statement.orelse, statement.finalbody):
                yield from _top(part)
            for handler in statement.handlers:
                yield from _top(handler.body)
        elif not _is_text(statement):
            yield statement


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _binds(statement: ast.stmt) -> list[str]:
    if isinstance(statement, Function | ast.ClassDef):
        return [statement.name]
    return [
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _imports(module: str, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, _Import]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, _Import(whole, None)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                package = module if _is_package(module) else module.rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                source = f"{package}.{source}".rstrip(".")
            for alias in node.names:
                yield alias.asname or alias.name, _Import(source, alias.name)


def _is_package(module: str) -> bool:
    file = _file(module)
    return file is not None and file.name == "__init__.py"


def _methods(node: ast.ClassDef) -> list[Function]:
    return [part for part in node.body if isinstance(part, Function)]


def _called_unnamed(method: Function) -> bool:
    """Whether Python or what decorates the method calls it without that its name is mentioned."""
    if method.name.startswith("__") and method.name.endswith("__"):
        return True
    return any(_names(mark) - _PLAIN_DECORATORS for mark in method.decorator_list)


def _is_text(node: ast.AST) -> bool:
    """A docstring, or a text below an attribute that documents it."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _parts(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The fields of a node that decide what it computes."""
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "type_comment", "kind", "type_params", "returns"):
            continue
        if isinstance(node, ast.arg) and name == "annotation":
            continue
        if isinstance(node, ast.Raise):
            continue
        if isinstance(value, list):
            value = [part for part in value if not _is_text(part)]
        if value is not None and value != []:
            yield name, value


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it that decide what it computes."""
    yield node
    for _, value in _parts(node):
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from _within(part)


def _dump(value: object) -> str:
    """The same text for the same code on every version of Python."""
    if isinstance(value, list):
        return f"[{','.join(_dump(part) for part in value)}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    inside = ",".join(f"{name}={_dump(part)}" for name, part in _parts(value))
    return f"{type(value).__name__}({inside})"
