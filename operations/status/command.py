"""Show the status of a stack's secrets: the stack file compared with AWS. No value is read."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter
from rich.console import Console

from components.visible import visible, visible_lines
from operations.exit_codes import ExitCode, epilogue
from operations.status import page, terminal, texts
from operations.status.actual_readers import DAYS, ReaderQuery
from operations.status.errors import CredentialsError, QueryError
from operations.status.event_history import MOST_DAYS
from operations.status.model import Kind, Status
from operations.status.query import status
from operations.status.trail_files import Trail
from stack_file import SettingsError
from stack_file.documents import FileError, NoStackFileError

# worst first
CODES: dict[Kind, ExitCode] = {
    "expired": ExitCode.EXPIRED,
    "unavailable": ExitCode.UNAVAILABLE,
    "rotation": ExitCode.ROTATION,
    "rehearsal": ExitCode.ROTATION,
    "readers": ExitCode.READERS,
    "drift": ExitCode.DRIFT,
    "waiting": ExitCode.PLACEHOLDER,
    "aging": ExitCode.AGING,
    "unknown": ExitCode.FAILED,
}
ALL_CODES = frozenset(
    {
        *CODES.values(),
        *(ExitCode.DONE, ExitCode.USAGE, ExitCode.BAD_SETTINGS, ExitCode.STACK_NOT_FOUND),
        *(ExitCode.CREDENTIALS, ExitCode.CANCELLED),
    }
)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    if not options.stack:
        return _fail("no stack given: use --stack NAME or set PULUMI_STACK.", ExitCode.USAGE)
    try:
        found = status(
            options.stack,
            outputs=_outputs(options.outputs),
            policies=not options.no_policies,
            readers=_reader_query(options),
            old_passwords=options.old_passwords,
        )
        if options.readers and sys.stderr.isatty():
            _tell("")
        _show(found, options)
    except (FileError, SettingsError, QueryError) as error:
        return _fail(str(error), _code_of(error))
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror}.", ExitCode.BAD_SETTINGS)
    return exit_code(found, options.fail_on)


def _code_of(error: FileError | SettingsError | QueryError) -> ExitCode:
    match error:
        case NoStackFileError():
            return ExitCode.STACK_NOT_FOUND
        case CredentialsError():
            return ExitCode.CREDENTIALS
        case QueryError():
            return ExitCode.FAILED
        case _:
            return ExitCode.BAD_SETTINGS


def exit_code(found: Status, fail_on: frozenset[Kind]) -> int:
    """Return the code of the worst kind of problem among those given."""
    kinds = {problem.kind for problem in found.problems} & fail_on
    return next((code for kind, code in CODES.items() if kind in kinds), ExitCode.DONE)


def as_json(found: Status) -> str:
    """Return the JSON output."""
    document = json.dumps(TypeAdapter(Status).dump_python(found, mode="json", by_alias=True), indent=2)
    # keeps GitHub from reading a workflow command; the characters occur in JSON strings only
    return document.replace("##", "#\\u0023")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations status",
        description=__doc__,
        epilog=epilogue(*ALL_CODES) + "\nWith problems of several kinds, the worst one in --fail-on decides. "
        "See docs/status.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stack", default=os.environ.get("PULUMI_STACK"), help="stack name (default: PULUMI_STACK)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON (docs/status.schema.json)")
    form.add_argument("--html", metavar="FILE", type=Path, help="write a self-contained HTML page")
    parser.add_argument(
        "--metrics",
        metavar="FILE",
        type=Path,
        help="also write OpenMetrics text, for the textfile collector of node_exporter for example",
    )
    parser.add_argument(
        "--fail-on",
        metavar="KINDS",
        type=_kinds,
        default=frozenset(CODES),
        help=f"problems that make the exit code nonzero: all (default), none, or a comma-separated list of "
        f"{', '.join(CODES)}",
    )
    parser.add_argument(
        "--outputs",
        metavar="FILE",
        help="output of `pulumi stack output --json`, for the names of roles; - reads standard input",
    )
    parser.add_argument(
        "--no-policies", action="store_true", help="skip resource policies, which AWS returns slowly"
    )
    parser.add_argument(
        "--old-passwords",
        action="store_true",
        help="have the rotation functions look for ten seconds who uses a password that the next rotation "
        "ends, for logins with whileOldPasswordIsUsed",
    )
    readers = parser.add_argument_group(
        "readers", "Who really reads the secrets, as CloudTrail recorded it: slow, so only on request."
    )
    readers.add_argument(
        "--readers",
        nargs="?",
        type=int,
        const=DAYS,
        metavar="DAYS",
        help=f"compare who read the secrets in the last DAYS ({DAYS}, at most {MOST_DAYS} without --trail) "
        "with the stack file",
    )
    readers.add_argument(
        "--trail",
        type=_trail,
        metavar="s3://BUCKET/PREFIX",
        help="read the log files of a trail, instead of CloudTrail's event history",
    )
    readers.add_argument(
        "--readers-state",
        type=Path,
        metavar="FILE",
        help="keep what was read of the event history, and go on there the next time",
    )
    readers.add_argument(
        "--deployer",
        action="append",
        default=[],
        metavar="ARN",
        help="a role or user that updates the stack, and so reads its secrets (besides updateRole)",
    )
    return parser


def _reader_query(options: argparse.Namespace) -> ReaderQuery | None:
    if options.readers is None:
        if options.trail or options.readers_state or options.deployer:
            _parser().error("--trail, --readers-state and --deployer need --readers")
        return None
    if options.readers < 1 or (options.readers > MOST_DAYS and not options.trail):
        _parser().error(f"--readers: from 1 to {MOST_DAYS} days; a trail's files go back further (--trail)")
    if options.trail and options.readers_state:
        _parser().error("--readers-state is for the event history, not for --trail")
    return ReaderQuery(
        days=options.readers,
        trail=options.trail,
        state=options.readers_state,
        deployers=tuple(options.deployer),
        progress=_tell if sys.stderr.isatty() else None,
    )


def _tell(line: str) -> None:
    """Show the progress in one line of the terminal."""
    sys.stderr.write(f"\r\x1b[K{visible(line)}")
    sys.stderr.flush()


def _trail(url: str) -> Trail:
    try:
        return Trail.of(url)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{url}" is not s3://BUCKET or s3://BUCKET/PREFIX') from None


def _kinds(text: str) -> frozenset[Kind]:
    if text in {"all", "none"}:
        return frozenset(CODES if text == "all" else ())
    kinds = text.split(",")
    unknown = [word for word in kinds if word not in get_args(Kind)]
    if unknown:
        raise argparse.ArgumentTypeError(
            f'unknown kind "{unknown[0]}": use all, none, or a list of {", ".join(CODES)}'
        )
    return frozenset(kind for kind in CODES if kind in kinds)


def _outputs(file: str | None) -> Mapping[str, Any] | None:
    if file is None:
        return None
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    try:
        outputs = json.loads(text)
    except json.JSONDecodeError:
        outputs = None
    if not isinstance(outputs, dict):
        raise FileError(f"--outputs {file}: not the output of `pulumi stack output --json`.")
    return outputs


def _show(found: Status, options: argparse.Namespace) -> None:
    if options.metrics:
        from operations.status.metrics import metrics  # noqa: PLC0415 - only this option needs the library

        _write(options.metrics, metrics(found))
    if options.json:
        sys.stdout.write(as_json(found) + "\n")
    elif options.html:
        _write(options.html, page.render_page(found))
        sys.stdout.write(texts.clean(f"{options.html}: {texts.headline(found)}") + "\n")
    elif sys.stdout.isatty():
        terminal.show(found, Console())
    else:
        sys.stdout.writelines(f"{line}\n" for line in texts.lines(found))
    sys.stdout.flush()


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing: a web server may be serving it."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"error: {visible_lines(message.rstrip())}\n")
    return code
