"""A home whose stores are PostgreSQL and S3, as ``deploy/dagster.yaml`` sets it up."""

from __future__ import annotations

from pathlib import Path

from fx_assets_tests.homes import Home
from fx_assets_tests.production.servers import Postgres

DEPLOY = Path(__file__).parents[2] / "deploy"
PROFILE = DEPLOY / "dagster.yaml"
BUCKET = "fx-lake"
VANISHES = (
    "connect_timeout=10&keepalives_idle=10&keepalives_interval=5&keepalives_count=3"
    "&tcp_user_timeout=30000"
)
"""What the docs say to add to an address, so that a database that vanishes is noticed."""


def in_production(home: Home, database: Postgres, storage: str) -> Home:
    """Let a new home use databases and the bucket; nothing but declarations is on local disk.

    Parameters
    ----------
    storage
        Address of an S3 server, whose secret key is the database's password.
    """
    (home.folder / "dagster.yaml").write_text(PROFILE.read_text())
    home.environment |= {
        "DAGSTER_PG_URL": f"{database.url('dagster')}?{VANISHES}",
        "DAGSTER_LOG_BUCKET": BUCKET,
        "FX_ASSETS_MLFLOW": database.url("mlflow"),
        "FX_ASSETS_MLFLOW_ARTIFACTS": f"s3://{BUCKET}/artifacts",
        "FX_ASSETS_LAKE": f"s3://{BUCKET}/lake",
        "AWS_ENDPOINT_URL": storage,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": database.password,
        "MLFLOW_S3_ENDPOINT_URL": storage,
    }
    return home
