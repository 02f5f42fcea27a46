"""Query AWS for the metadata of the secrets in a report, never for a value.

It calls DescribeSecret for each secret in the report instead of ListSecrets once: a list has no replicas, can
be five minutes out of date, and cannot be restricted to some secrets, so it would show the names and tags of
the whole account to a preview's role. A pull request touches few secrets, and AWS answers 10,000 requests a
second.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from components.policies import AWS_MANAGED_ALIAS
from operations.report.events import Event, read
from operations.report.live.comparison import keys_of
from operations.report.live.model import LiveKey, LiveSecret, Rotation, Snapshot
from operations.report.live.subjects import Subject, account_of, region_of, subjects
from operations.report.rules import findings
from operations.report.steps import PROVIDER, Plan, build_plan
from operations.status.aws import AwsSecret, AwsSession, Denied, KmsKey, connect
from operations.status.errors import QueryError

# AWS's names of rotation rules to the names of SecretRotation's inputs.
_RULES = {
    "AutomaticallyAfterDays": "automaticallyAfterDays",
    "Duration": "duration",
    "ScheduleExpression": "scheduleExpression",
}


def snapshot(events: Iterable[Event | None]) -> Snapshot:
    """Return the current settings of the secrets in a report, with credentials from the environment.

    Args:
        events: the preview's events. Only secrets in them are queried, by the ARNs in state.

    Returns:
        The snapshot; an unavailable one with the reason if AWS cannot be queried.
    """
    plan, _ = build_plan(read(events).steps)
    selected = subjects(plan, list(findings(plan)))
    keys = list(keys_of(plan))
    if not selected and not keys:
        return Snapshot()
    region = _region(plan, selected)
    if not region:
        return Snapshot(unavailable="the event log does not name a region")
    try:
        return _query(connect(region), selected, keys)
    except QueryError as error:
        return Snapshot(unavailable=str(error).partition("\n")[0])


def _query(aws: AwsSession, selected: list[Subject], keys: list[str]) -> Snapshot:
    accounts = {account for one in selected if (account := account_of(one.identifier))}
    account = aws.caller().account_id
    if accounts and account not in accounts:
        return Snapshot(
            unavailable=f"the credentials are for account {account}, but the secrets are in another account"
        )
    answers = aws.secrets((one.identifier for one in selected), policies=True)
    secrets = {identifier: _secret(one) for identifier, one in answers.items()}
    names = {name for one in secrets.values() if (name := one.kms_key)}
    names |= {
        name for one in selected if one.secret and (name := str(one.secret.new.inputs.get("kmsKeyId") or ""))
    }
    described = aws.keys(sorted(name for name in {*names, *keys} if name.startswith(("arn:", "alias/"))))
    return Snapshot(
        asked_at=datetime.now(UTC),
        secrets=secrets,
        keys={
            name: LiveKey(arn=key.arn, state=key.state)
            for name, key in described.items()
            if isinstance(key, KmsKey)
        },
        denied=tuple(sorted(_denied(selected, answers, described))),
    )


def _denied(
    selected: Iterable[Subject], answers: Mapping[str, AwsSecret], keys: Mapping[str, KmsKey | Denied]
) -> set[str]:
    """Return the actions that AWS denies to the caller.

    A denial for a secret that the update creates does not count: AWS may deny a role that is allowed specific
    ARNs an answer about a name that does not exist.
    """
    responses: list[object] = [*keys.values()]
    for one in selected:
        if not one.created and (answer := answers.get(one.identifier)):
            responses += [answer.described, answer.policy]
    return {response.action for response in responses if isinstance(response, Denied)}


def _secret(answer: AwsSecret) -> LiveSecret:
    described = answer.described
    if described is None:
        return LiveSecret(presence="missing")
    if isinstance(described, Denied):
        return LiveSecret(presence="denied")
    if described.get("DeletedDate"):
        return LiveSecret(presence="deletion-scheduled", deletion_after=_day(described["DeletedDate"]))
    return LiveSecret(
        presence="present",
        description=str(described.get("Description") or ""),
        tags={str(tag["Key"]): str(tag.get("Value", "")) for tag in described.get("Tags") or ()},
        kms_key=_key(described),
        replicas={
            str(replica["Region"]): _key(replica) for replica in described.get("ReplicationStatus") or ()
        },
        rotation=_rotation(described),
        policy=_policy(answer),
        last_read=_day(described.get("LastAccessedDate")),
    )


def _key(described: Mapping[str, Any]) -> str:
    key = str(described.get("KmsKeyId") or "")
    return "" if key.endswith(AWS_MANAGED_ALIAS) else key


def _rotation(described: Mapping[str, Any]) -> Rotation | None:
    if not described.get("RotationEnabled"):
        return None
    rules = described.get("RotationRules") or {}
    return Rotation(
        rules={ours: rules[theirs] for theirs, ours in _RULES.items() if theirs in rules},
        function=str(described.get("RotationLambdaARN") or ""),
    )


def _policy(answer: AwsSecret) -> str | None:
    if isinstance(answer.policy, Denied):
        return None
    return json.dumps(answer.policy) if answer.policy else ""


def _day(moment: object) -> date | None:
    return moment.date() if isinstance(moment, datetime) else None


def _region(plan: Plan, selected: Iterable[Subject]) -> str:
    """Return the secrets' region; the provider's region for a new stack."""
    regions = [region for one in selected if (region := region_of(one.identifier))]
    regions += [
        str(step.new.inputs["region"])
        for step in plan.steps
        if step.type == PROVIDER and step.new.inputs.get("region")
    ]
    return next(iter(regions), "")
