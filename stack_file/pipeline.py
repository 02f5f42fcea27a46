"""Models of `pipeline` in a stack file: a repository whose workflows preview and update other stacks."""

from typing import Annotated

from pydantic import Field

from stack_file.caches import CacheIdentifier, CacheUserId
from stack_file.key_references import ExistingSecret
from stack_file.mistakes import matching
from stack_file.model import Model
from stack_file.notices import TopicArn, TopicKeyArn

# The pattern of resource names, whose prefix a role can be limited to: "_" ends the stack's name.
AUTONAMING = "${project}-${stack}_${name}-${hex(7)}"

_Repository = Annotated[
    str,
    matching(
        r"[A-Za-z0-9-]{1,39}(@\d+)?/[A-Za-z0-9._-]{1,100}(@\d+)?",
        "not a valid repository name",
        "No workflow could assume the roles",
        "Use OWNER/NAME, or OWNER@ID/NAME@ID for a repository whose tokens have immutable subjects",
    ),
]
_ProviderArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/[a-z0-9.-]+(/[A-Za-z0-9._/-]+)?",
        "not the ARN of an OIDC provider",
        "No workflow could assume the roles",
        "Use arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com",
    ),
]
_Environment = Annotated[
    str,
    matching(
        r"[A-Za-z0-9._-]{1,255}",
        "not a valid environment name",
        "No workflow could assume the update role",
        "Name the environment on GitHub with letters, digits, - _ and . only",
    ),
]
_Stack = Annotated[
    str,
    matching(
        r"[A-Za-z0-9.-]{1,100}",
        "not a valid stack name for a pipeline",
        'Resources are named "PROJECT-STACK_NAME", so with "_" the roles could not be limited to the stack',
        "Use only letters, digits, - and . in the names of stacks that a pipeline updates",
    ),
]
_SecretPrefix = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}",
        "not a valid prefix of a secret's name",
        "The roles would have access to no secret",
        "Use 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ -",
    ),
]
_DatabaseName = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9-]{0,62}",
        "not a valid RDS identifier",
        "The database could not be looked up",
        "Use the identifier that the stacks declare under databases",
    ),
]
_SecretArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}",
        "not the full ARN of a secret",
        "No rotation function could log in as the administrator",
        "Use the ARN with the six characters at its end, as RDS or Secrets Manager shows it",
    ),
]
_Cluster = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        "not a valid EKS cluster name",
        "The roles would have access to no cluster",
        "Use 1 to 100 letters, digits, - and _, and start with a letter or digit",
    ),
]
_EcsService = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}",
        "not a valid ECS service",
        "It could not be redeployed",
        "Use CLUSTER/SERVICE, as the stacks declare them under redeploy",
    ),
]
_BucketArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "not the ARN of a bucket",
        "The state could not be read",
        "Use arn:aws:s3:::NAME",
    ),
]
_KeyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+",
        "not the ARN of a KMS key",
        "The state could not be decrypted: IAM does not grant access by alias",
        "Use arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]


class PipelineDatabases(Model):
    """The databases that the stacks look up."""

    rds_instances: Annotated[
        tuple[_DatabaseName, ...], Field(description="Identifiers of RDS instances")
    ] = ()
    aurora_clusters: Annotated[
        tuple[_DatabaseName, ...], Field(description="Identifiers of Aurora clusters")
    ] = ()
    admin_secret_arns: Annotated[
        tuple[_SecretArn, ...],
        Field(
            description="Secrets of their administrators: RDS's master secrets, and those in secretArn",
        ),
    ] = ()
    master_rotation_arns: Annotated[
        tuple[_SecretArn, ...],
        Field(description="The master secrets whose rotation the stacks schedule (masterRotation)"),
    ] = ()


class PipelineCaches(Model):
    """The caches that the stacks look up, and the users whose passwords their functions change."""

    replication_groups: Annotated[
        tuple[CacheIdentifier, ...], Field(description="Identifiers of ElastiCache replication groups")
    ] = ()
    serverless_caches: Annotated[
        tuple[CacheIdentifier, ...], Field(description="Names of ElastiCache serverless caches")
    ] = ()
    memorydb_clusters: Annotated[
        tuple[CacheIdentifier, ...], Field(description="Names of MemoryDB clusters")
    ] = ()
    users: Annotated[tuple[CacheUserId, ...], Field(description="IDs of users of ElastiCache")] = ()
    user_groups: Annotated[
        tuple[CacheIdentifier, ...], Field(description="User groups to which users are added")
    ] = ()
    memorydb_users: Annotated[tuple[CacheUserId, ...], Field(description="Names of users of MemoryDB")] = ()
    memorydb_acls: Annotated[
        tuple[CacheIdentifier, ...], Field(description="ACLs of MemoryDB to which users are added")
    ] = ()


class PipelineState(Model):
    """The stacks' state and its keys, as far as they are in this account."""

    bucket_arn: Annotated[_BucketArn | None, Field(description="The bucket of an S3 backend")] = None
    key_arns: Annotated[
        tuple[_KeyArn, ...],
        Field(description="KMS keys of the stacks' secrets provider and of the bucket"),
    ] = ()


class PipelineNotices(Model):
    """The topics to which the stacks' notices are published; empty for stacks that have webhooks only."""

    topic_arns: Annotated[tuple[TopicArn, ...], Field(description="SNS topics of the stacks' notices")] = ()
    topic_key_arns: Annotated[
        tuple[TopicKeyArn, ...],
        Field(description="KMS keys of these topics, if they are encrypted with them"),
    ] = ()


class Pipeline(Model):
    """Roles for a GitHub repository whose workflows preview and update other stacks."""

    repository: Annotated[_Repository, Field(description="OWNER/NAME, or OWNER@ID/NAME@ID")]
    oidc_provider_arn: Annotated[_ProviderArn, Field(description="GitHub's OIDC provider in IAM")]
    environment: Annotated[_Environment, Field(description="The environment of the workflows that update")]
    previews: Annotated[
        bool,
        Field(description="false: create no role for pull requests, whose code could read the stacks' state"),
    ] = True
    stacks: Annotated[
        tuple[_Stack, ...],
        Field(min_length=1, description="Names of the stacks, all of this project"),
    ]
    secret_prefixes: Annotated[
        tuple[_SecretPrefix, ...],
        Field(
            min_length=1,
            description="Prefixes of the names of the stacks' secrets",
        ),
    ]
    databases: Annotated[PipelineDatabases, Field(description="Databases that the stacks look up")] = (
        PipelineDatabases()
    )
    caches: Annotated[PipelineCaches, Field(description="Caches that the stacks log in to")] = (
        PipelineCaches()
    )
    existing_secrets: Annotated[
        tuple[ExistingSecret, ...],
        Field(description="Secrets that workloads read and the stacks do not create, by name or full ARN"),
    ] = ()
    partner_secrets: Annotated[
        bool, Field(description="true: the stacks have partners' secrets, which AWS rotates")
    ] = False
    eks_clusters: Annotated[
        tuple[_Cluster, ...],
        Field(description="Clusters whose pods get roles by EKS Pod Identity"),
    ] = ()
    ecs_services: Annotated[
        tuple[_EcsService, ...],
        Field(description="CLUSTER/SERVICE of services that are redeployed when a secret changes"),
    ] = ()
    notices: Annotated[
        PipelineNotices | None, Field(description="The stacks have notices, with these topics")
    ] = None
    rehearsal: Annotated[bool, Field(description="true: the stacks rehearse rotations on a schedule")] = False
    state: Annotated[PipelineState, Field(description="Where the stacks' state is")] = PipelineState()
