"""Every secret that a stack makes, wherever its stack file declares it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from settings.databases import ADMIN_KEY, LOGIN_KEYS
from settings.secrets import Binary, Content, Kept, Secret, Text, Value
from settings.stack_file import StackFile


@dataclass(frozen=True, kw_only=True)
class StackSecret:
    """A secret.

    Attributes:
        name: in AWS.
        place: in the stack file.
        kept: how it is kept.
        values: what its keys hold at first, as far as the stack file says.
        whole: where its whole value comes from, if it is one text or binary.
        own_keys: JSON keys that a login has by itself.
        configured_password: place of the password that Pulumi's configuration has for a login.
    """

    name: str
    place: tuple[str | int, ...]
    kept: Kept
    values: Mapping[str, Value] = field(default_factory=dict)
    whole: Text | Binary | None = None
    own_keys: tuple[str, ...] = ()
    configured_password: tuple[str | int, ...] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All its JSON keys; none if it is one text or binary."""
        return *self.own_keys, *self.values

    @property
    def content(self) -> Content:
        """What its value is."""
        return self.kept.content if isinstance(self.kept, Secret) else "keys"

    @property
    def sources(self) -> Iterator[tuple[tuple[str, ...], Text | Binary]]:
        """Where its values come from, each with its place below the secret."""
        for key, value in self.values.items():
            yield ("values", key), value
        if self.whole:
            yield (self.content,), self.whole


def stack_secrets(stack_file: StackFile) -> Iterator[StackSecret]:
    """All of them; a name comes twice where the stack file has that mistake."""
    for name, secret in stack_file.secrets.items():
        yield StackSecret(
            name=name, place=("secrets", name), kept=secret, values=secret.values, whole=secret.whole
        )
    for database, declared in stack_file.databases.items():
        place = ("databases", database)
        if declared.admin and declared.admin.secret:
            yield StackSecret(
                name=declared.admin.secret,
                place=(*place, "admin", "secret"),
                kept=declared.admin.kept,
                own_keys=LOGIN_KEYS,
                configured_password=(*place, "admin", "password"),
            )
        has_admin = declared.admin is not None or not declared.host
        for name, login in declared.logins.items():
            yield StackSecret(
                name=name,
                place=(*place, "logins", name),
                kept=login,
                values=login.values,
                own_keys=(*LOGIN_KEYS, *login.url_keys, *([ADMIN_KEY] if has_admin else [])),
                configured_password=(*place, "logins", name, "password") if login.password else None,
            )


def by_name(stack_file: StackFile) -> dict[str, StackSecret]:
    """Name in AWS to secret."""
    return {secret.name: secret for secret in stack_secrets(stack_file)}
