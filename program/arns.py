"""The AWS account of a stack, and the ARNs that are built or read for it."""

from dataclasses import dataclass

from components.policies import AWS_MANAGED_ALIAS

_SUFFIX = len("-AbCdEf")  # AWS adds a hyphen and six characters to a secret's name


@dataclass(frozen=True)
class Account:
    """The account and region that a stack's resources are created in."""

    account_id: str
    partition: str
    region: str

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """Return the ARN of a resource of this account.

        Args:
            service: the service's name in ARNs, such as `kms`.
            resource: what follows the account, such as `key/ID`.
            region: default: the stack's; empty for a global service such as IAM.
        """
        place = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{place}:{self.account_id}:{resource}"

    def owns(self, arn: str) -> bool:
        """Return whether an ARN is of this account."""
        return account_of(arn) == self.account_id


def account_of(arn: str) -> str:
    """Return the account ID in an ARN."""
    return arn.split(":")[4]


def is_cross_account(reference: str, account: Account) -> bool:
    """Return whether a secret, given by its name or ARN, is in another account."""
    return reference.startswith("arn:") and not account.owns(reference)


def secret_name(reference: str) -> str:
    """Return the name of a secret that is given by its name or full ARN."""
    return reference.rpartition(":")[2][:-_SUFFIX] if reference.startswith("arn:") else reference


def secret_arn_pattern(reference: str, account: Account) -> str:
    """Return the ARN of a secret that is given by its name or full ARN, with `?` for AWS's six characters."""
    if reference.startswith("arn:"):
        return reference
    return account.arn("secretsmanager", f"secret:{reference}-??????")


def kms_key_arn(key: str, account: Account) -> str | None:
    """Return the ARN of the key or alias that AWS reports for a secret; None for AWS's own key.

    Args:
        key: ID, alias or ARN of a KMS key; empty for AWS's own key.
        account: the secret's account.
    """
    if not key or key.endswith(AWS_MANAGED_ALIAS):
        return None
    if key.startswith("arn:"):
        return key
    return account.arn("kms", key if key.startswith("alias/") else f"key/{key}")
