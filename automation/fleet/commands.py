"""The command line of a fleet: arguments in, exit code out."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from automation import commands, documents, errors, terminal
from automation.exit_codes import ExitCode, epilogue
from automation.fleet.division import Group
from automation.fleet.driving import Fleet, cores, fleet
from automation.fleet.errors import FilesDiffer, NotOfTheFleet, SecretsElsewhere, StacksLeft
from automation.fleet.together import Outcome, Together, combined_outputs, watched
from automation.report import Report, combined, report
from automation.report.digest import is_reviewed
from automation.stack import live_side
from components.visible import visible, visible_lines

CODES = commands.CODES | {ExitCode.FLEET_NOT_READY}
_EPILOGUE = f"{epilogue(*CODES)}\nGroups that fail with different codes end with {ExitCode.FAILED:d}.\n"
_COMMANDS = {
    "check": "check the file, and tell which group has which secrets; asks nobody",
    "write": "write the groups' stack files, which the other commands do too",
    "preview": "what an up would do to all groups, as one report",
    "up": "create and update what the file says",
    "refresh": "read what there is in AWS into the states",
    "destroy": "delete everything that the groups' stacks have made",
    "outputs": "the outputs of all groups' last ups, as one",
}
_CHANGES = ("up", "refresh", "destroy")


def main(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code, as `--help` lists them."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command in _CHANGES and not chosen.yes:
        parser.error(f"{chosen.command} needs --yes; look at the preview first")
    try:
        found = fleet(chosen.stack, chosen.cwd, backend=chosen.backend, at_once=chosen.at_once)
        return _run(found, chosen, _groups(parser, found, chosen.group))
    except errors.AutomationError as error:
        commands.tell_error(error, for_programs=chosen.json)
        refused = isinstance(error, (FilesDiffer, NotOfTheFleet, SecretsElsewhere, StacksLeft))
        return ExitCode.FLEET_NOT_READY if refused else commands.exit_code(error)
    except KeyboardInterrupt:  # nothing had begun
        return ExitCode.CANCELLED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m automation.fleet",
        description="Drives the stacks that one stack file is divided over: docs/fleet.md.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in _COMMANDS.items():
        command = subcommands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        commands.add_common_arguments(command, "the fleet's name: its file is Pulumi.NAME.yaml")
        command.add_argument(
            "--at-once",
            type=_positive,
            default=cores(),
            metavar="N",
            help="how many stacks at a time; as many as there are processors otherwise (here %(default)s)",
        )
        command.add_argument(
            "--group",
            action="append",
            default=[],
            metavar="NAME",
            help="of all groups only this one; may be repeated",
        )
        if name == "write":
            command.add_argument(
                "--check",
                action="store_true",
                help=f"write nothing; end with {ExitCode.FLEET_NOT_READY} where a file differs",
            )
        if name in _CHANGES:
            command.add_argument("--yes", "-y", action="store_true", help="it is meant")
        if name == "up":
            commands.add_reviewed_argument(command)
        if name == "preview":
            command.add_argument("--report", choices=tuple(commands.REPORTS), default="terminal")
            commands.add_fail_on_danger_argument(command)
            commands.add_live_argument(command)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number


def _groups(parser: argparse.ArgumentParser, found: Fleet, names: Sequence[str]) -> list[Group]:
    known = {group.name: group for group in found.groups}
    for name in names:
        if name not in known:
            parser.error(f'there is no group "{name}"; there are {", ".join(known)}')
    return [group for group in found.groups if not names or group.name in names]


def _run(found: Fleet, chosen: argparse.Namespace, groups: Sequence[Group]) -> int:
    match chosen.command:
        case "check":
            _tell_division(found, groups, for_programs=chosen.json)
        case "write":
            _write(found, chosen)
        case "outputs":
            commands.print_document(documents.of_outputs(found.outputs()))
        case "preview":
            found.prepare()
            return _previewed(found, chosen, groups)
        case "destroy":
            return _changed(found, chosen, found.destroy(groups))
        case _:
            found.prepare()
            if chosen.command == "up" and chosen.reviewed is not None:
                _require_reviewed(found, chosen, groups)
            return _changed(found, chosen, (found.up if chosen.command == "up" else found.refresh)(groups))
    return 0


def _tell_division(found: Fleet, groups: Sequence[Group], *, for_programs: bool) -> None:
    if for_programs:
        commands.print_document(
            {
                "fleet": found.source.name,
                "groups": [
                    {
                        "group": group.name,
                        "stack": group.stack,
                        "secrets": sorted(group.secrets),
                        "databases": sorted(group.parts["databases"]),
                        "workloads": sorted(group.parts["workloads"]),
                    }
                    for group in groups
                ],
                "idle": list(found.source.division.idle),
            }
        )
        return
    for group in groups:
        count = len(group.secrets)
        sys.stdout.write(f"{group.stack}: {count} secret{'' if count == 1 else 's'}\n")
        sys.stdout.writelines(f"  {visible(secret)}\n" for secret in sorted(group.secrets))
    for key in found.source.division.idle:
        sys.stderr.write(f"warning: Nothing reads the config value {visible(key)}.\n")


def _write(found: Fleet, chosen: argparse.Namespace) -> None:
    if chosen.check:
        found.check_files()
    written = [] if chosen.check else found.write()
    if chosen.json:
        commands.print_document({"written": [file.name for file in written]})
    else:
        sys.stdout.writelines(f"wrote {visible(file.name)}\n" for file in written)


def _previewed(found: Fleet, chosen: argparse.Namespace, groups: Sequence[Group]) -> int:
    quiet = chosen.json or chosen.report in {"markdown", "json"}
    outcomes, made = _preview(found, chosen, groups, quiet=quiet)
    if chosen.json:
        commands.print_document(_document(found, outcomes))
    else:
        sys.stdout.write(commands.REPORTS[chosen.report](made))
    _tell_failures(outcomes, quiet=chosen.json)
    if code := _exit_code(outcomes):
        return code
    return commands.danger_code(made, fail=chosen.fail_on_danger)


def _preview(
    found: Fleet, chosen: argparse.Namespace, groups: Sequence[Group], *, quiet: bool
) -> tuple[list[Outcome], Report]:
    outcomes = _followed(found.preview(groups), quiet=quiet)
    return outcomes, combined([_report(outcome, live=chosen.live) for outcome in outcomes], found.source.name)


def _require_reviewed(found: Fleet, chosen: argparse.Namespace, groups: Sequence[Group]) -> None:
    """Raise NotReviewed if an up of these groups would do something else; nothing is done then."""
    _, made = _preview(found, chosen, groups, quiet=True)
    if not is_reviewed(made, chosen.reviewed):
        raise errors.NotReviewed(found.source.name, made)


def _report(outcome: Outcome, *, live: bool) -> Report:
    """Of a preview that failed what is known of it: that says of itself that it is not complete."""
    events = outcome.done.engine_events if outcome.done else ()
    return report(events, outcome.stack, live=live_side(events) if live else None)


def _changed(found: Fleet, chosen: argparse.Namespace, together: Together) -> int:
    outcomes = _followed(together, quiet=chosen.json)
    if chosen.json:
        commands.print_document(_document(found, outcomes))
    else:
        sys.stdout.writelines(f"{visible(_stands(outcome))}\n" for outcome in outcomes)
    _tell_failures(outcomes, quiet=chosen.json)
    return _exit_code(outcomes)


def _followed(together: Together, *, quiet: bool) -> list[Outcome]:
    with commands.cancelled_by_signals(together.cancel, quiet=quiet), together:
        if not quiet:
            watched(together, terminal.follow_one_of_several)
        outcomes = together.outcomes()
        for outcome in outcomes if not quiet else ():
            if outcome.result:
                terminal.survived(outcome.result)
        return outcomes


def _stands(outcome: Outcome) -> str:
    """One line: what became of a group."""
    if outcome.result:
        return f"{outcome.group}: {terminal.summary(outcome.result)}"
    before = f"; before that, {terminal.summary(outcome.done)}" if outcome.done else "; nothing had begun"
    what = "cancelled" if isinstance(outcome.error, errors.Cancelled) else "FAILED"
    return f"{outcome.group}: {what}{before}"


def _tell_failures(outcomes: Sequence[Outcome], *, quiet: bool) -> None:
    failed = [outcome for outcome in outcomes if outcome.error]
    if quiet or not failed:
        return
    for outcome in failed:
        sys.stderr.write(f"\nerror in {visible(outcome.group)}: {visible_lines(str(outcome.error))}\n")
    sys.stderr.write(
        f"\n{len(failed)} of {len(outcomes)} groups did not succeed: "
        f"{', '.join(outcome.group for outcome in failed)}. The others are done; the same again goes on.\n"
    )


def _document(found: Fleet, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        for operation, number in (outcome.done.counts if outcome.done else {}).items():
            counts[operation] = counts.get(operation, 0) + number
    return {
        "fleet": found.source.name,
        "counts": counts,
        "failed": [outcome.group for outcome in outcomes if outcome.error],
        "groups": {
            outcome.group: documents.of_result(outcome.result)
            if outcome.result
            else documents.of_error(outcome.error or errors.EngineFailure(outcome.stack, "it has no result"))
            for outcome in outcomes
        },
        "outputs": documents.of_outputs(
            combined_outputs(
                {outcome.stack: outcome.result.outputs for outcome in outcomes if outcome.result}
            )
        ),
    }


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    codes = {commands.exit_code(outcome.error) for outcome in outcomes if outcome.error}
    if ExitCode.CANCELLED in codes:
        return ExitCode.CANCELLED
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED if codes else ExitCode.DONE
