"""Permissions that requests to ECS need: the action and its resource.

Source: Service Authorization Reference.
"""

from collections.abc import Iterator

from tools.localcloud.emulator.needs import Asked, Need

_OF_SERVICE = {"CreateService", "DeleteService", "DescribeServices", "UpdateService"}
_OF_CLUSTER = {"CreateCluster", "DeleteCluster", "DescribeClusters", "UpdateCluster"}


def needed(asked: Asked) -> Iterator[Need]:
    """Yield the needs of a request: resources are known for services and clusters."""
    body = asked.body
    if body.get("resourceArn"):
        yield asked.need(str(body["resourceArn"]))
        return
    clusters = [body.get("cluster") or body.get("clusterName") or "default"]
    if asked.name in _OF_CLUSTER:
        for cluster in body.get("clusters") or clusters:
            yield asked.need(_cluster(asked, str(cluster)))
        return
    cluster = _cluster(asked, str(clusters[0]))
    if asked.name not in _OF_SERVICE:
        yield asked.need("*" if asked.name.startswith("List") else None, ecs__cluster=cluster)
        return
    for service in body.get("services") or [body.get("service") or body.get("serviceName")]:
        name = str(service).rpartition("/")[2]
        arn = f"{cluster.replace(':cluster/', ':service/')}/{name}"
        yield asked.need(arn, ecs__cluster=cluster)


def _cluster(asked: Asked, cluster: str) -> str:
    return cluster if cluster.startswith("arn:") else asked.arn(f"cluster/{cluster}")
