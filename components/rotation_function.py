"""The Lambda function that rotates secrets, with a role for exactly those and nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import function_parts
from components.function_parts import FunctionSettings
from components.policies import document, log_writing

_RUNTIME = "python3.13"
_MEMORY_MEGABYTES = 256  # it uses up to 72; Lambda gives processor time in proportion
_TIMEOUT_SECONDS = 60

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


def permissions(
    args: RotationFunctionArgs,
    log_group_arn: str,
    admin_secret_arns: Sequence[str],
    kms_key_ids: Sequence[str],
) -> str:
    """The policy of the function's role; keys by their ARNs or those of aliases."""
    statements: list[dict[str, object]] = [
        args.common.writing_of_secrets("RotateTheseSecrets", args.secret_names),
        log_writing(log_group_arn),
    ]
    if admin_secret_arns:
        statements.append(
            {
                "Sid": "LogInAsAdministrator",
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": sorted(set(admin_secret_arns)),
            }
        )
    statements += args.common.use_of_keys(kms_key_ids)
    if args.network:
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


def _variables(args: RotationFunctionArgs) -> dict[str, str]:
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
        variables = _variables(args)
        log_group = function_parts.log_group(name, args.common, self)
        role, policy = function_parts.execution_role(
            name,
            args.common,
            "Rotates secrets of AWS Secrets Manager",
            pulumi.Output.all(
                log_group.arn,
                pulumi.Output.all(*args.admin_secret_arns),
                pulumi.Output.all(*args.kms_key_ids),
            ).apply(lambda known: permissions(args, *known)),
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
            environment=aws.lambda_.FunctionEnvironmentArgs(variables=variables) if variables else None,
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
