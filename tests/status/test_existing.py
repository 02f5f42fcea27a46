"""The status of secrets that workloads read and the stack does not make, judged without AWS."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from automation.status import texts
from automation.status.aws import Denied, Found, Key
from automation.status.declared import Existing, IgnoredTags, existing_secrets
from automation.status.judged import Answers, existing_secret_of
from automation.status.model import Secret
from automation.status.page import page
from program.making import Account
from settings import StackFile
from tests.status.made_up import NOW, made_up

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
MASTER = Existing(name="rds!cluster-1", path="p", foreign=False, reads=READS)
YESTERDAY = NOW - timedelta(days=1)
PENDING = {"v1": ["AWSCURRENT"], "v2": ["AWSPENDING"]}
DENIED = Denied(action="secretsmanager:DescribeSecret")


def assessed(
    described: Mapping[str, Any] | Denied | None, declared: Existing = MASTER, key: str = "Enabled"
) -> Secret:
    answers = Answers(
        found={declared.name: Found(described=described)},
        keys={"k": Key(arn="k", state=key)},
        versions={},
        ignored_tags=IgnoredTags(keys=frozenset(), prefixes=("aws:",)),
        account=ACCOUNT,
        on_aws=True,
        now=NOW,
    )
    return existing_secret_of(declared, answers)


def test_a_managed_secret_is_healthy_and_shows_who_manages_and_reads_it() -> None:
    found = assessed(DESCRIBED)
    assert (found.presence, found.problems, found.drift) == ("present", (), ())
    assert (found.existing, found.managed_by, found.keys) == (True, "rds", ("password", "host"))
    assert [reader.workload for reader in found.readers] == ["web", "worker"]
    assert found.rotation is not None
    assert found.rotation.schedule == "every 7 days"
    assert texts.state(found) == "well, managed by rds"


@pytest.mark.parametrize(
    ("described", "kind", "words"),
    [
        (None, "unavailable", "AWS has no secret of this name"),
        ({**DESCRIBED, "DeletedDate": NOW}, "unavailable", "Its deletion is scheduled"),
        ({**DESCRIBED, "VersionIdsToStages": {}}, "unavailable", "this stack does not make it"),
        ({**DESCRIBED, "NextRotationDate": YESTERDAY}, "rotation", "rotate-secret --secret-id rds!"),
        (
            {**DESCRIBED, "VersionIdsToStages": PENDING, "LastChangedDate": YESTERDAY},
            "rotation",
            "A rotation has not ended",
        ),
        (DENIED, "unknown", "may not call secretsmanager:DescribeSecret"),
    ],
)
def test_what_is_wrong_with_an_existing_secret_is_a_problem(
    described: Mapping[str, Any] | Denied | None, kind: str, words: str
) -> None:
    [problem] = assessed(described).problems
    assert problem.kind == kind
    assert words in f"{problem.text} {problem.remedy}"


def test_a_disabled_key_of_an_existing_secret_is_a_problem() -> None:
    [problem] = assessed(DESCRIBED, key="Disabled").problems
    assert "Its KMS key cannot be used" in problem.text


def test_a_secret_of_another_account_is_shown_and_not_asked_for() -> None:
    foreign = Existing(name=ELSEWHERE, path="p", foreign=True, reads={"web": ("token",)})
    found = assessed(None, foreign)
    assert (found.presence, found.problems) == ("unknown", ())
    assert texts.state(found) == "in another account, which is not asked"


def test_every_existing_secret_is_listed_once_with_all_its_readers() -> None:
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
    found = existing_secrets("aws-secrets", stack_file, ACCOUNT)
    assert [(one.name, one.foreign) for one in found] == [("rds!cluster-1", False), (ELSEWHERE, True)]
    assert found[0].reads == {"web": ("host",), "worker": ("host", "password")}
    assert found[0].path == "aws-secrets:workloads.web.environment.A"


def test_the_page_and_the_lines_tell_that_the_stack_does_not_make_it() -> None:
    status = made_up(2, 1)
    declared = replace(MASTER, reads={status.workloads[0].name: ("password",)})
    status = replace(status, secrets=(*status.secrets, assessed(DESCRIBED, declared)))
    assert "This stack does not make it: managed by rds." in page(status)
    assert any(line.startswith("rds!cluster-1: well, managed by rds") for line in texts.lines(status))
