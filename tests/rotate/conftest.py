"""Secrets, ECS services and a rotation function on the emulator, without the engine."""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.renewal.model import Deployment
from operations.rotate import command
from tests.support.command_line import CommandLine, Done
from tests.support.emulator_functions import client, deploy, until, zipped
from tests.support.emulator_process import Emulator, running_emulator

CLUSTER = "shop"
ROTATING = """
import json, secrets, boto3

def handle(event, _):
    client, arn, token = boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"]
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    if event["Step"] == "createSecret" and "AWSPENDING" in stages[token]:
        try:
            client.get_secret_value(SecretId=arn, VersionId=token)
        except client.exceptions.ResourceNotFoundException:
            value, labels = json.dumps({"KEY": "value-" + secrets.token_hex(16)}), ["AWSPENDING"]
            if "deferred" in arn:
                value = client.get_secret_value(SecretId=arn)["SecretString"]
                labels.append("aws-secrets-deferral:%d:1700000000" % len(stages))
            client.put_secret_value(
                SecretId=arn, ClientRequestToken=token, SecretString=value, VersionStages=labels
            )
    if event["Step"] == "finishSecret" and current != token:
        client.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
"""
ROTATES: dict[str, Any] = {"values": {"KEY": {"random": {}}}, "rotation": {"keys": ["KEY"]}}


def reader(*after: str, service: str | None = None, **restart: Any) -> dict[str, Any]:
    """Return a workload on ECS that only the command restarts."""
    return {
        "ecs": {"redeploy": {"cluster": CLUSTER, "service": service, "automatic": False}} if service else {},
        "environment": {"KEY": {"secret": "app"}},
        "restart": {"after": list(after), "timeoutSeconds": 2, "watchSeconds": 0, **restart},
    }


@dataclass(frozen=True)
class World:
    """`folder` holds the file of stack `test`."""

    emulator: Emulator
    folder: Path
    function: str
    line: CommandLine

    def client(self, service: str = "secretsmanager") -> Any:
        return client(self.emulator, service)

    def declare(self, workloads: Mapping[str, Any], **secrets: Any) -> None:
        """Write the stack file, and create what it names."""
        declared = secrets or {"app": ROTATES}
        self.write(workloads, declared)
        for name in declared:
            self.secret(name)
        for workload in workloads.values():
            if service := (workload.get("ecs") or {}).get("redeploy"):
                self.service(service["service"])

    def write(self, workloads: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
        config = {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": dict(declared),
            "aws-secrets:workloads": dict(workloads),
        }
        (self.folder / "Pulumi.test.yaml").write_text(yaml.safe_dump({"config": config}, sort_keys=False))

    def secret(self, name: str) -> None:
        manager = self.client()
        manager.create_secret(Name=name, SecretString=json.dumps({"KEY": "value-first"}))
        manager.rotate_secret(
            SecretId=name,
            RotationLambdaARN=self.function,
            RotationRules={"AutomaticallyAfterDays": 30},
            RotateImmediately=False,
        )
        until(lambda: "AWSPENDING" not in str(self.stages(name)))

    def service(self, name: str, **more: Any) -> None:
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName=CLUSTER)
        container = {"name": "web", "image": "web", "memory": 64}
        ecs.register_task_definition(family="web", containerDefinitions=[container])
        ecs.create_service(
            cluster=CLUSTER,
            serviceName=name,
            taskDefinition="web",
            desiredCount=more.pop("desired", 1),
            **more,
        )
        self.outcome(name, "completed")

    def outcome(self, service: str, outcome: str) -> None:
        """Set how the service's deployments end."""
        body = json.dumps({"Service": service, "Outcome": outcome}).encode()
        request = urllib.request.Request(f"{self.emulator.endpoint}/_localcloud/ecs-deployments", data=body)
        with urllib.request.urlopen(request, timeout=60):
            pass

    def stages(self, name: str = "app") -> dict[str, list[str]]:
        found: dict[str, list[str]] = self.client().describe_secret(SecretId=name)["VersionIdsToStages"]
        return found

    def current(self, name: str = "app") -> str:
        return next(version for version, labels in self.stages(name).items() if "AWSCURRENT" in labels)

    def value(self, name: str = "app") -> str:
        return str(self.client().get_secret_value(SecretId=name)["SecretString"])

    def begun(self, *services: str) -> list[datetime]:
        """Return when the newest deployments of services began."""
        found = self.client("ecs").describe_services(cluster=CLUSTER, services=list(services))["services"]
        newest = {one["serviceName"]: max(each["createdAt"] for each in one["deployments"]) for one in found}
        return [newest[service] for service in services]

    def deployments(self, *services: str) -> list[int]:
        """Return how many deployments of services have ended since they were created."""
        found = self.client("ecs").describe_services(cluster=CLUSTER, services=list(services))["services"]
        ended = {
            one["serviceName"]: sum("(deployment ecs-svc/" in event["message"] for event in one["events"])
            for one in found
        }
        return [ended[service] for service in services]

    def arguments(self, *arguments: str) -> list[str]:
        return [*arguments, "--stack", "test", "--cwd", str(self.folder)]

    def run(self, *arguments: str, **environment: str) -> Done:
        return self.line.run(
            self.arguments(*arguments), {**os.environ, **self.emulator.environment, **environment}
        )


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as running:
        yield running


@pytest.fixture(scope="session")
def function(emulator: Emulator) -> str:
    arn = deploy(emulator, "rotation-function-1234567", zipped(ROTATING))
    client(emulator, "lambda").add_permission(
        FunctionName=arn,
        StatementId="AllowSecretsManager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    return arn


@pytest.fixture
def world(
    emulator: Emulator,
    function: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[World]:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    made = World(emulator, tmp_path, function, CommandLine(command.main, monkeypatch, capfd))
    # what the engine would read from the state
    monkeypatch.setattr(command, "deployment_of", _deployment(function))
    yield made
    manager, ecs = made.client(), made.client("ecs")
    for secret in manager.list_secrets()["SecretList"]:
        manager.delete_secret(SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)
    for arn in ecs.list_services(cluster=CLUSTER)["serviceArns"] if _has_cluster(ecs) else ():
        ecs.delete_service(cluster=CLUSTER, service=arn, force=True)


def _deployment(function: str) -> Callable[..., Deployment]:
    def known(_desired: object, _target: object, _names: Sequence[str]) -> Deployment:
        return Deployment(functions={None: function})

    return known


def _has_cluster(ecs: Any) -> bool:
    return bool(ecs.list_clusters()["clusterArns"])
