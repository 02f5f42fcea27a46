"""Find who still reads a secret by its old name: the stack file, and what CloudTrail recorded."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.status.aws import AwsSession
from operations.status.errors import code_of
from program.desired import Desired

HOURS = 24
"""How far back reads count."""

_MOST_PAGES = 20  # of 50 events; CloudTrail answers two requests a second
_MOST_READERS = 20


@dataclass(frozen=True, kw_only=True)
class Reads:
    """The reads of a secret in the last HOURS hours.

    Attributes:
        readers: ARN of each principal to the time of its last read, in UTC.
        problem: why CloudTrail's answer is missing or incomplete; empty if it is complete.
    """

    readers: Mapping[str, datetime]
    problem: str = ""


def references(desired: Desired, name: str) -> list[str]:
    """Return the places in the stack file where workloads read a secret."""
    found = []
    for workload in desired.workloads.values():
        if name not in workload.secrets:
            continue
        places = [read.place for read in workload.reads if read.secret == name]
        found += [desired.path("workloads", workload.name, *place) for place in places] or [
            desired.path("workloads", workload.name)
        ]
    return found


def recorded(aws: AwsSession, secret: Mapping[str, Any], copier: str, now: datetime) -> Reads:
    """Return who read a secret's value lately, except the function that copies it.

    CloudTrail records reads some minutes late.

    Source: AWS CloudTrail API Reference, LookupEvents; AWS Secrets Manager User Guide, "CloudTrail entries".

    Args:
        aws: the secret's region.
        secret: as DescribeSecret describes it.
        copier: name of the function.
        now: the end of the period.
    """
    readers: dict[str, datetime] = {}
    request = {
        # by name of the event: whether an event lists the secret as a resource is not documented
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "GetSecretValue"}],
        "StartTime": now - timedelta(hours=HOURS),
        "EndTime": now,
    }
    try:
        pages = aws.client("cloudtrail", attempts=3).get_paginator("lookup_events").paginate(**request)
        whole = list(islice(pages, _MOST_PAGES + 1))
    except ClientError as error:
        return Reads(readers={}, problem=f"CloudTrail did not answer ({code_of(error)})")
    except BotoCoreError as error:
        return Reads(readers={}, problem=f"CloudTrail did not answer ({type(error).__name__})")
    for event in (event for page in whole[:_MOST_PAGES] for event in page.get("Events", ())):
        for reader in _reader(event, secret):
            time = event["EventTime"].astimezone(UTC)
            if not reader.endswith(f"/{copier}"):
                readers[reader] = max(time, readers.get(reader, time))
    latest = sorted(readers.items(), key=lambda one: one[1], reverse=True)[:_MOST_READERS]
    problem = "CloudTrail has more reads than this command looks at" if len(whole) > _MOST_PAGES else ""
    return Reads(readers=dict(latest), problem=problem)


def _reader(event: Mapping[str, Any], secret: Mapping[str, Any]) -> Iterator[str]:
    try:
        record = json.loads(event["CloudTrailEvent"])
        wanted = record["requestParameters"]["secretId"]
        reader = record["userIdentity"].get("arn") or record["userIdentity"].get("invokedBy") or "unknown"
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    arn = str(secret["ARN"])
    # an ARN may lack the six characters that AWS adds
    if wanted in (secret["Name"], arn, arn[: -len("-AbCdEf")]):
        yield str(reader)
