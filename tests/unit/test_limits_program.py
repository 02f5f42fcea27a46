"""AWS's limits, checked before anything is declared."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import read_access, role_policies, rotation_function, value_writer
from components.function_parts import FunctionSettings
from program import limits
from program.arns import Account
from program.aws_lookups import Servers
from program.desired import resolve
from stack_file import Mistake, SettingsError, StackFile
from tests.support.recorded_run import Recording, run

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
POLICY = "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
LONG = 430  # long names fill policies with few secrets
FOREIGN = "arn:aws:iam::210987654321:role/team/reader-{:03}"


def characters(policy: str) -> int:
    return len("".join(policy.split()))


def stack(secrets: dict[str, Any], **more: Any) -> Recording:  # noqa: ANN401  whatever a stack file holds
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": secrets,
            **{f"aws-secrets:{key}": value for key, value in more.items()},
        }
    )


def many(count: int, longer: int = 0, length: int = 10, **more: Any) -> dict[str, Any]:  # noqa: ANN401  as below
    """Return secrets with names of `length` characters; the last ones are longer by `longer` in total."""
    names = [f"secret-{number:03}".ljust(length, "x") for number in range(count)]
    for place in range(count - 1, -1, -1):
        added = min(longer, 512 - length)
        names[place] += "x" * added
        longer -= added
    return {name: {"values": {"A": {"random": {}}}, **more} for name in names}


def reading(secrets: dict[str, Any], role: str | None = None) -> dict[str, Any]:
    variables = {f"V{number}": {"secret": name, "key": "A"} for number, name in enumerate(secrets)}
    return {"environment": variables, "ecs": {"role": role} if role else {}}


def refused(secrets: dict[str, Any], **more: Any) -> str:  # noqa: ANN401  whatever a stack file holds
    with pytest.raises(SettingsError) as error:
        stack(secrets, **more)
    return str(error.value)


def as_reader(secrets: dict[str, Any]) -> dict[str, Any]:
    return {"secrets": secrets, "encryption": "aws-managed", "workloads": {"web": reading(secrets)}}


def as_written(secrets: dict[str, Any]) -> dict[str, Any]:
    # without a KMS key, whose ID is longer in AWS than in a recorded run
    return {"secrets": secrets, "encryption": "aws-managed", "initialValues": "managed"}


def as_rotated(secrets: dict[str, Any]) -> dict[str, Any]:
    rotated = {name: {**secret, "rotation": {"keys": ["A"]}} for name, secret in secrets.items()}
    return {"secrets": rotated, "encryption": "aws-managed"}


def passed(secrets: dict[str, Any], **more: Any) -> list[Mistake]:  # noqa: ANN401  as above
    """Return the limits that a stack exceeds, without running the program."""
    declared = StackFile.model_validate_json(json.dumps({"secrets": secrets, **more}))
    desired = resolve(declared, "aws-secrets", "test")
    return limits.mistakes(desired, Account("123456789012", "aws", "us-east-1"), Servers(), {})


Division = Callable[[list[str]], role_policies.Division]
Declare = Callable[[dict[str, Any]], dict[str, Any]]
FUNCTIONS = FunctionSettings(account_id="123456789012", partition="aws", region="us-east-1")


def for_reader(names: list[str]) -> role_policies.Division:
    return read_access.division(
        read_access.ReadAccessArgs(
            account_id=FUNCTIONS.account_id,
            partition=FUNCTIONS.partition,
            region=FUNCTIONS.region,
            reader=read_access.EcsTasks(),
            secret_arns=(),
            secret_names=names,
        )
    )


def for_writer(names: list[str]) -> role_policies.Division:
    args = value_writer.ValueWriterArgs(
        common=FUNCTIONS, code=pulumi.AssetArchive({}), handler="", secret_names=names
    )
    return value_writer.division("writer", args)


def for_rotation(names: list[str]) -> role_policies.Division:
    args = rotation_function.RotationFunctionArgs(
        common=FUNCTIONS, archive="", handler="", secret_names=names
    )
    return rotation_function.division("rotation", args)


def attached(recording: Recording, name: str) -> list[dict[str, Any]]:
    """Return a role's policies, the inline one first, after checking their sizes and dependencies."""
    inline = recording.only(ROLE_POLICY, f"{name}-policy")
    managed = [found for found in recording.resources if found.type == POLICY and found.name.startswith(name)]
    before = frozenset[str]()
    for policy in managed:  # in reverse order
        attachment = recording.only(ATTACHMENT, policy.name)
        assert attachment.inputs["policyArn"] == f"arn:aws:iam::123456789012:policy/{policy.name}"
        assert attachment.inputs["role"] == inline.inputs["role"]
        assert before <= policy.dependencies
        assert characters(policy.inputs["policy"]) <= role_policies.MOST_MANAGED
        before = frozenset({attachment.urn})
    assert before <= inline.dependencies
    assert characters(inline.inputs["policy"]) <= role_policies.MOST_INLINE
    assert [policy.name for policy in reversed(managed)] == [
        f"{name}-policy-{number}" for number in range(2, len(managed) + 2)
    ]
    return [json.loads(found.inputs["policy"]) for found in [inline, *reversed(managed)]]


def resources(policies: list[dict[str, Any]], sid: str) -> list[list[str]]:
    """Return the resources of the statements with this Sid, in each policy."""
    return [
        statement["Resource"]
        for policy in policies
        for statement in policy["Statement"]
        if statement["Sid"] == sid
    ]


@pytest.mark.parametrize(
    ("declare", "division", "name", "sid"),
    [
        (as_reader, for_reader, "web", "ReadTheseSecrets"),
        (as_written, for_writer, "writer", "WriteTheseSecrets"),
        (as_rotated, for_rotation, "rotation", "RotateTheseSecrets"),
    ],
)
def test_one_character_too_many_makes_a_second_policy(
    declare: Declare, division: Division, name: str, sid: str
) -> None:
    count = next(n for n in range(1, 99) if division([*many(n + 1, 0, LONG)]).managed)
    rest = role_policies.MOST_INLINE - division([*many(count, 0, LONG)]).whole
    fitting, more = many(count, rest, LONG), many(count, rest + 1, LONG)
    assert division([*fitting]).sizes == [role_policies.MOST_INLINE]
    [whole] = resources(attached(stack(**declare(fitting)), name), sid)
    assert len(whole) == count
    first, second = resources(attached(stack(**declare(more)), name), sid)
    assert len({*first, *second}) == count
    assert {*first} & {*second} == {first[-1]}


@pytest.mark.parametrize(
    ("declare", "division", "path", "about"),
    [
        (as_reader, for_reader, "aws-secrets:workloads.web", "reads {} secrets"),
        (as_written, for_writer, "aws-secrets:secrets.secret-", "is one of {} secrets whose values"),
        (
            as_rotated,
            for_rotation,
            "aws-secrets:secrets.secret-",
            "is one of {} secrets that one function",
        ),
    ],
)
def test_one_character_over_ten_managed_policies_is_rejected(
    declare: Declare, division: Division, path: str, about: str
) -> None:
    count = next(n for n in range(100, 199) if division([*many(n + 1, 0, LONG)]).managed > 10)
    rest = role_policies.MOST_MANAGED - division([*many(count, 0, LONG)]).sizes[-1]
    fitting, more = many(count, rest, LONG), many(count, rest + 1, LONG)
    assert division([*fitting]).sizes[-1] == role_policies.MOST_MANAGED
    assert division([*fitting]).managed == 10
    if declare is as_reader:
        assert len(attached(stack(**declare(fitting)), "web")) == 11
    message = refused(**declare(more))
    assert path in message
    assert about.format(count) in message
    assert f"would have {division([*more]).whole} characters" in message
    assert "IAM accepts 10240 for one role, and 10 managed policies of 6144 each" in message


def test_an_existing_role_keeps_room_for_four_other_policies() -> None:
    count = next(n for n in range(50, 199) if for_reader([*many(n + 1, 0, LONG)]).managed > 6)
    fitting, more = many(count, 0, LONG), many(count + 1, 0, LONG)
    assert for_reader([*fitting]).managed == 6
    assert passed(fitting, encryption="aws-managed", workloads={"web": reading(fitting, "tasks")}) == []
    message = refused(more, encryption="aws-managed", workloads={"web": reading(more, "tasks")})
    assert "and 6 managed policies of 6144 each; 4 more are left to the role's owner" in message


def test_each_policy_grants_only_its_own_secrets_keys() -> None:
    keys = [f"arn:aws:kms:us-east-1:123456789012:key/{number:036}" for number in range(2)]
    secrets = many(24, 0, LONG)
    for number, secret in enumerate(secrets.values()):
        secret["encryption"] = keys[number >= 12]
    policies = attached(stack(secrets, workloads={"web": reading(secrets)}), "web")
    assert len(policies) > 2
    for policy in policies:
        read, *decrypt = policy["Statement"]
        names = [arn.rpartition(":")[2].rpartition("-")[0] for arn in read["Resource"]]
        needed = {secrets[name]["encryption"] for name in names}
        assert {statement["Resource"] for statement in decrypt} == needed
        for statement in decrypt:
            context = statement["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"]
            assert context == read["Resource"]


def test_keys_of_written_secrets_are_divided_too() -> None:
    secrets = many(60)
    for number, secret in enumerate(secrets.values()):
        secret["encryption"] = f"arn:aws:kms:us-east-1:123456789012:key/{number:036}"
    policies = attached(stack(secrets, initialValues="managed"), "writer")
    keys = [
        statement["Resource"]
        for policy in policies
        for statement in policy["Statement"]
        if statement["Sid"].startswith("UseKey")
    ]
    assert len(policies) > 1
    assert len(set(keys)) == 60


def test_workloads_with_one_role_share_its_inline_policy() -> None:
    secrets = many(36, 0, LONG)
    names = list(secrets)
    smaller = reading({name: secrets[name] for name in names[:8]}, "tasks")
    larger = reading(
        {name: secrets[name] for name in names[8:26]}, "arn:aws:iam::123456789012:role/team/tasks"
    )

    def made(**workloads: Any) -> Recording:  # noqa: ANN401  whatever a stack file holds
        return stack(secrets, encryption="aws-managed", workloads=workloads)

    apart = made(web=smaller, worker={**larger, "ecs": {"role": "others"}})
    assert [len(attached(apart, name)) for name in ("web", "worker")] == [1, 1]
    together = made(web=smaller, worker=larger)
    web, worker = (attached(together, name) for name in ("web", "worker"))
    assert characters(json.dumps(web[0])) + characters(json.dumps(worker[0])) <= role_policies.MOST_INLINE
    assert len({arn for found in resources(web, "ReadTheseSecrets") for arn in found}) == 8
    assert len({arn for found in resources(worker, "ReadTheseSecrets") for arn in found}) == 18
    # the larger one frees its room first
    first = together.only(ROLE_POLICY, "worker-policy").urn
    assert first in together.only(POLICY, "web-policy-2").dependencies
    half = {name: secrets[name] for name in names[:4]}
    beside = made(web=reading(half, "tasks"), worker=reading(half, "tasks"))
    assert POLICY not in beside.types()


def test_only_workloads_with_one_role_count_together() -> None:
    secrets = many(90, 0, LONG)
    half = dict(list(secrets.items())[:45])
    other = dict(list(secrets.items())[45:])
    workloads = {
        "web": reading(half, "tasks"),
        "worker": reading(other, "arn:aws:iam::123456789012:role/team/tasks"),
    }
    message = refused(secrets, encryption="aws-managed", workloads=workloads)
    assert "aws-secrets:workloads.worker" in message
    assert "together with web, which has the same role" in message
    apart = {**workloads, "worker": reading(other, "others")}
    assert passed(secrets, encryption="aws-managed", workloads=apart) == []


def test_a_secret_has_at_most_fifty_tags() -> None:
    tags = {f"stack-{number}": "x" for number in range(30)}
    own = {f"own-{number}": "x" for number in range(21)}
    fitting = dict(list(own.items())[:20])
    stack(many(1, tags=fitting), tags=tags)
    assert "it would have 51 tags" in refused(many(1, tags=own), tags=tags)


def test_too_many_cross_account_readers_are_rejected() -> None:
    secrets = many(1, encryption="stack-key")

    def read_by(count: int) -> dict[str, Any]:
        return {f"web{number}": reading(secrets, FOREIGN.format(number)) for number in range(count)}

    one, two = (
        len(json.dumps(json.loads(policy), separators=(",", ":")))
        for policy in (
            stack(secrets, workloads=read_by(n))
            .only("aws:secretsmanager/secretPolicy:SecretPolicy")
            .inputs["policy"]
            for n in (2, 3)
        )
    )
    fits = 2 + (limits.MAX_RESOURCE_POLICY - one) // (two - one)
    stack(secrets, workloads=read_by(fits))
    message = refused(secrets, workloads=read_by(fits + 1))
    assert f"with {fits + 1} roles of other accounts" in message
    assert "Secrets Manager accepts 20480" in message


def test_existing_secrets_are_divided_with_those_of_the_stack() -> None:
    names = [f"team/{number:03}-{'n' * 60}" for number in range(40)]
    arns = [f"arn:aws:secretsmanager:eu-west-1:210987654321:secret:{name}-AbCdEf" for name in names]
    key = "arn:aws:kms:eu-west-1:210987654321:key/00000000-0000-0000-0000-000000000000"
    args = read_access.ReadAccessArgs(
        account_id="123456789012",
        partition="aws",
        region="us-east-1",
        reader=read_access.EcsTasks(),
        secret_arns=[],
        secret_names=names,
        existing_secret_arns=arns,
        existing_secret_keys=[key] * len(arns),
        kms_key_arns=[key],
        secret_keys=[None] * len(names),
    )
    divided = read_access.division(args)
    assert divided.managed
    assert {place for part in divided.parts for place in part} == set(range(len(names) + len(arns)))
    assert divided.sizes[0] <= role_policies.MOST_INLINE
    assert max(divided.sizes[1:]) <= role_policies.MOST_MANAGED
