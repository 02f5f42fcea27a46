"""Redeploys an ECS service when a secret that its tasks read has a new current version.

EventBridge calls it with the event, at least once for each, and Lambda again after an error: a service whose
newest deployment began after the event is left alone, because its tasks read the new value already.
Environment: ECS_CLUSTER and ECS_SERVICE, names in this account and region.

Source: AWS Secrets Manager User Guide, "Secret Label Updated event"; Amazon ECS API Reference, UpdateService.
"""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

_EVENTS_ARE_DATED_TO = timedelta(seconds=1)


class NoServiceError(Exception):
    """There is no such service, or it has been deleted."""


def handle(event: Mapping[str, Any], _context: object) -> None:
    """Forces a deployment, unless one has begun since the event.

    Raises:
        NoServiceError, botocore.exceptions.ClientError: nothing was deployed.
    """
    cluster, service = os.environ["ECS_CLUSTER"], os.environ["ECS_SERVICE"]
    # one try: a second that followed a lost answer would deploy twice; Lambda's own look first
    once = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})
    ecs = boto3.client("ecs", config=once)
    changed = datetime.fromisoformat(event["time"]) + _EVENTS_ARE_DATED_TO
    about = f"{event['detail']['name']} has a new value; service {service} of cluster {cluster}"
    if _newest_deployment(ecs, cluster, service) >= changed:
        print(f"{about} has been deployed since")  # noqa: T201  the function's log
        return
    ecs.update_service(cluster=cluster, service=service, forceNewDeployment=True)
    print(f"{about} is deployed again")  # noqa: T201  the function's log


def _newest_deployment(ecs: Any, cluster: str, service: str) -> datetime:  # noqa: ANN401  boto3 is untyped
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not found or found[0]["status"] != "ACTIVE":
        raise NoServiceError(
            f"Cluster {cluster} has no active service {service}: its tasks keep the old value. "
            "Check ecs.redeploy in the stack file."
        )
    newest: datetime = max(deployment["createdAt"] for deployment in found[0]["deployments"])
    return newest
