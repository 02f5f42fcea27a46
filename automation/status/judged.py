"""One secret: what is declared beside what AWS says, and what of it wants attention."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from automation.status import drift, rotation
from automation.status.aws import Denied, Found, Key
from automation.status.declared import Declared, Existing, IgnoredTags
from automation.status.masters import Unknown
from automation.status.model import Difference, Placeholder, Problem, Reader, Rotation, Secret
from automation.status.rotation import shown, version_with
from components.policies import AWS_MANAGED_ALIAS
from components.versions import INITIAL_VERSION_LABEL, UNFILLED_LABEL
from program.making import Account

Filled = Literal["waiting", "filled", "unclear", "not-by-hand", "unknown"]

_WHOLE = {"text": "Its text", "binary": "Its binary value"}
_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All that AWS said.

    Attributes:
        found: by the secret's name.
        keys: by every name that a KMS key goes by.
        versions: ARN of a secret to its versions' dates, of those secrets that are in doubt.
        ignored_tags: tags that do not count.
        account: where.
        on_aws: whether it is AWS itself, whose console can be linked.
        now: the moment to judge for.
    """

    found: Mapping[str, Found]
    keys: Mapping[str, Key | Denied]
    versions: Mapping[str, rotation.Versions]
    ignored_tags: IgnoredTags
    account: Account
    on_aws: bool
    now: datetime


def secret_of(declared: Declared, answers: Answers) -> Secret:
    """The status of one secret."""
    found = answers.found[declared.name]
    described = found.described
    readers = tuple(Reader(workload=name, keys=keys) for name, keys in declared.reads.items())
    placeholders = tuple(Placeholder(key=key, hint=hint) for key, hint in declared.placeholders.items())
    if not isinstance(described, Mapping):
        presence, problem = _absent(described)
        return Secret(
            name=declared.name,
            path=declared.path,
            presence=presence,
            arn=None,
            console=None,
            content=declared.content,
            keys=declared.keys,
            placeholders=placeholders,
            filled="unknown" if placeholders else "not-by-hand",
            created=None,
            last_changed=None,
            deletion_after=None,
            rotation=None,
            drift=(),
            readers=readers,
            problems=(problem,),
        )
    console = _console(declared.name, answers)
    compared = drift.drift(declared, found, answers.keys, answers.ignored_tags)
    filled = _filled(declared, described)
    known = rotation.rotation_of(described)
    versions = answers.versions.get(str(described["ARN"]), {})
    problems = _unavailable(declared.name, described, answers.keys)
    deleted = described.get("DeletedDate")
    if known is not None and not deleted:
        known, wrong = rotation.judged(known, described, versions, answers.now)
        problems += wrong
    problems += _of_drift(declared.name, compared.differences, declared.replicas)
    problems += _of_replicas(described)
    if filled == "waiting":
        problems.append(_waiting(declared, console))
    refused = [versions.action] if isinstance(versions, Denied) else []
    problems += [_denied(action) for action in (*compared.denied, *refused)]
    return Secret(
        name=declared.name,
        path=declared.path,
        presence="deletion-scheduled" if deleted else "present",
        arn=str(described["ARN"]),
        console=console,
        content=declared.content,
        keys=declared.keys,
        placeholders=placeholders,
        filled=filled,
        created=described.get("CreatedDate"),
        last_changed=described.get("LastChangedDate"),
        deletion_after=deleted,
        rotation=known,
        drift=compared.differences,
        readers=readers,
        problems=tuple(problems),
        partner=described.get("Type"),
    )


def existing_secret_of(declared: Existing, answers: Answers) -> Secret:
    """Return the status of a secret that the stack does not make; at most its rotation is declared."""
    readers = tuple(Reader(workload=name, keys=keys) for name, keys in declared.reads.items())
    described = None if declared.foreign else answers.found[declared.name].described
    secret = replace(
        _existing(declared.name, declared.path),
        arn=declared.name if declared.foreign else None,
        keys=declared.keys,
        readers=readers,
    )
    if declared.foreign:
        return secret
    if described is None:
        text = "AWS has no secret of this name, and this stack does not make it"
        remedy = "Have it made where it belongs, or name another one in the stack file."
        missing = Problem(kind="unavailable", text=text, remedy=remedy)
        return replace(secret, presence="missing", problems=(missing,))
    if isinstance(described, Denied):
        return replace(secret, problems=(_denied(described.action),))
    deleted = described.get("DeletedDate")
    known, wrong = _rotation(described, answers)
    compared = drift.rotation(declared.schedule, described) if declared.rotation_declared else ()
    differences = tuple(compared)
    return replace(
        secret,
        presence="deletion-scheduled" if deleted else "present",
        arn=str(described["ARN"]),
        console=_console(declared.name, answers),
        created=described.get("CreatedDate"),
        last_changed=described.get("LastChangedDate"),
        deletion_after=deleted,
        rotation=known,
        drift=differences,
        problems=(
            *_unavailable(declared.name, described, answers.keys, existing=True),
            *wrong,
            *_of_drift(declared.name, differences, {}),
        ),
        managed_by=described.get("OwningService"),
        partner=described.get("Type"),
    )


def _existing(name: str, path: str, **known: Any) -> Secret:  # noqa: ANN401  fields of Secret
    """Return a secret that the stack does not make and of which no more is known than this."""
    unknown: dict[str, Any] = {
        "presence": "unknown",
        "arn": None,
        "console": None,
        "content": "keys",
        "keys": (),
        "placeholders": (),
        "filled": "not-by-hand",
        "created": None,
        "last_changed": None,
        "deletion_after": None,
        "rotation": None,
        "drift": (),
        "readers": (),
        "problems": (),
        "existing": True,
    }
    return Secret(name=name, path=path, **{**unknown, **known})


def unknown_master(unknown: Unknown) -> Secret:
    """Return the status of a master secret that could not be found, whose rotation is declared."""
    missing = Problem(
        kind="unavailable",
        text=f"RDS has no database {unknown.name}, or does not manage its master user's password",
        remedy="Let RDS manage it (--manage-master-user-password), or remove masterRotation.",
    )
    return _existing(
        f"master user of {unknown.name}",
        unknown.path,
        presence="unknown" if unknown.why else "missing",
        managed_by="rds",
        problems=(_denied(unknown.why.action) if unknown.why else missing,),
    )


def _rotation(described: Mapping[str, Any], answers: Answers) -> tuple[Rotation | None, list[Problem]]:
    """Return how it rotates, and what is wrong with that."""
    known = rotation.rotation_of(described)
    if known is None or described.get("DeletedDate"):
        return known, []
    versions = answers.versions.get(str(described["ARN"]), {})
    known, wrong = rotation.judged(known, described, versions, answers.now)
    return known, wrong + ([_denied(versions.action)] if isinstance(versions, Denied) else [])


def _absent(described: Denied | None) -> tuple[Literal["unknown", "missing"], Problem]:
    if isinstance(described, Denied):
        return "unknown", _denied(described.action)
    return "missing", Problem(
        kind="unavailable",
        text="AWS has no secret of this name",
        remedy="pulumi up --refresh makes it. If it was there before, its value is lost.",
    )


def _denied(action: str) -> Problem:
    return Problem(
        kind="unknown",
        text=f"These credentials may not call {action} on it",
        remedy="Allow it: docs/status.md lists what a status needs.",
    )


def _console(name: str, answers: Answers) -> str | None:
    if not answers.on_aws:
        return None
    region = answers.account.region
    domain = _CONSOLES.get(answers.account.partition, "console.aws.amazon.com")
    return f"https://{region}.{domain}/secretsmanager/secret?name={quote(name, safe='')}&region={region}"


def _filled(declared: Declared, described: Mapping[str, Any]) -> Filled:
    """By labels alone; an edit of one key counts for all keys of a secret."""
    if not declared.placeholders:
        return "not-by-hand"
    untouched = [version_with(label, described) for label in (INITIAL_VERSION_LABEL, UNFILLED_LABEL)]
    if version_with("AWSCURRENT", described) in untouched:
        return "waiting"
    return "unclear" if described.get("LastRotatedDate") else "filled"


def _waiting(declared: Declared, console: str | None) -> Problem:
    keys = ", ".join(declared.placeholders) if declared.content == "keys" else _WHOLE[declared.content]
    hints = "; ".join(dict.fromkeys(declared.placeholders.values()))
    where = f"fill it at {console}" if console else "fill it in AWS, as the README says"
    if declared.content == "binary":  # which the console does not show
        where = (
            f"aws secretsmanager put-secret-value --secret-id {declared.name} --secret-binary fileb://FILE"
        )
    return Problem(
        kind="waiting",
        text=f"{keys} {'waits' if len(declared.placeholders) == 1 else 'wait'} for a person",
        remedy=f"Get it here: {hints}. Then {where}.",
    )


def _unavailable(
    name: str, described: Mapping[str, Any], keys: Mapping[str, Key | Denied], *, existing: bool = False
) -> list[Problem]:
    problems = []
    deleted = described.get("DeletedDate")
    if deleted:
        text = f"Its deletion is scheduled for {shown(deleted)}; nobody can read it"
        remedy = f"Have it back: aws secretsmanager restore-secret --secret-id {name}"
        problems.append(Problem(kind="unavailable", text=text, remedy=remedy))
    elif version_with("AWSCURRENT", described) is None:
        text = "It has no current version; nobody can read it"
        initial = version_with(INITIAL_VERSION_LABEL, described)
        remedy = (
            "Give it a value where it is made: this stack does not make it."
            if existing
            else "An update was interrupted: pulumi up continues it. See docs/recovery.md."
            if initial is None
            else "Make its initial version current: aws secretsmanager update-secret-version-stage "
            f"--secret-id {name} --version-stage AWSCURRENT --move-to-version-id {initial}"
        )
        problems.append(Problem(kind="unavailable", text=text, remedy=remedy))
    key = keys.get(str(described.get("KmsKeyId")))
    if isinstance(key, Key) and not key.usable:
        text = f"Its KMS key cannot be used ({key.state}); nobody can read it"
        remedy = (
            f'Have the key back: docs/recovery.md, "A refresh fails with DecryptionFailure". Key: {key.arn}'
        )
        problems.append(Problem(kind="unavailable", text=text, remedy=remedy))
    return problems


def _of_drift(name: str, differences: tuple[Difference, ...], replicas: Mapping[str, str]) -> list[Problem]:
    problems = []
    for one in differences:
        remedy = (
            "pulumi up --refresh writes what the stack file says. If AWS is right, change the stack file."
        )
        if one.what == "encryption" and one.declared == "aws-managed":
            remedy = (
                "The provider does not take a key away: aws secretsmanager update-secret --secret-id "
                f"{name} --kms-key-id {AWS_MANAGED_ALIAS}"
            )
        elif one.what == "type":
            remedy = (
                "AWS gives a secret its type for good: add one with another name, move its readers there, "
                "and then remove this one."
            )
        elif one.what == "replicas" and one.declared.startswith("none"):
            region = one.actual.partition(" ")[0]
            remedy = (
                "pulumi up --refresh deletes this copy, because the stack file has others. If AWS is "
                "right, add it to the stack file."
                if replicas
                else "The provider leaves copies where the stack file has none: aws secretsmanager "
                f"remove-regions-from-replication --secret-id {name} "
                f"--remove-replica-regions {region}"
            )
        verb = "differ" if one.what in {"tags", "replicas"} else "differs"
        text = f"The {one.what} {verb}: the stack file has {one.declared}, AWS has {one.actual}"
        problems.append(Problem(kind="drift", text=text, remedy=remedy))
    return problems


def _of_replicas(described: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            kind="drift",
            text=f"The replica in {replica['Region']} failed: {replica.get('StatusMessage') or 'unknown'}",
            remedy="Remove the cause, then replicate again: aws secretsmanager replicate-secret-to-regions.",
        )
        for replica in described.get("ReplicationStatus") or ()
        if replica.get("Status") == "Failed"
    ]
