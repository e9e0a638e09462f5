"""One of a thing is not several."""

import pytest

from fx_assets.plural import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "batch", "1 batch"),
        (2, "batch", "2 batches"),
        (0, "row", "0 rows"),
        (2000, "file", "2,000 files"),
    ],
)
def test_a_number_of_things_is_said_as_people_do(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said
    assert counted(2, "child", "children") == "2 children"
