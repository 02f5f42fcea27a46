"""Access to exactly the secrets that a workload reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pulumi
import pulumi_aws as aws

from components.policies import READ_VALUES, document, uses_of_keys
from components.role_policies import (
    MOST_INLINE,
    Division,
    distinct_keys,
    divide,
    key_arns_for_size,
    put_policies,
)


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """A Kubernetes service account of an EKS cluster with an OIDC provider (IRSA); a role is made for it."""

    oidc_provider_arn: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class PodIdentity:
    """A Kubernetes service account of an EKS cluster with the Pod Identity agent; a role is made for it.

    Attributes:
        cluster: name of the cluster, in the account and region of the secrets.
        namespace, name: of the service account.
    """

    cluster: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class AssumedBy:
    """A role that takes the one that is made, such as that of the External Secrets Operator; by its ARN."""

    role_arn: str


@dataclass(frozen=True, kw_only=True)
class EcsTasks:
    """Tasks of Amazon ECS in this account and region; a task execution role is made for them."""


@dataclass(frozen=True, kw_only=True)
class ExistingRole:
    """A role of this account, by its name, and its path if it has one: `name` or `path/name`."""

    name: str


_SUFFIX = "x" * 6  # AWS adds as many characters to a secret's name

MadeFor: TypeAlias = ServiceAccount | PodIdentity | AssumedBy | EcsTasks
Reader: TypeAlias = MadeFor | ExistingRole


@dataclass(frozen=True, kw_only=True)
class ReadAccessArgs:
    """Who reads what.

    Attributes:
        account_id, partition, region: of the secrets and the role.
        reader: who.
        secret_arns: full ARNs of the secrets.
        secret_names: names of the same in AWS, in the same order, for previews: one that is not made yet has
            no ARN. Without them all is in one policy.
        existing_secret_arns: full ARNs of more secrets, which the program does not make.
        existing_secret_keys: the key of each of those, None for AWS's own.
        kms_key_ids: ARNs of the KMS keys, or of aliases, that encrypt them; AWS's own key needs none.
        secret_keys: the key of each of the same, None for AWS's own: where several policies are needed, each
            has the keys of its own secrets alone.
        inline_room: characters of the inline policy; above them managed policies are made.
        tags: of what is made.
        permissions_boundary: ARN of the policy that bounds the role.
        after: what must be done before its inline policy.
    """

    account_id: str
    partition: str
    region: str
    reader: Reader
    secret_arns: Sequence[pulumi.Input[str]]
    secret_names: Sequence[str] = ()
    existing_secret_arns: Sequence[str] = ()
    existing_secret_keys: Sequence[str | None] = ()
    kms_key_ids: Sequence[pulumi.Input[str]] = ()
    secret_keys: Sequence[pulumi.Input[str] | None] = ()
    inline_room: int = MOST_INLINE
    tags: Mapping[str, str] = field(default_factory=dict)
    permissions_boundary: str | None = None
    after: Sequence[pulumi.Resource] = ()


def trust(args: ReadAccessArgs, reader: MadeFor) -> str:
    """Who may take the role that is made."""
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
                    # a session of Pod Identity passes its tags on to the sessions that it begins
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
    """Source: Amazon EKS User Guide, "Create IAM role with trust policy required by EKS Pod Identity"."""
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
        place: among the ARNs that the program has.
        length_arn: an ARN as long as its own.
        key: what encrypts it.
    """

    place: int
    length_arn: str
    key: pulumi.Input[str] | None


def _items(args: ReadAccessArgs) -> list[_Item]:
    """Return the secrets in the order in which they are divided: by their names, then the existing ones."""
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
        lambda part, _: _permissions(
            args.region,
            [items[number].length_arn for number in part],
            key_arns_for_size(_keys(args, items, part), account_key_arn),
        ),
        args.inline_room,
    )


def _keys(args: ReadAccessArgs, items: Sequence[_Item], part: range) -> list[pulumi.Input[str]]:
    """Return the keys for some of the secrets."""
    if len(part) == len(items) or len(args.secret_keys) != len(args.secret_names):
        return list(args.kms_key_ids)
    keys = (items[number].key for number in part)
    return distinct_keys(key for key in keys if key is not None)


def _documents(args: ReadAccessArgs) -> list[pulumi.Output[str]]:
    def document_of(
        arns: Sequence[pulumi.Input[str]], keys: Sequence[pulumi.Input[str]]
    ) -> pulumi.Output[str]:
        return pulumi.Output.all(pulumi.Output.all(*arns), pulumi.Output.all(*keys)).apply(
            lambda known: _permissions(args.region, *known)
        )

    arns = [*args.secret_arns, *args.existing_secret_arns]
    if len(args.secret_names) != len(args.secret_arns):
        return [document_of(arns, args.kms_key_ids)]
    items = _items(args)
    return [
        document_of([arns[items[number].place] for number in part], _keys(args, items, part))
        for part in division(args).parts
    ]


def _permissions(region: str, secret_arns: Sequence[str], kms_key_ids: Sequence[str]) -> str:
    """A policy that lets a role read these secrets; keys by their ARNs or those of aliases."""
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
    return document(read, *uses_of_keys("DecryptThem{}", kms_key_ids, region, ["kms:Decrypt"], context))


class ReadAccess(pulumi.ComponentResource):
    """A policy for one workload, on its role: one that is made for it, or one that exists.

    Attributes:
        role_arn: of that role.
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
        super().__init__("aws-secrets:index:ReadAccess", name, inputs or None, opts)
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
                # a pod that starts before could not read yet
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy]),
            )
        self.register_outputs({"roleArn": self.role_arn})
