"""Try every step of the next rotation of secrets, and change nothing that is in use."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.visible import visible
from operations.adopt.adoption import exported
from operations.arguments import add_stack_argument, lacks_stack
from operations.console import print_json
from operations.exit_codes import ExitCode, epilogue
from operations.rehearse import aws_checks
from operations.rehearse.declared import Declared, declared_rotations
from operations.rehearse.invocation import invoke
from operations.rehearse.model import Finding, Outcome, Rehearsal
from operations.restore.one_secret import guarded, target_of
from operations.restore.plan import Target
from operations.threads import mapped
from operations.workspace import checkout
from program.arns import Account
from program.desired import resolve

CODES = (
    *(ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SETTINGS, ExitCode.STACK_NOT_FOUND),
    *(ExitCode.CONFLICT, ExitCode.WRONG_PASSPHRASE, ExitCode.CREDENTIALS, ExitCode.BACKEND),
    *(ExitCode.ROTATION, ExitCode.CANCELLED),
)
_AT_ONCE = 4  # each rehearsal logs in to a server twice


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, as `--help` lists them."""
    options = _parser().parse_args(arguments)
    if lacks_stack(options):
        return ExitCode.USAGE
    return guarded(lambda: _run(options), as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.cwd)
    target = target_of(folder, options.stack, checkout(folder, backend=options.backend))
    rehearsals = rehearse(target, options.secrets)
    if options.json:
        print_json({"secrets": [_as_json(one) for one in rehearsals]})
    else:
        sys.stdout.write("".join(f"{visible(line)}\n" for line in _lines(rehearsals)))
    outcomes = [one.outcome for one in rehearsals]
    if any(outcome.findings for outcome in outcomes):
        return ExitCode.ROTATION
    return ExitCode.FAILED if any(outcome.denied for outcome in outcomes) else ExitCode.DONE


def rehearse(target: Target, names: Sequence[str] = ()) -> list[Rehearsal]:
    """Rehearse the next rotation of the named secrets, or of all that a function rotates.

    Raises:
        Refusal: a named secret is not declared, or no function rotates it.
        QueryError: AWS could not be asked.
        OperationError: the engine failed, or the stack does not exist.
    """
    configuration, caller = target.stack.configuration, target.caller
    account = Account(caller.account_id, caller.partition, target.aws.region)
    declared = declared_rotations(
        resolve(target.stack.file, configuration.project, configuration.stack, configuration.included),
        names,
        target.engine.outputs(),
        exported(target.engine.cli, target.engine.name),
        account,
    )
    return mapped(lambda one: _rehearse(target, one, account), declared, _AT_ONCE)


def _rehearse(target: Target, declared: Declared, account: Account) -> Rehearsal:
    if not declared.function:
        outcome = Outcome(
            findings=(
                Finding(
                    step="function",
                    problem=f"The stack has no function for {declared.name} yet. Deploy it: pulumi up",
                    consequence="No rotation takes place.",
                ),
            )
        )
        return Rehearsal(secret=declared.name, function="", outcome=outcome)
    outcome, arn = aws_checks.check(target.aws, declared, account.account_id)
    if arn:
        outcome += invoke(target.aws, declared, arn)
    return Rehearsal(secret=declared.name, function=declared.function, outcome=_without_repetitions(outcome))


def _without_repetitions(outcome: Outcome) -> Outcome:
    """Leave out what the function says about the secret's description if AWS's own answer said it before."""
    is_known = any(one.step == "attachment" for one in outcome.findings)
    findings = [one for one in outcome.findings if not (is_known and one.step == "describe")]
    return replace(outcome, findings=tuple(findings))


def _lines(rehearsals: Sequence[Rehearsal]) -> Iterable[str]:
    for one in rehearsals:
        outcome = one.outcome
        broken = len(outcome.findings)
        verdict = (
            f"{broken} finding{'' if broken == 1 else 's'}" if broken else "the next rotation would work"
        )
        yield f"{one.secret}: {verdict if broken or not outcome.denied else 'incomplete'}"
        if outcome.steps:
            yield f"  tried: {', '.join(outcome.steps)}"
        for finding in outcome.findings:
            yield f"  {finding.step}: {finding.problem}"
            yield f"    {finding.consequence}"
        for sentence in outcome.outlook:
            yield f"  old passwords: {sentence}"
        for gap in outcome.gaps:
            yield f"  not tried: {gap}"
    if not rehearsals:
        yield "The stack file declares no secret that a function rotates."


def _as_json(one: Rehearsal) -> dict[str, Any]:
    return {
        "secret": one.secret,
        "function": one.function or None,
        "tried": list(one.outcome.steps),
        "findings": [
            {"step": finding.step, "problem": finding.problem, "consequence": finding.consequence}
            for finding in one.outcome.findings
        ],
        "notTried": list(one.outcome.gaps),
        "oldPasswords": list(one.outcome.outlook),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations rehearse",
        description=__doc__,
        epilog=epilogue(*CODES) + "\nMore: docs/rehearsal.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "secrets", metavar="SECRET", nargs="*", help="name of a secret in the stack file (default: all)"
    )
    add_stack_argument(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--backend", help="URL of the state's backend (default: PULUMI_BACKEND_URL)")
    parser.add_argument("--cwd", "-C", default=".", metavar="FOLDER", help="folder of the project")
    return parser
