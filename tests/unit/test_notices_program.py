"""Settings about the age of values and about notices, and the resources that they add, without an engine."""

# ruff: noqa: ANN401  whatever a stack file holds

import json
from typing import Any

import pytest

from components.function_parts import FunctionSettings
from components.lambdas.notices import declared, protocol
from components.lambdas.notices.age import Declared
from components.notices import NoticedSecret, NoticesArgs, declared_file
from program import limits
from program.arns import Account
from program.aws_lookups import Servers
from program.desired import resolve
from stack_file import SettingsError, StackFile
from tests.support.recorded_run import Recording, run

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:alerts"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FUNCTION = "aws:lambda/function:Function"
COMMON = FunctionSettings(account_id=ACCOUNT, partition="aws", region="us-east-1")
SECRETS: dict[str, Any] = {
    "app": {"values": {"KEY_BASE": {"random": {}}}, "maxAgeDays": 180},
    "vendor": {
        "values": {
            "TOKEN": {"filledByHand": "Vendor > API", "expires": "2027-03-01"},
            "OTHER": {"filledByHand": "ask them"},
        }
    },
    "chat": {"text": {"filledByHand": "Slack > Incoming webhooks"}, "maxAgeDays": 0},
}


def declare(notices: dict[str, Any] | None, secrets: dict[str, Any] | None = None, **more: Any) -> Recording:
    settings = {"secrets": secrets or SECRETS, "maxAgeDays": 365, **more}
    return run(
        {
            "aws:region": "us-east-1",
            **{f"aws-secrets:{key}": value for key, value in settings.items()},
            **({"aws-secrets:notices": notices} if notices else {}),
        }
    )


def statements(recording: Recording) -> dict[str, dict[str, Any]]:
    policy = recording.only("aws:iam/rolePolicy:RolePolicy", "notices-policy").inputs["policy"]
    return {one["Sid"]: one for one in json.loads(policy)["Statement"]}


def test_ages_and_expiry_dates_change_no_resource() -> None:
    plain = {
        "app": {"values": {"KEY_BASE": {"random": {}}}},
        "vendor": {"values": {key: {"filledByHand": "x"} for key in ("TOKEN", "OTHER")}},
    }
    aged = json.loads(json.dumps(plain))
    aged["app"]["maxAgeDays"] = 30
    aged["vendor"]["values"]["TOKEN"]["expires"] = "2027-03-01"
    without = run({"aws:region": "us-east-1", "aws-secrets:secrets": plain})
    found = declare(None, aged, remindDays=7)
    assert {one.urn: one for one in found.resources} == {one.urn: one for one in without.resources}
    assert found.outputs == without.outputs


def test_a_secrets_own_maximum_age_replaces_the_stacks() -> None:
    stack_file = StackFile.model_validate_json(json.dumps({"secrets": SECRETS, "maxAgeDays": 365}))
    found = {name: one.max_age_days for name, one in resolve(stack_file, "p", "s").secrets.items()}
    assert found == {"app": 180, "vendor": 365, "chat": None}


def test_the_role_asks_about_exactly_the_stacks_secrets_and_reads_the_webhook_only() -> None:
    found = statements(declare({"topicArn": TOPIC, "topicKeyArn": KEY, "webhook": {"secret": "chat"}}))
    arns = [f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-??????" for name in sorted(SECRETS)]
    asks = found.pop("AskAboutTheseSecrets")
    assert asks["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"]
    assert asks["Resource"] == arns
    assert found.pop("ReadTheWebhook") == {
        "Sid": "ReadTheWebhook",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": arns[1],
    }
    assert (found["PublishToTheTopic"]["Action"], found["PublishToTheTopic"]["Resource"]) == (
        "sns:Publish",
        TOPIC,
    )
    del found["PublishToTheTopic"]
    assert found.pop("UseTheTopicsKey")["Condition"] == {
        "StringEquals": {"kms:ViaService": "sns.us-east-1.amazonaws.com"}
    }
    decrypts = found.pop("UseKey1ForTheWebhook")
    assert decrypts["Action"] == ["kms:Decrypt"]
    assert decrypts["Condition"]["StringLike"] == {"kms:EncryptionContext:SecretARN": arns[1]}
    assert found.keys() == {"WriteItsLog"}


def test_a_topic_alone_reads_no_value() -> None:
    assert statements(declare({"topicArn": TOPIC})).keys() == {
        "AskAboutTheseSecrets",
        "WriteItsLog",
        "PublishToTheTopic",
    }


def test_only_its_daily_rule_invokes_the_function() -> None:
    recording = declare({"topicArn": TOPIC, "hour": 6, "webhook": {"secret": "chat", "format": "teams"}})
    rule = recording.only("aws:cloudwatch/eventRule:EventRule", "notices-rule")
    assert rule.inputs["scheduleExpression"] == "cron(0 6 * * ? *)"
    assert "eventPattern" not in rule.inputs
    permission = recording.only("aws:lambda/permission:Permission")
    assert permission.inputs["principal"] == "events.amazonaws.com"
    assert permission.inputs["sourceArn"] == f"arn:aws:events:us-east-1:{ACCOUNT}:rule/notices-rule"
    function = recording.only(FUNCTION, "notices-function").inputs
    assert function["reservedConcurrentExecutions"] == 1
    assert function["environment"]["variables"] == {
        protocol.TOPIC_VARIABLE: TOPIC,
        protocol.WEBHOOK_SECRET_VARIABLE: "chat",
        protocol.WEBHOOK_FORMAT_VARIABLE: "teams",
    }
    kind = "urn:pulumi:test::aws-secrets::aws-secrets:index:Notices"
    urns = {recording.real_urn(one) for one in recording.resources}
    assert {urn for urn in urns if "Notices" in urn} == {
        f"{kind}::notices",
        f"{kind}$aws:cloudwatch/logGroup:LogGroup::notices-log-group",
        f"{kind}$aws:iam/role:Role::notices-role",
        f"{kind}$aws:iam/rolePolicy:RolePolicy::notices-policy",
        f"{kind}${FUNCTION}::notices-function",
        f"{kind}$aws:cloudwatch/eventRule:EventRule::notices-rule",
        f"{kind}$aws:lambda/permission:Permission::notices-permission",
        f"{kind}$aws:cloudwatch/eventTarget:EventTarget::notices-target",
        f"{kind}$aws:cloudwatch/metricAlarm:MetricAlarm::notices-alarm",
    }
    assert recording.outputs["notices"]["function"] == "notices-function"


def test_the_function_reads_what_was_declared() -> None:
    secrets = [
        NoticedSecret(secret_name="app", max_age_days=30, rotates=True),
        NoticedSecret(
            secret_name="vendor",
            expires={"A\u202eB": "2027-03-01"},
            filled_by_hand={"A\u202eB": "x\n::error::y"},
        ),
    ]
    text = declared_file(
        NoticesArgs(common=COMMON, title="p/s", secrets=secrets, topic_arn=TOPIC, remind_days=7)
    )
    found = declared.parse(text)
    key = "A\\u{202e}B"
    assert found.title == "p/s"
    assert found.secrets == (
        Declared("app", max_age_days=30, rotates=True, remind_days=7),
        Declared("vendor", expires={key: "2027-03-01"}, hints={key: "x\\u{a}::error::y"}, remind_days=7),
    )


def test_policies_of_many_secrets_are_divided_and_checked() -> None:
    def mistakes(count: int) -> list[str]:
        secrets: Any = {f"secret-{number:04}": {"values": {"A": {"random": {}}}} for number in range(count)}
        written = {"secrets": secrets, "notices": {"topicArn": TOPIC}}
        desired = resolve(StackFile.model_validate_json(json.dumps(written)), "aws-secrets", "test")
        return [
            one.path for one in limits.mistakes(desired, Account(ACCOUNT, "aws", "us-east-1"), Servers(), {})
        ]

    assert mistakes(800) == []
    assert mistakes(1_200) == ["aws-secrets:notices"]


def test_a_role_with_several_policies_has_every_secret() -> None:
    secrets: Any = {f"{number:03}{'x' * 200}": {"values": {"A": {"random": {}}}} for number in range(80)}
    recording = declare({"topicArn": TOPIC}, secrets)
    policies = [
        json.loads(one.inputs["policy"])
        for one in recording.resources
        if one.type in {"aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"} and "notices" in one.name
    ]
    asked = {
        arn.rpartition(":")[2].removesuffix("-??????")
        for policy in policies
        for statement in policy["Statement"]
        if statement["Sid"] == "AskAboutTheseSecrets"
        for arn in statement["Resource"]
    }
    assert len(policies) > 1
    assert asked == set(secrets)


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"notices": {}}, "aws-secrets:notices", "neither topicArn nor webhook"),
        ({"notices": {"topicArn": f"{TOPIC}.fifo"}}, "aws-secrets:notices.topicArn", "FIFO"),
        (
            {"notices": {"topicArn": TOPIC.replace("us-east-1", "eu-west-1")}},
            "aws-secrets:notices.topicArn",
            "Use a topic in us-east-1",
        ),
        ({"notices": {"webhook": {"secret": "chta"}}}, "aws-secrets:notices.webhook.secret", 'mean "chat"'),
        (
            {"notices": {"webhook": {"secret": "chat", "key": "URL"}}},
            "aws-secrets:notices.webhook.key",
            "Remove key",
        ),
        (
            {"notices": {"webhook": {"secret": "vendor"}}},
            "aws-secrets:notices.webhook.key",
            "Its keys are TOKEN, OTHER",
        ),
        (
            {"notices": {"webhook": {"url": "https://x", "secret": "chat"}}},
            "aws-secrets:notices.webhook.url",
            "unknown key",
        ),
        ({"notices": {"topicArn": TOPIC, "hour": 24}}, "aws-secrets:notices.hour", "23"),
        ({"maxAgeDays": -1}, "aws-secrets:maxAgeDays", "0"),
        (
            {"secrets": {"a": {"values": {"K": {"filledByHand": "x", "expires": "2027-02-30"}}}}},
            "aws-secrets:secrets.a.values.K.expires",
            '"YYYY-MM-DD" in quotes',
        ),
        (
            {"secrets": {"a": {"values": {"K": {"random": {}, "expires": "2027-02-03"}}}}},
            "aws-secrets:secrets.a.values.K",
            "maxAgeDays",
        ),
    ],
)
def test_impossible_settings_are_rejected_with_a_remedy(
    settings: dict[str, Any], path: str, words: str
) -> None:
    written = {"secrets": SECRETS, "notices": {"topicArn": TOPIC}, **settings}
    with pytest.raises(SettingsError) as raised:
        run({"aws:region": "us-east-1", **{f"aws-secrets:{key}": one for key, one in written.items()}})
    found = {mistake.path: str(mistake) for mistake in raised.value.mistakes}
    assert path in found, found
    assert words in found[path]


def test_the_boundary_of_a_pipeline_allows_what_the_function_needs() -> None:
    """Every action of the function's role is in the boundary, for its stacks' resources."""
    pipeline = {
        "repository": "acme/shop",
        "oidcProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
        "environment": "production",
        "stacks": ["prod"],
        "secretPrefixes": ["app", "vendor", "chat"],
    }

    def allowed(recording: Recording, name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in recording.resources:
            if one.name == name and "policy" in one.inputs:
                for statement in json.loads(one.inputs["policy"])["Statement"]:
                    if statement["Effect"] == "Allow":
                        actions, arns = statement["Action"], statement["Resource"]
                        for action in [actions] if isinstance(actions, str) else actions:
                            found.setdefault(action, set()).update([arns] if isinstance(arns, str) else arns)
        return found

    def made(**more: Any) -> Recording:
        return run({"aws:region": "us-east-1", "aws-secrets:pipeline": {**pipeline, **more}})

    without, within = made(), made(notices={"topicArns": [TOPIC], "topicKeyArns": [KEY]})
    needed = allowed(
        declare({"topicArn": TOPIC, "topicKeyArn": KEY, "webhook": {"secret": "chat"}}), "notices-policy"
    )
    boundary = allowed(within, "update-boundary")
    assert needed.keys() <= boundary.keys()
    assert boundary["sns:Publish"] == {TOPIC}
    assert boundary["secretsmanager:ListSecretVersionIds"] == boundary["secretsmanager:DescribeSecret"]
    assert "events:PutRule" in allowed(within, "update-policy")
    assert (
        not {"sns:Publish", "secretsmanager:ListSecretVersionIds"}
        & allowed(without, "update-boundary").keys()
    )
    assert "events:PutRule" not in allowed(without, "update-policy")
