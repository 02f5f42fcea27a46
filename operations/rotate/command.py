"""Rotate secrets, then restart their readers in the declared order, with health checks between."""

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from components.visible import visible
from operations.arguments import add_stack_argument, lacks_stack, moment, seconds
from operations.console import print_json
from operations.exit_codes import ExitCode, epilogue
from operations.renewal.functions import deployment_of
from operations.restore.one_secret import CODES as ONE_SECRET
from operations.restore.one_secret import add_arguments, confirmed, guarded, silent, target_of, tell
from operations.restore.plan import Refusal
from operations.rotate.model import Plan, Report
from operations.rotate.plan import chosen, plan
from operations.rotate.report import document, exact, lines, plan_lines, way_back
from operations.rotate.rollout import Rollout
from operations.workspace import checkout
from program.desired import resolve

CODES = ONE_SECRET | {ExitCode.LEFT_TO_DO, ExitCode.STOPPED}

_TIMEOUT = 300


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, as `--help` lists them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if lacks_stack(options):
        return ExitCode.USAGE
    if not options.secrets and options.workload is None:
        parser.error("name secrets, or --workload NAME")
    if options.back and options.since is None:
        parser.error("--back needs --since TIME, which the run has printed")
    if options.back and options.restart_only:
        parser.error("use one of --back and --restart-only")
    if options.restarted and not (options.restart or options.restart_only):
        parser.error("--restarted needs --restart")
    return guarded(lambda: _run(options), as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    folder, started = Path(options.cwd), datetime.now(UTC)
    if options.since and options.since > started:
        raise Refusal("--since is in the future. Write the time that the first run has printed.")
    workspace = checkout(folder, backend=options.backend)
    target = target_of(folder, options.stack, workspace)
    configuration = target.stack.configuration
    desired = resolve(target.stack.file, configuration.project, configuration.stack, configuration.included)
    names, notes = chosen(desired, options.secrets, options.workload)
    made = plan(desired, names, notes, deployment_of(desired, target, names))
    report = Report(
        stack=options.stack,
        account=target.caller.account_id,
        region=target.aws.region,
        since=options.since or started,
        started=started,
        dry_run=options.dry_run,
        back=options.back,
        notes=made.notes,
    )
    rollout = Rollout(
        target=target,
        plan=made,
        report=report,
        timeout=options.timeout,
        rotates=not options.restart_only,
        restarts=options.restart or options.restart_only,
        restarted=_by_hand(options, made),
        tell=silent if options.json else tell,
    )
    rollout.look()
    if options.dry_run:
        _show(options, report, plan_lines(made, report))
        return ExitCode.DONE
    if not options.json:
        _print(plan_lines(made, report))
    code = confirmed(_question(options, made), options)
    if code != ExitCode.DONE:
        return code
    report.go_on = _command(options, report)
    try:
        return _carry_out(options, made, rollout)
    except KeyboardInterrupt:
        sys.stderr.write(f"Interrupted. Go on with: {visible(report.go_on)}\n")
        if not options.back:
            sys.stderr.write(f"Go back with: {visible(_command(options, report, back=True))}\n")
        return ExitCode.CANCELLED


def _carry_out(options: argparse.Namespace, made: Plan, rollout: Rollout) -> int:
    report = rollout.report
    if not options.json:
        sys.stderr.write(f"If this is interrupted, go on with: {visible(report.go_on)}\n")
    if options.back:
        rollout.go_back()
    else:
        rollout.carry_out()
    report.ended = datetime.now(UTC)
    if not options.back and not options.restart_only:
        report.way_back = tuple(way_back(made, report, _command(options, report, back=True)))
    _show(options, report, lines(report))
    if report.has_failures:
        return ExitCode.STOPPED if _is_unhealthy(report) else ExitCode.FAILED
    if report.readers and not (options.back or options.restart or options.restart_only or options.json):
        _print([f"Restart the readers: {report.go_on} --restart"])
    is_left = report.is_left and (options.restart or options.restart_only)
    return ExitCode.LEFT_TO_DO if is_left else ExitCode.DONE


def _is_unhealthy(report: Report) -> bool:
    return any(one.state == "failed" for one in report.readers.values())


def _by_hand(options: argparse.Namespace, made: Plan) -> frozenset[str]:
    """Return the readers that a person has restarted.

    Raises:
        Refusal: one of them is not a reader, or the command restarts it itself.
    """
    readers = {one.workload.name: one.workload.declared for one in made.readers}
    for name in options.restarted:
        if name not in readers:
            known = ", ".join(readers) or "none"
            raise Refusal(
                f"--restarted {name}: no such workload reads these secrets. Their readers: {known}."
            )
        ecs = readers[name].ecs
        if ecs and ecs.redeploy:
            raise Refusal(f"--restarted {name}: this command restarts it itself. Leave it out.")
    return frozenset(options.restarted)


def _question(options: argparse.Namespace, made: Plan) -> str:
    names = ", ".join(one.name for one in made.secrets)
    readers = ", ".join(one.workload.name for one in made.readers) or "none"
    if options.back:
        again = (
            f", and those of {readers} that have read the new values are restarted" if options.restart else ""
        )
        return (
            f"The earlier values of {names} are made current again in stack {options.stack}{again}. Go back?"
        )
    if options.restart_only:
        return f"These readers in stack {options.stack} are restarted, in this order: {readers}. Restart now?"
    again = f", then these readers are restarted, in this order: {readers}" if options.restart else ""
    return f"{names} in stack {options.stack} are rotated{again}. Rotate now?"


def _command(options: argparse.Namespace, report: Report, *, back: bool = False) -> str:
    """Return the command that goes on with this run, or back."""
    words = [*options.secrets]
    for flag, value in (("--workload", options.workload), ("--backend", options.backend)):
        words += [flag, value] if value is not None else []
    if options.cwd != ".":
        words += ["--cwd", options.cwd]
    words += ["--stack", options.stack]
    words += ["--restart"] if options.restart else []
    words += ["--restart-only"] if options.restart_only else []
    if options.timeout != _TIMEOUT:
        words += ["--timeout", f"{options.timeout:g}"]
    is_back = back or options.back
    words += ["--since", exact(report.since)] if not options.restart_only else []
    words += ["--back"] if is_back else [part for name in options.restarted for part in ("--restarted", name)]
    return f"python -m operations rotate {shlex.join(words)}"


def _show(options: argparse.Namespace, report: Report, text: Iterable[str]) -> None:
    if options.json:
        print_json(document(report))
    else:
        _print(text)


def _print(text: Iterable[str]) -> None:
    sys.stdout.writelines(f"{visible(line)}\n" for line in text)
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations rotate",
        description=__doc__,
        epilog=epilogue(*CODES) + "\nMore: docs/rotate.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("secrets", metavar="SECRET", nargs="*", help="name of a secret in the stack file")
    parser.add_argument(
        "--workload", metavar="NAME", help="rotate what a workload reads, as far as it rotates"
    )
    parser.add_argument("--restart", action="store_true", help="then restart all readers, in order")
    parser.add_argument(
        "--restart-only",
        action="store_true",
        help="rotate nothing; restart readers that have an earlier value",
    )
    parser.add_argument(
        "--restarted",
        metavar="WORKLOAD",
        action="append",
        default=[],
        help="a person has restarted this reader, which the command cannot; may be repeated",
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment,
        help="go on with a run: what it has rotated is not rotated again (default: a new run)",
    )
    parser.add_argument(
        "--back", action="store_true", help="go back: the earlier values, and the readers in reverse order"
    )
    add_stack_argument(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=_TIMEOUT,
        help=f"how long to wait for each rotation (default: {_TIMEOUT})",
    )
    add_arguments(parser)
    return parser
