"""The scope of a pipeline's roles: a repository, and the stacks that it previews and updates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .policies import READ_METADATA, document

Statement = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class PipelineScope:
    """The repository and the stacks of a pipeline.

    Attributes:
        account_id: account of the stacks.
        partition: partition of that account.
        region: region of the stacks.
        repository: GitHub repository, as `OWNER/NAME`, or `OWNER@ID/NAME@ID` if its tokens name it so.
        oidc_provider_arn: ARN of GitHub's OIDC provider in IAM.
        project: name of the Pulumi project.
        stacks: names of the stacks.
        secret_prefixes: prefixes of the names of the stacks' secrets.
        rds_instances: RDS instances that the stacks look up. Default: none.
        aurora_clusters: Aurora clusters that the stacks look up. Default: none.
        admin_secret_arns: existing secrets of databases' administrators. Default: none.
        master_rotation_arns: secrets of RDS whose rotation the stacks schedule. Default: none.
        existing_secret_arns: secrets that workloads read and the stacks do not declare, of any account.
            Default: none.
        partner_secrets: stacks have partner secrets, which AWS rotates itself. Default: False.
        eks_clusters: clusters whose pods get roles by EKS Pod Identity. Default: none.
        ecs_services: services that are redeployed when a secret changes, as `CLUSTER/SERVICE`. Default: none.
        cache_arns: cache users, their groups, and replication groups that the stacks' functions may change.
            Default: none.
        replication_groups, serverless_caches: caches of ElastiCache that the stacks look up. Default: none.
        memorydb_clusters: clusters of MemoryDB that the stacks look up. Default: none.
        notices: stacks have a function that sends notices. Default: False.
        topic_arns: SNS topics of the notices. Default: none.
        topic_key_arns: KMS keys of these topics. Default: none.
        rehearsal: stacks rehearse rotations on a schedule. Default: False.
        state_bucket_arn: ARN of the bucket of an S3 backend. Default: none.
        state_key_arns: KMS keys of the stacks' secrets provider and of the bucket. Default: none.
    """

    account_id: str
    partition: str
    region: str
    repository: str
    oidc_provider_arn: str
    project: str
    stacks: Sequence[str]
    secret_prefixes: Sequence[str]
    rds_instances: Sequence[str] = ()
    aurora_clusters: Sequence[str] = ()
    admin_secret_arns: Sequence[str] = ()
    master_rotation_arns: Sequence[str] = ()
    existing_secret_arns: Sequence[str] = ()
    partner_secrets: bool = False
    eks_clusters: Sequence[str] = ()
    ecs_services: Sequence[str] = ()
    cache_arns: Sequence[str] = ()
    replication_groups: Sequence[str] = ()
    serverless_caches: Sequence[str] = ()
    memorydb_clusters: Sequence[str] = ()
    notices: bool = False
    topic_arns: Sequence[str] = ()
    topic_key_arns: Sequence[str] = ()
    rehearsal: bool = False
    state_bucket_arn: str | None = None
    state_key_arns: Sequence[str] = ()

    def arns(self, service: str, resources: Sequence[str], *, region: str | None = None) -> list[str]:
        """Return the ARNs of resources of the account; pass an empty region for a global service."""
        place = self.region if region is None else region
        return [f"arn:{self.partition}:{service}:{place}:{self.account_id}:{name}" for name in resources]

    @property
    def secrets(self) -> list[str]:
        """ARN patterns of the stacks' secrets, which may not exist yet."""
        return self.arns("secretsmanager", [f"secret:{prefix}*" for prefix in self.secret_prefixes])

    @property
    def names(self) -> list[str]:
        """Name patterns of the stacks' other resources, which their setting `pulumi:autonaming` ensures."""
        return [f"{self.project}-{stack}_*" for stack in self.stacks]

    @property
    def has_rules(self) -> bool:
        """Return whether stacks have rules of EventBridge that invoke their functions."""
        return bool(self.ecs_services) or self.notices or self.rehearsal

    def trust(self, subject: str) -> str:
        """Return the trust policy for workflows of the repository whose token has exactly this subject.

        Source: GitHub Docs, "OpenID Connect reference"; the subject depends on whether a workflow names an
        environment.
        """
        issuer = self.oidc_provider_arn.partition(":oidc-provider/")[2]
        return document(
            {
                "Effect": "Allow",
                "Principal": {"Federated": self.oidc_provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:aud": "sts.amazonaws.com",
                        f"{issuer}:sub": f"repo:{self.repository}:{subject}",
                    }
                },
            }
        )


def allow(sid: str, actions: Sequence[str], resources: Sequence[str], **conditions: object) -> Statement:
    """Return a statement; `conditions` are condition operators with their keys and values."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, **({"Condition": conditions} if conditions else {})}


def actions_of(statement: Statement) -> list[str]:
    """Return the actions of a statement."""
    actions = statement["Action"]
    return list(actions) if isinstance(actions, list) else []


def _cache_lookups(scope: PipelineScope) -> Iterator[Statement]:
    """Yield the statements for looking up caches, their networks, and their users.

    Source: Service Authorization Reference, Amazon ElastiCache and Amazon MemoryDB.
    """
    groups = [
        *(f"replicationgroup:{name}" for name in scope.replication_groups),
        *(f"cluster:{name}-*" for name in scope.replication_groups),  # the group's members
        *(f"serverlesscache:{name}" for name in scope.serverless_caches),
    ]
    users = [arn for arn in scope.cache_arns if ":elasticache:" in arn and ":user:" in arn]
    if groups:
        actions = [
            *("elasticache:DescribeReplicationGroups", "elasticache:DescribeCacheClusters"),
            *("elasticache:DescribeServerlessCaches", "elasticache:DescribeUsers"),
            "elasticache:ListTagsForResource",
        ]
        yield allow("LookUpCaches", actions, [*scope.arns("elasticache", groups), *users])
        # the subnet group is known only from the cache
        subnets = scope.arns("elasticache", ["subnetgroup:*"])
        actions = ["elasticache:DescribeCacheSubnetGroups", "elasticache:ListTagsForResource"]
        yield allow("LookUpCacheSubnets", actions, subnets)
    if scope.memorydb_clusters:
        clusters = scope.arns("memorydb", [f"cluster/{name}" for name in scope.memorydb_clusters])
        users = [arn for arn in scope.cache_arns if ":memorydb:" in arn and ":user/" in arn]
        actions = ["memorydb:DescribeClusters", "memorydb:DescribeUsers", "memorydb:ListTags"]
        yield allow("LookUpMemoryDB", actions, [*clusters, *users])
        subnets = scope.arns("memorydb", ["subnetgroup/*"])
        actions = ["memorydb:DescribeSubnetGroups", "memorydb:ListTags"]
        yield allow("LookUpMemoryDBSubnets", actions, subnets)


def lookups(scope: PipelineScope) -> Iterator[Statement]:
    """Yield the statements for the program's lookups, at previews and updates."""
    if scope.rds_instances:
        instances = scope.arns("rds", [f"db:{name}" for name in scope.rds_instances])
        yield allow("LookUpInstances", ["rds:DescribeDBInstances"], instances)
    if scope.aurora_clusters:
        clusters = scope.arns("rds", [f"cluster:{name}" for name in scope.aurora_clusters])
        yield allow("LookUpClusters", ["rds:DescribeDBClusters"], clusters)
    if scope.rds_instances or scope.aurora_clusters:
        # the subnet group is known only from the database
        groups = scope.arns("rds", ["subgrp:*"])
        yield allow("LookUpTheirSubnets", ["rds:DescribeDBSubnetGroups"], groups)
    yield from _cache_lookups(scope)
    if scope.admin_secret_arns:
        yield allow(
            "LookUpAdministratorSecrets",
            READ_METADATA,
            scope.admin_secret_arns,
        )
    if scope.existing_secret_arns:
        yield allow("FindExistingSecrets", ["secretsmanager:ListSecrets"], ["*"])  # AWS supports no ARN here
        yield allow(
            "LookUpExistingSecrets",
            READ_METADATA,
            scope.existing_secret_arns,
        )
    yield allow("SeeWhatWaitsForAPerson", ["secretsmanager:ListSecretVersionIds"], scope.secrets)


def read_state(scope: PipelineScope) -> Iterator[Statement]:
    """Yield the statements for reading the stacks' state in an S3 bucket and decrypting its secrets.

    Source: Pulumi's package backend/diy (stores, locks); a preview takes no lock.
    """
    bucket = scope.state_bucket_arn
    if bucket:
        # S3 reports a missing object as such only to those who may list the bucket without a condition. That
        # shows the names of other stacks, not their state.
        yield allow("ListState", ["s3:ListBucket"], [bucket])
        yield allow("ReadState", ["s3:GetObject"], [f"{bucket}/.pulumi/meta.yaml", *_state(scope, bucket)])
    if scope.state_key_arns:
        yield allow("DecryptState", ["kms:Decrypt"], scope.state_key_arns)


def write_state(scope: PipelineScope) -> Iterator[Statement]:
    """Yield the statements for an update: state, history, backups and locks of the same stacks only."""
    bucket = scope.state_bucket_arn
    if bucket:
        kept = [
            f"{bucket}/.pulumi/{folder}/{scope.project}/{stack}/*"
            for stack in scope.stacks
            for folder in ("backups", "history", "locks/organization")
        ]
        written = [*_state(scope, bucket), *kept]
        yield allow("WriteState", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], written)
    if scope.state_key_arns:
        # for an encrypted bucket; the secrets provider's own data key is created with the stack
        by_s3 = {"kms:ViaService": f"s3.{scope.region}.amazonaws.com"}
        yield allow("EncryptObjects", ["kms:GenerateDataKey"], scope.state_key_arns, StringEquals=by_s3)


def _state(scope: PipelineScope, bucket: str) -> list[str]:
    kinds = ("json", "json.*", "pulumi-tags")
    return [
        f"{bucket}/.pulumi/stacks/{scope.project}/{stack}.{kind}" for stack in scope.stacks for kind in kinds
    ]
