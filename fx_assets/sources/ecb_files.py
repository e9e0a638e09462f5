"""The two file formats of the ECB's reference rates, read without trusting a byte of them.

The history is a zip with one CSV: a ``Date`` column, then one column a currency with the units of
it for one euro, ``N/A`` where there was no fixing, newest day first. The daily file is gesmes XML
with the newest day only.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from fx_assets.errors import SourceError

MAX_CSV_BYTES = 50_000_000
MAX_MEMBERS = 20
NO_FIXING = ("N/A", "")
_CUBE = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"
_REMEDY = "Open the address in a browser: a proxy, a login page or an outage may answer instead."


@dataclass(frozen=True)
class RateTable:
    """Euro reference rates as texts, one row for each row of the file.

    Parameters
    ----------
    days
        ``datetime64[D]``, NaT where the text is not a date.
    day_texts
        The dates as they were written.
    rates
        Currency code to the texts of its column; :meth:`texts` strips them.
    payloads
        The sha256 of the payload that each row came from.
    malformed
        Rows whose number of cells is wrong, as they were written, each with the reason.
    sha256
        Hash of the whole payload.
    """

    days: np.ndarray
    day_texts: np.ndarray
    rates: dict[str, np.ndarray]
    payloads: np.ndarray
    malformed: tuple[tuple[str, str], ...]
    sha256: str

    @property
    def last_day(self) -> date:
        """The newest day, whatever it holds."""
        return pd.Timestamp(np.nanmax(self.days.astype("datetime64[D]"))).date()

    def texts(self, currency: str) -> np.ndarray:
        """The cells of a currency without the space around them."""
        return _stripped(self.rates[currency])

    @property
    def currencies(self) -> tuple[str, ...]:
        return tuple(self.rates)

    def with_day(self, daily: RateTable) -> RateTable:
        """This table and the rows of another; a currency that one of them lacks is ``N/A``."""
        names = [*self.rates, *(name for name in daily.rates if name not in self.rates)]

        def column(table: RateTable, name: str) -> np.ndarray:
            absent = np.full(len(table.days), "N/A", dtype=object)
            return table.rates.get(name, absent)

        return RateTable(
            days=np.concatenate([self.days, daily.days]),
            day_texts=np.concatenate([self.day_texts, daily.day_texts]),
            rates={n: np.concatenate([column(self, n), column(daily, n)]) for n in names},
            payloads=np.concatenate([self.payloads, daily.payloads]),
            malformed=self.malformed + daily.malformed,
            sha256=self.sha256,
        )


def read_history(content: bytes, where: str) -> RateTable:
    """Read the history zip.

    Raises
    ------
    SourceError
        It is not the ECB's history: not a zip, truncated, larger than 50 MB unpacked, without its
        CSV, not UTF-8, with another header, or without a row.
    """
    if not content.startswith(b"PK"):
        raise _not_expected("the ECB's history zip", where, _described(content))
    return _read_csv(_unzip(content, where), hashlib.sha256(content).hexdigest(), where)


def read_daily(content: bytes, where: str) -> RateTable:
    """Read the daily XML file.

    Raises
    ------
    SourceError
        It is not the ECB's daily file.
    """
    expected = "the ECB's daily XML file"
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"<" not in content[:200]:
        raise _not_expected(expected, where, _described(content))
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - no DTD gets here, hence no entity
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise _not_expected(expected, where, f"{_described(content)} ({error})") from error
    days = [cube for cube in root.iter(_CUBE) if "time" in cube.attrib]
    if len(days) != 1:
        raise _not_expected(expected, where, f"XML with {len(days)} days of rates")
    pairs = [(c.get("currency", ""), c.get("rate", "")) for c in days[0].iter(_CUBE)][1:]
    names = [name for name, _ in pairs]
    if not names or not all(map(_is_code, names)) or len(set(names)) < len(names):
        raise _not_expected(expected, where, f"a list of currencies {names[:5]}")
    day = np.array([days[0].attrib["time"].strip()], dtype=object)
    parsed = _days(day)
    if np.isnat(parsed[0]):
        raise _not_expected(expected, where, f"a day {day[0]!r} that is not a date")
    sha256 = hashlib.sha256(content).hexdigest()
    return RateTable(
        days=parsed,
        day_texts=day,
        rates={name: np.array([rate.strip()], dtype=object) for name, rate in pairs},
        payloads=np.array([sha256], dtype=object),
        malformed=(),
        sha256=sha256,
    )


def _unzip(content: bytes, where: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            names = [m.filename for m in members[:5]]
            tables = [m for m in members if m.filename.lower().endswith(".csv")]
            if len(tables) != 1 or len(members) > MAX_MEMBERS:
                raise _not_expected(
                    "a zip with one CSV", where, f"{len(members)} members such as {names}"
                )
            with archive.open(tables[0]) as member:
                text = member.read(MAX_CSV_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise _not_expected(
            "the ECB's history zip", where, f"a damaged or truncated zip ({error})"
        ) from error
    if len(text) > MAX_CSV_BYTES:
        raise _not_expected(
            "the ECB's history", where, f"a zip that unpacks to more than {MAX_CSV_BYTES:,} bytes"
        )
    return text


def _read_csv(text: bytes, sha256: str, where: str) -> RateTable:
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise _not_expected("a CSV in UTF-8", where, str(error)) from error
    header = lines[0] if lines else ""
    names = [name.strip() for name in header.split(",")]
    while names and not names[-1]:
        names.pop()
    codes = names[1:]
    if not codes or names[0] != "Date" or not all(map(_is_code, codes)):
        raise _not_expected("a header like Date,USD,JPY,…", where, f"{header[:80]!r}")
    if len(set(codes)) < len(codes):
        twice = sorted({code for code in codes if codes.count(code) > 1})
        raise _not_expected("each currency once", where, f"a header with {', '.join(twice)} twice")
    width = len(header.split(","))
    rows: list[list[str]] = []
    malformed: list[tuple[str, str]] = []
    for line in lines[1:]:
        cells = line.split(",")
        if len(cells) == width and not any(cells[len(names) :]):
            rows.append(cells)
        elif line.strip():
            reason = f"the row has {len(cells)} cells where the header has {width}"
            if len(cells) == width:
                reason = "the row has a value in a column without a name"
            malformed.append((line, reason))
    if not rows:
        raise _not_expected("rows of rates", where, f"a header and {len(malformed)} broken rows")
    columns = np.array(rows, dtype=object).T
    day_texts = _stripped(columns[0])
    days = _days(day_texts)
    if np.isnat(days).all():
        raise _not_expected("dates such as 2026-10-30", where, f"{day_texts[0]!r}")
    return RateTable(
        days=days,
        day_texts=day_texts,
        rates={code: columns[i] for i, code in enumerate(codes, start=1)},
        payloads=np.full(len(days), sha256, dtype=object),
        malformed=tuple(malformed),
        sha256=sha256,
    )


def _stripped(texts: np.ndarray) -> np.ndarray:
    return np.array([text.strip() for text in texts], dtype=object)


def _days(texts: np.ndarray) -> np.ndarray:
    shaped = pd.Series(texts).where(pd.Series(texts).str.fullmatch(r"\d{4}-\d{2}-\d{2}"))
    days = pd.to_datetime(shaped, format="%Y-%m-%d", errors="coerce")
    return np.asarray(days, dtype="datetime64[D]")


def _is_code(name: str) -> bool:
    return re.fullmatch(r"[A-Z]{3}", name) is not None


def _described(content: bytes) -> str:
    """What a wrong payload looks like, in a few words."""
    text = content[:4000].decode("utf-8", errors="replace")
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
    if re.search(r"<(!doctype html|html)", text, re.IGNORECASE):
        named = f" titled {title.group(1)[:80]!r}" if title else ""
        return f"an HTML page{named}"
    return f"{len(content):,} bytes that start with {text[:40]!r}" if content else "nothing"


def _not_expected(expected: str, where: str, found: str) -> SourceError:
    return SourceError(f"Expected {expected} from {where}, found {found}.", remedy=_REMEDY)
