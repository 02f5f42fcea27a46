"""The permissions of an update of a stack.

Resources are named by the prefixes of secrets and the names of stacks. A statement about all resources says
why. Sources: the Terraform provider's calls for each resource; Service Authorization Reference.
"""

from collections.abc import Iterator, Mapping, Sequence

from .permissions_boundary import use_of_keys
from .pipeline_scope import PipelineScope, Statement, allow, lookups, read_state, write_state
from .policies import document


def permissions(
    scope: PipelineScope, key_aliases: Sequence[str], boundary_arn: str, untouchable: Sequence[str]
) -> str:
    """Return the role's inline policy.

    Args:
        scope: the stacks.
        key_aliases: aliases of their KMS keys, without the leading `alias/`.
        boundary_arn: ARN of the boundary that roles must have.
        untouchable: ARNs of policies and roles that it must never change: the boundary and the pipeline's.
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
    """Return the role's managed policy: attach policies to roles that have the boundary.

    It is a policy of its own, because the inline one has no room for it.
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
    # The provider reads an initial value back by its version after writing it, and at a refresh. The role
    # gains nothing by it: it may create a role within the boundary that reads.
    yield allow(
        "ReadVersionsBack",
        ["secretsmanager:GetSecretValue"],
        scope.secrets,
        Null={"secretsmanager:VersionId": "false"},
    )
    if scope.master_rotation_arns:
        # without the right to invoke a function, only RDS rotates them
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
    """Yield the statements for the stack's key, whose own policy allows the role to administer it.

    The role may write that policy, because KMS creates no key for somebody who could not. So the operations
    that it must never do are denied here, whatever a key's policy allows.
    """
    names = [f"alias/{alias}" for alias in aliases]
    # a new key has no ARN, and the permission to tag it at creation names none
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
    yield allow("FindAliases", ["kms:ListAliases"], ["*"])  # KMS supports no ARN here


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
    callers = ["secretsmanager.amazonaws.com", *(["events.amazonaws.com"] if scope.has_rules else [])]
    yield allow(
        "LetServicesCallThem",
        ["lambda:AddPermission"],
        functions,
        StringEquals={"lambda:Principal": callers},
    )
    # Lambda looks up a function's network on the caller's behalf; EC2 supports no ARN here
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
    yield allow(
        "FindLogs", ["logs:DescribeLogGroups"], scope.arns("logs", ["log-group:*"])
    )  # no narrower ARN
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
    # CloudWatch checks all alarms, even if names are passed
    yield allow("FindAlarms", ["cloudwatch:DescribeAlarms"], scope.arns("cloudwatch", ["alarm:*"]))


def _rules(scope: PipelineScope) -> Iterator[Statement]:
    if not scope.has_rules:
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
