"""The exit codes of every command: docs/exit-codes.md."""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """An exit code; its description is the line in `--help`."""

    description: str

    def __new__(cls, number: int, description: str) -> Self:
        """Create a member with its description."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.description = description
        return member

    DONE = 0, "success; nothing that was checked needs attention"
    FAILED = 1, "a resource, the program or the engine failed, or AWS could not be queried"
    USAGE = 2, "the command line is invalid, or --yes is missing when there is no terminal to ask on"
    BAD_SETTINGS = 3, "the configuration has mistakes, or a file cannot be read or written"
    STACK_NOT_FOUND = 4, "the stack does not exist"
    CONFLICT = 5, "the stack is locked by another update"
    WRONG_PASSPHRASE = 6, "the passphrase is missing or wrong"
    CREDENTIALS = 7, "credentials are missing, wrong or expired"
    BACKEND = 8, "the state backend is unreachable or cannot be used"
    ENGINE_KILLED = 9, "the engine was killed before it finished"
    EVENTS_TRUNCATED = 10, "success, but the event log is cut off"
    DANGEROUS = 11, "the preview has dangers, with --fail-on-danger"
    FLEET_NOT_READY = 12, "a secret would move to another stack, or a stack file differs from the fleet's"
    INCOMPLETE_REPORT = 13, "the report is incomplete: the preview failed, or its log is damaged or missing"
    NOT_REVIEWED = 14, "the update differs from the reviewed one, with --reviewed; nothing was done"
    LEFT_TO_DO = 15, "compromised, rotate: everything that was possible is done; a person must do the rest"
    STOPPED = (
        16,
        "rotate: a reader is not healthy; when going forward, the readers after it were not restarted",
    )
    AGING = 19, "status: a value is too old or soon will be, or soon expires"
    PLACEHOLDER = 20, "status: a placeholder is not filled in yet"
    DRIFT = 21, "status: AWS differs from the stack file"
    ROTATION = 22, "a rotation is overdue, pending or failing (status), or would fail (rehearse, status)"
    UNAVAILABLE = 23, "status: a secret cannot be read"
    EXPIRED = 24, "status: a value has expired"
    READERS = 25, "status, with --readers: a principal that the stack file does not declare reads a secret"
    CANCELLED = 130, "cancelled (Ctrl-C once: steps in progress finish; twice: at once)"


def epilogue(*codes: ExitCode) -> str:
    """Return the list of exit codes for a command's `--help`."""
    lines = [f"  {code:3}  {code.description}" for code in sorted(codes)]
    return "exit codes:\n" + "\n".join(lines) + "\n"
