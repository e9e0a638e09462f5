"""Writes ``dashboard.json``, the Grafana dashboard of fx-assets servers.

Run with ``python deploy/monitoring/dashboard.py`` after a change here.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders import (
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableHide,
    VariableOption,
    VariableRefresh,
)

from fx_assets.doors import TARGETS

FILE = Path(__file__).with_name("dashboard.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
OF = '{job=~"$job",forecast=~"$forecast"}'
ALL = '{job=~"$job"}'
PER = "$__rate_interval"
PROBES = 'route!~"/health/.*|/metrics"'
GOOD_BAD = ((None, "green"), (1.0, "red"))
Steps = tuple[tuple[float | None, str], ...]


def query(expression: str, legend: str = "", *, instant: bool = False) -> prometheus.Dataquery:
    """One PromQL query."""
    made = prometheus.Dataquery().expr(expression).legend_format(legend)
    return made.instant() if instant else made.range()


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Colours by value."""
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def number(
    title: str,
    expression: str,
    about: str,
    *,
    unit: str = "short",
    steps: Steps = ((None, "blue"),),
    span: int = 6,
    legend: str = "{{forecast}}",
) -> stat.Panel:
    """The newest value of each forecast, or of what else the legend names."""
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(thresholds(steps))
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(query(expression, legend).ref_id("A"))
        .height(5)
        .span(span)
    )


def lines(
    title: str,
    about: str,
    *queries: tuple[str, str],
    unit: str = "short",
    span: int = 12,
    least: float | None = 0,
) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .height(8)
        .span(span)
    )
    if least is not None:
        panel = panel.min(least)
    for letter, (expression, legend) in zip(ascii_uppercase, queries, strict=False):
        panel = panel.with_target(query(expression, legend).ref_id(letter))
    return panel


def quantile(q: float, by: str, metric: str, where: str = ALL) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({metric}_bucket{where}[{PER}])))"


def build() -> dashboard.Dashboard:
    """The dashboard: what is served now, answers, predictions, models, and the platform."""
    made = (
        dashboard.Dashboard("fx-assets")
        .uid("fx-assets-serving")
        .tags(["fx-assets"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(_choice("job", "label_values(fx_model_version, job)"))
        .with_variable(_choice("forecast", 'label_values(fx_model_version{job=~"$job"}, forecast)'))
    )
    ids = count(1)
    for row, panels in (
        ("Now", _now()),
        ("Answers", _answers()),
        ("Predictions", _predictions()),
        ("Data and champions", _champions()),
        ("Platform", _platform()),
    ):
        made = made.with_row(dashboard.Row(row).id(next(ids)))
        for panel in panels:
            made = made.with_panel(panel.id(next(ids)))
    return made


def _choice(name: str, values: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(values)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.DONT_HIDE)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _now() -> list[stat.Panel]:
    late: Steps = ((None, "green"), (1.0, "orange"), (2.0, "red"))
    return [
        number("Champion", f"max by (forecast) (fx_model_version{OF})", "Version in service."),
        number(
            "Missing bars",
            f"max by (forecast) (fx_missing_bars{OF}) "
            f"unless max by (forecast) (fx_paused{OF}) == 1",
            "Bars that should be known by now and are not; paused forecasts are left out.",
            steps=late,
        ),
        number(
            "Skill",
            f"max by (forecast) (fx_skill{OF})",
            "1 - score / score of the baseline, out of sample, when the champion was published.",
            unit="percentunit",
            steps=((None, "red"), (0.0, "blue")),
        ),
        number(
            "Skill demonstrated",
            f"max by (forecast) (fx_skill_demonstrated{OF})",
            "1 if the skill is more than luck; 0 is no fault, and each answer says so.",
        ),
        number(
            "Bundle refused",
            f"max by (forecast) (fx_bundle_refused{OF})",
            "1 while a newer champion does not pass its checks; the last good one answers.",
            steps=GOOD_BAD,
        ),
        number(
            "Lake away",
            f"max by (forecast) (fx_stale{OF})",
            "1 while the lake cannot be asked; answers are marked stale.",
            steps=GOOD_BAD,
        ),
        number(
            "Drift",
            f"max by (forecast) (fx_drift{OF})",
            "1 while the newest drift report is an alarm.",
            steps=GOOD_BAD,
        ),
        number(
            "Drifted columns",
            f"max by (forecast) (fx_drifted_columns{OF})",
            "Columns beyond their thresholds in the newest report.",
        ),
        number(
            "Live performance",
            f"max by (forecast) (fx_performance_alarm{OF})",
            "1 while the newest look at live predictions is an alarm: worse than the baseline, or "
            "an error above its limit.",
            steps=GOOD_BAD,
            span=8,
        ),
        number(
            "Live skill",
            f"max by (forecast) (fx_live_skill{OF})",
            "1 - loss / loss of the baseline, of the champion's live predictions; nothing while "
            "outcomes are few.",
            unit="percentunit",
            steps=((None, "red"), (0.0, "blue")),
            span=8,
        ),
        number(
            "Live outcomes",
            f"max by (forecast) (fx_live_outcomes{OF})",
            "Outcomes of live predictions that the newest look knew.",
            span=8,
        ),
    ]


def _answers() -> list[timeseries.Panel]:
    every = f'sum by (job) (rate(fx_requests_total{{job=~"$job",{PROBES}}}[{PER}]))'
    failed = f'sum by (job) (rate(fx_requests_total{{job=~"$job",{PROBES},status=~"5.."}}[{PER}]))'
    refused = f'sum by (job) (rate(fx_requests_total{{job=~"$job",{PROBES},status=~"4.."}}[{PER}]))'
    return [
        lines(
            "Requests a second",
            "By route.",
            (f"sum by (route) (rate(fx_requests_total{ALL}[{PER}]))", "{{route}}"),
            unit="reqps",
        ),
        lines(
            "Requests that fail or are refused",
            "Shares of all requests but probes: 5xx fail, 4xx are refused.",
            (f"({failed} or 0 * {every}) / {every}", "fail"),
            (f"({refused} or 0 * {every}) / {every}", "are refused"),
            unit="percentunit",
        ),
        lines(
            "Median latency",
            "By route.",
            (quantile(0.5, "route", "fx_request_seconds"), "{{route}}"),
            unit="s",
        ),
        lines(
            "p99 latency",
            "By route.",
            (quantile(0.99, "route", "fx_request_seconds"), "{{route}}"),
            unit="s",
        ),
    ]


def _predictions() -> list[timeseries.Panel | table.Panel]:
    outside = (
        f"topk(20, sum by (forecast, feature) (increase(fx_out_of_range_total{OF}[$__range])))"
    )
    return [
        lines(
            "Predictions a second",
            "Issued forecasts given out and predictions from supplied data, by champion.",
            (
                f"sum by (forecast, version) (rate(fx_predictions_total{OF}[{PER}]))",
                "{{forecast}} v{{version}}",
            ),
            span=24,
        ),
        *(
            lines(
                f"Predicted: {kind}",
                "Quantiles of what was predicted from supplied data; a median that jumps is a new "
                "champion or other inputs.",
                *(
                    (
                        quantile(q, "forecast", f"fx_predicted_{kind}", OF),
                        f"{{{{forecast}}}} {round(100 * q)} %",
                    )
                    for q in (0.05, 0.5, 0.95)
                ),
                span=8,
                least=None,
            )
            for kind in TARGETS
        ),
        table.Panel()
        .title("Inputs outside of what training saw")
        .description("Supplied inputs, in the time shown. One feature alone is often a wrong unit.")
        .datasource(SOURCE)
        .with_target(query(outside, instant=True).format("table").ref_id("A"))
        .height(8)
        .span(24),
    ]


def _champions() -> list[timeseries.Panel]:
    return [
        lines(
            "Champion in service",
            "Version by server; lines that part are servers that disagree.",
            (f"fx_model_version{OF}", "{{forecast}} on {{instance}}"),
        ),
        lines(
            "Age of the champion",
            "Time since its last training label.",
            (f"max by (forecast) (fx_model_age_seconds{OF})", "{{forecast}}"),
            unit="s",
        ),
        lines(
            "Age of the data",
            "Time since the newest bar was published.",
            (f"max by (forecast) (fx_data_age_seconds{OF})", "{{forecast}}"),
            unit="s",
        ),
        lines(
            "Time since the last look at the lake",
            "A second or two, unless the storage hangs.",
            (f"time() - fx_lake_looked_timestamp_seconds{ALL}", "{{instance}}"),
            unit="s",
        ),
        lines(
            "Skill, live and when it was published",
            "Live skill wanders while outcomes are few; its alarm waits for a bound that holds at "
            "all looks together.",
            (f"max by (forecast) (fx_live_skill{OF})", "{{forecast}} live"),
            (f"max by (forecast) (fx_skill{OF})", "{{forecast}} when published"),
            unit="percentunit",
            span=24,
            least=None,
        ),
    ]


def _platform() -> list[stat.Panel | timeseries.Panel]:
    late: Steps = ((None, "green"), (1.0, "orange"), (2.0, "red"))
    mine = '{paused="false"}'
    return [
        number(
            "Bars overdue",
            f"max by (feed) (fx_platform_missing_bars{mine})",
            "Of each feed and universe, by its calendar; paused ones are left out.",
            steps=late,
            legend="{{feed}}",
            span=12,
        ),
        number(
            "Jobs that fail",
            "max by (dagster_job) (fx_platform_job_failing) > 0 or 0 * max(fx_platform_runs)",
            "Jobs whose newest run has failed.",
            steps=GOOD_BAD,
            legend="{{dagster_job}}",
        ),
        number(
            "Silent runs",
            "max(fx_platform_silent_runs)",
            "Runs at work without a sign of life; the sensor dead_runs ends them.",
            steps=GOOD_BAD,
            legend="runs",
        ),
        lines(
            "Runs",
            "Runs that wait or are at work, and those that failed within a day.",
            ("max by (state) (fx_platform_runs)", "{{state}}"),
            ("max(fx_platform_failed_runs)", "failed within a day"),
        ),
        lines(
            "Oldest run",
            "A queue that stands, or a run that hangs, is a line that climbs.",
            ("max by (state) (fx_platform_oldest_run_seconds)", "{{state}}"),
            unit="s",
        ),
        lines(
            "Age of the newest bar, by feed",
            "Time since it was published.",
            (f"max by (feed) (fx_platform_data_age_seconds{mine})", "{{feed}}"),
            unit="s",
        ),
        lines(
            "Ingest lag",
            "How long after its publication the newest bar was stored.",
            (f"max by (feed) (fx_platform_ingest_lag_seconds{mine})", "{{feed}}"),
            unit="s",
        ),
        lines(
            "Size of the lake",
            "By folder.",
            ("max by (folder) (fx_platform_lake_bytes)", "{{folder}}"),
            unit="bytes",
        ),
        lines(
            "Size of Dagster's records",
            "The database, or the folder with its logs.",
            ("max(fx_platform_records_bytes)", "records"),
            unit="bytes",
        ),
        lines(
            "Signs of life",
            "Time since each daemon gave one, and since the platform was measured.",
            (
                "time() - max by (daemon) (fx_platform_daemon_heartbeat_timestamp_seconds)",
                "{{daemon}}",
            ),
            ("time() - max(fx_platform_measured_timestamp_seconds)", "measured"),
            unit="s",
        ),
        lines(
            "Upkeep and alerts",
            "Days since the last upkeep; alerts of the last day that reached nobody.",
            ("(time() - max(fx_platform_upkeep_timestamp_seconds)) / 86400", "days since upkeep"),
            ("max(fx_platform_undelivered_alerts)", "undelivered alerts"),
        ),
        lines(
            "Parts that cannot be measured",
            "1 while a part of these figures is missing.",
            ("max by (part) (fx_platform_part_failed)", "{{part}}"),
            span=24,
        ),
    ]


def to_json() -> str:
    """The dashboard as Grafana imports it."""
    return JSONEncoder(sort_keys=True, indent=1).encode(build().build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(to_json(), encoding="utf-8")
