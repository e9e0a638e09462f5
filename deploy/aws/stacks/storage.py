"""What is kept in S3, the images, and the key that encrypts what is stored."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from stacks.reasons import skip

KEYS = "fx-assets/keys"
"""The secret that people write."""
LAKE = "lake"
ARTIFACTS = "artifacts"
RUN_LOGS = "dagster-logs"
"""Prefixes of the bucket."""


class Storage(cdk.Stack):
    """One bucket and two registries, which outlive the stack."""

    def __init__(self, scope: Construct, id: str, **options: Any) -> None:
        super().__init__(scope, id, **options)
        self.key = kms.Key(
            self,
            "Key",
            description="fx-assets: tables, logs, passwords, images",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        self._let_services_use_the_key()
        self.bucket = s3.Bucket(
            self,
            "Tables",
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="what-was-replaced",
                    noncurrent_version_expiration=cdk.Duration.days(35),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(
                    id="what-runs-printed",
                    prefix=f"{RUN_LOGS}/",
                    expiration=cdk.Duration.days(90),
                ),
            ],
        )
        skip(
            self.bucket,
            CKV_AWS_18="Only the roles of these stacks read and write it; each run's log and each "
            "table's ledger say what was done.",
        )
        self.keys = secrets.Secret(
            self,
            "Keys",
            secret_name=KEYS,
            description="Keys of callers, vendors and receivers, by the name of their variable",
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps({}), generate_string_key="unused"
            ),
            encryption_key=self.key,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        skip(
            self.keys,
            CKV2_AWS_57="What stands in it is given by vendors and people, who change it.",
        )
        self.images = {role: self._registry(role) for role in ("platform", "serving")}
        cdk.CfnOutput(self, "Bucket", value=self.bucket.bucket_name)
        for role, registry in self.images.items():
            cdk.CfnOutput(self, f"{role.title()}Registry", value=registry.repository_uri)

    def _registry(self, role: str) -> ecr.Repository:
        return ecr.Repository(
            self,
            role.title(),
            repository_name=f"fx-assets-{role}",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=self.key,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=30)],
        )

    def _let_services_use_the_key(self) -> None:
        account = cdk.Stack.of(self).account
        writers = iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com")
        everything_of_ours = f"arn:{self.partition}:logs:{self.region}:{account}:log-group:*"
        uses = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LogGroups",
                principals=[writers],
                actions=[*uses, "kms:ReEncryptFrom", "kms:ReEncryptTo"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": everything_of_ours}},
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": account}},
            )
        )
