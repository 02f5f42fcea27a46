"""Roll back single JSON keys: the stack's writer does it inside the account (components/lambdas/writer)."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from components.lambdas.writer import approvals, protocol
from operations.rollback.move import Refusal, Rollback, reason_of
from operations.status.aws import AwsSession
from program.desired import DesiredSecret

_SECONDS = 70  # the function has 60


@dataclass(frozen=True, kw_only=True)
class KeysRolledBack:
    """The result of a rollback of keys.

    Attributes:
        keys: those that have other values now.
        version_id: of the current version.
        warnings: what others have done in the meantime, each a sentence.
    """

    keys: Sequence[str]
    version_id: str
    warnings: Sequence[str]


def named_keys(given: Iterable[str], declared: DesiredSecret) -> list[str]:
    """Return the keys that --keys names, without duplicates.

    Args:
        given: texts with commas between the keys; a key that has a comma itself is a text of its own.
        declared: the secret.

    Raises:
        Refusal: the writer cannot roll back these keys.
    """
    if declared.database is not None:
        raise Refusal(
            f"{declared.name} is a database login: its keys belong together, and the database has to follow. "
            "Roll back all of it, without --keys: its rotation function sets the earlier password."
        )
    if declared.content != "keys":
        raise Refusal(f"{declared.name} has no JSON keys. Roll back its whole value, without --keys.")
    if declared.mode == "once":
        raise Refusal(
            f"{declared.path}: its mode is once, in which no function inside the account writes its values. "
            "Roll back the whole secret, without --keys. Or write `initialValues: managed`, run `pulumi up`, "
            "which keeps every value, and run this command again."
        )
    known = set(declared.keys)
    keys = [key for text in given for key in ([text] if text in known else text.split(","))]
    if unknown := [key for key in keys if key not in known]:
        raise Refusal(
            f"{declared.path} declares no key {', '.join(map(repr, unknown))}. It declares: "
            f"{', '.join(declared.keys)}."
        )
    return list(dict.fromkeys(keys))


def regenerated(keys: Iterable[str], declared: DesiredSecret) -> str:
    """Return a warning about keys that were regenerated, perhaps because a value leaked; empty for none."""
    values = getattr(declared.settings, "values", {})
    raised = [key for key in keys if getattr(values.get(key), "generation", 1) > 1]
    if not raised:
        return ""
    return (
        f"The stack file has regenerated {', '.join(raised)} (`generation`). If that was because an earlier "
        "value leaked, do not bring it back."
    )


def roll_back_keys(aws: AwsSession, writer: str, rollback: Rollback, keys: Sequence[str]) -> KeysRolledBack:
    """Give keys the values of the target; all others keep those of the current version.

    The approval is a label of the target (components/lambdas/writer/approvals.py): whoever may only invoke
    the function brings no earlier value back.

    Args:
        aws: it calls UpdateSecretVersionStage, and invokes the writer.
        writer: name of the function, from the stack's outputs.
        rollback: from `plan`.
        keys: from `named_keys`.

    Raises:
        Refusal: the writer rejected it, with its reason.
        botocore.exceptions.ClientError: AWS denied or rejected a call.
    """
    client = aws.client("secretsmanager")
    secret, source, current = rollback.secret, rollback.target.version_id, rollback.current.version_id
    for version in secret.versions:  # of commands that were interrupted
        for label in filter(approvals.is_approval, version.labels):
            _remove(client, secret.arn, label, version.version_id)
    label = approvals.approval(source, current, keys, time.time())
    is_done = False
    try:
        client.update_secret_version_stage(SecretId=secret.arn, VersionStage=label, MoveToVersionId=source)
        answer = _invoke(
            aws,
            writer,
            {
                protocol.ACTION: protocol.ROLL_BACK,
                protocol.SECRET_ID: secret.arn,
                protocol.SOURCE_VERSION: source,
                protocol.CURRENT_VERSION: current,
                protocol.KEY_NAMES: list(keys),
            },
        )
        is_done = True
    finally:
        if not is_done:
            _remove(client, secret.arn, label, source)
    return answer


def _invoke(aws: AwsSession, writer: str, event: dict[str, object]) -> KeysRolledBack:
    # sent once: a second one would find the first one's version, and call it somebody else's
    config = Config(connect_timeout=5, read_timeout=_SECONDS, retries={"total_max_attempts": 1})
    client = aws.session.client("lambda", region_name=aws.region, config=config)
    response = client.invoke(FunctionName=writer, Payload=json.dumps(event).encode())
    payload = response["Payload"].read()
    if response.get("FunctionError"):
        raise Refusal(f"The stack's writer ({writer}) did not roll back: {reason_of(payload)}")
    answer = json.loads(payload)
    return KeysRolledBack(
        keys=answer[protocol.ROLLED_BACK],
        version_id=answer[protocol.VERSION_ID],
        warnings=answer[protocol.WARNINGS],
    )


def _remove(client: Any, arn: str, label: str, version: str) -> None:  # noqa: ANN401  boto3 is untyped
    try:
        client.update_secret_version_stage(SecretId=arn, VersionStage=label, RemoveFromVersionId=version)
    except ClientError as error:
        # the version does not have it
        if error.response["Error"]["Code"] not in {"InvalidParameterException", "ResourceNotFoundException"}:
            raise
