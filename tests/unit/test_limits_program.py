"""What AWS would refuse half way through is refused before anything is declared."""

import json
import re
from typing import Any

import pytest

from program import limits
from settings import SettingsError
from tests.unit.recorded_run import Recording, run

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
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


def many(count: int, longer: int = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401  whatever a secret holds
    """Secrets with names of ten characters, and the last one's name longer by `longer`."""
    names = [f"secret-{number:03}" for number in range(count)]
    names[-1] += "x" * longer
    return {name: {"values": {"A": {"random": {}}}, **more} for name in names}


def reading(secrets: dict[str, Any], role: str | None = None) -> dict[str, Any]:
    variables = {f"V{number}": {"secret": name, "key": "A"} for number, name in enumerate(secrets)}
    return {"environment": variables, "ecs": {"role": role} if role else {}}


def refused(secrets: dict[str, Any], **more: Any) -> str:  # noqa: ANN401  whatever a stack file holds
    with pytest.raises(SettingsError) as error:
        stack(secrets, **more)
    return str(error.value)


def fill(declare: Any, policy_name: str, most: int) -> tuple[int, int]:  # noqa: ANN401  makes a stack of a count
    """How many secrets fit, and how many characters the last name may then be longer."""
    policies = {}
    for count in (1, 2):
        recording = stack(**declare(many(count)))
        policies[count] = characters(recording.only(ROLE_POLICY, policy_name).inputs["policy"])
    each = policies[2] - policies[1]
    count = 2 + (most - policies[2]) // each
    return count, (most - policies[2]) % each


def as_reader(secrets: dict[str, Any]) -> dict[str, Any]:
    return {"secrets": secrets, "encryption": "aws-managed", "workloads": {"web": reading(secrets)}}


def as_written(secrets: dict[str, Any]) -> dict[str, Any]:
    # without a KMS key, whose id is longer in AWS than in a recorded run
    return {"secrets": secrets, "encryption": "aws-managed", "initialValues": "managed"}


def as_rotated(secrets: dict[str, Any]) -> dict[str, Any]:
    rotated = {name: {**secret, "rotation": {"keys": ["A"]}} for name, secret in secrets.items()}
    return {"secrets": rotated, "encryption": "aws-managed"}


def test_a_workload_reads_what_fits_and_is_refused_one_character_more() -> None:
    count, rest = fill(as_reader, "web-policy", limits.MOST_OF_ROLE)
    recording = stack(**as_reader(many(count, rest)))
    policy = recording.only(ROLE_POLICY, "web-policy").inputs["policy"]
    assert characters(policy) == limits.MOST_OF_ROLE
    message = refused(**as_reader(many(count, rest + 1)))
    assert "aws-secrets:workloads.web" in message
    assert f"reads {count} secrets" in message
    assert "would have 10241 characters. IAM takes 10240 for one role" in message


def test_workloads_that_share_a_role_are_counted_together_and_apart_they_are_not() -> None:
    secrets = many(80)
    half = dict(list(secrets.items())[:40])
    other = dict(list(secrets.items())[40:])
    workloads = {
        "web": reading(half, "tasks"),
        "worker": reading(other, "arn:aws:iam::123456789012:role/team/tasks"),
    }
    message = refused(secrets, workloads=workloads)
    assert "aws-secrets:workloads.worker" in message
    assert "together with web, which has the same role" in message
    stack(secrets, workloads={**workloads, "worker": reading(other, "others")})


def said(message: str) -> int:
    found = re.search(r"would have (\d+) characters", message)
    assert found, message
    return int(found[1])


@pytest.mark.parametrize("declare", [as_written, as_rotated])
def test_a_function_gets_what_fits_and_is_refused_one_character_more(declare: Any) -> None:  # noqa: ANN401
    sizes = [said(refused(**declare(many(count)))) for count in (150, 151)]
    each = sizes[1] - sizes[0]
    over = -(-(sizes[0] - limits.MOST_OF_ROLE) // each)
    rest = limits.MOST_OF_ROLE - (sizes[0] - over * each)
    policy = stack(**declare(many(150 - over, rest))).only(ROLE_POLICY).inputs["policy"]
    log_group = re.search(r'"(arn:aws:logs:[^"]*):log-stream:\*"', policy)
    assert log_group, policy
    name = "writer" if declare is as_written else "rotation"
    real = f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/{name}-{'2' * 26}"
    assert characters(policy) - len(log_group[1]) + len(real) == limits.MOST_OF_ROLE
    message = refused(**declare(many(150 - over, rest + 1)))
    assert said(message) == limits.MOST_OF_ROLE + 1
    assert f"it is one of {150 - over} secrets" in message


def test_a_secret_takes_fifty_tags_with_those_of_the_stack_and_no_more() -> None:
    tags = {f"stack-{number}": "x" for number in range(30)}
    own = {f"own-{number}": "x" for number in range(21)}
    fitting = dict(list(own.items())[:20])
    stack(many(1, tags=fitting), tags=tags)
    assert "it would have 51 tags" in refused(many(1, tags=own), tags=tags)


def test_a_secret_is_refused_more_readers_of_other_accounts_than_its_policy_holds() -> None:
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
    fits = 2 + (limits.MOST_OF_RESOURCE_POLICY - one) // (two - one)
    stack(secrets, workloads=read_by(fits))
    message = refused(secrets, workloads=read_by(fits + 1))
    assert f"with {fits + 1} roles of other accounts" in message
    assert "Secrets Manager takes 20480" in message
