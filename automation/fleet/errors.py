"""What can go wrong with a fleet beyond what can with one stack."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from automation.errors import AutomationError

_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Move:
    """A secret that another stack has than its group's. `urn` is of what goes as a whole: its component."""

    secret: str
    urn: str
    source: str
    target: str


class SecretsElsewhere(AutomationError):
    """Secrets would go from one stack to another: deleted there and created here. Nothing was changed.

    Attributes:
        moves: all of them.
    """

    def __init__(self, fleet: str, moves: Sequence[Move]) -> None:
        self.moves = tuple(moves)
        entries = "".join(
            f"\n\n  {move.secret} is in {move.source}, and its group's stack is {move.target}"
            f"\n    pulumi state move --yes --source {move.source} --dest {move.target} '{move.urn}'"
            for move in self.moves[:_MOST_SHOWN]
        )
        more = len(self.moves) - _MOST_SHOWN
        super().__init__(
            f"{_counted(len(self.moves), 'secret')} of {fleet} would be deleted in one stack and created in "
            "another, with first values in the place of live ones; nothing was changed. Give them back to "
            "the groups they were in, or move them with their state, one after the other, then do the same "
            f"again (docs/fleet.md).{entries}{f'{chr(10) * 2}  ... and {more} more' if more > 0 else ''}"
        )


class StacksLeft(AutomationError):
    """Stacks of groups that are gone still have secrets. Nothing was changed.

    Attributes:
        stacks: stack to the number of its secrets.
    """

    def __init__(self, fleet: str, stacks: dict[str, int]) -> None:
        self.stacks = stacks
        entries = "".join(
            f"\n\n  {stack} has {_counted(number, 'secret')}"
            f"\n    pulumi destroy --stack {stack}, then pulumi stack rm {stack}"
            for stack, number in stacks.items()
        )
        super().__init__(
            f"No group of {fleet} has these stacks any more, and their secrets are still there; nothing was "
            f"changed. Delete them, or bring their groups back.{entries}"
        )


class NotOfTheFleet(AutomationError):
    """A stack file of a group's name was written by somebody else. Nothing was changed."""

    def __init__(self, fleet: str, files: Sequence[Path]) -> None:
        super().__init__(
            f"{', '.join(file.name for file in files)}: not made from the file of {fleet}, though of a name "
            "that one of its groups has; nothing was changed. Rename the group, or delete the file if "
            "nothing in it is needed."
        )


class FilesDiffer(AutomationError):
    """Stack files of groups are not what the fleet's file makes of them."""

    def __init__(self, fleet: str, files: Sequence[Path]) -> None:
        super().__init__(
            f"{', '.join(file.name for file in files)}: not what the file of {fleet} says now. Write and "
            f"commit them: python -m automation.fleet write --stack {fleet}"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
