"""Keeps secret values inside this package: known values are redacted from all output of the engine."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from operations.value_forms import SHORTEST_ANYWHERE, Finder

MASK = "[secret]"

# Environment variables whose values are secret.
_SECRET_VARIABLES = (
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_ACCESS_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)

# Operations, severities and results (pulumi/sdk, apitype).
_ENGINE_WORDS = frozenset(
    {
        *("same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced"),
        *("read", "read-replacement", "refresh", "discard", "discard-replaced", "remove-pending-replace"),
        *("import", "import-replacement", "debug", "info", "info#err", "warning", "error"),
        *("succeeded", "failed", "diff", "metadata", "message", "prefix", "color", "severity"),
    }
)


@final
class Secret:
    """Placeholder of a secret stack output, whose value is never read."""

    def __repr__(self) -> str:
        return MASK


SECRET: Final = Secret()


def with_markers(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return an output of the CLI with `SECRET` in place of each secret."""
    if value == MASK:
        return SECRET
    if isinstance(value, dict):
        return {key: with_markers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_markers(item) for item in value]
    return value


def without_markers(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return a value with `[secret]` in place of `SECRET`, for `json.dumps`."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping):
        return {key: without_markers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_markers(item) for item in value]
    return value


class Redactor:
    """Replaces known secret values with `[secret]`.

    A value of 6 characters or more is found anywhere in a text: verbatim; escaped for JSON, Go, YAML, SQL,
    shells, HTML or URLs, also in combination; in base64, also within a longer text (`user:password`); in
    hexadecimal. A value of 4 or 5 characters is found as a whole word: between spaces, quotes, brackets, or
    one of `= , ; & |`. Shorter values are not redacted.

    Thread-safe.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._finder = Finder(())
        values = (environment.get(name, "") for name in _SECRET_VARIABLES)
        # a short passphrase such as `local` may also be the name of a stack
        self.know(value for value in values if len(value) >= SHORTEST_ANYWHERE)

    def know(self, values: Iterable[str]) -> None:
        """Add values to redact."""
        with self._lock:
            self._values.update(values)
            self._finder = Finder(self._values)

    def text(self, text: str) -> str:
        """Return the text with known values redacted."""
        return self._finder.masked(text, MASK)

    def data(self, value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
        """Return JSON data with known values redacted, also in keys.

        A string that is one of the engine's own words stays, even if it equals a secret: programs need it to
        know what happened.
        """
        if isinstance(value, str):
            return value if value in _ENGINE_WORDS else self.text(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        return value
