"""Deploy ECS services again, and find out how that went.

When the circuit breaker of ECS rolls a failed deployment back, the rollback is a new deployment, becomes the
primary one and completes: "the service is stable" does not show that the deployment succeeded. So a
deployment is followed by its id.

Source: Amazon ECS API Reference, UpdateService (forceNewDeployment), Deployment (rolloutState); Developer
Guide, "How the Amazon ECS deployment circuit breaker detects failures".
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from operations.renewal.model import Failure
from stack_file.workloads import Redeploy

_ROLLBACK = "rolling back"
PRIMARY = "PRIMARY"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a deployment.

    Attributes:
        state: `replaced` if another deployment has become the primary one.
        reason: why it is not done, as part of a sentence.
        primary: id of the service's primary deployment.
    """

    state: Literal["done", "running", "failed", "replaced"]
    reason: str = ""
    primary: str = ""


def describe(ecs: Any, service: Redeploy) -> dict[str, Any]:  # noqa: ANN401  boto3 is untyped
    """Return a service as ECS describes it.

    Raises:
        Failure: it does not exist, or was deleted.
        botocore.exceptions.ClientError: AWS rejected the request.
    """
    found = ecs.describe_services(cluster=service.cluster, services=[service.service])["services"]
    if not found or found[0]["status"] != "ACTIVE":
        raise Failure(
            f"Cluster {service.cluster} has no active service {service.service}. Correct ecs.redeploy in the "
            "stack file, and deploy the right service again by hand."
        )
    return dict(found[0])


def newest(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the newest deployment of a service; empty if it has none."""
    return dict(max(found["deployments"], key=lambda one: one["createdAt"], default={}))


def has_read(found: Mapping[str, Any], changed: datetime) -> bool:
    """Return whether the service's tasks have started since a secret changed, and all earlier ones ended."""
    latest = newest(found)
    return bool(latest) and latest["createdAt"] > changed and progress(found, latest["id"]).state == "done"


def deploy(ecs: Any, service: Redeploy, changed: datetime) -> str:  # noqa: ANN401  boto3 is untyped
    """Have a service start new tasks, unless it does so already; return the id of the deployment.

    A failed deployment, and one that only rolls back a failed one, do not count.

    Raises:
        Failure: the service does not exist.
        botocore.exceptions.ClientError: AWS rejected a request.
    """
    found = describe(ecs, service)
    latest = newest(found)
    if latest and latest["createdAt"] > changed and not _is_failed(latest) and not is_rollback(latest):
        return str(latest["id"])
    before = {one["id"] for one in found["deployments"]}
    answer = ecs.update_service(cluster=service.cluster, service=service.service, forceNewDeployment=True)
    begun = [one for one in answer["service"]["deployments"] if one["id"] not in before]
    if not begun:
        raise Failure(
            f"ECS began no deployment of service {service.cluster}/{service.service}. The service must use "
            "rolling updates by ECS. Deploy it again the way it is deployed."
        )
    # a rollback, or another deployment, may have followed already
    ours = [one for one in begun if not is_rollback(one)] or begun
    return str(min(ours, key=lambda one: one["createdAt"])["id"])


def progress(found: Mapping[str, Any], deployment: str) -> Progress:
    """Return the progress of a deployment, from its service's description."""
    known = {str(one["id"]): one for one in found["deployments"]}
    primary = next((one for one in known.values() if one["status"] == PRIMARY), None)
    ours, main = known.get(deployment), str(primary["id"]) if primary else ""
    if ours is not None and _is_failed(ours):
        return Progress(state="failed", reason=f"ECS reports: {_reason(ours)}", primary=main)
    if primary is None:
        return Progress(state="running", reason="the service has no primary deployment")
    if main != deployment:
        reason = f"another deployment ({main}) has taken its place: {_reason(primary)}"
        return Progress(state="failed" if is_rollback(primary) else "replaced", reason=reason, primary=main)
    # those of the deployment itself: tasks of the one before it do not count
    running, desired = int(primary.get("runningCount", 0)), int(found["desiredCount"])
    # deployments behind a Classic Load Balancer have no rolloutState
    is_done = primary.get("rolloutState", "COMPLETED") == "COMPLETED" and len(_active(known)) == 1
    if is_done and running == desired:
        return Progress(state="done", primary=main)
    text = f"{running} of {desired} tasks are running"
    if primary.get("failedTasks"):
        text += f", and {primary['failedTasks']} could not start"
    return Progress(state="running", reason=text, primary=main)


def is_rollback(deployment: Mapping[str, Any]) -> bool:
    """Return whether ECS began a deployment itself, because an earlier one had failed."""
    return _ROLLBACK in str(deployment.get("rolloutStateReason", ""))


def last_event(found: Mapping[str, Any]) -> str:
    """Return the newest message of ECS about a service."""
    return next((str(event["message"]) for event in found.get("events", ())), "nothing")


def redeploying(service: Redeploy) -> str:
    """Return the command that deploys a service again."""
    return (
        f"aws ecs update-service --cluster {shlex.quote(service.cluster)} --service "
        f"{shlex.quote(service.service)} --force-new-deployment"
    )


def describing(service: Redeploy) -> str:
    """Return the command that shows the newest messages of ECS about a service."""
    return (
        f"aws ecs describe-services --cluster {shlex.quote(service.cluster)} --services "
        f"{shlex.quote(service.service)} --query 'services[].events[:5].message'"
    )


def words(service: Redeploy) -> str:
    """Return how messages name a service."""
    return f"ECS service {service.cluster}/{service.service}"


def _is_failed(deployment: Mapping[str, Any]) -> bool:
    return deployment.get("rolloutState") == "FAILED"


def _reason(deployment: Mapping[str, Any]) -> str:
    return str(deployment.get("rolloutStateReason") or "no reason given").rstrip(".")


def _active(deployments: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the deployments that still have tasks; failed ones without any stay listed for a while."""
    return [one for one in deployments.values() if one["status"] == PRIMARY or one.get("runningCount")]
