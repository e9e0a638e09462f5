"""What this deployment has declared, checked down to each candidate's hyper-parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from fx_assets import clock
from fx_assets.doors import FEATURE_SETS
from fx_assets.errors import SourceError, SpecError
from fx_assets.evaluation.tuning import search_space
from fx_assets.features import feature_set
from fx_assets.models import build_model
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.files import AnySpec, Declared, Mistake, load_declared
from fx_assets.specs.sources import FilesSource, columns_of
from fx_assets.specs.strategy import StrategySpec
from fx_assets.specs.universe import UniverseSpec

PLATFORM_PARAMS = frozenset({"seed", "target"})


def declared() -> Declared:
    """The feeds and forecasts below the deployment's folder, read once a process.

    Raises
    ------
    SpecError
        Something is declared wrongly; the message has a line for each mistake in any file.
    """
    return load_declared(Settings().declared_folder, candidate_mistakes)


def checked() -> Declared:
    """As :func:`declared`, with a look at the first local file of each feed that has files.

    Raises
    ------
    SpecError
        Something is declared wrongly, or reads columns that the files do not have.
    """
    return load_declared(Settings().declared_folder, _mistakes_and_files)


def _mistakes_and_files(spec: AnySpec, feeds: Mapping[str, FeedSpec]) -> Iterator[Mistake]:
    found = list(candidate_mistakes(spec, feeds))
    yield from found
    if isinstance(spec, FeedSpec):
        yield from _mistakes_by_files(spec)
    if not isinstance(spec, ForecastSpec) or any(each.loc == ("features",) for each in found):
        return
    source = feeds[spec.feed].source if spec.feed in feeds else None
    have = _columns_in_files(source) if isinstance(source, FilesSource) else None
    if have is None:
        return
    file, columns = have
    lacking = [name for name in FEATURE_SETS[spec.features].reads if name not in columns]
    if lacking:
        able = [name for name in FEATURE_SETS if set(FEATURE_SETS[name].reads) <= columns]
        yield Mistake(
            ("features",),
            f"{spec.features} reads {_listed(lacking)}, and {file} has "
            f"{_listed(sorted(columns))} only; choose one of {', '.join(able)}, or name the "
            "columns in source.columns",
        )


def _mistakes_by_files(feed: FeedSpec) -> Iterator[Mistake]:
    """What the first local file of a feed says against the feed, or leaves open."""
    from fx_assets.sources.files.access import read_files
    from fx_assets.sources.files.lines import NoTableError
    from fx_assets.sources.files.questions import Asked, FilesUnclear
    from fx_assets.sources.files.source import open_files, read_rows

    source, asked = feed.source, Asked()
    if not isinstance(source, FilesSource) or "://" in source.path:
        return
    try:
        first = next(iter(read_files(source.path, Settings().home)))
    except (SourceError, StopIteration):
        return
    try:
        read_rows(open_files([first], source, asked), feed, source, asked)
    except (FilesUnclear, NoTableError):
        pass
    except SourceError as error:
        yield Mistake(("source",), f"{error.message} {error.remedy}")
    for question in asked.questions:
        # Another file of the feed may tell the order of dates.
        if question.setting != "source.day_first":
            yield Mistake(("source",), f"{question.message} {question.remedy}")


def without_files(found: Declared) -> Iterator[str]:
    """A sentence on each feed whose files are not there (yet)."""
    from fx_assets.sources.files.access import read_files

    for feed in found.feeds.values():
        source = feed.source
        if not isinstance(source, FilesSource) or "://" in source.path:
            continue
        try:
            next(iter(read_files(source.path, Settings().home)), None)
        except SourceError as error:
            yield f"{feed.name}: {error.message}"


def _columns_in_files(source: FilesSource) -> tuple[str, set[str]] | None:
    """The first file and what it has of a bar; ``None`` where that cannot be seen from here."""
    from fx_assets.sources.files.access import read_files
    from fx_assets.sources.files.questions import Asked
    from fx_assets.sources.files.source import open_files

    if "://" in source.path:
        return None
    try:
        first = next(iter(read_files(source.path, Settings().home)))
        opened = open_files([first], source, Asked())
    except (SourceError, StopIteration):
        return None
    known = {str(name) for _, layout in opened.cells for name in layout.columns}
    return (first.name, known - {"time", "date"}) if known else None


def candidate_mistakes(spec: AnySpec, feeds: Mapping[str, FeedSpec]) -> Iterator[Mistake]:
    """Hyper-parameters that a candidate's family refuses, and features that a feed has not.

    Parameters
    ----------
    feeds
        Every declared feed by name.
    """
    if isinstance(spec, FeedSpec):
        yield from _feed_mistakes(spec)
    elif isinstance(spec, UniverseSpec):
        yield from _features(spec.features, spec.example)
        for position, target in enumerate(spec.targets):
            for mistake in _candidates(spec.forecast("any", target)):
                yield Mistake(("targets", position, *mistake.loc), mistake.message)
    else:
        if spec.feed in feeds:
            yield from _features(spec.features, feeds[spec.feed])
            yield from _strategy(spec.strategy, feeds[spec.feed])
        yield from _candidates(spec)


def _feed_mistakes(spec: FeedSpec) -> Iterator[Mistake]:
    today = max(clock.now(), datetime.now(UTC)).date()
    if spec.start > today:
        yield Mistake(("start",), f"{spec.start} lies in the future; give the first day to keep")


def _strategy(strategy: StrategySpec, feed: FeedSpec) -> Iterator[Mistake]:
    """Costs in pips of what has none, and fills at prices that the bars cannot have."""
    costs = strategy.costs
    if costs and costs.unit == "pips" and costs.pip_of(feed.instrument) is None:
        yield Mistake(
            ("strategy", "costs", "unit"),
            f"{feed.instrument} has no customary pip: set pip to its size in the price, such as "
            "pip: 0.01, or give the costs in basis_points",
        )
    have = columns_of(feed.source)
    if strategy.fill == "next_open" and have is not None and "open" not in have:
        yield Mistake(
            ("strategy", "fill"),
            f"the bars of {feed.name} ({feed.source.kind}) have no open; choose next_close",
        )


def _features(name: str, feed: FeedSpec) -> Iterator[Mistake]:
    """What the feature set reads and the feed's bars cannot have."""
    have = columns_of(feed.source)
    able = [each for each in FEATURE_SETS if _fits(each, feed)]
    choose = f"choose one of {', '.join(able)}" if able else "choose another feed"
    lacking = [] if have is None else [c for c in FEATURE_SETS[name].reads if c not in have]
    if lacking:
        yield Mistake(
            ("features",),
            f"{name} reads {_listed(lacking)}, and the bars of {feed.name} "
            f"({feed.source.kind}) have {_listed(sorted(have or ()))} only; {choose}",
        )
        return
    try:
        feature_set(name, feed.market.bar)
    except SpecError:
        yield Mistake(
            ("features",),
            f"{name} is not for bars of {feed.frequency}, which {feed.name} has; {choose}",
        )


def _fits(name: str, feed: FeedSpec) -> bool:
    have = columns_of(feed.source)
    if have is not None and not set(FEATURE_SETS[name].reads) <= have:
        return False
    try:
        feature_set(name, feed.market.bar)
    except SpecError:
        return False
    return True


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _candidates(spec: ForecastSpec) -> Iterator[Mistake]:
    for position, candidate in enumerate(spec.candidates):
        ours = sorted(PLATFORM_PARAMS & set(candidate.params))
        if ours:
            message = f"the platform sets {' and '.join(ours)} itself; leave it out"
            yield Mistake(("candidates", position, "params", ours[0]), message)
            continue
        if candidate.pools or (candidate.when_installed and not candidate.installed):
            continue
        part = "params"
        try:
            build_model(candidate.family, spec.target, candidate.params)
            part = "tune"
            if candidate.tune is not None:
                search_space(candidate, spec.target)
        except SpecError as error:
            message = " ".join(filter(None, [error.message, error.remedy]))
            yield Mistake(("candidates", position, part), message)
