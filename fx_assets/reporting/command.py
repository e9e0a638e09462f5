"""``fx-assets report``: a technical report of a forecast or a universe, as HTML or PDF."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fx_assets import clock
from fx_assets.desk import Desk
from fx_assets.errors import FxAssetsError, NoChampionError, SpecError
from fx_assets.presentation.figures import term_figure
from fx_assets.presentation.term import term_text
from fx_assets.reporting.document import Picture, Section, page, print_as_pdf
from fx_assets.reporting.forecast import forecast_sections
from fx_assets.reporting.universe import universe_sections
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import ForecastSpec
from fx_assets.stages.term import newest_term

KINDS = (".html", ".pdf")


def report_on_terminal(name: str, target: Path) -> int:
    """Write a report and say where it is; 0.

    Parameters
    ----------
    name
        Of a forecast, of one of several horizons, or of a universe.
    target
        A file that ends on ``.html`` or ``.pdf``.

    Raises
    ------
    FxAssetsError
        There is nothing of that name, or the file cannot be written.
    """
    if target.suffix.lower() not in KINDS:
        raise FxAssetsError(
            f"{target} ends on neither {' nor '.join(KINDS)}.",
            remedy=f"Name {target.with_suffix('.html').name}, or the same as .pdf.",
        )
    text = report(Desk(Settings()), name)
    try:
        if target.suffix.lower() == ".pdf":
            print_as_pdf(text, target)
        else:
            target.write_text(text)
    except OSError as error:
        raise FxAssetsError(
            f"{target} cannot be written: {error.strerror}.",
            remedy="Name a file in a folder that exists and that you may write in: --to FILE.",
        ) from error
    print(f"{target} ({target.stat().st_size / 1000:,.0f} kB)")
    return 0


def report(desk: Desk, name: str) -> str:
    """The report as HTML.

    Raises
    ------
    SpecError
        There is no forecast and no universe of that name.
    """
    now, declared = clock.now(), desk.declared
    if name in declared.universes:
        sections = universe_sections(desk.lake, declared.universes[name], now)
        return page(f"Report on {name}", sections, now)
    specs = [declared.forecasts[each] for each in declared.named(name)]
    if not specs:
        known = ", ".join([*desk.forecasts, *sorted(declared.universes)])
        raise SpecError(
            f"There is no forecast and no universe called {name}.", remedy=f"Declared are {known}."
        )
    if len(specs) == 1:
        return page(f"Report on {name}", _forecast(desk, specs[0], now), now)
    sections = [_term(desk, specs)]
    for spec in specs:
        sections += [Section(spec.name, [], level=1), *_forecast(desk, spec, now)]
    return page(f"Report on {name}", sections, now)


def _forecast(desk: Desk, spec: ForecastSpec, now: datetime) -> list[Section]:
    own = SeriesTables(desk.lake, spec, desk.declared.feeds[spec.feed])
    try:
        why = desk.explain(spec.name)
    except NoChampionError:
        why = None
    return forecast_sections(own, now, why)


def _term(desk: Desk, specs: list[ForecastSpec]) -> Section:
    target = specs[0].target.definition
    rows = newest_term(desk.lake, specs, desk.declared.feeds[specs[0].feed])
    if not rows:
        return Section("All horizons", ["Nothing has been predicted yet."])
    drawn = Picture(term_figure(target, rows), "Forecast and interval by horizon.")
    return Section("All horizons", [term_text(target, rows), drawn])
