"""Share between the commands about one secret: their options, the stack, the question, and errors."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import stack_file
from components.visible import visible, visible_lines
from operations import errors
from operations.adopt.entries import Stack
from operations.adopt.model import SourceError
from operations.console import print_error, print_json
from operations.exit_codes import ExitCode
from operations.restore.plan import Refusal, Target
from operations.stack_cli import CODES as STACK_CODES
from operations.status.aws import connect
from operations.status.errors import CredentialsError, QueryError
from operations.status.query import check_account
from operations.workspace import Workspace
from stack_file import files
from stack_file.documents import FileError, NoStackFileError

CODES = STACK_CODES - {ExitCode.DANGEROUS, ExitCode.NOT_REVIEWED}
_ERRORS = (Refusal, SourceError, FileError, stack_file.SettingsError, QueryError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command about one secret."""
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--cwd", "-C", default=".", metavar="FOLDER", help="folder of the project")
    parser.add_argument("--backend", help="URL of the state's backend; by default PULUMI_BACKEND_URL")


def guarded(command: Callable[[], int], *, as_json: bool) -> int:
    """Run a command; return its exit code, and show an error instead of raising it."""
    try:
        return command()
    except errors.OperationError as error:
        print_error(error, for_programs=as_json)
        return error.exit_code
    except _ERRORS as error:
        message = visible_lines(str(error).rstrip())
        if as_json:
            print_json({"error": {"type": type(error).__name__, "message": message}, "done": None})
        else:
            sys.stderr.write(f"error: {message}\n")
        return _code_of(error)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run the same command again: it goes on from here.\n")
        return ExitCode.CANCELLED


def target_of(folder: Path, name: str, workspace: Workspace) -> Target:
    """Return a stack with its file, and AWS with credentials that the file allows.

    Raises:
        stack_file.documents.FileError: its file cannot be read.
        stack_file.SettingsError: its file has mistakes.
        QueryError: AWS could not be asked, or the credentials are of another account.
    """
    configuration = files.read(folder, name)
    checked = stack_file.check(configuration)
    aws = connect(checked.region)
    caller = aws.caller()
    check_account(configuration, caller)
    return Target(
        stack=Stack(
            configuration=configuration,
            file=checked.stack_file,
            mode=None,
            account_id=caller.account_id,
            region=checked.region,
        ),
        engine=workspace.stack(name),
        aws=aws,
        caller=caller,
    )


def confirmed(question: str, options: argparse.Namespace) -> ExitCode:
    """Return DONE if the answer is yes or --yes was given."""
    if options.yes:
        return ExitCode.DONE
    if options.json or not sys.stdin.isatty():
        sys.stderr.write(f"error: {visible(question)} Confirm with --yes.\n")
        return ExitCode.USAGE
    sys.stdout.write(f"{visible(question)} [y/N] ")
    sys.stdout.flush()
    is_confirmed = sys.stdin.readline().strip().lower() in {"y", "yes"}
    return ExitCode.DONE if is_confirmed else ExitCode.CANCELLED


def tell(words: str) -> None:
    """Print a line of progress."""
    sys.stdout.write(f"{visible_lines(words)}\n")
    sys.stdout.flush()


def silent(_words: str) -> None:
    """Print nothing: one JSON document follows."""


def _code_of(error: Exception) -> ExitCode:
    if isinstance(error, NoStackFileError):
        return ExitCode.STACK_NOT_FOUND
    if isinstance(error, CredentialsError):
        return ExitCode.CREDENTIALS
    return ExitCode.FAILED if isinstance(error, Refusal | QueryError) else ExitCode.BAD_SETTINGS
