"""Workloads that read existing secrets, without an engine."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stack_file import SettingsError
from stack_file.key_references import Read
from stack_file.mistakes import from_validation
from tests.support.manifests import manifests_of
from tests.support.recorded_run import Recording, existing_arn, run
from tests.unit.test_workload_program import ACCOUNT, FOREIGN, PODS, ROLE_POLICY, W, document

SENTRY, OLD, MASTER = map(existing_arn, ("platform/sentry", "platform/sentry-old", "rds!cluster-1a2b"))
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ELSEWHERE = "arn:aws:secretsmanager:us-east-1:210987654321:secret:shared/token-AbCdEf"
KEY_ELSEWHERE = "arn:aws:kms:us-east-1:210987654321:key/there"
SECRETS: dict[str, Any] = {"app": {"values": {"KEY_BASE": {"random": {}}}}}


def reading(
    environment: Mapping[str, Any],
    secrets: Mapping[str, Any] | None = None,
    recording: Recording | None = None,
    **workload: object,
) -> Recording:
    """Run a stack with one workload that has these variables; `secrets` are the stack's own."""
    config = {
        "aws:region": "us-east-1",
        "aws-secrets:workloads": {"web": {"environment": environment, "kubernetes": PODS, **workload}},
    }
    own = {"aws-secrets:secrets": secrets} if secrets else {}
    return run({**config, **own}, recording=recording)


def policy(recording: Recording) -> list[dict[str, Any]]:
    return document(recording, ROLE_POLICY, "web-policy", "policy")


def refused(environment: Mapping[str, Any], **more: Any) -> dict[str, str]:  # noqa: ANN401  any mistake
    recording = Recording()
    with pytest.raises(SettingsError) as raised:
        reading(environment, recording=recording, **more)
    assert recording.resources == []
    return {mistake.path: f"{mistake.wrong}. {mistake.remedy}" for mistake in raised.value.mistakes}


@pytest.mark.parametrize(
    ("reference", "arn"),
    [("platform/sentry", SENTRY), (SENTRY, SENTRY), ("rds!cluster-1a2b", MASTER), (MASTER, MASTER)],
)
def test_a_workload_reads_an_existing_secret_by_name_or_arn(reference: str, arn: str) -> None:
    recording = reading({"DSN": {"existingSecret": reference, "key": "dsn"}})
    read, decrypt = policy(recording)
    assert read["Resource"] == [arn]
    assert decrypt["Resource"] == KEY
    assert decrypt["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == [arn]
    manifests = manifests_of(recording.outputs["workloads"]["web"])
    [entry] = manifests[1]["spec"]["data"]
    assert entry == {"secretKey": "DSN", "remoteRef": {"key": arn, "property": "dsn"}}


def test_the_aws_managed_key_needs_no_permission() -> None:
    [read] = policy(reading({"DSN": {"existingSecret": "platform/sentry-old"}}))
    assert read["Resource"] == [OLD]


def test_one_role_reads_existing_and_own_secrets() -> None:
    template = {
        "template": "${a}:${b}",
        "keys": {
            "a": {"secret": "app", "key": "KEY_BASE"},
            "b": {"existingSecret": "platform/sentry", "key": "dsn"},
        },
    }
    recording = reading({"KEY_BASE": {"secret": "app"}, "T": template}, secrets=SECRETS)
    [read, *_] = policy(recording)
    own = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
    assert read["Resource"] == sorted([own, SENTRY])
    access = recording.only("aws-secrets:index:ReadAccess", "web")
    assert access.inputs == {"reads": ["app"], "readsByArn": [SENTRY]}


def test_own_secrets_alone_leave_the_inputs_unchanged() -> None:
    access = reading({"KEY_BASE": {"secret": "app"}}, secrets=SECRETS).only("aws-secrets:index:ReadAccess")
    assert access.inputs == {"reads": ["app"]}


def test_another_accounts_secret_is_read_with_the_declared_key() -> None:
    read = {"existingSecret": ELSEWHERE, "key": "token"}
    recording = reading({"A": {**read, "kmsKeyArn": KEY_ELSEWHERE}, "B": read})
    reads, decrypt = policy(recording)
    assert (reads["Resource"], decrypt["Resource"]) == ([ELSEWHERE], KEY_ELSEWHERE)


@pytest.mark.parametrize(
    ("platform", "found"),
    [
        (
            {"kubernetes": None, "ecs": {}},
            {"containerSecrets": [{"name": "DSN", "valueFrom": f"{SENTRY}:dsn::"}]},
        ),
        (
            {"kubernetes": None, "lambda": {"role": "hook"}},
            {"environment": {"DSN_SECRET_ARN": SENTRY, "DSN_SECRET_KEY": "dsn"}},
        ),
    ],
)
def test_ecs_and_lambda_read_existing_secrets(platform: dict[str, Any], found: dict[str, Any]) -> None:
    declared = {key: value for key, value in platform.items() if value is not None}
    config = {
        "aws:region": "us-east-1",
        "aws-secrets:workloads": {
            "web": {"environment": {"DSN": {"existingSecret": "platform/sentry", "key": "dsn"}}, **declared}
        },
    }
    output = run(config).outputs["workloads"]["web"]
    assert output.items() >= found.items()


def test_the_csi_driver_mounts_existing_secrets_by_arn() -> None:
    recording = reading(
        {},
        files={"dsn": {"existingSecret": MASTER, "key": "password"}},
        kubernetes={**PODS, "operator": "secrets-store-csi"},
    )
    [manifest] = manifests_of(recording.outputs["workloads"]["web"])
    [[entry]] = yaml.safe_load_all(manifest["spec"]["parameters"]["objects"])
    assert entry["objectName"] == MASTER


def test_a_service_is_redeployed_when_an_existing_secret_changes() -> None:
    config = {
        "aws:region": "us-east-1",
        "aws-secrets:workloads": {
            "web": {
                "environment": {"DSN": {"existingSecret": "platform/sentry"}},
                "ecs": {"redeploy": {"cluster": "shop", "service": "web"}},
            }
        },
    }
    rule = run(config).only("aws:cloudwatch/eventRule:EventRule")
    assert json.loads(rule.inputs["eventPattern"])["resources"] == [SENTRY]


def test_an_undeclared_database_has_the_regions_authorities() -> None:
    recording = reading(
        {"PASSWORD": {"existingSecret": "rds!cluster-1a2b", "key": "password"}}, databaseAuthorities={}
    )
    manifests = manifests_of(recording.outputs["workloads"]["web"])
    assert manifests[-1]["kind"] == "ConfigMap"
    assert manifests[-1]["data"]["ca.pem"].count("BEGIN CERTIFICATE") > 1


def test_pods_read_all_keys_of_whole_secrets() -> None:
    recording = reading(
        {"APP": {"secret": "app", "whole": True}},
        secrets=SECRETS,
        environmentFromAll=[{"secret": "app"}, {"existingSecret": "platform/sentry"}],
        files={"sentry.json": {"existingSecret": "platform/sentry", "whole": True}},
    )
    app = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
    [read, *_] = policy(recording)
    assert read["Resource"] == sorted([app, SENTRY])
    found = {
        manifest["metadata"]["name"]: manifest["spec"]
        for manifest in manifests_of(recording.outputs["workloads"]["web"])
    }
    assert [read["extract"] for read in found["web-environment-from"]["dataFrom"]] == [
        {"key": app},
        {"key": SENTRY},
    ]
    assert found["web-environment"]["data"] == [{"secretKey": "APP", "remoteRef": {"key": app}}]
    [file] = found["web-files"]["data"]
    assert file["remoteRef"] == {"key": SENTRY}


@pytest.mark.parametrize(
    ("platform", "output", "found"),
    [
        ({"ecs": {}}, "containerSecrets", [{"name": "APP", "valueFrom": SENTRY}]),
        ({"lambda": {"role": "hook"}}, "environment", {"APP_SECRET_ARN": SENTRY}),
    ],
)
def test_a_whole_secret_is_one_variable_of_tasks_and_functions(
    platform: dict[str, Any], output: str, found: object
) -> None:
    read = {"existingSecret": "platform/sentry", "whole": True}
    workloads = {"web": {"environment": {"APP": read}, **platform}}
    recording = run({"aws:region": "us-east-1", "aws-secrets:workloads": workloads})
    assert recording.outputs["workloads"]["web"][output] == found


CSI = {**PODS, "operator": "secrets-store-csi"}
WHOLE = {"secret": "app", "whole": True}


@pytest.mark.parametrize(
    ("workload", "path", "words"),
    [
        (
            {"environmentFromAll": [{"secret": "ap"}]},
            f"{W}.environmentFromAll[0].secret",
            'did you mean "app"',
        ),
        ({"environmentFromAll": [{}]}, f"{W}.environmentFromAll[0]", "existingSecret: NAME for any other"),
        (
            {"environmentFromAll": [{"existingSecret": "gone"}]},
            f"{W}.environmentFromAll[0].existingSecret",
            'AWS has no secret "gone"',
        ),
        ({"environmentFromAll": [{"secret": "app"}], "kubernetes": CSI}, W, "whole: true"),
        (
            {"environment": {"A": {**WHOLE, "key": "K"}}},
            f"{W}.environment.A",
            "whole and key are mutually exclusive",
        ),
        (
            {"environment": {"A": {"template": "${a}", "keys": {"a": {"secret": "app"}}}}},
            f"{W}.environment.A.keys.a",
            "or whole: true",
        ),
        ({"files": {"a": {"secret": "app"}}}, f"{W}.files.a", "or whole: true"),
        ({"files": {"a": WHOLE, "b": WHOLE}, "kubernetes": CSI}, f"{W}.files.b", "Keep one of the files"),
        (
            {
                "files": {
                    "a": {"existingSecret": "platform/sentry", "whole": True},
                    "b": {"existingSecret": SENTRY, "whole": True},
                },
                "kubernetes": CSI,
            },
            f"{W}.files.b",
            "Keep one of the files",
        ),
    ],
)
def test_a_wrong_read_of_a_whole_secret_is_rejected(workload: dict[str, Any], path: str, words: str) -> None:
    declared = {"environment": {"KEY_BASE": {"secret": "app"}}, **workload}
    found = refused(declared.pop("environment"), secrets=SECRETS, **declared)
    assert words in found[path]


def test_a_required_whole_secret_warns_of_each_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warned.append)
    monkeypatch.setattr("program.placeholders._has_initial_value", lambda _: True)
    values = {"A": {"filledByHand": "the vendor"}, "B": {"filledByHand": "the vendor"}, "C": {"value": "c"}}
    reading(
        {"APP": {**WHOLE, "required": True}},
        secrets={"app": {"values": values}},
    )
    assert sorted(text.partition(": ")[2].partition(" of")[0] for text in warned) == ["A", "B"]


E1 = f"{W}.environment.A"


@pytest.mark.parametrize(
    ("read", "path", "words"),
    [
        ({"existingSecret": "platform/gone"}, f"{E1}.existingSecret", 'AWS has no secret "platform/gone"'),
        ({"existingSecret": "platform/sentr"}, f"{E1}.existingSecret", 'AWS has no secret "platform/sentr"'),
        (
            {"existingSecret": SENTRY.replace("QwErTy", "AbCdEf")},
            f"{E1}.existingSecret",
            f"AWS has another secret with this name, {SENTRY}",
        ),
        ({"existingSecret": "app"}, f"{E1}.existingSecret", "secret: app"),
        (
            {"existingSecret": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"},
            f"{E1}.existingSecret",
            "secret: app",
        ),
        (
            {"existingSecret": SENTRY.replace("us-east-1", "eu-west-1")},
            f"{E1}.existingSecret",
            "use the ARN of the replica",
        ),
        ({"existingSecret": ELSEWHERE}, E1, "Set kmsKeyArn: ARN"),
        ({"existingSecret": SENTRY, "kmsKeyArn": KEY}, f"{E1}.kmsKeyArn", "Remove kmsKeyArn"),
        ({"existingSecret": "platform/sentry", "kmsKeyArn": KEY}, E1, "Remove kmsKeyArn"),
        ({"existingSecret": "platform/sentry", "required": True}, E1, "Remove required"),
        ({"existingSecret": "platform/sentry", "secret": "app"}, E1, "existingSecret: NAME"),
        ({"existingSecret": SENTRY[:-7]}, f"{E1}.existingSecret", "with the six characters"),
        ({"existingSecret": "a b"}, f"{E1}.existingSecret", "Use the secret's name"),
    ],
)
def test_a_wrong_read_of_an_existing_secret_is_rejected(read: dict[str, Any], path: str, words: str) -> None:
    found = refused({"A": read}, secrets=SECRETS)
    assert words in found[path]


def test_different_keys_for_one_secret_are_rejected() -> None:
    reads = {
        name: {"existingSecret": ELSEWHERE, "key": "x", "kmsKeyArn": f"{KEY_ELSEWHERE}{name}"}
        for name in ("A", "B")
    }
    found = refused(reads)
    assert found.keys() == {f"{W}.environment.A", f"{W}.environment.B"}
    assert "different keys" in found[f"{W}.environment.A"]


def test_all_missing_secrets_are_reported_together() -> None:
    found = refused({f"V{number}": {"existingSecret": f"gone/{number}"} for number in range(25)})
    assert len(found) == 25


def test_another_accounts_role_cannot_read_an_existing_secret() -> None:
    found = refused(
        {"A": {"existingSecret": "platform/sentry"}},
        kubernetes={"operator": "external-secrets", "role": FOREIGN},
    )
    assert "not one of this stack" in found[f"{E1}.existingSecret"]


def test_a_service_is_not_redeployed_for_a_secret_of_another_account() -> None:
    with pytest.raises(SettingsError, match="Remove redeploy"):
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:workloads": {
                    "web": {
                        "environment": {"A": {"existingSecret": ELSEWHERE, "kmsKeyArn": KEY_ELSEWHERE}},
                        "ecs": {"redeploy": {"cluster": "shop", "service": "web"}},
                    }
                },
            }
        )


def test_many_existing_secrets_need_managed_policies() -> None:
    many = {
        f"V{number}": {"existingSecret": f"{ELSEWHERE[:-6]}{number:06}", "kmsKeyArn": KEY_ELSEWHERE}
        for number in range(80)
    }
    recording = reading(many)
    texts = [
        str(found.inputs["policy"])
        for found in recording.resources
        if found.type in {"aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"}
    ]
    assert len(texts) > 1
    for read in many.values():
        assert any(read["existingSecret"] in text and KEY_ELSEWHERE in text for text in texts)


@given(st.text(max_size=30) | st.from_regex(r"arn:aws:secretsmanager:[a-z:0-9/!@ -]*", fullmatch=True))
def test_a_text_that_is_not_a_secret_name_is_rejected(text: str) -> None:
    try:
        Read.model_validate({"existingSecret": text})
    except ValidationError as error:
        [mistake] = from_validation("aws-secrets", Read, error)
        assert mistake.path == "aws-secrets:existingSecret"
    else:
        assert re.fullmatch(r"[A-Za-z0-9/_+=.@!:-]{1,512}", text)
        assert text.startswith("arn:") == (":" in text)
