"""What AWS has otherwise than the stack file declares it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from automation.status import policies
from automation.status.aws import Denied, Found, Key
from automation.status.declared import Declared, IgnoredTags, Schedule
from automation.status.model import Difference
from components.policies import AWS_MANAGED_ALIAS

_AWS_MANAGED = "aws-managed"
_NOTHING = "none"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What differs, and what could not be compared.

    Attributes:
        differences: all that there are.
        denied: operations that the caller may not call.
    """

    differences: tuple[Difference, ...]
    denied: tuple[str, ...]


def drift(declared: Declared, found: Found, keys: Mapping[str, Key | Denied], ignored: IgnoredTags) -> Drift:
    """Of a secret that is there.

    Args:
        declared: by the stack file.
        found: in AWS.
        keys: KMS keys by every name that either of the two has for them.
        ignored: tags that do not count.
    """
    described = found.described
    if described is None or isinstance(described, Denied):
        return Drift(differences=(), denied=())
    denied = [asked.action for asked in (found.policy,) if isinstance(asked, Denied)]
    key, refused = _encryption(declared, described, keys)
    differences = [
        *_description(declared, described),
        *_tags(declared, described, ignored),
        *key,
        *rotation(declared.schedule, described),
        *_partner(declared, described),
        *([] if denied or not found.policy_asked else _policy(declared, found)),
        *_replicas(declared, described),
    ]
    return Drift(differences=tuple(differences), denied=(*denied, *refused))


def _description(declared: Declared, described: Mapping[str, Any]) -> Iterator[Difference]:
    actual = str(described.get("Description") or "")
    if not re.fullmatch(declared.description, actual, re.DOTALL):
        yield Difference(
            what="description", declared=_quoted(declared.description_in_words), actual=_quoted(actual)
        )


def _quoted(text: str) -> str:
    return f'"{text}"' if text else _NOTHING


def _tags(declared: Declared, described: Mapping[str, Any], ignored: IgnoredTags) -> Iterator[Difference]:
    tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in described.get("Tags") or ()}
    for key in sorted({*tags, *declared.tags}):
        if tags.get(key) != declared.tags.get(key) and not ignored.has(key):
            yield Difference(what="tags", declared=_tag(declared.tags, key), actual=_tag(tags, key))


def _tag(tags: Mapping[str, str], key: str) -> str:
    return f"{key}={tags[key]}" if key in tags else f"no {key}"


def _encryption(
    declared: Declared, described: Mapping[str, Any], keys: Mapping[str, Key | Denied]
) -> tuple[list[Difference], list[str]]:
    actual = str(described.get("KmsKeyId") or _AWS_MANAGED)
    if actual.endswith(AWS_MANAGED_ALIAS):
        actual = _AWS_MANAGED
    if _key_arn(actual, keys) == _key_arn(declared.encryption, keys):
        return [], []
    denied = [
        known.action
        for known in (keys.get(name) for name in (actual, declared.encryption))
        if isinstance(known, Denied)
    ]
    if denied and _AWS_MANAGED not in {actual, declared.encryption}:
        return [], denied[:1]
    return [Difference(what="encryption", declared=declared.encryption, actual=actual)], []


def _key_arn(name: str, keys: Mapping[str, Key | Denied]) -> str:
    known = keys.get(name)
    return known.arn if isinstance(known, Key) else name


def rotation(schedule: Schedule | None, described: Mapping[str, Any]) -> Iterator[Difference]:
    """Return how AWS rotates a secret otherwise than it is declared; None for a rotation that is off."""
    enabled = bool(described.get("RotationEnabled"))
    rules = described.get("RotationRules") or {}
    if schedule is None:
        if enabled:
            yield Difference(what="rotation", declared="off", actual=f"on, {in_words(rules)}")
        return
    wanted = {
        "AutomaticallyAfterDays": schedule.days,
        "ScheduleExpression": schedule.expression,
        "Duration": schedule.duration,
    }
    if not enabled:
        yield Difference(what="rotation", declared=f"on, {in_words(wanted)}", actual="off")
        return
    # of an expression AWS computes the days
    compared = [key for key in wanted if key != "AutomaticallyAfterDays" or schedule.days is not None]
    if any(rules.get(key) != wanted[key] for key in compared):
        yield Difference(what="rotation", declared=in_words(wanted), actual=in_words(rules))
    function = str(described.get("RotationLambdaARN") or _NOTHING)
    if schedule.function_arn is not None:
        if function != schedule.function_arn:
            yield Difference(what="rotation", declared=schedule.function_arn, actual=function)
    elif schedule.function_names and not re.fullmatch(schedule.function_names, function.rpartition(":")[2]):
        yield Difference(what="rotation", declared="a function of this stack", actual=function)


def _partner(declared: Declared, described: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare the type, and what AWS rotates with; a role that the stack makes has a name of its own."""
    partner, actual = declared.partner, str(described.get("Type") or _NOTHING)
    wanted = partner.type if partner else _NOTHING
    if actual != wanted:
        yield Difference(what="type", declared=wanted, actual=actual)
    if not partner or not partner.rotation.enabled or not described.get("RotationEnabled"):
        return
    items = described.get("ExternalSecretRotationMetadata") or ()
    metadata = {str(item["Key"]): str(item["Value"]) for item in items}
    if metadata != partner.metadata:
        yield Difference(what="partner", declared=_metadata(partner.metadata), actual=_metadata(metadata))
    role = str(described.get("ExternalSecretRotationRoleArn") or _NOTHING)
    if partner.role_arn and role != partner.role_arn:
        yield Difference(what="partner", declared=partner.role_arn, actual=role)


def _metadata(metadata: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(metadata.items())) or "no metadata"


def in_words(rules: Mapping[str, Any]) -> str:
    """RotationRules as a schedule."""
    days = rules.get("AutomaticallyAfterDays")
    often = rules.get("ScheduleExpression") or (f"every {days} days" if days else "no schedule")
    window = rules.get("Duration")
    return f"{often}, within {window}" if window else str(often)


def _policy(declared: Declared, found: Found) -> Iterator[Difference]:
    actual = None if isinstance(found.policy, Denied) else found.policy
    only_declared, only_actual = policies.differences(declared.policy, actual)
    if only_declared or only_actual:
        yield Difference(what="policy", declared=_listed(only_declared), actual=_listed(only_actual))


def _listed(statements: list[str]) -> str:
    return "; ".join(statements) or "no such statement"


def _replicas(declared: Declared, described: Mapping[str, Any]) -> Iterator[Difference]:
    actual = {
        str(replica["Region"]): _replica_key(replica) for replica in described.get("ReplicationStatus") or ()
    }
    for region in sorted({*actual, *declared.replicas}):
        if actual.get(region) != declared.replicas.get(region):
            yield Difference(
                what="replicas",
                declared=_replica(declared.replicas, region),
                actual=_replica(actual, region),
            )


def _replica_key(replica: Mapping[str, Any]) -> str:
    key = str(replica.get("KmsKeyId") or "")
    return _AWS_MANAGED if not key or key.endswith("aws/secretsmanager") else key


def _replica(replicas: Mapping[str, str], region: str) -> str:
    return f"{region} with {replicas[region]}" if region in replicas else f"none in {region}"
