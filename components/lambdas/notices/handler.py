"""Entry point of the Lambda function: `notices.handler.handle`, which EventBridge invokes once a day.

It asks AWS about each secret of the stack, never for a value, and sends one message if something needs
attention. EventBridge delivers at least once, and Lambda retries after an error: a message is sent again only
where it has not been accepted, as far as this execution environment knows. One runs at a time.
"""

import json
import os
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from . import declared, message, outcomes, protocol, webhook
from .age import Declared
from .assess import Attention, assess
from .aws_errors import error_code, explain
from .errors import NoticeError

_THREADS = 8
_MOST_PAGES = 50
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=_THREADS,
    retries={"mode": "adaptive", "total_max_attempts": 8},
)
# what this environment has sent: event and where to
_SENT: set[tuple[str, str]] = set()


def handle(event: Mapping[str, object], context: object = None) -> Mapping[str, object]:
    """Check all secrets, send a message if one needs attention, and return the numbers of both.

    Raises:
        NoticeError: nothing could be checked, or a message was not sent everywhere.
    """
    try:
        return _run(event, context)
    except NoticeError as error:
        text = str(error)
    except Exception as error:  # noqa: BLE001  the text of any other error could contain the webhook's URL
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = (
            f"The function failed with {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}, "
            "which is a bug in it. The message may not have been sent."
        )
    # raised here so that the error is not chained to the one that was caught
    raise NoticeError(text)


def _run(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    stack = declared.read()
    attention = _attention(stack.secrets, datetime.now(UTC))
    asked = [one for one in attention if one.kind == "unknown"]
    if stack.secrets and len(asked) == len(stack.secrets):
        raise NoticeError(f"No secret could be checked, and nothing was sent. {asked[0].text}.")
    number = len({one.secret for one in attention})
    print(f"{number} of {len(stack.secrets)} secrets need attention")  # noqa: T201  the function's log
    if attention:
        _send(message.compose(stack.title, _place(context), len(stack.secrets), attention), _id_of(event))
    return {"secrets": len(stack.secrets), "needAttention": number}


def _attention(secrets: Sequence[Declared], now: datetime) -> list[Attention]:
    """Return what needs attention of all secrets, in their order."""
    client = boto3.client("secretsmanager", config=_CONFIG)
    rehearsed, unread = _rehearsals(secrets, now)

    def of(secret: Declared) -> list[Attention]:
        try:
            return assess(
                # without the log, each would seem not to be rehearsed
                replace(secret, rehearse_days=None) if unread else secret,
                _described(client, secret.name),
                lambda: _dates(client, secret.name),
                now,
                rehearsed.get(secret.name),
            )
        except _UnansweredError as error:
            return [Attention(secret.name, "unknown", str(error).rstrip("."))]

    with ThreadPoolExecutor(_THREADS) as threads:
        return [one for found in threads.map(of, secrets) for one in found] + unread


def _rehearsals(
    secrets: Sequence[Declared], now: datetime
) -> tuple[dict[str, outcomes.Outcome], list[Attention]]:
    """Return the last rehearsal of each secret that has a schedule; and that they could not be read."""
    group = os.environ.get(protocol.REHEARSAL_LOG_VARIABLE)
    days = max((secret.rehearse_days or 0 for secret in secrets), default=0)
    if not group or not days:
        return {}, []
    client, events = boto3.client("logs", config=_CONFIG), []
    arguments = dict(outcomes.filters(group, days, now))
    try:
        for _ in range(_MOST_PAGES):
            page = client.filter_log_events(**arguments)
            events += [(int(one["timestamp"]), str(one["message"])) for one in page.get("events", ())]
            if not page.get("nextToken"):
                break
            arguments["nextToken"] = page["nextToken"]
    except (BotoCoreError, ClientError) as error:
        code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
        text = f"The log {group} of rehearsals could not be read ({code})"
        return {}, [Attention("rehearsals", "unknown", text)]
    return outcomes.latest(events), []


class _UnansweredError(Exception):
    """AWS did not answer a question about a secret."""


def _described(client: Any, name: str) -> Mapping[str, Any] | None:  # noqa: ANN401  boto3 is untyped
    try:
        found: Mapping[str, Any] = client.describe_secret(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error_code(error) == "ResourceNotFoundException":
            return None
        raise _UnansweredError(explain("describe_secret", name, error).message) from None
    return found


def _dates(client: Any, name: str) -> dict[str, datetime]:  # noqa: ANN401  boto3 is untyped
    # only labelled versions; a secret has at most 20 labels, so one page holds them all
    try:
        versions = client.list_secret_version_ids(SecretId=name, MaxResults=100)["Versions"]
    except (BotoCoreError, ClientError) as error:
        raise _UnansweredError(explain("list_secret_version_ids", name, error).message) from None
    return {str(one["VersionId"]): one["CreatedDate"] for one in versions if one.get("CreatedDate")}


def _place(context: object) -> str:
    """Return account and region from the function's own ARN."""
    arn = str(getattr(context, "invoked_function_arn", "")).split(":")
    return f"account {arn[4]}, {arn[3]}" if len(arn) > 4 else "AWS"  # noqa: PLR2004  parts of an ARN


def _id_of(event: Mapping[str, object]) -> str:
    """Return the event's id, the same in each of its deliveries; empty for an invocation by hand."""
    found = event.get("id") if isinstance(event, Mapping) else None
    return found if isinstance(found, str) else ""


def _send(text: message.Message, event_id: str) -> None:
    """Send a message to the topic and to the webhook; a failure of one does not keep it from the other."""
    failures = []
    for where, deliver in (("topic", _to_topic), ("webhook", _to_webhook)):
        if event_id and (event_id, where) in _SENT:
            continue
        try:
            if deliver(text):
                _SENT.add((event_id, where))
        except NoticeError as error:
            failures.append(str(error))
    if failures:
        raise NoticeError(" ".join(failures))


def _to_topic(text: message.Message) -> bool:
    topic = os.environ.get(protocol.TOPIC_VARIABLE)
    if not topic:
        return False
    try:
        boto3.client("sns", config=_CONFIG).publish(TopicArn=topic, **message.for_topic(text))
    except (BotoCoreError, ClientError) as error:
        reason = (
            f"{error_code(error)}: {error.response['Error']['Message']}"
            if isinstance(error, ClientError)
            else type(error).__name__
        )
        raise NoticeError(
            f"The topic {topic} got no message ({reason}). If it is encrypted with a key of your own, set "
            "topicKeyArn. If it is in another account, allow the function's role in its policy."
        ) from None
    return True


def _to_webhook(text: message.Message) -> bool:
    secret = os.environ.get(protocol.WEBHOOK_SECRET_VARIABLE)
    if not secret:
        return False
    key = os.environ.get(protocol.WEBHOOK_KEY_VARIABLE)
    about = f"{key} of secret {secret}" if key else f"secret {secret}"
    value = _value(secret, key, about)
    match os.environ.get(protocol.WEBHOOK_FORMAT_VARIABLE):
        case protocol.PAGERDUTY:
            webhook.send(webhook.PAGERDUTY_URL, message.for_pagerduty(text, value), about)
        case protocol.TEAMS:
            webhook.send(value, message.for_teams(text), about)
        case _:
            webhook.send(value, message.for_slack(text), about)
    return True


def _value(secret: str, key: str | None, about: str) -> str:
    """Return the only value that the function reads."""
    try:
        answer = boto3.client("secretsmanager", config=_CONFIG).get_secret_value(SecretId=secret)
    except (BotoCoreError, ClientError) as error:
        raise NoticeError(explain("get_secret_value", secret, error).message) from None
    text = str(answer.get("SecretString") or "")
    value = _value_of(text, key)
    if not isinstance(value, str) or not value.strip():
        raise NoticeError(f"The webhook got no message: {about} is not a text, or empty. Fill it in.")
    return value.strip()


def _value_of(text: str, key: str | None) -> object:
    if key is None:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found.get(key) if isinstance(found, dict) else None
