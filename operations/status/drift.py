"""Compare a secret in AWS with its declaration in the stack file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.policies import AWS_MANAGED_ALIAS
from operations.status import policies
from operations.status.aws import AwsSecret, Denied, KmsKey
from operations.status.declared import DeclaredSecret, IgnoredTags, Schedule
from operations.status.model import Difference

_AWS_MANAGED = "aws-managed"
_NOTHING = "none"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The result of a comparison.

    Attributes:
        differences: every setting that differs.
        denied: actions that the caller lacks the permission for, so that some settings were not compared.
    """

    differences: tuple[Difference, ...]
    denied: tuple[str, ...]


def drift(
    declared: DeclaredSecret, found: AwsSecret, keys: Mapping[str, KmsKey | Denied], ignored: IgnoredTags
) -> Drift:
    """Compare a secret; one that is missing or must not be described has no differences.

    Args:
        declared: in the stack file.
        found: in AWS.
        keys: KMS keys by every identifier that either side uses.
        ignored: tags that are not compared.
    """
    described = found.described
    if described is None or isinstance(described, Denied):
        return Drift(differences=(), denied=())
    denied = [found.policy.action] if isinstance(found.policy, Denied) else []
    key, key_denied = _encryption(declared, described, keys)
    differences = [
        *_description(declared, described),
        *_tags(declared, described, ignored),
        *key,
        *rotation(declared.schedule, described),
        *_partner(declared, described),
        *([] if denied or not found.policy_requested else _policy(declared, found)),
        *_replicas(declared, described),
    ]
    return Drift(differences=tuple(differences), denied=(*denied, *key_denied))


def _description(declared: DeclaredSecret, described: Mapping[str, Any]) -> Iterator[Difference]:
    actual = str(described.get("Description") or "")
    if not re.fullmatch(declared.description, actual, re.DOTALL):
        yield Difference(
            what="description", declared=_quoted(declared.description_in_words), actual=_quoted(actual)
        )


def _quoted(text: str) -> str:
    return f'"{text}"' if text else _NOTHING


def _tags(
    declared: DeclaredSecret, described: Mapping[str, Any], ignored: IgnoredTags
) -> Iterator[Difference]:
    tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in described.get("Tags") or ()}
    for key in sorted({*tags, *declared.tags}):
        if tags.get(key) != declared.tags.get(key) and not ignored.matches(key):
            yield Difference(what="tags", declared=_tag(declared.tags, key), actual=_tag(tags, key))


def _tag(tags: Mapping[str, str], key: str) -> str:
    return f"{key}={tags[key]}" if key in tags else f"no {key}"


def _encryption(
    declared: DeclaredSecret, described: Mapping[str, Any], keys: Mapping[str, KmsKey | Denied]
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


def _key_arn(name: str, keys: Mapping[str, KmsKey | Denied]) -> str:
    known = keys.get(name)
    return known.arn if isinstance(known, KmsKey) else name


def rotation(schedule: Schedule | None, described: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare a rotation; a schedule of None declares that the secret does not rotate."""
    enabled = bool(described.get("RotationEnabled"))
    rules = described.get("RotationRules") or {}
    if schedule is None:
        if enabled:
            yield Difference(what="rotation", declared="off", actual=f"on, {in_words(rules)}")
        return
    expected = {
        "AutomaticallyAfterDays": schedule.days,
        "ScheduleExpression": schedule.expression,
        "Duration": schedule.duration,
    }
    if not enabled:
        yield Difference(what="rotation", declared=f"on, {in_words(expected)}", actual="off")
        return
    # AWS computes the days of an expression
    compared = [key for key in expected if key != "AutomaticallyAfterDays" or schedule.days is not None]
    if any(rules.get(key) != expected[key] for key in compared):
        yield Difference(what="rotation", declared=in_words(expected), actual=in_words(rules))
    function = str(described.get("RotationLambdaARN") or _NOTHING)
    if schedule.function_arn is not None:
        if function != schedule.function_arn:
            yield Difference(what="rotation", declared=schedule.function_arn, actual=function)
    elif schedule.function_names and not re.fullmatch(schedule.function_names, function.rpartition(":")[2]):
        yield Difference(what="rotation", declared="a function of this stack", actual=function)


def _partner(declared: DeclaredSecret, described: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare type, metadata and role; the name of a role that the stack creates is not known here."""
    partner, actual = declared.partner, str(described.get("Type") or _NOTHING)
    expected = partner.type if partner else _NOTHING
    if actual != expected:
        yield Difference(what="type", declared=expected, actual=actual)
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
    """Return RotationRules as a schedule for people."""
    days = rules.get("AutomaticallyAfterDays")
    often = rules.get("ScheduleExpression") or (f"every {days} days" if days else "no schedule")
    window = rules.get("Duration")
    return f"{often}, within {window}" if window else str(often)


def _policy(declared: DeclaredSecret, found: AwsSecret) -> Iterator[Difference]:
    actual = None if isinstance(found.policy, Denied) else found.policy
    only_declared, only_actual = policies.differences(declared.policy, actual)
    if only_declared or only_actual:
        yield Difference(what="policy", declared=_listed(only_declared), actual=_listed(only_actual))


def _listed(statements: list[str]) -> str:
    return "; ".join(statements) or "no such statement"


def _replicas(declared: DeclaredSecret, described: Mapping[str, Any]) -> Iterator[Difference]:
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
