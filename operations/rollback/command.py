"""Make an earlier version of a secret, or of some keys, current again; without --to, list its versions."""

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.visible import visible, visible_lines
from operations import errors, json_output
from operations.arguments import add_stack_argument, lacks_stack
from operations.console import print_error
from operations.exit_codes import ExitCode, epilogue
from operations.report.model import counted
from operations.rollback.actors import Actors, actors
from operations.rollback.history import CURRENT, PREVIOUS, Secret, Version, history
from operations.rollback.keys import KeysRolledBack, named_keys, regenerated, roll_back_keys
from operations.rollback.move import Refusal, Rollback, plan, roll_back
from operations.status.aws import Caller, connect
from operations.status.errors import CredentialsError, QueryError, query_error
from operations.status.query import check_account
from operations.workspace import checkout
from program.arns import Account
from program.desired import Desired, DesiredSecret, resolve
from stack_file import SettingsError, check, files
from stack_file.documents import FileError, NoStackFileError

ALL_CODES = (
    *(ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SETTINGS, ExitCode.STACK_NOT_FOUND),
    *(ExitCode.CREDENTIALS, ExitCode.CANCELLED),
    # of reading the stack's outputs, for a login or keys
    *(ExitCode.CONFLICT, ExitCode.WRONG_PASSPHRASE, ExitCode.BACKEND),
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (FileError, SettingsError, QueryError, Refusal) as error:
        sys.stderr.write(f"error: {visible_lines(str(error).rstrip())}\n")
        return _code_of(error)
    except errors.OperationError as error:
        print_error(error, for_programs=False)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    if lacks_stack(options):
        return ExitCode.USAGE
    configuration = files.read(Path(options.cwd), options.stack)
    checked = check(configuration)
    desired = resolve(checked.stack_file, configuration.project, configuration.stack, configuration.included)
    declared = _declared(desired, options.secret)
    aws = connect(checked.region)
    caller = aws.caller()
    # another stack's account may have a secret of the same name
    check_account(configuration, caller)
    client = aws.client("secretsmanager")
    keys = named_keys(options.keys, declared) if options.keys else []
    try:
        secret = history(client, options.secret, is_login=declared.is_login)
        if options.to is None and not keys:
            who = actors(aws.client("cloudtrail", attempts=3), secret)
            _write(options, _as_json(secret, who), _lines(secret, who))
            return ExitCode.DONE
        rollback = plan(
            secret,
            options.to or "previous",
            written=declared.mode != "once",
            rotation_function=_rotation_function(options, declared, caller, checked.region),
        )
        question = _question(rollback, keys, regenerated(keys, declared))
        if not options.yes and not _confirmed(question):
            return ExitCode.USAGE
        if keys:
            done = roll_back_keys(aws, _writer(options), rollback, keys)
            _write(options, *_of_keys(options, rollback, done, regenerated(done.keys, declared)))
            return ExitCode.DONE
        roll_back(client, aws.client("lambda"), rollback)
    except (ClientError, BotoCoreError) as error:
        raise query_error(error, "secretsmanager:UpdateSecretVersionStage") from None
    # whoever puts a value chooses the id of its version, and this is pasted into a shell
    undo = shlex.join([secret.name, "--stack", options.stack, "--to", rollback.current.version_id])
    _write(
        options,
        {"secret": secret.name, "from": rollback.current.version_id, "to": rollback.target.version_id},
        [
            f"{secret.name}: version {rollback.target.version_id} of {_when(rollback.target)} is current.",
            "Readers get it when they next read the secret; restart those that read it only at start.",
            f"To undo: python -m operations rollback {undo}",
        ],
    )
    return ExitCode.DONE


def _declared(desired: Desired, name: str) -> DesiredSecret:
    """Return the stack file's declaration: a typing error must not reach another stack's secret."""
    if name not in desired.secrets:
        known = ", ".join(sorted(desired.secrets)) or "none"
        raise Refusal(f"The stack file declares no secret {name}. It declares: {known}.")
    return desired.secrets[name]


def _rotation_function(
    options: argparse.Namespace, declared: DesiredSecret, caller: Caller, region: str
) -> str:
    """Return the ARN of the function that the deployment declares for a login; empty if there is none.

    What AWS has (the tags of the secret, its RotationLambdaARN) may be written by others than the stack.
    """
    if declared.server is None:
        return ""
    section, server = declared.server
    outputs = checkout(Path(options.cwd), backend=options.backend).stack(options.stack).outputs()
    name = (outputs.get(section) or {}).get(server, {}).get("rotationFunction")
    account = Account(caller.account_id, caller.partition, region)
    return account.arn("lambda", f"function:{name}") if name else ""


def _writer(options: argparse.Namespace) -> str:
    """Return the name of the function that the deployment declares for writing values."""
    outputs = checkout(Path(options.cwd), backend=options.backend).stack(options.stack).outputs()
    name = (outputs.get("writer") or {}).get("function")
    if not name:
        raise Refusal("The stack has no function that writes values yet. Deploy it first: pulumi up")
    return str(name)


def _of_keys(
    options: argparse.Namespace, rollback: Rollback, done: KeysRolledBack, warning: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the result of a rollback of keys, as JSON and as lines."""
    name, before = rollback.secret.name, rollback.current.version_id
    document = {
        "secret": name,
        "keys": list(done.keys),
        "source": rollback.target.version_id,
        "from": before,
        "to": done.version_id,
        "warnings": [*done.warnings, *([warning] if warning else [])],
    }
    if not done.keys:
        return document, [f"{name}: the keys have these values already. Nothing was changed."]
    separate = any("," in key for key in done.keys)
    keys = (
        [part for key in done.keys for part in ("--keys", key)]
        if separate
        else ["--keys", ",".join(done.keys)]
    )
    undo = shlex.join([name, "--stack", options.stack, *keys, "--to", before])
    target = f"version {rollback.target.version_id} of {_when(rollback.target)}"
    return document, [
        f"{name}: {', '.join(done.keys)} as in {target}; all other keys are as they were.",
        *(f"Warning: {text}" for text in document["warnings"]),
        "Readers get it when they next read the secret; restart those that read it only at start.",
        f"To undo: python -m operations rollback {undo}",
    ]


def _question(rollback: Rollback, keys: Sequence[str], warning: str) -> str:
    name, current, target = rollback.secret.name, rollback.current, rollback.target
    if keys:
        return (
            f"{warning} Give {', '.join(keys)} of {name} the values of version {target.version_id} of "
            f"{_when(target)}?"
        ).lstrip()
    return (
        f"Make version {target.version_id} of {_when(target)} current for {name}, instead of "
        f"{current.version_id} of {_when(current)}?"
    )


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        sys.stderr.write(f"error: {visible(question)} Confirm with --yes.\n")
        return False
    sys.stdout.write(f"{visible(question)} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _when(version: Version) -> str:
    return f"{version.created.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _lines(secret: Secret, who: Actors) -> Iterable[str]:
    yield f"{secret.name}: {counted(len(secret.versions), 'version')}, newest first"
    for version in secret.versions:
        yield f"  {version.version_id}  {_when(version)}  {_about(version)}"
        if by := who.put.get(version.version_id):
            yield f"    put by {by}"
        if by := who.made_current.get(version.version_id):
            yield f"    made current by {by}"
    if who.gap:
        yield who.gap
    yield "To roll back: --to previous, --to VERSION, or --to TIME"


def _about(version: Version) -> str:
    if version.is_of_rehearsal:
        return "a rehearsal's, without a value"
    if not version.holds_a_value:
        return "the writer's records"
    if CURRENT in version.labels:
        return "current"
    if PREVIOUS in version.labels:
        return "previous"
    return ", ".join(version.labels) or "no label: AWS may delete it at any time"


def _as_json(secret: Secret, who: Actors) -> dict[str, Any]:
    return {
        "secret": secret.name,
        "arn": secret.arn,
        "versions": [
            {
                "versionId": version.version_id,
                "created": version.created.isoformat(),
                "labels": list(version.labels),
                "holdsAValue": version.holds_a_value,
                "putBy": who.put.get(version.version_id),
                "madeCurrentBy": who.made_current.get(version.version_id),
            }
            for version in secret.versions
        ],
        "whoGap": who.gap or None,
    }


def _write(options: argparse.Namespace, document: object, lines: Iterable[str]) -> None:
    text = json_output.render(document) if options.json else "\n".join(map(visible, lines))
    sys.stdout.write(f"{text}\n")


def _code_of(error: FileError | SettingsError | QueryError | Refusal) -> ExitCode:
    match error:
        case NoStackFileError():
            return ExitCode.STACK_NOT_FOUND
        case CredentialsError():
            return ExitCode.CREDENTIALS
        case QueryError() | Refusal():
            return ExitCode.FAILED
        case _:
            return ExitCode.BAD_SETTINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations rollback",
        description=__doc__,
        epilog=epilogue(*ALL_CODES) + "\nMore: docs/rollback.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("secret", metavar="SECRET", help="name of a secret in the stack file")
    add_stack_argument(parser)
    parser.add_argument(
        "--to", metavar="VERSION", help="previous, a version id, or a time (2026-11-29T12:00, UTC)"
    )
    parser.add_argument(
        "--keys",
        action="append",
        metavar="KEY,...",
        help="roll back these JSON keys alone (--to is previous by default)",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--backend", help="URL of the state's backend (default: PULUMI_BACKEND_URL)")
    parser.add_argument("--cwd", "-C", default=".", metavar="FOLDER", help="folder of the project")
    return parser
