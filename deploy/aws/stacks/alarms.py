"""When a person is told: what fails, what does not answer, what fills up, what does not come."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as watch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.database import Database
from stacks.schedule import Schedule
from stacks.services import Services
from stacks.storage import Storage
from stacks.tasks import Tasks

SPACE = "fx-assets"
FAILED_RUN = "RUN_FAILURE"
"""Stands in what a run prints when it fails."""
DEAD_RUN = "Detected run worker status"
"""Stands in what the daemon prints when a run's task has ended without the run."""
HOUR = cdk.Duration.hours(1)
MINUTES = cdk.Duration.minutes(5)
LEAST_STORAGE = 4 * 1024**3


class Alarms(cdk.Stack):
    """One topic, and an alarm for each thing that somebody has to look at."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        storage: Storage,
        database: Database,
        tasks: Tasks,
        services: Services,
        schedule: Schedule,
        **options: Any,
    ) -> None:
        super().__init__(scope, id, **options)
        address = cdk.CfnParameter(
            self, "Address", description="E-mail address that alarms go to", allowed_pattern=".+@.+"
        )
        self._topic = sns.Topic(self, "People", master_key=storage.key, enforce_ssl=True)
        self._topic.add_subscription(subscriptions.EmailSubscription(address.value_as_string))
        failed = self._counted("FailedRuns", tasks.logs["run"], FAILED_RUN)
        dead = self._counted("DeadRuns", tasks.logs["platform"], DEAD_RUN)
        self._alarm("RunFailed", failed, "A run failed: Dagster's page of runs says why", 1)
        self._alarm("RunKilled", dead, "A run's task ended before its run", 1)
        late = self._said(schedule)
        self._alarm(
            "NoIngest",
            late,
            "Bars are due for an hour and no run has brought them, or nobody has looked",
            1,
            missing=watch.TreatMissingData.BREACHING,
        )
        self._alarm(
            "NobodyAsks",
            schedule.function.metric_errors(period=HOUR),
            "The function that asks for bars fails",
            3,
        )
        targets = services.targets.metrics
        self._alarm(
            "UnhealthyServers",
            targets.unhealthy_host_count(period=MINUTES, statistic="Maximum"),
            "A server of forecasts does not answer",
            1,
        )
        self._alarm(
            "NoServer",
            targets.healthy_host_count(period=MINUTES, statistic="Minimum"),
            "No server of forecasts answers",
            1,
            below=True,
            missing=watch.TreatMissingData.BREACHING,
        )
        self._alarm(
            "ServerErrors",
            targets.http_code_target(
                balancing.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTES, statistic="Sum"
            ),
            "Servers of forecasts answer with errors",
            10,
        )
        server = database.server
        self._alarm(
            "DatabaseFull",
            server.metric_free_storage_space(period=MINUTES, statistic="Minimum"),
            "PostgreSQL has less than 4 GB left",
            LEAST_STORAGE,
            below=True,
        )
        self._alarm(
            "DatabaseBusy",
            server.metric_cpu_utilization(period=MINUTES),
            "PostgreSQL has used over 80 % of its CPU for a quarter of an hour",
            80,
            periods=3,
        )

    def _counted(self, name: str, group: logs.LogGroup, text: str) -> watch.Metric:
        """How often a text stands in a log, an hour."""
        found = logs.MetricFilter(
            self,
            name,
            log_group=group,
            filter_pattern=logs.FilterPattern.literal(f'"{text}"'),
            metric_namespace=SPACE,
            metric_name=name,
            metric_value="1",
        )
        return found.metric(statistic="Sum", period=HOUR)

    def _said(self, schedule: Schedule) -> watch.Metric:
        """How many times of ingest are an hour old without a run that succeeded."""
        found = logs.MetricFilter(
            self,
            "LateIngests",
            log_group=schedule.log,
            filter_pattern=logs.FilterPattern.literal("{ $.late >= 0 }"),
            metric_namespace=SPACE,
            metric_name="LateIngests",
            metric_value="$.late",
        )
        return found.metric(statistic="Maximum", period=HOUR)

    def _alarm(
        self,
        name: str,
        metric: watch.IMetric,
        description: str,
        threshold: float,
        *,
        below: bool = False,
        periods: int = 1,
        missing: watch.TreatMissingData = watch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        operators = watch.ComparisonOperator
        alarm = watch.Alarm(
            self,
            name,
            alarm_name=f"fx-assets {name}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=operators.LESS_THAN_THRESHOLD
            if below
            else operators.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing,
        )
        told = actions.SnsAction(self._topic)
        alarm.add_alarm_action(told)
        alarm.add_ok_action(told)
