"""The real External Secrets Operator brings exactly the declared keys and values into the cluster.

RECORD=1 writes its answers to tests/manifests/recorded, from where `make test` replays them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
import yaml

from program.manifests.contract import Workload
from program.manifests.kubernetes import manifests
from program.manifests.pod import pod_part
from program.manifests.yaml_files import render
from tests.operators.cluster import ISSUER, Cluster, RejectedError, until
from tests.operators.conftest import World, trust
from tests.operators.programs import Programs
from tests.support import operators
from tests.support.operator_cases import (
    CASES,
    NAMESPACE,
    RECORDED,
    SERVICE_ACCOUNT,
    Case,
    shortened,
    text_of,
)

Answers: TypeAlias = dict[str, Any]

READING = [name for name, case in CASES.items() if not case.error]
FAILING = [name for name, case in CASES.items() if case.error]


def external_secrets(workload: Workload) -> list[str]:
    """Return the names of a workload's ExternalSecrets, which are those of its Kubernetes Secrets."""
    return [made["metadata"]["name"] for made in manifests(workload) if made["kind"] == "ExternalSecret"]


def data(cluster: Cluster, name: str) -> dict[str, str]:
    return {key: text_of(content) for key, content in cluster.data(name).items()}


def container(cluster: Cluster, workload: Workload) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables and files that a pod gets from the Secrets in the cluster."""
    found = {name: data(cluster, name) for name in external_secrets(workload)}
    pod = yaml.safe_load(render([pod_part(workload)]))
    variables, files = operators.container(pod, found, {})
    return variables, {path.removeprefix(f"{workload.mount_path}/"): text for path, text in files.items()}


@pytest.fixture(scope="module")
def reading(world: World) -> World:
    """A service account that can read every secret."""
    issuer = ISSUER.removeprefix("https://")
    claims = {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}",
    }
    iam = world.client("iam")
    role = iam.create_role(
        RoleName="reader",
        AssumeRolePolicyDocument=trust(
            {"Federated": world.provider}, "sts:AssumeRoleWithWebIdentity", {"StringEquals": claims}
        ),
    )["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    iam.put_role_policy(
        RoleName="reader",
        PolicyName="read",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    world.give_role(SERVICE_ACCOUNT, role)
    return world


def stored(world: World, values: Mapping[str, str | bytes], prefix: str) -> dict[str, str]:
    """Create secrets; return the ARN of each name."""
    made = {}
    for name, value in values.items():
        kind = "SecretString" if isinstance(value, str) else "SecretBinary"
        made[name] = world.client().create_secret(Name=f"{prefix}/{name}", **{kind: value})["ARN"]
    return made


@pytest.fixture(scope="module")
def workloads(reading: World) -> dict[str, tuple[Workload, dict[str, str]]]:
    """Every case's workload, applied, and the ARNs of its secrets."""
    found = {}
    for name, case in CASES.items():
        arns = stored(reading, case.secrets, name)
        found[name] = (case.workload(name, arns), arns)
        reading.cluster.apply(render(manifests(found[name][0])))
    return found


@pytest.fixture(scope="module")
def recorded(parts: Programs) -> Iterator[Answers]:
    """Return the recorded answers; with RECORD=1, record those of this run instead."""
    if not os.environ.get("RECORD"):
        yield json.loads(RECORDED.read_text())["answers"]
        return
    answers: Answers = {}
    yield answers
    RECORDED.parent.mkdir(exist_ok=True)
    written = {"versions": parts.versions, "answers": answers}
    RECORDED.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")


def assert_recorded(recorded: Answers, name: str, answer: object) -> None:
    if os.environ.get("RECORD"):
        recorded[name] = answer
    assert answer == recorded[name]


@pytest.mark.parametrize("name", READING)
def test_a_container_gets_exactly_the_declared_values(
    reading: World,
    workloads: dict[str, tuple[Workload, dict[str, str]]],
    recorded: Answers,
    name: str,
) -> None:
    case, (workload, _) = CASES[name], workloads[name]
    for made in external_secrets(workload):
        reading.cluster.synced(made)
    assert container(reading.cluster, workload) == (case.variables, case.texts)
    answer = {
        made.removeprefix(name): shortened(data(reading.cluster, made)) for made in external_secrets(workload)
    }
    assert_recorded(recorded, name, answer)


@pytest.mark.parametrize("name", FAILING)
def test_what_is_not_there_is_an_error_and_nothing_else(
    reading: World,
    workloads: dict[str, tuple[Workload, dict[str, str]]],
    recorded: Answers,
    name: str,
) -> None:
    case, (workload, arns) = CASES[name], workloads[name]
    [made] = external_secrets(workload)
    messages = reading.cluster.failed(made)
    # the operator may also have looked before the store was ready
    messages = [message for message in messages if case.error in message]
    assert messages
    for secret, arn in arns.items():
        messages = sorted({message.replace(arn, f"ARN({secret})") for message in messages})
    assert_recorded(recorded, name, messages)


def declared(world: World, name: str, value: Mapping[str, object], **fields: Any) -> tuple[Workload, str]:  # noqa: ANN401  any field of the contract
    """Apply a workload that reads all keys of a new secret one by one; return it with the secret's ARN."""
    arn = stored(world, {"app": json.dumps(value)}, name)["app"]
    case = Case(secrets={}, environment={key: ("app", key) for key in value})
    workload = replace(case.workload(name, {"app": arn}), **fields)
    world.cluster.apply(render(manifests(workload)))
    world.cluster.synced(workload.environment_secret)
    return workload, arn


def put(world: World, arn: str, value: Mapping[str, object]) -> None:
    world.client().put_secret_value(SecretId=arn, SecretString=json.dumps(value))


def test_the_next_refresh_brings_a_rotated_value(reading: World) -> None:
    workload, arn = declared(reading, "rotated", {"A": "before", "B": "b"}, refresh_seconds=1)
    put(reading, arn, {"A": "after", "B": "b"})
    until(
        lambda: data(reading.cluster, workload.environment_secret) == {"A": "after", "B": "b"},
        "the operator did not refresh",
    )


def test_a_key_that_is_removed_in_aws_keeps_its_last_value(reading: World) -> None:
    workload, arn = declared(reading, "removed", {"A": "one", "B": "two"})
    name = workload.environment_secret
    put(reading, arn, {"A": "new"})
    messages = reading.cluster.failed(name)
    assert any("key B does not exist" in message for message in messages), messages
    assert data(reading.cluster, name) == {"A": "one", "B": "two"}
    put(reading, arn, {"A": "new", "B": "back"})
    reading.cluster.synced(name)
    assert data(reading.cluster, name) == {"A": "new", "B": "back"}


def test_a_key_that_is_no_longer_declared_leaves_the_cluster(reading: World) -> None:
    workload, _ = declared(reading, "undeclared", {"A": "one", "B": "two"})
    fewer = replace(workload, environment={"A": workload.environment["A"]})
    reading.cluster.apply(render(manifests(fewer)))
    reading.cluster.synced(workload.environment_secret)
    assert data(reading.cluster, workload.environment_secret) == {"A": "one"}


def test_whole_secrets_follow_keys_that_come_and_go(reading: World) -> None:
    arn = stored(reading, {"app": '{"A": "one", "B": "two"}'}, "come-and-go")["app"]
    workload = Case(secrets={}, whole=("app",)).workload("come-and-go", {"app": arn})
    reading.cluster.apply(render(manifests(workload)))
    for value in ({"A": "one", "B": "two"}, {"B": "new", "ADDED": "by hand"}):
        put(reading, arn, value)
        reading.cluster.synced(workload.environment_from_secret)
        assert data(reading.cluster, workload.environment_from_secret) == value


def test_another_service_account_reads_nothing(reading: World) -> None:
    """The role trusts one service account; the store of another one gets no credentials."""
    arn = stored(reading, {"app": '{"A": "one"}'}, "another")["app"]
    role = reading.client("iam").get_role(RoleName="reader")["Role"]["Arn"]
    reading.give_role("another", role)
    workload = replace(
        Case(secrets={}, environment={"A": ("app", "A")}).workload("another", {"app": arn}),
        service_account="another",
    )
    reading.cluster.apply(render(manifests(workload)))
    assert reading.cluster.failed(workload.environment_secret)
    with pytest.raises(RejectedError, match="not found"):
        reading.cluster.data(workload.environment_secret)
