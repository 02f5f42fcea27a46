"""AWS's limits on names and documents, checked before anything is declared."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime import set_all_config

from components import read_access
from components.encryption_key import EncryptionKeyArgs, key_policy
from components.function_parts import FunctionSettings
from components.postgres_login import Server
from components.rotation_function import AdminServer, RotationFunctionArgs
from program import limits, size_limits
from program.arns import Account
from program.aws_lookups import AdminSecret, DatabaseServer, Servers
from program.desired import Desired, resolve
from stack_file import StackFile
from tests.support.recorded_run import MASTER_ARN, Recording, run

ACCOUNT = Account("123456789012", "aws", "us-east-1")
UPDATING = {
    "updateRole": "arn:aws:iam::123456789012:role/update",
    "permissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
}


@pytest.fixture(autouse=True)
def _stack() -> Iterator[None]:
    set_all_config({}, [])
    yield
    set_all_config({}, [])


def stack_file(stack: str = "test", **settings: object) -> Desired:
    secrets: dict[str, Any] = {"a": {"values": {"A": {"random": {}}}}}
    declared = StackFile.model_validate_json(json.dumps({"secrets": secrets, **settings}))
    return resolve(declared, "aws-secrets", stack)


def passed(declared: Desired) -> list[str]:
    """Return all limits that a stack exceeds, with their paths."""
    return [
        f"{found.path}: {found.wrong}. {found.consequence}"
        for found in limits.mistakes(declared, ACCOUNT, Servers(), {})
    ]


def reading(platform: dict[str, Any]) -> dict[str, Any]:
    return {**platform, "environment": {"A": {"secret": "a"}}}


@pytest.mark.parametrize(
    ("settings", "platform", "longest"),
    [
        ({}, {"ecs": {}}, 51),
        (UPDATING, {"ecs": {}}, 51 - len("aws-secrets-test_")),
        ({}, {"ecs": {"role": "tasks"}}, 63),
    ],
)
def test_a_workloads_name_fits_into_its_roles_and_policies(
    settings: dict[str, str], platform: dict[str, Any], longest: int
) -> None:
    assert passed(stack_file(workloads={"w" * longest: reading(platform)}, **settings)) == []
    if longest < 63:  # the longest possible name of a workload
        name = "w" * (longest + 1)
        [found] = passed(stack_file(workloads={name: reading(platform)}, **settings))
        assert (
            found == f"aws-secrets:workloads.{name}: its role's name would have 65 characters. IAM accepts 64"
        )


def test_the_longest_name_includes_the_engines_suffix() -> None:
    recording: Recording = run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": {"a": {"values": {"A": {"random": {}}}}},
            "aws-secrets:workloads": {"w" * 51: reading({"ecs": {}})},
        }
    )
    [role] = [found for found in recording.resources if found.type == "aws:iam/role:Role"]
    assert len(f"{role.name}-1234567") == size_limits.MAX_ROLE_NAME


def test_names_are_not_checked_with_the_operators_own_pattern() -> None:
    set_all_config({"pulumi:autonaming": '{"mode": "verbatim"}'}, [])
    assert passed(stack_file(workloads={"w" * 60: reading({"ecs": {}})})) == []


def test_a_stacks_name_fits_into_its_functions_names() -> None:
    longest = 64 - len("aws-secrets-_writer-function-1234567")
    assert passed(stack_file("s" * longest, initialValues="managed", **UPDATING)) == []
    [found] = passed(stack_file("s" * (longest + 1), initialValues="managed", **UPDATING))
    assert found.startswith("aws-secrets:updateRole: with the names of project and stack, a function's name")
    assert found.endswith("would have 65 characters. Lambda accepts 64")


def test_a_rotation_function_has_4096_bytes_of_variables() -> None:
    def wrong(servers: int, authorities: int) -> list[str]:
        args = RotationFunctionArgs(
            common=FunctionSettings(account_id="123456789012", partition="aws", region="us-east-1"),
            archive="",
            handler="",
            secret_names=["a"],
            admin_servers=[
                AdminServer(secret_arn=MASTER_ARN, host=f"{number}.example", port=5432)
                for number in range(servers)
            ],
            certificate_authorities="x" * authorities,
        )
        return [found.wrong for found in size_limits.of_environment(args, "aws-secrets:secrets.a")]

    empty = len('{"ADMINISTRATOR_SERVERS":"","DATABASE_CA_PEM":""}')
    rest = 4_096 - empty - (33 * 17 - 1)
    assert wrong(33, rest) == []
    [found] = wrong(33, rest + 1)
    assert "would have 4097 bytes" in found
    assert "and 33 servers" in found
    assert wrong(34, rest)


def test_too_many_roles_for_the_key_policy_are_rejected() -> None:
    declared = stack_file()

    def roles(count: int, longer: int) -> set[str]:
        names = [f"reader-{number:03}" for number in range(count)]
        names[-1] += "x" * longer
        return {f"arn:aws:iam::210987654321:role/{name}" for name in names}

    def size(found: set[str]) -> int:
        args = EncryptionKeyArgs(
            account_id="123456789012",
            partition="aws",
            region="us-east-1",
            alias="",
            description="",
            reader_arns=sorted(found),
        )
        return len(json.dumps(json.loads(key_policy(args)), separators=(",", ":")))

    count = next(n for n in range(500, 900) if size(roles(n + 1, 0)) > size_limits.MAX_KEY_POLICY)
    rest = size_limits.MAX_KEY_POLICY - size(roles(count, 0))
    assert not list(size_limits.of_stack_key(declared, ACCOUNT, {"a": roles(count, rest)}))
    [found] = size_limits.of_stack_key(declared, ACCOUNT, {"a": roles(count, rest + 1)})
    assert "would have 32769 bytes" in found.wrong
    assert f"with {count} roles" in found.wrong
    # a secret with another key does not count
    assert not list(size_limits.of_stack_key(declared, ACCOUNT, {"b": roles(count, rest + 1)}))


def test_a_logins_own_keys_count_in_its_size() -> None:
    server = Server(engine="postgres", host="db.example", port=5432)
    found = DatabaseServer(
        server=server,
        network=None,
        admin=AdminSecret(arn=MASTER_ARN, kms_key_arn=None),
        certificate_authorities="",
        reader_host="ro.example",
    )

    def wrong(length: int) -> list[str]:
        login = {
            "username": "web",
            "database": "shop",
            "readerUrl": True,
            "values": {"A": {"value": "x" * length}},
        }
        declared = stack_file(databases={"main": {"auroraCluster": "c", "logins": {"db": login}}})
        return [each.wrong for each in size_limits.of_login_values(declared, {"main": found})]

    password = "x" * 40
    own = {
        "engine": "postgres",
        "host": "db.example",
        "port": "5432",
        "dbname": "shop",
        "username": "web",
        "masterarn": MASTER_ARN,
        "password": password,
        "DATABASE_URL": f"postgres://web:{password}@db.example:5432/shop?sslmode=verify-full",
        "DATABASE_READER_URL": f"postgres://web:{password}@ro.example:5432/shop?sslmode=verify-full",
        "A": "",
    }
    rest = 65_536 - len(json.dumps(own))
    assert wrong(rest) == []
    [found_wrong] = wrong(rest + 1)
    assert "at least 65537 bytes, including the login's own keys" in found_wrong


def test_the_longest_names_fit_into_every_trust_policy() -> None:
    """IAM accepts trust policies of 2,048 characters."""
    arn = f"arn:aws:iam::123456789012:oidc-provider/{'x' * 255}"
    readers = (
        read_access.ServiceAccount(oidc_provider_arn=arn, namespace="n" * 63, name="s" * 253),
        read_access.PodIdentity(cluster="c" * 100, namespace="n" * 63, name="s" * 253),
        read_access.AssumedBy(role_arn=f"arn:aws:iam::123456789012:role/{'x' * 576}"),
        read_access.EcsTasks(),
    )
    for reader in readers:
        args = read_access.ReadAccessArgs(
            account_id="123456789012",
            partition="aws-us-gov",
            region="us-gov-east-1",
            reader=reader,
            secret_arns=(),
        )
        assert len("".join(read_access.trust(args, reader).split())) <= 2_048
