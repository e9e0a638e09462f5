"""``fx-assets acknowledge``: a person's word that a held result is real."""

from __future__ import annotations

from getpass import getuser

from fx_assets import clock
from fx_assets.components.declared import declared
from fx_assets.errors import SpecError
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.stages.acknowledgements import acknowledge


def acknowledge_result(forecast: str, candidate: str, reason: str, by: str | None) -> int:
    """Record it and say what follows; returns the exit code.

    Raises
    ------
    FxAssetsError
        There is no such forecast, or nothing of the candidate is held.
    """
    found = declared()
    forecasts = found.forecasts
    if forecast not in forecasts:
        raise SpecError(
            f"No forecast is called {forecast}.",
            remedy=f"Declared are: {', '.join(sorted(forecasts))}.",
        )
    store = Lake.from_settings(Settings())
    own = SeriesTables(store, forecasts[forecast], found.feed_of(forecast))
    given = acknowledge(
        own,
        candidate,
        reason=reason,
        by=by or _user(),
        now=clock.now(),
    )
    figures = ", ".join(found.text for found in given.excess)
    print(f"{forecast}/{candidate}, {figures}, {given.text}")
    print(
        f"It covers recipe {given.recipe} on {given.judged.rows:,} rows until "
        f"{given.judged.last_row:%Y-%m-%d}, and on rows that follow them.\n"
        f"The next decision may promote it: fx-assets run {forecast}"
    )
    return 0


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError) as error:  # a container's user may have no name
        raise SpecError("The user has no name here.", remedy="Give yours with --by.") from error
