"""Redeploys an ECS service when a secret that its tasks read has a new current version.

EventBridge calls it with the event, at least once for each, and Lambda again after an error: a service whose
newest deployment began after the event is left alone, because its tasks read the new value already.
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

_EVENTS_ARE_DATED_TO = timedelta(seconds=1)


# Source: AWS Secrets Manager API Reference, CreateSecret; nothing else gets into the log.
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")


class NoServiceError(Exception):
    """There is no such service, or it has been deleted."""


class MalformedEventError(Exception):
    """This is not an event of Secrets Manager."""


def handle(event: Mapping[str, Any], _context: object) -> None:
    """Forces a deployment, unless one has begun since the event.

    Raises:
        MalformedEventError, NoServiceError, botocore.exceptions.ClientError: nothing was deployed.
    """
    cluster, service = os.environ["ECS_CLUSTER"], os.environ["ECS_SERVICE"]
    secret, changed = _change(event)
    # one try: a second that followed a lost answer would deploy twice; Lambda's own look first
    once = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})
    ecs = boto3.client("ecs", config=once)
    about = f"{secret} has a new value; service {service} of cluster {cluster}"
    if _newest_deployment(ecs, cluster, service) >= changed:
        print(f"{about} has been deployed since")  # noqa: T201  the function's log
        return
    ecs.update_service(cluster=cluster, service=service, forceNewDeployment=True)
    print(f"{about} is deployed again")  # noqa: T201  the function's log


def _change(event: object) -> tuple[str, datetime]:
    """The secret's name, and a time by which it had changed.

    EventBridge alone may call the function, but whoever updates the stack may, too: an event from elsewhere
    must not write lines of its own into the log, nor a time that ends every comparison.

    Raises:
        MalformedEventError: EventBridge sends no such event; the message repeats nothing of it.
    """
    detail = event.get("detail") if isinstance(event, Mapping) else None
    name = detail.get("name") if isinstance(detail, Mapping) else None
    try:
        time = datetime.fromisoformat(str(event.get("time"))) if isinstance(event, Mapping) else None
        changed = None if time is None else time + _EVENTS_ARE_DATED_TO
    except (ValueError, OverflowError):
        changed = None
    if (
        not isinstance(name, str)
        or not _SECRET_NAME.fullmatch(name)
        or changed is None
        or changed.tzinfo is None
    ):
        raise MalformedEventError(
            "The event is not one that Secrets Manager sends: it needs detail.name, a secret's name, and "
            "time with its zone. Nothing was deployed. Let only the stack's rule call this function."
        )
    return name, changed


def _newest_deployment(ecs: Any, cluster: str, service: str) -> datetime:  # noqa: ANN401  boto3 is untyped
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not found or found[0]["status"] != "ACTIVE":
        raise NoServiceError(
            f"Cluster {cluster} has no active service {service}: its tasks keep the old value. "
            "Check ecs.redeploy in the stack file."
        )
    newest: datetime = max(deployment["createdAt"] for deployment in found[0]["deployments"])
    return newest
