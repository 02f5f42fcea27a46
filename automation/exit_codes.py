"""The exit codes of every command, one meaning each: docs/exit-codes.md."""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What a command ends with; a command uses those that it can meet."""

    description: str

    def __new__(cls, number: int, description: str) -> Self:
        """Make a member that is its number and keeps its description."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.description = description
        return member

    DONE = 0, "done; nothing that was asked about needs attention"
    FAILED = 1, "a resource, the program or the engine failed, or AWS could not be asked"
    USAGE = 2, "the command line is wrong, or --yes is missing where nobody can be asked"
    BAD_SETTINGS = 3, "the configuration has mistakes, or a file cannot be read or written"
    STACK_NOT_FOUND = 4, "the stack does not exist"
    CONFLICT = 5, "the stack is locked by another update"
    WRONG_PASSPHRASE = 6, "the passphrase is missing or wrong"
    CREDENTIALS = 7, "credentials are missing, wrong or expired"
    BACKEND = 8, "the backend of the state is unreachable or cannot be used"
    ENGINE_KILLED = 9, "the engine was killed before it ended"
    EVENTS_TRUNCATED = 10, "done, but the event log is cut off"
    DANGEROUS = 11, "the preview has dangers, with --fail-on-danger"
    FLEET_NOT_READY = 12, "a secret would move to another stack, or a stack file differs from the fleet's"
    INCOMPLETE_REPORT = 13, "the report is incomplete: the preview failed, or its log is damaged or missing"
    NOT_REVIEWED = 14, "the update is not the one that was reviewed, with --reviewed; nothing was done"
    PLACEHOLDER = 20, "status: a placeholder is not filled in yet"
    DRIFT = 21, "status: AWS differs from the stack file"
    ROTATION = 22, "status: a rotation is overdue, pending or failing"
    UNAVAILABLE = 23, "status: a secret cannot be read"
    CANCELLED = 130, "cancelled (Ctrl-C once: operations in progress finish; twice: at once)"


def epilogue(*codes: ExitCode) -> str:
    """Return the part of a command's `--help` that lists its exit codes."""
    lines = [f"  {code:3}  {code.description}" for code in sorted(codes)]
    return "exit codes:\n" + "\n".join(lines) + "\n"
