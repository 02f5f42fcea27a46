"""The Lambda function that copies the value of a secret to its new name, while it is being renamed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from . import function_parts, tokens
from .archives import copier_code
from .checks import check_secret_name
from .function_parts import WRITE_VERSIONS, FunctionCode, FunctionSettings
from .lambdas.build import COPIER_HANDLER
from .lambdas.copier import protocol
from .policies import READ_VALUES, document, key_arn, log_writing
from .version_labels import CURRENT_LABEL, LookupFailedError, list_versions

_MEMORY_MEGABYTES = 128
_TIMEOUT_SECONDS = 60
_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class CopyOf:
    """The secret whose values another one gets, and the function that copies them.

    Attributes:
        secret_name: name in AWS of the secret to copy from.
        secret_arn: its full ARN.
        kms_key_ids: ARNs, IDs or aliases of the keys that encrypt the two secrets. Default: none, for
            `aws/secretsmanager`.
        after: what must exist first: the values to copy. Default: nothing.
        common: settings shared with the program's other functions. Default: FunctionSettings(), with the
            account and region of the program's default provider.
        code: the function's code. Default: this package's.
        handler: entry point in the code. Default: that of the default code.

    Raises:
        ArgumentError: secret_name is not a valid name.
    """

    secret_name: str
    secret_arn: pulumi.Input[str]
    kms_key_ids: Sequence[pulumi.Input[str] | None] = ()
    after: Sequence[pulumi.Resource] = ()
    common: FunctionSettings = field(default_factory=FunctionSettings)
    code: pulumi.Archive = field(default_factory=copier_code)
    handler: str = COPIER_HANDLER

    def __post_init__(self) -> None:
        check_secret_name(self.secret_name)


def copier_name(secret_name: str) -> str:
    """Return the logical name of a secret's copier: the secret's own name may be no name for a function."""
    return f"rename-{hashlib.sha256(secret_name.encode()).hexdigest()[:_DIGITS]}"


def _permissions(
    common: FunctionSettings, source: str, target: str, keys: Sequence[str | None], log: str
) -> str:
    """Return the role's policy: read this one secret, and write that one."""
    arns = [
        key_arn(key, partition=common.partition, region=common.region, account_id=common.account_id)
        for key in keys
    ]
    return document(
        {"Sid": "ReadTheOldName", "Effect": "Allow", "Action": READ_VALUES, "Resource": source},
        {"Sid": "WriteTheNewName", "Effect": "Allow", "Action": WRITE_VERSIONS, "Resource": target},
        log_writing(log),
        *common.use_of_keys(arn for arn in arns if arn),
    )


class SecretCopier(pulumi.ComponentResource):
    """The Lambda function that copies one secret's values to another one, and nothing else.

    Attributes:
        function_name: name of the function.
        log_group_name: name of its log group.
        copied: the invocation after which the new secret has the current value.
    """

    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    copied: "aws.lambda_.Invocation"

    def __init__(
        self, secret_name: str, secret: "aws.secretsmanager.Secret", copy_of: CopyOf, parent: pulumi.Resource
    ) -> None:
        name = copier_name(secret_name)
        # for reports on previews: the role's policy is not known before the secret exists
        reads = sorted({secret_name, copy_of.secret_name})
        super().__init__(tokens.SECRET_COPIER, name, {"reads": reads}, pulumi.ResourceOptions(parent=parent))
        keys = pulumi.Output.all(*copy_of.kms_key_ids)
        function, log_group = function_parts.python_function(
            name,
            copy_of.common,
            FunctionCode(
                about=f"Copies {copy_of.secret_name} to its new name {secret_name}",
                failure=f"{secret_name} may have an older value than {copy_of.secret_name}. "
                "The function's log has the reason.",
                archive=copy_of.code,
                handler=copy_of.handler,
                memory_megabytes=_MEMORY_MEGABYTES,
                timeout_seconds=_TIMEOUT_SECONDS,
                concurrency=1,
                variables={
                    protocol.SOURCE_VARIABLE: copy_of.secret_arn,
                    protocol.TARGET_VARIABLE: secret.arn,
                },
            ),
            lambda log: [
                pulumi.Output.all(copy_of.secret_arn, secret.arn, keys, log).apply(
                    lambda known: _permissions(copy_of.common, known[0], known[1], known[2], known[3])
                )
            ],
            self,
        )
        # The function ignores its input. A changed one replaces the invocation, so each update copies the
        # value that is current then.
        current = pulumi.Output.all(copy_of.secret_arn, *(resource.urn for resource in copy_of.after)).apply(
            lambda known: _current_version(str(known[0]))
        )
        self.copied = aws.lambda_.Invocation(
            f"{name}-copy",
            function_name=function.name,
            input=current.apply(lambda version: json.dumps({protocol.VERSION_ID: version})),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[function, *copy_of.after], deleted_with=secret
            ),
        )
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs({"functionName": self.function_name, "logGroupName": self.log_group_name})


def _current_version(arn: str) -> str:
    """Return the ID of a secret's current version; empty if it is not known."""
    try:
        versions = list_versions(arn)
    except LookupFailedError:
        return ""  # a preview may lack the permission
    return next((one.version_id for one in versions if CURRENT_LABEL in one.version_stages), "")
