"""The shape of `pipeline` in a stack file: a repository whose workflows preview and update other stacks."""

from typing import Annotated

from pydantic import Field

from settings.mistakes import matching
from settings.model import Model
from settings.reads import ExistingSecret

# What names in AWS must begin with, for a role to be kept to a stack: "_" ends the stack's name.
AUTONAMING = "${project}-${stack}_${name}-${hex(7)}"

_Repository = Annotated[
    str,
    matching(
        r"[A-Za-z0-9-]{1,39}(@\d+)?/[A-Za-z0-9._-]{1,100}(@\d+)?",
        "this names no repository",
        "No workflow could take the roles",
        "Write OWNER/NAME, or OWNER@ID/NAME@ID for a repository whose tokens have immutable subjects",
    ),
]
_ProviderArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/[a-z0-9.-]+(/[A-Za-z0-9._/-]+)?",
        "this is not the ARN of an OIDC provider",
        "No workflow could take the roles",
        "Write arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com",
    ),
]
_Environment = Annotated[
    str,
    matching(
        r"[A-Za-z0-9._-]{1,255}",
        "this is no name of an environment that a token can be compared with",
        "No workflow could take the role for updates",
        "Use letters, digits, - _ and . for the environment's name on GitHub",
    ),
]
_Stack = Annotated[
    str,
    matching(
        r"[A-Za-z0-9.-]{1,100}",
        "the roles could not be kept to this stack",
        'Names in AWS are "PROJECT-STACK_NAME": with "_" in its name it could not be told from another stack',
        "Use letters, digits, - and . in the names of stacks that a pipeline updates",
    ),
]
_SecretPrefix = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}",
        "names of secrets do not begin like this",
        "The roles would be about nothing",
        "Write what the names begin with, from the characters A-Z a-z 0-9 / _ + = . @ -",
    ),
]
_DatabaseName = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9-]{0,62}",
        "RDS takes no such name",
        "The database could not be looked up",
        "Write the identifier that the stacks name under databases",
    ),
]
_SecretArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}",
        "this is not the whole ARN of a secret",
        "No rotation function could log in as the administrator",
        "Write the ARN with the six characters at its end, as RDS or Secrets Manager shows it",
    ),
]
_Cluster = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        "this is no name of an EKS cluster",
        "The roles would be about nothing",
        "Use 1 to 100 letters, digits, - and _, a letter or digit first",
    ),
]
_EcsService = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}",
        "this names no ECS service",
        "It could not be deployed again",
        "Write CLUSTER/SERVICE, as the stacks name them under redeploy",
    ),
]
_BucketArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "this is not the ARN of a bucket",
        "The state could not be read",
        "Write arn:aws:s3:::NAME",
    ),
]
_KeyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+",
        "this is not the ARN of a KMS key",
        "The state could not be decrypted: IAM does not allow by alias",
        "Write arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]


class PipelineDatabases(Model):
    """Databases that the stacks look up."""

    rds_instances: Annotated[
        tuple[_DatabaseName, ...], Field(description="Identifiers of RDS instances")
    ] = ()
    aurora_clusters: Annotated[
        tuple[_DatabaseName, ...], Field(description="Identifiers of Aurora clusters")
    ] = ()
    admin_secret_arns: Annotated[
        tuple[_SecretArn, ...],
        Field(
            description="Secrets of their administrators: the master secret that RDS manages, or secretArn",
        ),
    ] = ()
    master_rotation_arns: Annotated[
        tuple[_SecretArn, ...],
        Field(description="Those of the master secrets whose rotation the stacks schedule (masterRotation)"),
    ] = ()


class PipelineState(Model):
    """Where the stacks' state is, and what encrypts it, as far as it is in this account."""

    bucket_arn: Annotated[_BucketArn | None, Field(description="Of an S3 backend")] = None
    key_arns: Annotated[
        tuple[_KeyArn, ...],
        Field(description="KMS keys of the stacks' secrets provider and the bucket"),
    ] = ()


class Pipeline(Model):
    """Roles for the workflows of a repository on GitHub that preview and update other stacks."""

    repository: Annotated[_Repository, Field(description="OWNER/NAME, or OWNER@ID/NAME@ID")]
    oidc_provider_arn: Annotated[_ProviderArn, Field(description="GitHub's OIDC provider in IAM")]
    environment: Annotated[
        _Environment, Field(description="The repository's environment whose workflows update")
    ]
    previews: Annotated[
        bool, Field(description="false: no role for pull requests, whose code could read the stacks' state")
    ] = True
    stacks: Annotated[
        tuple[_Stack, ...],
        Field(min_length=1, description="Names of the stacks, of this project"),
    ]
    secret_prefixes: Annotated[
        tuple[_SecretPrefix, ...],
        Field(
            min_length=1,
            description="What the names of the stacks' secrets begin with",
        ),
    ]
    databases: Annotated[PipelineDatabases, Field(description="That the stacks look up")] = (
        PipelineDatabases()
    )
    existing_secrets: Annotated[
        tuple[ExistingSecret, ...],
        Field(description="Secrets that workloads read and the stacks do not make, by name or full ARN"),
    ] = ()
    partner_secrets: Annotated[
        bool, Field(description="true: stacks have secrets of partners that AWS rotates itself")
    ] = False
    eks_clusters: Annotated[
        tuple[_Cluster, ...],
        Field(description="Clusters whose pods get roles by EKS Pod Identity"),
    ] = ()
    ecs_services: Annotated[
        tuple[_EcsService, ...],
        Field(description="CLUSTER/SERVICE of services that are deployed again when a secret changes"),
    ] = ()
    state: Annotated[PipelineState, Field(description="Where the stacks' state is")] = PipelineState()
