"""The permissions boundary of roles that a pipeline creates: read and rotate secrets, redeploy services."""

from collections.abc import Iterator, Sequence

from .cache_permissions import changes_of_caches
from .function_parts import WRITE_VERSIONS
from .pipeline_scope import PipelineScope, Statement, actions_of, allow
from .policies import READ_VALUES, document
from .rotation_function import NETWORK_INTERFACES


def boundary(scope: PipelineScope) -> str:
    """Return the permissions boundary of roles that stacks create; it grants nothing by itself."""
    streams = scope.arns("logs", [f"log-group:/aws/lambda/{name}:log-stream:*" for name in scope.names])
    allowed = [
        allow("TheirSecrets", WRITE_VERSIONS, scope.secrets),
        *(
            [allow("LogInAsAdministrator", ["secretsmanager:GetSecretValue"], scope.admin_secret_arns)]
            if scope.admin_secret_arns
            else []
        ),
        *(
            [allow("MakePasswords", ["secretsmanager:GetRandomPassword"], ["*"])]  # it concerns no secret
            if scope.partner_secrets
            else []
        ),
        *(
            [
                allow(
                    "ReadExistingSecrets",
                    READ_VALUES,
                    scope.existing_secret_arns,
                )
            ]
            if scope.existing_secret_arns
            else []
        ),
        use_of_keys(
            scope,
            [*scope.secrets, *scope.admin_secret_arns, *scope.existing_secret_arns],
            ["kms:Decrypt", "kms:GenerateDataKey"],
            sorted({arn.split(":")[4] for arn in scope.existing_secret_arns} - {scope.account_id}),
        ),
        *(
            [
                allow(
                    "DeployServicesAgain",
                    ["ecs:DescribeServices", "ecs:UpdateService"],
                    scope.arns("ecs", [f"service/{service}" for service in scope.ecs_services]),
                )
            ]
            if scope.ecs_services
            else []
        ),
        *changes_of_caches(scope.cache_arns),
        *_notices(scope),
        *_rehearsal(scope),
        allow("TheirLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], streams),
        # their ARNs are unknown beforehand
        allow("LambdaAttachesThemToNetworks", NETWORK_INTERFACES, ["*"]),
    ]
    return document(
        *allowed,
        {
            "Sid": "TheirOwnCodeMayNot",
            "Effect": "Deny",
            "Action": NETWORK_INTERFACES,
            "Resource": "*",
            # only requests from a function's own code have this key
            "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}},
        },
        {
            # A resource policy that names a session instead of its role grants what a boundary merely does
            # not allow. Source: IAM User Guide, "Permissions boundaries for IAM entities".
            "Sid": "NothingElseWhoeverAllowsIt",
            "Effect": "Deny",
            "NotAction": sorted({action for statement in allowed for action in actions_of(statement)}),
            "Resource": "*",
        },
    )


def _notices(scope: PipelineScope) -> Iterator[Statement]:
    if not scope.notices:
        return
    yield allow("AskAboutVersions", ["secretsmanager:ListSecretVersionIds"], scope.secrets)
    if scope.topic_arns:
        yield allow("PublishNotices", ["sns:Publish"], scope.topic_arns)
    if scope.topic_key_arns:
        through_sns = {"kms:ViaService": f"sns.{scope.region}.amazonaws.com"}
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]
        yield allow("UseKeysOfTopics", actions, scope.topic_key_arns, StringEquals=through_sns)


def _rehearsal(scope: PipelineScope) -> Iterator[Statement]:
    if not scope.rehearsal:
        return
    functions = scope.arns("lambda", [f"function:{name}" for name in scope.names])
    yield allow("HaveTheirFunctionsRehearse", ["lambda:InvokeFunction"], functions)
    if scope.notices:
        groups = scope.arns("logs", [f"log-group:/aws/lambda/{name}:*" for name in scope.names])
        yield allow("ReadOutcomesOfRehearsals", ["logs:FilterLogEvents"], groups)


def use_of_keys(
    scope: PipelineScope, secrets: Sequence[str], actions: Sequence[str], accounts: Sequence[str] = ()
) -> Statement:
    """Return the statement that allows keys through Secrets Manager, for these secrets and their replicas.

    Args:
        scope: the stacks.
        secrets: ARNs of the secrets, with or without wildcards.
        actions: actions of KMS.
        accounts: other accounts whose keys encrypt some of the secrets. Default: none.
    """
    region = f":{scope.region}:"
    everywhere = [arn.replace(region, ":*:", 1) for arn in secrets]
    return allow(
        "UseKeysForThem",
        actions,
        [
            *scope.arns("kms", ["key/*"], region="*"),
            *(f"arn:{scope.partition}:kms:*:{account}:key/*" for account in accounts),
        ],
        StringLike={
            "kms:EncryptionContext:SecretARN": everywhere,
            "kms:ViaService": "secretsmanager.*.amazonaws.com",
        },
    )
