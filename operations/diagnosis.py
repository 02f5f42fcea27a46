"""Turns a failure of the CLI into a typed error: from its exit code, its output and the engine's events.

The patterns match messages of Pulumi 3.259; tests provoke them with the real CLI. Where the CLI has an exit
code for a failure (cmd/pulumi/cmd/exit_codes.go, "part of the contract for automation"), the code decides.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from operations import errors
from operations.events import text_of, without_colours
from operations.results import name_of
from stack_file import Mistake

_EXIT_CREDENTIALS = 3
_EXIT_STACK_NOT_FOUND = 6

_CONFLICT = re.compile("is currently locked by|Another update is currently in progress")
_LOCK = re.compile(
    r"created by (?P<user>.*)@(?P<host>\S+) \(pid (?P<process>\d+)\) at (?P<since>\S+)", re.MULTILINE
)
# AWS's error codes for credentials, and the messages of its SDKs when there are none.
_CREDENTIALS = re.compile(
    r"ExpiredToken|InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch"
    r"|InvalidSignatureException|AuthFailure|No valid credential sources found|NoCredentialProviders"
    r"|failed to refresh cached credentials|could not find default credentials|SSO session has expired"
    r"|AWS credentials are invalid or have expired|unable to validate AWS credentials|Unauthorized: "
)
# The check of credentials got no answer: by the SDK for Go of the provider, and by botocore of the stand-in.
_UNREACHABLE = re.compile(
    r"validating provider credentials: (?:retrieving caller identity from STS: operation error STS: "
    r"GetCallerIdentity,.*\bStatusCode: 0,.*request send failed|Could not connect to the endpoint URL)",
    re.DOTALL,
)
_BACKEND = re.compile(
    r"unable to open (?:state directory|bucket)|could not list bucket|could not load|error listing stacks"
    r"|unable to check if bucket|problem logging in|failed to get current|connection refused|no such host"
    r"|getting secrets manager|i/o timeout|unable to read stack file"
)
_STACK_FILE = re.compile(
    r"invalid YAML file|yaml: |could not unmarshal|validating stack config|not a valid config|to be an object"
)
_STACK_NAME = re.compile(
    r"a stack name (?:may only|must|cannot)[^\n]*|stack names? (?:may|must|cannot)[^\n]*"
)
# What surrounds AWS's message (pulumi-terraform-bridge, logging; hashicorp/go-multierror).
_FRAME = re.compile(
    r"^sdk(?:-v\d)?/provider\d?\.go:\d+: (?:sdk\.helper_schema: )?|: provider=[\w.-]+@[\w.+-]+$"
    r"|^(?:\w+ urn:pulumi:\S+: )?1 error occurred:\s*\* ",
    re.MULTILINE,
)
_EXCEPTION = re.compile(r"\s*[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning)\b")


def of_command(stack: str, exit_code: int, stderr: str) -> errors.OperationError:
    """Return the error of a command that failed without the engine, or before it started.

    Args:
        stack: the stack that the command was for.
        exit_code: of the CLI.
        stderr: its standard error.
    """
    text = _from_error(without_colours(stderr).strip())
    if exit_code == _EXIT_STACK_NOT_FOUND:
        return errors.StackNotFoundError(stack)
    if exit_code == _EXIT_CREDENTIALS:
        return errors.CredentialsError(stack, text)
    if error := _first(_ERRORS, stack, text):
        return error
    cause = _without_traceback(text) or f"it exited with code {exit_code} and no message"
    return errors.EngineError(stack, cause)


def _from_error(stderr: str) -> str:
    """Return the text from the error on; login notices and warnings may precede it."""
    return re.split(r"^error: ", stderr, maxsplit=1, flags=re.MULTILINE)[-1]


def _lock_holders(text: str) -> list[errors.LockHolder]:
    return [
        errors.LockHolder(
            user=match["user"],
            host=match["host"],
            process=int(match["process"]),
            since=datetime.fromisoformat(match["since"]),
        )
        for match in _LOCK.finditer(text)
    ]


def _unreadable_stack_file(stack: str, text: str) -> Mistake:
    cause = text.rpartition("yaml: ")[2].removeprefix("unmarshal errors:\n").strip()
    return Mistake(
        f"Pulumi.{stack}.yaml",
        f"the stack file cannot be read: {cause}",
        "The stack would have no configuration",
        "Fix it by hand; with stack-file.schema.json an editor shows the place",
    )


_Errors = tuple[tuple[re.Pattern[str], Callable[[str, str, str], errors.OperationError]], ...]
# The first match decides.
_ACCOUNT: _Errors = (
    (_UNREACHABLE, lambda stack, text, _: errors.AwsUnreachableError(stack, text)),
    (_CREDENTIALS, lambda stack, text, _: errors.CredentialsError(stack, text)),
)
_ERRORS: _Errors = (
    (re.compile("no stack named .* found"), lambda stack, _, __: errors.StackNotFoundError(stack)),
    (re.compile("stack '.*' already exists"), lambda stack, _, __: errors.StackAlreadyExistsError(stack)),
    (_CONFLICT, lambda stack, text, _: errors.ConcurrentUpdateError(stack, _lock_holders(text), text)),
    (
        re.compile("passphrase"),
        lambda stack, text, _: errors.PassphraseError(stack, missing="must be set" in text),
    ),
    *_ACCOUNT,
    (_STACK_NAME, lambda stack, _, match: errors.InvalidStackNameError(stack, match)),
    (
        _STACK_FILE,
        lambda stack, text, _: errors.InvalidConfigurationError(stack, [_unreadable_stack_file(stack, text)]),
    ),
    (_BACKEND, lambda stack, text, _: errors.BackendError(stack, text)),
)


def _first(known: _Errors, stack: str, text: str) -> errors.OperationError | None:
    matches = ((pattern.search(text), make) for pattern, make in known)
    return next((make(stack, text, match[0]) for match, make in matches if match), None)


def of_operation(
    stack: str,
    exit_code: int,
    output: str,
    events: Sequence[Mapping[str, Any]],
    mistakes: Sequence[Mistake] = (),
) -> errors.OperationError:
    """Return the error of an operation that failed without being cancelled or killed.

    Args:
        stack: the stack that the operation was for.
        exit_code: of the CLI.
        output: what the CLI printed.
        events: the engine's events.
        mistakes: configuration mistakes that the program reported.
    """
    if mistakes:
        return errors.InvalidConfigurationError(stack, mistakes)
    diagnostics = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    texts = [text_of(diagnostic) for diagnostic in diagnostics if diagnostic.get("severity") == "error"]
    if not texts:
        return of_command(stack, exit_code, output)
    for text in texts:
        if error := _first(_ACCOUNT, stack, text):
            return error
    if failures := failures_in(events):
        return errors.ProviderError(stack, failures)
    return errors.ProgramError(stack, "\n".join(_without_traceback(text) for text in texts))


def failures_in(events: Sequence[Mapping[str, Any]]) -> list[errors.Failure]:
    """Return each resource that failed once, in the order of their first errors.

    A bridged provider logs why it rejected a resource, and the engine logs the provider's response: two
    errors with one URN. Errors without a resource, such as the program's, are left out, and so are errors of
    resources whose step succeeded.
    """
    succeeded, failed = (
        {event[kind]["metadata"]["urn"] for event in events if kind in event}
        for kind in ("resOutputsEvent", "resOpFailedEvent")
    )
    causes: dict[str, list[str]] = {}
    for event in events:
        diagnostic = event.get("diagnosticEvent", {})
        urn = str(diagnostic.get("urn") or "")
        if diagnostic.get("severity") == "error" and _type_of(urn) and urn not in succeeded - failed:
            causes.setdefault(urn, []).append(text_of(diagnostic))
    return [
        errors.Failure(urn=urn, type=_type_of(urn), name=name_of(urn), cause=_combined(texts))
        for urn, texts in causes.items()
    ]


def _type_of(urn: str) -> str:
    """Return a resource's type; empty for the stack itself and for no URN."""
    type_ = urn.split("::")[2].rpartition("$")[2] if urn.count("::") > 1 else ""
    return "" if type_ == "pulumi:pulumi:Stack" else type_


def _combined(texts: Sequence[str]) -> str:
    """Return the texts without a bridged provider's frame, and without texts that another one contains."""
    causes = list(dict.fromkeys(_FRAME.sub("", text).strip() for text in texts))
    return "\n".join(
        cause for cause in causes if not any(cause in other for other in causes if other != cause)
    )


def _without_traceback(text: str) -> str:
    """Return the text with a Python traceback reduced to its exception."""
    before, separator, trace = text.partition("Traceback (most recent call last):")
    if not separator:
        return text
    exceptions = [line.strip() for line in trace.splitlines() if _EXCEPTION.match(line)]
    return "\n".join([*before.strip().splitlines()[:1], *exceptions[-1:]])
