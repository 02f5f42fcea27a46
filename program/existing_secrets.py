"""Secrets that workloads read and this stack does not make: whether they exist, and which key they need.

AWS is asked for a list first, which is empty where there is no such secret. DescribeSecret fails then, and
the engine would show each failed lookup as an error.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_aws as aws

from components.policies import AWS_MANAGED_ALIAS
from program.invokes import InvokeError, asked
from program.making import Account
from settings import Mistake, SettingsError, StackFile
from settings.cross_checks import mounted_twice
from settings.mistakes import path_of
from settings.reads import ExistingRead
from settings.stack_secrets import by_name
from settings.workloads import Workload

# Source: AWS Secrets Manager API Reference, Filter.
_MOST_NAMES = 10
_SUFFIX = len("-AbCdEf")  # what AWS adds to the name in an ARN


@dataclass(frozen=True, kw_only=True)
class ExistingSecret:
    """A secret that this stack does not make.

    Attributes:
        reference: what the stack file calls it, a name or a full ARN.
        arn: full ARN.
        kms_key_arn: ARN of the key or alias that encrypts it; None for AWS's own key.
    """

    reference: str
    arn: str
    kms_key_arn: str | None


def look_up(declared: StackFile, account: Account) -> dict[str, ExistingSecret]:
    """Return what is known of each existing secret, by what the stack file calls it.

    A secret of another account is taken as declared: AWS lists those of this account alone.

    Raises:
        SettingsError: AWS has no such secret, or could not be asked.
    """
    reads = list(_reads(declared))
    if not reads:
        return {}
    made = set(by_name(declared))
    mistakes = [
        *_wrong_keys(reads, account),
        *_made_here(made, reads, account),
    ]
    found: dict[str, ExistingSecret] = {}
    try:
        arns = list(_listed(name_of(one) for one in _references(reads) if not is_foreign(one, account)))
        for reference in _references(reads):
            if is_foreign(reference, account):
                found[reference] = _as_declared(reference, reads)
            elif arn := _arn_of(reference, arns):
                found[reference] = ExistingSecret(
                    reference=reference, arn=arn, kms_key_arn=key_arn(_described(arn).kms_key_id, account)
                )
            elif name_of(reference) not in made:
                mistakes += _missing(reference, reads, arns)
    except InvokeError as error:
        mistakes.append(
            Mistake(
                _path(reads[0]),
                str(error),
                "It is not known whether the workload could read it; nothing was declared",
                "Check the permissions (secretsmanager:ListSecrets, DescribeSecret and GetResourcePolicy)",
            )
        )
    mistakes += _same_whole_file_twice(declared, found)
    if mistakes:
        raise SettingsError(pulumi.get_stack(), mistakes)
    return found


def existing_of(workload: Workload) -> list[str]:
    """Return what the stack file calls the existing secrets that a workload reads."""
    return sorted({read.secret for read in workload.existing_reads})


def is_foreign(reference: str, account: Account) -> bool:
    """Return whether it is the ARN of a secret of another account."""
    return reference.startswith("arn:") and reference.split(":")[4] != account.account_id


def name_of(reference: str) -> str:
    """Return the name of a secret in AWS."""
    return reference.rpartition(":")[2][:-_SUFFIX] if reference.startswith("arn:") else reference


def arn_pattern(reference: str, account: Account) -> str:
    """Return the ARN as long as it is, with `?` for what only AWS knows."""
    if reference.startswith("arn:"):
        return reference
    place = f"arn:{account.partition}:secretsmanager:{account.region}:{account.account_id}"
    return f"{place}:secret:{reference}-??????"


def key_arn(key: str, account: Account) -> str | None:
    """Return the ARN of the key that AWS names for a secret, or of its alias; None for AWS's own key."""
    if not key or key.endswith(AWS_MANAGED_ALIAS):
        return None
    if key.startswith("arn:"):
        return key
    kind = "" if key.startswith("alias/") else "key/"
    return f"arn:{account.partition}:kms:{account.region}:{account.account_id}:{kind}{key}"


_Read = tuple[str, ExistingRead]  # with the workload's name


def _reads(declared: StackFile) -> Iterator[_Read]:
    for name, workload in declared.workloads.items():
        yield from ((name, read) for read in workload.existing_reads)


def _references(reads: Iterable[_Read]) -> list[str]:
    return list(dict.fromkeys(read.secret for _, read in reads))


def _path(read: _Read) -> str:
    name, about = read
    return path_of(pulumi.get_project(), ("workloads", name, *about.place))


def _listed(names: Iterable[str]) -> Iterator[str]:
    """ARNs of the secrets whose names begin with one of these, except those scheduled for deletion."""
    distinct = sorted(set(names))
    for start in range(0, len(distinct), _MOST_NAMES):
        values = distinct[start : start + _MOST_NAMES]
        wanted = aws.secretsmanager.GetSecretsFilterArgs(name="name", values=values)
        yield from asked(
            "the secrets that workloads read",
            partial(aws.secretsmanager.get_secrets, filters=[wanted]),
        ).arns


def _described(arn: str) -> "aws.secretsmanager.GetSecretResult":
    return asked(f"secret {arn}", partial(aws.secretsmanager.get_secret, arn=arn))


def _arn_of(reference: str, arns: Sequence[str]) -> str | None:
    named = [arn for arn in arns if reference in {arn, name_of(arn)}]
    return named[0] if named else None


def _missing(reference: str, reads: Iterable[_Read], arns: Sequence[str]) -> Iterator[Mistake]:
    others = [arn for arn in arns if name_of(arn) == name_of(reference)]
    wrong = (
        f"AWS has another secret of this name, {others[0]}"
        if others
        else f'AWS has no secret "{reference}" in this account and region, or deletes it'
    )
    for read in reads:
        if read[1].secret == reference:
            yield Mistake(
                f"{_path(read)}.existingSecret",
                wrong,
                "The workload would not start",
                "Write the name or the full ARN of one that exists; one that was made in the last minutes "
                "may not be listed yet",
            )


def _wrong_keys(reads: Sequence[_Read], account: Account) -> Iterator[Mistake]:
    for read in reads:
        reference = read[1].secret
        if is_foreign(reference, account):
            keys = _declared_keys(reference, reads)
            if len(keys) != 1:
                yield Mistake(
                    _path(read),
                    f"the reads of this secret give different keys: {', '.join(keys)}"
                    if keys
                    else "the secret is in another account, and its key is not given",
                    "The workload could not decrypt it: AWS's own key serves its own account alone",
                    "Write kmsKeyArn: ARN, the same wherever this secret is read",
                )
        elif read[1].kms_key_arn:
            yield Mistake(
                f"{_path(read)}.kmsKeyArn",
                "the secret is in this account",
                "AWS says which key encrypts it, and the two could differ",
                "Remove kmsKeyArn",
            )


def _made_here(made: Container[str], reads: Sequence[_Read], account: Account) -> Iterator[Mistake]:
    for read in reads:
        reference = read[1].secret
        arn = reference.startswith("arn:") and not is_foreign(reference, account)
        if arn and name_of(reference) in made:
            yield Mistake(
                f"{_path(read)}.existingSecret",
                f'this stack makes the secret "{name_of(reference)}"',
                "A secret that is made again has another ARN",
                f"Write secret: {name_of(reference)}",
            )


def _same_whole_file_twice(declared: StackFile, found: Mapping[str, ExistingSecret]) -> Iterator[Mistake]:
    """Yield whole secrets that the CSI driver's provider would mount twice, once by name and once by ARN."""
    for name, workload in declared.workloads.items():
        whole = {
            path: found[file.existing_secret].arn
            for path, file in workload.files.items()
            if file.whole and file.existing_secret and file.existing_secret in found
        }
        yield from mounted_twice(pulumi.get_project(), ("workloads", name), workload, whole)


def _declared_keys(reference: str, reads: Iterable[_Read]) -> list[str]:
    return sorted({read.kms_key_arn for _, read in reads if read.secret == reference and read.kms_key_arn})


def _as_declared(reference: str, reads: Iterable[_Read]) -> ExistingSecret:
    keys = _declared_keys(reference, reads)
    return ExistingSecret(reference=reference, arn=reference, kms_key_arn=keys[0] if keys else None)


def of_workload(workload: Workload, existing: Mapping[str, ExistingSecret]) -> list[ExistingSecret]:
    """Return the existing secrets that a workload reads."""
    return [existing[reference] for reference in existing_of(workload)]
