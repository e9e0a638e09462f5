"""The picture of the rooms is that of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets_tests.dependencies import PICTURE, drawn, imports, levels, reduced


def test_the_picture_in_the_docs_is_drawn_from_todays_imports() -> None:
    assert PICTURE.read_text() == drawn(imports()), "run: make snapshot"


def test_rooms_are_found_by_what_their_modules_import(tmp_path: Path) -> None:
    files = {
        "fx_assets/a/one.py": "from fx_assets.b import two\nimport fx_assets.c\n",
        "fx_assets/b/two.py": "def late():\n    from fx_assets.c import three\n",
        "fx_assets/c.py": "import numpy\n",
        "serving/app.py": "from fx_assets.b.two import late\nfrom serving import other\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    edges = imports(tmp_path)
    assert edges == {"a": {"b", "c"}, "b": {"c"}, "c": set(), "serving": {"b"}}
    assert reduced(edges) == {"a": {"b"}, "b": {"c"}, "c": set(), "serving": {"b"}}
    assert levels(edges) == {"a": 2, "b": 1, "c": 0, "serving": 2}


def test_rooms_that_import_each_other_are_named() -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        levels({"a": {"b"}, "b": {"a"}})
