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

When = datetime | date | str | None


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

    It reads declarations and tables; the count of tried ideas is all that it writes.
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

    @cached_property
    def declared(self) -> Declared:
        """The declared feeds and forecasts.

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
            Its name, or that of a forecast on it.
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
        from fx_assets.tables import RAW_PRICES

        found = self._feed(feed)
        if not self.lake.exists(RAW_PRICES.name, found.name):
            raise LakeError(
                f"There are no prices of {found.name} in {self.lake.root}.",
                remedy="Fetch them: fx-assets run with the name of a forecast on it.",
            )
        return self.lake.prices(found.name, _instant(as_of))

    def features(self, forecast: str | ForecastSpec, *, as_of: When = None) -> pd.DataFrame:
        """A forecast's features and labels, from the bars that were known at a moment.

        Returns
        -------
        DataFrame
            One row a bar: ``event_time``, ``available_at``, ``close``, ``log_return``, the columns
            of the feature set, and the label as ``target``, ``target_time`` and
            ``label_available_at``; docs/features.md has the units.
        """
        from fx_assets.features import labelled_frame

        spec, feed = self._spec(forecast)
        return labelled_frame(self.prices(feed.name, as_of=as_of), spec, feed.market)

    def study(self, forecast: str | ForecastSpec, *, as_of: When = None) -> Study:
        """A forecast's walk-forward folds, to try candidates on.

        Stored walk-forward rows are used where they are the same. A ``ForecastSpec`` need not be
        declared, only its feed.
        """
        return self._tables(forecast).study(self.features(forecast, as_of=as_of))

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

        spec, feed = self._spec(forecast if forecast is not None else self._only())
        study, tables = self.study(spec, as_of=as_of), self._tables(spec)
        item = evidence_of(candidate, study, name)
        baseline = evidence_of(spec.baseline, study)
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
            frequency=feed.frequency,
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
                f"{forecast} has issued no prediction.", remedy=f"Run fx-assets run {forecast}."
            )
        return {str(name): value for name, value in issued.iloc[-1].items()}

    def explain(self, forecast: str) -> KeptExplanation:
        """Why the newest prediction is what it is: Shapley values of its inputs.

        Raises
        ------
        NoChampionError
            No prediction has been issued, or its explanation was not kept.
        """
        from fx_assets.explaining.explanations import KeptExplanation, explanation_path
        from fx_assets.tables import SERIES_COLUMN

        row = self.forecast(forecast)
        event_time = row["event_time"].to_pydatetime()
        series = row.get(SERIES_COLUMN)
        for path in (
            explanation_path(forecast, event_time, str(series)),
            explanation_path(forecast, event_time),
        ):
            if self.lake.blob_exists(path):
                return KeptExplanation.model_validate_json(self.lake.read_blob(path))
        raise NoChampionError(
            f"The prediction of {forecast} from the bar of {event_time:%Y-%m-%d %H:%M} UTC has no "
            "explanation.",
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

    def _tables(self, forecast: str | ForecastSpec) -> SeriesTables:
        from fx_assets.series.tables import SeriesTables

        return SeriesTables(self.lake, *self._spec(forecast))

    def _spec(self, forecast: str | ForecastSpec) -> tuple[ForecastSpec, FeedSpec]:
        if not isinstance(forecast, str):
            return forecast, self._feed(forecast.feed)
        if forecast not in self.declared.forecasts:
            raise self._unknown("forecast", forecast, self.forecasts)
        spec = self.declared.forecasts[forecast]
        return spec, self._feed(spec.feed)

    def _feed(self, name: str) -> FeedSpec:
        if name in self.declared.forecasts:
            name = self.declared.forecasts[name].feed
        if name not in self.declared.feeds:
            raise self._unknown("feed", name, self.feeds)
        return self.declared.feeds[name]

    def _unknown(self, what: str, name: str, known: Sequence[str]) -> SpecError:
        if name in self.declared.universes:
            return SpecError(
                f"{name} is a universe, and a desk's calls are about one feed or forecast.",
                remedy=f"Read its tables, such as desk.lake.read('prices', {name!r}). To judge an "
                "idea on one of its instruments, declare that as a feed and a forecast.",
            )
        there = ", ".join(known) or "none"
        return SpecError(
            f"There is no {what} {name!r}.",
            remedy=f"Declared in {self.settings.declared_folder} are: {there}.",
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
