"""What the roles of a pipeline are about: a repository, and the stacks that it previews and updates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.policies import READ_METADATA, document

Statement = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class PipelineScope:
    """What is previewed and updated from where.

    Attributes:
        account_id, partition, region: of the stacks.
        repository: on GitHub, as `OWNER/NAME`, or `OWNER@ID/NAME@ID` where its tokens name it so.
        oidc_provider_arn: GitHub's in IAM.
        project, stacks: Pulumi's names.
        secret_prefixes: what the names of the stacks' secrets begin with.
        rds_instances, aurora_clusters: that the stacks look up.
        admin_secret_arns: secrets of databases' administrators, made by others.
        master_rotation_arns: secrets of RDS whose rotation the stacks schedule.
        existing_secret_arns: secrets that workloads read and others make, maybe of other accounts.
        partner_secrets: stacks have secrets of partners that AWS rotates itself.
        eks_clusters: with pods that get roles by EKS Pod Identity.
        ecs_services: that are deployed again when a secret changes, as `CLUSTER/SERVICE`.
        state_bucket_arn: of an S3 backend.
        state_key_arns: KMS keys of the stacks' secrets provider and of the bucket.
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
    state_bucket_arn: str | None = None
    state_key_arns: Sequence[str] = ()

    def arns(self, service: str, resources: Sequence[str], *, region: str | None = None) -> list[str]:
        """Of resources of the account; an empty region for a service that has none."""
        place = self.region if region is None else region
        return [f"arn:{self.partition}:{service}:{place}:{self.account_id}:{name}" for name in resources]

    @property
    def secrets(self) -> list[str]:
        """ARNs of the stacks' secrets, made or not."""
        return self.arns("secretsmanager", [f"secret:{prefix}*" for prefix in self.secret_prefixes])

    @property
    def names(self) -> list[str]:
        """What all else is called that the stacks make: their setting `pulumi:autonaming` sees to it."""
        return [f"{self.project}-{stack}_*" for stack in self.stacks]

    def trust(self, subject: str) -> str:
        """The trust policy that lets in workflows of the repository whose token has exactly this subject.

        Source: GitHub Docs, "OpenID Connect reference"; a workflow that names an environment has another
        subject than one that does not.
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
    """A statement; `conditions` are operators with what they compare."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, **({"Condition": conditions} if conditions else {})}


def actions_of(statement: Statement) -> list[str]:
    """The actions of a statement that `allow` made."""
    actions = statement["Action"]
    return list(actions) if isinstance(actions, list) else []


def lookups(scope: PipelineScope) -> Iterator[Statement]:
    """What the program asks AWS before it declares anything, at a preview and at an update."""
    if scope.rds_instances:
        instances = scope.arns("rds", [f"db:{name}" for name in scope.rds_instances])
        yield allow("LookUpInstances", ["rds:DescribeDBInstances"], instances)
    if scope.aurora_clusters:
        clusters = scope.arns("rds", [f"cluster:{name}" for name in scope.aurora_clusters])
        yield allow("LookUpClusters", ["rds:DescribeDBClusters"], clusters)
    if scope.rds_instances or scope.aurora_clusters:
        # which group a database is in says only the answer before
        groups = scope.arns("rds", ["subgrp:*"])
        yield allow("LookUpTheirSubnets", ["rds:DescribeDBSubnetGroups"], groups)
    if scope.admin_secret_arns:
        yield allow(
            "LookUpAdministratorSecrets",
            READ_METADATA,
            scope.admin_secret_arns,
        )
    if scope.existing_secret_arns:
        yield allow("FindExistingSecrets", ["secretsmanager:ListSecrets"], ["*"])  # AWS lists all or none
        yield allow(
            "LookUpExistingSecrets",
            READ_METADATA,
            scope.existing_secret_arns,
        )
    yield allow("SeeWhatWaitsForAPerson", ["secretsmanager:ListSecretVersionIds"], scope.secrets)


def read_state(scope: PipelineScope) -> Iterator[Statement]:
    """What reads the stacks' state in an S3 bucket, and decrypts what is secret in it.

    Source: Pulumi's package backend/diy (stores, locks); a preview takes no lock.
    """
    bucket = scope.state_bucket_arn
    if bucket:
        # Of an object that is not there S3 says so only to those who may list the bucket without a condition.
        # By that names of other stacks show, their state does not.
        yield allow("ListState", ["s3:ListBucket"], [bucket])
        yield allow("ReadState", ["s3:GetObject"], [f"{bucket}/.pulumi/meta.yaml", *_state(scope, bucket)])
    if scope.state_key_arns:
        yield allow("DecryptState", ["kms:Decrypt"], scope.state_key_arns)


def write_state(scope: PipelineScope) -> Iterator[Statement]:
    """What else an update needs there: state, history, backups and locks of the same stacks alone."""
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
        # a bucket that is encrypted with a key; the secrets provider's own data key is made with the stack
        by_s3 = {"kms:ViaService": f"s3.{scope.region}.amazonaws.com"}
        yield allow("EncryptObjects", ["kms:GenerateDataKey"], scope.state_key_arns, StringEquals=by_s3)


def _state(scope: PipelineScope, bucket: str) -> list[str]:
    kinds = ("json", "json.*", "pulumi-tags")
    return [
        f"{bucket}/.pulumi/stacks/{scope.project}/{stack}.{kind}" for stack in scope.stacks for kind in kinds
    ]
