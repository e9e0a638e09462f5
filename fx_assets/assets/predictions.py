"""One row a day: what the champion of that day says of the bars that were known by then."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from fx_assets import clock
from fx_assets.assets.declaring import asset_of, warning
from fx_assets.assets.display import features_key, image
from fx_assets.assets.freshness import FRESH, fresh_result, judge_predictions
from fx_assets.errors import FxAssetsError
from fx_assets.plural import counted
from fx_assets.presentation.effects import effects_table
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import UNIQUE_KEY, LakeResource, SeriesOf, unopened_registry
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.refusal import require_bars
from fx_assets.tables import PREDICTIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.series.tables import SeriesTables
    from fx_assets.stages.issue import Issued

REFUSED_CHECK = "no_day_refused"


def day_partitions(feed: FeedSpec) -> dg.TimeWindowPartitionsDefinition:
    """One partition a day from the feed's start on, today included, without weekends.

    Days before the first live one can be asked for, and are refused with a sentence that names it.
    """
    market = feed.market
    sundays = [date(2023, 1, 1) + timedelta(days=7 * week) for week in range(53)]
    closed = [
        weekday
        for weekday in range(7)
        if not any(market.is_open(sunday + timedelta(days=weekday)) for sunday in sundays)
    ]
    return dg.TimeWindowPartitionsDefinition(
        start=feed.start.isoformat(),
        fmt="%Y-%m-%d",
        cron_schedule="0 0 * * *",
        timezone=str(market.timezone),
        end_offset=1,
        exclusions=[f"0 0 * * {day}" for day in closed] or None,
    )


def build_predictions(
    spec: ForecastSpec,
    feed: FeedSpec,
    tables: SeriesOf,
    together: Sequence[ForecastSpec] = (),
) -> dg.AssetsDefinition:
    """The asset of issued predictions; a row, once issued, never changes.

    ``together`` are all horizons of the declared forecast that it is one of.
    """

    @asset_of(
        spec,
        PREDICTIONS.name,
        f"{spec.description} Made from what was known at the decision time, by the champion of "
        "that time. A closed day has no row and says why.",
        "deltalake",
        "onnx",
        table=PREDICTIONS,
        feed=feed.name,
        pool="predict",
        deps=[features_key(feed.name, spec.features), [spec.name, "champion"]],
        partitions=day_partitions(feed),
        metadata={UNIQUE_KEY: list(PREDICTIONS.key)},
        checks={
            "reproduced": "Rows that were issued before come out the same when made again.",
            REFUSED_CHECK: "Every day that was asked for could be predicted by its champion.",
            "stores_agree": (
                "Bundle, pointer and MLflow's aliases are those of the last decision."
            ),
            **FRESH,
        },
    )
    def predictions(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        from fx_assets.presentation.wording import sentence
        from fx_assets.stages.issue import issue_days
        from fx_assets.stages.reconcile import reconcile

        store = lake.open()
        require_bars(store, feed)
        own = tables(lake)
        agreed = reconcile(own, unopened_registry())
        days = [date.fromisoformat(day) for day in context.partition_keys]
        issued = issue_days(days, own, clock.now())
        shadows = _cast_shadows(own, issued, context.run.run_id)
        yield dg.Output(
            issued.new_rows,
            metadata={
                "rows_issued": len(issued.new_rows),
                "bars": dg.MetadataValue.md(
                    markdown_table(["bar", "outcome"], sorted(issued.notes.items()))
                ),
                **({"latest": sentence(issued.latest, spec)} if issued.latest else {}),
                **_explanation(issued, store),
                **({"shadows": dg.MetadataValue.md(shadows)} if shadows else {}),
                **term_metadata(issued, store, together, feed),
            },
        )
        differ = [*issued.differences, *issued.unverified]
        same = f"{counted(issued.verified, 'row')} made again, all the same"
        yield warning("reproduced", not differ, "; ".join(differ) or same)
        yield warning(REFUSED_CHECK, not issued.refused, _refusals(issued.refused))
        mended = "; ".join([*agreed.left, *agreed.mended])
        yield warning("stores_agree", not agreed.left, mended or "as the ledger says")
        yield fresh_result(judge_predictions(context.instance, own, clock.now()))

    return predictions


def _cast_shadows(own: "SeriesTables", issued: "Issued", run_id: str) -> str:
    """Store what each candidate would have said; a table of it."""
    from fx_assets.stages.shadow import issue_shadows
    from fx_assets.tables import SHADOW_PREDICTIONS

    notes: dict[str, str] = {}
    rows = issue_shadows(own, issued, clock.now(), notes)
    if len(rows):
        own.insert(SHADOW_PREDICTIONS, rows, run_id)
    said = zip(rows["candidate"], rows["day"], rows["prediction"], strict=True)
    told = [[name, day, f"{value:.4g}"] for name, day, value in said]
    told += [[name, "", reason] for name, reason in notes.items()]
    return markdown_table(["candidate", "bar", "would have said"], told) if told else ""


def term_metadata(
    issued: "Issued", store: "Lake", together: Sequence[ForecastSpec], feed: FeedSpec
) -> dict[str, Any]:
    """All horizons of the declared forecast after the newest bar, in words and as a plot."""
    from fx_assets.presentation.figures import term_figure
    from fx_assets.presentation.term import term_text
    from fx_assets.stages.term import newest_term

    if not together or issued.latest is None:
        return {}
    target, own = together[0].target.definition, issued.latest
    name = next(one.name for one in together if one.target.horizon == int(own["horizon"]))
    rows = newest_term(store, together, feed, {name: own})
    return {
        "term_structure": term_text(target, rows),
        "term_structure_plot": image(term_figure(target, rows)),
    }


def _refusals(refused: "dict[date, str]") -> str:
    if not refused:
        return "no day was refused"
    first = next(iter(refused.values()))
    others = len(refused) - 1
    more = f" So {'was' if others == 1 else 'were'} {others} later." if others else ""
    return f"{first}{more}"


def _explanation(issued: "Issued", store: "Lake") -> dict[str, Any]:
    """Why the newest prediction is what it is; kept for the server."""
    from fx_assets.stages.issue import explain_newest

    try:
        said = explain_newest(issued, store)
    except FxAssetsError as error:  # a prediction stands, explained or not
        return {"why": error.message}
    if said is None:
        return {}
    return {"why": said.sentence, "explanation": dg.MetadataValue.md(effects_table(said))}
