"""What tells one idea from another, wherever its code stands: a file, a notebook, a prompt."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np

DEEP = 6
"""How far values are followed into each other."""


def identity_of(idea: object) -> str:
    """A hash of an idea's compiled code and of the values that it was made with.

    Names, comments and docstrings do not count; another constant, default or helper does. Two ideas
    that only differ in what they read from outside Python are one.
    """
    content = hashlib.sha256()
    for part in _parts(idea, 0, set()):
        content.update(part.encode())
        content.update(b"\0")
    return content.hexdigest()[:16]


def _parts(value: object, depth: int, seen: set[int]) -> Iterator[str]:
    if depth > DEEP or id(value) in seen:
        return
    if isinstance(value, FunctionType):
        seen.add(id(value))
        yield from _function(value, depth, seen)
    elif isinstance(value, functools.partial):
        for part in (value.func, value.args, value.keywords):
            yield from _parts(part, depth + 1, seen)
    elif inspect.ismethod(value):
        yield from _parts(value.__func__, depth, seen)
        yield from _parts(value.__self__, depth + 1, seen)
    elif inspect.isclass(value):
        seen.add(id(value))
        yield from _class(value, depth, seen)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    elif isinstance(value, dict):
        for name in sorted(value, key=repr):
            yield repr(name)
            yield from _parts(value[name], depth + 1, seen)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item, depth + 1, seen)
    elif isinstance(value, bool | int | float | complex | str | bytes | None):
        yield repr(value)
    elif inspect.ismodule(value) or inspect.isbuiltin(value):
        yield getattr(value, "__name__", "")
    elif hasattr(value, "__dict__"):
        seen.add(id(value))
        yield from _parts(type(value), depth + 1, seen)
        yield from _parts(vars(value), depth + 1, seen)
    else:
        yield type(value).__qualname__


def _function(function: FunctionType, depth: int, seen: set[int]) -> Iterator[str]:
    yield from _code(function.__code__, function.__doc__)
    yield from _parts(function.__defaults__ or (), depth + 1, seen)
    yield from _parts(function.__kwdefaults__ or {}, depth + 1, seen)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, depth + 1, seen)
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield name
            yield from _parts(function.__globals__[name], depth + 1, seen)


def _class(kind: type[Any], depth: int, seen: set[int]) -> Iterator[str]:
    yield kind.__qualname__
    library = kind.__module__.partition(".")[0]
    if library in {"sklearn", "numpy", "pandas", "fx_assets", "builtins"}:
        yield kind.__module__
        return
    for base in kind.__mro__[1:]:
        yield f"{base.__module__}.{base.__qualname__}"
    for name, member in sorted(vars(kind).items()):
        if not (name.startswith("__") and name != "__init__") and not name.startswith("_abc"):
            yield name
            inner = getattr(member, "__func__", getattr(member, "fget", member))
            yield from _parts(inner, depth + 1, seen)


def _names(code: CodeType) -> list[str]:
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return sorted({*code.co_names, *(name for each in inner for name in _names(each))})


def _code(code: CodeType, doc: str | None = None) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        elif constant != doc or doc is None:
            yield repr(constant)
