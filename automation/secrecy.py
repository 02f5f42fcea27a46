"""No secret value leaves this package: known values are taken out of everything that the engine says."""

import base64
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, final

MASK = "[secret]"

# A shorter value is part of ordinary words: "local" in every URN of a stack of that name.
_SHORTEST = 6
# Of a value of several lines, a line alone may show.
_SHORTEST_LINE = 12

# Variables of the environment whose values are secret.
_SECRET_VARIABLES = (
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_ACCESS_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


@final
class Secret:
    """Stands where a stack's output is secret; the value itself is never asked for."""

    def __repr__(self) -> str:
        return MASK


SECRET: Final = Secret()


def with_markers(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """An output as the CLI shows it, with `SECRET` in the place of each secret."""
    if value == MASK:
        return SECRET
    if isinstance(value, dict):
        return {key: with_markers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_markers(item) for item in value]
    return value


def without_markers(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """What `json.dumps` takes."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping):
        return {key: without_markers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_markers(item) for item in value]
    return value


class Redactor:
    """Replaces known secret values, in the forms in which they may show, by `[secret]`.

    Values of less than 6 characters are not looked for. May be used by several threads.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.know(environment.get(name, "") for name in _SECRET_VARIABLES)

    def know(self, values: Iterable[str]) -> None:
        """Adds values to those that never show."""
        with self._lock:
            for value in values:
                self._forms.update(_forms(value))
            # the longest first, so that no rest of one shows behind a shorter one
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without known values."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def data(self, value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
        """JSON data without known values, in keys neither."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        return value


def _forms(value: str) -> Iterator[str]:
    if len(value) < _SHORTEST:
        return
    quoted = json.dumps(value)[1:-1]
    yield from (value, quoted, json.dumps(quoted)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield from (urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value.encode()).decode().rstrip("=")
    if "\n" in value:
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST_LINE)
