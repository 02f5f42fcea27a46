"""What an update of a stack may do in AWS.

Resources are named by the prefixes of secrets and the names of stacks. Where a statement is about everything,
it says why. Sources: the Terraform provider's calls for each resource; Service Authorization Reference.
"""

from collections.abc import Iterator, Mapping, Sequence

from components.permissions_boundary import use_of_keys
from components.pipeline_scope import PipelineScope, Statement, allow, lookups, read_state, write_state
from components.policies import document


def permissions(
    scope: PipelineScope, key_aliases: Sequence[str], boundary_arn: str, untouchable: Sequence[str]
) -> str:
    """What the role may do itself.

    Args:
        scope: the stacks.
        key_aliases: of their KMS keys, without the leading `alias/`.
        boundary_arn: what roles must carry.
        untouchable: ARNs of policies and roles that it must never change: the boundary, and the pipeline's.
    """
    return document(
        *lookups(scope),
        *_secrets(scope),
        *_keys(scope, key_aliases),
        *_roles(scope, boundary_arn),
        *_functions(scope),
        *_rules(scope),
        *_pod_identities(scope),
        *read_state(scope),
        *write_state(scope),
        {
            "Sid": "ChangeNeitherItselfNorTheBoundary",
            "Effect": "Deny",
            "Action": "iam:*",
            "Resource": sorted(untouchable),
        },
    )


def further_permissions(scope: PipelineScope, boundary_arn: str) -> str:
    """What the role may do besides: roles that need several policies get them, if they carry the boundary.

    In a policy of its own, because IAM has no room for it in the other.
    """
    policies, roles = (
        scope.arns("iam", [f"{kind}/{name}" for name in scope.names], region="")
        for kind in ("policy", "role")
    )
    keep = allow(
        "KeepPolicies",
        [
            f"iam:{action}"
            for action in (
                "CreatePolicy",
                "CreatePolicyVersion",
                "DeletePolicy",
                "DeletePolicyVersion",
                "GetPolicy",
                "GetPolicyVersion",
                "ListPolicyVersions",
                "TagPolicy",
                "UntagPolicy",
            )
        ],
        policies,
    )
    attach = allow(
        "AttachThem",
        ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        roles,
        ArnLike={"iam:PolicyARN": policies},
        StringEquals={"iam:PermissionsBoundary": boundary_arn},
    )
    return document(keep, attach)


def _secrets(scope: PipelineScope) -> Iterator[Statement]:
    yield allow(
        "KeepSecrets",
        [
            f"secretsmanager:{action}"
            for action in (
                "CancelRotateSecret",
                "CreateSecret",
                "DeleteResourcePolicy",
                "DeleteSecret",
                "DescribeSecret",
                "GetResourcePolicy",
                "PutSecretValue",
                "RemoveRegionsFromReplication",
                "ReplicateSecretToRegions",
                "RotateSecret",
                "TagResource",
                "UntagResource",
                "UpdateSecret",
            )
        ],
        scope.secrets,
    )
    yield allow(
        "KeepPoliciesThatAreNotPublic",
        ["secretsmanager:PutResourcePolicy"],
        scope.secrets,
        Bool={"secretsmanager:BlockPublicPolicy": "true"},
    )
    # The provider reads a first value back, by its version, when it has written it, and at a refresh. It is
    # no more than the role can have anyway: it may make a role in the boundary that reads.
    yield allow(
        "ReadVersionsBack",
        ["secretsmanager:GetSecretValue"],
        scope.secrets,
        Null={"secretsmanager:VersionId": "false"},
    )
    if scope.master_rotation_arns:
        # without the right to call a function it can have RDS alone rotate them
        yield allow(
            "ScheduleMasterRotation",
            [
                "secretsmanager:CancelRotateSecret",
                "secretsmanager:DescribeSecret",
                "secretsmanager:RotateSecret",
            ],
            scope.master_rotation_arns,
        )
    yield use_of_keys(scope, scope.secrets, ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"])


def _keys(scope: PipelineScope, aliases: Sequence[str]) -> Iterator[Statement]:
    """A stack's key lets the role administer it by its own policy; IAM allows it no other key.

    The role may write that policy (KMS makes no key for somebody who could not), so what it must never do is
    denied here, whatever a key's policy allows.
    """
    names = [f"alias/{alias}" for alias in aliases]
    # a key has no ARN before it is made, and the tags that it is made with are given to none in particular
    yield allow("MakeKeys", ["kms:CreateKey", "kms:TagResource"], ["*"])
    yield {
        "Sid": "TagNoOtherKey",
        "Effect": "Deny",
        "Action": "kms:TagResource",
        "Resource": scope.arns("kms", ["key/*"]),
        "Condition": {"ForAllValues:StringNotEquals": {"kms:ResourceAliases": names}},
    }
    yield allow(
        "NameKeys", ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], scope.arns("kms", names)
    )
    yield {
        "Sid": "EndNoKey",
        "Effect": "Deny",
        "Action": [
            "kms:CreateGrant",
            "kms:DeleteImportedKeyMaterial",
            "kms:DisableKey",
            "kms:ScheduleKeyDeletion",
        ],
        "Resource": "*",
    }
    yield {
        "Sid": "LeaveNoKeyWithoutAKeeper",
        "Effect": "Deny",
        "Action": ["kms:CreateKey", "kms:PutKeyPolicy"],
        "Resource": "*",
        "Condition": {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}},
    }
    yield allow("FindAliases", ["kms:ListAliases"], ["*"])  # KMS lists all or none


def _roles(scope: PipelineScope, boundary_arn: str) -> Iterator[Statement]:
    roles = scope.arns("iam", [f"role/{name}" for name in scope.names], region="")
    yield allow(
        "KeepRolesInTheBoundary",
        [
            "iam:CreateRole",
            "iam:DeleteRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
        ],
        roles,
        StringEquals={"iam:PermissionsBoundary": boundary_arn},
    )
    yield allow(
        "KeepRoles",
        [
            f"iam:{action}"
            for action in (
                "DeleteRole",
                "GetRole",
                "GetRolePolicy",
                "ListAttachedRolePolicies",
                "ListInstanceProfilesForRole",
                "ListRolePolicies",
                "TagRole",
                "UntagRole",
                "UpdateAssumeRolePolicy",
                "UpdateRole",
                "UpdateRoleDescription",
            )
        ],
        roles,
    )
    services = [
        "lambda.amazonaws.com",
        *(["pods.eks.amazonaws.com"] if scope.eks_clusters else []),
        *(["secretsmanager.amazonaws.com"] if scope.partner_secrets else []),
    ]
    yield allow("GiveRolesTo", ["iam:PassRole"], roles, StringEquals={"iam:PassedToService": services})


def _functions(scope: PipelineScope) -> Iterator[Statement]:
    functions = scope.arns("lambda", [f"function:{name}" for name in scope.names])
    yield allow(
        "KeepFunctions",
        [
            f"lambda:{action}"
            for action in (
                "CreateFunction",
                "DeleteFunction",
                "DeleteFunctionConcurrency",
                "GetFunction",
                "GetFunctionCodeSigningConfig",
                "GetFunctionConfiguration",
                "GetPolicy",
                "InvokeFunction",
                "ListVersionsByFunction",
                "PutFunctionConcurrency",
                "RemovePermission",
                "TagResource",
                "UntagResource",
                "UpdateFunctionCode",
                "UpdateFunctionConfiguration",
            )
        ],
        functions,
    )
    callers = ["secretsmanager.amazonaws.com", *(["events.amazonaws.com"] if scope.ecs_services else [])]
    yield allow(
        "LetServicesCallThem",
        ["lambda:AddPermission"],
        functions,
        StringEquals={"lambda:Principal": callers},
    )
    # Lambda looks a function's network up in the caller's name; EC2 describes all or nothing
    network = ["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
    yield allow("SeeNetworks", network, ["*"])
    groups = [f"log-group:/aws/lambda/{name}{rest}" for name in scope.names for rest in ("", ":*")]
    yield allow(
        "KeepLogs",
        [
            f"logs:{action}"
            for action in (
                "CreateLogGroup",
                "DeleteLogGroup",
                "DeleteRetentionPolicy",
                "ListTagsForResource",
                "PutRetentionPolicy",
                "TagResource",
                "UntagResource",
            )
        ],
        scope.arns("logs", groups),
    )
    yield allow("FindLogs", ["logs:DescribeLogGroups"], scope.arns("logs", ["log-group:*"]))  # all or none
    yield allow(
        "KeepAlarms",
        [
            f"cloudwatch:{action}"
            for action in (
                "DeleteAlarms",
                "ListTagsForResource",
                "PutMetricAlarm",
                "TagResource",
                "UntagResource",
            )
        ],
        scope.arns("cloudwatch", [f"alarm:{name}" for name in scope.names]),
    )
    # CloudWatch asks about all alarms, also where names are given
    yield allow("FindAlarms", ["cloudwatch:DescribeAlarms"], scope.arns("cloudwatch", ["alarm:*"]))


def _rules(scope: PipelineScope) -> Iterator[Statement]:
    if not scope.ecs_services:
        return
    rules = scope.arns("events", [f"rule/{name}" for name in scope.names])
    yield allow(
        "KeepRules",
        [
            f"events:{action}"
            for action in (
                "DeleteRule",
                "DescribeRule",
                "ListTagsForResource",
                "ListTargetsByRule",
                "PutRule",
                "RemoveTargets",
                "TagResource",
                "UntagResource",
            )
        ],
        rules,
    )
    functions = scope.arns("lambda", [f"function:{name}" for name in scope.names])
    called: Mapping[str, object] = {"ForAllValues:ArnLike": {"events:TargetArn": functions}}
    yield allow("LetRulesCallTheirFunctions", ["events:PutTargets"], rules, **called)


def _pod_identities(scope: PipelineScope) -> Iterator[Statement]:
    if not scope.eks_clusters:
        return
    yield allow(
        "AssociateRolesWithPods",
        [
            "eks:CreatePodIdentityAssociation",
            "eks:DeletePodIdentityAssociation",
            "eks:DescribePodIdentityAssociation",
            "eks:TagResource",
            "eks:UntagResource",
            "eks:UpdatePodIdentityAssociation",
        ],
        scope.arns(
            "eks",
            [
                resource
                for cluster in scope.eks_clusters
                for resource in (f"cluster/{cluster}", f"podidentityassociation/{cluster}/*")
            ],
        ),
    )
