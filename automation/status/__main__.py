"""The status of a stack's secrets, from its file and from AWS; reads no value."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter
from rich.console import Console

from automation.exit_codes import ExitCode, epilogue
from automation.status import page, terminal, texts
from automation.status.asked import status
from automation.status.errors import CannotAskError, CredentialsError
from automation.status.model import Kind, Status
from components.visible import visible_lines
from settings import SettingsError
from settings.documents import FileError, NoStackFileError

# the worst first
CODES: dict[Kind, ExitCode] = {
    "unavailable": ExitCode.UNAVAILABLE,
    "rotation": ExitCode.ROTATION,
    "drift": ExitCode.DRIFT,
    "waiting": ExitCode.PLACEHOLDER,
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
    """Exit code."""
    asked = _parser().parse_args(arguments)
    if not asked.stack:
        return _refuse("Which stack? Write --stack NAME.", ExitCode.USAGE)
    try:
        found = status(asked.stack, outputs=_outputs(asked.outputs), policies=not asked.no_policies)
        _show(found, asked)
    except (FileError, SettingsError, CannotAskError) as error:
        return _refuse(str(error), _code_of(error))
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _refuse(f"{error.filename or 'the output'}: {error.strerror}.", ExitCode.BAD_SETTINGS)
    except KeyboardInterrupt:
        return ExitCode.CANCELLED
    return exit_code(found, asked.fail_on)


def _code_of(error: FileError | SettingsError | CannotAskError) -> ExitCode:
    match error:
        case NoStackFileError():
            return ExitCode.STACK_NOT_FOUND
        case CredentialsError():
            return ExitCode.CREDENTIALS
        case CannotAskError():
            return ExitCode.FAILED
        case _:
            return ExitCode.BAD_SETTINGS


def exit_code(found: Status, fail_on: frozenset[Kind]) -> int:
    """That of the worst kind of problem that counts."""
    kinds = {problem.kind for problem in found.problems} & fail_on
    return next((code for kind, code in CODES.items() if kind in kinds), ExitCode.DONE)


def as_json(found: Status) -> str:
    """The JSON output."""
    document = json.dumps(TypeAdapter(Status).dump_python(found, mode="json", by_alias=True), indent=2)
    return document.replace("##", "#\\u0023")  # no workflow command; only within texts of JSON


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m automation.status",
        description=__doc__,
        epilog=epilogue(*ALL_CODES) + "\nOf several problems that --fail-on names, the worst decides. "
        "More: docs/status.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", default=os.environ.get("PULUMI_STACK"), help="name of the stack")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON (docs/status.schema.json)")
    form.add_argument("--html", metavar="FILE", type=Path, help="write one HTML page that needs nothing else")
    parser.add_argument(
        "--fail-on",
        metavar="KINDS",
        type=_kinds,
        default=frozenset(CODES),
        help=f"what makes the exit code other than 0: all, none, or some of {', '.join(CODES)}, with commas",
    )
    parser.add_argument(
        "--outputs",
        metavar="FILE",
        help="what `pulumi stack output --json` prints, for the names of roles; - reads it from the input",
    )
    parser.add_argument("--no-policies", action="store_true", help="leave resource policies out: AWS is slow")
    return parser


def _kinds(text: str) -> frozenset[Kind]:
    if text in {"all", "none"}:
        return frozenset(CODES if text == "all" else ())
    wanted = text.split(",")
    unknown = [word for word in wanted if word not in get_args(Kind)]
    if unknown:
        raise argparse.ArgumentTypeError(
            f'there is no kind "{unknown[0]}"; write all, none, or some of {", ".join(CODES)}'
        )
    return frozenset(kind for kind in CODES if kind in wanted)


def _outputs(file: str | None) -> Mapping[str, Any] | None:
    if file is None:
        return None
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise FileError(f"--outputs {file}: this is not what `pulumi stack output --json` prints.")
    return found


def _show(found: Status, asked: argparse.Namespace) -> None:
    if asked.json:
        sys.stdout.write(as_json(found) + "\n")
    elif asked.html:
        _write(asked.html, page.page(found))
        sys.stdout.write(texts.clean(f"{asked.html}: {texts.headline(found)}") + "\n")
    elif sys.stdout.isatty():
        terminal.show(found, Console())
    else:
        sys.stdout.writelines(f"{line}\n" for line in texts.lines(found))
    sys.stdout.flush()


def _write(path: Path, text: str) -> None:
    """Whole or not at all: somebody may be serving the page."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"error: {visible_lines(message.rstrip())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
