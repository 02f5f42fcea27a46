"""Errors of a fleet, in addition to those of a single stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.errors import OperationError
from operations.exit_codes import ExitCode

_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Move:
    """A secret that is in another stack than its group's.

    Attributes:
        secret: name in AWS.
        urn: the component to move, with everything below it.
        source: the stack that has the secret.
        target: the stack of its group.
    """

    secret: str
    urn: str
    source: str
    target: str


class SecretsWouldMoveError(OperationError):
    """Secrets would be deleted in one stack and created in another; nothing was changed.

    Attributes:
        moves: all of them.
    """

    json_type = "SecretsElsewhere"
    exit_code = ExitCode.FLEET_NOT_READY

    def __init__(self, fleet: str, moves: Sequence[Move]) -> None:
        self.moves = tuple(moves)
        entries = "".join(
            f"\n\n  {move.secret} is in {move.source}, but its group's stack is {move.target}"
            f"\n    pulumi state move --yes --source {move.source} --dest {move.target} '{move.urn}'"
            for move in self.moves[:_MOST_SHOWN]
        )
        more = len(self.moves) - _MOST_SHOWN
        super().__init__(
            f"{_counted(len(self.moves), 'secret')} of {fleet} would be deleted in one stack and created in "
            "another, replacing live values with initial ones; nothing was changed. Return each to its "
            "previous group, or move its state with the command below, then run this command again "
            f"(docs/fleet.md).{entries}{f'{chr(10) * 2}  ... and {more} more' if more > 0 else ''}"
        )


class OrphanedStacksError(OperationError):
    """Stacks whose group was removed still have secrets; nothing was changed.

    Attributes:
        stacks: the number of secrets by stack.
    """

    json_type = "StacksLeft"
    exit_code = ExitCode.FLEET_NOT_READY

    def __init__(self, fleet: str, stacks: Mapping[str, int]) -> None:
        self.stacks = stacks
        entries = "".join(
            f"\n\n  {stack} has {_counted(number, 'secret')}"
            f"\n    pulumi destroy --stack {stack}, then pulumi stack rm {stack}"
            for stack, number in stacks.items()
        )
        super().__init__(
            f"These stacks belong to no group of {fleet} but still have secrets; nothing was changed. "
            f"Destroy the stacks, or restore their groups.{entries}"
        )


class ForeignStackFileError(OperationError):
    """A group's stack file exists but was not generated from the fleet's file; nothing was changed."""

    json_type = "NotOfTheFleet"
    exit_code = ExitCode.FLEET_NOT_READY

    def __init__(self, fleet: str, files: Sequence[Path]) -> None:
        super().__init__(
            f"{', '.join(file.name for file in files)}: not generated from the stack file of {fleet}, but "
            "it has the name of one of its groups; nothing was changed. Rename the group, or delete the file "
            "if you do not need it."
        )


class OutdatedStackFilesError(OperationError):
    """Stack files of groups differ from what the fleet's file generates."""

    json_type = "FilesDiffer"
    exit_code = ExitCode.FLEET_NOT_READY

    def __init__(self, fleet: str, files: Sequence[Path]) -> None:
        super().__init__(
            f"{', '.join(file.name for file in files)}: out of date with the stack file of {fleet}. Write "
            f"and commit them: python -m operations fleet write --stack {fleet}"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
