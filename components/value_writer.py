"""The Lambda function that writes values inside the account, with a role for exactly its secrets."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components import function_parts
from components.function_parts import FunctionSettings, Grants
from components.policies import document, log_writing
from components.role_policies import Division, distinct_keys, divide, key_arns_for_size

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


def division(name: str, args: ValueWriterArgs) -> Division:
    """How the secrets and then the keys are divided among the policies of the function's role."""
    grants = _grants(args, key_arns_for_size(args.kms_key_ids, args.common.arn("kms", "key/")))
    log_group_arn = function_parts.log_group_arn_for_size(name, args.common)
    return divide(
        len(grants),
        lambda part, inline: _permissions(args.common, grants.part(part), log_group_arn if inline else None),
    )


def _grants(args: ValueWriterArgs, kms_key_ids: Sequence[str]) -> Grants:
    return Grants(secret_names=sorted(set(args.secret_names)), kms_key_ids=kms_key_ids)


def _permissions(common: FunctionSettings, grants: Grants, log_group_arn: str | None) -> str:
    """One of the policies of the function's role; the inline one has the log group."""
    return document(
        *common.writing_of_secrets("WriteTheseSecrets", grants.secret_names),
        *([log_writing(log_group_arn)] if log_group_arn else []),
        *common.use_of_keys(grants.kms_key_ids),
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
        keys = pulumi.Output.all(*distinct_keys(args.kms_key_ids))

        def permissions(part: range, log_group_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
            return pulumi.Output.all(log_group_arn, keys).apply(
                lambda known: _permissions(args.common, _grants(args, known[1]).part(part), known[0])
            )

        first, *others = division(name, args).parts
        role, policy = function_parts.execution_role(
            name,
            args.common,
            _ABOUT,
            [permissions(first, log_group.arn), *(permissions(part, None) for part in others)],
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
