"""The catalogue says of every stored table what its rows are, and the docs repeat it."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from fx_assets import tables
from fx_assets.lake import Lake
from fx_assets.lake.reader import Reader
from fx_assets.tables import CATALOGUE, Table

PAGE = Path(__file__).parents[1] / "docs/tables.md"
BEGIN, END = "<!-- catalogue -->\n", "<!-- /catalogue -->"
ALL = [pytest.param(table, id=f"{table.owner}-{table.name}") for table in CATALOGUE]


def test_an_owner_has_each_table_once() -> None:
    assert max(Counter((table.owner, table.name) for table in CATALOGUE).values()) == 1


@pytest.mark.parametrize("table", ALL)
def test_keys_and_order_are_columns_that_exist_once_and_mean_something(table: Table) -> None:
    assert len(set(table.names)) == len(table.names)
    assert {*table.key, *table.subject, *table.newest} <= set(table.names)
    assert all(column.meaning for column in table.columns)
    assert table.key


@pytest.mark.parametrize("table", ALL)
def test_what_a_row_is_about_and_what_is_newest_tell_rows_apart_at_most_by_the_key(
    table: Table,
) -> None:
    if table.newest:
        return
    assert set(table.subject) == set(table.key)


@pytest.mark.parametrize("table", ALL)
def test_columns_are_made_of_columns_that_exist(table: Table) -> None:
    columns = {other.name: set(other.names) for other in CATALOGUE if other.owner != "universe"}
    for column, each in table.lineage:
        source, _, name = each.partition(".")
        assert column in table.names
        assert name in columns[source]
    assert bool(table.carries) <= bool(table.lineage)


def test_whatever_is_said_about_a_forecast_carries_its_series() -> None:
    made_anew = {"series", "splits", "train_set", "test_set"}
    carrying = {t.name for t in tables.tables_of("forecast") if tables.SERIES_COLUMN in t.key}
    assert carrying == {t.name for t in tables.tables_of("forecast")} - made_anew | {"series"}


def test_the_page_on_tables_is_what_the_catalogue_says() -> None:
    """To write it anew: ``python -m fx_assets_tests.test_tables``."""
    assert _page(PAGE.read_text()) == PAGE.read_text()


ROOT = Path(__file__).parents[1]
NAMES = {table.name for table in CATALOGUE}
OTHER_WORDS = {"drift", "files", "performance", "series", "skill", "trials", "universe"}
"""Names of tables that are also columns, kinds of sources or commands."""
READS_OR_WRITES = {
    name
    for kind in (Lake, Reader)
    for name, made in vars(kind).items()
    if inspect.isfunction(made) and "table" in inspect.signature(made).parameters
}
NO_TABLES = {
    "fx_assets/evaluation/metrics.py": {"skill"},
    "fx_assets/specs/universe.py": {"quantiles"},
}
"""Words that are no tables where they stand: the name of a metric, and of a setting."""


@pytest.mark.parametrize("room", ["fx_assets", "serving", "benchmarks"])
def test_names_of_tables_stand_in_the_catalogue_only(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name!r}; use the catalogue's {name.upper()}.name"
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != ROOT / "fx_assets/tables.py"
        for line, name in literals(ast.parse(path.read_text()))
        if name not in NO_TABLES.get(str(path.relative_to(ROOT)), set())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        'store.read("prices", feed.name)',
        'lake.insert_new(table="skill", name="x", frame=rows, keys=[])',
        'key = dg.AssetKey([spec.name, "features"])',
        'path = f"features/{forecast}"',
        'TABLE = "quality"',
        'DERIVED = frozenset({"prices", "universe"})',
        'tables = [lake.read(table, x) for table in ("predictions", "outcomes")]',
    ],
)
def test_a_name_of_a_table_is_found_wherever_it_can_stand(text: str) -> None:
    assert list(literals(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        'row["skill"]',
        'Mode = Literal["live", "backtest"]',
        'if mode == "backtest": pass',
        'told = {"features": values, "skill": 0.1}',
        'table.add_column("skill")',
        'COLUMNS = ("skill", "skill_lower")',
    ],
)
def test_the_same_word_for_another_thing_is_left_alone(text: str) -> None:
    assert not list(literals(ast.parse(text)))


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Constants that name a table: given to the lake, in an asset's key, a path or a list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in READS_OR_WRITES:
                given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "table")]
                yield from _named(given, NAMES)
        elif isinstance(node, ast.List) and len(node.elts) > 1:
            if any(not isinstance(part, ast.Constant | ast.Starred) for part in node.elts):
                yield from _named(node.elts[1:], NAMES)
        elif isinstance(node, ast.JoinedStr):
            starts = [p for p in node.values[:1] if isinstance(p, ast.Constant)]
            yield from ((p.lineno, name) for p in starts for name in _folder(str(p.value)))
        elif isinstance(node, ast.Assign):
            yield from _named([node.value], NAMES)
        elif isinstance(node, ast.Set | ast.For | ast.comprehension):
            among = node.elts if isinstance(node, ast.Set) else getattr(node.iter, "elts", [])
            yield from _named(among, NAMES - OTHER_WORDS)


def _named(given: list[ast.expr], names: set[str]) -> Iterator[tuple[int, str]]:
    for part in given:
        if isinstance(part, ast.Constant) and part.value in names:
            yield part.lineno, str(part.value)


def _folder(path: str) -> Iterator[str]:
    name, slash, _ = path.partition("/")
    if slash and name in NAMES:
        yield name


TYPES = {
    tables.TEXT: "text",
    tables.NUMBER: "number",
    tables.COUNT: "whole number",
    "Int64": "whole number",
    tables.YES: "yes or no",
    "boolean": "yes or no",
    tables.INSTANT: "instant",
}


def catalogue() -> str:
    """The catalogue for people: a table of tables for each kind of owner, and all columns."""
    lines: list[str] = []
    for owner in get_args(tables.Owner):
        lines += [
            f"### Of a {owner}" if owner != "platform" else "### Of the platform",
            "",
            "| table | a row is | unique by | written |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| `{t.name}` | {t.row} | {_code(t.key)} | {t.written} |"
            for t in tables.tables_of(owner)
        ]
        lines.append("")
        for table in tables.tables_of(owner):
            lines += _columns(table)
    return "\n".join(lines)


def _columns(table: Table) -> list[str]:
    rows = [
        f"| {_code((c.name,))} | {TYPES[c.dtype]} | {tables.described(c)} |" for c in table.columns
    ]
    newest = (
        f" Of several rows with equal {_code(table.subject)} the last by {_code(table.newest)} "
        "counts."
        if table.newest
        else ""
    )
    more = f" Besides: {table.more}." if table.more else ""
    return [
        f"<details><summary>Columns of <code>{table.name}</code></summary>",
        "",
        *(["".join((newest, more)).strip(), ""] if newest or more else []),
        "| column | type | what |",
        "|---|---|---|",
        *rows,
        "",
        "</details>",
        "",
    ]


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _page(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + catalogue() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(_page(PAGE.read_text()))
