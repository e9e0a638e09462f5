"""What is always there: Dagster, MLflow, and the server behind its balancer."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

from stacks.network import Network
from stacks.reasons import skip
from stacks.tasks import Tasks

BUSY_PERCENT = 60


class Services(cdk.Stack):
    """Services that are started anew when they end; a version that does not start is undone."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        tasks: Tasks,
        **options: Any,
    ) -> None:
        super().__init__(scope, id, **options)
        self._network, self._tasks = network, tasks
        mlflow = self._service("mlflow", tasks.mlflow, group="platform")
        platform = self._service("platform", tasks.platform, one_at_most=True)
        webserver = self._service("webserver", tasks.webserver)
        platform.node.add_dependency(mlflow)
        webserver.node.add_dependency(platform)
        self.serving = self._service(
            "serving", tasks.serving, count=self.node.try_get_context("serving_tasks")
        )
        self.balancer = balancing.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=network.vpc,
            internet_facing=True,
            security_group=network.groups["balancer"],
            drop_invalid_header_fields=True,
            deletion_protection=True,
        )
        skip(
            self.balancer,
            CKV_AWS_91="The server writes a line of JSON for each request to its own log group.",
            CKV2_AWS_28="The server itself asks for keys, and limits rates, heads and bodies.",
        )
        self.targets = self._answer()
        self._grow()
        cdk.CfnOutput(self, "Forecasts", value=f"https://{self.balancer.load_balancer_dns_name}")

    def _service(
        self,
        name: str,
        task: ecs.FargateTaskDefinition,
        *,
        group: str | None = None,
        count: int = 1,
        one_at_most: bool = False,
    ) -> ecs.FargateService:
        """A service; of ``one_at_most`` the old task ends before the new one begins."""
        return ecs.FargateService(
            self,
            name.title(),
            service_name=name,
            cluster=self._tasks.cluster,
            task_definition=task,
            desired_count=count,
            min_healthy_percent=0 if one_at_most else 100,
            max_healthy_percent=100 if one_at_most else 200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            security_groups=[self._network.groups[group or name]],
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            assign_public_ip=False,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            cloud_map_options=ecs.CloudMapOptions(
                name=name,
                cloud_map_namespace=self._network.namespace,
                dns_record_type=discovery.DnsRecordType.A,
                dns_ttl=cdk.Duration.seconds(10),
            ),
        )

    def _answer(self) -> balancing.ApplicationTargetGroup:
        """HTTPS alone, from the callers that are named when it is deployed."""
        certificate = cdk.CfnParameter(
            self,
            "Certificate",
            description="ARN of the certificate in ACM",
            allowed_pattern="arn:aws[a-z-]*:acm:.+",
        )
        callers = cdk.CfnParameter(
            self,
            "Callers",
            description="Addresses that may ask for forecasts, such as 203.0.113.0/24",
            allowed_pattern=r"\d+\.\d+\.\d+\.\d+/\d+",
        )
        ec2.CfnSecurityGroupIngress(
            self,
            "Https",
            group_id=self._network.groups["balancer"].security_group_id,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ip=callers.value_as_string,
            description="callers ask the balancer",
        )
        listener = self.balancer.add_listener(
            "Tls",
            port=443,
            open=False,
            protocol=balancing.ApplicationProtocol.HTTPS,
            ssl_policy=balancing.SslPolicy.TLS13_RES,
            certificates=[balancing.ListenerCertificate.from_arn(certificate.value_as_string)],
        )
        return listener.add_targets(
            "Serving",
            port=8000,
            protocol=balancing.ApplicationProtocol.HTTP,
            targets=[self.serving],
            deregistration_delay=cdk.Duration.seconds(15),
            health_check=balancing.HealthCheck(
                path="/health/live",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def _grow(self) -> None:
        """More tasks while the CPU is busy, fewer when it has been idle for five minutes."""
        count = self.serving.auto_scale_task_count(
            min_capacity=self.node.try_get_context("serving_tasks"),
            max_capacity=self.node.try_get_context("most_serving_tasks"),
        )
        count.scale_on_cpu_utilization(
            "Busy",
            target_utilization_percent=BUSY_PERCENT,
            scale_out_cooldown=cdk.Duration.seconds(60),
            scale_in_cooldown=cdk.Duration.seconds(300),
        )
