"""ECS services on the local cloud, and how often they were deployed."""

from tests.support.stacks import Stack

CLUSTER, SERVICE = "shop", "web"


def service(stack: Stack, name: str = SERVICE) -> None:
    ecs = stack.client("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    container = {"name": "web", "image": "web", "memory": 64}
    task = ecs.register_task_definition(family="web", containerDefinitions=[container])
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=task["taskDefinition"]["taskDefinitionArn"],
        desiredCount=1,
    )


def deployments(stack: Stack, name: str = SERVICE) -> int:
    """Return the number of deployments since the service was created."""
    [found] = stack.client("ecs").describe_services(cluster=CLUSTER, services=[name])["services"]
    return sum("deployment completed" in event["message"] for event in found["events"])
