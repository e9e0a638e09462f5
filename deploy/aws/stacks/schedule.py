"""A clock outside of the platform, which asks for bars that nobody has asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as functions
from constructs import Construct

from stacks.network import DOMAIN, Network
from stacks.printed import log_group
from stacks.reasons import skip
from stacks.storage import Storage

HANDLER = Path(__file__).parents[1] / "ingest.py"
EVERY = cdk.Duration.minutes(15)


class Schedule(cdk.Stack):
    """A function of the standard library alone, its text in the template."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        storage: Storage,
        **options: Any,
    ) -> None:
        super().__init__(scope, id, **options)
        self.log = log_group(self, "Said", "/fx-assets/ingest", storage.key)
        self.function = functions.Function(
            self,
            "Ingest",
            function_name="fx-assets-ingest",
            runtime=functions.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=functions.Code.from_inline(HANDLER.read_text("utf-8")),
            environment={"DAGSTER_URL": f"http://webserver.{DOMAIN}:3000"},
            environment_encryption=storage.key,
            timeout=cdk.Duration.minutes(2),
            memory_size=128,
            log_group=self.log,
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            security_groups=[network.groups["ingest"]],
        )
        skip(
            self.function,
            CKV_AWS_115="Of a new account's ten concurrent calls none can be reserved.",
            CKV_AWS_116="A call that failed is made up by the next, a quarter of an hour later.",
            CKV_AWS_272="The code is in the template, which only who deploys can change.",
        )
        self.rule = events.Rule(
            self,
            "Clock",
            rule_name="fx-assets-ingest",
            description="Asks for bars that are due",
            schedule=events.Schedule.rate(EVERY),
            targets=[targets.LambdaFunction(self.function, retry_attempts=2)],
        )
