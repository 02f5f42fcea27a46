"""Mistakes in configured values that are a whole secret; no message repeats a value."""

import base64
from collections.abc import Iterator, Mapping

from settings.mistakes import Mistake, path_of
from settings.secrets import MOST_VALUE_BYTES
from settings.stack_file import StackFile
from settings.stack_secrets import StackSecret, stack_secrets


def without_line_ends(text: str) -> str:
    """Return base64 without the blanks and line ends that `base64` puts into it."""
    return "".join(text.split())


def wrong_values(namespace: str, stack_file: StackFile, values: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield what AWS would refuse after everything else was made.

    Args:
        namespace: of the project.
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
    except ValueError:  # of the decoder, or of characters beyond ASCII
        yield Mistake(
            place,
            f'the config value "{name}" is not base64',
            "The bytes of the secret could not be known",
            f"Set it with: base64 < FILE | pulumi config set --secret {name}",
        )
        return
    if not size:
        yield Mistake(
            place,
            f'the config value "{name}" is empty',
            "AWS would refuse it",
            f"Set it with: pulumi config set --secret {name}; what a person fills in is a filledByHand",
        )
    if size > MOST_VALUE_BYTES:
        yield Mistake(
            place,
            f'the config value "{name}" has {size} bytes',
            f"AWS would refuse more than {MOST_VALUE_BYTES}",
            "Shorten it, or spread it over several secrets",
        )


def _bytes_of(value: str, secret: StackSecret) -> bytes:
    if secret.content == "text":
        return value.encode()
    return base64.b64decode(without_line_ends(value), validate=True)
