"""The most that roles may do which a pipeline's updates make: read and rotate secrets, redeploy services."""

from collections.abc import Sequence

from components.function_parts import WRITE_VERSIONS
from components.pipeline_scope import PipelineScope, Statement, actions_of, allow
from components.policies import READ_VALUES, document
from components.rotation_function import NETWORK_INTERFACES


def boundary(scope: PipelineScope) -> str:
    """The permissions boundary of roles that stacks make: it allows nothing by itself."""
    streams = scope.arns("logs", [f"log-group:/aws/lambda/{name}:log-stream:*" for name in scope.names])
    allowed = [
        allow("TheirSecrets", WRITE_VERSIONS, scope.secrets),
        *(
            [allow("LogInAsAdministrator", ["secretsmanager:GetSecretValue"], scope.admin_secret_arns)]
            if scope.admin_secret_arns
            else []
        ),
        *(
            [
                allow("MakePasswords", ["secretsmanager:GetRandomPassword"], ["*"])
            ]  # a password is of no secret
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
        allow("TheirLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], streams),
        # these know no ARN before
        allow("LambdaAttachesThemToNetworks", NETWORK_INTERFACES, ["*"]),
    ]
    return document(
        *allowed,
        {
            "Sid": "TheirOwnCodeMayNot",
            "Effect": "Deny",
            "Action": NETWORK_INTERFACES,
            "Resource": "*",
            # only requests of a function's own code have this key
            "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}},
        },
        {
            # A resource's own policy that names a session, not its role, lets it do what a boundary merely
            # does not allow. Source: IAM User Guide, "Permissions boundaries for IAM entities".
            "Sid": "NothingElseWhoeverAllowsIt",
            "Effect": "Deny",
            "NotAction": sorted({action for statement in allowed for action in actions_of(statement)}),
            "Resource": "*",
        },
    )


def use_of_keys(
    scope: PipelineScope, secrets: Sequence[str], actions: Sequence[str], accounts: Sequence[str] = ()
) -> Statement:
    """Any key of the account, through Secrets Manager and for these secrets alone, replicas included.

    Args:
        scope: the stacks.
        secrets: ARNs, maybe with wildcards.
        actions: of KMS.
        accounts: other accounts whose keys encrypt some of the secrets.
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
