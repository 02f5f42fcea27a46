"""Decide which user or replication group may get a secret's password.

Authority comes from two sources: what the deployment declares (the provisioning request, the permissions of
the function's role), and the tag `aws-secrets:secret` of the user or replication group, with the name of its
secret. Writing that tag takes permissions on the cache, which applications do not have. Everything else is a
claim: the secret's JSON and its tags, which name a user, an ARN and a host.
"""

import re

from . import cache_aws
from .cache_aws import Target
from .errors import OperatorError
from .protocol import CACHE_TAG, OWNER_TAG


def secret_name(arn: str) -> str:
    """Return a secret's name, without the six random characters that AWS adds to it in the ARN."""
    return re.sub(r"-[A-Za-z0-9]{6}$", "", arn.partition(":secret:")[2])


def target_of(arn: str, tag: str | None, kind: str) -> Target:
    """Return what the tag of a secret names.

    Args:
        arn: the secret's ARN.
        tag: the value of CACHE_TAG.
        kind: user or replicationgroup.

    Raises:
        OperatorError: the tag is missing, or not the ARN of such a resource.
    """
    target = cache_aws.parse_arn(tag)
    if target is None or target.kind != kind or (kind != "user" and target.service != "elasticache"):
        what = "a replication group" if kind == "replicationgroup" else "a user of ElastiCache or MemoryDB"
        raise OperatorError(
            f"Secret {arn}: tag {CACHE_TAG} is {tag!r}. Write the ARN of {what} (`pulumi up --refresh`)."
        )
    return target


def is_ours(target: Target, arn: str) -> bool:
    """Return whether the tag names this secret; False if there is no tag.

    Raises:
        OperatorError: the tag names another secret.
    """
    owner = cache_aws.tags(target).get(OWNER_TAG)
    if owner not in {None, secret_name(arn)}:
        raise OperatorError(
            f"Secret {arn}: {target.arn} belongs to the secret {owner!r}, as its tag {OWNER_TAG} says. Its "
            "password is not changed. Declare another user or replication group, or correct the tag."
        )
    return owner is not None


def check_ours(target: Target, arn: str) -> None:
    """Check the tag before a rotation.

    Raises:
        OperatorError: the tag is missing, or names another secret.
    """
    if not is_ours(target, arn):
        raise OperatorError(
            f"Secret {arn}: {target.arn} has no tag {OWNER_TAG} with the secret's name, so its password is "
            f"not changed. Run the provisioning again, which adds it, or {how_to_claim(target, arn)}"
        )


def how_to_claim(target: Target, arn: str) -> str:
    """Return how an administrator adds the tag, as the end of a sentence."""
    command = "elasticache add-tags-to-resource --resource-name"
    if target.service == "memorydb":
        command = "memorydb tag-resource --resource-arn"
    return (
        f"have an administrator run: aws {command} {target.arn} --tags "
        f"Key={OWNER_TAG},Value={secret_name(arn)}"
    )


def claim(target: Target, arn: str) -> None:
    """Add the tag that ties the user or replication group to the secret."""
    cache_aws.add_tag(target, OWNER_TAG, secret_name(arn))
