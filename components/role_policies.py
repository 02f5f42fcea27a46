"""The policies of a role: one inline policy, and managed ones for what does not fit into it.

IAM counts a role's inline policies together, each managed policy separately, and no white space. The items
are divided in a fixed order, each policy as full as possible, so another secret moves few others. Neighbours
share the item at their border, so an item that moves across it is allowed all the time.

Source: IAM User Guide, "IAM and AWS STS quotas".
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

MOST_INLINE = 10_240
MOST_MANAGED = 6_144
MOST_ATTACHED = 10


@dataclass(frozen=True, kw_only=True)
class Division:
    """The division of items among the policies of a role.

    Attributes:
        parts: positions of the items of each policy; the first is inline.
        sizes: characters of each policy.
        whole: characters of a single policy for all items.
    """

    parts: Sequence[range]
    sizes: Sequence[int]
    whole: int

    @property
    def managed(self) -> int:
        """The number of managed policies."""
        return len(self.parts) - 1


def divide(count: int, text: Callable[[range, bool], str], room: int = MOST_INLINE) -> Division:
    """Divide items among as few policies as possible; each has at least one, even if it is too long.

    Args:
        count: number of items.
        text: returns a policy of the final length for some items; its second argument is True for the
            inline policy.
        room: characters of the inline policy. Default: IAM's limit.
    """

    def size(part: range, *, inline: bool) -> int:
        return len("".join(text(part, inline).split()))

    whole = size(range(count), inline=True)
    if whole <= room:
        return Division(parts=[range(count)], sizes=[whole], whole=whole)
    parts = [_fitting(0, count, room, lambda part: size(part, inline=True))]
    while parts[-1].stop < count:
        end = parts[-1].stop
        part = _fitting(end - 1, count, MOST_MANAGED, lambda part: size(part, inline=False))
        if len(part) == 1:  # nothing except what the neighbours share
            part = _fitting(end, count, MOST_MANAGED, lambda part: size(part, inline=False))
        parts.append(part)
    sizes = [size(part, inline=number == 0) for number, part in enumerate(parts)]
    return Division(parts=parts, sizes=sizes, whole=whole)


def _fitting(start: int, count: int, room: int, size: Callable[[range], int]) -> range:
    more = range(start + 2, count + 1)
    return range(start, start + 1 + bisect_right(more, room, key=lambda stop: size(range(start, stop))))


def distinct_keys(kms_key_arns: Iterable[pulumi.Input[str]]) -> list[pulumi.Input[str]]:
    """Return each key once: strings by value, Outputs by identity."""
    return list({key if isinstance(key, str) else id(key): key for key in kms_key_arns}.values())


def key_arns_for_size(kms_key_arns: Iterable[pulumi.Input[str]], account_key_arn: str) -> list[str]:
    """Return an ARN of the right length for each distinct key; `account_key_arn` ends with `key/`."""
    return [
        key if isinstance(key, str) else f"{account_key_arn}{number:036}"
        for number, key in enumerate(distinct_keys(kms_key_arns))
    ]


def put_policies(
    name: str,
    role: pulumi.Input[str],
    documents: Sequence[pulumi.Input[str]],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> "aws.iam.RolePolicy":
    """Declare the policies of a role; return the inline one, which is created last.

    A policy changes after the policies that follow it, which take over its last items when one is added.

    Args:
        name: name of the component.
        role: name of the role.
        documents: the inline policy, then managed ones.
        tags: tags of the managed policies.
        opts: the parent, and the dependencies of the first.
    """
    before = opts.depends_on
    for number in range(len(documents), 1, -1):
        policy = aws.iam.Policy(
            f"{name}-policy-{number}",
            description=f"Belongs to {name}-policy, which has no room for it",
            policy=documents[number - 1],
            tags=dict(tags) or None,
            opts=pulumi.ResourceOptions(parent=opts.parent, depends_on=before),
        )
        attachment = aws.iam.RolePolicyAttachment(
            f"{name}-policy-{number}",
            role=role,
            policy_arn=policy.arn,
            opts=pulumi.ResourceOptions(parent=opts.parent),
        )
        before = [attachment]
    return aws.iam.RolePolicy(
        f"{name}-policy",
        role=role,
        policy=documents[0],
        opts=pulumi.ResourceOptions(parent=opts.parent, depends_on=before),
    )
