"""The status of secrets managed outside the stack, assessed without AWS."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from operations.status import texts
from operations.status.assess import Answers, assess_existing
from operations.status.aws import AwsSecret, Denied, KmsKey
from operations.status.declared import ExistingSecret, IgnoredTags, existing_secrets
from operations.status.model import Secret
from operations.status.page import render_page
from program.arns import Account
from program.desired import resolve
from stack_file import StackFile
from tests.support.sample_status import NOW, sample_status

ACCOUNT = Account("123456789012", "aws", "us-east-1")
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-1-AbCdEf"
ELSEWHERE = "arn:aws:secretsmanager:us-east-1:210987654321:secret:shared/token-AbCdEf"
DESCRIBED: dict[str, Any] = {
    "ARN": ARN,
    "Name": "rds!cluster-1",
    "KmsKeyId": "k",
    "OwningService": "rds",
    "RotationEnabled": True,
    "RotationRules": {"AutomaticallyAfterDays": 7},
    "LastRotatedDate": NOW - timedelta(days=3),
    "NextRotationDate": NOW + timedelta(days=4),
    "VersionIdsToStages": {"v1": ["AWSCURRENT"]},
}
READS = {"web": ("password",), "worker": ("password", "host")}
MASTER = ExistingSecret(name="rds!cluster-1", path="p", foreign=False, reads=READS)
YESTERDAY = NOW - timedelta(days=1)
PENDING = {"v1": ["AWSCURRENT"], "v2": ["AWSPENDING"]}
DENIED = Denied(action="secretsmanager:DescribeSecret")


def assessed(
    described: Mapping[str, Any] | Denied | None, declared: ExistingSecret = MASTER, key: str = "Enabled"
) -> Secret:
    answers = Answers(
        found={declared.name: AwsSecret(described=described)},
        keys={"k": KmsKey(arn="k", state=key)},
        versions={},
        ignored_tags=IgnoredTags(keys=frozenset(), prefixes=("aws:",)),
        account=ACCOUNT,
        on_aws=True,
        now=NOW,
    )
    return assess_existing(declared, answers)


def test_a_healthy_managed_secret_shows_its_manager_and_readers() -> None:
    found = assessed(DESCRIBED)
    assert (found.presence, found.problems, found.drift) == ("present", (), ())
    assert (found.existing, found.managed_by, found.keys) == (True, "rds", ("password", "host"))
    assert [reader.workload for reader in found.readers] == ["web", "worker"]
    assert found.rotation is not None
    assert found.rotation.schedule == "every 7 days"
    assert texts.state(found) == "healthy, managed by rds"


@pytest.mark.parametrize(
    ("described", "kind", "words"),
    [
        (None, "unavailable", "AWS has no secret with this name"),
        ({**DESCRIBED, "DeletedDate": NOW}, "unavailable", "Its deletion is scheduled"),
        ({**DESCRIBED, "VersionIdsToStages": {}}, "unavailable", "this stack does not create it"),
        ({**DESCRIBED, "NextRotationDate": YESTERDAY}, "rotation", "rotate-secret --secret-id rds!"),
        (
            {**DESCRIBED, "VersionIdsToStages": PENDING, "LastChangedDate": YESTERDAY},
            "rotation",
            "A rotation has been pending since",
        ),
        (DENIED, "unknown", "not allowed to call secretsmanager:DescribeSecret"),
    ],
)
def test_problems_of_existing_secrets_are_reported(
    described: Mapping[str, Any] | Denied | None, kind: str, words: str
) -> None:
    [problem] = assessed(described).problems
    assert problem.kind == kind
    assert words in f"{problem.text} {problem.remedy}"


def test_disabled_key_of_existing_secret_is_a_problem() -> None:
    [problem] = assessed(DESCRIBED, key="Disabled").problems
    assert "Its KMS key is unusable" in problem.text


def test_keys_that_nothing_declares_are_unknown() -> None:
    assert texts.contents(assessed(DESCRIBED)) == "keys password, host"
    assert texts.contents(assessed(DESCRIBED, replace(MASTER, reads={}))) == "keys unknown"


def test_secret_of_another_account_is_listed_but_not_queried() -> None:
    foreign = ExistingSecret(name=ELSEWHERE, path="p", foreign=True, reads={"web": ("token",)})
    found = assessed(None, foreign)
    assert (found.presence, found.problems) == ("unknown", ())
    assert texts.state(found) == "in another account, not queried"


def test_existing_secret_is_listed_once_with_all_readers() -> None:
    pods = {"kubernetes": {"operator": "external-secrets", "role": "r"}}
    stack_file = StackFile.model_validate(
        {
            "workloads": {
                "web": {**pods, "environment": {"A": {"existingSecret": ARN, "key": "host"}}},
                "worker": {
                    **pods,
                    "environment": {
                        "A": {"existingSecret": "rds!cluster-1", "key": "host"},
                        "B": {"existingSecret": "rds!cluster-1", "key": "password"},
                        "C": {"existingSecret": ELSEWHERE},
                    },
                },
            }
        }
    )
    found = existing_secrets(resolve(stack_file, "aws-secrets", "test"), ACCOUNT)
    assert [(one.name, one.foreign) for one in found] == [("rds!cluster-1", False), (ELSEWHERE, True)]
    assert found[0].reads == {"web": ("host",), "worker": ("host", "password")}
    assert found[0].path == "aws-secrets:workloads.web.environment.A"


def test_page_and_lines_show_that_it_is_managed_elsewhere() -> None:
    status = sample_status(2, 1)
    declared = replace(MASTER, reads={status.workloads[0].name: ("password",)})
    status = replace(status, secrets=(*status.secrets, assessed(DESCRIBED, declared)))
    assert "Not created by this stack: managed by rds." in render_page(status)
    assert any(line.startswith("rds!cluster-1: healthy, managed by rds") for line in texts.lines(status))
