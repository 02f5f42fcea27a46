"""Decide whether a secret can be restored, from AWS's metadata and the states; nothing is changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from components import tokens
from components.policies import AWS_MANAGED_ALIAS
from operations.adopt import stack_state
from operations.adopt.adoption import exported, previewed
from operations.adopt.aws_objects import ADOPTED_LABEL, OWN_LABELS, as_if_restored, elsewhere, name_of
from operations.adopt.entries import Entry, LoginPlace, Stack, entry
from operations.adopt.model import LiveSecret, Origin
from operations.stack import Stack as EngineStack
from operations.status.aws import AwsSession, Caller, Denied
from stack_file.stack_secrets import by_name

_LABELS = "aws-secrets"  # how the staging labels of this project begin
# Section of the stack file to the component of its logins.
_COMPONENTS = {"caches": tokens.CACHE_LOGIN, "smtp": tokens.SMTP_CREDENTIALS}
_KEY_ACTIONS = "aws kms cancel-key-deletion --key-id {key}, then aws kms enable-key --key-id {key}"


class Refusal(Exception):  # noqa: N818  the outcome of a plan, which an operator reads
    """A restore that is not possible, or is not complete; the message gives the reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A stack to restore into.

    Attributes:
        stack: its stack file, which declares the secret.
        engine: the stack in the backend.
        aws: AWS in the stack's region.
        caller: whose account the stack is in.
    """

    stack: Stack
    engine: EngineStack
    aws: AwsSession
    caller: Caller


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A restore that was not begun.

    Attributes:
        name, arn: the secret's.
        deleted: the date that AWS shows for the deletion; None if the secret is not scheduled for deletion.
        in_state: whether the state has it.
    """

    name: str
    arn: str
    deleted: datetime | None
    in_state: bool

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to restore."""
        return self.deleted is None and self.in_state


def plan(secret: str, target: Target, others: Iterable[EngineStack]) -> Plan:
    """Return what a restore would do.

    Args:
        secret: name or ARN.
        target: the stack that has it.
        others: the project's other stacks, which are read only if the state lost the secret.

    Raises:
        Refusal: it cannot be restored.
        QueryError: AWS could not be asked.
        OperationError: the engine failed, or the stack does not exist.
    """
    stack, engine, aws, caller = target.stack, target.engine, target.aws, target.caller
    name = _declared_name(secret, stack, aws.region, caller)
    in_state = stack_state.arns(exported(engine.cli, engine.name))
    login = _login_of(name, stack)
    end = stack_state.end_of_urn(name, login.component if login else None)
    recorded = next((arn for urn, arn in in_state.items() if urn.endswith(end)), None)
    if recorded and (reason := elsewhere(recorded, aws.region, caller)):
        raise Refusal(
            f"{name} cannot be restored with these credentials: in the state of stack {engine.name}, "
            f"{reason}. Use credentials of that account (AWS_PROFILE)."
        )
    described = _described(name, aws, caller, recorded, engine.name)
    arn = str(described["ARN"])
    if recorded not in (None, arn):
        raise Refusal(
            f"AWS has another secret {name} than the state of stack {engine.name}: {arn}, not {recorded}, "
            "which was deleted for good. Delete it from the state (pulumi state delete), then bring the "
            "other one into the stack: docs/adopt.md"
        )
    made = Plan(
        name=name,
        arn=arn,
        deleted=described.get("DeletedDate"),
        in_state=arn in in_state.values(),
    )
    if not made.is_done:
        _check_aws(made, described, aws)
    if not made.in_state:
        _check_owner(made, described, engine, others)
        _check_state(made, described, target)
    return made


def _declared_name(secret: str, stack: Stack, region: str, caller: Caller) -> str:
    name = secret
    if secret.startswith("arn:"):
        if reason := elsewhere(secret, region, caller):
            raise Refusal(f"{secret} cannot be restored: {reason}.")
        name = name_of(secret)
    declared = by_name(stack.file)
    if name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise Refusal(
            f"The stack file declares no secret {name}, and an update would delete it again. Put its entry "
            f"back (git log -p shows it), then run this command again. It declares: {known}."
        )
    return name


def _described(
    name: str, aws: AwsSession, caller: Caller, recorded: str | None, stack: str
) -> Mapping[str, Any]:
    described = aws.secrets([name], policies=False)[name].described
    if isinstance(described, Denied):
        raise Refusal(f"These credentials may not call {described.action} on {name}. Allow it.")
    if described is None:
        next_step = (
            "`pulumi up --refresh` creates it again, with new initial values"
            if recorded
            else f"`pulumi up --stack {stack}` creates it, with new initial values"
        )
        raise Refusal(
            f"Account {caller.account_id} has no secret {name} in {aws.region}, so there is nothing to "
            "restore: it was deleted for good when its recovery window ended, or it is in another account "
            f"or region. {next_step}."
        )
    return described


def _check_aws(made: Plan, described: Mapping[str, Any], aws: AwsSession) -> None:
    if described.get("OwningService"):
        raise Refusal(f"The AWS service {described['OwningService']} manages {made.name}. Use that service.")
    primary = described.get("PrimaryRegion")
    if primary and primary != aws.region:
        raise Refusal(f"{made.name} is a replica. Restore the secret in {primary}, then replicate it again.")
    key = str(described.get("KmsKeyId") or "")
    if key and not key.endswith(AWS_MANAGED_ALIAS):
        state = aws.keys([key])[key]
        if not isinstance(state, Denied) and not state.usable:
            raise Refusal(
                f"The KMS key of {made.name} cannot decrypt it ({key}: {state.state}). Bring the key back "
                f"first: {_KEY_ACTIONS.format(key=key)}"
            )


def _check_owner(
    made: Plan, described: Mapping[str, Any], engine: EngineStack, others: Iterable[EngineStack]
) -> None:
    labels = [label for each in (described.get("VersionIdsToStages") or {}).values() for label in each]
    if made.deleted is None and not any(label.startswith(_LABELS) for label in labels):
        raise Refusal(
            f"{made.name} is not scheduled for deletion, and no stack of this program created it. To bring "
            f"it into the stack: python -m operations adopt aws --prefix {made.name} --stack {engine.name}"
        )
    for other in others:
        if made.arn in stack_state.arns(exported(other.cli, other.name)).values():
            raise Refusal(
                f"{made.name} belongs to stack {other.name}, whose state has it. Restore it there: "
                f"--stack {other.name}"
            )


def _check_state(made: Plan, described: Mapping[str, Any], target: Target) -> None:
    """Check that the state can get the secret back, before AWS is changed."""
    engine = target.engine
    expected = entry_of(as_if_restored(described), target.stack)
    impossible = stack_state.additions(previewed(engine), [expected]).impossible
    if made.name in impossible:
        reason = impossible[made.name]
        remedy = _key_remedy(described, target.aws) if "kmsKeyId" in reason else ""
        raise Refusal(
            f"{made.name} cannot be added to the state of stack {engine.name}: {reason}. "
            f"{remedy or 'Create that first: pulumi up'}"
        )


def _key_remedy(described: Mapping[str, Any], aws: AwsSession) -> str:
    """Return how to go on where the state lost the stack's KMS key as well."""
    key = str(described.get("KmsKeyId") or "")
    if not key or key.endswith(AWS_MANAGED_ALIAS):
        return "Write to its entry in the stack file: encryption: aws-managed"
    found = aws.keys([key])[key]
    arn = key if isinstance(found, Denied) else found.arn
    return (
        "The state lost the stack's KMS key, too. The secret's key is still there; write to its entry in the "
        f"stack file: encryption: {arn}"
    )


def entry_of(live: LiveSecret, stack: Stack) -> Entry:
    """Return what operations.adopt needs to add a secret of the stack file to the state again.

    Raises:
        Refusal: the state cannot have it.
    """
    declared = by_name(stack.file)[live.name]
    login = _login_of(live.name, stack)
    made = (
        entry(live, Origin(arn=live.arn, place="AWS"), stack) if login is None else _login_entry(live, login)
    )
    if isinstance(made, str):
        raise Refusal(f"{live.name} cannot be added to the state: {made}.")
    # in this mode the state has no version, so none needs a label that keeps it
    label = None if declared.mode == "account" else made.label
    return replace(made, label=label, was_managed=True)


def _login_of(name: str, stack: Stack) -> LoginPlace | None:
    """Return where a declared secret is a login; None for any other secret."""
    section, server, *_ = map(str, by_name(stack.file)[name].place)
    if section == "databases":
        is_postgres = stack.file.databases[server].engine == "postgres"
        component = tokens.POSTGRES_LOGIN if is_postgres else tokens.MYSQL_LOGIN
    elif section in _COMPONENTS:
        component = _COMPONENTS[section]
    else:
        return None
    return LoginPlace(database=server, server={}, component=component)


def _login_entry(live: LiveSecret, login: LoginPlace) -> Entry | str:
    """Return the entry of a login that the stack file declares, or why the state cannot have it."""
    if live.obstacles:
        return "; ".join(live.obstacles)
    return Entry(
        live=live,
        origin=Origin(arn=live.arn, place="AWS"),
        declared={},
        written=True,
        label=None if set(live.labels) & set(OWN_LABELS) else ADOPTED_LABEL,
        intended={},
        remarks=(),
        login=login,
    )
