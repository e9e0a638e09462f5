"""PostgreSQL for Dagster's and MLflow's records."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.network import Network
from stacks.printed import log_group
from stacks.reasons import skip
from stacks.storage import Storage

NAME = "fx-assets"
USER = "fx"
VANISHES = (
    "sslmode=require&connect_timeout=10&keepalives_idle=10&keepalives_interval=5"
    "&keepalives_count=3&tcp_user_timeout=30000"
)
"""Only over TLS, and a database that vanishes is noticed."""


class Database(cdk.Stack):
    """One server, reached from the platform alone, with a password that nobody has seen."""

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
        version = rds.PostgresEngineVersion.VER_16
        engine = rds.DatabaseInstanceEngine.postgres(version=version)
        printed = log_group(self, "Printed", f"/aws/rds/instance/{NAME}/postgresql", storage.key)
        self.secret = rds.DatabaseSecret(
            self,
            "Password",
            username=USER,
            encryption_key=storage.key,
        )
        skip(
            self.secret,
            CKV2_AWS_57="Tasks are given the password when they start: docs/aws.md has the two "
            "commands that change it and start them anew.",
        )
        self.server = rds.DatabaseInstance(
            self,
            "Server",
            instance_identifier=NAME,
            database_name="dagster",
            engine=engine,
            credentials=rds.Credentials.from_secret(self.secret),
            instance_type=ec2.InstanceType.of(
                ec2.InstanceClass.BURSTABLE4_GRAVITON, ec2.InstanceSize.SMALL
            ),
            allocated_storage=20,
            max_allocated_storage=100,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            storage_encryption_key=storage.key,
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[network.groups["database"]],
            publicly_accessible=False,
            multi_az=bool(self.node.try_get_context("multi_az")),
            backup_retention=cdk.Duration.days(14),
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT,
            auto_minor_version_upgrade=True,
            iam_authentication=True,
            enable_performance_insights=True,
            performance_insight_encryption_key=storage.key,
            monitoring_interval=cdk.Duration.minutes(1),
            cloudwatch_logs_exports=["postgresql"],
            parameters={
                "rds.force_ssl": "1",
                "log_statement": "ddl",
                "log_min_duration_statement": "1000",
            },
        )
        self.server.node.add_dependency(printed)
        skip(
            self.server,
            CKV_AWS_157="A second zone doubles the price; the context multi_az asks for it.",
        )

    def url(self, database: str) -> str:
        """Where a database is; libpq takes the password from ``PGPASSWORD``."""
        server = self.server.instance_endpoint
        return f"postgresql+psycopg2://{USER}@{server.hostname}:5432/{database}?{VANISHES}"
