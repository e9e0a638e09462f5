"""What runs, as whom: the task definition of every process, its role, secrets and log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from stacks.database import Database
from stacks.network import ADDRESSES, DOMAIN, Network
from stacks.printed import log_group
from stacks.reasons import skip
from stacks.storage import ARTIFACTS, LAKE, RUN_LOGS, Storage

RUN = "run"
"""The container of a run, as ``dagster.yaml`` names it."""
MODULE = "fx_assets.definitions"
EVERYWHERE = "0.0.0.0"  # noqa: S104
"""Of its own task's address; the network says who may reach it."""
WORKSPACE = "/etc/dagster/docker/workspace.yaml"
DATA = "/data"
"""The folder that a process may write to; the image's user owns it."""
PROCESSES = ("run", "platform", "webserver", "mlflow", "serving", "door")
HOURS_OF_A_DOOR = 4


class Tasks(cdk.Stack):
    """A cluster, and in it only what a task definition here declares."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        storage: Storage,
        database: Database,
        **options: Any,
    ) -> None:
        super().__init__(scope, id, **options)
        self._storage, self._database = storage, database
        self._version = cdk.CfnParameter(
            self,
            "Version",
            description="Tag of both images in ECR, such as a commit",
            allowed_pattern="[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
        ).value_as_string
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name="fx-assets",
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        # By address alone: their own stacks need not know who reads them.
        self._password, self._keys = (
            secrets.Secret.from_secret_complete_arn(self, name, secret.secret_arn)
            for name, secret in {"Password": database.secret, "Keys": storage.keys}.items()
        )
        self.logs = {
            name: log_group(self, f"{name.title()}Log", f"/fx-assets/{name}", storage.key)
            for name in PROCESSES
        }
        self.run = self._run()
        self.platform = self._platform()
        self.webserver = self._webserver()
        self.mlflow = self._mlflow()
        self.serving = self._serving()
        self.door = self._door()

    def _run(self) -> ecs.FargateTaskDefinition:
        """What a run is, unless its job's tags ask for another size."""
        task = self._task("run", cpu=1024, memory=4096)
        self._container(task, RUN, ["fx-assets", "check"])
        self._may_keep(task, LAKE, ARTIFACTS, RUN_LOGS)
        return task

    def _platform(self) -> ecs.FargateTaskDefinition:
        """The daemon, and the code server that it and the webserver ask."""
        task = self._task("platform", cpu=1024, memory=3072)
        code = self._container(
            task,
            "code",
            ["dagster", "code-server", "start", "-h", EVERYWHERE, "-p", "4000", "-m", MODULE],
            answers="tcp://127.0.0.1:4000",
            port=4000,
        )
        daemon = self._container(
            task,
            "daemon",
            ["dagster-daemon", "run", "-w", WORKSPACE],
            healthy=["CMD", "dagster-daemon", "liveness-check"],
            FX_CODE_HOST="127.0.0.1",
            FX_RUN_TASK=self.run.task_definition_arn,
        )
        daemon.add_container_dependencies(
            ecs.ContainerDependency(
                container=code, condition=ecs.ContainerDependencyCondition.HEALTHY
            )
        )
        self._may_keep(task, LAKE, ARTIFACTS, RUN_LOGS)
        self._may_end_runs(task)
        self._may_begin_runs(task)
        return task

    def _webserver(self) -> ecs.FargateTaskDefinition:
        task = self._task("webserver", cpu=512, memory=1024)
        self._container(
            task,
            "webserver",
            ["dagster-webserver", "-h", EVERYWHERE, "-p", "3000", "-w", WORKSPACE],
            answers="http://127.0.0.1:3000/server_info",
            port=3000,
            FX_CODE_HOST=f"platform.{DOMAIN}",
            FX_RUN_TASK=self.run.task_definition_arn,
        )
        self._may_read(task, RUN_LOGS)
        self._may_end_runs(task)
        return task

    def _mlflow(self) -> ecs.FargateTaskDefinition:
        """MLflow's UI, and before it what makes the databases."""
        task = self._task("mlflow", cpu=512, memory=2048)
        bootstrap = self._container(
            task, "bootstrap", ["python", "/etc/dagster/bootstrap.py"], essential=False
        )
        server = self._container(
            task,
            "mlflow",
            ["mlflow", "server", "--host", EVERYWHERE, "--port", "5000", "--workers", "1"],
            answers="http://127.0.0.1:5000/health",
            port=5000,
            MLFLOW_BACKEND_STORE_URI=self._database.url("mlflow"),
            MLFLOW_DEFAULT_ARTIFACT_ROOT=self._storage.bucket.s3_url_for_object(ARTIFACTS),
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        )
        server.add_container_dependencies(
            ecs.ContainerDependency(
                container=bootstrap, condition=ecs.ContainerDependencyCondition.SUCCESS
            )
        )
        self._may_read(task, ARTIFACTS)
        return task

    def _serving(self) -> ecs.FargateTaskDefinition:
        task = self._task("serving", cpu=512, memory=1024)
        container = task.add_container(
            "serving",
            image=self._image("serving"),
            logging=self._logging("serving"),
            port_mappings=[ecs.PortMapping(container_port=8000)],
            environment={
                "FX_ASSETS_LAKE": self._storage.bucket.s3_url_for_object(LAKE),
                "FX_SERVING_CACHE": f"{DATA}/served",
                "FX_SERVING_TRUSTED_PROXIES": f'["{ADDRESSES}"]',
                "TMPDIR": DATA,
                "HOME": DATA,
                **self._settings,
            },
            secrets=self._secrets("serving_secrets"),
            readonly_root_filesystem=True,
            linux_parameters=_no_capabilities(self, "ServingRights"),
        )
        _writes_to_data(container)
        self._may_read(task, LAKE)
        return task

    def _door(self) -> ecs.FargateTaskDefinition:
        """Through it Session Manager forwards a port of Dagster or MLflow; it ends by itself."""
        task = self._task("door", cpu=256, memory=512)
        task.add_container(
            "door",
            image=self._image("serving"),
            command=["sleep", str(HOURS_OF_A_DOOR * 3600)],
            logging=self._logging("door"),
            linux_parameters=ecs.LinuxParameters(self, "DoorRights", init_process_enabled=True),
        )
        skip(
            task,
            CKV_AWS_336="Session Manager's agent writes to the file system of its container, which "
            "is there while somebody looks.",
        )
        task.add_to_task_role_policy(
            iam.PolicyStatement(
                sid="SessionsHaveNoResource",
                actions=[
                    f"ssmmessages:{action}{channel}Channel"
                    for action in ("Create", "Open")
                    for channel in ("Control", "Data")
                ],
                resources=["*"],
            )
        )
        return task

    def _task(self, name: str, *, cpu: int, memory: int) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            name.title(),
            family=f"fx-assets-{name}",
            cpu=cpu,
            memory_limit_mib=memory,
            volumes=[ecs.Volume(name="data")],
        )
        task.add_to_execution_role_policy(
            iam.PolicyStatement(actions=["kms:Decrypt"], resources=[self._storage.key.key_arn])
        )
        cdk.CfnOutput(self, f"{name.title()}Task", value=task.task_definition_arn)
        return task

    def _container(
        self,
        task: ecs.FargateTaskDefinition,
        name: str,
        command: Sequence[str],
        *,
        answers: str | None = None,
        healthy: Sequence[str] = (),
        port: int | None = None,
        essential: bool = True,
        **environment: str,
    ) -> ecs.ContainerDefinition:
        """A process of the platform; ``answers`` is an address that tells whether it is well."""
        bucket = self._storage.bucket
        asked = ["CMD", "python", "/etc/dagster/answers.py", answers] if answers else healthy
        container = task.add_container(
            name,
            image=self._image("platform"),
            command=list(command),
            essential=essential,
            logging=self._logging(task.family.removeprefix("fx-assets-")),
            port_mappings=[ecs.PortMapping(container_port=port)] if port else None,
            health_check=ecs.HealthCheck(
                command=list(asked),
                interval=cdk.Duration.seconds(60),
                timeout=cdk.Duration.seconds(55),
                retries=5,
                start_period=cdk.Duration.seconds(180),
            )
            if asked
            else None,
            environment={
                "DAGSTER_HOME": "/etc/dagster/aws",
                "DAGSTER_LOG_BUCKET": bucket.bucket_name,
                "DAGSTER_PG_URL": self._database.url("dagster"),
                "FX_ASSETS_IMAGE": f"fx-assets-platform:{self._version}",
                "FX_ASSETS_LAKE": bucket.s3_url_for_object(LAKE),
                "FX_ASSETS_MLFLOW": self._database.url("mlflow"),
                "FX_ASSETS_MLFLOW_ARTIFACTS": bucket.s3_url_for_object(ARTIFACTS),
                "FX_CODE_PORT": "4000",
                "HOME": DATA,
                "MPLCONFIGDIR": DATA,
                "TMPDIR": DATA,
                **self._settings,
                **environment,
            },
            secrets={
                "PGPASSWORD": ecs.Secret.from_secrets_manager(self._password, "password"),
                **self._secrets("platform_secrets"),
            },
            readonly_root_filesystem=True,
            linux_parameters=_no_capabilities(self, f"{name.title()}Rights"),
        )
        _writes_to_data(container)
        return container

    @property
    def _settings(self) -> dict[str, str]:
        """Variables that the context adds to every process of ours."""
        return dict(self.node.try_get_context("settings") or {})

    def _secrets(self, context: str) -> dict[str, ecs.Secret]:
        names = self.node.try_get_context(context) or []
        return {name: ecs.Secret.from_secrets_manager(self._keys, name) for name in names}

    def _image(self, role: str) -> ecs.ContainerImage:
        return ecs.ContainerImage.from_ecr_repository(self._storage.images[role], self._version)

    def _logging(self, name: str) -> ecs.LogDriver:
        return ecs.LogDrivers.aws_logs(
            stream_prefix=name, log_group=self.logs[name], mode=ecs.AwsLogDriverMode.NON_BLOCKING
        )

    def _may_read(self, task: ecs.FargateTaskDefinition, *prefixes: str) -> None:
        self._may(task, ["s3:GetObject"], prefixes, ["kms:Decrypt"])

    def _may_keep(self, task: ecs.FargateTaskDefinition, *prefixes: str) -> None:
        self._may(
            task,
            ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            prefixes,
            ["kms:Decrypt", "kms:GenerateDataKey"],
        )

    def _may(
        self,
        task: ecs.FargateTaskDefinition,
        actions: list[str],
        prefixes: Sequence[str],
        of_the_key: list[str],
    ) -> None:
        """Allow actions on objects below prefixes, to list those, and what it takes of the key."""
        bucket = self._storage.bucket
        below = [f"{prefix}/*" for prefix in prefixes]
        for statement in (
            iam.PolicyStatement(
                actions=actions, resources=[bucket.arn_for_objects(each) for each in below]
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [*prefixes, *below]}},
            ),
            iam.PolicyStatement(actions=of_the_key, resources=[self._storage.key.key_arn]),
        ):
            task.add_to_task_role_policy(statement)

    def _may_begin_runs(self, task: ecs.FargateTaskDefinition) -> None:
        """Start tasks of runs, in this cluster, as what the run's definition says and no more."""
        run = self.run
        family = f"task-definition/{run.family}:*"
        for statement in (
            iam.PolicyStatement(
                actions=["ecs:RunTask"],
                resources=[self._ecs(family)],
                conditions={"ArnEquals": {"ecs:cluster": self.cluster.cluster_arn}},
            ),
            iam.PolicyStatement(
                actions=["ecs:TagResource"],
                resources=[self._tasks_of_the_cluster],
                conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
            ),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[run.task_role.role_arn, run.obtain_execution_role().role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
            iam.PolicyStatement(
                sid="InterfacesHaveNoResource",
                actions=["ec2:DescribeNetworkInterfaces"],
                resources=["*"],
            ),
        ):
            task.add_to_task_role_policy(statement)

    def _may_end_runs(self, task: ecs.FargateTaskDefinition) -> None:
        """Look at tasks of this cluster, end them, and read what they printed."""
        for statement in (
            iam.PolicyStatement(
                actions=["ecs:DescribeTasks", "ecs:StopTask"],
                resources=[self._tasks_of_the_cluster],
            ),
            iam.PolicyStatement(
                sid="DefinitionsHaveNoResource",
                actions=["ecs:DescribeTaskDefinition"],
                resources=["*"],
            ),
            iam.PolicyStatement(
                actions=["logs:GetLogEvents"],
                resources=[f"{self.logs['run'].log_group_arn}:log-stream:*"],
            ),
        ):
            task.add_to_task_role_policy(statement)

    @property
    def _tasks_of_the_cluster(self) -> str:
        return self._ecs(f"task/{self.cluster.cluster_name}/*")

    def _ecs(self, resource: str) -> str:
        return f"arn:{self.partition}:ecs:{self.region}:{self.account}:{resource}"


def _no_capabilities(stack: cdk.Stack, name: str) -> ecs.LinuxParameters:
    rights = ecs.LinuxParameters(stack, name, init_process_enabled=True)
    rights.drop_capabilities(ecs.Capability.ALL)
    return rights


def _writes_to_data(container: ecs.ContainerDefinition) -> None:
    container.add_mount_points(
        ecs.MountPoint(container_path=DATA, read_only=False, source_volume="data")
    )
