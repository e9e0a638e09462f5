"""The stacks of a deployment in AWS, in the account and region of whoever deploys them.

``python app.py`` writes their templates to ``cdk.out``. They hold no assets, so that neither
``cdk bootstrap`` nor a bucket for templates is needed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import aws_cdk as cdk
from stacks.alarms import Alarms
from stacks.database import Database
from stacks.network import Network
from stacks.schedule import Schedule
from stacks.services import Services
from stacks.storage import Storage
from stacks.tasks import Tasks

HERE = Path(__file__).parent


def stacks(app: cdk.App) -> None:
    """Each subject is a stack, and needs only those before it."""

    def named(name: str) -> dict[str, object]:
        return {
            "id": f"fx-{name}",
            "synthesizer": cdk.BootstraplessSynthesizer(),
            "suppress_template_indentation": True,
            "tags": {"project": "fx-assets"},
        }

    network = Network(app, **named("network"))
    storage = Storage(app, **named("storage"))
    database = Database(app, network=network, storage=storage, **named("database"))
    tasks = Tasks(app, network=network, storage=storage, database=database, **named("tasks"))
    services = Services(app, network=network, tasks=tasks, **named("services"))
    schedule = Schedule(app, network=network, storage=storage, **named("schedule"))
    Alarms(
        app,
        storage=storage,
        database=database,
        tasks=tasks,
        services=services,
        schedule=schedule,
        **named("alarms"),
    )


if __name__ == "__main__":
    app = cdk.App(
        context=json.loads((HERE / "cdk.json").read_text("utf-8"))["context"],
        outdir=os.environ.get("CDK_OUTDIR", str(HERE / "cdk.out")),
        analytics_reporting=False,
        tree_metadata=False,
    )
    stacks(app)
    app.synth()
