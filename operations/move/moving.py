"""Plan the move of a secret, and carry it out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import stack_file
from operations.adopt import adoption, stack_state
from operations.adopt.adoption import change_state, exported, previewed
from operations.adopt.aws_objects import live_secrets
from operations.adopt.entries import Entry, Stack
from operations.adopt.stack_file_edit import remove_secrets
from operations.report.model import counted
from operations.restore.plan import Refusal, Target, entry_of

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A move that was not begun.

    Attributes:
        name, arn: the secret's.
        entry: of the target.
        in_source_state, in_source_file, in_target_state: where it is now.
    """

    name: str
    arn: str
    entry: Entry
    in_source_state: bool
    in_source_file: bool
    in_target_state: bool

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to move."""
        return (
            self.entry.written and self.in_target_state and not (self.in_source_state or self.in_source_file)
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a move.

    Attributes:
        changes: what the target's next update does with the secret, each a sentence.
        target_others, source_others: what the next update of each stack does besides, by operation.
    """

    changes: Sequence[str]
    target_others: Mapping[str, int]
    source_others: Mapping[str, int]


def plan(name: str, source: Target, target: Target) -> Plan:
    """Return what a move would do.

    Raises:
        Refusal: the secret cannot be moved.
        stack_file.SettingsError: one of the stack files would have mistakes.
        QueryError: AWS could not be asked.
        OperationError: the engine failed, or a stack does not exist.
    """
    declared = _declared(name, source, target)
    if file := source.stack.configuration.included.get(("secrets", name)):
        raise Refusal(
            f"{name} is declared in {file}, which other stacks may include. Move its entry to the stack file "
            f"of {source.engine.name} first; a preview shows no change."
        )
    if source.stack.region != target.stack.region:
        raise Refusal(
            f"Stack {source.engine.name} is in {source.stack.region}, and stack {target.engine.name} is in "
            f"{target.stack.region}. AWS cannot move a secret to another region; replicate it instead."
        )
    in_source, in_target = _arn(source, name), _arn(target, name)
    arn = in_source or in_target
    if arn is None:
        raise Refusal(
            f"No state has {name}: neither of stack {source.engine.name} nor of stack {target.engine.name}. "
            "Update the stack that declares it first; restore it if it was deleted (docs/rollback.md)."
        )
    if in_source and in_target and in_source != in_target:
        raise Refusal(
            f"Stack {target.engine.name} has another secret {name}: {in_target}. Rename one of them."
        )
    _check_source(name, source)
    live = live_secrets(target.aws, target.caller, [arn], read_keys=False)[arn]
    made = entry_of(live, _with_secret(name, declared, target))
    return Plan(
        name=name,
        arn=arn,
        entry=replace(made, written=name in target.stack.secrets),
        in_source_state=in_source is not None,
        in_source_file=name in source.stack.secrets,
        in_target_state=in_target is not None,
    )


def move(made: Plan, source: Target, target: Target, tell: Tell) -> Outcome:
    """Carry out a plan; see the package's documentation for the order and why.

    Raises:
        Refusal: the target could not take the secret; both stacks are as they were.
        SourceError: a stack file cannot be written.
        OperationError: the engine failed.
    """
    adopted = adoption.carry_out(
        adoption.Plan(entries=[made.entry], left_out={}), target.engine, target.aws, tell
    )
    if adopted.left_out:
        raise Refusal(
            f"{made.name} cannot be moved to stack {target.engine.name}: "
            f"{adopted.left_out.get(made.name, '')}. Both stacks are as they were."
        )
    engine = source.engine
    state = exported(engine.cli, engine.name)
    urns = stack_state.resources_of(state, made.name)
    if urns:
        change_state(engine, lambda current: stack_state.without_resources(current, urns))
        tell(f"{counted(len(urns), 'resource')} removed from the state of stack {engine.name}")
    if made.in_source_file:
        entry = {made.name: source.stack.secrets[made.name]}
        remove_secrets(engine.cli.folder, engine.cli.project, engine.name, entry)
        tell(f"Entry removed from the stack file of {engine.name}")
    others: dict[str, int] = {}
    for step in previewed(engine):
        if step.operation != "same":
            others[step.operation] = others.get(step.operation, 0) + 1
    return Outcome(changes=adopted.changes, target_others=adopted.others, source_others=others)


def _declared(name: str, source: Target, target: Target) -> Mapping[str, Any]:
    for each in (target, source):  # the target has it after an interruption
        if name in each.stack.secrets:
            found: Mapping[str, Any] = each.stack.secrets[name]
            break
    else:
        known = ", ".join(sorted(source.stack.secrets)) or "none"
        raise Refusal(
            f"Stack {source.engine.name} declares no secret {name}. It declares: {known}. A database login "
            "moves with its database only: docs/fleet.md"
        )
    mode = found.get("initialValues") or source.stack.file.initial_values
    if mode != "once" and any("config" in value for value in (found.get("values") or {}).values()):
        raise Refusal(
            f"{name} has values from Pulumi's configuration, and its mode is {mode}: the function that "
            "writes values would write them again. Move it with `pulumi state move`: docs/fleet.md"
        )
    return found


def _arn(stack: Target, name: str) -> str | None:
    found = stack_state.arns(exported(stack.engine.cli, stack.engine.name))
    return next((arn for urn, arn in found.items() if urn.endswith(f"Secret::{name}-secret")), None)


def _check_source(name: str, source: Target) -> None:
    others = {key: value for key, value in source.stack.secrets.items() if key != name}
    try:
        stack_file.check(source.stack.with_secrets(others))
    except stack_file.SettingsError as error:
        stack = source.engine.name
        heading = f"Without {name}, the configuration of stack {stack} would be wrong; nothing was changed."
        raise stack_file.SettingsError(stack, error.mistakes, heading) from None


def _with_secret(name: str, declared: Mapping[str, Any], target: Target) -> Stack:
    secrets = {**target.stack.secrets}
    secrets.setdefault(name, dict(declared))
    configuration = target.stack.with_secrets(secrets)
    checked = stack_file.check(configuration)
    return replace(target.stack, configuration=configuration, file=checked.stack_file)
