"""The emulator's Secrets Manager in this process, with its history and with clients that write to it."""

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

from components.lambdas.writer.errors import OperatorError
from components.lambdas.writer.handler import handle
from components.lambdas.writer.labels import CURRENT, INITIAL, MERGED, PENDING
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.secrets_rules import Content, Secret, ServiceError

VALUES: set[str] = set()
"""Every long enough value of the session; none may be in a log, an answer or an error."""

_LONG_ENOUGH = 8


class Killed(BaseException):
    """The function is killed here; nothing in it may clean up."""


@dataclass
class Point:
    """A call at which the function ends.

    Attributes:
        at: number of the call, from 0.
        after: whether the call is carried out first.
        error: what the call raises.
        passed: number of calls so far.
    """

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
    """A client of Secrets Manager, with the operations that the writer uses.

    Attributes:
        store: the secrets.
        history: by ARN, the ids of the versions that have been current, in order.
        values: by version id, the values of those versions.
        most_labels: by ARN, the highest number of labels so far.
        calls: names of the operations so far.
        points: where the function ends, by thread.
        hook: called with the name of each operation after it was carried out.
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

        def call(**request: Any) -> Any:
            point = getattr(self.points, "point", None)
            carry_out = partial(self._carry_out, operation, request)
            answer = point.around(carry_out) if point else carry_out()
            self.hook(operation)
            return answer

        return call

    def _carry_out(self, operation: str, request: dict[str, Any]) -> Any:
        with self.lock:
            self.calls.append(operation)
            try:
                secret = self.secret(request["SecretId"])
                answer = getattr(self, f"do_{operation}")(secret, request)
            except ServiceError as error:
                response = {"Error": {"Code": error.code, "Message": error.message}}
                raise ClientError(response, operation) from None
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

    def do_describe_secret(self, secret: Secret, _request: dict[str, Any]) -> Any:
        deleted = {"DeletedDate": secret.deleted} if secret.deleted else {}
        return {"ARN": secret.arn, "VersionIdsToStages": secret.labelled(), **deleted}

    def do_get_secret_value(self, secret: Secret, request: dict[str, Any]) -> Any:
        version = rules.wanted_version(secret, request.get("VersionId"), request.get("VersionStage"))
        content = version.content
        return {
            "VersionId": version.version_id,
            **(
                {"SecretBinary": base64.b64decode(content.binary or "")}
                if content.text is None
                else {"SecretString": content.text}
            ),
        }

    def do_put_secret_value(self, secret: Secret, request: dict[str, Any]) -> Any:
        if secret.deleted:
            raise rules.invalid_request("You can't perform this operation on a deleted secret.")
        token = request.get("ClientRequestToken") or str(uuid.uuid4())
        binary = request.get("SecretBinary")
        encoded = None if binary is None else base64.b64encode(binary).decode()
        content = Content(request.get("SecretString"), encoded)
        version = rules.put_value(secret, token, content, request.get("VersionStages"))
        return {"VersionId": token, "VersionStages": sorted(version.labels)}

    def do_update_secret_version_stage(self, secret: Secret, request: dict[str, Any]) -> Any:
        rules.move_label(
            secret,
            request["VersionStage"],
            request.get("RemoveFromVersionId"),
            request.get("MoveToVersionId"),
        )
        return {}

    # clients

    def make(self, value: Mapping[str, object] | str | None = None) -> str:
        """Create a secret, with the initial value that Pulumi's SecretVersion writes, or without one."""
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
            self.put_secret_value(SecretId=secret.arn, SecretString=text, VersionStages=[CURRENT, INITIAL])
        return secret.arn

    def read(self, arn: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.get_secret_value(SecretId=arn)["SecretString"])
        remember(document)
        return document

    def put(self, arn: str, content: str | bytes) -> None:
        """Write the whole value, as a person does."""
        kind = "SecretString" if isinstance(content, str) else "SecretBinary"
        self.put_secret_value(SecretId=arn, **{kind: content})

    def content(self, arn: str) -> str | bytes:
        answer = self.get_secret_value(SecretId=arn)
        content: str | bytes = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
        remember({"whole": content})
        return content

    def edit(self, arn: str, **changes: object) -> None:
        """Edit the value that the console has just shown, as a person does."""
        self.put_secret_value(SecretId=arn, SecretString=json.dumps({**self.read(arn), **changes}))

    def edit_by_comparison(self, arn: str, **changes: object) -> None:
        """Edit as a careful client: move AWSCURRENT from the version that was read, or start again."""
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
                continue  # no room for the label at the moment
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
        """RotateSecret: return the token; None while another rotation is in progress."""
        token = str(uuid.uuid4())
        with self.lock:
            secret = self.secret(arn)
            pending = secret.holder(PENDING)
            if pending is not None and pending is not secret.holder(CURRENT):
                return None
            rules.begin_version(secret, token, as_current=False)
            return token

    def copy(self, arn: str, token: str, **changes: object) -> None:
        """createSecret: put the current document with changes, such as a new password."""
        text = json.dumps({**self.read(arn), **changes})
        self.put_secret_value(
            SecretId=arn, ClientRequestToken=token, SecretString=text, VersionStages=[PENDING]
        )

    def finish_as_foreign(self, arn: str, token: str) -> None:
        """finishSecret of AWS's own templates: move the label, regardless of later edits."""
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
        except ClientError:  # AWS has removed it, because another version became current
            if PENDING in self.describe_secret(SecretId=arn)["VersionIdsToStages"].get(token, []):
                raise

    def finish_as_ours(self, arn: str, token: str, key: str) -> None:
        """finishSecret of this project: keep later edits, with the regenerated key."""
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
                        VersionStages=[MERGED],
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

    # the state

    def holder(self, arn: str, label: str) -> str | None:
        with self.lock:
            version = self.secret(arn).holder(label)
            return version.version_id if version else None

    def stages(self, arn: str) -> dict[str, list[str]]:
        with self.lock:
            return self.secret(arn).labelled()

    def labels(self, arn: str) -> list[str]:
        return [label for labels in self.stages(arn).values() for label in labels]

    def unconfirmed(self, arn: str) -> list[str]:
        return [label for label in self.labels(arn) if label.startswith("aws-secrets-writing:")]

    def snapshot(self, arn: str) -> Any:
        """Return all versions with their values and labels."""
        with self.lock:
            versions = self.secret(arn).versions.values()
            return [(version.version_id, version.content, sorted(version.labels)) for version in versions]

    def documents(self, arn: str) -> list[dict[str, Any]]:
        """Return every document that has been current, in order."""
        documents = [json.loads(self.values[version] or "null") for version in self.history[arn]]
        for document in documents:
            remember(document)
        return documents


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
    """Send a request, converted to JSON and back as Lambda does."""
    answer: dict[str, Any] = json.loads(
        json.dumps(handle(json.loads(json.dumps(event(arn, keys, *removed)))))
    )
    return answer


def rejection(call: Callable[[], object]) -> str:
    with pytest.raises(OperatorError) as raised:
        call()
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    return str(raised.value)


def ended(world: World, point: Point, call: Callable[[], object]) -> bool:
    """Run the function with a point at which it ends; return False if it does not reach the point."""
    world.points.point = point
    try:
        call()
    except Killed:
        return True
    finally:
        world.points.point = None
    return point.reached()
