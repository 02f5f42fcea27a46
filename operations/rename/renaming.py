"""Find the stage of a rename, and take it to the next one."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import stack_file
from operations.adopt.stack_file_edit import add_secrets
from operations.fleet.stack_files import edited_configuration, edited_stack
from operations.rename import pair, readers
from operations.rename.old_entry import RENAMED_FROM, remove_old_entry
from operations.rename.pair import Pair, Sync
from operations.rename.readers import Reads
from operations.restore.plan import Refusal, Target
from program.arns import Account
from program.desired import Desired, DesiredSecret, resolve
from stack_file.stack_secrets import by_name

_GUIDE = "docs/move.md"


class Stage(StrEnum):
    """The stages of a rename."""

    TO_DECLARE = "to-declare"
    TO_UPDATE = "to-update"
    BOTH = "both"
    FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class Renaming:
    """A rename, as the stack file, the stack, and AWS have it.

    Attributes:
        old, new: the names.
        stage: how far it has come.
        file_stack: the stack whose file is edited: the fleet's for a generated file.
        entry: what the stack file gets for the new name; empty unless it is to be declared.
        function: ARN of the function that copies the value; empty while there is none.
        sync: how the values compare; None unless both exist.
        references: places in the stack file that still read the old name.
        last_read: the day on which the old name was last read, as AWS records it; also by the function.
        reads: what CloudTrail recorded; None unless both exist.
        desired: the old secret as declared; None once it is removed.
    """

    old: str
    new: str
    stage: Stage
    file_stack: str
    entry: Mapping[str, Any]
    function: str = ""
    sync: Sync | None = None
    references: tuple[str, ...] = ()
    last_read: datetime | None = None
    reads: Reads | None = None
    desired: DesiredSecret | None = None


def assess(old: str, new: str, target: Target) -> Renaming:
    """Return how far a rename has come; nothing is changed.

    Raises:
        Refusal: the secret cannot be renamed.
        stack_file.SettingsError: the stack file would have mistakes.
        QueryError: AWS could not be asked.
        OperationError: the engine failed, or the stack does not exist.
    """
    secrets, declared = target.stack.secrets, by_name(target.stack.file)
    found = Renaming(
        old=old,
        new=new,
        stage=Stage.FINISHED,
        file_stack=edited_stack(Path(target.engine.cli.folder), target.engine.name),
        entry={},
    )
    from_old = _renamed_from(secrets.get(new)) == old
    if new in declared and not from_old:
        if old not in declared and new in secrets and not _renamed_from(secrets[new]):
            return found
        raise Refusal(
            f"The stack file declares {new} already, and not with {RENAMED_FROM}: {old}. Choose another name."
        )
    _check_declared(old, declared, secrets)
    _check_place(old, new, target)
    # the names are checked before AWS is asked about them
    entry = {} if from_old else _entry(old, new, target)
    outputs = target.engine.outputs().get("renames") or {}
    both = pair.described(target.aws, old, new)
    pair.check_old(old, both.old, target.aws.region)
    if not from_old:
        pair.check_new_is_free(new, both.new)
        return replace(found, stage=Stage.TO_DECLARE, entry=entry)
    function = str((outputs.get(new) or {}).get("function") or "")
    if both.new is None or not function or (outputs.get(new) or {}).get("from") != old:
        return replace(found, stage=Stage.TO_UPDATE)
    return _with_both(replace(found, stage=Stage.BOTH), both, function, target)


def declare(made: Renaming, target: Target) -> None:
    """Add the new name to the stack file.

    Raises:
        SourceError: it cannot be written.
    """
    cli = target.engine.cli
    add_secrets(cli.folder, cli.project, made.file_stack, {made.new: made.entry})


def synchronized(made: Renaming, target: Target) -> Renaming:
    """Copy the value to the new name unless it has it; return the rename afterwards.

    Raises:
        Refusal: the value could not be copied, or somebody else changed the new name.
        QueryError: AWS could not be asked.
    """
    if made.sync is not Sync.BEHIND:
        return made
    pair.copy(target.aws, made.function)
    both = pair.described(target.aws, made.old, made.new)
    return replace(made, sync=pair.compare(target.aws, both))


def check_finish(made: Renaming, *, readers_have_moved: bool) -> None:
    """Check that the old name can go.

    Args:
        made: the rename, with equal values if that is possible.
        readers_have_moved: the operator knows that nobody reads the old name.

    Raises:
        Refusal: it cannot.
    """
    old, new = made.old, made.new
    if made.sync in (Sync.DIVERGED, Sync.BEHIND):
        raise Refusal(
            f"{old} and {new} have different values, and both were changed. Put the right value into {new}, "
            f"then into {old}, or roll {new} back to the copy: python -m operations rollback {new}"
            if made.sync is Sync.DIVERGED
            else f"{old} has changed again. Run this command again."
        )
    if made.references:
        raise Refusal(
            f"The stack file still reads {old}: {', '.join(made.references)}. Write {new} there and update, "
            "then run this command again."
        )
    if made.desired and made.desired.protect:
        raise Refusal(
            f"{old} is protected, so an update cannot delete it. Write protect: false in its entry and "
            "update, then run this command again."
        )
    if made.desired and made.desired.recovery_window_days == 0:
        raise Refusal(
            f"{old} would be deleted at once (recoveryWindowDays: 0), and could not be restored. Write "
            "7 to 30 in its entry and update, then run this command again."
        )
    reads = made.reads
    if reads and not readers_have_moved and (reads.readers or reads.problem):
        who = ", ".join(f"{arn} ({time:%Y-%m-%d %H:%M} UTC)" for arn, time in reads.readers.items())
        what = f"{old} was read in the last {readers.HOURS} hours by {who}" if who else reads.problem
        raise Refusal(
            f"{what}. Move the readers to {new}. If you know that nobody reads {old} any more: "
            "--readers-have-moved"
        )


def finish(made: Renaming, target: Target) -> None:
    """Remove the old name from the stack file, and `renamedFrom` from the new one's entry, at one stroke.

    Raises:
        stack_file.SettingsError: the stack file would have mistakes.
        SourceError: it cannot be written.
    """
    secrets = {name: dict(value) for name, value in target.stack.secrets.items() if name != made.old}
    secrets[made.new].pop(RENAMED_FROM, None)
    stack_file.check(target.stack.with_secrets(secrets))
    cli = target.engine.cli
    remove_old_entry(cli.folder, cli.project, made.file_stack, made.old, made.new)


def _with_both(found: Renaming, both: Pair, function: str, target: Target) -> Renaming:
    account = Account(target.caller.account_id, target.caller.partition, target.aws.region)
    desired = _desired(target)
    new = both.new or {}
    if new.get("DeletedDate"):
        raise Refusal(
            f"{found.new} is scheduled for deletion. Restore it: python -m operations restore {found.new}"
        )
    return replace(
        found,
        function=account.arn("lambda", f"function:{function}"),
        sync=pair.compare(target.aws, both),
        references=tuple(readers.references(desired, found.old)),
        last_read=both.old.get("LastAccessedDate"),
        reads=readers.recorded(target.aws, both.old, function, datetime.now(UTC)),
        desired=desired.secrets[found.old],
    )


def _check_declared(old: str, declared: Mapping[str, object], secrets: Mapping[str, Any]) -> None:
    if old not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise Refusal(f"The stack file declares no secret {old}. It declares: {known}.")
    if old not in secrets:
        raise Refusal(
            f"{old} is a database login. Two secrets with one password would each rotate it, and lock out "
            f"the readers of the other. Declare another login with its own username: {_GUIDE}#database-logins"
        )
    entry = secrets[old]
    for key in ("rotation", "partner"):
        if key in entry:
            raise Refusal(
                f"{old} has {key}, and each name would rotate on its own. "
                + (
                    "Remove rotation from its entry and update; declare it again once the rename is finished."
                    if key == "rotation"
                    else "Declare the vendor's credentials under the new name, and remove this entry later."
                )
            )


def _check_place(old: str, new: str, target: Target) -> None:
    # a group's file has all of its entries
    included = edited_configuration(Path(target.engine.cli.folder), target.stack.configuration).included
    for name in (old, new):
        if file := included.get(("secrets", name)):
            raise Refusal(
                f"{name} is declared in {file}, and this command edits the stack file alone. Move its entry "
                "there first; a preview shows no change."
            )


def _entry(old: str, new: str, target: Target) -> dict[str, Any]:
    """Return the entry of the new name: that of the old one, whose generations start again."""
    entry = copy.deepcopy(dict(target.stack.secrets[old]))
    for value in [*(entry.get("values") or {}).values(), entry.get("text"), entry.get("binary")]:
        if isinstance(value, dict):
            value.pop("generation", None)
    entry[RENAMED_FROM] = old
    stack_file.check(target.stack.with_secrets({**target.stack.secrets, new: entry}))
    return entry


def _renamed_from(entry: object) -> str | None:
    return entry.get(RENAMED_FROM) if isinstance(entry, Mapping) else None


def _desired(target: Target) -> Desired:
    configuration = target.stack.configuration
    return resolve(target.stack.file, configuration.project, configuration.stack, configuration.included)
