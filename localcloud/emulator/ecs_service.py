"""ECS: moto's, where a deployment is over at once, because no task really runs.

Source: Amazon ECS API Reference, UpdateService, Deployment, ServiceEvent.
"""

import uuid
from typing import Any

from moto.core.utils import utcnow
from moto.ecs import urls
from moto.ecs.exceptions import ECSException
from moto.ecs.models import Service
from moto.ecs.responses import EC2ContainerServiceResponse

_ACTIVE = "ACTIVE"
_EVENTS_KEPT = 100


def take_the_place_of_motos() -> None:
    """Before moto's first request."""
    urls.url_paths["{0}/$"] = Ecs.dispatch


class Ecs(EC2ContainerServiceResponse):
    """One request; moto calls the method that is named after its operation."""

    def update_service(self) -> Any:  # noqa: ANN401, D102  moto's own form
        cluster = self._get_param("cluster", "default")
        services, _ = self.ecs_backend.describe_services(cluster, [self._get_param("service")])
        if services and services[0].status != _ACTIVE:
            raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
        before = services[0].task_definition if services else None
        answer = super().update_service()
        if self._get_param("forceNewDeployment") or services[0].task_definition != before:
            _deploy(services[0])
        return answer


def _deploy(service: Service) -> None:
    """A deployment in the place of those before it; `events` remembers them all, newest first."""
    now = utcnow()
    made = f"ecs-svc/{uuid.uuid4().int % 10**19:019d}"
    for deployment in service.deployments[:1]:
        deployment |= {
            "id": made,
            "createdAt": now,
            "updatedAt": now,
            "status": "PRIMARY",
            "taskDefinition": service.task_definition,
            "rolloutState": "COMPLETED",
            "rolloutStateReason": f"ECS deployment {made} completed.",
        }
        service.deployments = [deployment]
        message = f"(service {service.name}) (deployment {made}) deployment completed."
        told = {"id": str(uuid.uuid4()), "createdAt": now, "message": message}
        service.events = [told, *service.events][:_EVENTS_KEPT]
