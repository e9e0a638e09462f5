"""Whether an S3 endpoint honours conditional writes, without which commits get lost silently."""

from __future__ import annotations

import uuid

from fx_assets.errors import LakeError
from fx_assets.lake.location import Location

_accepted: set[tuple[str, str]] = set()


def probe_conditional_writes(location: Location) -> None:
    """Refuse an endpoint that lets two writers create the same object.

    Writes a small object twice with ``If-None-Match: *``; the second must fail with 412. A local
    root passes at once, and an endpoint that has passed is not asked again by this process.

    Raises
    ------
    LakeError
        The endpoint ignores or rejects the condition, or cannot be written to.
    """
    if not location.is_remote:
        return
    endpoint = (location.storage_options or {}).get("AWS_ENDPOINT_URL", "")
    if (location.root, endpoint) in _accepted:
        return
    from botocore.exceptions import BotoCoreError, ClientError

    client = location.s3_client()
    target = {"Bucket": location.bucket, "Key": location.key(f".probe-{uuid.uuid4().hex}")}
    try:
        location.asking(lambda: client.put_object(**target, Body=b"first", IfNoneMatch="*"))
        try:
            location.asking(lambda: client.put_object(**target, Body=b"second", IfNoneMatch="*"))
            honoured = False
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
                raise
            honoured = True
        location.asking(lambda: client.delete_object(**target))
    except (BotoCoreError, ClientError) as error:
        raise LakeError(
            f"The lake at {location.root} cannot be written to: {location.redact(error)}",
            remedy="Check the bucket, AWS_ENDPOINT_URL, and that the credentials allow put, get,"
            " list and delete; the server must know If-None-Match on PUT.",
        ) from None
    if not honoured:
        raise LakeError(
            f"The S3 server of {location.root} ignores If-None-Match: two writers would overwrite"
            " each other's commits without an error.",
            remedy="Use Amazon S3, MinIO, R2 or another server with conditional writes, or a local"
            " folder.",
        )
    _accepted.add((location.root, endpoint))
