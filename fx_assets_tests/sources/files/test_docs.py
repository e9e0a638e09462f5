"""The declarations in the page about files work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fx_assets.specs import FeedSpec
from fx_assets.specs.files import load_declared

PAGE = Path(__file__).parents[3] / "docs" / "sources" / "files.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeedSpec]:
    folder = tmp_path_factory.mktemp("defs")
    for i, block in enumerate(BLOCKS):
        (folder / str(i)).mkdir()
        (folder / str(i) / "defs.yaml").write_text(block, encoding="utf-8")
    return load_declared(folder).feeds


def test_every_example_is_a_feed_of_files(feeds: dict[str, FeedSpec]) -> None:
    assert len(feeds) == len(BLOCKS) == 7
    assert {feed.source.kind for feed in feeds.values()} == {"files"}


def test_the_page_has_an_example_of_every_format() -> None:
    page = PAGE.read_text(encoding="utf-8").lower()
    for name in ("metatrader 4", "metatrader 5", "histdata", "dukascopy", "binance", "coingecko"):
        assert name in page
