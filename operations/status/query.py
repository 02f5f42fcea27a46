"""Query the status of a stack: its stack file compared with AWS."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.policies import AWS_MANAGED_ALIAS
from operations.status import functions, rehearsals
from operations.status.actual_readers import (
    Comparison,
    ReaderQuery,
    compared,
    observation_of,
    observe,
    search_of,
)
from operations.status.assess import Answers, assess_existing, assess_secret, unresolved_master
from operations.status.aws import DESCRIBE, AwsSecret, AwsSession, Caller, Denied, KmsKey, connect
from operations.status.cost import cost_of
from operations.status.declared import DeclaredSecret, declared_secrets, existing_secrets, ignored_tags
from operations.status.declared_readers import identities
from operations.status.errors import ALLOW, CredentialsError, QueryError, denial
from operations.status.master_secrets import find_master_secrets, merge
from operations.status.model import VERSION, Function, Observation, Secret, Status, Summary
from operations.status.old_passwords import with_old_passwords
from operations.status.readers import workloads_of
from operations.status.rotation import needs_version_dates
from program.arns import Account
from program.desired import Desired, resolve
from stack_file import Configuration, check, files


def status(  # noqa: PLR0913  options
    stack: str,
    *,
    folder: Path = Path(),
    outputs: Mapping[str, Any] | None = None,
    policies: bool = True,
    readers: ReaderQuery | None = None,
    old_passwords: bool = False,
    now: datetime | None = None,
) -> Status:
    """Return the status of a stack.

    Args:
        stack: name of the stack.
        folder: of the project, the working directory by default. Paths in the stack file are relative to the
            working directory.
        outputs: the stack's outputs, if the caller has them; the names of the roles and functions that the
            stack creates are in them only.
        policies: whether to compare resource policies, of which AWS returns 50 per second; True by default.
        readers: how to find out who reads the secrets; not at all by default.
        old_passwords: whether to have the rotation functions look who uses an old password; False by default.
        now: the moment to assess for, the current time by default.

    Raises:
        FileError: the stack does not exist, or a file cannot be read.
        SettingsError: the stack file has mistakes.
        QueryError: AWS cannot be queried.
    """
    return status_of(
        files.read(folder, stack),
        outputs=outputs,
        policies=policies,
        readers=readers,
        old_passwords=old_passwords,
        now=now,
    )


def status_of(  # noqa: PLR0913  as above
    configuration: Configuration,
    *,
    outputs: Mapping[str, Any] | None = None,
    policies: bool = True,
    readers: ReaderQuery | None = None,
    old_passwords: bool = False,
    now: datetime | None = None,
) -> Status:
    """Return the status of a configuration that is loaded already; see `status`."""
    checked, moment, exported = check(configuration), now or datetime.now(UTC), outputs or {}
    aws = connect(checked.region)
    caller = aws.caller()
    check_account(configuration, caller)
    account = Account(caller.account_id, caller.partition, checked.region)
    desired = resolve(checked.stack_file, configuration.project, configuration.stack, configuration.included)
    declared = declared_secrets(configuration, desired, account, exported)
    masters, unresolved = find_master_secrets(desired, aws)
    existing = merge(existing_secrets(desired, account), masters)
    found = aws.secrets((one.name for one in declared), policies=policies)
    if declared and all(isinstance(one.described, Denied) for one in found.values()):
        raise QueryError(f"{denial(DESCRIBE)} on any secret of the stack ({caller.arn}).\n  {ALLOW}")
    # the resource policies of other stacks' secrets are not declared here
    found |= aws.secrets((one.name for one in existing if not one.foreign), policies=False)
    answers = Answers(
        found=found,
        keys=_keys(aws, declared, found),
        versions=aws.versions(_in_doubt(found, declared, moment)),
        ignored_tags=ignored_tags(configuration),
        account=account,
        on_aws=aws.on_aws,
        now=moment,
    )
    secrets: tuple[Secret, ...] = (
        *(assess_secret(one, answers) for one in declared),
        *(assess_existing(one, answers) for one in existing),
        *map(unresolved_master, unresolved),
    )
    secrets = rehearsals.with_outcomes(secrets, desired, aws, moment)
    if old_passwords:
        secrets = with_old_passwords(secrets, desired.retiring_secrets, aws)
    rotating = functions.functions_of(secrets, declared, aws)
    observation = None
    if readers is not None:
        known = identities(
            desired,
            declared,
            secrets,
            exported,
            account,
            aws,
            is_autonamed=bool(configuration.values.get("pulumi:autonaming")),
            deployers=readers.deployers,
        )
        replicas = {one.name: tuple(one.replicas) for one in declared}
        search = search_of(readers, secrets, replicas, account, moment)
        observed, reads = observe(readers, search, aws)
        comparison = Comparison(
            desired=desired,
            declared={**{one.name: one for one in existing}, **{one.name: one for one in declared}},
            known=known,
            observation=observed,
            reads=reads,
        )
        secrets = tuple(compared(one, comparison) for one in secrets)
        observation = observation_of(observed, secrets, known)
    return Status(
        version=VERSION,
        project=configuration.project,
        stack=configuration.stack,
        account=caller.account_id,
        region=checked.region,
        asked_at=moment,
        summary=_summary(secrets, rotating, observation),
        secrets=secrets,
        workloads=tuple(workloads_of(desired, account, exported)),
        functions=rotating,
        observation=observation,
        cost=cost_of(desired, declared, found, _stack_key(desired, account, answers.keys), rotating),
    )


def check_account(configuration: Configuration, caller: Caller) -> None:
    """Raise CredentialsError for an account that the stack file does not allow, as the provider does."""
    allowed = configuration.values.get("aws:allowedAccountIds") or ()
    forbidden = configuration.values.get("aws:forbiddenAccountIds") or ()
    if (allowed and caller.account_id not in map(str, allowed)) or caller.account_id in map(str, forbidden):
        raise CredentialsError(
            f"These credentials are for account {caller.account_id}, which the stack file does not allow.\n"
            "  Use credentials for the stack's account (AWS_PROFILE), or correct aws:allowedAccountIds and "
            "aws:forbiddenAccountIds."
        )


def _keys(
    aws: AwsSession, declared: Iterable[DeclaredSecret], found: Mapping[str, AwsSecret]
) -> dict[str, KmsKey | Denied]:
    names = {one.encryption for one in declared if one.encryption != "aws-managed"}
    for one in found.values():
        if isinstance(one.described, Mapping) and one.described.get("KmsKeyId"):
            names.add(str(one.described["KmsKeyId"]))
    return aws.keys(sorted(name for name in names if not name.endswith(AWS_MANAGED_ALIAS)))


def _stack_key(
    desired: Desired, account: Account, keys: Mapping[str, KmsKey | Denied]
) -> KmsKey | Denied | None:
    if not desired.stack_key_secrets:
        return None
    return keys.get(account.arn("kms", f"alias/{desired.key_alias}"))


def _in_doubt(found: Mapping[str, AwsSecret], declared: Iterable[DeclaredSecret], now: datetime) -> list[str]:
    """Return the ARNs of the secrets whose rotation or age is only known from their versions' dates."""
    with_age = {one.name for one in declared if one.age.max_age_days}
    return [
        str(one.described["ARN"])
        for name, one in found.items()
        if isinstance(one.described, Mapping)
        and not one.described.get("DeletedDate")  # AWS rejects every other request about it
        and (name in with_age or needs_version_dates(one.described, now))
    ]


def _summary(
    secrets: tuple[Secret, ...], rotating: tuple[Function, ...], observation: Observation | None
) -> Summary:
    problems = [*(one.problems for one in secrets), *(one.problems for one in rotating)]
    if observation:
        problems.append(observation.problems)
    kinds = [{problem.kind for problem in group} for group in problems]
    return Summary(
        secrets=len(secrets),
        well=sum(not one.problems for one in secrets),
        unavailable=sum("unavailable" in group for group in kinds),
        rotation=sum("rotation" in group for group in kinds),
        drift=sum("drift" in group for group in kinds),
        waiting=sum("waiting" in group for group in kinds),
        unknown=sum("unknown" in group for group in kinds),
        readers=sum("readers" in group for group in kinds),
        expired=sum("expired" in group for group in kinds),
        aging=sum("aging" in group for group in kinds),
        rehearsal=sum("rehearsal" in group for group in kinds),
    )
