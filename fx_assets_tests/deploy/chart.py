"""What Dagster's Helm chart makes of our values: its templates for the keys that we use."""

from __future__ import annotations

from typing import Any

Values = dict[str, Any]
LAUNCHER = {
    "loadInclusterConfig": "load_incluster_config",
    "imagePullPolicy": "image_pull_policy",
    "envVars": "env_vars",
    "volumeMounts": "volume_mounts",
    "volumes": "volumes",
    "labels": "labels",
    "resources": "resources",
    "securityContext": "security_context",
}
RUN = {
    "containerConfig": "container_config",
    "podSpecConfig": "pod_spec_config",
    "podTemplateSpecMetadata": "pod_template_spec_metadata",
    "jobSpecConfig": "job_spec_config",
    "jobMetadata": "job_metadata",
}


def instance_config(values: Values, release: str, namespace: str) -> Values:
    """``dagster.yaml`` as the chart writes it into its ConfigMap."""
    daemon, database = values["dagsterDaemon"], {"postgres_db": _database(values["postgresql"])}
    storages = {
        "run_storage": ("dagster_postgres.run_storage", "PostgresRunStorage"),
        "event_log_storage": ("dagster_postgres.event_log", "PostgresEventLogStorage"),
        "schedule_storage": ("dagster_postgres.schedule_storage", "PostgresScheduleStorage"),
    }
    assert values["runLauncher"]["type"] == "K8sRunLauncher"
    assert daemon["runCoordinator"]["type"] == "CustomRunCoordinator"
    assert values["computeLogManager"]["type"] == "CustomComputeLogManager"
    assert not any(daemon[key]["enabled"] for key in ("runMonitoring", "runRetries"))
    return {
        **{
            name: {"module": module, "class": kind, "config": database}
            for name, (module, kind) in storages.items()
        },
        "run_launcher": {
            "module": "dagster_k8s",
            "class": "K8sRunLauncher",
            "config": _launcher(values, release, namespace),
        },
        "run_coordinator": daemon["runCoordinator"]["config"]["customRunCoordinator"],
        "compute_logs": values["computeLogManager"]["config"]["customComputeLogManager"],
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 4},
        "telemetry": values["telemetry"],
        **values["additionalInstanceConfig"],
    }


def _database(values: Values) -> Values:
    return {
        "username": values["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": values["postgresqlHost"],
        "db_name": values["postgresqlDatabase"],
        "port": values["service"]["port"],
        "params": values["postgresqlParams"],
        "scheme": values["postgresqlScheme"],
    }


def _launcher(values: Values, release: str, namespace: str) -> Values:
    given = dict(values["runLauncher"]["config"]["k8sRunLauncher"])
    of_runs = given.pop("runK8sConfig")
    sources = {
        "env_config_maps": [source["name"] for source in given.pop("envConfigMaps")],
        "env_secrets": [source["name"] for source in given.pop("envSecrets")],
    }
    return {
        "job_namespace": namespace,
        "service_account_name": values["global"]["serviceAccountName"],
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": f"{release}-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        **sources,
        **{LAUNCHER[key]: value for key, value in given.items() if value not in ([], {})},
        "run_k8s_config": {RUN[key]: value for key, value in of_runs.items()},
    }
