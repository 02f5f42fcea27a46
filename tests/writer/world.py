"""The emulator's Secrets Manager in this process, its history, and everybody who writes there."""

import base64
import itertools
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.writer import record
from functions.writer.errors import OperatorError
from functions.writer.handler import handle
from localcloud.emulator import secrets_rules as rules
from localcloud.emulator.secrets_rules import Content, Secret, ServiceError

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"

VALUES: set[str] = set()
"""Every value of the session that is long enough to be found: none may be in a log, an answer or an error."""

_LONG_ENOUGH = 8


class Killed(BaseException):
    """The function ends here; nothing in it may clean up."""


@dataclass
class Point:
    """Ends the function at one call: before it, or after it was carried out."""

    at: int
    after: bool
    error: BaseException = field(default_factory=Killed)
    passed: int = 0

    def reached(self) -> bool:
        return self.passed > self.at

    def around(self, call: Callable[[], Any]) -> Any:
        number, self.passed = self.passed, self.passed + 1
        if number == self.at and not self.after:
            raise self.error
        answer = call()
        if number == self.at and self.after:
            raise self.error
        return answer


@dataclass
class World:
    """A client of Secrets Manager, as much of it as is used here.

    Attributes:
        history: an ARN's current version ids, each when it became current.
        calls: names of the operations so far, with the ARN.
        points: where a thread's function ends.
        hook: called with each operation's name after it was carried out.
    """

    store: rules.Store = field(default_factory=rules.Store)
    history: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, str | None] = field(default_factory=dict)
    most_labels: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    points: Any = field(default_factory=threading.local)
    hook: Callable[[str], None] = lambda _: None
    lock: Any = field(default_factory=threading.RLock)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_") or not hasattr(World, f"do_{operation}"):
            raise AttributeError(operation)

        def call(**asked: Any) -> Any:
            point = getattr(self.points, "point", None)
            carry_out = partial(self._carry_out, operation, asked)
            answer = point.around(carry_out) if point else carry_out()
            self.hook(operation)
            return answer

        return call

    def _carry_out(self, operation: str, asked: dict[str, Any]) -> Any:
        with self.lock:
            self.calls.append(operation)
            try:
                secret = self.secret(asked["SecretId"])
                answer = getattr(self, f"do_{operation}")(secret, asked)
            except ServiceError as error:
                told = {"Error": {"Code": error.code, "Message": error.message}}
                raise ClientError(told, operation) from None
            self._note(secret)
            return answer

    def _note(self, secret: Secret) -> None:
        holder = secret.holder(CURRENT)
        history = self.history.setdefault(secret.arn, [])
        if holder is not None and (not history or history[-1] != holder.version_id):
            history.append(holder.version_id)
            self.values[holder.version_id] = holder.content.text
        labels = sum(len(version.labels) for version in secret.versions.values())
        self.most_labels[secret.arn] = max(labels, self.most_labels.get(secret.arn, 0))

    def secret(self, arn: str) -> Secret:
        return self.store.find("us-east-1", arn)

    def do_describe_secret(self, secret: Secret, _asked: dict[str, Any]) -> Any:
        deleted = {"DeletedDate": secret.deleted} if secret.deleted else {}
        return {"ARN": secret.arn, "VersionIdsToStages": secret.labelled(), **deleted}

    def do_get_secret_value(self, secret: Secret, asked: dict[str, Any]) -> Any:
        version = rules.wanted_version(secret, asked.get("VersionId"), asked.get("VersionStage"))
        content = version.content
        return {
            "VersionId": version.version_id,
            **(
                {"SecretBinary": base64.b64decode(content.binary or "")}
                if content.text is None
                else {"SecretString": content.text}
            ),
        }

    def do_put_secret_value(self, secret: Secret, asked: dict[str, Any]) -> Any:
        if secret.deleted:
            raise rules.invalid_request("You can't perform this operation on a deleted secret.")
        token = asked.get("ClientRequestToken") or str(uuid.uuid4())
        binary = asked.get("SecretBinary")
        sent = None if binary is None else base64.b64encode(binary).decode()
        content = Content(asked.get("SecretString"), sent)
        version = rules.put_value(secret, token, content, asked.get("VersionStages"))
        return {"VersionId": token, "VersionStages": sorted(version.labels)}

    def do_update_secret_version_stage(self, secret: Secret, asked: dict[str, Any]) -> Any:
        rules.move_label(
            secret, asked["VersionStage"], asked.get("RemoveFromVersionId"), asked.get("MoveToVersionId")
        )
        return {}

    # what others do

    def make(self, value: Mapping[str, object] | str | None = None) -> str:
        """A secret, with a first value as Pulumi's SecretVersion writes it, or without one."""
        with self.lock:
            secret = rules.create(
                self.store,
                partition="aws",
                account="123456789012",
                region="us-east-1",
                name=f"secret{next(self.numbers)}",
            )
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            self.put_secret_value(
                SecretId=secret.arn, SecretString=text, VersionStages=[CURRENT, record.INITIAL]
            )
        return secret.arn

    def read(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get_secret_value(SecretId=arn)["SecretString"])
        remember(found)
        return found

    def put(self, arn: str, content: str | bytes) -> None:
        """A person writes the whole value."""
        kind = "SecretString" if isinstance(content, str) else "SecretBinary"
        self.put_secret_value(SecretId=arn, **{kind: content})

    def content(self, arn: str) -> str | bytes:
        answer = self.get_secret_value(SecretId=arn)
        found: str | bytes = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
        remember({"whole": found})
        return found

    def edit(self, arn: str, **changes: object) -> None:
        """A person edits what the console has just shown."""
        self.put_secret_value(SecretId=arn, SecretString=json.dumps({**self.read(arn), **changes}))

    def edit_by_comparison(self, arn: str, **changes: object) -> None:
        """A careful client: its edit moves AWSCURRENT from the version that it read, or begins again."""
        while True:
            answer = self.get_secret_value(SecretId=arn)
            version = str(uuid.uuid4())
            text = json.dumps({**json.loads(answer["SecretString"]), **changes})
            label = f"edit-{version[:8]}"
            try:
                self.put_secret_value(
                    SecretId=arn, ClientRequestToken=version, SecretString=text, VersionStages=[label]
                )
            except ClientError:
                continue  # no room for the label now
            try:
                self.update_secret_version_stage(
                    SecretId=arn,
                    VersionStage=CURRENT,
                    MoveToVersionId=version,
                    RemoveFromVersionId=answer["VersionId"],
                )
            except ClientError:
                continue
            else:
                return
            finally:
                self.update_secret_version_stage(
                    SecretId=arn, VersionStage=label, RemoveFromVersionId=version
                )

    def begin_rotation(self, arn: str) -> str | None:
        """RotateSecret; None while another rotation is under way."""
        token = str(uuid.uuid4())
        with self.lock:
            secret = self.secret(arn)
            pending = secret.holder(PENDING)
            if pending is not None and pending is not secret.holder(CURRENT):
                return None
            rules.begin_version(secret, token, as_current=False)
            return token

    def copy(self, arn: str, token: str, **changes: object) -> None:
        """createSecret: the current document with a new password."""
        text = json.dumps({**self.read(arn), **changes})
        self.put_secret_value(
            SecretId=arn, ClientRequestToken=token, SecretString=text, VersionStages=[PENDING]
        )

    def finish_as_foreign(self, arn: str, token: str) -> None:
        """finishSecret of AWS's own templates: moves the label, whatever was written since."""
        while True:
            current = self.holder(arn, CURRENT)
            try:
                self.update_secret_version_stage(
                    SecretId=arn,
                    VersionStage=CURRENT,
                    MoveToVersionId=token,
                    RemoveFromVersionId=current,
                )
            except ClientError:
                continue
            break
        try:
            self.update_secret_version_stage(SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=token)
        except ClientError:  # AWS took it off first, because another version became current
            if PENDING in self.describe_secret(SecretId=arn)["VersionIdsToStages"].get(token, []):
                raise

    def finish_as_ours(self, arn: str, token: str, key: str) -> None:
        """finishSecret of this project: what was edited meanwhile, with the renewed key."""
        while True:
            answer = self.get_secret_value(SecretId=arn)
            current = json.loads(answer["SecretString"])
            pending = json.loads(self.get_secret_value(SecretId=arn, VersionId=token)["SecretString"])
            merged = {**current, key: pending[key]}
            version = token if merged == pending else str(uuid.uuid4())
            try:
                if version != token:
                    self.put_secret_value(
                        SecretId=arn,
                        ClientRequestToken=version,
                        SecretString=json.dumps(merged),
                        VersionStages=["aws-secrets-merged"],
                    )
                self.update_secret_version_stage(
                    SecretId=arn,
                    VersionStage=CURRENT,
                    MoveToVersionId=version,
                    RemoveFromVersionId=answer["VersionId"],
                )
            except ClientError:
                continue
            break
        self.update_secret_version_stage(SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=token)

    def rotate(self, arn: str, **changes: object) -> None:
        token = self.begin_rotation(arn)
        assert token
        self.copy(arn, token, **changes)
        self.finish_as_foreign(arn, token)

    # what there is to be seen

    def holder(self, arn: str, label: str) -> str | None:
        with self.lock:
            found = self.secret(arn).holder(label)
            return found.version_id if found else None

    def stages(self, arn: str) -> dict[str, list[str]]:
        with self.lock:
            return self.secret(arn).labelled()

    def labels(self, arn: str) -> list[str]:
        return [label for labels in self.stages(arn).values() for label in labels]

    def unconfirmed(self, arn: str) -> list[str]:
        return [label for label in self.labels(arn) if label.startswith("aws-secrets-writing:")]

    def snapshot(self, arn: str) -> Any:
        """All versions with their values and labels."""
        with self.lock:
            versions = self.secret(arn).versions.values()
            return [(version.version_id, version.content, sorted(version.labels)) for version in versions]

    def documents(self, arn: str) -> list[dict[str, Any]]:
        """All that was ever current, in turn."""
        found = [json.loads(self.values[version] or "null") for version in self.history[arn]]
        for document in found:
            remember(document)
        return found


def remember(document: object) -> None:
    if isinstance(document, dict):
        VALUES.update(
            value for value in document.values() if isinstance(value, str) and len(value) >= _LONG_ENOUGH
        )


def random_key(length: int = 24, generation: int = 1) -> dict[str, object]:
    return {"random": {"length": length}, "generation": generation}


def event(arn: str, keys: Mapping[str, object], *removed: str) -> dict[str, object]:
    return {"Action": "write", "SecretId": arn, "Keys": keys, "RemovedKeys": list(removed), "Salt": "x"}


def write(arn: str, keys: Mapping[str, object], *removed: str) -> dict[str, Any]:
    """One request, by way of JSON as Lambda has it."""
    answer: dict[str, Any] = json.loads(
        json.dumps(handle(json.loads(json.dumps(event(arn, keys, *removed)))))
    )
    return answer


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(OperatorError) as refused:
        call()
    assert refused.value.__context__ is None
    assert refused.value.__cause__ is None
    return str(refused.value)


def ended(world: World, point: Point, call: Callable[[], object]) -> bool:
    """Run the function with a point where it ends; False if it got through."""
    world.points.point = point
    try:
        call()
    except Killed:
        return True
    finally:
        world.points.point = None
    return point.reached()
