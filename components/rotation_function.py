"""The Lambda function that rotates secrets, with a role for exactly these secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import pulumi
import pulumi_aws as aws

from . import function_parts, tokens
from .archives import rotation_archive
from .cache_permissions import changes_of_caches
from .checks import ArgumentError, check_choice, check_number, check_port, check_strings, check_text
from .function_parts import FunctionCode, FunctionSettings, Grants
from .lambdas.build import HANDLER
from .lambdas.rotation import protocol
from .policies import document, log_writing
from .role_policies import Division, distinct_keys, divide, key_arns_for_size
from .smtp_permissions import changes_of_access_keys

WhileUsed: TypeAlias = Literal["proceed", "wait", "defer"]

_MEMORY_MEGABYTES = 256  # it uses up to 72, but CPU time is in proportion
_TIMEOUT_SECONDS = 60
_LONGEST_TIMEOUT_SECONDS = 900  # AWS takes minutes to change an AUTH token; Lambda's limit
_SMTP_TIMEOUT_SECONDS = 300  # AWS takes up to minutes to make a new access key known
# A secret's name has up to 512 characters; the ARN of one that this update creates is not known yet.
_LONGEST_ADMIN_ARN = "x" * 600
_LONGEST_CACHE_NAME = "x" * 40
_LONGEST_USER_NAME = "x" * 64

# Source: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC". These
# operations support no ARN, or one that is unknown beforehand.
NETWORK_INTERFACES = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where in a VPC a function runs; it must reach the database and Secrets Manager from there.

    Attributes:
        subnet_ids: IDs of the subnets.
        security_group_ids: IDs of the security groups.

    Raises:
        ArgumentError: one of them is not a list.
    """

    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_ids: Sequence[pulumi.Input[str]]

    def __post_init__(self) -> None:
        check_strings("Network", "subnet_ids", self.subnet_ids)
        check_strings("Network", "security_group_ids", self.security_group_ids)


@dataclass(frozen=True, kw_only=True)
class AdminServer:
    """A server on which an administrator's password may be used.

    Attributes:
        secret_arn: full ARN of the administrator's secret.
        host: DNS name of the server.
        port: TCP port. Default: 5432.

    Raises:
        ArgumentError: the ARN or the host is empty, or the port is not one.
    """

    secret_arn: pulumi.Input[str]
    host: pulumi.Input[str]
    port: int = 5432

    def __post_init__(self) -> None:
        check_text("AdminServer", "secret_arn", self.secret_arn)
        check_text("AdminServer", "host", self.host)
        check_port("AdminServer", self.port)


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """The behavior of a rotation while clients use the password that it would end.

    Attributes:
        mode: proceed; wait, for up to 14 minutes; or defer, to the next rotation. All three name the clients
            in the function's log.
        deferrals: with defer, how many rotations in a row may be deferred, 1 to 99; the next one goes on.
            Default: 3.

    Raises:
        ArgumentError: the mode is unknown, or the number is out of range.
    """

    mode: WhileUsed
    deferrals: int = protocol.DEFAULT_DEFERRALS

    def __post_init__(self) -> None:
        check_choice("Retirement", "mode", self.mode, get_args(WhileUsed))
        check_number("Retirement", "deferrals", self.deferrals, 1, protocol.MOST_DEFERRALS)


@dataclass(frozen=True, kw_only=True)
class RotationFunctionArgs:
    """Arguments of a rotation function.

    Attributes:
        common: settings shared with the program's other functions. Default: FunctionSettings(), with the
            account and region of the program's default provider.
        archive: path of the function's zip file. Default: built from this package's files on first use, in
            the user's cache folder.
        handler: entry point in the archive. Default: that of the default archive.
        secret_names: names in AWS of the secrets that it may rotate.
        admin_secret_arns: ARNs of the secrets that it may only read, to log in as a database's administrator.
            Default: none.
        admin_servers: servers on which the passwords in those may be used, for secrets that do not name one,
            as those that RDS manages. Default: none.
        kms_key_arns: ARNs of the keys or aliases that encrypt all these secrets. Default: none, for
            `aws/secretsmanager`.
        cache_arns: ARNs of the users of ElastiCache and MemoryDB whose passwords it may change, of the user
            groups and ACLs that it may add them to, and of the replication groups whose AUTH tokens it may
            change. With any, it may run for 15 minutes instead of one, because AWS takes minutes for the
            change. Default: none.
        smtp_user_arns: ARNs of the IAM users whose access keys it may replace, for SMTP credentials. With
            any, it may run for 5 minutes. Default: none.
        retirements: by the name in AWS of a secret, what its rotation does while clients use an old
            password; not for a single user of PostgreSQL. With `wait` for any, the function may run for 15
            minutes. Default: none; it proceeds without a look.
        network: subnets and security groups. Default: outside any VPC.
        certificate_authorities: PEM of authorities to trust besides those of Amazon RDS, up to 3,500 bytes.
            Default: none.

    Raises:
        ArgumentError: secret_names or admin_secret_arns is not a list of strings.
    """

    common: FunctionSettings = field(default_factory=FunctionSettings)
    archive: str = field(default_factory=rotation_archive)
    handler: str = HANDLER
    secret_names: Sequence[str]
    admin_secret_arns: Sequence[pulumi.Input[str]] = ()
    admin_servers: Sequence[AdminServer] = ()
    kms_key_arns: Sequence[pulumi.Input[str]] = ()
    cache_arns: Sequence[pulumi.Input[str]] = ()
    smtp_user_arns: Sequence[pulumi.Input[str]] = ()
    retirements: Mapping[str, Retirement] = field(default_factory=dict)
    network: Network | None = None
    certificate_authorities: str = ""

    def __post_init__(self) -> None:
        check_strings("RotationFunction", "cache_arns", self.cache_arns)
        check_strings("RotationFunction", "smtp_user_arns", self.smtp_user_arns)
        check_strings("RotationFunction", "secret_names", self.secret_names)
        check_strings("RotationFunction", "admin_secret_arns", self.admin_secret_arns)
        check_strings("RotationFunction", "kms_key_arns", self.kms_key_arns)
        strangers = sorted(self.retirements.keys() - set(self.secret_names))
        if strangers:
            raise ArgumentError(
                f"RotationFunction: {', '.join(strangers)} is in retirements and not in secret_names: add "
                "the name, or remove it"
            )


def division(name: str, args: RotationFunctionArgs) -> Division:
    """Return how secrets, administrators' secrets and keys are divided among the policies of the role."""
    admins = [arn if isinstance(arn, str) else _LONGEST_ADMIN_ARN for arn in args.admin_secret_arns]
    keys = key_arns_for_size(args.kms_key_arns, args.common.arn("kms", "key/"))
    longest = args.common.arn("elasticache", f"user:{_LONGEST_CACHE_NAME}")
    caches = [arn if isinstance(arn, str) else longest for arn in args.cache_arns]
    longest = f"arn:{args.common.partition}:iam::{args.common.account_id}:user/{_LONGEST_USER_NAME}"
    users = [arn if isinstance(arn, str) else longest for arn in args.smtp_user_arns]
    grants = _grants(args, admins, keys, caches, users)
    log_group_arn = function_parts.log_group_arn_for_size(name, args.common)
    return divide(
        len(grants),
        lambda part, inline: _permissions(args, grants.part(part), log_group_arn if inline else None),
    )


def _grants(
    args: RotationFunctionArgs,
    admin_secret_arns: Sequence[str],
    kms_key_arns: Sequence[str],
    cache_arns: Sequence[str],
    smtp_user_arns: Sequence[str],
) -> Grants:
    return Grants(
        secret_names=sorted(set(args.secret_names)),
        admin_secret_arns=admin_secret_arns,
        kms_key_arns=kms_key_arns,
        cache_arns=sorted(cache_arns),
        smtp_user_arns=sorted(smtp_user_arns),
    )


def _permissions(args: RotationFunctionArgs, grants: Grants, log_group_arn: str | None) -> str:
    """Return a policy of the role; the inline one also allows the log group and the network."""
    statements = args.common.writing_of_secrets("RotateTheseSecrets", grants.secret_names)
    statements += [log_writing(log_group_arn)] if log_group_arn else []
    if grants.admin_secret_arns:
        statements.append(
            {
                "Sid": "LogInAsAdministrator",
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": sorted(set(grants.admin_secret_arns)),
            }
        )
    statements += args.common.use_of_keys(grants.kms_key_arns)
    statements += changes_of_caches(grants.cache_arns)
    statements += changes_of_access_keys(grants.smtp_user_arns)
    if args.network and log_group_arn:
        statements += [
            {
                "Sid": "LambdaAttachesItToTheNetwork",
                "Effect": "Allow",
                "Action": NETWORK_INTERFACES,
                "Resource": "*",
            },
            {
                "Sid": "ItsOwnCodeMayNot",
                "Effect": "Deny",
                "Action": NETWORK_INTERFACES,
                "Resource": "*",
                # only requests from a function's own code have this key
                "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}},
            },
        ]
    return document(*statements)


def _timeout_seconds(args: RotationFunctionArgs) -> int:
    if args.cache_arns or any(one.mode == protocol.WAIT for one in args.retirements.values()):
        return _LONGEST_TIMEOUT_SECONDS
    return _SMTP_TIMEOUT_SECONDS if args.smtp_user_arns else _TIMEOUT_SECONDS


def variables(args: RotationFunctionArgs) -> dict[str, pulumi.Input[str]]:
    """Return the function's environment variables; plain strings unless a server is an Output."""
    servers = _fingerprints(args.admin_servers)
    return {
        **({} if servers is None else {protocol.SERVERS_VARIABLE: servers}),
        **({protocol.CA_PEM_VARIABLE: args.certificate_authorities} if args.certificate_authorities else {}),
        **({protocol.RETIREMENT_VARIABLE: _entries(args.retirements)} if args.retirements else {}),
    }


def _entries(retirements: Mapping[str, Retirement]) -> str:
    return " ".join(
        sorted(protocol.retirement_entry(name, one.mode, one.deferrals) for name, one in retirements.items())
    )


def _fingerprints(servers: Sequence[AdminServer]) -> pulumi.Input[str] | None:
    if not servers:
        return None
    known = [(server.secret_arn, server.host, server.port) for server in servers]
    if all(isinstance(arn, str) and isinstance(host, str) for arn, host, _ in known):
        return _joined([(str(arn), str(host), port) for arn, host, port in known])
    return pulumi.Output.all(*(pulumi.Output.all(*server) for server in known)).apply(_joined)


def _joined(servers: Sequence[Sequence[Any]]) -> str:
    return " ".join(sorted({protocol.fingerprint(arn, host, int(port)) for arn, host, port in servers}))


class RotationFunction(pulumi.ComponentResource):
    """The Lambda function that rotates all secrets of a network, with its role, log group and alarm.

    Attributes:
        arn: ARN of the function, which Secrets Manager may invoke.
        function_name: name of the function.
        log_group_name: name of its log group.
    """

    arn: pulumi.Output[str]
    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: RotationFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for reports on previews: the role's policy is not known before the log group exists
        reads = {"reads": sorted(set(args.secret_names)), "readsByArn": list(args.admin_secret_arns)}
        super().__init__(tokens.ROTATION_FUNCTION, name, reads, opts)
        self._secret_names = frozenset(args.secret_names)
        admins = pulumi.Output.all(*args.admin_secret_arns)
        keys = pulumi.Output.all(*distinct_keys(args.kms_key_arns))
        caches = pulumi.Output.all(*args.cache_arns)
        users = pulumi.Output.all(*args.smtp_user_arns)

        def permissions(part: range, log_group_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
            return pulumi.Output.all(log_group_arn, admins, keys, caches, users).apply(
                lambda known: _permissions(args, _grants(args, *known[1:]).part(part), known[0])
            )

        first, *others = division(name, args).parts
        function, log_group = function_parts.python_function(
            name,
            args.common,
            FunctionCode(
                about="Rotates secrets of AWS Secrets Manager",
                failure="A rotation failed and is tried again. The function's log has the reason.",
                archive=pulumi.FileArchive(args.archive),
                handler=args.handler,
                memory_megabytes=_MEMORY_MEGABYTES,
                timeout_seconds=_timeout_seconds(args),
                variables=variables(args),
                vpc_config=aws.lambda_.FunctionVpcConfigArgs(
                    subnet_ids=list(args.network.subnet_ids),
                    security_group_ids=list(args.network.security_group_ids),
                )
                if args.network
                else None,
            ),
            lambda arn: [permissions(first, arn), *(permissions(part, None) for part in others)],
            self,
        )
        aws.lambda_.Permission(
            f"{name}-permission",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="secretsmanager.amazonaws.com",
            source_account=args.common.account_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = function.arn
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs(
            {"arn": self.arn, "functionName": self.function_name, "logGroupName": self.log_group_name}
        )

    @property
    def secret_names(self) -> frozenset[str]:
        """Names in AWS of the secrets that it may rotate."""
        return self._secret_names
