"""The Lambda function that writes values inside the account, with a role for exactly its secrets."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components import function_parts
from components.function_parts import FunctionSettings
from components.policies import document, log_writing

_RUNTIME = "python3.13"
_MEMORY_MEGABYTES = 256  # Lambda gives processor time in proportion
_TIMEOUT_SECONDS = 60
# As many as one `pulumi up` runs at once on a small machine; the provider waits and asks again above it.
_AT_ONCE = 10
_SALT_LENGTH = 32

_ABOUT = "Writes values of AWS Secrets Manager secrets inside the account"


@dataclass(frozen=True, kw_only=True)
class ValueWriterArgs:
    """What the function runs, and what it may touch.

    Attributes:
        common: what it has in common with the stack's other functions.
        code: the function's archive.
        handler: the function's entry in it, as Lambda names it.
        secret_names: names in AWS of the secrets that it may write.
        kms_key_ids: ARNs of KMS keys or aliases that encrypt those secrets; AWS's own key needs none.
    """

    common: FunctionSettings
    code: pulumi.Archive
    handler: str
    secret_names: Sequence[str]
    kms_key_ids: Sequence[pulumi.Input[str]] = ()


def permissions(
    common: FunctionSettings, secret_names: Sequence[str], log_group_arn: str, kms_key_ids: Sequence[str]
) -> str:
    """The policy of the function's role; keys by their ARNs or those of aliases."""
    return document(
        common.writing_of_secrets("WriteTheseSecrets", secret_names),
        log_writing(log_group_arn),
        *common.use_of_keys(kms_key_ids),
    )


class ValueWriter(pulumi.ComponentResource):
    """One function for all secrets of a stack whose values are written in the account.

    Attributes:
        function_name: its name.
        log_group_name: where its log is; key names, no values.
        salt: goes along with requests that have a value in them.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    salt: pulumi.Output[str]

    def __init__(self, name: str, args: ValueWriterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # for previews: the role's policy is not known before the log group is made
        super().__init__(
            "aws-secrets:index:ValueWriter", name, {"reads": sorted(set(args.secret_names))}, opts
        )
        log_group = function_parts.log_group(name, args.common, self)
        role, policy = function_parts.execution_role(
            name,
            args.common,
            _ABOUT,
            pulumi.Output.all(log_group.arn, pulumi.Output.all(*args.kms_key_ids)).apply(
                lambda known: permissions(args.common, args.secret_names, *known)
            ),
            self,
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            description=_ABOUT,
            code=args.code,
            handler=args.handler,
            runtime=_RUNTIME,
            architectures=[args.common.architecture],
            memory_size=_MEMORY_MEGABYTES,
            timeout=_TIMEOUT_SECONDS,
            reserved_concurrent_executions=_AT_ONCE,
            role=role.arn,
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=log_group.name),
            tags=dict(args.common.tags) or None,
            # its first call would fail without its permissions
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        function_parts.error_alarm(
            name,
            args.common,
            function,
            "Values were not written, and the update failed. The function's log has the reason.",
            self,
        )
        # an invocation's id, which Pulumi's state has in plain text, is a hash of the request: without a salt
        # one could guess at a value and see whether it is right
        salt = random.RandomPassword(
            f"{name}-salt", length=_SALT_LENGTH, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.salt = pulumi.Output.secret(salt.result)
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})
