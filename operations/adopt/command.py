"""The command line of an adoption: arguments in, exit code out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import stack_file
from components.visible import visible_lines
from operations import errors, json_output
from operations.adopt import adoption, aws_objects, cloudformation, report, terraform_state
from operations.adopt.json_files import read_text
from operations.adopt.leaving_terraform import REMOVED_HEADING
from operations.adopt.logins import Options
from operations.adopt.model import Origins, SourceError
from operations.adopt.report import Leave
from operations.arguments import add_common_arguments
from operations.console import print_error, print_json
from operations.exit_codes import ExitCode, epilogue
from operations.stack_cli import CODES as STACK_CODES
from operations.status.aws import AwsSession, connect
from operations.status.errors import CredentialsError, QueryError
from operations.workspace import checkout
from stack_file.documents import FileError, NoStackFileError

CODES = STACK_CODES - {ExitCode.DANGEROUS, ExitCode.NOT_REVIEWED}
_HELP = {
    "terraform": "adopt what a Terraform state has",
    "cloudformation": "adopt what a CloudFormation or CDK template and its stack have",
    "aws": "adopt what AWS has, by name or tag",
}


def main(arguments: Sequence[str]) -> int:
    """Run an adoption; return its exit code, as `--help` lists them."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.origin == "aws" and not (chosen.prefix or chosen.tag):
        parser.error("aws needs --prefix or --tag: say which secrets")
    if chosen.origin == "aws" and chosen.tag and not chosen.tag.partition("=")[0]:
        parser.error("--tag needs a key: write KEY or KEY=VALUE. Without one, all secrets would be adopted")
    if chosen.origin == "cloudformation" and bool(chosen.resources) == bool(chosen.stack_name):
        parser.error("cloudformation needs --resources or --stack-name: say what the stack has made")
    asks = not (chosen.yes or chosen.dry_run)
    if asks and (chosen.json or not sys.stdin.isatty()):
        parser.error("an adoption needs --yes, because nobody can be asked here; look at --dry-run first")
    try:
        return _run(chosen, asks=asks)
    except errors.OperationError as error:
        print_error(error, for_programs=chosen.json)
        return error.exit_code
    except (SourceError, FileError, stack_file.SettingsError, QueryError) as error:
        message = visible_lines(str(error))
        if chosen.json:
            kind = type(error).__name__
            print_json({"error": {"type": kind, "message": message}, "done": None})
        else:
            sys.stderr.write(f"error: {message}\n")
        return _code(error)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing is half taken over: the same command goes on from here.\n")
        return ExitCode.CANCELLED


def _code(error: Exception) -> ExitCode:
    if isinstance(error, NoStackFileError):
        return ExitCode.STACK_NOT_FOUND
    if isinstance(error, CredentialsError):
        return ExitCode.CREDENTIALS
    return ExitCode.FAILED if isinstance(error, QueryError) else ExitCode.BAD_SETTINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m operations adopt",
        description="Brings secrets that exist in AWS into a stack without changing them: docs/adopt.md.",
        epilog=f"{epilogue(*CODES)}\nA secret that was left out ends it with {ExitCode.FAILED:d}.\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    origins = parser.add_subparsers(dest="origin", required=True, metavar="ORIGIN")
    for name, words in _HELP.items():
        origin = origins.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        add_common_arguments(origin, "the stack that takes them over")
        origin.add_argument(
            "--dry-run", action="store_true", help="show what would be done, and change nothing"
        )
        origin.add_argument("--yes", "-y", action="store_true", help="do not ask")
        origin.add_argument(
            "--read-keys",
            action="store_true",
            help="read the live values for the names of their keys, and of database logins for engine, host, "
            "port, dbname, username and masterarn; no other value is kept or shown",
        )
        _add_login_arguments(origin)
        origin.add_argument(
            "--initial-values",
            choices=("once", "managed", "account"),
            help="who writes the values of the adopted secrets; as the stack has it otherwise",
        )
    terraform = origins.choices["terraform"]
    terraform.add_argument(
        "state", type=Path, help="a state file, or what `terraform show -json` prints; - for standard input"
    )
    terraform.add_argument(
        "--removed",
        type=Path,
        metavar="FILE",
        help="write the removed blocks to this file, such as removed.tf",
    )
    template = origins.choices["cloudformation"]
    template.add_argument("template", type=Path, help="JSON or YAML; of CDK, cdk.out/*.template.json")
    template.add_argument(
        "--resources",
        type=Path,
        metavar="FILE",
        help="what `aws cloudformation describe-stack-resources` prints",
    )
    template.add_argument("--stack-name", metavar="NAME", help="the CloudFormation stack to ask AWS about")
    aws = origins.choices["aws"]
    aws.add_argument("--prefix", help="what the secrets' names begin with")
    aws.add_argument("--tag", metavar="KEY[=VALUE]", help="a tag that they have")
    return parser


def _add_login_arguments(origin: argparse.ArgumentParser) -> None:
    origin.add_argument(
        "--administrator",
        action="append",
        default=[],
        metavar="ARN",
        help="a secret of an administrator that database logins may name; may be given more than once",
    )
    origin.add_argument(
        "--alternating", action="store_true", help="let logins with a single user alternate from now on"
    )
    origin.add_argument(
        "--keep-logins",
        action="store_true",
        help="adopt database logins as plain secrets, which keep their rotation functions",
    )
    origin.add_argument(
        "--certificate-authorities",
        metavar="FILE",
        help="PEM file of authorities that database servers' certificates are from, besides Amazon RDS's",
    )


def _run(chosen: argparse.Namespace, *, asks: bool) -> int:
    removed: Path | None = chosen.removed if chosen.origin == "terraform" else None
    if removed:
        _check_replaceable(removed)
    stack = adoption.stack_of(chosen.cwd, chosen.stack, chosen.initial_values)
    aws = connect(stack.region)
    origins, leave = _origins(chosen, aws)
    made = adoption.plan(
        origins,
        stack,
        aws,
        aws.caller(),
        Options(
            read_keys=chosen.read_keys,
            keep=chosen.keep_logins,
            alternating=chosen.alternating,
            administrators=chosen.administrator,
            authorities=chosen.certificate_authorities,
        ),
    )
    if chosen.dry_run:
        _show(chosen, report.of_plan(made, stack, leave))
        return ExitCode.FAILED if made.left_out else ExitCode.DONE
    if asks:
        sys.stdout.write(report.as_text(report.of_plan(made, stack, leave)))
        sys.stderr.write(f"Adopt {len(made.entries)} secrets into stack {chosen.stack} now? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            return ExitCode.CANCELLED
    workspace = checkout(chosen.cwd, backend=chosen.backend)
    outcome = adoption.carry_out(
        made,
        workspace.stack(chosen.stack),
        aws,
        (lambda _: None) if chosen.json else _tell,
    )
    if removed and (blocks := leave(outcome.adopted).files.get("removed.tf")):
        _write(removed, blocks)
    _show(chosen, report.of_outcome(outcome, leave))
    return ExitCode.FAILED if outcome.left_out else ExitCode.DONE


def _origins(chosen: argparse.Namespace, aws: AwsSession) -> tuple[Origins, Leave]:
    """Return what the origin declares, and how adopted secrets leave it."""
    if chosen.origin == "terraform":
        state = terraform_state.read(read_text(chosen.state, "a Terraform state"))
        return state.origins, report.leaving_terraform(state)
    if chosen.origin == "cloudformation":
        text = read_text(chosen.template, "a CloudFormation template")
        ids = (
            cloudformation.physical_ids(read_text(chosen.resources, "the stack's resources"))
            if chosen.resources
            else aws_objects.stack_resources(aws, chosen.stack_name)
        )
        template = cloudformation.read(text, ids)
        return template.origins, report.leaving_cloudformation(template)
    return aws_objects.listed(
        aws, aws_objects.Wanted(prefix=chosen.prefix, tag=chosen.tag)
    ), report.leaving_nothing


def _check_replaceable(file: Path) -> None:
    """Raise SourceError if a file holds anything but removed blocks of this command."""
    try:
        text = file.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceError(f"{file} cannot be written: {error.strerror}. Name another file.") from None
    if text and not text.startswith(REMOVED_HEADING):
        raise SourceError(f"{file} exists, and this command did not write it. Name a new file for --removed.")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise SourceError(
            f"{file} cannot be written: {error.strerror}. The secrets are taken over."
        ) from None


def _tell(words: str) -> None:
    sys.stdout.write(f"{visible_lines(words)}\n")
    sys.stdout.flush()


def _show(chosen: argparse.Namespace, made: report.Report) -> None:
    sys.stdout.write(f"{json_output.render(report.as_json(made))}\n" if chosen.json else report.as_text(made))
