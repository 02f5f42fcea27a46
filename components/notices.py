"""A daily message while secrets need attention: a schedule, and the function that it invokes.

The function asks AWS about each secret and never for a value, except for the webhook's URL. What the program
knows (expiry dates, maximum ages) is a file in its archive: an environment holds 4 KB, and tags are written
by anyone who may tag the secret.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import pulumi
import pulumi_aws as aws

from . import function_parts, tokens
from .archives import notices_code
from .checks import ArgumentError, check_choice, check_number, check_plain_text, check_secret_name
from .function_parts import FunctionCode, FunctionSettings
from .lambdas.build import NOTICES_HANDLER
from .lambdas.notices import declared, protocol
from .lambdas.notices.age import Declared
from .policies import document, log_writing, uses_of_keys
from .role_policies import Division, divide, key_arns_for_size
from .visible import visible

WebhookFormat: TypeAlias = Literal["slack", "teams", "pagerduty"]

_MEMORY_MEGABYTES = 256
_TIMEOUT_SECONDS = 300
_LAST_HOUR = 23
_LONGEST_TOPIC_NAME = "x" * 256
_KEY_ID = "x" * 36


@dataclass(frozen=True, kw_only=True)
class NoticedSecret:
    """A secret that the function asks about.

    Attributes:
        secret_name: name in AWS.
        max_age_days: days after which its value is too old. Default: none.
        expires: JSON key to the last day on which its value is valid, such as 2027-03-01; the key of a whole
            value is empty. Default: none.
        filled_by_hand: JSON key to where a person gets its value; the key likewise. Default: none.
        rotates: a schedule renews its value. Default: False.
        rehearse_days: days between two rehearsals of its rotation on a schedule. Default: none.

    Raises:
        ArgumentError: not a valid name, or no positive number of days.
    """

    secret_name: str
    max_age_days: int | None = None
    expires: Mapping[str, str] = field(default_factory=dict)
    filled_by_hand: Mapping[str, str] = field(default_factory=dict)
    rotates: bool = False
    rehearse_days: int | None = None

    def __post_init__(self) -> None:
        check_secret_name(self.secret_name)
        if self.max_age_days is not None:
            check_number(f"secret {self.secret_name}", "max_age_days", self.max_age_days, 1)


@dataclass(frozen=True, kw_only=True)
class NoticeWebhook:
    """A webhook, whose URL the function reads from a secret when it sends a message.

    Attributes:
        secret_name: name in AWS of the secret that holds the URL.
        key: its JSON key. Default: none, for a secret that is one text.
        format: slack, teams or pagerduty; for pagerduty the secret holds the integration key. Default: slack.
        kms_key_arn: ARN of the key or alias that encrypts the secret. Default: `aws/secretsmanager`.

    Raises:
        ArgumentError: not a valid name, or an unknown format.
    """

    secret_name: str
    key: str | None = None
    format: WebhookFormat = "slack"
    kms_key_arn: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        check_secret_name(self.secret_name)
        check_choice("NoticeWebhook", "format", self.format, get_args(WebhookFormat))


@dataclass(frozen=True, kw_only=True)
class NoticesArgs:
    """Arguments of notices.

    Attributes:
        common: settings shared with the program's other functions. Default: FunctionSettings(), with the
            account and region of the program's default provider.
        title: names the stack in the message.
        secrets: the secrets that the function asks about.
        topic_arn: SNS topic to publish to. Default: none.
        topic_key_arn: ARN of the KMS key of the topic, if it is encrypted with your own. Default: none.
        webhook: a webhook to send the message to. Default: none.
        hour: hour of the day in UTC. Default: 8.
        remind_days: days before a value expires or is too old, from which it is reported. Default: 30.
        rehearsal_log_group: name of the log group of scheduled rehearsals. Default: none.
        handler: entry point in the function's code. Default: this package's.

    Raises:
        ArgumentError: neither topic nor webhook, or an hour that does not exist.
    """

    common: FunctionSettings = field(default_factory=FunctionSettings)
    title: str
    secrets: Sequence[NoticedSecret]
    topic_arn: pulumi.Input[str] | None = None
    topic_key_arn: pulumi.Input[str] | None = None
    webhook: NoticeWebhook | None = None
    hour: int = 8
    remind_days: int = 30
    rehearsal_log_group: str | None = None
    handler: str = NOTICES_HANDLER

    def __post_init__(self) -> None:
        check_plain_text("Notices", "title", self.title)
        check_number("Notices", "hour", self.hour, 0, _LAST_HOUR)
        check_number("Notices", "remind_days", self.remind_days, 1)
        if self.topic_arn is None and self.webhook is None:
            raise ArgumentError("Notices: nobody would be notified: set topic_arn, webhook, or both")


def declared_file(args: NoticesArgs) -> str:
    """Return the file in the archive: what the function must know about the secrets."""
    return declared.written(
        visible(args.title),
        [
            Declared(
                secret.secret_name,
                max_age_days=secret.max_age_days,
                expires={visible(key): day for key, day in secret.expires.items()},
                hints={visible(key): visible(hint) for key, hint in secret.filled_by_hand.items()},
                rotates=secret.rotates,
                remind_days=args.remind_days,
                rehearse_days=secret.rehearse_days,
            )
            for secret in args.secrets
        ],
    )


def division(name: str, args: NoticesArgs) -> Division:
    """Return how the secrets are divided among the policies of the role."""
    logs = function_parts.log_group_arn_for_size(name, args.common)
    topic, topic_key = args.topic_arn, args.topic_key_arn
    if topic is not None and not isinstance(topic, str):
        topic = args.common.arn("sns", _LONGEST_TOPIC_NAME)
    if topic_key is not None and not isinstance(topic_key, str):
        topic_key = args.common.arn("kms", f"key/{_KEY_ID}")
    webhook_key = args.webhook.kms_key_arn if args.webhook else None
    if webhook_key is not None:
        [webhook_key] = key_arns_for_size([webhook_key], args.common.arn("kms", "key/"))
    own = [logs, topic, topic_key, webhook_key]
    return divide(len(args.secrets), lambda part, inline: _permissions(args, part, own if inline else None))


def _permissions(args: NoticesArgs, part: range, own: Sequence[str | None] | None) -> str:
    """Return a policy of the role.

    Args:
        args: the function's arguments.
        part: positions of the secrets.
        own: for the inline policy, the ARNs of log group, topic, topic's key and webhook's key.
    """
    names = sorted(secret.secret_name for secret in args.secrets)[part.start : part.stop]
    # AWS adds "-" and six characters to the name: each of these is one secret, which may not exist yet
    asks: dict[str, object] = {
        "Sid": "AskAboutTheseSecrets",
        "Effect": "Allow",
        "Action": ["secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"],
        "Resource": [args.common.arn("secretsmanager", f"secret:{name}-??????") for name in names],
    }
    statements = [asks] if names else []
    if own is None:
        return document(*statements)
    logs, topic, topic_key, webhook_key = own
    statements.append(log_writing(str(logs)))
    if args.rehearsal_log_group is not None:
        group = args.common.arn("logs", f"log-group:{args.rehearsal_log_group}:*")
        statements.append(
            {
                "Sid": "ReadOutcomesOfRehearsals",
                "Effect": "Allow",
                "Action": "logs:FilterLogEvents",
                "Resource": group,
            }
        )
    if topic is not None:
        statements.append(
            {"Sid": "PublishToTheTopic", "Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
        )
    if topic_key is not None:
        statements.append(
            {
                "Sid": "UseTheTopicsKey",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": topic_key,
                "Condition": {"StringEquals": {"kms:ViaService": f"sns.{args.common.region}.amazonaws.com"}},
            }
        )
    if args.webhook is not None:
        secret = args.common.arn("secretsmanager", f"secret:{args.webhook.secret_name}-??????")
        statements.append(
            {
                "Sid": "ReadTheWebhook",
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": secret,
            }
        )
        keys = [] if webhook_key is None else [webhook_key]
        only_it = {"kms:EncryptionContext:SecretARN": secret}
        statements += [
            {**statement, "Condition": {**_conditions(statement), "StringLike": only_it}}
            for statement in uses_of_keys("UseKey{}ForTheWebhook", keys, args.common.region, ["kms:Decrypt"])
        ]
    return document(*statements)


def _conditions(statement: Mapping[str, object]) -> Mapping[str, object]:
    conditions = statement["Condition"]
    return conditions if isinstance(conditions, Mapping) else {}


def _variables(args: NoticesArgs) -> dict[str, pulumi.Input[str]]:
    variables: dict[str, pulumi.Input[str]] = {}
    if args.topic_arn is not None:
        variables[protocol.TOPIC_VARIABLE] = args.topic_arn
    if args.rehearsal_log_group is not None:
        variables[protocol.REHEARSAL_LOG_VARIABLE] = args.rehearsal_log_group
    if args.webhook is not None:
        variables[protocol.WEBHOOK_SECRET_VARIABLE] = args.webhook.secret_name
        variables[protocol.WEBHOOK_FORMAT_VARIABLE] = args.webhook.format
        if args.webhook.key is not None:
            variables[protocol.WEBHOOK_KEY_VARIABLE] = args.webhook.key
    return variables


class Notices(pulumi.ComponentResource):
    """A function that sends one message a day while secrets need attention, and none otherwise.

    Attributes:
        function_name: name of the function.
        log_group_name: name of its log group.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: NoticesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # for reports on previews: the role's policy is not known before the log group exists
        reads = {"reads": [args.webhook.secret_name] if args.webhook else []}
        super().__init__(tokens.NOTICES, name, reads, opts)
        webhook_key = args.webhook.kms_key_arn if args.webhook else None

        def permissions(part: range, log_group_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
            own = pulumi.Output.all(log_group_arn, args.topic_arn, args.topic_key_arn, webhook_key)
            return own.apply(lambda known: _permissions(args, part, known if known[0] else None))

        first, *others = division(name, args).parts
        about = "Sends a message while secrets of AWS Secrets Manager need attention"
        function, log_group = function_parts.python_function(
            name,
            args.common,
            FunctionCode(
                about=about,
                failure="A daily message about secrets was not sent. The function's log has the reason.",
                archive=notices_code(declared_file(args)),
                handler=args.handler,
                memory_megabytes=_MEMORY_MEGABYTES,
                timeout_seconds=_TIMEOUT_SECONDS,
                # one at a time: an event that is delivered twice finds what the first delivery has sent
                concurrency=1,
                variables=_variables(args),
            ),
            lambda arn: [permissions(first, arn), *(permissions(part, None) for part in others)],
            self,
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            description=about,
            schedule_expression=f"cron(0 {args.hour} * * ? *)",
            tags=dict(args.common.tags) or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        function_parts.invoke_by_rule(name, rule, function, self)
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})
