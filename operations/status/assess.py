"""Assess a secret: compare its declaration with AWS's answers, and report what needs attention."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal
from urllib.parse import quote

from components.lambdas.notices import age
from components.policies import AWS_MANAGED_ALIAS
from components.version_labels import INITIAL_VERSION_LABEL, UNFILLED_LABEL
from operations.status import drift, rotation
from operations.status.aws import AwsSecret, Denied, KmsKey
from operations.status.declared import DeclaredSecret, ExistingSecret, IgnoredTags
from operations.status.errors import ALLOW, denial
from operations.status.master_secrets import UnresolvedMaster
from operations.status.model import Difference, Expiry, Placeholder, Problem, Reader, Rotation, Secret
from operations.status.rotation import format_utc, version_with
from operations.status.texts import KINDS
from program.arns import Account

Filled = Literal["waiting", "filled", "unclear", "not-by-hand", "unknown"]

_WHOLE = {"text": "The text", "binary": "The binary value"}
_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Everything that AWS returned for one status.

    Attributes:
        found: secrets by name.
        keys: KMS keys by every identifier that refers to them.
        versions: creation dates of versions by ARN of the secret, for those that need them.
        ignored_tags: tags that are not compared.
        account: the AWS account and region.
        on_aws: whether this is AWS itself, not an emulator: links to the console work.
        now: the moment to assess for.
    """

    found: Mapping[str, AwsSecret]
    keys: Mapping[str, KmsKey | Denied]
    versions: Mapping[str, rotation.Versions]
    ignored_tags: IgnoredTags
    account: Account
    on_aws: bool
    now: datetime


def assess_secret(declared: DeclaredSecret, answers: Answers) -> Secret:
    """Return the status of a secret that the stack declares."""
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
            max_age_days=declared.age.max_age_days,
            expires=_expires(declared),
        )
    console = _console(declared.name, answers)
    compared = drift.drift(declared, found, answers.keys, answers.ignored_tags)
    filled = _filled(declared, described)
    known = rotation.rotation_of(described)
    versions = answers.versions.get(str(described["ARN"]), {})
    problems = _unavailable(declared.name, described, answers.keys)
    deleted = described.get("DeletedDate")
    if known is not None and not deleted:
        known, found_problems = rotation.assess(known, described, versions, answers.now)
        problems += [*found_problems, *rotation.deferral_problems(described)]
    problems += _of_drift(declared.name, compared.differences, declared.replicas)
    problems += _of_replicas(described)
    if filled == "waiting":
        problems.append(_waiting(declared, console))
    created = None
    if declared.age.max_age_days and not isinstance(versions, Denied):
        created = versions.get(version_with("AWSCURRENT", described) or "")
        copied = rotation.deferral_of(described)
        if created and copied:  # a deferred rotation: the value is older than its version
            created = copied.written(created)
    if not deleted:
        aged = age.assess(declared.age, created, answers.now, waiting=filled == "waiting")
        problems += [Problem(kind=one.kind, text=one.text, remedy=one.remedy) for one in aged]
    denied = [*compared.denied, *([versions.action] if isinstance(versions, Denied) else [])]
    problems += map(_denied, denied)
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
        problems=tuple(sorted(problems, key=lambda problem: KINDS.index(problem.kind))),
        partner=described.get("Type"),
        last_accessed=described.get("LastAccessedDate"),
        value_created=created,
        max_age_days=declared.age.max_age_days,
        expires=_expires(declared),
    )


def _expires(declared: DeclaredSecret) -> tuple[Expiry, ...]:
    return tuple(Expiry(key=key, date=date.fromisoformat(day)) for key, day in declared.age.expires.items())


def assess_existing(declared: ExistingSecret, answers: Answers) -> Secret:
    """Return the status of a secret managed outside this stack, of which at most the rotation is declared."""
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
        text = "AWS has no secret with this name, and this stack does not create it"
        remedy = "Ask its owner to create it, or correct the name in the stack file."
        missing = Problem(kind="unavailable", text=text, remedy=remedy)
        return replace(secret, presence="missing", problems=(missing,))
    if isinstance(described, Denied):
        return replace(secret, problems=(_denied(described.action),))
    deleted = described.get("DeletedDate")
    known, rotation_problems = _rotation(described, answers)
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
            *rotation_problems,
            *_of_drift(declared.name, differences, {}),
        ),
        managed_by=described.get("OwningService"),
        partner=described.get("Type"),
        last_accessed=described.get("LastAccessedDate"),
    )


def _existing(name: str, path: str, **known: Any) -> Secret:  # noqa: ANN401  fields of Secret
    """Return a secret managed outside this stack, of which only these fields are known."""
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


def unresolved_master(master: UnresolvedMaster) -> Secret:
    """Return the status of a master secret that was not found although its rotation is declared."""
    missing = Problem(
        kind="unavailable",
        text=f"RDS has no database {master.name}, or does not manage its master password",
        remedy="Let RDS manage it (--manage-master-user-password), or remove masterRotation.",
    )
    return _existing(
        f"master user of {master.name}",
        master.path,
        presence="unknown" if master.why else "missing",
        managed_by="rds",
        problems=(_denied(master.why.action) if master.why else missing,),
    )


def _rotation(described: Mapping[str, Any], answers: Answers) -> tuple[Rotation | None, list[Problem]]:
    """Return the rotation, assessed, and its problems."""
    known = rotation.rotation_of(described)
    if known is None or described.get("DeletedDate"):
        return known, []
    versions = answers.versions.get(str(described["ARN"]), {})
    known, problems = rotation.assess(known, described, versions, answers.now)
    return known, problems + ([_denied(versions.action)] if isinstance(versions, Denied) else [])


def _absent(described: Denied | None) -> tuple[Literal["unknown", "missing"], Problem]:
    if isinstance(described, Denied):
        return "unknown", _denied(described.action)
    return "missing", Problem(
        kind="unavailable",
        text="AWS has no secret with this name",
        remedy="Run `pulumi up --refresh` to create it. If it existed before, its value is lost.",
    )


def _denied(action: str) -> Problem:
    return Problem(kind="unknown", text=denial(action), remedy=ALLOW)


def _console(name: str, answers: Answers) -> str | None:
    if not answers.on_aws:
        return None
    region = answers.account.region
    domain = _CONSOLES.get(answers.account.partition, "console.aws.amazon.com")
    return f"https://{region}.{domain}/secretsmanager/secret?name={quote(name, safe='')}&region={region}"


def _filled(declared: DeclaredSecret, described: Mapping[str, Any]) -> Filled:
    """Return whether somebody has filled in the value: an edit of one key counts for all keys of a secret."""
    if not declared.placeholders:
        return "not-by-hand"
    untouched = [version_with(label, described) for label in (INITIAL_VERSION_LABEL, UNFILLED_LABEL)]
    if version_with("AWSCURRENT", described) in untouched:
        return "waiting"
    return "unclear" if described.get("LastRotatedDate") else "filled"


def _waiting(declared: DeclaredSecret, console: str | None) -> Problem:
    keys = ", ".join(declared.placeholders) if declared.content == "keys" else _WHOLE[declared.content]
    hints = "; ".join(dict.fromkeys(declared.placeholders.values()))
    # no period after a URL: it would be copied with it
    how = f"fill it in here: {console}" if console else 'fill it in as in README.md, "Fill in a placeholder".'
    if declared.content == "binary":  # the console does not show binary values
        how = f"run `aws secretsmanager put-secret-value --secret-id {declared.name} --secret-binary fileb://FILE`."
    return Problem(
        kind="waiting",
        text=f"{keys} {'is' if len(declared.placeholders) == 1 else 'are'} not filled in yet",
        remedy=f"Get the value here: {hints}. Then {how}",
    )


def _unavailable(
    name: str, described: Mapping[str, Any], keys: Mapping[str, KmsKey | Denied], *, existing: bool = False
) -> list[Problem]:
    problems = []
    deleted = described.get("DeletedDate")
    if deleted:
        text = f"Its deletion is scheduled for {format_utc(deleted)}; nobody can read it"
        remedy = f"Restore it: `aws secretsmanager restore-secret --secret-id {name}`."
        problems.append(Problem(kind="unavailable", text=text, remedy=remedy))
    elif version_with("AWSCURRENT", described) is None:
        text = "It has no current version; nobody can read it"
        initial = version_with(INITIAL_VERSION_LABEL, described)
        remedy = (
            "Ask its owner to give it a value: this stack does not create it."
            if existing
            else "An update was interrupted: run `pulumi up` to complete it, see docs/recovery.md."
            if initial is None
            else "Make its initial version current: `aws secretsmanager update-secret-version-stage "
            f"--secret-id {name} --version-stage AWSCURRENT --move-to-version-id {initial}`."
        )
        problems.append(Problem(kind="unavailable", text=text, remedy=remedy))
    key = keys.get(str(described.get("KmsKeyId")))
    if isinstance(key, KmsKey) and not key.usable:
        text = f"Its KMS key is unusable ({key.state}); nobody can read it"
        remedy = f'Restore the key {key.arn}: see docs/recovery.md, "A refresh fails with DecryptionFailure".'
        problems.append(Problem(kind="unavailable", text=text, remedy=remedy))
    return problems


def _of_drift(name: str, differences: tuple[Difference, ...], replicas: Mapping[str, str]) -> list[Problem]:
    problems = []
    for one in differences:
        remedy = "Run `pulumi up --refresh` to apply the stack file. If AWS is right, change the stack file."
        if one.what == "encryption" and one.declared == "aws-managed":
            remedy = (
                "The provider does not remove a key. Run `aws secretsmanager update-secret --secret-id "
                f"{name} --kms-key-id {AWS_MANAGED_ALIAS}`."
            )
        elif one.what == "type":
            remedy = (
                "The type of a secret cannot change: add a secret with another name, move the readers to it, "
                "then remove this one."
            )
        elif one.what == "replicas" and one.declared.startswith("none"):
            region = one.actual.partition(" ")[0]
            remedy = (
                "Run `pulumi up --refresh` to delete this replica. If AWS is right, add it to the stack file."
                if replicas
                else "The provider keeps replicas if the stack file declares none. Run `aws secretsmanager "
                f"remove-regions-from-replication --secret-id {name} --remove-replica-regions {region}`."
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
            remedy="Fix the cause, then run `aws secretsmanager replicate-secret-to-regions`.",
        )
        for replica in described.get("ReplicationStatus") or ()
        if replica.get("Status") == "Failed"
    ]
