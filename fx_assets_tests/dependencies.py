"""The picture of which room imports which, drawn from the code; ``make snapshot`` writes it.

A room is a package or a module at the top of ``fx_assets``, or ``serving``. An arrow that follows
from others is left out, so that what is drawn is the order of the house.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "dependencies.svg"
DAGSTER = {"assets", "components", "resources", "definitions", "instance", "runner", "heartbeats"}
WIDTH, ROW, BOX, GAP = 1120, 74, 28, 14
LETTER = 7.4
Edges = dict[str, set[str]]


def imports(root: Path = ROOT) -> Edges:
    """For each room the rooms that its modules import, at run time or when they are called."""
    found: Edges = {}
    for package in ("fx_assets", "serving"):
        for file in sorted((root / package).rglob("*.py")):
            module = file.relative_to(root).with_suffix("").parts
            room = _room(module)
            if room is None or "template" in module:
                continue
            tree = ast.parse(file.read_text())
            targets = {_room(target) for target in _imported(tree, module)}
            found.setdefault(room, set()).update(t for t in targets if t and t != room)
    return {room: {t for t in targets if t in found} for room, targets in found.items()}


def _room(module: tuple[str, ...]) -> str | None:
    if module[0] == "serving":
        return "serving"
    inside = module[1:] if module[0] == "fx_assets" else ()
    return inside[0] if inside and inside[0] != "__init__" else None


def _imported(tree: ast.AST, module: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            base = module[: -node.level] if node.level else ()
            source = (*base, *node.module.split("."))
            yield from ((*source, alias.name) for alias in node.names)


def levels(edges: Edges) -> dict[str, int]:
    """How many rooms are below each room, at most, one under the other."""
    known: dict[str, int] = {}

    def level(room: str, above: tuple[str, ...] = ()) -> int:
        if room in above:
            raise ValueError(f"rooms import each other: {' -> '.join((*above, room))}")
        if room not in known:
            below = [level(other, (*above, room)) for other in sorted(edges[room])]
            known[room] = max(below, default=-1) + 1
        return known[room]

    return {room: level(room) for room in sorted(edges)}


def reduced(edges: Edges) -> Edges:
    """Without the arrows that follow from others."""

    def reach(room: str) -> set[str]:
        return edges[room].union(*(reach(other) for other in edges[room]))

    reached = {room: reach(room) for room in edges}
    return {
        room: {t for t in to if not any(t in reached[other] for other in to - {t})}
        for room, to in edges.items()
    }


def drawn(edges: Edges) -> str:
    """The picture: what imports is above what it imports."""
    level = levels(edges)
    rows = [sorted(r for r in edges if level[r] == n) for n in range(max(level.values()), -1, -1)]
    place: dict[str, tuple[float, float, float]] = {}
    for number, row in enumerate(rows):
        widths = [round(LETTER * len(room)) + 18 for room in row]
        left = (WIDTH - sum(widths) - GAP * (len(row) - 1)) / 2
        for room, width in zip(row, widths, strict=True):
            place[room] = (left, 10 + ROW * number, width)
            left += width + GAP
    lines = []
    for room, targets in sorted(reduced(edges).items()):
        x, y, width = place[room]
        for target in sorted(targets):
            tx, ty, twidth = place[target]
            start, end = (x + width / 2, y + BOX), (tx + twidth / 2, ty)
            lines.append(
                f'<path d="M{start[0]:.0f} {start[1]:.0f} C{start[0]:.0f} {start[1] + 26:.0f} '
                f'{end[0]:.0f} {end[1] - 26:.0f} {end[0]:.0f} {end[1]:.0f}"/>'
            )
    boxes = []
    for room, (x, y, width) in sorted(place.items()):
        kind = ' class="dagster"' if room in DAGSTER else ""
        boxes.append(
            f'<rect{kind} x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="5"/>'
            f'<text x="{x + width / 2:.0f}" y="{y + 19:.0f}">{room}</text>'
        )
    style = (
        "rect{fill:#eef3f8;stroke:#53708c}rect.dagster{fill:#fdf1dc;stroke:#b07d2b}"
        "text{font:13px ui-monospace,monospace;text-anchor:middle;fill:#1c2733}"
        "path{fill:none;stroke:#9fb0c0}"
    )
    height = ROW * len(rows)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>Rooms of the code; each imports only what is below it</title>"
    ground = f'<path style="fill:#fff;stroke:none" d="M0 0H{WIDTH}V{height}H0z"/>'
    return "\n".join([head, title, f"<style>{style}</style>", ground, *lines, *boxes, "</svg>\n"])


def main() -> None:
    """Write it where it is kept."""
    argparse.ArgumentParser(description="Draw which room imports which.").parse_args()
    PICTURE.write_text(drawn(imports()))


if __name__ == "__main__":
    main()
