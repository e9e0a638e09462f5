"""What is written for Kubernetes: manifests of the API, no rights, no secrets, and one truth.

The chart of Dagster is not here; ``chart.py`` does what its templates do with our values.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import (
    DEFAULT_DAGSTER_ENTRY_POINT,
    JobPythonOrigin,
    RepositoryPythonOrigin,
)

from fx_assets.alerting.channels import AlertSettings
from fx_assets.assets.runs import LARGE, SMALL
from fx_assets.build import IMAGE
from fx_assets.definitions import defs
from fx_assets.executors import EXECUTORS
from fx_assets.settings import Settings
from fx_assets_tests.deploy.chart import instance_config
from serving.settings import Settings as ServingSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
HERE = DEPLOY / "kubernetes"
VALUES: dict[str, Any] = yaml.safe_load((HERE / "values.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
GUIDE = (DEPLOY.parent / "docs" / "kubernetes.md").read_text()
VERSIONS = ("1.29", "1.37")
"""The oldest that has all that we use, and the newest whose schemas are installed."""
SECRETS = re.compile(r"PASSWORD|KEY|WEBHOOK|_PG_URL|^FX_ASSETS_MLFLOW$|BACKEND_STORE")
OF_OTHERS = {
    *("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("DAGSTER_LOG_BUCKET", "DAGSTER_PG_URL"),
    *("MLFLOW_BACKEND_STORE_URI", "MLFLOW_DEFAULT_ARTIFACT_ROOT"),
    *("MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"),
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
USER = 10001
OUTSIDE = {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}

Manifest = dict[str, Any]
Valid = Callable[[Manifest, str], None]

loaded = cache(defs)


def manifests(folder: str) -> list[Manifest]:
    """Every manifest that a kustomization names, in the files of its own folder."""
    listed = yaml.safe_load((HERE / folder / "kustomization.yaml").read_text())["resources"]
    files = [HERE / folder / name for name in listed if name.endswith(".yaml")]
    beside = {file.name for file in (HERE / folder).glob("*.yaml")}
    beside -= {"kustomization.yaml", "values.yaml"}
    assert beside == {file.name for file in files}, "a file that nothing names is not deployed"
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


BASE = manifests("base")
ALL = BASE + manifests("example")
STEPS = manifests("steps")


def named(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def of_kind(kind: str, among: list[Manifest] = ALL) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m for m in among if m["kind"] == kind}


def pod_template(manifest: Manifest) -> Manifest:
    spec = manifest["spec"]
    return spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]


WORKLOADS = [m for m in BASE if m["kind"] in ("Deployment", "Job", "CronJob")]
PODS = {pod_template(m)["metadata"]["labels"]["fx-assets/part"]: pod_template(m) for m in WORKLOADS}


def container(part: str) -> Manifest:
    (only,) = PODS[part]["spec"]["containers"]
    return only


def port_of(part: str) -> int:
    return int(container(part)["ports"][0]["containerPort"])


def check_restricted(spec: Manifest) -> None:
    """As the namespace's pod security admission asks, and with a read-only disk and limits."""
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] == USER
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    mounted = {volume["name"] for volume in spec["volumes"]}
    for each in spec["containers"]:
        assert each["securityContext"] == RESTRICTED
        assert {"cpu", "memory"} <= set(each["resources"]["requests"])
        assert {"cpu", "memory"} <= set(each["resources"]["limits"])
        assert {mount["name"] for mount in each["volumeMounts"]} <= mounted
        assert "tmp" in {mount["name"] for mount in each["volumeMounts"]}


@pytest.fixture(scope="module")
def valid() -> Iterator[Valid]:
    """Fails where a manifest is not one of a version's API, unknown fields included."""
    utils = pytest.importorskip("kubernetes_validate.utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield lambda manifest, version: utils.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_for_the_oldest_and_the_newest_api(
    version: str, valid: Valid
) -> None:
    for manifest in ALL + STEPS:
        valid(manifest, version)


def test_a_misspelt_field_is_found(valid: Valid) -> None:
    manifest = yaml.safe_load(yaml.safe_dump(of_kind("Deployment")["serving"]))
    pod_template(manifest)["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(Exception, match="readynessProbe"):
        valid(manifest, VERSIONS[-1])


@pytest.mark.parametrize("part", sorted(PODS))
def test_a_pod_has_no_rights_and_ends_at_its_limits(part: str) -> None:
    check_restricted(PODS[part]["spec"])
    account = PODS[part]["spec"]["serviceAccountName"]
    assert account == ("fx-assets-serving" if part == "serving" else "fx-assets-platform")


def test_only_what_starts_runs_may_ask_the_cluster_for_anything_and_only_for_jobs() -> None:
    (role,) = of_kind("Role").values()
    allowed = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    writes = {pair for pair in allowed if pair[1] not in ("get", "list", "watch")}
    assert writes == {("jobs", "create"), ("jobs", "delete")}
    assert {resource.partition("/")[0] for resource, _ in allowed} == {"jobs", "pods", "events"}
    (binding,) = of_kind("RoleBinding").values()
    (subject,) = binding["subjects"]
    assert subject["name"] == VALUES["global"]["serviceAccountName"]
    assert subject["name"] not in {pod["spec"]["serviceAccountName"] for pod in PODS.values()}
    assert not VALUES["rbacEnabled"]
    assert not VALUES["serviceAccount"]["create"]
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    assert code["serviceAccount"]["name"] == "fx-assets-platform"


def test_images_are_those_that_are_pushed() -> None:
    pushed = {f"fx-assets-{role}" for role in ("platform", "serving")}
    assert "for role in platform serving; do" in (DEPLOY / "push.sh").read_text()
    used = {container(part)["image"] for part in PODS}
    assert used == pushed
    assert {part for part in PODS if container(part)["image"].endswith("serving")} == {"serving"}
    changed = yaml.safe_load((HERE / "example" / "kustomization.yaml").read_text())["images"]
    assert {image["name"] for image in changed} == pushed
    assert all(image["newName"].endswith(f"/{image['name']}") for image in changed)
    (platform,) = {i["newName"] for i in changed if i["name"] == "fx-assets-platform"}
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    for where in (VALUES["dagsterWebserver"], VALUES["dagsterDaemon"], code):
        assert where["image"]["repository"] == platform
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    assert launcher["envVars"] == [f"{IMAGE}={platform}:{code['image']['tag']}"]


@pytest.mark.parametrize("part", ["bootstrap", "mlflow", "watcher"])
def test_a_service_is_started_as_on_one_server(part: str) -> None:
    assert container(part)["command"] == COMPOSE["services"][part]["command"]


def test_probes_ask_for_what_is_served() -> None:
    from serving.app import create_app

    served = {getattr(route, "path", "") for route in create_app().routes}
    probes = {
        part: {
            name: (container(part)[f"{name}Probe"]["httpGet"]["path"])
            for name in ("startup", "readiness", "liveness")
        }
        for part in ("serving", "mlflow", "watcher")
    }
    assert probes["serving"] == {
        "startup": "/health/live",
        "readiness": "/health/ready",
        "liveness": "/health/live",
    }
    assert set(probes["serving"].values()) <= served
    for part in ("mlflow", "watcher"):
        asked = COMPOSE["services"][part]["healthcheck"]["test"][-1]
        assert {f"http://127.0.0.1:{port_of(part)}{path}" for path in probes[part].values()} == {
            asked
        }
    asked = COMPOSE["services"]["webserver"]["healthcheck"]["test"][-1]
    port, path = VALUES["dagsterWebserver"]["service"]["port"], "/server_info"
    assert VALUES["dagsterWebserver"]["readinessProbe"]["httpGet"] == {"path": path, "port": port}
    assert asked == f"http://127.0.0.1:{port}{path}"
    for part in ("serving", "mlflow", "watcher"):
        for name in ("startup", "readiness", "liveness"):
            assert container(part)[f"{name}Probe"]["httpGet"]["port"] == "http"


def test_ports_are_those_of_the_images() -> None:
    exposed = re.findall(r"^EXPOSE (\d+)$", (DEPLOY / "Dockerfile").read_text(), re.M)
    assert [str(port_of("serving"))] == exposed
    assert str(port_of("mlflow")) in container("mlflow")["command"]
    for name, service in of_kind("Service").items():
        (port,) = service["spec"]["ports"]
        assert port["port"] == port_of(name)
        assert port["targetPort"] == container(name)["ports"][0]["name"]
        assert service["spec"]["selector"] == {"fx-assets/part": name}


def test_the_server_is_never_without_a_pod_that_answers() -> None:
    deployment = of_kind("Deployment")["serving"]
    scaler = of_kind("HorizontalPodAutoscaler")["serving"]["spec"]
    budget = of_kind("PodDisruptionBudget")["serving"]["spec"]
    assert "replicas" not in deployment["spec"], "the autoscaler's number would be set back"
    assert scaler["scaleTargetRef"]["name"] == "serving"
    assert scaler["minReplicas"] - budget["maxUnavailable"] >= 1
    assert budget["selector"] == deployment["spec"]["selector"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def environment(part: str) -> Iterator[tuple[str, bool]]:
    """The variables of a pod by name, and whether the manifest has the value itself."""
    for entry in container(part).get("env", []):
        yield entry["name"], "value" in entry


def known_settings() -> set[str]:
    platform = {f"FX_ASSETS_{name.upper()}" for name in Settings.model_fields}
    alerts = {f"FX_ASSETS_ALERTS_{name.upper()}" for name in AlertSettings.model_fields}
    server = {f"FX_SERVING_{name.upper()}" for name in ServingSettings.model_fields}
    return platform | alerts | server | OF_OTHERS


def secret_keys() -> dict[str, set[str]]:
    """What the guide puts into each Secret."""
    lines = GUIDE.replace(" \\\n", " ")
    made = re.findall(r"create secret generic ([\w-]+)(.*)", lines)
    return {name: set(re.findall(r"--from-literal=([\w-]+)=", rest)) for name, rest in made}


def test_every_setting_exists_and_no_secret_is_written_down() -> None:
    settings = of_kind("ConfigMap")["fx-assets"]["data"]
    assert set(settings) <= known_settings()
    assert not any(SECRETS.search(name) for name in settings)
    assert not of_kind("Secret")
    for part in PODS:
        for name, written in environment(part):
            assert name in known_settings()
            assert not (written and SECRETS.search(name))


def test_the_guide_makes_every_secret_that_is_named() -> None:
    named_here = set(re.findall(r"secretRef:\n\s+name: ([\w-]+)", _text()))
    named_here |= {secret["name"] for secret in VALUES["dagsterWebserver"]["envSecrets"]}
    named_here |= {VALUES["global"]["postgresqlSecretName"]}
    made = secret_keys()
    assert named_here <= set(made)
    assert made["fx-assets-postgresql"] == {"postgresql-password"}
    for name in ("fx-assets", "fx-assets-serving"):
        assert made[name] <= known_settings()
    # What deploy/bootstrap.py, `fx-assets backup` and MLflow ask for.
    assert {"DAGSTER_PG_URL", "FX_ASSETS_MLFLOW"} <= made["fx-assets"]


def _text() -> str:
    return "\n".join(file.read_text() for file in (HERE / "base").glob("*.yaml"))


def test_nobody_reaches_anybody_but_who_has_to() -> None:
    policies = of_kind("NetworkPolicy")
    nothing = policies.pop("nothing-else")["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    inwards: dict[tuple[str, str], set[int]] = {}
    outwards: dict[str, set[int]] = {}
    for policy in policies.values():
        spec = policy["spec"]
        for part in _parts(spec["podSelector"]) or {"everybody"}:
            for rule in spec.get("ingress", []):
                ports = {port["port"] for port in rule["ports"]}
                for source in rule["from"]:
                    (selector,) = source.values()
                    for who in _parts(selector):
                        inwards[who, part] = inwards.get((who, part), set()) | ports
            for rule in spec.get("egress", []):
                assert all("ipBlock" not in to or to["ipBlock"] == OUTSIDE for to in rule["to"])
                outwards.setdefault(part, set()).update(port["port"] for port in rule["ports"])
    code = VALUES["dagster-user-deployments"]["deployments"][0]["port"]
    pages = {VALUES["dagsterWebserver"]["service"]["port"], port_of("mlflow")}
    assert inwards == {
        ("ingress-nginx", "serving"): {port_of("serving")},
        ("monitoring", "serving"): {port_of("serving")},
        ("ingress-nginx", "mlflow"): pages,
        ("ingress-nginx", "webserver"): pages,
        ("monitoring", "watcher"): {port_of("watcher")},
        ("webserver", "code"): {code},
        ("daemon", "code"): {code},
    }
    stores = {443, VALUES["postgresql"]["service"]["port"]}
    asks = stores | {code, 6443}
    assert outwards == {
        "everybody": {53},
        "serving": {443},
        **dict.fromkeys(("bootstrap", "backup", "code", "mlflow", "run", "watcher"), stores),
        **dict.fromkeys(("daemon", "webserver"), asks),
    }


def _parts(selector: Manifest) -> set[str]:
    labels = set(selector.get("matchLabels", {}).values())
    return labels | set(chain(*(e["values"] for e in selector.get("matchExpressions", []))))


def test_every_part_of_the_chart_has_the_label_that_lets_it_out() -> None:
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    parts = {
        "webserver": VALUES["dagsterWebserver"],
        "daemon": VALUES["dagsterDaemon"],
        "code": code,
        "run": launcher,
    }
    for part, where in parts.items():
        assert where["labels"] == {"fx-assets/part": part}
        assert where["securityContext"] == RESTRICTED
        assert where["envSecrets"] == where["envConfigMaps"] == [{"name": "fx-assets"}]
        assert {"cpu", "memory"} == set(where["resources"]["limits"])
        if part != "run":
            assert where["podSecurityContext"]["runAsUser"] == USER
    assert code["codeServerArgs"] == COMPOSE["services"]["code"]["command"][-2:]


def test_runs_that_make_jobs_of_steps_have_an_account_for_it_and_reach_the_cluster() -> None:
    given = yaml.safe_load((HERE / "steps" / "values.yaml").read_text())["runLauncher"]["config"]
    pod = given["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    assert set(pod) <= set(
        VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    )
    (account,) = of_kind("ServiceAccount", STEPS)
    assert pod == {"serviceAccountName": account, "automountServiceAccountToken": True}
    (binding,) = of_kind("RoleBinding", STEPS).values()
    assert [subject["name"] for subject in binding["subjects"]] == [account]
    assert binding["roleRef"]["name"] in of_kind("Role")
    (policy,) = of_kind("NetworkPolicy", STEPS).values()
    assert policy["spec"]["podSelector"] == {"matchLabels": {"fx-assets/part": "run"}}
    (rule,) = policy["spec"]["egress"]
    assert rule == of_kind("NetworkPolicy")["asks-code"]["spec"]["egress"][1]
    said = (HERE / "steps" / "kustomization.yaml").read_text()
    assert "k8s" in EXECUTORS
    assert "/data/FX_ASSETS_EXECUTOR, value: k8s" in said


def test_an_ingress_has_tls_and_asks_who_comes_where_nobody_else_does() -> None:
    for name, ingress in of_kind("Ingress").items():
        spec = ingress["spec"]
        hosts = {rule["host"] for rule in spec["rules"]}
        assert hosts == set(chain(*(tls["hosts"] for tls in spec["tls"])))
        asked = "nginx.ingress.kubernetes.io/auth-secret" in ingress["metadata"]["annotations"]
        assert asked == (name == "pages")


def test_the_example_builds_to_valid_manifests_of_images_that_are_pinned(
    valid: Valid, tmp_path: Path
) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    shutil.copytree(HERE, tmp_path / "copy")
    with (tmp_path / "copy" / "example" / "kustomization.yaml").open("a") as overlay:
        overlay.write("components: [../steps]\n")
    said = subprocess.run(
        ["kubectl", "kustomize", tmp_path / "copy" / "example"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    built = list(yaml.safe_load_all(said.stdout))
    assert {named(m) for m in built} == {named(m) for m in ALL + STEPS}
    assert of_kind("ConfigMap", built)["fx-assets"]["data"]["FX_ASSETS_EXECUTOR"] == "k8s"
    for manifest in built:
        valid(manifest, VERSIONS[-1])
    images = set(re.findall(r"image: (\S+)", said.stdout))
    assert all(re.fullmatch(r"ghcr\.io/owner/fx-assets-\w+:[\d.]+", image) for image in images)


def test_dagster_takes_the_charts_instance_which_is_that_of_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dagster_k8s")
    made = instance_config(VALUES, "dagster", "fx-assets")
    shipped = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert made["run_monitoring"].pop("start_timeout_seconds") > 300
    same = set(shipped) - {"storage"}
    assert {key: made[key] for key in same} == {key: shipped[key] for key in same}
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "any")
    monkeypatch.setenv("DAGSTER_LOG_BUCKET", "any")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(made))
    taken = InstanceRef.from_dir(str(tmp_path))
    assert set(taken.settings) >= {"concurrency", "run_monitoring", "run_retries", "retention"}
    for part in (
        *(taken.run_storage_data, taken.event_storage_data, taken.schedule_storage_data),
        *(taken.run_launcher_data, taken.run_coordinator_data, taken.compute_logs_data),
    ):
        assert part is not None
        kind = getattr(import_module(part.module_name), part.class_name)
        found = process_config(kind.config_type(), part.config_dict)
        assert found.success, found.errors


@pytest.mark.parametrize(
    "job", ["ecb_eurusd_ingest", "eurusd_direction_predict", "eurusd_direction_retrain"]
)
def test_a_run_is_a_valid_job_without_rights_and_of_its_own_size(
    job: str, monkeypatch: pytest.MonkeyPatch, valid: Valid
) -> None:
    kubernetes = pytest.importorskip("dagster_k8s")
    plain = pytest.importorskip("kubernetes.client").ApiClient().sanitize_for_serialization
    config = instance_config(VALUES, "dagster", "fx-assets")["run_launcher"]["config"]
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
    cluster = MagicMock()
    launcher = kubernetes.K8sRunLauncher(
        **process_config(kubernetes.K8sRunLauncher.config_type(), config).value,
        k8s_client_batch_api=cluster,
        k8s_client_core_api=MagicMock(),
    )
    found = loaded().resolve_job_def(job)
    repository = RepositoryPythonOrigin(
        executable_path=sys.executable,
        code_pointer=ModuleCodePointer("fx_assets.definitions", "defs", None),
        container_image="ghcr.io/owner/fx-assets-platform:0.2.0",
        entry_point=DEFAULT_DAGSTER_ENTRY_POINT,
        container_context=None,
    )
    with dg.instance_for_test() as instance:
        launcher.register_instance(instance)
        run = instance.create_run_for_job(
            found, tags=found.tags, job_code_origin=JobPythonOrigin(job, repository)
        )
        launcher.launch_run(LaunchRunContext(run, workspace=None))
    asked = cluster.create_namespaced_job.call_args.kwargs
    manifest = plain(asked["body"])
    for version in VERSIONS:
        valid(manifest, version)
    pod = manifest["spec"]["template"]
    check_restricted(pod["spec"])
    assert pod["spec"]["serviceAccountName"] == "fx-assets-platform"
    assert pod["metadata"]["labels"]["fx-assets/part"] == "run"
    (only,) = pod["spec"]["containers"]
    assert only["image"] == repository.container_image
    assert {"name": IMAGE, "value": repository.container_image} in only["env"]
    sources = [next(iter(source.values()))["name"] for source in only["envFrom"]]
    assert sources == ["fx-assets", "fx-assets"]
    size = LARGE if job.endswith("_retrain") else SMALL
    room = {"cpu": f"{size.cpus * 1000:.0f}m", "memory": f"{size.gigabytes}Gi"}
    assert only["resources"] == {"requests": room, "limits": room}
    assert found.tags["ecs/memory"] == str(size.gigabytes * 1024), "both launchers give the same"
