"""Look up the account, partition and region of the program's default AWS provider."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account in a region.

    Attributes:
        account_id: its 12 digits.
        partition: `aws`, `aws-cn` or `aws-us-gov`.
        region: the region's code.
    """

    account_id: str
    partition: str
    region: str


def look_up_account(opts: pulumi.InvokeOptions | None = None) -> Account:
    """Ask AWS for the account, partition and region of a provider.

    Args:
        opts: with the provider; the program's default provider if left out.
    """
    caller = aws.get_caller_identity(opts=opts)
    return Account(
        account_id=caller.account_id,
        partition=caller.arn.split(":")[1],
        region=aws.get_region(opts=opts).region,
    )


def look_up_account_id() -> str:
    """Return the account of the program's default provider."""
    return str(aws.get_caller_identity().account_id)


def look_up_partition() -> str:
    """Return the partition of the program's default provider."""
    return str(aws.get_caller_identity().arn).split(":")[1]


def look_up_region() -> str:
    """Return the region of the program's default provider."""
    return str(aws.get_region().region)
