"""Check `notices` against the rest of a stack file."""

from collections.abc import Iterator

from stack_file.mistakes import Mistake, nearest, path_of
from stack_file.stack_secrets import by_name
from stack_file.top_level import StackFile


def wrong_notices(namespace: str, stack_file: StackFile, region: str | None) -> Iterator[Mistake]:
    """Yield notices about no secret, in another region, or whose webhook cannot be read."""
    notices = stack_file.notices
    if notices is None or stack_file.pipeline:
        return
    secrets = by_name(stack_file)
    if not secrets:
        yield Mistake(
            path_of(namespace, ("notices",)),
            "the stack creates no secrets",
            "There is nothing to notify of",
            "Remove notices",
        )
    if notices.topic_arn and region and notices.topic_arn.split(":")[3] != region:
        yield Mistake(
            path_of(namespace, ("notices", "topicArn")),
            f"the topic is in {notices.topic_arn.split(':')[3]}, but the stack is in {region}",
            "The function publishes in its own region",
            f"Use a topic in {region}",
        )
    webhook = notices.webhook
    if webhook is None or not secrets:
        return
    place = ("notices", "webhook")
    secret = secrets.get(webhook.secret)
    if secret is None:
        yield Mistake(
            path_of(namespace, (*place, "secret")),
            f'unknown secret "{webhook.secret}"{nearest(webhook.secret, secrets)}',
            "",
            f"The stack's secrets are: {', '.join(secrets)}. Declare one for the webhook's URL",
        )
    elif secret.content == "binary":
        yield Mistake(
            path_of(namespace, (*place, "secret")),
            f"{webhook.secret} is binary",
            "The function reads a text",
            "Declare it with text: {...}, or with values: {KEY: ...}",
        )
    elif secret.content == "text" and webhook.key is not None:
        yield Mistake(
            path_of(namespace, (*place, "key")),
            f"{webhook.secret} is a text value without keys",
            "",
            "Remove key to read the whole value",
        )
    elif secret.content == "keys" and webhook.key not in secret.keys:
        yield Mistake(
            path_of(namespace, (*place, "key")),
            f"{webhook.secret} needs a key"
            if webhook.key is None
            else f'{webhook.secret} has no key "{webhook.key}"{nearest(webhook.key, secret.keys)}',
            "The function could not find the URL",
            f"Its keys are {', '.join(secret.keys)}",
        )
