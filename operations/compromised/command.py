"""Answer a leak: renew now what leaked, end its sessions, restart its readers, and report the rest."""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from components.visible import visible
from operations.arguments import add_stack_argument, lacks_stack, moment, seconds
from operations.compromised.answer import Answer
from operations.compromised.model import Leak, Plan, Report, SecretOutcome
from operations.compromised.plan import chosen, plan
from operations.compromised.report import continuation, document, lines, markdown, plan_lines
from operations.console import print_json
from operations.exit_codes import ExitCode, epilogue
from operations.files import replace_text
from operations.renewal.functions import deployment_of
from operations.report.model import counted
from operations.restore.one_secret import (
    CODES as ONE_SECRET,
)
from operations.restore.one_secret import (
    add_arguments,
    confirmed,
    guarded,
    silent,
    target_of,
    tell,
)
from operations.restore.plan import Refusal
from operations.workspace import checkout
from program.desired import resolve

CODES = ONE_SECRET | {ExitCode.LEFT_TO_DO}

_TIMEOUT = 300


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, as `--help` lists them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if lacks_stack(options):
        return ExitCode.USAGE
    if sum((options.secret is not None, options.workload is not None, options.all)) != 1:
        parser.error("name one secret, or --workload NAME, or --all")
    if options.key is not None and options.secret is None:
        parser.error("--key needs the name of its secret")
    return guarded(lambda: _run(options, arguments), as_json=options.json)


def _run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    folder, started = Path(options.cwd), datetime.now(UTC)
    if options.since and options.since > started:
        raise Refusal("--since is in the future. Write the time at which the first run began.")
    if options.report:
        _check_writable(options.report)
    workspace = checkout(folder, backend=options.backend)
    target = target_of(folder, options.stack, workspace)
    configuration = target.stack.configuration
    desired = resolve(target.stack.file, configuration.project, configuration.stack, configuration.included)
    leak = Leak(secret=options.secret, key=options.key, workload=options.workload)
    made = plan(desired, leak, deployment_of(desired, target, chosen(desired, leak)))
    report = Report(
        stack=options.stack,
        account=target.caller.account_id,
        region=target.aws.region,
        since=options.since or started,
        started=started,
        dry_run=options.dry_run,
        secrets={one.name: SecretOutcome(name=one.name) for one in made.secrets},
    )
    answer = Answer(
        target=target,
        plan=made,
        report=report,
        folder=folder,
        timeout=options.timeout,
        update=options.update,
        tell=silent if options.json else _one_at_a_time(tell),
    )
    answer.look()
    if options.dry_run:
        answer.preview()
        _show(options, made, report, plan_lines(made, report))
        return ExitCode.DONE
    if not options.json:
        _print(plan_lines(made, report))
    code = confirmed(f"{_question(made, options.stack)} Renew now?", options)
    if code != ExitCode.DONE:
        return code
    try:
        is_written = _carry_out(answer, options, arguments)
        _show(options, made, report, lines(report))
    except KeyboardInterrupt:
        sys.stderr.write(f"Interrupted. Go on with: {visible(_again(report, arguments))}\n")
        return ExitCode.CANCELLED
    if report.has_failures:
        return ExitCode.FAILED
    if not is_written:
        return ExitCode.BAD_SETTINGS
    return ExitCode.LEFT_TO_DO if report.is_left else ExitCode.DONE


def _carry_out(answer: Answer, options: argparse.Namespace, arguments: Sequence[str]) -> bool:
    """Carry out the answer, and write its report; return whether the file could be written."""
    if not options.json:
        again = visible(_again(answer.report, arguments))
        sys.stderr.write(f"If this is interrupted, go on with: {again}\n")
    is_written = True
    try:
        answer.carry_out()
    finally:
        answer.report.ended = datetime.now(UTC)
        if options.report:
            try:
                replace_text(options.report, markdown(answer.report))
            except OSError as error:  # the terminal still gets the report
                sys.stderr.write(f"error: {visible(str(options.report))}: {error.strerror}\n")
                is_written = False
    return is_written


def _again(report: Report, arguments: Sequence[str]) -> str:
    words = _without_since(arguments)
    if not any(word.partition("=")[0] == "--stack" for word in words):
        words += ["--stack", report.stack]  # PULUMI_STACK of another shell may be another stack
    return continuation(words, report.since)


def _question(made: Plan, stack: str) -> str:
    renewed = [one.name for one in made.secrets if one.is_renewed]
    shown = ", ".join(renewed[:5]) + (f" and {len(renewed) - 5} more" if len(renewed) > 5 else "")  # noqa: PLR2004  as above
    are = "is" if len(renewed) == 1 else "are"
    return (
        f"{counted(len(renewed), 'secret')} of stack {stack} {are} renewed ({shown or 'none'}), the sessions "
        "of their logins end, and their readers are deployed again."
    )


def _show(options: argparse.Namespace, made: Plan, report: Report, text: Iterable[str]) -> None:
    if options.json:
        print_json(document(made, report))
    else:
        _print(text)


def _print(text: Iterable[str]) -> None:
    sys.stdout.writelines(f"{visible(line)}\n" for line in text)
    sys.stdout.flush()


def _one_at_a_time(show: Callable[[str], None]) -> Callable[[str], None]:
    lock = threading.Lock()

    def locked(words: str) -> None:
        with lock:
            show(words)

    return locked


def _without_since(arguments: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--since":
            skip = True
        elif not argument.startswith("--since="):
            kept.append(argument)
    return kept


def _check_writable(file: Path) -> None:
    if not file.resolve().parent.is_dir():
        raise Refusal(f"The folder of {file} does not exist, so the report could not be written.")
    if file.is_dir() or not os.access(file.resolve().parent, os.W_OK):
        raise Refusal(
            f"{file} is a folder, or is in one that is read-only. Name another file for the report."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations compromised",
        description=__doc__,
        epilog=epilogue(*CODES) + "\nMore: docs/leak.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("secret", metavar="SECRET", nargs="?", help="name of a secret in the stack file")
    parser.add_argument("--key", metavar="KEY", help="only this key leaked; by default all keys")
    parser.add_argument("--workload", metavar="NAME", help="all secrets that a workload reads leaked")
    parser.add_argument("--all", action="store_true", help="all secrets of the stack leaked")
    add_stack_argument(parser)
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment,
        help="go on with an incident: what was renewed for it is not renewed again (default: a new incident)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=_TIMEOUT,
        help=f"how long to wait for each rotation and each deployment (default: {_TIMEOUT})",
    )
    parser.add_argument(
        "--update",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="update the stack to regenerate keys, if the update does nothing else",
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write the report as Markdown")
    add_arguments(parser)
    return parser
