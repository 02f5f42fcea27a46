"""Read access of a workload to exactly its secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pulumi
import pulumi_aws as aws

from . import tokens
from .account import look_up_account_id, look_up_partition, look_up_region
from .policies import READ_VALUES, document, uses_of_keys
from .role_policies import (
    MOST_INLINE,
    Division,
    distinct_keys,
    divide,
    key_arns_for_size,
    put_policies,
)


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """A Kubernetes service account of an EKS cluster with an OIDC provider (IRSA), which gets a role.

    Attributes:
        oidc_provider_arn: ARN of the cluster's OIDC provider in IAM.
        namespace: namespace of the service account.
        name: name of the service account.
    """

    oidc_provider_arn: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class PodIdentity:
    """A Kubernetes service account of an EKS cluster with the Pod Identity agent, which gets a role.

    Attributes:
        cluster: name of the cluster, in the account and region of the secrets.
        namespace: namespace of the service account.
        name: name of the service account.
    """

    cluster: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class AssumedBy:
    """A role that assumes the new role, such as that of the External Secrets Operator.

    Attributes:
        role_arn: ARN of the role.
    """

    role_arn: str


@dataclass(frozen=True, kw_only=True)
class EcsTasks:
    """Tasks of Amazon ECS in this account and region, which get a task execution role."""


@dataclass(frozen=True, kw_only=True)
class ExistingRole:
    """A role of this account.

    Attributes:
        name: its name, with its path if it has one: `name` or `path/name`.
    """

    name: str


_SUFFIX = "x" * 6  # AWS adds six characters to a secret's name

MadeFor: TypeAlias = ServiceAccount | PodIdentity | AssumedBy | EcsTasks
Reader: TypeAlias = MadeFor | ExistingRole


@dataclass(frozen=True, kw_only=True)
class ReadAccessArgs:
    """Arguments of read access.

    Attributes:
        account_id: account of the secrets and the role. Default: that of the program's default provider.
        partition: partition of that account. Default: that of the program's default provider.
        region: region of the secrets. Default: that of the program's default provider.
        reader: who reads.
        secret_arns: full ARNs of the secrets.
        secret_names: names in AWS of the same secrets, in the same order, for previews: a secret that does
            not exist yet has no ARN. Default: none, which puts all into one policy.
        existing_secret_arns: full ARNs of further secrets, which the program does not declare. Default: none.
        existing_secret_keys: ARN of the key of each of those, None for AWS's own. Default: none.
        kms_key_arns: ARNs of the keys or aliases that encrypt the secrets. Default: none, for AWS's own key.
        secret_keys: ARN of the key of each of `secret_arns`, None for AWS's own: if several policies are
            needed, each has the keys of its own secrets only. Default: none.
        inline_room: characters of the inline policy; what does not fit goes into managed policies.
            Default: 10,240, IAM's limit.
        tags: tags of the role and its policies. Default: none.
        permissions_boundary: ARN of the permissions boundary of the role. Default: none.
        after: what must exist before its inline policy. Default: nothing.
    """

    account_id: str = field(default_factory=look_up_account_id)
    partition: str = field(default_factory=look_up_partition)
    region: str = field(default_factory=look_up_region)
    reader: Reader
    secret_arns: Sequence[pulumi.Input[str]]
    secret_names: Sequence[str] = ()
    existing_secret_arns: Sequence[str] = ()
    existing_secret_keys: Sequence[str | None] = ()
    kms_key_arns: Sequence[pulumi.Input[str]] = ()
    secret_keys: Sequence[pulumi.Input[str] | None] = ()
    inline_room: int = MOST_INLINE
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    after: Sequence[pulumi.Resource] = ()


def trust(args: ReadAccessArgs, reader: MadeFor) -> str:
    """Return the trust policy of the new role."""
    match reader:
        case ServiceAccount():
            return document(_trust_in_service_account(reader))
        case PodIdentity():
            return document(_trust_in_pod_identity(args, reader))
        case AssumedBy():
            return document(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": reader.role_arn},
                    # a Pod Identity session passes its tags on to sessions that it starts
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                }
            )
        case EcsTasks():
            return document(_trust_in_tasks(args))


def _trust_in_service_account(reader: ServiceAccount) -> dict[str, object]:
    issuer = reader.oidc_provider_arn.partition(":oidc-provider/")[2]
    return {
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


def _trust_in_pod_identity(args: ReadAccessArgs, reader: PodIdentity) -> dict[str, object]:
    """Return the statement.

    Source: Amazon EKS User Guide, "Create IAM role with trust policy required by EKS Pod Identity".
    """
    cluster = f"arn:{args.partition}:eks:{args.region}:{args.account_id}:cluster/{reader.cluster}"
    return {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:SourceAccount": args.account_id,
                "aws:RequestTag/eks-cluster-arn": cluster,
                "aws:RequestTag/kubernetes-namespace": reader.namespace,
                "aws:RequestTag/kubernetes-service-account": reader.name,
            }
        },
    }


def _trust_in_tasks(args: ReadAccessArgs) -> dict[str, object]:
    tasks = f"arn:{args.partition}:ecs:{args.region}:{args.account_id}:*"
    return {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": args.account_id},
            "ArnLike": {"aws:SourceArn": tasks},
        },
    }


@dataclass(frozen=True)
class _Item:
    """A secret that is read.

    Attributes:
        place: its position among the ARNs of the arguments.
        length_arn: an ARN of the same length as its own.
        key: ARN of the key that encrypts it; None for AWS's own.
    """

    place: int
    length_arn: str
    key: pulumi.Input[str] | None


def _items(args: ReadAccessArgs) -> list[_Item]:
    """Return the secrets in the order of the policies: by name, then existing ones by ARN."""
    place = f"arn:{args.partition}:secretsmanager:{args.region}:{args.account_id}:secret:"
    count = len(args.secret_names)
    keys = args.secret_keys if len(args.secret_keys) == count else [None] * count
    named = [
        _Item(number, f"{place}{name}-{_SUFFIX}", key)
        for number, (name, key) in enumerate(zip(args.secret_names, keys, strict=True))
    ]
    existing = [
        _Item(count + number, arn, key)
        for number, (arn, key) in enumerate(
            zip(args.existing_secret_arns, args.existing_secret_keys, strict=True)
        )
    ]
    return [
        *sorted(named, key=lambda item: args.secret_names[item.place]),
        *sorted(existing, key=lambda item: item.length_arn),
    ]


def division(args: ReadAccessArgs) -> Division:
    """Return how the secrets are divided among the policies of the role."""
    items = _items(args)
    account_key_arn = f"arn:{args.partition}:kms:{args.region}:{args.account_id}:key/"
    return divide(
        len(items),
        lambda part, _: read_policy(
            args.region,
            [items[number].length_arn for number in part],
            key_arns_for_size(_keys(args, items, part), account_key_arn),
        ),
        args.inline_room,
    )


def _keys(args: ReadAccessArgs, items: Sequence[_Item], part: range) -> list[pulumi.Input[str]]:
    """Return the keys of some of the secrets."""
    if len(part) == len(items) or len(args.secret_keys) != len(args.secret_names):
        return list(args.kms_key_arns)
    keys = (items[number].key for number in part)
    return distinct_keys(key for key in keys if key is not None)


def _documents(args: ReadAccessArgs) -> list[pulumi.Output[str]]:
    def document_of(
        arns: Sequence[pulumi.Input[str]], keys: Sequence[pulumi.Input[str]]
    ) -> pulumi.Output[str]:
        return pulumi.Output.all(pulumi.Output.all(*arns), pulumi.Output.all(*keys)).apply(
            lambda known: read_policy(args.region, *known)
        )

    arns = [*args.secret_arns, *args.existing_secret_arns]
    if len(args.secret_names) != len(args.secret_arns):
        return [document_of(arns, args.kms_key_arns)]
    items = _items(args)
    return [
        document_of([arns[items[number].place] for number in part], _keys(args, items, part))
        for part in division(args).parts
    ]


def read_policy(region: str, secret_arns: Sequence[str], kms_key_arns: Sequence[str]) -> str:
    """Return the policy that allows a role to read secrets.

    Args:
        region: region of the secrets.
        secret_arns: full ARNs of the secrets.
        kms_key_arns: ARNs of the keys or aliases that encrypt them; none for AWS's own key.
    """
    arns = sorted(set(secret_arns))
    read = {
        "Sid": "ReadTheseSecrets",
        "Effect": "Allow",
        "Action": READ_VALUES,
        "Resource": arns,
    }
    # Secrets Manager encrypts with the secret's ARN in the encryption context (AWS Secrets Manager User
    # Guide, "Secret encryption and decryption").
    context = {"kms:EncryptionContext:SecretARN": arns}
    return document(read, *uses_of_keys("DecryptThem{}", kms_key_arns, region, ["kms:Decrypt"], context))


class ReadAccess(pulumi.ComponentResource):
    """Read access for one workload, with a new role or an existing one.

    Attributes:
        role_arn: ARN of the role.
        policy: the last of its policies.
    """

    role_arn: pulumi.Output[str]
    policy: "aws.iam.RolePolicy"

    def __init__(self, name: str, args: ReadAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        existing = sorted(args.existing_secret_arns)
        inputs = {
            **({"reads": sorted(args.secret_names)} if args.secret_names or existing else {}),
            **({"readsByArn": existing} if existing else {}),
        }
        super().__init__(tokens.READ_ACCESS, name, inputs or None, opts)
        if isinstance(args.reader, ExistingRole):
            role_name: pulumi.Input[str] = args.reader.name.rpartition("/")[2]
            arn = f"arn:{args.partition}:iam::{args.account_id}:role/{args.reader.name}"
            self.role_arn = pulumi.Output.from_input(arn)
        else:
            role = aws.iam.Role(
                f"{name}-role",
                description=f"Reads the secrets of {name}",
                assume_role_policy=trust(args, args.reader),
                permissions_boundary=args.permissions_boundary,
                tags=dict(args.tags) or None,
                opts=pulumi.ResourceOptions(parent=self),
            )
            role_name, self.role_arn = role.name, role.arn
        self.policy = put_policies(
            name,
            role_name,
            _documents(args),
            args.tags,
            pulumi.ResourceOptions(parent=self, depends_on=list(args.after) or None),
        )
        if isinstance(args.reader, PodIdentity):
            aws.eks.PodIdentityAssociation(
                f"{name}-pod-identity",
                cluster_name=args.reader.cluster,
                namespace=args.reader.namespace,
                service_account=args.reader.name,
                role_arn=self.role_arn,
                tags=dict(args.tags) or None,
                # a pod that starts earlier could not read
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy]),
            )
        self.register_outputs({"roleArn": self.role_arn})
