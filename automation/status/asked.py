"""The status of a stack: what its file declares beside what AWS says."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automation.status import functions
from automation.status.aws import Asking, Caller, Denied, Found, Key, asking
from automation.status.declared import Declared, declared_secrets, existing_secrets, ignored_tags
from automation.status.errors import CannotAskError, CredentialsError
from automation.status.judged import Answers, existing_secret_of, secret_of, unknown_master
from automation.status.masters import masters, merged
from automation.status.model import VERSION, Function, Secret, Status, Summary
from automation.status.readers import workloads_of
from automation.status.rotation import asks_for_versions
from components.policies import AWS_MANAGED_ALIAS
from program.making import Account
from settings import Configuration, check, files

_DESCRIBE = "secretsmanager:DescribeSecret"


def status(
    stack: str,
    *,
    folder: Path = Path(),
    outputs: Mapping[str, Any] | None = None,
    policies: bool = True,
    now: datetime | None = None,
) -> Status:
    """The status of a stack whose file is in a project's folder.

    Args:
        stack: its name.
        folder: of the project; paths in the stack file are relative to the working directory.
        outputs: the stack's outputs, as far as the caller has them: by them alone the names of roles and
            functions that the stack makes are known.
        policies: ask for resource policies too, of which AWS answers 50 a second.
        now: the moment to judge for; the present if left out.

    Raises:
        FileError: there is no such stack, or a file cannot be read.
        SettingsError: the stack file has mistakes.
        CannotAskError: AWS cannot be asked.
    """
    return status_of(files.read(folder, stack), outputs=outputs, policies=policies, now=now)


def status_of(
    configuration: Configuration,
    *,
    outputs: Mapping[str, Any] | None = None,
    policies: bool = True,
    now: datetime | None = None,
) -> Status:
    """The same for a configuration that the caller has. See `status`."""
    checked, moment, told = check(configuration), now or datetime.now(UTC), outputs or {}
    aws = asking(checked.region)
    caller = aws.caller()
    _refuse_other_accounts(configuration, caller)
    account = Account(caller.account_id, caller.partition, checked.region)
    declared = declared_secrets(configuration, checked, account, told)
    found_masters, unknown_masters = masters(configuration.project, checked.stack_file, aws)
    read = existing_secrets(configuration.project, checked.stack_file, account)
    existing = merged(read, found_masters)
    found = aws.secrets((one.name for one in declared), policies=policies)
    if declared and all(isinstance(one.described, Denied) for one in found.values()):
        raise CannotAskError(
            f"These credentials ({caller.arn}) may not call {_DESCRIBE} on any secret of the stack.\n"
            "  Allow it: docs/status.md lists what a status needs."
        )
    # other stacks' secrets: their policies are not this stack's to compare
    found |= aws.secrets((one.name for one in existing if not one.foreign), policies=False)
    answers = Answers(
        found=found,
        keys=_keys(aws, declared, found),
        versions=aws.versions(_in_doubt(found, moment)),
        ignored_tags=ignored_tags(configuration),
        account=account,
        on_aws=aws.on_aws,
        now=moment,
    )
    secrets = (
        *(secret_of(one, answers) for one in declared),
        *(existing_secret_of(one, answers) for one in existing),
        *map(unknown_master, unknown_masters),
    )
    rotating = functions.functions_of(secrets, declared, aws)
    return Status(
        version=VERSION,
        project=configuration.project,
        stack=configuration.stack,
        account=caller.account_id,
        region=checked.region,
        asked_at=moment,
        summary=_summary(secrets, rotating),
        secrets=secrets,
        workloads=tuple(workloads_of(checked.stack_file, account, told)),
        functions=rotating,
    )


def _refuse_other_accounts(configuration: Configuration, caller: Caller) -> None:
    """What keeps an update out of another account keeps a status from judging by it."""
    allowed = configuration.values.get("aws:allowedAccountIds") or ()
    forbidden = configuration.values.get("aws:forbiddenAccountIds") or ()
    if (allowed and caller.account_id not in map(str, allowed)) or caller.account_id in map(str, forbidden):
        raise CredentialsError(
            f"These credentials are of account {caller.account_id}, which the stack file does not allow.\n"
            "  Take those of the stack's account (AWS_PROFILE), or correct aws:allowedAccountIds."
        )


def _keys(aws: Asking, declared: Iterable[Declared], found: Mapping[str, Found]) -> dict[str, Key | Denied]:
    names = {one.encryption for one in declared if one.encryption != "aws-managed"}
    for one in found.values():
        if isinstance(one.described, Mapping) and one.described.get("KmsKeyId"):
            names.add(str(one.described["KmsKeyId"]))
    return aws.keys(sorted(name for name in names if not name.endswith(AWS_MANAGED_ALIAS)))


def _in_doubt(found: Mapping[str, Found], now: datetime) -> list[str]:
    """ARNs of the secrets whose rotation can only be judged by the dates of their versions."""
    return [
        str(one.described["ARN"])
        for one in found.values()
        if isinstance(one.described, Mapping) and asks_for_versions(one.described, now)
    ]


def _summary(secrets: tuple[Secret, ...], rotating: tuple[Function, ...]) -> Summary:
    problems = [*(one.problems for one in secrets), *(one.problems for one in rotating)]
    kinds = [{problem.kind for problem in found} for found in problems]
    return Summary(
        secrets=len(secrets),
        well=sum(not one.problems for one in secrets),
        unavailable=sum("unavailable" in found for found in kinds),
        rotation=sum("rotation" in found for found in kinds),
        drift=sum("drift" in found for found in kinds),
        waiting=sum("waiting" in found for found in kinds),
        unknown=sum("unknown" in found for found in kinds),
    )
