"""Watch a secret rotate: one line for each step, with the function's error where one fails."""

import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tools.localcloud.layout import SetupError
from tools.localcloud.new_password import CURRENT

SECONDS_VARIABLE = "LOCALCLOUD_ROTATE_SECONDS"

_POLL_SECONDS = 0.05
_FAILURES = ("[ERROR] ", "Task timed out")


@dataclass(frozen=True)
class Aws:
    """Clients, and what only the emulator tells."""

    secrets: Any
    functions: Any
    logs: Any
    endpoint: str

    def rotations(self) -> dict[str, Any]:
        """Rotations in progress (`unfinished`), and their latest events (`events`)."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.endpoint}/_localcloud/rotations", timeout=10) as answer:
            return dict(json.load(answer))


@dataclass(frozen=True)
class Secret:
    """A secret that rotates; `function` is the ARN of its Lambda function."""

    arn: str
    name: str
    function: str


@dataclass
class Progress:
    """One rotation as it is seen from outside.

    Attributes:
        token: the version that becomes current.
        seen: number of the last event that was shown, or that is of an earlier rotation.
        logged_since: seconds since 1970; what the function said before is not about this rotation.
        shown: try and step of all that ended.
        open_line: the step whose line waits for its end.
        outcome: "succeeded", "tested", "given up" or "cancelled"; empty while it is at work.
        message: of the last failure.
    """

    secret: Secret
    token: str
    seen: int
    logged_since: float
    shown: set[tuple[int, str]] = field(default_factory=set)
    open_line: str = ""
    outcome: str = ""
    message: str = ""


def follow(aws: Aws, progress: Progress, limit: float) -> None:
    """Show the steps until the rotation is over.

    Raises:
        SetupError: It has not finished after `limit` seconds.
    """
    deadline = time.monotonic() + limit
    try:
        while True:
            state = aws.rotations()
            for event in events(state, progress.secret, progress.token):
                _show(aws, progress, event)
            if progress.outcome:
                return
            at_work = _at_work(state, progress)
            if at_work is None:  # cancelled, or the emulator was restarted and does not remember
                current = holder(aws, progress.secret, CURRENT) == progress.token
                progress.outcome = "succeeded" if current else "cancelled"
                return
            _begin_line(progress, at_work)
            if time.monotonic() > deadline:
                raise SetupError(_unfinished(progress, limit))
            time.sleep(_POLL_SECONDS)
    finally:
        _end_line(progress)


def events(state: Mapping[str, Any], secret: Secret, token: str | None = None) -> list[dict[str, Any]]:
    """Return the latest events of a secret's rotations, or of the one with that token."""
    return [
        event
        for event in state["events"]
        if event["SecretId"] == secret.arn and token in {None, event["ClientRequestToken"]}
    ]


def holder(aws: Aws, secret: Secret, label: str) -> str | None:
    """Return the version that has a staging label."""
    versions = aws.secrets.describe_secret(SecretId=secret.arn).get("VersionIdsToStages", {})
    return next((version for version, labels in versions.items() if label in labels), None)


def failure(aws: Aws, progress: Progress) -> str:
    """Return the message for a rotation that did not succeed."""
    name = progress.secret.name
    if progress.outcome == "cancelled":
        return (
            f"The rotation of {name} was cancelled before it finished. The previous version stays current. "
            "`make up` attaches the rotation again, as the stack file declares."
        )
    try:
        log = f" The function's log: aws logs tail {_log_group(aws, progress.secret)}"
    except ClientError:
        log = ""
    return (
        f"The rotation of {name} failed and was given up: {progress.message or 'only its test ran'}\n"
        "The previous version stays current with its password unchanged. Once the cause is fixed, "
        f"`make rotate` resumes the rotation.{log}"
    )


def _at_work(state: Mapping[str, Any], progress: Progress) -> Mapping[str, Any] | None:
    for attempt in state["unfinished"]:
        if (attempt["SecretId"], attempt["ClientRequestToken"]) == (progress.secret.arn, progress.token):
            found: Mapping[str, Any] = attempt
            return found
    return None


def _begin_line(progress: Progress, at_work: Mapping[str, Any]) -> None:
    """Print the name of a step before it has finished."""
    step = at_work["Step"]
    if step and not progress.open_line and (at_work["Try"], step) not in progress.shown:
        print(f"  {step:13}", end="", flush=True)
        progress.open_line = step


def _end_line(progress: Progress) -> None:
    if progress.open_line:
        print(flush=True)
        progress.open_line = ""


def _show(aws: Aws, progress: Progress, event: Mapping[str, Any]) -> None:
    if event["Number"] <= progress.seen:
        return
    progress.seen = event["Number"]
    if "Outcome" in event:
        progress.outcome = event["Outcome"]
        return
    step, number = event["Step"], event["Try"]
    if progress.open_line != step:
        _end_line(progress)
        print(f"  {step:13}", end="")
    progress.open_line = ""
    progress.shown.add((number, step))
    took = f"{event['Milliseconds']} ms"
    if event["Error"] is None:
        print(f" done in {took}", flush=True)
        return
    message = _logged(aws, progress) or str(event["Error"])
    said = "as before" if message == progress.message else message
    print(f" failed after {took} (try {number}): {said}", flush=True)
    progress.message = message


def _logged(aws: Aws, progress: Progress) -> str:
    """Return the last failure in the function's log; empty if there is none."""
    try:
        pages = aws.logs.get_paginator("filter_log_events").paginate(
            logGroupName=_log_group(aws, progress.secret), startTime=int(progress.logged_since * 1000)
        )
        messages = [str(event["message"]) for page in pages for event in page["events"]]
    except ClientError:  # there is no function or no log
        return ""
    last = next((text for text in reversed(messages) if any(mark in text for mark in _FAILURES)), "")
    said = (last.partition("[ERROR] ")[2] or last).replace("\r", "\n")
    message = said.partition("\nTraceback (most recent call last)")[0].strip()
    return message.replace("\n", "\n    ")


def _log_group(aws: Aws, secret: Secret) -> str:
    configuration = aws.functions.get_function_configuration(FunctionName=secret.function)
    return str(configuration["LoggingConfig"]["LogGroup"])


def _unfinished(progress: Progress, limit: float) -> str:
    cause = f" Its last failure: {progress.message}" if progress.message else ""
    return (
        f"The rotation of {progress.secret.name} has not finished after {limit:g} s, and continues.{cause}\n"
        f"`make rotate` waits for it again, as long as {SECONDS_VARIABLE} says (60 seconds)."
    )
