"""Roles count as declared by their ARNs, and by nothing that a caller can choose."""

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from operations.status import actual_readers, texts
from operations.status.actual_readers import Comparison, compared
from operations.status.aws import AwsSession
from operations.status.declared import DeclaredSecret, Schedule
from operations.status.declared_readers import Declaration, Identities, declaration, identities
from operations.status.principals import Principal
from operations.status.read_events import Count
from program.arns import Account
from program.desired import Desired, resolve
from stack_file.top_level import StackFile
from tests.support.sample_status import sample_status

ACCOUNT, OTHER = "123456789012", "210987654321"
IAM = f"arn:aws:iam::{ACCOUNT}:role"
THEIRS = f"arn:aws:iam::{OTHER}:role/batch"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rotation-function-1a2b3c4"
KNOWN = Identities(
    roles={
        "web": re.compile(re.escape(f"{IAM}/apps/web")),
        "worker": re.compile(f"{re.escape(IAM)}/worker-role-[0-9a-f]{{7}}"),
        "batch": re.compile(re.escape(THEIRS)),
    },
    role_accounts={"web": ACCOUNT, "worker": ACCOUNT, "batch": OTHER},
    unknown_roles=(),
    functions={f"{IAM}/rotation": None, f"{IAM}/own-function": frozenset({"another"})},
    writer=re.compile(f"{re.escape(IAM)}/writer-role-[0-9a-f]{{7}}"),
    deployers=frozenset({f"{IAM}/update"}),
    account=ACCOUNT,
    denied=(),
)


def policy(principal: object, action: str = "secretsmanager:GetSecretValue") -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def secret(name: str = "app", **more: Any) -> DeclaredSecret:  # noqa: ANN401  fields
    known: dict[str, Any] = {
        "path": f"aws-secrets:secrets.{name}",
        "content": "keys",
        "keys": ("A", "B"),
        "placeholders": {},
        "description": "",
        "description_in_words": "",
        "tags": {},
        "encryption": "aws-managed",
        "schedule": None,
        "policy": None,
        "replicas": {},
        "reads": {"web": ("A",), "batch": ("A",)},
        "age": None,  # not looked at here
    }
    return DeclaredSecret(name=name, **{**known, **more})


def principal(arn: str = "", **more: Any) -> Principal:  # noqa: ANN401  fields
    is_role = ":role/" in arn
    known: dict[str, Any] = {
        "role": arn if is_role else "",
        "account": arn.split(":")[4] if arn else "",
        "identifier": "AROAEXAMPLE",
        "service": "",
        "is_person": False,
    }
    return Principal(arn=arn, **{**known, **more})


def of(arn: str, **more: Any) -> Declaration:  # noqa: ANN401  fields
    return declaration(principal(arn, **more), secret(), KNOWN)


def test_a_workload_is_declared_for_what_it_reads() -> None:
    assert of(f"{IAM}/apps/web") == Declaration(kind="workload", declared=True, workloads=("web",))
    created = of(f"{IAM}/worker-role-1a2b3c4")
    assert created == Declaration(kind="workload", declared=False, workloads=("worker",))


@pytest.mark.parametrize(
    "arn",
    [
        f"{IAM}/web",
        f"{IAM}/elsewhere/apps/web",
        f"{IAM}/apps/web2",
        f"arn:aws:iam::{OTHER}:role/apps/web",
        f"{IAM}/path/worker-role-1a2b3c4",
        f"{IAM}/worker-role-1a2b3c4d",
        f"{IAM}/writer-role-lookalike",
        f"arn:aws:iam::{ACCOUNT}:user/web",
    ],
)
def test_a_role_of_the_same_name_elsewhere_is_not_the_workload(arn: str) -> None:
    assert of(arn) == Declaration(kind="other", declared=False)


def test_functions_and_deployments_are_the_stacks_own() -> None:
    assert of(f"{IAM}/rotation").kind == "function"
    assert of(f"{IAM}/writer-role-1a2b3c4").kind == "function"
    assert of(f"{IAM}/update").kind == "deployment"
    # the operator's own function is not declared for secrets that it does not rotate
    assert of(f"{IAM}/own-function") == Declaration(kind="other", declared=False)
    rotated = declaration(principal(f"{IAM}/own-function"), secret("another"), KNOWN)
    assert rotated == Declaration(kind="function", declared=True)


def test_a_person_in_a_workloads_role_is_a_person() -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/web/maya"
    found = of(session, role=f"{IAM}/apps/web", is_person=True)
    assert found == Declaration(kind="person", declared=False)


@pytest.mark.parametrize(
    ("named", "who", "is_declared"),
    [
        ({"AWS": f"{IAM}/audit"}, principal(f"{IAM}/audit"), True),
        ({"AWS": [THEIRS, f"{IAM}/audit"]}, principal(f"{IAM}/audit"), True),
        ({"AWS": f"{IAM}/audit"}, principal(f"{IAM}/audits"), False),
        ({"AWS": f"arn:aws:iam::{OTHER}:root"}, principal(account=OTHER), True),
        ({"AWS": OTHER}, principal(account=OTHER), True),
        ({"AWS": f"arn:aws:iam::{OTHER}:role/x"}, principal(account=OTHER), True),
        # of the stack's own account, a policy leaves the decision to IAM
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, principal(f"{IAM}/any"), False),
        ({"AWS": "*"}, principal(f"{IAM}/any"), False),
        ("*", principal(f"{IAM}/any"), False),
        ({"Service": "dms.amazonaws.com"}, principal(service="dms.amazonaws.com"), True),
        ({"Service": "dms.amazonaws.com"}, principal(service="rds.amazonaws.com"), False),
    ],
)
def test_a_policy_declares_the_principals_that_it_names(
    named: object, who: Principal, *, is_declared: bool
) -> None:
    declared = secret(policy=policy(named), reads={})
    assert declaration(who, declared, KNOWN).declared is is_declared
    other = secret(policy=policy(named, "secretsmanager:PutSecretValue"), reads={})
    assert not declaration(who, other, KNOWN).declared


def test_a_principal_of_another_account_counts_by_its_account() -> None:
    assert of("", account=OTHER) == Declaration(kind="workload", declared=True, workloads=("batch",))
    assert of("", account="999999999999") == Declaration(kind="other", declared=False)
    assert of("", account=ACCOUNT) == Declaration(kind="other", declared=False)


def test_secrets_manager_itself_is_declared_and_other_services_are_not() -> None:
    assert of("", service="secretsmanager.amazonaws.com") == Declaration(kind="service", declared=True)
    assert of("", service="rds.amazonaws.com") == Declaration(kind="service", declared=False)


class FakeSession(AwsSession):
    """Lambda's answer: each function has a role of its name."""

    def client(self, service: str, attempts: int = 8) -> Any:  # noqa: ANN401, ARG002  boto3's
        assert service == "lambda"
        return self

    @staticmethod
    def get_function_configuration(FunctionName: str) -> dict[str, str]:  # noqa: N803  boto3's
        return {"Role": f"{IAM}/{FunctionName.split(':')[6]}"}


def found_functions(schedule: Schedule | None, function: str) -> dict[str, frozenset[str] | None]:
    """Return the functions that count, if AWS reports this one for a secret."""
    [rotated] = [one for one in sample_status(2, 1).secrets if one.rotation]
    assert rotated.rotation
    actual = replace(rotated, name="app", rotation=replace(rotated.rotation, function=function))
    desired: Desired = resolve(StackFile(), "aws-secrets", "test")
    known = identities(
        desired,
        [secret(schedule=schedule)],
        [actual],
        {},
        Account(ACCOUNT, "aws", "us-east-1"),
        FakeSession("us-east-1", None),
        is_autonamed=False,
        deployers=(),
    )
    return dict(known.functions)


def test_a_function_that_drifted_in_is_not_one_of_the_stack() -> None:
    ours = Schedule(
        days=30, expression=None, duration=None, function_arn=None, function_names="rotation-function-.{7}"
    )
    assert found_functions(ours, FUNCTION) == {f"{IAM}/rotation-function-1a2b3c4": None}
    for drifted in (FUNCTION.replace("rotation-", "mine-"), FUNCTION.replace(ACCOUNT, OTHER)):
        assert found_functions(ours, drifted) == {}
    assert found_functions(None, FUNCTION) == {}
    own = replace(ours, function_arn=FUNCTION)
    assert found_functions(own, FUNCTION) == {f"{IAM}/rotation-function-1a2b3c4": frozenset({"app"})}
    assert found_functions(own, FUNCTION.replace("1a2b3c4", "1a2b3c5")) == {}


def test_keys_that_no_workload_reads_are_suggested_for_removal() -> None:
    status = sample_status(1, 1, observed=True)
    observation = status.observation
    assert observation is not None
    web = principal(f"{IAM}/apps/web")
    count = Count(reads=1, last=status.asked_at, sources=("vpce-1",))

    def suggested(**reads: Principal) -> list[tuple[str, str]]:
        comparison = Comparison(
            desired=resolve(StackFile(), "aws-secrets", "test"),
            declared={"app": secret(reads={"web": ("A",)})},
            known=KNOWN,
            observation=observation,
            reads={"app": dict.fromkeys(reads.values(), count)},
        )
        found = compared(replace(status.secrets[0], name="app"), comparison).readings
        assert found
        assert found.unread_keys == ("B",)
        return [(one.path, one.lines) for one in found.suggestions]

    assert suggested(web=web) == [("aws-secrets:secrets.app.values", "B:")]
    # somebody else may read the key: events do not show it
    assert suggested(web=web, other=principal(f"{IAM}/other")) == []


@pytest.mark.parametrize(
    "value",
    [
        {"environmentFrom": ["app"]},
        {
            "environment": {"A": {"secret": "app", "key": "a"}, "B": {"secret": "app"}},
            "environmentFrom": ["x"],
        },
        {"files": {"/a b": {"secret": "app"}}, "environmentFromAll": [{"secret": "app"}, {"secret": "b: c"}]},
    ],
)
def test_suggested_lines_mean_the_same_on_one_line(value: object) -> None:
    text = texts.on_one_line(actual_readers._yaml(value))
    assert "\n" not in text
    assert yaml.safe_load(f"{{{text}}}") == value
