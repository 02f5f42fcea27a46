"""The Lambda function that rotates secrets, with a role for exactly those and nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import function_parts
from components.function_parts import FunctionSettings, Grants
from components.policies import document, log_writing
from components.role_policies import Division, distinct_keys, divide, key_arns_for_size

_RUNTIME = "python3.13"
_MEMORY_MEGABYTES = 256  # it uses up to 72; Lambda gives processor time in proportion
_TIMEOUT_SECONDS = 60
# Secrets Manager takes names of 512 characters; only a secret that is made in the same update is not known.
_LONGEST_ADMIN_ARN = "x" * 600

# Source: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC". These
# operations know no ARN to allow, or one that nobody knows before.
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
    """Where in a VPC the function runs: from there it must reach the database and Secrets Manager."""

    subnet_ids: Sequence[str]
    security_group_ids: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class AdminServer:
    """A server on which an administrator's password may be used.

    Attributes:
        secret_arn: full ARN of the administrator's secret.
        host: DNS name of the server.
        port: TCP port.
    """

    secret_arn: str
    host: str
    port: int

    @property
    def fingerprint(self) -> str:
        """What the function is told of it: short, because Lambda gives all variables together 4 KB.

        The function makes the same (functions/rotation/postgres_authority.py).
        """
        text = f"{self.secret_arn}\n{self.host.casefold()}:{self.port}"
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:12]).decode()


@dataclass(frozen=True, kw_only=True)
class RotationFunctionArgs:
    """What the function runs, where, and what it may touch.

    Attributes:
        common: what it has in common with the stack's other functions.
        archive: path of the function's zip file.
        handler: the function's entry in it, as Lambda names it.
        secret_names: names in AWS of the secrets that it may rotate.
        admin_secret_arns: secrets that it may only read, to log in as a database's administrator.
        admin_servers: where the passwords in those may be used, if they do not say so themselves, as secrets
            that RDS manages do not.
        kms_key_ids: ARNs of KMS keys or aliases that encrypt those secrets; AWS's own key needs none.
        network: subnets and security groups; outside any VPC if left out.
        certificate_authorities: PEM of authorities to trust beside those of Amazon RDS, up to 3,500 bytes.
    """

    common: FunctionSettings
    archive: str
    handler: str
    secret_names: Sequence[str]
    admin_secret_arns: Sequence[pulumi.Input[str]] = ()
    admin_servers: Sequence[AdminServer] = ()
    kms_key_ids: Sequence[pulumi.Input[str]] = ()
    network: Network | None = None
    certificate_authorities: str = ""


def division(name: str, args: RotationFunctionArgs) -> Division:
    """How secrets, administrators' secrets and keys are divided among the policies of the function's role."""
    admins = [arn if isinstance(arn, str) else _LONGEST_ADMIN_ARN for arn in args.admin_secret_arns]
    keys = key_arns_for_size(args.kms_key_ids, args.common.arn("kms", "key/"))
    grants = _grants(args, admins, keys)
    log_group_arn = function_parts.log_group_arn_for_size(name, args.common)
    return divide(
        len(grants),
        lambda part, inline: _permissions(args, grants.part(part), log_group_arn if inline else None),
    )


def _grants(
    args: RotationFunctionArgs, admin_secret_arns: Sequence[str], kms_key_ids: Sequence[str]
) -> Grants:
    return Grants(
        secret_names=sorted(set(args.secret_names)),
        admin_secret_arns=admin_secret_arns,
        kms_key_ids=kms_key_ids,
    )


def _permissions(args: RotationFunctionArgs, grants: Grants, log_group_arn: str | None) -> str:
    """One of the policies of the function's role; the inline one has the log group and the network."""
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
    statements += args.common.use_of_keys(grants.kms_key_ids)
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
                # only requests of a function's own code have this key
                "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}},
            },
        ]
    return document(*statements)


def variables(args: RotationFunctionArgs) -> dict[str, str]:
    """The function's environment variables."""
    known = sorted({server.fingerprint for server in args.admin_servers})
    return {
        **({"ADMINISTRATOR_SERVERS": " ".join(known)} if known else {}),
        **({"DATABASE_CA_PEM": args.certificate_authorities} if args.certificate_authorities else {}),
    }


class RotationFunction(pulumi.ComponentResource):
    """One function for all secrets of a network, its role, log group, alarm and Secrets Manager's permission.

    Attributes:
        arn: of the function; Secrets Manager may call it.
        function_name: its name.
        log_group_name: where its log is.
    """

    arn: pulumi.Output[str]
    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: RotationFunctionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # for previews: the role's policy is not known before the log group is made
        reads = {"reads": sorted(set(args.secret_names)), "readsByArn": list(args.admin_secret_arns)}
        super().__init__("aws-secrets:index:RotationFunction", name, reads, opts)
        tags = dict(args.common.tags) or None
        environment = variables(args)
        log_group = function_parts.log_group(name, args.common, self)
        admins = pulumi.Output.all(*args.admin_secret_arns)
        keys = pulumi.Output.all(*distinct_keys(args.kms_key_ids))

        def permissions(part: range, log_group_arn: pulumi.Input[str] | None) -> pulumi.Output[str]:
            return pulumi.Output.all(log_group_arn, admins, keys).apply(
                lambda known: _permissions(args, _grants(args, known[1], known[2]).part(part), known[0])
            )

        first, *others = division(name, args).parts
        role, policy = function_parts.execution_role(
            name,
            args.common,
            "Rotates secrets of AWS Secrets Manager",
            [permissions(first, log_group.arn), *(permissions(part, None) for part in others)],
            self,
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            description="Rotates secrets of AWS Secrets Manager",
            code=pulumi.FileArchive(args.archive),
            handler=args.handler,
            runtime=_RUNTIME,
            architectures=[args.common.architecture],
            memory_size=_MEMORY_MEGABYTES,
            timeout=_TIMEOUT_SECONDS,
            role=role.arn,
            environment=aws.lambda_.FunctionEnvironmentArgs(variables=environment) if environment else None,
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=log_group.name),
            vpc_config=aws.lambda_.FunctionVpcConfigArgs(
                subnet_ids=list(args.network.subnet_ids),
                security_group_ids=list(args.network.security_group_ids),
            )
            if args.network
            else None,
            tags=tags,
            # without its permissions Lambda could not attach it to the network, and its first call would fail
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        aws.lambda_.Permission(
            f"{name}-permission",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="secretsmanager.amazonaws.com",
            source_account=args.common.account_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        function_parts.error_alarm(
            name,
            args.common,
            function,
            "A rotation failed and is tried again. The function's log has the reason.",
            self,
        )
        self.arn = function.arn
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.register_outputs(
            {"arn": self.arn, "functionName": self.function_name, "logGroupName": self.log_group_name}
        )
