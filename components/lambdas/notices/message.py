"""The message, in the forms that its readers accept. It has names and dates, and never a value.

Sources: Amazon SNS API Reference, Publish; Amazon Q Developer in chat applications Administrator Guide,
"Custom notifications"; Slack API, "Incoming webhooks" and "Formatting text"; Microsoft Teams, "Create
incoming webhooks with Workflows"; PagerDuty, "Events API v2".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .assess import KINDS, Attention

# Amazon Q takes titles of 250 characters and descriptions of 8,000; the others take more.
_MOST_TITLE = 250
_MOST_CHARACTERS = 7_000
_MOST_SUBJECT = 100
_MOST_SUMMARY = 1_024


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        stack: names what the message is about; several messages about it belong together.
        title: one line.
        text: the whole message, for a person.
        urgent: whether something has expired, is unavailable, or fails to rotate.
    """

    stack: str
    title: str
    text: str
    urgent: bool


def compose(stack: str, place: str, count: int, attention: Sequence[Attention]) -> Message:
    """Return the message about everything that needs attention.

    Args:
        stack: the stack's name.
        place: its account and region.
        count: number of all its secrets.
        attention: what needs attention; not empty.
    """
    number = len({one.secret for one in attention})
    verb = "needs" if number == 1 else "need"
    title = f"{number} of {count} {'secret' if count == 1 else 'secrets'} of {stack} {verb} attention"
    text, left = f"{title} ({place}).", len(attention)
    end = "\n\nEverything: python -m operations status"
    for kind, heading in KINDS.items():
        of_kind = [one for one in attention if one.kind == kind]
        for index, one in enumerate(of_kind):
            start = "" if index else f"\n\n{heading}"
            entry = f"{start}\n- {one.secret}: {one.text}." + (f" {one.remedy}" if one.remedy else "")
            if len(text) + len(entry) > _MOST_CHARACTERS:
                return Message(stack, title, f"{text}\n\nAnd {left} more.{end}", _urgent(attention))
            text, left = text + entry, left - 1
    return Message(stack, title, text + end, _urgent(attention))


def _urgent(attention: Sequence[Attention]) -> bool:
    return bool({"expired", "unavailable", "rotation", "rehearsal"} & {one.kind for one in attention})


def for_topic(message: Message) -> dict[str, str]:
    """Return the parameters of Publish: a text for people, and what Amazon Q shows in a chat channel."""
    subject = "".join(one if " " <= one <= "~" else "?" for one in message.title)
    custom = {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": _plain(message.title)[:_MOST_TITLE],
            "description": _plain(message.text),
        },
    }
    texts = {"default": message.text, "https": json.dumps(custom)}
    return {"Subject": subject[:_MOST_SUBJECT], "MessageStructure": "json", "Message": json.dumps(texts)}


def for_slack(message: Message) -> Mapping[str, object]:
    """Return the payload for an incoming webhook of Slack, or of one that accepts the same."""
    text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text, "unfurl_links": False}


def for_teams(message: Message) -> Mapping[str, object]:
    """Return the payload for a workflow of Microsoft Teams: rich text, which has no links and no markup."""

    def block(line: str, weight: str) -> Mapping[str, object]:
        run = {"type": "TextRun", "text": line, "weight": weight}
        return {"type": "RichTextBlock", "inlines": [run]}

    lines = [line for line in message.text.split("\n") if line]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [block(line, "Bolder" if number == 0 else "Default") for number, line in enumerate(lines)],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def for_pagerduty(message: Message, integration_key: str) -> Mapping[str, object]:
    """Return an event for PagerDuty; all events of a stack belong to one incident."""
    return {
        "routing_key": integration_key,
        "event_action": "trigger",
        "dedup_key": f"aws-secrets {message.stack}"[:255],
        "payload": {
            "summary": message.title[:_MOST_SUMMARY],
            "source": message.stack,
            "severity": "error" if message.urgent else "warning",
            "custom_details": {"message": message.text},
        },
    }


def _plain(text: str) -> str:
    """Return the text without what makes a link or a mention in the Markdown of a chat."""
    return text.replace("<", "(").replace(">", ")").replace("](", "] (")
