"""Mistakes in a stack file that show once the account is known."""

from collections.abc import Iterable, Iterator

from program import redeployments
from program.arns import Account
from program.desired import Desired, DesiredWorkload
from stack_file import Mistake, SettingsError


def check(desired: Desired, account: Account, further: Iterable[Mistake] = ()) -> None:
    """Raise an error if AWS would reject what the workloads ask for.

    Args:
        desired: the stack.
        account: the account and region of the stack.
        further: mistakes found elsewhere, reported together with these.

    Raises:
        SettingsError: a role of another account cannot read or decrypt a secret, a service cannot be
            redeployed, or `further` has mistakes.
    """
    mistakes = [*redeployments.mistakes(desired, account), *further]
    for workload in desired.workloads.values():
        if workload.cross_account_role(account) is not None:
            mistakes += _existing_secrets(desired, workload)
            mistakes += _undecryptable(desired, workload)
    if mistakes:
        raise SettingsError(desired.stack, mistakes)


def _existing_secrets(desired: Desired, workload: DesiredWorkload) -> Iterator[Mistake]:
    for read in workload.existing_reads:
        yield Mistake(
            desired.path("workloads", workload.name, *read.place, "existingSecret"),
            "the workload's role is in another account, and the secret is not one of this stack",
            "The stack cannot grant the role access in that secret's policy",
            "Use a role of this account; or write the policy where the secret is created, and declare the "
            "workload in a stack of the other account",
        )


def _undecryptable(desired: Desired, workload: DesiredWorkload) -> Iterator[Mistake]:
    for name in workload.secrets:
        if desired.secrets[name].encryption == "aws-managed":
            yield Mistake(
                workload.path,
                f"its role is in another account, and {name} is encrypted with the AWS managed key",
                "Other accounts cannot decrypt with that key",
                f"Set encryption: stack-key for {name}",
            )
