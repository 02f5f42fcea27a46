"""No secret value leaves this package: known values are taken out of everything that the engine says."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from automation.value_forms import SHORTEST_ANYWHERE, Finder

MASK = "[secret]"

# Variables of the environment whose values are secret.
_SECRET_VARIABLES = (
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_ACCESS_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)

# Operations, severities and results. Source: pulumi/sdk, apitype.
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
    """Replaces known secret values by `[secret]`.

    A value of 6 characters or more is found anywhere in a text: as it is; escaped by the rules of JSON, Go,
    YAML, SQL, shells, HTML or URLs and by several of them together; in base64, also as a part of more (such
    as `user:password`); in hexadecimal digits. One of 4 or 5 characters is found where it is a whole word:
    between blanks, quotes, brackets, or one of `= , ; & |`. A shorter one is not looked for.

    May be used by several threads.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._finder = Finder(())
        # a short passphrase such as `local` may well be the name of a stack
        given = (environment.get(name, "") for name in _SECRET_VARIABLES)
        self.know(value for value in given if len(value) >= SHORTEST_ANYWHERE)

    def know(self, values: Iterable[str]) -> None:
        """Add values to those that never show."""
        with self._lock:
            self._values.update(values)
            self._finder = Finder(self._values)

    def text(self, text: str) -> str:
        """Return the text without known values."""
        return self._finder.masked(text, MASK)

    def data(self, value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
        """Return JSON data without known values, also in keys.

        The engine's own words stay where they are the whole of a text: they say what happened, whatever
        somebody may have taken for a secret.
        """
        if isinstance(value, str):
            return value if value in _ENGINE_WORDS else self.text(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        return value
