"""All secrets that a stack creates, wherever its stack file declares them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stack_file.databases import ADMIN_KEY, LOGIN_KEYS
from stack_file.secrets import Binary, Content, Mode, Secret, SecretSettings, Text, Value
from stack_file.smtp import SMTP_KEYS
from stack_file.top_level import StackFile


@dataclass(frozen=True, kw_only=True)
class StackSecret:
    """A secret that a stack creates.

    Attributes:
        name: name in AWS.
        place: keys that lead to it in the stack file.
        settings: its own settings.
        mode: who writes its values: its own setting, else the stack's.
        values: declared keys with the sources of their initial values.
        whole: source of the whole value, if it is one text or binary.
        own_keys: JSON keys that every login has.
        configured_password: place of a login's `password`, if it is declared.
    """

    name: str
    place: tuple[str | int, ...]
    settings: SecretSettings
    mode: Mode
    values: Mapping[str, Value] = field(default_factory=dict)
    whole: Text | Binary | None = None
    own_keys: tuple[str, ...] = ()
    configured_password: tuple[str | int, ...] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All JSON keys; empty if the value is one text or binary."""
        return *self.own_keys, *self.values

    @property
    def content(self) -> Content:
        """Content of its value."""
        return self.settings.content if isinstance(self.settings, Secret) else "keys"

    @property
    def sources(self) -> Iterator[tuple[tuple[str, ...], Text | Binary]]:
        """Sources of its values, each with its place below the secret."""
        for key, value in self.values.items():
            yield ("values", key), value
        if self.whole:
            yield (self.content,), self.whole


def stack_secrets(stack_file: StackFile) -> Iterator[StackSecret]:
    """Yield all secrets; a name may occur twice before the stack file is checked."""
    for name, secret in stack_file.secrets.items():
        yield StackSecret(
            name=name,
            place=("secrets", name),
            settings=secret,
            mode=secret.initial_values or stack_file.initial_values,
            values=secret.values,
            whole=secret.whole,
        )
    for database, declared in stack_file.databases.items():
        place = ("databases", database)
        if declared.admin and declared.admin.secret:
            yield StackSecret(
                name=declared.admin.secret,
                place=(*place, "admin", "secret"),
                settings=declared.admin.settings,
                mode=declared.admin.initial_values or stack_file.initial_values,
                own_keys=LOGIN_KEYS,
                configured_password=(*place, "admin", "password"),
            )
        has_admin = declared.administrator != "none"
        for name, login in declared.logins.items():
            yield StackSecret(
                name=name,
                place=(*place, "logins", name),
                settings=login,
                mode=login.initial_values or stack_file.initial_values,
                values=login.values,
                own_keys=(*login.login_keys, *login.url_keys, *([ADMIN_KEY] if has_admin else [])),
                configured_password=(*place, "logins", name, "password") if login.password else None,
            )
    for cache, about in stack_file.caches.items():
        for name, user in about.logins.items():
            yield StackSecret(
                name=name,
                place=("caches", cache, "logins", name),
                settings=user,
                mode=user.initial_values or stack_file.initial_values,
                values=user.values,
                own_keys=user.own_keys,
            )
    for name, credentials in stack_file.smtp.items():
        yield StackSecret(
            name=name,
            place=("smtp", name),
            settings=credentials,
            mode=credentials.initial_values or stack_file.initial_values,
            values=credentials.values,
            own_keys=SMTP_KEYS,
        )


def by_name(stack_file: StackFile) -> dict[str, StackSecret]:
    """Return all secrets by their names in AWS."""
    return {secret.name: secret for secret in stack_secrets(stack_file)}
