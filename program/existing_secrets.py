"""Look up the secrets that workloads read and this stack does not create.

ListSecrets comes first: its answer is empty if a secret is missing. DescribeSecret would fail, and the engine
shows each failed lookup as an error.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi_aws as aws

from program.arns import Account, is_cross_account, kms_key_arn, secret_name
from program.desired import Desired
from program.invokes import InvokeError, ask
from stack_file import Mistake, SettingsError
from stack_file.cross_checks import mounted_twice
from stack_file.key_references import ExistingRead

# Source: AWS Secrets Manager API Reference, Filter.
_MAX_NAMES = 10


@dataclass(frozen=True, kw_only=True)
class ExistingSecret:
    """A secret that this stack does not create.

    Attributes:
        reference: its name or full ARN, as declared.
        arn: full ARN.
        kms_key_arn: ARN of the key or alias that encrypts it; None for the AWS managed key.
    """

    reference: str
    arn: str
    kms_key_arn: str | None


@dataclass(frozen=True)
class _Read:
    """A read of an existing secret, with its path in the stack file."""

    path: str
    read: ExistingRead

    @property
    def reference(self) -> str:
        """The secret's name or full ARN, as declared."""
        return self.read.secret


def look_up(desired: Desired, account: Account) -> dict[str, ExistingSecret]:
    """Return each existing secret by its name or ARN as declared.

    A secret of another account is taken as declared: AWS lists only those of this account.

    Raises:
        SettingsError: AWS has no such secret, or the lookup failed.
    """
    reads = [
        _Read(desired.path("workloads", workload.name, *read.place), read)
        for workload in desired.workloads.values()
        for read in workload.existing_reads
    ]
    if not reads:
        return {}
    references = list(dict.fromkeys(read.reference for read in reads))
    mistakes = [*_wrong_keys(reads, account), *_own_secrets(desired.secrets, reads, account)]
    existing: dict[str, ExistingSecret] = {}
    try:
        arns = list(_list(secret_name(one) for one in references if not is_cross_account(one, account)))
        for reference in references:
            if is_cross_account(reference, account):
                existing[reference] = _as_declared(reference, reads)
            elif arn := _arn_of(reference, arns):
                key = kms_key_arn(_describe(arn).kms_key_id, account)
                existing[reference] = ExistingSecret(reference=reference, arn=arn, kms_key_arn=key)
            elif secret_name(reference) not in desired.secrets:
                mistakes += _missing(reference, reads, arns)
    except InvokeError as error:
        mistakes.append(
            Mistake(
                reads[0].path,
                str(error),
                "The workload may not be able to read it",
                "Check the permissions (secretsmanager:ListSecrets, DescribeSecret and GetResourcePolicy)",
            )
        )
    mistakes += _mounted_twice(desired, existing)
    if mistakes:
        raise SettingsError(desired.stack, mistakes)
    return existing


def _list(names: Iterable[str]) -> Iterator[str]:
    """Yield the ARNs of secrets whose names begin with one of these, without those scheduled for deletion."""
    distinct = sorted(set(names))
    for start in range(0, len(distinct), _MAX_NAMES):
        values = distinct[start : start + _MAX_NAMES]
        by_name = aws.secretsmanager.GetSecretsFilterArgs(name="name", values=values)
        answer = ask(
            "the secrets that workloads read",
            partial(aws.secretsmanager.get_secrets, filters=[by_name]),
        )
        yield from answer.arns


def _describe(arn: str) -> "aws.secretsmanager.GetSecretResult":
    return ask(f"secret {arn}", partial(aws.secretsmanager.get_secret, arn=arn))


def _arn_of(reference: str, arns: Sequence[str]) -> str | None:
    return next((arn for arn in arns if reference in {arn, secret_name(arn)}), None)


def _missing(reference: str, reads: Iterable[_Read], arns: Sequence[str]) -> Iterator[Mistake]:
    others = [arn for arn in arns if secret_name(arn) == secret_name(reference)]
    wrong = (
        f"AWS has another secret with this name, {others[0]}"
        if others
        else f'AWS has no secret "{reference}" in this account and region, or it is scheduled for deletion'
    )
    for read in reads:
        if read.reference == reference:
            yield Mistake(
                f"{read.path}.existingSecret",
                wrong,
                "The workload would not start",
                "Use the name or full ARN of an existing secret; one created in the last few minutes may not "
                "be listed yet",
            )


def _wrong_keys(reads: Sequence[_Read], account: Account) -> Iterator[Mistake]:
    for read in reads:
        if is_cross_account(read.reference, account):
            keys = _declared_keys(read.reference, reads)
            if len(keys) != 1:
                yield Mistake(
                    read.path,
                    f"the reads of this secret have different keys: {', '.join(keys)}"
                    if keys
                    else "kmsKeyArn is missing for a secret of another account",
                    "The workload could not decrypt it: the AWS managed key is for its own account",
                    "Set kmsKeyArn: ARN, the same wherever this secret is read",
                )
        elif read.read.kms_key_arn:
            yield Mistake(
                f"{read.path}.kmsKeyArn",
                "kmsKeyArn is set for a secret of this account, whose key AWS reports",
                "The two could differ",
                "Remove kmsKeyArn",
            )


def _own_secrets(own: Container[str], reads: Iterable[_Read], account: Account) -> Iterator[Mistake]:
    for read in reads:
        reference = read.reference
        is_arn = reference.startswith("arn:") and not is_cross_account(reference, account)
        name = secret_name(reference)
        if is_arn and name in own:
            yield Mistake(
                f"{read.path}.existingSecret",
                f'this stack creates the secret "{name}"',
                "Its ARN changes if it is created again",
                f"Use secret: {name}",
            )


def _mounted_twice(desired: Desired, existing: Mapping[str, ExistingSecret]) -> Iterator[Mistake]:
    """Yield whole secrets that are two files of the CSI driver, one by name and one by ARN."""
    for name, workload in desired.workloads.items():
        whole = {
            path: existing[file.existing_secret].arn
            for path, file in workload.declared.files.items()
            if file.whole and file.existing_secret and file.existing_secret in existing
        }
        yield from mounted_twice(desired.project, ("workloads", name), workload.declared, whole)


def _declared_keys(reference: str, reads: Iterable[_Read]) -> list[str]:
    return sorted(
        {read.read.kms_key_arn for read in reads if read.reference == reference and read.read.kms_key_arn}
    )


def _as_declared(reference: str, reads: Iterable[_Read]) -> ExistingSecret:
    keys = _declared_keys(reference, reads)
    return ExistingSecret(reference=reference, arn=reference, kms_key_arn=keys[0] if keys else None)
