"""Read a trail's log files in an S3 bucket: they go back further than the event history.

A file is gzipped JSON, below the day on which CloudTrail delivered it. Whoever can write to the bucket can
write events: the files are as trustworthy as the bucket's policy.

Source: AWS CloudTrail User Guide, "Finding your CloudTrail log files", "CloudTrail log file name format".
"""

import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.status.errors import is_denied, query_error
from operations.status.read_events import Secrets, Tally
from operations.status.read_search import Budget, DeniedError, Search

_LIST, _GET = "s3:ListBucket", "s3:GetObject"
# CloudTrail begins a new file long before this; anything larger is not one of its files
_MOST_BYTES = 256 * 1024 * 1024
_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*?))?/?")


@dataclass(frozen=True, kw_only=True)
class Trail:
    """The place of a trail's files."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Trail":
        """Return the place that a URL names: a bucket, and the trail's prefix if it has one.

        The files of an organization are below `AWSLogs/o-ID`, which the prefix then includes.

        Raises:
            ValueError: not such a URL.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(url)
        prefix = found["prefix"] or ""
        if "AWSLogs" not in prefix.split("/"):
            prefix = f"{prefix}/AWSLogs" if prefix else "AWSLogs"
        return cls(bucket=found["bucket"], prefix=prefix)


def read_trail(client: Any, trail: Trail, search: Search) -> tuple[Tally, bool]:  # noqa: ANN401
    """Return the reads that a search finds in a trail's files, and whether all files were read.

    Args:
        client: of S3; it calls ListObjectsV2 and GetObject.
        trail: where the files are.
        search: what to look for.

    Raises:
        DeniedError: a permission is missing.
        QueryError: AWS cannot be queried.
    """
    tally, budget = Tally(), search.budget
    for day in _days(search.since.date(), search.until.date()):
        for region in search.regions:
            folder = f"{trail.prefix}/{search.secrets.account}/CloudTrail/{region}/{day:%Y/%m/%d}/"
            for key in _keys(client, trail.bucket, folder, budget):
                if key is None or not budget.take():
                    return tally, False
                if budget.tell:
                    budget.tell(f"Trail: {budget.sent} requests, back to {day}")
                _read(client, trail.bucket, key, search.secrets, tally)
    return tally, not tally.is_full


def _keys(client: Any, bucket: str, folder: str, budget: Budget) -> Iterator[str | None]:  # noqa: ANN401
    """Yield the keys of a folder's log files; None once the budget is used up."""
    request = {"Bucket": bucket, "Prefix": folder}
    while True:
        if not budget.take():
            yield None
            return
        page = _sent(_LIST, partial(client.list_objects_v2, **request))
        yield from (
            str(item["Key"]) for item in page.get("Contents") or () if item["Key"].endswith(".json.gz")
        )
        if not page.get("NextContinuationToken"):
            return
        request["ContinuationToken"] = str(page["NextContinuationToken"])


def _days(first: date, last: date) -> Iterator[date]:
    """Yield the days, the newest first."""
    for number in range((last - first).days + 1):
        yield last - timedelta(days=number)


def _read(client: Any, bucket: str, key: str, secrets: Secrets, tally: Tally) -> None:  # noqa: ANN401
    content: bytes = _sent(_GET, lambda: client.get_object(Bucket=bucket, Key=key)["Body"].read(_MOST_BYTES))
    try:
        # bounded: a small file can unpack to any size
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, _MOST_BYTES)
        found = json.loads(unpacked)
    except (ValueError, zlib.error, RecursionError):
        found = None
    records = found.get("Records") if isinstance(found, dict) else None
    if not isinstance(records, list):
        tally.damaged += 1
        return
    for record in records:
        tally.look_at(record, secrets)


def _sent(action: str, request: Callable[[], Any]) -> Any:  # noqa: ANN401  boto3 is untyped
    try:
        return request()
    except ClientError as error:
        if is_denied(error):
            raise DeniedError(action) from None
        raise query_error(error, action) from None
    except BotoCoreError as error:
        raise query_error(error, action) from None
