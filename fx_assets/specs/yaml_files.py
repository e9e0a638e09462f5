"""The documents of a YAML file with the lines that they stand on, and what is wrong with them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_UTF_16_AND_32 = (
    *(codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
)
_SAVE = "save the file as UTF-8"


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else self.told

    @property
    def told(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True)
class Document:
    """One document of a file: what it says, and where."""

    file: str
    value: Any
    node: yaml.Node

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    def line_of(self, loc: Sequence[Any]) -> int:
        """The line of a key or item, or of the deepest part on the way to it that exists."""
        node, line = self.node, self.node.start_mark.line
        for key in loc:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(key)]
                if not found:
                    break
                line, node = found[0][0].start_mark.line, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
                if key >= len(node.value):
                    break
                node = node.value[key]
                line = node.start_mark.line
        return int(line) + 1

    def problem(self, loc: Sequence[Any], message: str) -> Problem:
        """A problem with what stands at a place."""
        return Problem(self.file, self.line_of(loc), message)


def read_documents(path: Path, shown: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a file that can be read, and what is wrong in it.

    Parameters
    ----------
    shown
        What the file is called in messages.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        return [], [Problem(shown, 0, f"cannot be read: {reason}; let this account read it")]
    try:
        text = _text(content)
    except ValueError as error:
        return [], [Problem(shown, *error.args)]
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            problems.extend(Problem(shown, *found) for found in _repeated(node, set()))
            try:
                value = loader.construct_document(node)
            except yaml.YAMLError:
                raise
            except (ValueError, OverflowError, RecursionError, AttributeError, TypeError) as error:
                line, said = _unreadable(node)
                problems.append(Problem(shown, line, f"{said}: {error}"))
                continue
            if value is not None:
                documents.append(Document(shown, value, node))
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(Problem(shown, *_explained(error, text)))
    return documents, problems


def _text(content: bytes) -> str:
    """The text of UTF-8 bytes.

    Raises
    ------
    ValueError
        They are something else; its arguments are the line, or 0, and what to say.
    """
    if content.startswith(_UTF_16_AND_32):
        raise ValueError(0, f"is UTF-16, not UTF-8: {_SAVE}")
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise ValueError(line, f"has a zero byte, so it is UTF-16 or no text: {_SAVE}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = content[error.start : error.start + 1]
        guess = byte.decode("cp1252", "replace")
        raise ValueError(
            line, f"byte 0x{byte.hex()} is not UTF-8 (in Latin-1 it is {guess!r}): {_SAVE}"
        ) from None


def _repeated(node: yaml.Node, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Keys that a mapping gives twice; of those YAML silently takes the last."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in first:
                    yield line, f"{key.value!r} is given on line {first[key.value]} already"
                first.setdefault(key.value, line)
            yield from _repeated(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, seen)


def _unreadable(node: yaml.Node) -> tuple[int, str]:
    """The first scalar that looks like a date or number and is none."""
    stack = [node]
    seen: set[int] = set()
    while stack:
        found = stack.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, yaml.ScalarNode):
            try:
                yaml.SafeLoader("").construct_object(found)
            except Exception:
                return found.start_mark.line + 1, f"{found.value!r} cannot be read"
        elif isinstance(found, yaml.MappingNode):
            stack.extend(part for pair in reversed(found.value) for part in reversed(pair))
        elif isinstance(found, yaml.SequenceNode):
            stack.extend(reversed(found.value))
    return node.start_mark.line + 1, "the document cannot be read"


def _explained(error: Exception, text: str) -> tuple[int, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    line = mark.line + 1 if mark else 0
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        code = error.character if isinstance(error.character, int) else ord(error.character[:1])
        said = f"the character U+{code:04X} is not allowed"
    if "\\t" in said:
        said += "; indent with blanks instead of tabs"
    return line, f"not valid YAML: {said}"
