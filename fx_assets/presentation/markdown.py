"""Tables in GitHub-flavoured Markdown, for Dagster's UI, reports and pull requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; line breaks and bars inside cells are made harmless."""
    lines = [f"| {' | '.join(map(_cell, header))} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "/").replace("\n", " ")
