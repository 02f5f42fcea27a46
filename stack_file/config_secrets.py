"""Check secret config values that are a whole secret; no message repeats a value."""

import base64
from collections.abc import Iterator, Mapping

from stack_file.mistakes import Mistake, path_of
from stack_file.secrets import MOST_VALUE_BYTES
from stack_file.stack_secrets import StackSecret, stack_secrets
from stack_file.top_level import StackFile


def without_whitespace(text: str) -> str:
    """Return base64 without the whitespace that `base64` adds."""
    return "".join(text.split())


def wrong_values(namespace: str, stack_file: StackFile, values: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield values that AWS would reject in the middle of an update.

    Args:
        namespace: the project's name.
        stack_file: the structure.
        values: full config key to value.
    """
    for secret in stack_secrets(stack_file):
        name = secret.whole.config if secret.whole else None
        if name is not None:
            place = path_of(namespace, (*secret.place, secret.content, "config"))
            value = values[name if ":" in name else f"{namespace}:{name}"]
            yield from _wrong_value(place, name, value, secret)


def _wrong_value(place: str, name: str, value: str, secret: StackSecret) -> Iterator[Mistake]:
    try:
        size = len(_bytes_of(value, secret))
    except ValueError:  # from the decoder, or for characters outside ASCII
        yield Mistake(
            place,
            f'the config value "{name}" is not valid base64',
            "",
            f"Set it with: base64 < FILE | pulumi config set --secret {name}",
        )
        return
    if not size:
        yield Mistake(
            place,
            f'the config value "{name}" is empty',
            "AWS would reject it",
            f"Set it with: pulumi config set --secret {name}; or use filledByHand for a value entered in AWS",
        )
    if size > MOST_VALUE_BYTES:
        yield Mistake(
            place,
            f'the config value "{name}" has {size} bytes',
            f"Secrets Manager accepts {MOST_VALUE_BYTES}",
            "Shorten it, or split it into several secrets",
        )


def _bytes_of(value: str, secret: StackSecret) -> bytes:
    if secret.content == "text":
        return value.encode()
    return base64.b64decode(without_whitespace(value), validate=True)
