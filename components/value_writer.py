"""The Lambda function that writes values inside the account, with a role for exactly its secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_random as random

from . import function_parts, tokens
from .archives import writer_code
from .checks import check_strings
from .function_parts import FunctionCode, FunctionSettings, Grants
from .lambdas.build import WRITER_HANDLER
from .policies import document, log_writing
from .role_policies import Division, distinct_keys, divide, key_arns_for_size

_MEMORY_MEGABYTES = 256  # CPU time is in proportion
_TIMEOUT_SECONDS = 60
# As many as `pulumi up` runs in parallel on a small machine; above that, the provider retries.
_AT_ONCE = 10
_SALT_LENGTH = 32


@dataclass(frozen=True, kw_only=True)
class ValueWriterArgs:
    """Arguments of a value writer.

    Attributes:
        common: settings shared with the program's other functions. Default: FunctionSettings(), with the
            account and region of the program's default provider.
        code: the function's code. Default: this package's.
        handler: entry point in the code. Default: that of the default code.
        secret_names: names in AWS of the secrets that it may write.
        kms_key_arns: ARNs of the keys or aliases that encrypt these secrets. Default: none, for
            `aws/secretsmanager`.

    Raises:
        ArgumentError: secret_names or kms_key_arns is not a list of strings.
    """

    common: FunctionSettings = field(default_factory=FunctionSettings)
    code: pulumi.Archive = field(default_factory=writer_code)
    handler: str = WRITER_HANDLER
    secret_names: Sequence[str]
    kms_key_arns: Sequence[pulumi.Input[str]] = ()

    def __post_init__(self) -> None:
        check_strings("ValueWriter", "secret_names", self.secret_names)
        check_strings("ValueWriter", "kms_key_arns", self.kms_key_arns)


def division(name: str, args: ValueWriterArgs) -> Division:
    """Return how the secrets and then the keys are divided among the policies of the role."""
    grants = _grants(args, key_arns_for_size(args.kms_key_arns, args.common.arn("kms", "key/")))
    log_group_arn = function_parts.log_group_arn_for_size(name, args.common)
    return divide(
        len(grants),
        lambda part, inline: _permissions(args.common, grants.part(part), log_group_arn if inline else None),
    )


def _grants(args: ValueWriterArgs, kms_key_arns: Sequence[str]) -> Grants:
    return Grants(secret_names=sorted(set(args.secret_names)), kms_key_arns=kms_key_arns)


def _permissions(common: FunctionSettings, grants: Grants, log_group_arn: str | None) -> str:
    """Return a policy of the role; the inline one also allows the log group."""
    return document(
        *common.writing_of_secrets("WriteTheseSecrets", grants.secret_names),
        *([log_writing(log_group_arn)] if log_group_arn else []),
        *common.use_of_keys(grants.kms_key_arns),
    )


class ValueWriter(pulumi.ComponentResource):
    """The Lambda function that writes the values of secrets in the modes managed and account.

    Attributes:
        function_name: name of the function.
        log_group_name: name of its log group, which has key names and no values.
        salt: secret that is added to requests with a configured value.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    salt: pulumi.Output[str]

    def __init__(self, name: str, args: ValueWriterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # for reports on previews: the role's policy is not known before the log group exists
        super().__init__(tokens.VALUE_WRITER, name, {"reads": sorted(set(args.secret_names))}, opts)
        keys = pulumi.Output.all(*distinct_keys(args.kms_key_arns))

        def permissions(part: range, log_group_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
            return pulumi.Output.all(log_group_arn, keys).apply(
                lambda known: _permissions(args.common, _grants(args, known[1]).part(part), known[0])
            )

        first, *others = division(name, args).parts
        function, log_group = function_parts.python_function(
            name,
            args.common,
            FunctionCode(
                about="Writes values of AWS Secrets Manager secrets inside the account",
                failure="Values were not written, and the update failed. The function's log has the reason.",
                archive=args.code,
                handler=args.handler,
                memory_megabytes=_MEMORY_MEGABYTES,
                timeout_seconds=_TIMEOUT_SECONDS,
                concurrency=_AT_ONCE,
            ),
            lambda arn: [permissions(first, arn), *(permissions(part, None) for part in others)],
            self,
        )
        # an invocation's ID, which is plain text in Pulumi's state, is a hash of the request: without a salt,
        # a guessed value could be verified
        salt = random.RandomPassword(
            f"{name}-salt", length=_SALT_LENGTH, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.salt = pulumi.Output.secret(salt.result)
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})
