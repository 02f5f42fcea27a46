"""Small event logs of one secret, for tests of the comparison with AWS."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from components import tokens
from operations.report import Danger, Report, report
from operations.report.live.model import LiveKey, LiveSecret, Snapshot
from operations.report.model import plain

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
OTHER_KEY = "arn:aws:kms:us-east-1:123456789012:key/2"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation"
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
_PREFIX = f"urn:pulumi:test::aws-secrets::{tokens.SECRET}"
_TYPES = {
    "secret": "aws:secretsmanager/secret:Secret",
    "policy": "aws:secretsmanager/secretPolicy:SecretPolicy",
    "rotation": "aws:secretsmanager/secretRotation:SecretRotation",
}
COMPONENT = f"{_PREFIX}::app"
Inputs = Mapping[str, Any]


def policy(*principals: str) -> str:
    """Return a resource policy that lets these roles read."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::210987654321:role/{name}" for name in principals]},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def step(role: str, old: Inputs | None, new: Inputs | None, *, op: str | None = None) -> dict[str, Any]:
    """Return the engine's event for one resource of the secret.

    Args:
        role: secret, policy or rotation.
        old: its inputs before the update; None if it does not exist.
        new: its inputs after the update; None if it is deleted.
        op: the operation; by default the one that follows from the inputs.
    """
    ops = {(True, False): "create", (False, True): "delete"}
    operation = op or ops.get((old is None, new is None)) or ("same" if old == new else "update")
    outputs = {"arn": ARN} if role == "secret" else {}
    return {
        "resourcePreEvent": {
            "metadata": {
                "op": operation,
                "urn": f"{_PREFIX}${_TYPES[role]}::app-{role}",
                "type": _TYPES[role],
                "logical": True,
                "old": None if old is None else _state(old, {**old, **outputs}),
                "new": None if new is None else _state(new, {}),
            }
        }
    }


def _state(inputs: Inputs, outputs: Inputs) -> dict[str, Any]:
    return {"inputs": dict(inputs), "outputs": dict(outputs), "parent": COMPONENT, "custom": True}


def log(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a complete log of these steps and their component."""
    component = {"inputs": {}, "outputs": {}, "parent": "", "custom": False}
    owner = {"op": "same", "urn": COMPONENT, "type": tokens.SECRET, "logical": True}
    events = [{"resourcePreEvent": {"metadata": {**owner, "old": component, "new": component}}}, *steps]
    counts: dict[str, int] = {}
    for event in events:
        op = str(event["resourcePreEvent"]["metadata"]["op"])
        counts[op] = counts.get(op, 0) + 1
    summary = {"isPreview": True, "resourceChanges": counts, "result": "succeeded"}
    return [{"preludeEvent": {"config": {}}}, *events, {"summaryEvent": summary}]


def snapshot(live: LiveSecret | None, *, identifier: str = ARN, **more: Any) -> Snapshot:
    """Return a snapshot with AWS's answer about the secret; None if it was not queried."""
    keys = {name: LiveKey(arn=name, state="Enabled") for name in (KEY, OTHER_KEY)}
    secrets = {} if live is None else {identifier: live}
    return Snapshot(**{"asked_at": NOW, "secrets": secrets, "keys": keys, **more})


def compared(events: list[dict[str, Any]], answers: Snapshot) -> Report:
    """Return the report with the comparison, which must not make it incomplete."""
    found = report(events, live=answers)
    assert found.complete, found.problems
    return found


def added(events: list[dict[str, Any]], answers: Snapshot) -> dict[str, str]:
    """Return the findings that the comparison adds: kind of danger, or `change`, to text."""
    without = report(events).findings
    return {
        finding.kind.value if isinstance(finding, Danger) else "change": plain(finding.text)
        for finding in compared(events, answers).findings
        if finding not in without
    }
