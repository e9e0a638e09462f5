"""The catalogue says of every stored table what its rows are, and the docs repeat it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fx_assets import tables
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


def test_whatever_is_said_about_a_forecast_carries_its_series() -> None:
    made_anew = {"series", "features", "splits", "train_set", "test_set"}
    carrying = {t.name for t in tables.tables_of("forecast") if tables.SERIES_COLUMN in t.key}
    assert carrying == {t.name for t in tables.tables_of("forecast")} - made_anew | {"series"}


def test_the_page_on_tables_is_what_the_catalogue_says() -> None:
    """To write it anew: ``python -m fx_assets_tests.test_tables``."""
    assert _page(PAGE.read_text()) == PAGE.read_text()


def _page(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + tables.as_markdown() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(_page(PAGE.read_text()))
