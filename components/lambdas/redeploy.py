"""Redeploy an ECS service when a secret that its tasks read has a new current version.

EventBridge delivers each event at least once, and Lambda retries after an error. A service whose newest
deployment began after the event is not deployed again, because its tasks already read the new value.

Environment: ECS_CLUSTER and ECS_SERVICE, names in this account and region.

Source: AWS Secrets Manager User Guide, "Secret Label Updated event"; Amazon ECS API Reference, UpdateService.
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

_EVENT_TIME_RESOLUTION = timedelta(seconds=1)

# The characters of a secret's name; no others may get into the log.
# Source: AWS Secrets Manager API Reference, CreateSecret
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")


class NoServiceError(Exception):
    """The service does not exist, or it has been deleted."""


class MalformedEventError(Exception):
    """The event is not a valid event of Secrets Manager."""


def handle(event: Mapping[str, Any], _context: object) -> None:
    """Force a deployment, unless one has begun since the event.

    Raises:
        MalformedEventError, NoServiceError, botocore.exceptions.ClientError: nothing was deployed.
    """
    cluster, service = os.environ["ECS_CLUSTER"], os.environ["ECS_SERVICE"]
    secret, changed = _read(event)
    # one attempt: after a lost response, a retry of the client would deploy twice; Lambda's retry checks
    # first
    once = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})
    ecs = boto3.client("ecs", config=once)
    about = f"Secret {secret} has a new value; service {service} of cluster {cluster}"
    if _newest_deployment(ecs, cluster, service) >= changed:
        print(f"{about} has already been deployed since")  # noqa: T201  the function's log
        return
    ecs.update_service(cluster=cluster, service=service, forceNewDeployment=True)
    print(f"{about} is being deployed again")  # noqa: T201  the function's log


def _read(event: object) -> tuple[str, datetime]:
    """Return the secret's name, and a time by which it had changed.

    Only EventBridge may call the function, but so can anybody who may update the stack. An event from
    elsewhere must neither forge lines in the log nor have a time that is later than every deployment.

    Raises:
        MalformedEventError: the event is not one of EventBridge's; the message repeats nothing of it.
    """
    detail = event.get("detail") if isinstance(event, Mapping) else None
    name = detail.get("name") if isinstance(detail, Mapping) else None
    try:
        time = datetime.fromisoformat(str(event.get("time"))) if isinstance(event, Mapping) else None
        changed = None if time is None else time + _EVENT_TIME_RESOLUTION
    except (ValueError, OverflowError):
        changed = None
    if (
        not isinstance(name, str)
        or not _SECRET_NAME.fullmatch(name)
        or changed is None
        or changed.tzinfo is None
    ):
        raise MalformedEventError(
            "Not a valid event of Secrets Manager: it must have detail.name, a secret's name, and time with "
            "a time zone. Nothing was deployed. Let only the stack's EventBridge rule invoke this function."
        )
    return name, changed


def _newest_deployment(ecs: Any, cluster: str, service: str) -> datetime:  # noqa: ANN401  boto3 is untyped
    services = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not services or services[0]["status"] != "ACTIVE":
        raise NoServiceError(
            f"Cluster {cluster} has no active service {service}, so its tasks keep the old value. Correct "
            "ecs.redeploy in the stack file."
        )
    newest: datetime = max(deployment["createdAt"] for deployment in services[0]["deployments"])
    return newest
