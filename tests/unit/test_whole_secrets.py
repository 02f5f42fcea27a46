"""Secrets that are one text or binary: resources, readers and errors, without an engine."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from components.initial_value import FilledByHand, Given, Text
from components.secret import SecretArgs
from components.undeployed_changes import undeployed_changes
from operations.report import initial_values, secrets
from operations.report.model import Danger, Kind, plain
from operations.report.steps import Plan, State, Step
from operations.status import texts
from operations.status.assess import Answers, assess_secret
from operations.status.aws import AwsSecret
from operations.status.declared import IgnoredTags, declared_secrets
from program.arns import Account
from program.desired import resolve
from stack_file import Configuration, SettingsError, check
from tests.support.manifests import manifests_of
from tests.support.recorded_run import Recording, run
from tests.unit.test_modes_program import INVOCATION, SECRET_COMPONENT, request
from tests.unit.test_program import PASSWORD, SECRET, VERSION

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n"
KEYSTORE = bytes(range(200))
ENCODED = base64.encodebytes(KEYSTORE).decode()
CONFIGURED = {"aws-secrets:pem": PEM, "aws-secrets:keystore": ENCODED}
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
SECRETS: dict[str, Any] = {
    "tls/key": {"text": {"config": "pem"}},
    "keystore": {"binary": {"config": "keystore"}},
    "app": {"values": {"K": {"value": "v"}}},
}


def stack(
    secrets: Mapping[str, Any],
    workload: Mapping[str, Any] | None = None,
    configured: Mapping[str, str] = CONFIGURED,
) -> Recording:
    workloads = {} if workload is None else {"aws-secrets:workloads": {"web": workload}}
    named = {
        key: value for key, value in configured.items() if key.removeprefix("aws-secrets:") in str(secrets)
    }
    return run({"aws:region": "us-east-1", "aws-secrets:secrets": secrets, **workloads}, named)


def mistakes(
    secrets: Mapping[str, Any],
    workload: Mapping[str, Any] | None = None,
    configured: Mapping[str, str] = CONFIGURED,
) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        stack(secrets, workload, configured)
    return {found.path: f"{found.wrong}. {found.remedy}" for found in raised.value.mistakes}


def version(source: Mapping[str, Any], content: str = "text") -> dict[str, Any]:
    found = stack({"app": {content: source}}).only(VERSION).inputs
    return {key: found[key] for key in ("secretString", "secretBinary") if key in found}


def test_a_whole_value_is_the_initial_version_byte_for_byte() -> None:
    assert version({"config": "pem"}) == {"secretString": PEM}
    assert version({"value": "plain"}) == {"secretString": "plain"}
    assert version({"random": {"length": 20}}) == {"secretString": "R" * 20}
    assert version({"randomBytes": {"length": 2}}) == {"secretString": "fbff"}
    assert version({"filledByHand": "ask"}) == {"secretString": "\n"}
    one_line = base64.b64encode(KEYSTORE).decode()
    assert version({"config": "keystore"}, "binary") == {"secretBinary": one_line}
    assert version({"randomBytes": {"length": 2}}, "binary") == {"secretBinary": "+/8="}
    assert version({"filledByHand": "ask"}, "binary") == {"secretBinary": "Cg=="}


def test_a_secret_whole_value_never_shows_in_inputs() -> None:
    for mode in ("once", "managed"):
        recording = stack(
            {name: {**SECRETS[name], "initialValues": mode} for name in ("tls/key", "keystore")}
        )
        for resource in recording.resources:
            assert "MIIE" not in str(resource.visible_inputs)
            assert base64.b64encode(KEYSTORE).decode() not in str(resource.visible_inputs)
        assert "MIIE" not in str(recording.outputs)


def test_whole_values_have_their_modes_resources() -> None:
    recording = stack(
        {mode: {"text": {"random": {}}, "initialValues": mode} for mode in ("once", "managed", "account")}
    )
    made = {
        mode: sorted(found.type for found in recording.resources if found.parent.endswith(f"::{mode}"))
        for mode in ("once", "managed", "account")
    }
    assert made == {
        "once": sorted([PASSWORD, SECRET, VERSION]),
        "managed": sorted([PASSWORD, SECRET, VERSION, INVOCATION]),
        "account": sorted([SECRET, INVOCATION]),
    }


def test_the_writer_gets_one_value_without_keys() -> None:
    recording = stack(
        {
            "text": {"text": {"random": {"length": 40}, "generation": 2}, "initialValues": "account"},
            "bytes": {"binary": {"randomBytes": {"length": 40}}, "initialValues": "account"},
            "keystore": {"binary": {"config": "keystore"}, "initialValues": "managed"},
        }
    )
    told = {name: request(recording, name) for name in ("text", "bytes", "keystore")}
    assert told["text"]["Text"] == {"random": {"length": 40}, "generation": 2}
    assert told["bytes"]["Binary"] == {"randomBytes": {"length": 40, "encoding": "base64"}}
    assert told["keystore"]["Binary"] == {"value": base64.b64encode(KEYSTORE).decode()}
    assert told["keystore"].keys() == {"Action", "SecretId", "Binary", "Salt"}
    assert told["text"].keys() == {"Action", "SecretId", "Text"}


def test_outputs_show_the_content_of_whole_values() -> None:
    outputs = stack({**SECRETS, "vendor": {"text": {"filledByHand": "ask"}}}).outputs["secrets"]
    assert outputs["tls/key"]["content"] == "text"
    assert outputs["keystore"]["content"] == "binary"
    assert (outputs["vendor"]["hint"], outputs["vendor"]["filledByHand"]) == ("ask", {})
    assert outputs["app"].keys() == {"arn", "name", "keys", "references", "filledByHand"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("not base64!", "is not valid base64"),
        ("", "is empty"),
        ("AAA", "is not valid base64"),
        ("Zürich", "is not valid base64"),
    ],
)
def test_a_config_value_that_is_not_base64_is_rejected(value: str, words: str) -> None:
    found = mistakes({"app": {"binary": {"config": "keystore"}}}, None, {"aws-secrets:keystore": value})
    assert words in found["aws-secrets:secrets.app.binary.config"]
    assert not value or value not in str(found)


def test_an_invalid_config_text_is_rejected_first() -> None:
    for value, words in (("", "is empty"), ("é" * 32_769, "65538 bytes")):
        found = mistakes({"app": {"text": {"config": "pem"}}}, None, {"aws-secrets:pem": value})
        assert words in found["aws-secrets:secrets.app.text.config"]


def test_a_component_with_keys_and_a_whole_value_is_rejected() -> None:
    with pytest.raises(ValueError, match="no keys"):
        SecretArgs(
            secret_name="app",
            values={"K": FilledByHand(hint="ask")},
            whole=Text(source=Given(value="v")),
        )


KUBERNETES = {"operator": "external-secrets", "oidcProviderArn": PROVIDER}
CSI = {**KUBERNETES, "operator": "secrets-store-csi"}
W = "aws-secrets:workloads.web"


@pytest.mark.parametrize(
    ("workload", "path", "words"),
    [
        (
            {"kubernetes": KUBERNETES, "environment": {"PEM": {"secret": "tls/key", "key": "PEM"}}},
            f"{W}.environment.PEM.key",
            "without keys",
        ),
        (
            {"kubernetes": KUBERNETES, "environmentFrom": ["tls/key"]},
            f"{W}.environmentFrom[0]",
            "Use environment: {VARIABLE: {secret: tls/key}}",
        ),
        (
            {"kubernetes": KUBERNETES, "environment": {"STORE": {"secret": "keystore"}}},
            f"{W}.environment.STORE",
            "Read it under files",
        ),
        (
            {"ecs": {}, "environment": {"STORE": {"secret": "keystore"}}},
            f"{W}.environment.STORE",
            "ECS supports only text",
        ),
        (
            {
                "kubernetes": KUBERNETES,
                "files": {"f": {"template": "${s}", "keys": {"s": {"secret": "keystore"}}}},
            },
            f"{W}.files.f.keys.s",
            "is binary",
        ),
        (
            {"kubernetes": CSI, "files": {"a": {"secret": "tls/key"}, "b": {"secret": "tls/key"}}},
            f"{W}.files.b",
            "Keep one of the files",
        ),
        (
            {"kubernetes": KUBERNETES, "files": {"a": {"secret": "app"}}},
            f"{W}.files.a",
            'Add "key" with one of K',
        ),
        (
            {
                "kubernetes": KUBERNETES,
                "files": {"f": {"template": "${s}", "keys": {"s": {"secret": "app"}}}},
            },
            f"{W}.files.f.keys.s",
            "key is required",
        ),
    ],
)
def test_an_unsupported_read_is_rejected_with_the_remedy(
    workload: dict[str, Any], path: str, words: str
) -> None:
    found = mistakes(SECRETS, workload)
    assert words in found[path], found


def test_a_whole_secret_is_read_without_a_key_on_every_platform() -> None:
    variable = {"PEM": {"secret": "tls/key"}}
    files = {"tls/server.key": {"secret": "tls/key"}, "store.p12": {"secret": "keystore"}}
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls/key-AbCdEf"
    ecs = stack(SECRETS, {"ecs": {}, "environment": variable}).outputs["workloads"]["web"]
    assert ecs["containerSecrets"] == [{"name": "PEM", "valueFrom": arn}]
    function = {"lambda": {"role": "web"}, "environment": {**variable, "STORE": {"secret": "keystore"}}}
    environment = stack(SECRETS, function).outputs["workloads"]["web"]["environment"]
    assert environment["PEM_SECRET_ARN"] == arn
    assert environment.keys() == {"PEM_SECRET_ARN", "STORE_SECRET_ARN"}
    for pods in (KUBERNETES, CSI):
        read = {"kubernetes": pods, "environment": variable, "files": files}
        assert arn in str(manifests_of(stack(SECRETS, read).outputs["workloads"]["web"]))


def inputs(**declared: object) -> dict[str, object]:
    return {"initialValues": {}, **declared}


MANAGED = {"mode": "managed"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (inputs(text="a"), inputs(text="b"), "the text was changed, and AWS keeps the value"),
        (inputs(text="a", **MANAGED), inputs(text="b", **MANAGED), "write generation: 2"),
        (inputs(text="a"), inputs(binary="b"), "from one text to binary, and AWS keeps"),
        (
            {"initialValues": {"K": "v"}},
            inputs(text="a"),
            "from a JSON object to one text, and AWS keeps the value it has. Write the new value in AWS",
        ),
        (
            {"initialValues": {"K": "v"}, **MANAGED},
            inputs(text="a", **MANAGED),
            "write generation: 2 next to it",
        ),
        (
            {"initialValues": {"K": "v"}, **MANAGED},
            inputs(text={"filledByHand": "ask"}, **MANAGED),
            "Write the new value in AWS by hand",
        ),
        (
            inputs(text="a", **MANAGED),
            {"initialValues": {"K": "v"}, **MANAGED},
            "The writer adds keys to a JSON object only",
        ),
    ],
)
def test_a_change_that_is_not_applied_is_reported(
    old: dict[str, object], new: dict[str, object], words: str
) -> None:
    [said] = undeployed_changes("app", old, new)
    assert words in said


def test_a_higher_generation_that_replaces_keys_needs_no_warning() -> None:
    new = inputs(text={"value": "a", "generation": 2}, **MANAGED)
    assert list(undeployed_changes("app", {"initialValues": {"K": "v"}, **MANAGED}, new)) == []
    assert list(undeployed_changes("app", new, new)) == []


def step(type_: str, op: str, old: Mapping[str, Any], new: Mapping[str, Any], name: str = "app") -> Step:
    top = f"urn:pulumi:test::aws-secrets::{SECRET_COMPONENT}::app"
    return Step(
        op=op,
        urn=top if type_ == SECRET_COMPONENT else f"{top}-{name}",
        type=type_,
        name=name,
        old=State(inputs=old, parent="" if type_ == SECRET_COMPONENT else top),
        new=State(inputs=new, parent="" if type_ == SECRET_COMPONENT else top),
        properties=(),
        causes=(),
    )


def plan(*steps: Step) -> Plan:
    return Plan(
        steps=steps,
        by_urn={one.urn: one for one in steps},
        created_secrets=frozenset(),
        names_by_arn={},
    )


def told(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[Kind | None, str]]:
    changed = step(SECRET_COMPONENT, "update", old, new)
    return [
        (found.kind if isinstance(found, Danger) else None, plain(found.text))
        for found in initial_values.component(changed, plan(changed))
    ]


def test_a_report_distinguishes_changed_and_replaced_whole_values() -> None:
    raised = inputs(text={"value": "b", "generation": 2}, **MANAGED)
    keys = {"initialValues": {"K": "v"}}
    assert told(inputs(text="a"), inputs(text="b")) == [
        (
            Kind.STAYS_OUT_OF_AWS,
            "The stack file changes the initial value of the text. This is not applied to the live secret",
        )
    ]
    assert told(inputs(text="a", **MANAGED), raised) == [
        (Kind.OVERWRITES_VALUE, "the text is overwritten in AWS, because the generation is raised")
    ]
    assert told(keys, inputs(text="a")) == [
        (
            Kind.STAYS_OUT_OF_AWS,
            (
                "The stack file changes it from a JSON object to one text, "
                "which is not applied to the live secret"
            ),
        )
    ]
    assert told({**keys, **MANAGED}, raised) == [
        (
            Kind.OVERWRITES_VALUE,
            "The live value changes from a JSON object to one text, because its generation is raised",
        )
    ]


def test_a_report_shows_keys_of_a_former_json_text() -> None:
    keys = {"initialValues": {"K": {"random": {}, "generation": 2}, "L": "v"}, "removedKeys": ["M"]}
    stays = (
        Kind.STAYS_OUT_OF_AWS,
        "The stack file changes it from one text to a JSON object, which is not applied to the live secret",
    )
    assert told(inputs(text="a", **MANAGED), {**keys, **MANAGED}) == [
        stays,
        (Kind.OVERWRITES_VALUE, "K is overwritten in AWS, because the generation is raised"),
        (Kind.OVERWRITES_VALUE, "M is removed from the live secret"),
    ]
    assert told(inputs(text="a"), keys) == [stays]


def test_a_report_shows_a_new_text_placeholder() -> None:
    component = step(SECRET_COMPONENT, "create", {}, inputs(text={"filledByHand": "ask"}))
    made = step(SECRET, "create", {}, {"name": "app"}, "secret")
    [found] = secrets.secret(made, plan(component, made))
    assert plain(found.text) == "Is created as one text; waiting for manual input"


POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"


@pytest.mark.parametrize(
    ("values", "dangerous"),
    [
        ({"initialValues": {"K": "[secret]"}}, True),
        ({"initialValues": {"K": {"value": "[secret]", "generation": 2}}}, True),
        ({"initialValues": {}, "text": "[secret]"}, True),
        ({"initialValues": {"K": {"random": {}}}}, False),
    ],
)
def test_a_report_shows_a_new_secrets_policy(values: dict[str, Any], dangerous: bool) -> None:
    friend = "arn:aws:iam::210987654321:role/friend"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": friend},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    made = step(SECRET, "create", {}, {"name": "app"}, "app-secret")
    policy = step(POLICY, "create", {}, {"policy": json.dumps({"Statement": [statement]})}, "app-policy")
    component = step(SECRET_COMPONENT, "create", {}, values)
    live = replace(step(SECRET, "same", {}, {}, "other-secret"), old=State(), new=State())
    assert not list(secrets.policy(policy, plan(component, made, policy)))  # for a new stack
    found = list(secrets.policy(policy, plan(component, made, policy, live)))
    assert [one.kind for one in found if isinstance(one, Danger)] == [Kind.WIDENS_ACCESS] * dangerous
    assert all(friend in plain(one.text) for one in found)


def test_a_report_shows_a_regenerated_whole_value() -> None:
    declared = inputs(text={"random": {"length": 20}})
    component = step(SECRET_COMPONENT, "same", declared, declared)
    again = step(PASSWORD, "replace", {"length": 20}, {"length": 20}, "app-random:")
    [found] = initial_values.random_value(again, plan(component, again))
    assert plain(found.text).startswith("the text is regenerated in Pulumi's state only")


def test_inputs_show_the_source_of_a_text() -> None:
    recording = stack({"app": {"text": {"random": {"length": 20}}}})
    assert recording.only(SECRET_COMPONENT).inputs == {
        "initialValues": {},
        "text": {"random": {"length": 20}},
    }
    assert recording.only(PASSWORD).name == "app-random:"


def test_status_shows_a_text_placeholder_and_its_readers() -> None:
    configuration = Configuration(
        project="aws-secrets",
        stack="test",
        values={
            "aws:region": "us-east-1",
            "aws-secrets:encryption": "aws-managed",
            "aws-secrets:secrets": {
                "vendor": {"text": {"filledByHand": "the vendor"}},
                "keystore": {"binary": {"filledByHand": "the bank"}},
            },
            "aws-secrets:workloads": {"web": {"ecs": {}, "environment": {"TOKEN": {"secret": "vendor"}}}},
        },
        encrypted=frozenset(),
    )
    account = Account("123456789012", "aws", "us-east-1")
    desired = resolve(check(configuration).stack_file, "aws-secrets", "test")
    declared = {one.name: one for one in declared_secrets(configuration, desired, account, {})}
    described = {"VersionIdsToStages": {"v": ["AWSCURRENT", "aws-secrets-initial"]}}
    answers = Answers(
        found={name: AwsSecret(described={"ARN": f"arn:{name}", **described}) for name in declared},
        keys={},
        versions={},
        ignored_tags=IgnoredTags(keys=frozenset(), prefixes=("aws:",)),
        account=account,
        on_aws=False,
        now=datetime(2026, 11, 29, tzinfo=UTC),
    )
    text, binary = (assess_secret(declared[name], answers) for name in ("vendor", "keystore"))
    assert (text.content, text.keys, text.filled) == ("text", (), "waiting")
    assert [(one.key, one.hint) for one in text.placeholders] == [("", "the vendor")]
    assert text.problems[0].text == "The text is not filled in yet"
    assert [(reader.workload, reader.keys) for reader in text.readers] == [("web", ())]
    assert (texts.contents(text), texts.contents(binary)) == ("one text", "binary")
    assert texts.reads_of(text, text.readers[0]) == "vendor"
    assert "--secret-binary fileb://FILE" in binary.problems[0].remedy


def test_references_of_keys_are_unchanged() -> None:
    outputs = stack({"app": {"values": {"K": {"value": "v"}}}}).outputs["secrets"]["app"]
    assert json.loads(json.dumps(outputs["references"])) == {"K": f"{outputs['arn']}:K::"}
