"""What the templates of the stacks say, resource by resource."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fx_assets_tests.deploy.aws.templates import NAMES, ROOT, STACKS, Templates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LARGEST_WITHOUT_A_BUCKET = 51_200
"""Bytes of a template that CloudFormation takes with the call itself."""
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken"}
"""Actions of which AWS knows no resource; other statements say so in their name."""
MAY_END_IN_A_STAR = {"kms:GenerateDataKey*", "kms:ReEncrypt*"}


def some(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def containers(templates: Templates) -> list[dict[str, Any]]:
    tasks = templates.properties("AWS::ECS::TaskDefinition")
    return [each for task in tasks for each in task["ContainerDefinitions"]]


def test_the_bucket_is_private_encrypted_versioned_and_reached_over_tls_only(
    templates: Templates,
) -> None:
    bucket = templates.only("AWS::S3::Bucket")
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    ends = json.dumps(bucket["LifecycleConfiguration"])
    assert "NoncurrentDays" in ends
    assert '"Prefix": "dagster-logs/"' in ends
    denied = templates.only("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert {each["Effect"] for each in denied} == {"Deny"}
    assert {"Bool": {"aws:SecureTransport": "false"}} in [each["Condition"] for each in denied]
    assert templates.only("AWS::KMS::Key")["EnableKeyRotation"]


def test_what_is_stored_outlives_its_stack(templates: Templates) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::ECR::Repository"):
        assert {each["DeletionPolicy"] for each in templates.of(kind).values()} == {"Retain"}
    (server,) = templates.of("AWS::RDS::DBInstance").values()
    assert server["DeletionPolicy"] == "Snapshot"


def test_the_database_is_not_public_is_encrypted_and_put_away(templates: Templates) -> None:
    server = templates.only("AWS::RDS::DBInstance")
    assert server["PubliclyAccessible"] is False
    assert server["StorageEncrypted"]
    assert server["BackupRetentionPeriod"] >= 7
    assert server["DeletionProtection"]
    assert templates.only("AWS::RDS::DBParameterGroup")["Parameters"]["rds.force_ssl"] == "1"
    assert "resolve:secretsmanager" in json.dumps(server["MasterUserPassword"])
    subnets = json.dumps(templates.only("AWS::RDS::DBSubnetGroup"))
    assert "isolated" in subnets
    assert "private" not in subnets
    assert "public" not in subnets


def test_images_cannot_be_replaced_and_are_scanned(templates: Templates) -> None:
    repositories = templates.properties("AWS::ECR::Repository")
    assert len(repositories) == 2
    for repository in repositories:
        assert repository["ImageTagMutability"] == "IMMUTABLE"
        assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_only_the_balancer_can_be_reached_from_outside_and_only_over_tls(
    templates: Templates,
) -> None:
    ingress = templates.properties("AWS::EC2::SecurityGroupIngress")
    outside = [each for each in ingress if "SourceSecurityGroupId" not in each]
    (https,) = outside
    assert https["CidrIp"] == {"Ref": "Callers"}
    assert (https["FromPort"], https["ToPort"]) == (443, 443)
    for group in templates.properties("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group
    listener = templates.only("AWS::ElasticLoadBalancingV2::Listener")
    assert listener["Protocol"] == "HTTPS"
    assert "TLS13" in listener["SslPolicy"]
    for service in templates.properties("AWS::ECS::Service"):
        place = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert place["AssignPublicIp"] == "DISABLED"
        assert "private" in json.dumps(place["Subnets"])


def test_groups_reach_what_they_need_and_nothing_else(templates: Templates) -> None:
    def name(reference: Any) -> str:
        return re.match(r"[A-Z][a-z]+", reference["Fn::GetAtt"][0])[0]

    allowed = {
        (name(each["SourceSecurityGroupId"]), name(each["GroupId"]), each["FromPort"])
        for each in templates.properties("AWS::EC2::SecurityGroupIngress")
        if "SourceSecurityGroupId" in each
    }
    assert allowed == {
        ("Balancer", "Serving", 8000),
        ("Webserver", "Platform", 4000),
        ("Ingest", "Webserver", 3000),
        ("Door", "Webserver", 3000),
        ("Door", "Platform", 5000),
        ("Webserver", "Database", 5432),
        ("Platform", "Database", 5432),
    }


def test_no_role_may_do_everything_and_all_resources_have_a_reason(templates: Templates) -> None:
    seen = 0
    for name, statement in templates.statements():
        seen += 1
        actions = some(statement["Action"])
        starred = [a for a in actions if "*" in a and a not in MAY_END_IN_A_STAR]
        assert starred == [], name
        assert statement["Effect"] == "Allow"
        if "*" in some(statement["Resource"]):
            reason = statement.get("Sid", "").endswith("HaveNoResource")
            assert reason or set(actions) <= WITHOUT_RESOURCE, (name, actions)
    assert seen > 20


def test_a_role_of_a_task_sees_its_prefixes_of_the_bucket(templates: Templates) -> None:
    prefixes = {
        "Run": {"lake", "artifacts", "dagster-logs"},
        "Platform": {"lake", "artifacts", "dagster-logs"},
        "Webserver": {"dagster-logs"},
        "Mlflow": {"artifacts"},
        "Serving": {"lake"},
    }
    for role, own in prefixes.items():
        of_role = templates.statements_of(f"{role}TaskRole")
        (objects,) = [s for s in of_role if "s3:GetObject" in some(s["Action"])]
        assert set(re.findall(r'"/([a-z-]+)/\*"', json.dumps(objects["Resource"]))) == own
        (listed,) = [s for s in of_role if s["Action"] == "s3:ListBucket"]
        assert set(listed["Condition"]["StringLike"]["s3:prefix"]) == own | {
            f"{prefix}/*" for prefix in own
        }
        writes = "s3:PutObject" in some(objects["Action"])
        assert writes == (role in ("Run", "Platform")), role


def test_only_the_daemon_starts_tasks_and_only_those_of_runs(templates: Templates) -> None:
    able = {
        (name, action): statement
        for name, statement in templates.statements()
        for action in some(statement["Action"])
        if action in ("ecs:RunTask", "iam:PassRole", "ecs:StopTask")
    }
    starts, passes = (
        [(name, statement) for (name, each), statement in able.items() if each == action]
        for action in ("ecs:RunTask", "iam:PassRole")
    )
    ((name, started),) = starts
    assert name.startswith("PlatformTaskRole")
    assert "task-definition/fx-assets-run:*" in json.dumps(started["Resource"])
    assert "ecs:cluster" in json.dumps(started["Condition"])
    ((name, passed),) = passes
    assert name.startswith("PlatformTaskRole")
    roles = [each["Fn::GetAtt"][0] for each in passed["Resource"]]
    assert [re.match(r"Run(Task|Execution)Role", role) is not None for role in roles] == [True] * 2
    assert passed["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    stops = {name for name, action in able if action == "ecs:StopTask"}
    assert {re.match(r"[A-Z][a-z]+", name)[0] for name in stops} == {"Platform", "Webserver"}


def test_secrets_are_handed_by_name_and_never_as_values(templates: Templates) -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|KEYS?$|WEBHOOK")
    handed = set()
    for container in containers(templates):
        plain = {each["Name"] for each in container.get("Environment", [])}
        assert not {name for name in plain if secret.search(name)}
        for each in container.get("Secrets", []):
            handed.add(each["Name"])
            assert "Fn::ImportValue" in json.dumps(each["ValueFrom"])
    assert handed == {"PGPASSWORD", "FX_SERVING_KEYS"}
    text = "".join(templates.text(name) for name in NAMES if name != "database")
    assert "resolve:secretsmanager" not in text
    assert not re.search(r"://[^@\"/]*:[^@\"/]*@", text), "an address with a password"


def test_processes_of_ours_have_no_rights_and_write_to_their_folder_alone(
    templates: Templates,
) -> None:
    for container in containers(templates):
        if container["Name"] == "door":
            continue
        assert container["ReadonlyRootFilesystem"]
        assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert [each["ContainerPath"] for each in container["MountPoints"]] == ["/data"]
        assert environment(container)["TMPDIR"] == "/data"
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    assert image.count("VOLUME /data") == 2, "what is mounted there belongs to the image's user"


def test_logs_end_after_a_year(templates: Templates) -> None:
    groups = templates.properties("AWS::Logs::LogGroup")
    assert {group["RetentionInDays"] for group in groups} == {365}
    names = {group.get("LogGroupName", "") for group in groups}
    assert {f"/fx-assets/{name}" for name in ("run", "platform", "serving", "ingest")} <= names


def test_a_run_is_handed_what_its_daemon_has(templates: Templates) -> None:
    (run,) = templates.task("run")["ContainerDefinitions"]
    daemon = templates.task("platform")["ContainerDefinitions"][1]
    only_of_the_daemon = {"FX_CODE_HOST", "FX_RUN_TASK"}
    assert set(environment(daemon)) - set(environment(run)) == only_of_the_daemon
    assert run["Secrets"] == daemon["Secrets"]
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["x-environment"]
    of_compose = {
        *("FX_NETWORK", "FX_PLATFORM_IMAGE", "AWS_ENDPOINT_URL", "AWS_REGION", "FX_ASSETS_NOW"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"),
    }
    asked = {name for name, value in compose.items() if ":-" not in str(value)} - of_compose
    assert asked <= set(environment(daemon))


def test_the_launcher_is_the_only_thing_that_the_cloud_adds_to_dagsters_file(
    templates: Templates,
) -> None:
    parts = [ROOT / "deploy" / "dagster.yaml", STACKS / "dagster.yaml"]
    ours, launcher = (yaml.safe_load(part.read_text()) for part in parts)
    assert set(launcher) == {"run_launcher"}
    assert yaml.safe_load("".join(part.read_text() for part in parts)) == ours | launcher
    config = launcher["run_launcher"]["config"]
    (run,) = templates.task("run")["ContainerDefinitions"]
    assert run["Name"] == config["container_name"]
    for name, place in (("platform", 1), ("webserver", 0)):
        container = templates.task(name)["ContainerDefinitions"][place]
        assert environment(container)[config["task_definition"]["env"]] == {
            "Ref": next(n for n in templates.stack("tasks")["Resources"] if n.startswith("RunC"))
        }
        assert environment(container)["DAGSTER_HOME"] == "/etc/dagster/aws"
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    assert "/etc/dagster/aws/ecs.yaml > /etc/dagster/aws/dagster.yaml" in image


def test_servers_are_looked_at_and_become_more_when_they_are_busy(templates: Templates) -> None:
    group = templates.only("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert group["HealthCheckPath"] == "/health/live"
    scaled = templates.only("AWS::ApplicationAutoScaling::ScalableTarget")
    assert 2 <= scaled["MinCapacity"] < scaled["MaxCapacity"]
    policy = templates.only("AWS::ApplicationAutoScaling::ScalingPolicy")
    assert "ECSServiceAverageCPUUtilization" in json.dumps(policy)


def test_the_clock_calls_the_function_whose_text_is_the_handlers(templates: Templates) -> None:
    function = templates.only("AWS::Lambda::Function")
    assert function["Code"] == {"ZipFile": (STACKS / "ingest.py").read_text()}
    assert function["Environment"]["Variables"] == {
        "DAGSTER_URL": "http://webserver.fx-assets.internal:3000"
    }
    rule = templates.only("AWS::Events::Rule")
    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    assert rule["State"] == "ENABLED"
    (name,) = templates.of("AWS::Lambda::Function")
    assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": [name, "Arn"]}]


def test_every_alarm_tells_people_and_silence_is_one(templates: Templates) -> None:
    alarms = {
        re.sub(r"[0-9A-F]{8}$", "", name): each["Properties"]
        for name, each in templates.of("AWS::CloudWatch::Alarm").items()
    }
    assert set(alarms) == {
        *("RunFailed", "RunKilled", "NoIngest", "NobodyAsks", "UnhealthyServers", "NoServer"),
        *("ServerErrors", "DatabaseFull", "DatabaseBusy"),
    }
    (topic,) = templates.of("AWS::SNS::Topic")
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert alarm["AlarmDescription"]
    silent = {n for n, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert silent == {"NoIngest", "NoServer"}


def test_templates_name_no_account_no_machine_and_need_no_bucket(templates: Templates) -> None:
    for name in NAMES:
        text = templates.text(name)
        assert len(text.encode()) < LARGEST_WITHOUT_A_BUCKET
        assert str(ROOT) not in text
        assert str(Path.home()) not in text
        assert not re.search(r"\b\d{12}\b", text)
        assert "AssetParameters" not in text
        assert "cdk-bootstrap" not in text


def test_each_rule_that_is_left_out_has_its_reason(templates: Templates) -> None:
    left_out = [
        skipped
        for _, resource in templates.resources()
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert left_out
    assert all(len(each["comment"]) > 40 for each in left_out), left_out


def test_what_makes_the_templates_is_pinned_without_a_word_of_an_index() -> None:
    lines = (STACKS / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if not line.lstrip().startswith("#")]
    assert all("==" in line for line in pinned)
    assert {line.partition("==")[0] for line in pinned} >= {"aws-cdk-lib", "cfn-lint", "checkov"}
    assert not any("index-url" in line or "://" in line for line in pinned)


def test_cdks_own_file_runs_the_same_program() -> None:
    told = json.loads((STACKS / "cdk.json").read_text())
    assert told["app"] == "python app.py"
    said = subprocess.run(["git", "check-ignore", "deploy/aws/cdk.out/x"], cwd=ROOT)
    assert said.returncode in (0, 128), "templates are no part of the repository"
