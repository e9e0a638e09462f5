"""Which columns of a table are the instants and the prices of bars."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fx_assets.errors import SourceError
from fx_assets.sources.files.dates import form_of
from fx_assets.sources.files.names import (
    ALIASES,
    IN_UTC,
    PRICES,
    SYMBOLS,
    folded,
    plain_name,
    prefixed,
)
from fx_assets.sources.files.questions import Asked, FilesUnclear, Option
from fx_assets.sources.files.tables import Table, plain, texts
from fx_assets.specs.sources import FileColumn, FilesSource

_INSTANTS = ("stated", "epoch", "moment")
_MOST_SYMBOLS = 1_000
_SHOWN = 12
_LOOKED_AT = 2_000
_FINISHED = {"complete", "iscomplete", "isclosed", "isfinal", "closed", "confirm", "finished"}
_MOSTLY = 0.9
_A_FEW, _VARIES = 20, 0.1
"""Ranges of bars differ from row to row; what lies between two rates does not."""
_EPOCH_DIGITS = (10, 13, 16, 19)


def columns_by_name(
    table: Table, source: FilesSource, asked: Asked, skip: tuple[str, ...] = ()
) -> dict[FileColumn, str]:
    """Columns by what they are called, and of several instants by what stands in them.

    Where several can be the same one, it is asked, and the first one taken.
    """
    names = [name for name in table.cells.column_names if name not in skip]
    found = _instants(table, names, source)
    grouped = _grouped(table, names, source, asked)
    for wanted in PRICES:
        if wanted in source.columns:
            continue
        there = _called(names, wanted)
        if wanted == "volume" and not there:
            there = _volumes(names, source)
        if wanted in grouped and not (there and wanted in ("volume", "market_cap")):
            there = [grouped[wanted]]
        if len(there) > 1:
            _ask_which(table, wanted, there, asked)
        if there:
            found[wanted] = there[0]
    if "close" not in found and "close" not in source.columns:
        found |= _named_after(names, source, found)
    return found


def _called(names: list[str], wanted: FileColumn) -> list[str]:
    """The columns that are called so, in the order of the aliases."""
    exact = {folded(name): name for name in reversed(names)}
    there = [alias for alias in ALIASES[wanted] if alias in exact]
    if there:
        return [exact[alias] for alias in there if len(alias) > 1] or [exact[there[0]]]
    return [name for alias in ALIASES[wanted] for name in names if plain_name(name) == alias]


def _volumes(names: list[str], source: FilesSource) -> list[str]:
    """Volumes with their unit; that in the instrument's base currency, where one is."""
    there = [name for name in names if folded(name).startswith("volume")]
    units = {folded(name).removeprefix("volume").upper(): name for name in there}
    base = [name for unit, name in units.items() if unit and source.instrument.startswith(unit)]
    return base if len(base) == 1 else there


def _grouped(
    table: Table, names: list[str], source: FilesSource, asked: Asked
) -> dict[FileColumn, str]:
    """The prices of one prefix, such as ``bid``, where no column has the plain name."""
    if _called(names, "close"):
        return {}
    groups = {affix: g for affix, g in prefixed(names).items() if "close" in g}
    declared = source.columns.get("close")
    of_declared = [g for g in groups.values() if declared in (g["close"], folded(g["close"]))]
    if declared:
        return of_declared[0] if of_declared else {}
    own = groups.get(source.instrument.lower())
    if own or not groups:
        return own or {}
    if len(groups) > 1:
        _ask_which(table, "close", [group["close"] for group in groups.values()], asked)
    return next(iter(groups.values()))


def _named_after(
    names: list[str], source: FilesSource, found: dict[FileColumn, str]
) -> dict[FileColumn, str]:
    """The column that bears the instrument's name, or the only one beside the instants."""
    used = set(found.values())
    rest = [name for name in names if name not in used]
    own = [name for name in rest if folded(name) == source.instrument.lower()]
    if len(own) == 1:
        return {"close": own[0]}
    return {"close": rest[0]} if len(rest) == 1 and "time" in found else {}


def _instants(table: Table, names: list[str], source: FilesSource) -> dict[FileColumn, str]:
    """The column of instants, or of days and times of day."""
    there = [*_called(names, "time"), *_called(names, "date")]
    by_content = not there and not {"time", "date"} & set(source.columns)
    if by_content:
        there = [name for name in names if _tells_time(table.cells[name])][:1]
    if len(there) <= 1:
        return {"time": there[0]} if there else {}
    forms = {name: form_of(table.cells[name]) for name in dict.fromkeys(there)}
    clocks = [name for name, form in forms.items() if form == "clock"]
    days = [name for name, form in forms.items() if form == "day"]
    for form in _INSTANTS[:2]:
        chosen = [name for name in there if forms[name] == form]
        if chosen:
            return {"time": chosen[0]}
    moments = [name for name in there if forms[name] == "moment"]
    if clocks and (days or moments):
        midnights = [name for name in moments if _all_midnight(table.cells[name])]
        if days or midnights:
            return {"date": (days or midnights)[0], "time": clocks[0]}
    if moments:
        return {"time": next((n for n in moments if folded(n) in IN_UTC), moments[0])}
    if days and not _called(names, "time"):
        return {"time": days[0]}
    return _by_alias(names)


def _tells_time(column: pa.ChunkedArray) -> bool:
    """Whether what stands in a column is days or instants; epochs must run in one direction."""
    form = form_of(column)
    if form != "epoch":
        return form in ("day", *_INSTANTS)
    values = _values(column)
    values = values[~np.isnan(values)]
    digits = np.floor(np.log10(values.max(initial=1.0))) + 1
    steps = np.diff(values)
    one_way = len(steps) and max((steps >= 0).mean(), (steps <= 0).mean()) > _MOSTLY
    return bool(one_way and digits in _EPOCH_DIGITS)


def _by_alias(names: list[str]) -> dict[FileColumn, str]:
    times, days = _called(names, "time"), _called(names, "date")
    if times and days and folded(times[0]) == "time":
        return {"date": days[0], "time": times[0]}
    return {"time": (times or days)[0]}


def _all_midnight(column: pa.ChunkedArray) -> bool:
    if not texts(column):
        return False
    return bool(pc.all(pc.match_substring_regex(plain(column), r"\D00?:00(:00(\.0+)?)?$")).as_py())


def declared_columns(table: Table, source: FilesSource) -> dict[FileColumn, str]:
    """The columns that the feed names.

    Raises
    ------
    SourceError
        The table has no such column.
    """
    known = {folded(name): name for name in reversed(table.cells.column_names)}
    known |= {name: name for name in table.cells.column_names}
    columns: dict[FileColumn, str] = {}
    for ours, theirs in source.columns.items():
        name = known.get(theirs, known.get(folded(theirs)))
        if name is None:
            raise SourceError(
                f"{table.file} has no column {theirs!r}; it has "
                f"{', '.join(map(repr, table.cells.column_names))}.",
                remedy=f"Correct source.columns.{ours}.",
            )
        columns[ours] = name
    return columns


def _ask_which(table: Table, wanted: str, there: Iterable[str], asked: Asked) -> None:
    names = list(there)
    asked.ask(
        f"source.columns.{wanted}",
        f"{table.file} has several columns that can be the {wanted}: {', '.join(names)}.",
        f"Say which: source.columns: {{{wanted}: {names[0]}}}.",
        tuple(Option({f"source.columns.{wanted}": name}) for name in names),
    )


def ask_for_columns(
    table: Table, columns: dict[FileColumn, str], missing: list[str], asked: Asked
) -> dict[FileColumn, str]:
    """Ask for columns that bars need; provisional ones where what stands in them tells.

    Raises
    ------
    FilesUnclear
        Nothing tells, so that reading cannot go on.
    """
    names = table.cells.column_names
    likely = _likely(table, columns)
    complete = {"time", "close"} <= set(likely)
    options = (
        [Option({"source.columns": dict(likely)}, "by what stands in them")] if complete else []
    )
    if missing == ["close"] and not options:
        numeric = [n for n in names if n not in columns.values() and _is_numeric(table.cells[n])]
        options = [Option({"source.columns.close": name}) for name in numeric]
    asked.ask(
        "source.columns",
        f"{table.file} has no column for the {' and the '.join(missing)}; it has "
        f"{', '.join(map(repr, names[:40]))}, and begins with {table.first_line[:80]!r}.",
        f"Set source.columns, such as {_example(options)}; in a file without header they are "
        'called "1", "2", ...',
        tuple(options),
    )
    if not complete:
        raise FilesUnclear(tuple(asked.questions))
    return likely


def _example(options: list[Option]) -> str:
    for option in options:
        columns = option.settings.get("source.columns")
        if columns:
            cells = ", ".join(
                f'{ours}: "{theirs}"' if theirs.isdigit() else f"{ours}: {theirs}"
                for ours, theirs in columns.items()
            )
            return f"{{{cells}}}"
    return "{time: Stamp, close: Rate}"


def _likely(table: Table, columns: dict[FileColumn, str]) -> dict[FileColumn, str]:
    """Instants and prices by what stands in the columns: highs and lows contain the others."""
    names = table.cells.column_names
    likely = dict(columns)
    if "time" not in likely:
        forms = {name: form_of(table.cells[name]) for name in names}
        instants = [n for n in names if forms[n] in _INSTANTS and _tells_time(table.cells[n])]
        days = [name for name in names if forms[name] == "day"]
        clocks = [name for name in names if forms[name] == "clock"]
        if days and clocks and not instants:
            likely |= {"date": days[0], "time": clocks[0]}
        elif instants or days:
            likely["time"] = (instants or days)[0]
        else:
            return likely
    if "close" in likely:
        return likely
    after = names.index(likely["time"]) + 1
    rest = [n for n in names[after:] if n not in likely.values() and _is_numeric(table.cells[n])]
    bar = _a_bar(table, rest, _direction(table, likely))
    if bar:
        likely |= bar
        volumes = rest[max(map(rest.index, bar.values())) + 1 :]
        if volumes and "volume" not in likely:
            likely["volume"] = volumes[0]
    elif len(rest) == 1:
        likely["close"] = rest[0]
    return likely


def _values(column: pa.ChunkedArray) -> np.ndarray:
    column = plain(column.slice(0, _LOOKED_AT))
    if pa.types.is_string(column.type):
        clean = pc.replace_substring(pc.utf8_trim_whitespace(column), ",", ".")
        read = pc.match_substring_regex(clean, r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$")
        column = pc.cast(pc.if_else(read, clean, None), pa.float64())
    elif not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return np.full(len(column), np.nan)
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _is_numeric(column: pa.ChunkedArray) -> bool:
    values = _values(column)
    return bool(len(values)) and bool((~np.isnan(values)).mean() > 1 / 2)


def _a_bar(table: Table, names: list[str], direction: int) -> dict[FileColumn, str]:
    """Open, high, low and close among columns, in whatever order, or nothing.

    High and low contain the others; of the other two it is the open that follows the close of the
    row before, or where rows tell no order the one that stands first.
    """
    for start in range(len(names) - 3):
        four = names[start : start + 4]
        values = np.stack([_values(table.cells[name]) for name in four])
        values = values[:, ~np.isnan(values).any(axis=0)]
        if not values.shape[1]:
            continue
        top = (values >= values.max(axis=0)).mean(axis=1)
        bottom = (values <= values.min(axis=0)).mean(axis=1)
        high, low = int(top.argmax()), int(bottom.argmax())
        if min(top[high], bottom[low]) < 0.99 or high == low:
            continue
        span = values[high] - values[low]
        if len(span) > _A_FEW and np.median(np.abs(np.diff(span))) < _VARIES * np.median(span):
            continue
        first, second = (i for i in range(4) if i not in (high, low))
        if (values[high] == values[low]).all():
            high, low, first, second = 1, 2, 0, 3
        ordered = values[:, ::-1] if direction < 0 else values
        as_written = np.abs(ordered[first, 1:] - ordered[second, :-1])
        turned = np.abs(ordered[second, 1:] - ordered[first, :-1])
        if direction and len(turned) and 2 * turned.mean() < as_written.mean():
            first, second = second, first
        return {"open": four[first], "high": four[high], "low": four[low], "close": four[second]}
    return {}


def _direction(table: Table, columns: dict[FileColumn, str]) -> int:
    """Whether rows run forward (1) or backward (-1) in time; 0 where a glance does not tell."""
    column = table.cells[columns.get("date", columns["time"])]
    if form_of(column) == "epoch":
        values = _values(column)
        ends = [values[0], values[-1]]
    else:
        cells = [str(column[i].as_py()) for i in (0, len(column) - 1)]
        years = [re.search(r"(?<!\d)(?:19|20)\d{2}", cell) for cell in cells]
        whole = [re.sub(r"\D", "", cell) for cell in cells]
        ends = [float(y[0]) if y else 0.0 for y in years]
        if all(y and y.start() == 0 for y in years) and whole[0][:8] != whole[1][:8]:
            ends = [float(text[:8] or 0) for text in whole]
    return int(np.sign(ends[1] - ends[0])) if not np.isnan(ends).any() else 0


def of_one_symbol(table: Table, source: FilesSource, asked: Asked) -> tuple[Table, str]:
    """The rows of one instrument where a table has several, and a note on which they are.

    It is the one that ``source.symbol`` names, or the one that is called as the feed's instrument;
    otherwise it is asked.
    """
    declared = source.columns.get("symbol")
    names = [
        name
        for name in table.cells.column_names
        if (declared in (name, folded(name)) if declared else _names_instruments(table, name))
    ]
    for name in names:
        column = plain(table.cells[name])
        if not pa.types.is_string(column.type):
            continue
        clean = pc.utf8_trim_whitespace(column)
        symbols = [value for value in pc.unique(clean).to_pylist() if value]
        wanted = [s for s in symbols if _bare(s) == _bare(source.symbol or source.instrument)]
        if source.symbol and symbols and not wanted and (declared or len(symbols) > 1):
            raise SourceError(
                f"{table.file} has no {source.symbol!r} in the column {name!r}; it has "
                f"{_listed(symbols)}.",
                remedy="Correct source.symbol.",
            )
        if len(symbols) < 2:
            continue
        if len(wanted) == 1:
            rows = np.flatnonzero(pc.equal(clean, wanted[0]).to_numpy(zero_copy_only=False))
            note = f"of the {len(symbols)} instruments in the column {name!r}, {wanted[0]} was read"
            return table.taking(rows), note
        asked.ask(
            "source.symbol",
            f"{table.file} has the prices of {_listed(symbols)} in one file, in the column "
            f"{name!r}.",
            f"Say which: source.symbol: {symbols[0]}.",
            tuple(Option({"source.symbol": symbol}) for symbol in symbols),
        )
        rows = np.flatnonzero(pc.equal(clean, symbols[0]).to_numpy(zero_copy_only=False))
        return table.taking(rows), ""
    return table, ""


def without_unfinished(table: Table) -> tuple[Table, str]:
    """The rows of a table without those that it calls unfinished, and a note on how many."""
    for name in table.cells.column_names:
        if not table.header or folded(name) not in _FINISHED or not texts(table.cells[name]):
            continue
        said = pc.utf8_lower(pc.utf8_trim_whitespace(plain(table.cells[name])))
        rows = np.flatnonzero(~np.isin(said.to_numpy(zero_copy_only=False), ("false", "0", "no")))
        count = len(table) - len(rows)
        if count and len(rows):
            return table.taking(rows), f"{count} rows are unfinished by the column {name!r}"
    return table, ""


def _names_instruments(table: Table, name: str) -> bool:
    """Whether a column is called so, or tells apart rows of the same instants."""
    if not table.header:
        return False
    if plain_name(name) in SYMBOLS:
        return True
    column = table.cells[name]
    if not texts(column) or len(table) < 4 or form_of(column) != "other":
        return False
    if _is_numeric(column):
        return False
    values = plain(column)
    different = pc.count_distinct(values).as_py()
    if not 2 <= different <= min(_MOST_SYMBOLS, len(table) // 2):
        return False
    names = table.cells.column_names
    instants = [name for name in names if _tells_time(table.cells[name])]
    lettered = pc.match_substring_regex(values, r"^[A-Za-z][\w/=.^-]{1,19}$")
    if not instants or pc.mean(lettered.cast(pa.int8())).as_py() < _MOSTLY:
        return False
    times = plain(table.cells[instants[0]])
    repeated = len(table) / max(1, pc.count_distinct(times).as_py())
    pairs = pa.table({"t": times, "s": values}).group_by(["t", "s"]).aggregate([]).num_rows
    return bool(repeated > 1.5 and pairs == len(table))


def _bare(symbol: str) -> str:
    """A symbol's letters and digits, without what vendors put behind: ``EURUSD=X``."""
    return re.sub(r"[^A-Z0-9]", "", re.sub(r"=X$", "", symbol.strip().upper()))


def _listed(symbols: list[str]) -> str:
    rest = len(symbols) - _SHOWN
    return ", ".join(symbols[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def tickers_of(table: Table, names: list[str]) -> dict[str, list[str]]:
    """Columns of a table of several tickers, whose first row names them."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(str(table.cells[name][0].as_py()), []).append(name)
    return found


def chosen_ticker(tickers: Iterable[str], source: FilesSource) -> str | None:
    """The ticker that the feed names by ``symbol`` or by its instrument."""
    wanted = _bare(source.symbol or source.instrument)
    return next((ticker for ticker in tickers if _bare(ticker) == wanted), None)
