"""Makes the databases and the bucket of a deployment where they are missing.

Reads DAGSTER_PG_URL, FX_ASSETS_MLFLOW (where it is PostgreSQL), DAGSTER_LOG_BUCKET and AWS_*.
"""

from __future__ import annotations

import os

import boto3
from botocore.exceptions import ClientError
from sqlalchemy import create_engine, make_url, text


def make_database(address: str) -> None:
    """Connects to PostgreSQL's own database, which every server has."""
    url = make_url(address)
    engine = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        known = text("SELECT 1 FROM pg_database WHERE datname = :name")
        if connection.execute(known, {"name": url.database}).first() is None:
            quoted = connection.dialect.identifier_preparer.quote(url.database)
            connection.execute(text(f"CREATE DATABASE {quoted}"))
            print(f"made the database {url.database}")


def make_bucket(name: str) -> None:
    """A region's name is told to AWS only where it is not the default.

    A bucket of which only some prefixes may be seen is there.
    """
    client = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            return
        region = client.meta.region_name
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        configured = {"CreateBucketConfiguration": place} if place else {}
        client.create_bucket(Bucket=name, **configured)
        print(f"made the bucket {name}")


if __name__ == "__main__":
    for variable in ("DAGSTER_PG_URL", "FX_ASSETS_MLFLOW"):
        if os.environ[variable].startswith("postgresql"):
            make_database(os.environ[variable])
    make_bucket(os.environ["DAGSTER_LOG_BUCKET"])
