"""``fx-assets rollback``: an earlier version predicts again, because a person says so."""

from __future__ import annotations

from argparse import Namespace

from fx_assets import clock
from fx_assets.acknowledge import user_name
from fx_assets.components.declared import declared
from fx_assets.errors import SpecError
from fx_assets.evaluation.decision import Decision
from fx_assets.lake import Lake
from fx_assets.resources import unopened_registry
from fx_assets.runner import say
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.stages.reconcile import reconcile
from fx_assets.stages.rollback import roll_back, roll_back_member


def roll_back_on_terminal(options: Namespace) -> int:
    """Record it, let pointer and aliases follow, and say what comes next; the exit code.

    Raises
    ------
    FxAssetsError
        It cannot be, and why.
    """
    found, store, name = declared(), Lake.from_settings(Settings()), options.forecast
    version = None if options.release else _number(options.to)
    said = {"by": options.by or user_name(), "reason": options.reason, "now": clock.now()}
    if name in found.universes:
        made = roll_back_member(
            found.universes[name], store, options.instrument, options.target, version, **said
        )
        _tell(made, "The next bar is predicted by it.")
        return 0
    spec = found.forecast(name)
    own = SeriesTables(store, spec, found.feed_of(name))
    made = roll_back(own, version, **said)
    done = reconcile(own, unopened_registry())
    _tell(made, "" if done.left else "Pointer and MLflow's aliases follow; servers do in seconds.")
    if made.recipe not in {spec.recipe_hash(candidate) for candidate in spec.all_candidates}:
        say(
            f"note: recipe {made.recipe} of {made.champion} is not declared any more, so the next "
            "decision puts the baseline in its place; declare it as it was to keep it."
        )
    for text in done.left:
        say(f"FAILED {text}")
    return 1 if done.left else 0


def _tell(made: Decision, follows: str) -> None:
    say(f"{made.sentence} It is decision {made.sequence}. {follows}".rstrip())
    if made.rollback and made.rollback.holds:
        say(
            "It stays, and is not refreshed, until the rule promotes another or demotes it, or you "
            "release it."
        )
    if made.put_back:
        say("Its skill is not claimed: the rule had demoted it, and may again.")


def _number(text: str) -> int:
    digits = text.removeprefix("v")
    if not digits.isdecimal():
        raise SpecError(f"{text!r} is not a version.", remedy="Write it as 3, or v3.")
    return int(digits)
