"""Who can reach whom: a network with two zones, and a security group for each kind of process."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

from stacks.reasons import skip

DOMAIN = "fx-assets.internal"
"""Names of processes within the network."""
ADDRESSES = "10.20.0.0/16"
GROUPS = {
    "balancer": "Answers callers, over TLS",
    "serving": "Forecasts over REST",
    "webserver": "Pages of Dagster",
    "platform": "Daemon, code server, runs and MLflow",
    "ingest": "The function that asks for new bars",
    "door": "A task through which a person reaches Dagster and MLflow",
    "database": "PostgreSQL",
}
MAY_REACH = (
    ("balancer", "serving", 8000),
    ("webserver", "platform", 4000),
    ("ingest", "webserver", 3000),
    ("door", "webserver", 3000),
    ("door", "platform", 5000),
    ("webserver", "database", 5432),
    ("platform", "database", 5432),
)
"""Everything else is refused."""


class Network(cdk.Stack):
    """Public subnets for the balancer, private ones for tasks, isolated ones for the database."""

    def __init__(self, scope: Construct, id: str, **options: Any) -> None:
        super().__init__(scope, id, **options)

        def subnets(name: str, kind: ec2.SubnetType) -> ec2.SubnetConfiguration:
            return ec2.SubnetConfiguration(
                name=name, subnet_type=kind, cidr_mask=20, map_public_ip_on_launch=None
            )

        public = ec2.SubnetConfiguration(
            name="public",
            subnet_type=ec2.SubnetType.PUBLIC,
            cidr_mask=24,
            map_public_ip_on_launch=False,
        )
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(ADDRESSES),
            max_azs=2,
            nat_gateways=1,
            restrict_default_security_group=False,
            subnet_configuration=[
                public,
                subnets("private", ec2.SubnetType.PRIVATE_WITH_EGRESS),
                subnets("isolated", ec2.SubnetType.PRIVATE_ISOLATED),
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
            },
        )
        skip(
            self.vpc,
            CKV2_AWS_12="Nothing is in the default security group: each resource names its own.",
        )
        group = logs.LogGroup(
            self,
            "Flows",
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        skip(group, CKV_AWS_158="Addresses and ports alone; CloudWatch's own key encrypts them.")
        self.vpc.add_flow_log(
            "Refused",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        self.namespace = discovery.PrivateDnsNamespace(self, "Names", name=DOMAIN, vpc=self.vpc)
        self.groups = {
            name: ec2.SecurityGroup(
                self,
                name.title(),
                vpc=self.vpc,
                description=description,
                allow_all_outbound=name != "database",
            )
            for name, description in GROUPS.items()
        }
        for caller, called, port in MAY_REACH:
            self.groups[called].add_ingress_rule(
                self.groups[caller], ec2.Port.tcp(port), f"{caller} asks {called}"
            )
