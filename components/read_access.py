"""Access to exactly the secrets that a workload reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pulumi
import pulumi_aws as aws

from components.policies import document, uses_of_keys


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """A Kubernetes service account of an EKS cluster with an OIDC provider (IRSA); a role is made for it."""

    oidc_provider_arn: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class EcsTasks:
    """Tasks of Amazon ECS in this account and region; a task execution role is made for them."""


@dataclass(frozen=True, kw_only=True)
class ExistingRole:
    """A role of this account, by its name without a path."""

    name: str


Reader: TypeAlias = ServiceAccount | EcsTasks | ExistingRole


@dataclass(frozen=True, kw_only=True)
class ReadAccessArgs:
    """Who reads what.

    Attributes:
        account_id, partition, region: of the secrets and the role.
        reader: who.
        secret_arns: full ARNs of the secrets.
        kms_key_ids: ARNs of the KMS keys, or of aliases, that encrypt them; AWS's own key needs none.
        tags: of a role that is made.
    """

    account_id: str
    partition: str
    region: str
    reader: Reader
    secret_arns: Sequence[pulumi.Input[str]]
    kms_key_ids: Sequence[pulumi.Input[str]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def _trust(args: ReadAccessArgs, reader: ServiceAccount | EcsTasks) -> str:
    if isinstance(reader, ServiceAccount):
        issuer = reader.oidc_provider_arn.partition(":oidc-provider/")[2]
        statement: dict[str, object] = {
            "Effect": "Allow",
            "Principal": {"Federated": reader.oidc_provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:sub": f"system:serviceaccount:{reader.namespace}:{reader.name}",
                }
            },
        }
    else:
        tasks = f"arn:{args.partition}:ecs:{args.region}:{args.account_id}:*"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": args.account_id},
                "ArnLike": {"aws:SourceArn": tasks},
            },
        }
    return document(statement)


def _permissions(args: ReadAccessArgs, secret_arns: Sequence[str], kms_key_ids: Sequence[str]) -> str:
    arns = sorted(set(secret_arns))
    read = {
        "Sid": "ReadTheseSecrets",
        "Effect": "Allow",
        "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        "Resource": arns,
    }
    # Secrets Manager encrypts with the secret's ARN in the encryption context (AWS Secrets Manager User
    # Guide, "Secret encryption and decryption").
    context = {"kms:EncryptionContext:SecretARN": arns}
    return document(read, *uses_of_keys("DecryptThem{}", kms_key_ids, args.region, ["kms:Decrypt"], context))


class ReadAccess(pulumi.ComponentResource):
    """A policy for one workload, on its role: one that is made for it, or one that exists.

    Attributes:
        role_arn: of that role.
    """

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ReadAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("aws-secrets:index:ReadAccess", name, None, opts)
        if isinstance(args.reader, ExistingRole):
            role_name: pulumi.Input[str] = args.reader.name
            arn = f"arn:{args.partition}:iam::{args.account_id}:role/{args.reader.name}"
            self.role_arn = pulumi.Output.from_input(arn)
        else:
            role = aws.iam.Role(
                f"{name}-role",
                description=f"Reads the secrets of {name}",
                assume_role_policy=_trust(args, args.reader),
                tags=dict(args.tags) or None,
                opts=pulumi.ResourceOptions(parent=self),
            )
            role_name, self.role_arn = role.name, role.arn
        aws.iam.RolePolicy(
            f"{name}-policy",
            role=role_name,
            policy=pulumi.Output.all(
                pulumi.Output.all(*args.secret_arns), pulumi.Output.all(*args.kms_key_ids)
            ).apply(lambda known: _permissions(args, *known)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"roleArn": self.role_arn})
