"""``fx-assets acknowledge``: a person's word that a held result is real."""

from __future__ import annotations

from getpass import getuser

from fx_assets import clock
from fx_assets.components.declared import declared
from fx_assets.errors import SpecError
from fx_assets.evaluation.suspicion import Acknowledgement
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.stages.acknowledgements import acknowledge
from fx_assets.stages.panel_decide import acknowledge_member


def acknowledge_result(
    forecast: str,
    candidate: str,
    reason: str,
    by: str | None,
    *,
    instrument: str | None = None,
) -> int:
    """Record it and say what follows; returns the exit code.

    ``instrument`` is which of a universe's the result is of.

    Raises
    ------
    FxAssetsError
        There is no such forecast, or nothing of the candidate is held.
    """
    found = declared()
    who, now, store = by or user_name(), clock.now(), Lake.from_settings(Settings())
    if forecast in found.universes:
        given = acknowledge_member(
            found.universes[forecast], store, instrument, candidate, reason=reason, by=who, now=now
        )
        return _told(given, f"{forecast}/{instrument}", f"fx-assets universe {forecast}")
    own = SeriesTables(store, found.forecast(forecast), found.feed_of(forecast))
    given = acknowledge(own, candidate, reason=reason, by=who, now=now)
    return _told(given, forecast, f"fx-assets run {forecast}")


def _told(given: Acknowledgement, subject: str, command: str) -> int:
    figures = ", ".join(found.text for found in given.excess)
    print(f"{subject}/{given.candidate}, {figures}, {given.text}")
    print(
        f"It covers recipe {given.recipe} on {given.judged.rows:,} rows until "
        f"{given.judged.last_row:%Y-%m-%d}, and on rows that follow them.\n"
        f"The next decision may promote it: {command}"
    )
    return 0


def user_name() -> str:
    """The name of the user of this process.

    Raises
    ------
    SpecError
        It has none.
    """
    try:
        return getuser()
    except (KeyError, OSError) as error:  # a container's user may have no name
        raise SpecError("The user has no name here.", remedy="Give yours with --by.") from error
