"""What moto can hold of the stacks is deployed to it, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from fx_assets_tests.deploy.aws.templates import NAMES, Templates

HELD = (
    *("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup", "AWS::EC2::InternetGateway"),
    *("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::ECR::Repository"),
    *("AWS::RDS::DBSubnetGroup", "AWS::RDS::DBParameterGroup", "AWS::RDS::DBInstance"),
    *("AWS::ECS::Cluster", "AWS::ECS::TaskDefinition", "AWS::Logs::LogGroup", "AWS::IAM::Role"),
    *("AWS::Lambda::Function", "AWS::Events::Rule", "AWS::SNS::Topic"),
    "AWS::ElasticLoadBalancingV2::TargetGroup",
)
"""Types of resources; policies with addresses that are not known yet are refused by moto."""
PARAMETERS = {"tasks": {"Version": "0a1b2c3"}, "alarms": {"Address": "desk@example.com"}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:Tried to parse"),
]


def names_in(value: Any) -> Iterator[str]:
    """The resources that a value refers to."""
    if isinstance(value, dict):
        if "Ref" in value:
            yield value["Ref"]
        if "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        for each in value.values():
            yield from names_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from names_in(each)


def known(value: Any, exports: set[str]) -> Any:
    """A value of a template in which what no stack has exported is named by a word."""
    if isinstance(value, dict):
        if value.get("Fn::ImportValue", "") not in exports | {""}:
            return "elsewhere"
        return {name: known(each, exports) for name, each in value.items()}
    return [known(each, exports) for each in value] if isinstance(value, list) else value


def held(template: dict[str, Any]) -> dict[str, Any]:
    """A template without what moto does not hold, and without what refers to that."""
    kept = {n: each for n, each in template["Resources"].items() if each["Type"] in HELD}
    gone = template["Resources"].keys() - kept.keys()
    for each in kept.values():
        each.pop("DependsOn", None)
        each["Properties"].pop("DBParameterGroupName", None)  # moto takes the group for its name
    outputs = {
        name: each
        for name, each in template.get("Outputs", {}).items()
        if not gone & set(names_in(each))
    }
    return template | {"Resources": kept, "Outputs": outputs}


@pytest.fixture(scope="module")
def account(templates: Templates) -> Iterator[dict[str, int]]:
    """An account after the stacks' deployment; how many resources each has."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "any")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        clouds = boto3.client("cloudformation")
        made = {}
        for name in NAMES:
            if name == "services":
                continue
            exports = {
                each["Name"] for each in clouds.list_exports()["Exports"] if each.get("Value")
            }
            template = known(held(templates.stack(name)), exports)
            given = PARAMETERS.get(name, {})
            clouds.create_stack(
                StackName=f"fx-{name}",
                TemplateBody=json.dumps(template),
                Parameters=[
                    {"ParameterKey": key, "ParameterValue": value} for key, value in given.items()
                ],
            )
            found = clouds.describe_stack_resources(StackName=f"fx-{name}")["StackResources"]
            assert len(found) == len(template["Resources"]), name
            made[name] = len(found)
        yield made


def test_stacks_come_up_one_after_the_other(account: dict[str, int]) -> None:
    assert list(account) == [name for name in NAMES if name != "services"]
    assert all(account.values())


def test_what_is_there_afterwards_is_what_was_declared(account: dict[str, int]) -> None:
    (bucket,) = boto3.client("s3").list_buckets()["Buckets"]
    encrypted = boto3.client("s3").get_bucket_encryption(Bucket=bucket["Name"])
    assert "aws:kms" in json.dumps(encrypted)
    (server,) = boto3.client("rds").describe_db_instances()["DBInstances"]
    assert (server["PubliclyAccessible"], server["StorageEncrypted"]) == (False, True)
    ecs = boto3.client("ecs")
    families = ecs.list_task_definition_families()["families"]
    assert {f"fx-assets-{name}" for name in ("run", "platform", "serving")} <= set(families)
    run = ecs.describe_task_definition(taskDefinition="fx-assets-run")["taskDefinition"]
    assert [each["name"] for each in run["containerDefinitions"]] == ["run"]


def test_the_clocks_target_is_the_function(account: dict[str, int]) -> None:
    events, functions = boto3.client("events"), boto3.client("lambda")
    (rule,) = events.list_rules()["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(15 minutes)", "ENABLED")
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    function = functions.get_function(FunctionName="fx-assets-ingest")["Configuration"]
    assert target["Arn"] == function["FunctionArn"]
    assert function["Environment"]["Variables"]["DAGSTER_URL"].endswith(":3000")
