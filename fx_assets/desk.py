"""The public face: what a deployment has, and what an idea of one's own is worth.

>>> import fx_assets as fx
>>> desk = fx.open()
>>> desk.forecasts
['momentum']
>>> bars = desk.prices("eurusd", as_of="2020-06-30")
>>> bool((bars["available_at"] < "2020-07-01").all())
True
>>> def trend(past):
...     return 0.1 * past["log_return"].iloc[-5:].mean()
>>> verdict = desk.judge(trend, "momentum")
>>> verdict.demonstrated, verdict.tried > 0
(False, True)
"""

from __future__ import annotations

import os
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fx_assets import clock
from fx_assets.errors import LakeError, NoChampionError, SpecError
from fx_assets.settings import Settings, load_env_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from fx_assets.evaluation.evidence import Evidence
    from fx_assets.evaluation.study import Study
    from fx_assets.explaining.explanations import KeptExplanation
    from fx_assets.judging.ideas import Idea
    from fx_assets.judging.judgement import Judgement
    from fx_assets.lake import Lake
    from fx_assets.series.tables import SeriesTables
    from fx_assets.specs import FeedSpec, ForecastSpec
    from fx_assets.specs.files import Declared
    from fx_assets.stages.members import Member

When = datetime | date | str | None
MOST_NAMED = 12
"""So many names stand in a remedy."""


def open(home: str | Path | None = None) -> Desk:
    """Open a deployment.

    Parameters
    ----------
    home
        Its folder, which becomes this process's ``FX_ASSETS_HOME``. Unset means that variable, or
        the folder that you are in.
    """
    if home is not None:
        os.environ["FX_ASSETS_HOME"] = str(Path(home).expanduser().resolve())
    load_env_file(Path(os.environ.get("FX_ASSETS_HOME", ".")))
    return Desk(Settings())


class Desk:
    """A deployment to look at and to try ideas on.

    It reads declarations and tables; the count of tried ideas is all that it writes. Where a
    forecast is named, ``universe/INSTRUMENT/volatility_1`` is what a universe says of one of its
    instruments, and ``universe/INSTRUMENT`` is its feed.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __repr__(self) -> str:
        return f"Desk({self.settings.lake_root!r}: {', '.join(self.forecasts)})"

    @property
    def feeds(self) -> list[str]:
        """The names of the declared feeds."""
        return sorted(self.declared.feeds)

    @property
    def forecasts(self) -> list[str]:
        """The names of the declared forecasts."""
        return sorted(self.declared.forecasts)

    @property
    def universes(self) -> list[str]:
        """The names of the declared universes."""
        return sorted(self.declared.universes)

    def members(self, universe: str) -> list[str]:
        """What a universe predicts, by instrument and target, each a name for a desk's calls.

        Those that have left it are among them. Empty before its first run.
        """
        from fx_assets.tables import INSTRUMENT_COLUMN, MEMBERSHIP

        if universe not in self.declared.universes:
            raise self._unknown("universe", universe, self.universes)
        known = self.lake.read_or_empty(MEMBERSHIP.name, universe)
        instruments = sorted(known[INSTRUMENT_COLUMN].unique()) if len(known) else []
        targets = self.declared.universes[universe].targets
        return [f"{universe}/{i}/{t.label}" for i in instruments for t in targets]

    @cached_property
    def declared(self) -> Declared:
        """The declared feeds, forecasts and universes.

        Raises
        ------
        SpecError
            Something is declared wrongly.
        """
        from fx_assets.specs.files import load_declared

        # Not from the process's cache: what has been edited since the last look counts.
        return load_declared.__wrapped__(self.settings.declared_folder)

    @cached_property
    def lake(self) -> Lake:
        """The deployment's tables."""
        from fx_assets.lake import Lake

        return Lake.from_settings(self.settings)

    def prices(self, feed: str, *, as_of: When = None) -> pd.DataFrame:
        """A feed's bars as they were known at a moment; now, unless it is given.

        Parameters
        ----------
        feed
            Its name, or that of a forecast on it; of an instrument of a universe
            ``universe/INSTRUMENT``.
        as_of
            A UTC instant, also as ISO 8601 text; a day means its end.

        Returns
        -------
        DataFrame
            ``event_time`` (when the bar closed) and ``available_at`` (when it became known), both
            UTC, ``open, high, low, close, volume, market_cap`` as far as the source has them, and
            ``source``.

        Raises
        ------
        LakeError
            No bars are stored.
        """
        return self._known(*self._bars_of(feed), as_of)

    def features(self, forecast: str | ForecastSpec, *, as_of: When = None) -> pd.DataFrame:
        """A forecast's features and labels, from the bars that were known at a moment.

        Returns
        -------
        DataFrame
            One row a bar: ``event_time``, ``available_at``, ``close``, ``log_return``, the columns
            of the feature set, and the label as ``target``, ``target_time`` and
            ``label_available_at``; docs/features.md has the units.
        """
        return self._frame(self._tables(forecast), as_of)

    def study(self, forecast: str | ForecastSpec, *, as_of: When = None) -> Study:
        """A forecast's walk-forward folds, to try candidates on.

        Stored walk-forward rows are used where they are the same. A ``ForecastSpec`` need not be
        declared, only its feed.
        """
        own = self._tables(forecast)
        return own.study(self._frame(own, as_of))

    def judge(
        self,
        candidate: Idea,
        forecast: str | ForecastSpec | None = None,
        *,
        name: str | None = None,
        as_of: When = None,
    ) -> Judgement:
        """What an idea is worth: skill against the baseline on rows that it cannot have seen.

        Parameters
        ----------
        candidate
            One of

            - a function of the rows that are known, the newest last (a ``DataFrame`` as of
              :meth:`features`, without labels), that returns a prediction of what follows them;
            - a :class:`Model` class; one without ``_graph`` can be judged, too;
            - an object with ``fit(X, y)`` and ``predict(X)``, such as scikit-learn's: a copy of it
              is fitted on each fold's training rows of the feature set;
            - a family's name, or a candidate as in ``defs.yaml``.

            Predictions are P(up), a log return, or a variance, as the target says.
        forecast
            What to predict; may be left out where one forecast is declared.
        name
            What to call the idea.
        as_of
            Judge with what was known then.

        Raises
        ------
        NotEnoughDataError
            There is no fold, or fewer than 30 rows are out of sample.
        SpecError
            The candidate cannot be judged, or returns something that is no prediction.
        """
        from fx_assets.judging.ideas import evidence_of
        from fx_assets.judging.judgement import judged
        from fx_assets.series.ideas import count_tried

        tables = self._tables(forecast if forecast is not None else self._only())
        study = tables.study(self._frame(tables, as_of))
        item = evidence_of(candidate, study, name)
        baseline = evidence_of(study.spec.baseline, study)
        ledger = tables.ledger()
        recipes = {recipe for decision in ledger for recipe in decision.recipes_seen}
        tried = count_tried(self.lake, tables.series.id, recipes, item.recipe)
        known = study.frame[["available_at", "label_available_at"]].max().max().to_pydatetime()
        return judged(
            item,
            study,
            baseline=baseline,
            champion=self._champion(study, baseline, ledger[-1].recipe) if ledger else None,
            tried=tried + item.trials - 1,
            now=max(clock.now(), known),
            data_as_of=known,
            frequency=tables.feed.frequency,
        )

    def forecast(self, forecast: str) -> dict[str, Any]:
        """The newest issued prediction: the row of the ``predictions`` table, by column.

        Raises
        ------
        NoChampionError
            None has been issued.
        """
        from fx_assets.tables import PREDICTIONS

        issued = self._tables(forecast).newest(PREDICTIONS)
        if issued.empty:
            raise NoChampionError(
                f"{forecast} has issued no prediction.",
                remedy=f"Run fx-assets run {forecast.partition('/')[0]}.",
            )
        return {str(name): value for name, value in issued.iloc[-1].items()}

    def explain(self, forecast: str) -> KeptExplanation:
        """Why the newest prediction is what it is: Shapley values of its inputs.

        Raises
        ------
        NoChampionError
            No prediction has been issued, or its explanation was not kept.
        """
        from fx_assets.explaining.explanations import KeptExplanation, explanation_paths

        row, own = self.forecast(forecast), self._tables(forecast)
        for path in explanation_paths(own.forecast, row):
            if own.store.blob_exists(path):
                return KeptExplanation.model_validate_json(own.store.read_blob(path))
        raise NoChampionError(
            f"The prediction of {forecast} from the bar of {row['event_time']:%Y-%m-%d %H:%M} UTC "
            "has no explanation.",
            remedy=f"Materialize {forecast}/predictions of that day.",
        )

    def ledger(self, forecast: str) -> pd.DataFrame:
        """Every decision about the champion, oldest first, one row each with its sentence."""
        from fx_assets.evaluation.decision import ledger_table

        return ledger_table(self._tables(forecast).ledger())

    def _champion(self, study: Study, baseline: Evidence, recipe: str) -> Evidence | None:
        from fx_assets.judging.ideas import evidence_of

        for candidate in study.spec.candidates:
            same = study.spec.recipe_hash(candidate) == recipe != baseline.recipe
            if same and candidate.installed:
                return evidence_of(candidate, study)
        return None

    def _only(self) -> str:
        if len(self.forecasts) != 1:
            raise SpecError(
                f"{len(self.forecasts)} forecasts are declared.",
                remedy=f"Say which one to judge on: {', '.join(self.forecasts)}.",
            )
        return self.forecasts[0]

    def _known(self, store: Lake, feed: FeedSpec, as_of: When) -> pd.DataFrame:
        from fx_assets.tables import RAW_PRICES

        if not store.exists(RAW_PRICES.name, feed.name):
            raise LakeError(
                f"There are no prices of {feed.name} in {self.lake.root}.",
                remedy="Fetch them: fx-assets run with the name of a forecast on it.",
            )
        return store.prices(feed.name, _instant(as_of))

    def _frame(self, own: SeriesTables, as_of: When) -> pd.DataFrame:
        """Features and labels; a member's bars begin with its present history."""
        from fx_assets.features import labelled_frame

        bars = self._known(own.store, own.feed, as_of)
        return labelled_frame(bars, own.spec, own.feed.market)

    def _tables(self, forecast: str | ForecastSpec) -> SeriesTables:
        from fx_assets.series.tables import SeriesTables

        if not isinstance(forecast, str):
            return SeriesTables(self.lake, forecast, self._feed(forecast.feed))
        members = self._members_of(forecast)
        if len(members) > 1:
            raise SpecError(
                f"{forecast} is predicted in {len(members)} ways.",
                remedy=f"Say which: {', '.join(forecast + '/' + m.target.label for m in members)}.",
            )
        if members:
            return members[0].own
        if forecast not in self.declared.forecasts:
            raise self._unknown("forecast", forecast, self.forecasts)
        spec = self.declared.forecasts[forecast]
        return SeriesTables(self.lake, spec, self._feed(spec.feed))

    def _members_of(self, name: str) -> list[Member]:
        """What a name says of a universe's instrument; empty where it is about another thing."""
        from fx_assets.lake.panel import Panel
        from fx_assets.stages.members import members_of

        universe, _, rest = name.partition("/")
        if universe not in self.declared.universes or not rest:
            return []
        there = self.members(universe)
        instrument, _, target = rest.partition("/")
        if not any(one == name or one.startswith(f"{name}/") for one in there):
            raise self._unknown("member", name, there)
        panel = Panel(self.lake, universe, [instrument])
        found = members_of(self.declared.universes[universe], panel, instrument)
        return [one for one in found if target in ("", one.target.label)]

    def _bars_of(self, name: str) -> tuple[Lake, FeedSpec]:
        members = self._members_of(name)
        if not members:
            return self.lake, self._feed(name)
        first = members[0]
        return first.store.panel.of(first.instrument), first.feed

    def _feed(self, name: str) -> FeedSpec:
        if name in self.declared.forecasts:
            name = self.declared.forecasts[name].feed
        if name not in self.declared.feeds:
            raise self._unknown("feed", name, self.feeds)
        return self.declared.feeds[name]

    def _unknown(self, what: str, name: str, known: Sequence[str]) -> SpecError:
        if name in self.declared.universes:
            return SpecError(
                f"{name} is a universe, and a desk's calls are about one instrument.",
                remedy=f"desk.members({name!r}) lists the names to use; its tables are read with "
                f"desk.lake.read('prices', {name!r}).",
            )
        there = ", ".join(known[:MOST_NAMED]) or "none"
        more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
        return SpecError(
            f"There is no {what} {name!r}.",
            remedy=f"Declared in {self.settings.declared_folder} are: {there}{more}.",
        )


def _instant(when: When) -> datetime | None:
    if when is None:
        return None
    try:
        return clock.instant(when)
    except ValueError:
        raise SpecError(
            f"as_of={when!r} is not an instant.",
            remedy="Write a day, such as 2020-06-30, or an instant, such as 2020-06-30T16:00Z.",
        ) from None
