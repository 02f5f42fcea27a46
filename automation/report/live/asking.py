"""Ask AWS about the secrets of a report, with what the status asks; never for a value.

DescribeSecret is asked for each secret that the report is about, not ListSecrets once: a list says nothing
of replicas, may be five minutes late, and cannot be allowed for some secrets alone, so a preview's role would
see the names and tags of the whole account. A pull request touches few secrets, and AWS answers 10,000 such
requests a second.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from automation.report.events import Event, read
from automation.report.judging import findings
from automation.report.live.comparing import keys_of
from automation.report.live.model import LiveKey, LiveSecret, Rotation, Snapshot
from automation.report.live.subjects import Subject, account_of, region_of, subjects
from automation.report.steps import PROVIDER, Plan, merged
from automation.status.aws import Asking, Denied, Found, Key, asking
from automation.status.errors import CannotAskError
from components.policies import AWS_MANAGED_ALIAS

# Names of AWS's rules to those of the inputs of a SecretRotation.
_RULES = {
    "AutomaticallyAfterDays": "automaticallyAfterDays",
    "Duration": "duration",
    "ScheduleExpression": "scheduleExpression",
}


def snapshot(events: Iterable[Event | None]) -> Snapshot:
    """Return what AWS has now of the secrets that a preview is about, with the environment's credentials.

    Args:
        events: the preview's event log. Only secrets in it are asked for, by the ARNs in state.

    Returns:
        The snapshot. It says so if AWS could not be asked; nothing is raised for that.
    """
    plan, _ = merged(read(events).steps)
    about = subjects(plan, list(findings(plan)))
    keys = list(keys_of(plan))
    if not about and not keys:
        return Snapshot()
    region = _region(plan, about)
    if not region:
        return Snapshot(unavailable="the event log names no region")
    try:
        return _asked(asking(region), about, keys)
    except CannotAskError as error:
        return Snapshot(unavailable=str(error).partition("\n")[0])


def _asked(aws: Asking, about: list[Subject], keys: list[str]) -> Snapshot:
    accounts = {account for one in about if (account := account_of(one.identifier))}
    account = aws.caller().account_id
    if accounts and account not in accounts:
        return Snapshot(
            unavailable=f"the credentials are of account {account}, and the stack's secrets of another one"
        )
    found = aws.secrets((one.identifier for one in about), policies=True)
    secrets = {identifier: _secret(one) for identifier, one in found.items()}
    names = {name for one in secrets.values() if (name := one.kms_key)}
    names |= {
        name for one in about if one.secret and (name := str(one.secret.new.inputs.get("kmsKeyId") or ""))
    }
    described = aws.keys(sorted(name for name in {*names, *keys} if name.startswith(("arn:", "alias/"))))
    return Snapshot(
        asked_at=datetime.now(UTC),
        secrets=secrets,
        keys={
            name: LiveKey(arn=key.arn, state=key.state)
            for name, key in described.items()
            if isinstance(key, Key)
        },
        denied=tuple(sorted(_denied(about, found, described))),
    )


def _denied(
    about: Iterable[Subject], found: Mapping[str, Found], keys: Mapping[str, Key | Denied]
) -> set[str]:
    """Return what the caller may not ask.

    A role that may describe some ARNs alone may be denied an answer about a name that no secret has, so a
    denial says nothing of a secret that the update creates.
    """
    answers: list[object] = [*keys.values()]
    for one in about:
        if not one.created and (answer := found.get(one.identifier)):
            answers += [answer.described, answer.policy]
    return {answer.action for answer in answers if isinstance(answer, Denied)}


def _secret(found: Found) -> LiveSecret:
    described = found.described
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
        policy=_policy(found),
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


def _policy(found: Found) -> str | None:
    if isinstance(found.policy, Denied):
        return None
    return json.dumps(found.policy) if found.policy else ""


def _day(moment: object) -> date | None:
    return moment.date() if isinstance(moment, datetime) else None


def _region(plan: Plan, about: Iterable[Subject]) -> str:
    """Return where the secrets are; for a stack that is new, where its provider is."""
    regions = [region for one in about if (region := region_of(one.identifier))]
    regions += [
        str(step.new.inputs["region"])
        for step in plan.steps
        if step.type == PROVIDER and step.new.inputs.get("region")
    ]
    return next(iter(regions), "")
