"""Files lie in folders, in archives and on S3."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import boto3
import pytest

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import NOW, Bars, bars_of, feed_of, packed, read, same
from fx_assets_tests.lake.conftest import CREDENTIALS, s3_endpoint

__all__ = ["s3_endpoint"]


def parts_of(folder: Path) -> tuple[Bars, list[tuple[str, bytes]]]:
    """Bars of four days, and a file of each: plain, gzip, zip and Parquet."""
    feed = feed_of(folder)
    bars = bars_of(feed, date(2024, 1, 8), 96)
    days = [bars.iloc[i : i + 24].reset_index(drop=True) for i in range(0, 96, 24)]
    files = [
        packed(f"{i}.csv", world.dukascopy(day, feed).encode(), how)
        for i, (day, how) in enumerate(zip(days[:3], ["", "gz", "zip"], strict=True))
    ]
    buffer = io.BytesIO()
    opened = days[3].assign(open_time=world.opens(days[3], feed).dt.tz_localize("UTC"))
    opened.drop(columns="event_time").to_parquet(buffer)
    return bars, [*files, ("3.parquet", buffer.getvalue())]


def test_a_glob_reads_plain_and_packed_files_of_folders(tmp_path: Path) -> None:
    bars, files = parts_of(tmp_path)
    for i, (name, content) in enumerate(files):
        place = tmp_path / "export" / str(i % 2) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    same(read(feed_of(tmp_path, path="export/**/*")), bars)
    same(read(feed_of(tmp_path, path="export/0/0.csv")), bars.iloc[:24])
    same(read(feed_of(tmp_path, path="export/1/*.gz")), bars.iloc[24:48].reset_index(drop=True))


def test_a_relative_path_starts_at_the_home_of_the_deployment(tmp_path: Path) -> None:
    bars, files = parts_of(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_bytes(files[0][1])
    feed = feed_of(Path("data"), path="*.csv")
    same(fetch_bars(feed, Settings(home=tmp_path), NOW), bars.iloc[:24])


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket whose server the environment names."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": s3_endpoint}).items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="exports")
    return "exports"


def test_a_glob_reads_objects_of_a_bucket(tmp_path: Path, bucket: str) -> None:
    bars, files = parts_of(tmp_path)
    client = boto3.client("s3", region_name="us-east-1")
    for i, (name, content) in enumerate(files):
        client.put_object(Bucket=bucket, Key=f"btc/{i % 2}/{name}", Body=content)
    client.put_object(Bucket=bucket, Key="btc/README", Body=b"not bars")

    def feed(key: str) -> FeedSpec:
        spec = feed_of(tmp_path)
        source = spec.source.model_copy(update={"path": f"s3://{bucket}/{key}"})
        return spec.model_copy(update={"source": source})

    same(read(feed("btc/**/?.*")), bars)
    one = read(feed("btc/0/0.csv"))
    same(one, bars.iloc[:24])
    assert one.provenance.url == f"s3://{bucket}/btc/0/0.csv"
    for key, said in (("btc/*.csv", "No object matches"), ("btc/9.csv", "NoSuchKey")):
        with pytest.raises(SourceError, match=said) as caught:
            read(feed(key))
        assert "test-secret" not in str(caught.value)
