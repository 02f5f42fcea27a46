"""moto's ECS, where a deployment ends at once, because no task runs: it completes, or ends as a test has set.

Source: Amazon ECS API Reference, UpdateService, Deployment, ServiceEvent; Developer Guide, "How the Amazon
ECS deployment circuit breaker detects failures".
"""

import uuid
from typing import Any

from moto.core.utils import utcnow
from moto.ecs import urls
from moto.ecs.exceptions import ECSException
from moto.ecs.models import Service
from moto.ecs.responses import EC2ContainerServiceResponse

from tools.localcloud.emulator.ecs_outcomes import outcome_of

_ACTIVE = "ACTIVE"
_EVENTS_KEPT = 100


def take_the_place_of_motos() -> None:
    """Replace moto's ECS; call this before moto's first request."""
    urls.url_paths["{0}/$"] = Ecs.dispatch


class Ecs(EC2ContainerServiceResponse):
    """One request; moto calls the method that is named after its operation."""

    def create_service(self) -> Any:  # noqa: ANN401, D102  moto's own form
        answer = super().create_service()
        cluster = self._get_param("cluster", "default")
        services, _ = self.ecs_backend.describe_services(cluster, [self._get_param("serviceName")])
        for service in services:
            _run(service)
            for deployment in service.deployments:
                deployment.update(_completed(service, str(deployment["id"])))
        return answer

    def describe_services(self) -> Any:  # noqa: ANN401, D102  moto's own form
        cluster = self._get_param("cluster", "default")
        services, _ = self.ecs_backend.describe_services(cluster, self._get_param("services", []))
        for service in services:
            primary = next((one for one in service.deployments if one["status"] == "PRIMARY"), None)
            is_held = primary is not None and primary["rolloutState"] == "IN_PROGRESS"
            if primary is not None and is_held and outcome_of(service.name) == "completed":  # released
                service.deployments = [primary]
                _complete(service, primary)
        return super().describe_services()

    def update_service(self) -> Any:  # noqa: ANN401, D102  moto's own form
        cluster = self._get_param("cluster", "default")
        services, _ = self.ecs_backend.describe_services(cluster, [self._get_param("service")])
        if services and services[0].status != _ACTIVE:
            raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
        controlled = services[0].deployment_controller["type"] if services else "ECS"
        if self._get_param("forceNewDeployment") and controlled != "ECS":
            message = f"Cannot force a new deployment on services with a {controlled} deployment controller. "
            raise ECSException("InvalidParameterException", f"{message}Use AWS CodeDeploy to trigger one.")
        before = services[0].task_definition if services else None
        answer = super().update_service()
        if self._get_param("forceNewDeployment") or services[0].task_definition != before:
            _deploy(services[0])
        for service in services:
            _run(service)
        return answer


def _deploy(service: Service) -> None:
    """Replace the deployments by a new one, which ends at once; `events` has all of them, newest first."""
    outcome = outcome_of(service.name)
    before = [deployment for deployment in service.deployments if deployment["status"] == "PRIMARY"]
    made = _begun(service)
    name = made["id"]
    if outcome == "completed":
        service.deployments = [made]
        _complete(service, made)
        return
    service.deployments = [made, *({**one, "status": _ACTIVE} for one in before)]
    if outcome == "held":
        return
    reason = "ECS deployment circuit breaker: tasks failed to start."
    made |= {"rolloutState": "FAILED", "rolloutStateReason": reason, "failedTasks": 3}
    _tell(service, f"(service {service.name}) (deployment {name}) deployment failed: tasks failed to start.")
    if outcome == "rolled-back":
        back = _begun(service)
        origin = before[0]["id"] if before else name
        message = f"ECS deployment circuit breaker: rolling back to deploymentId {origin}."
        _tell(service, f"(service {service.name}) rolling back to deployment {origin}.")
        made["status"] = _ACTIVE
        service.deployments = [back, made]
        _complete(service, back)
        back["rolloutStateReason"] = message


def _begun(service: Service) -> dict[str, Any]:
    now, name = utcnow(), f"ecs-svc/{uuid.uuid4().int % 10**19:019d}"
    known = service.deployments[0] if service.deployments else {}
    return {
        **known,
        "id": name,
        "createdAt": now,
        "updatedAt": now,
        "status": "PRIMARY",
        "taskDefinition": service.task_definition,
        "failedTasks": 0,
        "runningCount": 0,
        "pendingCount": service.desired_count,
        "rolloutState": "IN_PROGRESS",
        "rolloutStateReason": f"ECS deployment {name} in progress.",
    }


def _complete(service: Service, deployment: dict[str, Any]) -> None:
    name = deployment["id"]
    deployment |= _completed(service, name)
    _tell(service, f"(service {service.name}) (deployment {name}) deployment completed.")


def _completed(service: Service, name: str) -> dict[str, Any]:
    return {
        "rolloutState": "COMPLETED",
        "rolloutStateReason": f"ECS deployment {name} completed.",
        "runningCount": service.desired_count,
        "pendingCount": 0,
    }


def _tell(service: Service, message: str) -> None:
    told = {"id": str(uuid.uuid4()), "createdAt": utcnow(), "message": message}
    service.events = [told, *service.events][:_EVENTS_KEPT]


def _run(service: Service) -> None:
    """Have as many tasks as wanted: those of the deployment, or of the one before it."""
    service.running_count, service.pending_count = service.desired_count, 0
