"""Event logs of one secret, small enough to read, for tests of the comparison with AWS."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from automation.report import Danger, Report, Text, report
from automation.report.live.model import LiveKey, LiveSecret, Snapshot
from automation.report.model import plain

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
OTHER_KEY = "arn:aws:kms:us-east-1:123456789012:key/2"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation"
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
_PREFIX = "urn:pulumi:test::aws-secrets::aws-secrets:index:Secret"
_TYPES = {
    "secret": "aws:secretsmanager/secret:Secret",
    "policy": "aws:secretsmanager/secretPolicy:SecretPolicy",
    "rotation": "aws:secretsmanager/secretRotation:SecretRotation",
}
COMPONENT = f"{_PREFIX}::app"
Inputs = Mapping[str, Any]


def policy(*principals: str) -> str:
    """A resource policy that lets these roles read."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::210987654321:role/{name}" for name in principals]},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def step(role: str, old: Inputs | None, new: Inputs | None, *, op: str | None = None) -> dict[str, Any]:
    """The engine's event for a part of the secret; what it does follows from what differs."""
    ops = {(True, False): "create", (False, True): "delete"}
    chosen = op or ops.get((old is None, new is None)) or ("same" if old == new else "update")
    outputs = {"arn": ARN} if role == "secret" else {}
    return {
        "resourcePreEvent": {
            "metadata": {
                "op": chosen,
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
    """A whole log of these steps and the component that they are part of."""
    component = {"inputs": {}, "outputs": {}, "parent": "", "custom": False}
    owner = {"op": "same", "urn": COMPONENT, "type": "aws-secrets:index:Secret", "logical": True}
    events = [{"resourcePreEvent": {"metadata": {**owner, "old": component, "new": component}}}, *steps]
    counts: dict[str, int] = {}
    for event in events:
        op = str(event["resourcePreEvent"]["metadata"]["op"])
        counts[op] = counts.get(op, 0) + 1
    summary = {"isPreview": True, "resourceChanges": counts, "result": "succeeded"}
    return [{"preludeEvent": {"config": {}}}, *events, {"summaryEvent": summary}]


def snapshot(live: LiveSecret | None, *, identifier: str = ARN, **more: Any) -> Snapshot:  # noqa: ANN401  fields
    """What AWS says of the secret; None if it was not asked about it."""
    keys = {name: LiveKey(arn=name, state="Enabled") for name in (KEY, OTHER_KEY)}
    secrets = {} if live is None else {identifier: live}
    return Snapshot(**{"asked_at": NOW, "secrets": secrets, "keys": keys, **more})


def compared(events: list[dict[str, Any]], answers: Snapshot) -> Report:
    """The report with AWS's side; it must not be incomplete for it."""
    made = report(events, live=answers)
    assert made.complete, made.problems
    return made


def said(made: Report) -> dict[str, str]:
    """Kind of danger, or `change`, to what is said, for what the comparison adds."""
    found: list[tuple[str, Text]] = [(danger.kind.value, danger.text) for danger in made.dangers]
    found += [("change", change.text) for change in made.changes]
    return {kind: plain(text) for kind, text in found if "in AWS" in plain(text) or "AWS " in plain(text)}


def dangers(made: Report) -> list[Danger]:
    return list(made.dangers)
