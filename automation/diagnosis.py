"""Why the CLI failed: its exit code, its words and the engine's events, as a typed error.

The words are those of Pulumi 3.259; tests provoke them with the real CLI. Where it has an exit code of its
own (cmd/pulumi/cmd/exit_codes.go, "part of the contract for automation"), that counts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from automation import errors
from automation.events import said_by, without_colours
from automation.results import name_of
from settings import Mistake

_EXIT_CREDENTIALS = 3
_EXIT_UNKNOWN_STACK = 6

_CONFLICT = re.compile("is currently locked by|Another update is currently in progress")
_LOCK = re.compile(
    r"created by (?P<user>.*)@(?P<host>\S+) \(pid (?P<process>\d+)\) at (?P<since>\S+)", re.MULTILINE
)
# AWS's error codes for credentials, and what its SDKs say where there are none.
_CREDENTIALS = re.compile(
    r"ExpiredToken|InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch"
    r"|InvalidSignatureException|AuthFailure|No valid credential sources found|NoCredentialProviders"
    r"|failed to refresh cached credentials|could not find default credentials|SSO session has expired"
    r"|AWS credentials are invalid or have expired|unable to validate AWS credentials|Unauthorized: "
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
# Around what AWS said (pulumi-terraform-bridge, logging; hashicorp/go-multierror).
_FRAME = re.compile(
    r"^sdk(?:-v\d)?/provider\d?\.go:\d+: (?:sdk\.helper_schema: )?|: provider=[\w.-]+@[\w.+-]+$"
    r"|^(?:\w+ urn:pulumi:\S+: )?1 error occurred:\s*\* ",
    re.MULTILINE,
)
_CAUSE = re.compile(r"\s*[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning)\b")
_SETTINGS = re.compile(r"The configuration of stack \S+ has [^\n]*nothing was declared or changed\.")
_ENTRY = re.compile(r"^  (?P<path>\S.*)\n    (?P<wrong>.*)\.\n    (?P<remedy>.*)$", re.MULTILINE)


def of_command(stack: str, exit_code: int, said: str) -> errors.AutomationError:
    """Why a command failed before the engine began, or without it. `said` is its standard error."""
    text = _error_in(without_colours(said).strip())
    if exit_code == _EXIT_UNKNOWN_STACK:
        return errors.UnknownStack(stack)
    if exit_code == _EXIT_CREDENTIALS:
        return errors.CredentialsRefused(stack, text)
    for pattern, made in _MADE:
        if found := pattern.search(text):
            return made(stack, text, found[0])
    cause = _without_traceback(text) or f"it ended with exit code {exit_code} and said nothing"
    return errors.EngineFailure(stack, cause)


def _error_in(said: str) -> str:
    """From the error on: before it the CLI may say how it logs in, and warn."""
    return re.split(r"^error: ", said, maxsplit=1, flags=re.MULTILINE)[-1]


def _holders(text: str) -> list[errors.LockHolder]:
    return [
        errors.LockHolder(
            user=found["user"],
            host=found["host"],
            process=int(found["process"]),
            since=datetime.fromisoformat(found["since"]),
        )
        for found in _LOCK.finditer(text)
    ]


def _unreadable(stack: str, text: str) -> Mistake:
    cause = text.rpartition("yaml: ")[2].removeprefix("unmarshal errors:\n").strip()
    return Mistake(
        f"Pulumi.{stack}.yaml",
        f"the stack file cannot be read: {cause}",
        "Nothing in it would count",
        "Put it right by hand; an editor shows the place by stack-file.schema.json",
    )


# The first that is found counts.
_MADE: tuple[tuple[re.Pattern[str], Callable[[str, str, str], errors.AutomationError]], ...] = (
    (re.compile("no stack named .* found"), lambda stack, _, __: errors.UnknownStack(stack)),
    (re.compile("stack '.*' already exists"), lambda stack, _, __: errors.StackExists(stack)),
    (_CONFLICT, lambda stack, text, _: errors.Conflict(stack, list(_holders(text)), text)),
    (
        re.compile("passphrase"),
        lambda stack, text, _: errors.WrongPassphrase(stack, missing="must be set" in text),
    ),
    (_CREDENTIALS, lambda stack, text, _: errors.CredentialsRefused(stack, text)),
    (_STACK_NAME, lambda stack, _, found: errors.BadStackName(stack, found)),
    (_STACK_FILE, lambda stack, text, _: errors.BadSettings(stack, [_unreadable(stack, text)])),
    (_BACKEND, lambda stack, text, _: errors.BackendUnreachable(stack, text)),
)


def of_operation(
    stack: str, exit_code: int, said: str, events: Sequence[Mapping[str, Any]]
) -> errors.AutomationError:
    """Why an operation failed that neither was cancelled nor died."""
    said_as_error = [
        event["diagnosticEvent"]
        for event in events
        if event.get("diagnosticEvent", {}).get("severity") == "error"
    ]
    if not said_as_error:
        return of_command(stack, exit_code, said)
    texts = [said_by(diagnostic) for diagnostic in said_as_error]
    for text in texts:
        if _SETTINGS.search(text):
            return errors.BadSettings(stack, mistakes_in(text))
        if _CREDENTIALS.search(text):
            return errors.CredentialsRefused(stack, text)
    failures = failures_in(events)
    if failures:
        return errors.ProviderFailure(stack, failures)
    return errors.ProgramFailure(stack, "\n".join(_without_traceback(text) for text in texts))


def mistakes_in(text: str) -> list[Mistake]:
    """The mistakes in the text of a SettingsError, as the program hands it to the engine."""
    return [
        # a consequence is one sentence, so it begins behind the last full stop
        Mistake(found["path"], wrong, consequence, found["remedy"])
        for found in _ENTRY.finditer(text)
        for wrong, _, consequence in [found["wrong"].rpartition(". ")]
    ]


def failures_in(events: Sequence[Mapping[str, Any]]) -> list[errors.Failure]:
    """Return each resource that failed once, in the order of their first errors.

    A bridged provider logs why it refused a resource, and the engine logs what the provider answered: two
    errors with one URN. What is about the whole stack, such as the program, is about no resource; neither is
    an error about a resource whose step was done.
    """
    done, failed = (
        {event[kind]["metadata"]["urn"] for event in events if kind in event}
        for kind in ("resOutputsEvent", "resOpFailedEvent")
    )
    causes: dict[str, list[str]] = {}
    for event in events:
        diagnostic = event.get("diagnosticEvent", {})
        urn = str(diagnostic.get("urn") or "")
        if diagnostic.get("severity") == "error" and _type_of(urn) and urn not in done - failed:
            causes.setdefault(urn, []).append(said_by(diagnostic))
    return [
        errors.Failure(urn=urn, type=_type_of(urn), name=name_of(urn), cause=_one_cause(texts))
        for urn, texts in causes.items()
    ]


def _type_of(urn: str) -> str:
    """Return a resource's type; empty for what is about the whole stack."""
    type_ = urn.split("::")[2].rpartition("$")[2] if urn.count("::") > 1 else ""
    return "" if type_ == "pulumi:pulumi:Stack" else type_


def _one_cause(texts: Sequence[str]) -> str:
    """Return the texts without those that another one has in it, and without a bridged provider's frame."""
    causes = list(dict.fromkeys(_FRAME.sub("", text).strip() for text in texts))
    return "\n".join(
        cause for cause in causes if not any(cause in other for other in causes if other != cause)
    )


def _without_traceback(text: str) -> str:
    """Of a Python traceback only the cause counts; the rest is nothing to an operator."""
    before, found, trace = text.partition("Traceback (most recent call last):")
    if not found:
        return text
    causes = [line.strip() for line in trace.splitlines() if _CAUSE.match(line)]
    return "\n".join([*before.strip().splitlines()[:1], *causes[-1:]])
