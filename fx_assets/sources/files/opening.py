"""From a file's bytes to a table of cells, whatever kind of file it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fx_assets.errors import SourceError
from fx_assets.sources.files.access import FileBytes, is_workbook
from fx_assets.sources.files.binary import from_feather, from_parquet, refuse_foreign
from fx_assets.sources.files.json_rows import from_json
from fx_assets.sources.files.lines import as_utf8, from_lines
from fx_assets.sources.files.questions import Asked
from fx_assets.sources.files.tables import Table
from fx_assets.sources.files.workbook import from_workbook
from fx_assets.specs.sources import FilesSource

_MARKUP = re.compile(rb"\s*<(!doctype|html|head|body|table|\?xml|!--)", re.IGNORECASE)


def read_table(
    file: FileBytes,
    source: FilesSource,
    names: frozenset[str],
    layouts: Sequence[re.Pattern[str]],
    asked: Asked,
) -> Table | None:
    """The cells of a file, or ``None`` where it has no rows.

    Parameters
    ----------
    names
        Names of columns, folded, that make a line a header.
    layouts
        What the beginning of a row looks like in formats without header.

    Raises
    ------
    SourceError
        The file is of a kind that is not read, is damaged, or has neither a header nor a row of
        prices.
    """
    content, ending = file.content, file.name.lower()
    if content[:4] == b"PAR1" or (content and ending.endswith((".parquet", ".parq"))):
        return from_parquet(file)
    if content and not content.strip(b"\0"):
        raise SourceError(
            f"{file.name} holds {len(content):,} zero bytes and nothing else.",
            remedy="Copy it again; it was not written to the end.",
        )
    if content[:4] in (b"ARRO", b"FEA1") or (content and ending.endswith((".feather", ".arrow"))):
        return from_feather(file)
    if is_workbook(content):
        return from_workbook(file, source, names, layouts, asked)
    refuse_foreign(file)
    text = as_utf8(content)
    if not text.strip():
        return None
    if _MARKUP.match(text):
        raise SourceError(
            f"{file.name} is a page of HTML or XML, not a table: it begins with "
            f"{text.strip()[:60].decode('utf-8', 'replace')!r}.",
            remedy="Download the file itself, or save the table as CSV.",
        )
    if text.lstrip()[:1] in (b"[", b"{"):
        return from_json(file, text, source, asked)
    return from_lines(file, text, source.delimiter, names, layouts)
