"""The only reader of a stack's configuration."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi.runtime import config as runtime_config

from settings.checking import Checked, Configuration, check, parsed
from settings.mistakes import Mistake, SettingsError
from settings.secrets import Secret
from settings.stack_file import StackFile

__all__ = ["Mistake", "Secret", "Settings", "SettingsError", "StackFile", "check", "load"]

_STRUCTURE = [field.alias or name for name, field in StackFile.model_fields.items()]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A stack's checked configuration.

    Attributes:
        stack_file: its structure.
        region: the region of the stack.
        configured: config key to value, a secret Output, for every `config:` in the structure.
    """

    stack_file: StackFile
    region: str
    configured: Mapping[str, pulumi.Output[str]]


def load() -> Settings:
    """Reads and checks the configuration of the current stack.

    Raises:
        SettingsError: with every mistake there is.
    """
    stack_file = check()
    raw = _raw()
    referenced = set(dict(_references(_structure(raw))).values())
    for key in _unread_secrets(raw, referenced):
        # its secret may have left the stack file for a while; losing the value would be worse
        pulumi.log.warn(f"Nothing reads the config value {key}. Remove it with: pulumi config rm {key}")
    return Settings(
        stack_file=stack_file,
        region=_region() or "",
        configured={name: _reader(name).require_secret(_key(name)) for name in referenced},
    )


def check() -> StackFile:
    """Checks the configuration of the current stack as `load` does, outside a running program too.

    Raises:
        SettingsError: with every mistake there is.
    """
    namespace = pulumi.get_project()
    raw = _raw()
    structure = _structure(raw)
    references = dict(_references(structure))
    mistakes = [
        *_secrets_in_structure(namespace, structure),
        *_unknown_keys(namespace, raw, set(references.values())),
        *_wrong_references(namespace, references),
        *_wrong_region(),
    ]
    try:
        # strict JSON mode takes a list where the model has a tuple
        stack_file = StackFile.model_validate_json(json.dumps(structure))
    except ValidationError as error:
        mistakes += from_validation(namespace, StackFile, error)
        raise SettingsError(pulumi.get_stack(), _sorted(mistakes)) from None
    mistakes += mistakes_between(namespace, stack_file, _region())
    if mistakes:
        raise SettingsError(pulumi.get_stack(), _sorted(mistakes))
    return stack_file


def _sorted(mistakes: list[Mistake]) -> list[Mistake]:
    return sorted(mistakes, key=lambda mistake: mistake.path)


def _raw() -> dict[str, Any]:
    """What the project's namespace holds, by key."""
    namespace = pulumi.get_project()
    return {
        key.removeprefix(f"{namespace}:"): _parsed(value)
        for key, value in runtime_config.CONFIG.get().items()
        if key.startswith(f"{namespace}:")
    }


def _structure(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key in _STRUCTURE}


def _parsed(value: str) -> Any:  # noqa: ANN401  whatever JSON holds
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _reader(name: str) -> pulumi.Config:
    return pulumi.Config(name.rpartition(":")[0] or None)


def _key(name: str) -> str:
    return name.rpartition(":")[2]


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _references(structure: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every `config:` with its place, as far as the structure is sound enough to hold it."""
    for place, value in _values(structure):
        name = _map(value).get("config")
        if isinstance(name, str) and name:
            yield (*place, "config"), name


def _values(structure: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Everything that may be a `{config: ...}`, with its place."""
    for secret, declared in _map(structure.get("secrets")).items():
        for key, value in _map(_map(declared).get("values")).items():
            yield ("secrets", secret, "values", key), value
    for database, declared in _map(structure.get("databases")).items():
        place = ("databases", database)
        yield (*place, "admin", "password"), _map(_map(declared).get("admin")).get("password")
        for login, about in _map(_map(declared).get("logins")).items():
            yield (*place, "logins", login, "password"), _map(about).get("password")
            for key, value in _map(_map(about).get("values")).items():
                yield (*place, "logins", login, "values", key), value


def _secrets_in_structure(namespace: str, structure: Mapping[str, Any]) -> Iterator[Mistake]:
    for key in structure:
        if runtime_config.is_config_secret(f"{namespace}:{key}"):
            # the engine hands over decrypted values; only the file itself shows where they were encrypted
            places = list(_encrypted_places(_stack_file_text(f"{namespace}:{key}"), (key,))) or [(key,)]
            for place in places:
                yield Mistake(
                    path_of(namespace, place),
                    'an encrypted value ("secure:") is nested in the structure',
                    "Pulumi would hand the whole structure to the program in plain text",
                    "Give the value a key of its own with: pulumi config set --secret NAME; "
                    "then write {config: NAME} here",
                )


def _stack_file_text(full_key: str) -> object:
    """What the stack file has under this key, still encrypted; None where there is no such file."""
    path = Path(f"Pulumi.{pulumi.get_stack()}.yaml")
    if not path.is_file():
        return None
    return _map(_map(yaml.safe_load(path.read_text())).get("config")).get(full_key)


def _encrypted_places(value: object, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            yield place
            return
        for key, item in value.items():
            yield from _encrypted_places(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _encrypted_places(item, (*place, index))


def _unknown_keys(namespace: str, raw: Mapping[str, Any], referenced: set[str]) -> Iterator[Mistake]:
    known = [*_STRUCTURE, *referenced]
    unread_secrets = set(_unread_secrets(raw, referenced))
    for key in raw:
        if key in known or f"{namespace}:{key}" in known or key in unread_secrets:
            continue
        yield Mistake(
            path_of(namespace, (key,)),
            f'unknown key "{key}"{nearest(key, known)}',
            "Nothing would read it",
            f"Known keys here: {', '.join(_STRUCTURE)}, and those that a {{config: ...}} names. "
            f"Remove it with: pulumi config rm {key}",
        )


def _unread_secrets(raw: Mapping[str, Any], referenced: set[str]) -> Iterator[str]:
    """Encrypted config values that nothing in the structure names."""
    namespace = pulumi.get_project()
    for key in raw:
        read = key in _STRUCTURE or key in referenced or f"{namespace}:{key}" in referenced
        if not read and runtime_config.is_config_secret(f"{namespace}:{key}"):
            yield key


def _wrong_references(namespace: str, references: Mapping[tuple[str, ...], str]) -> Iterator[Mistake]:
    for place, name in references.items():
        path = path_of(namespace, place)
        full_name = name if ":" in name else f"{namespace}:{name}"
        if full_name.removeprefix(f"{namespace}:") in _STRUCTURE:
            yield Mistake(
                path,
                f'"{name}" is part of the structure',
                "The secret would hold the stack file's own text",
                "Name a config key of its own",
            )
        elif runtime_config.get_config(full_name) is None:
            yield Mistake(
                path,
                f'the config value "{name}" is not set',
                "The secret would have nothing to hold",
                f"Set it with: pulumi config set --secret {name}",
            )
        elif not runtime_config.is_config_secret(full_name):
            yield Mistake(
                path,
                f'the config value "{name}" is stored in plain text',
                "Everyone who reads the stack file would know it",
                f"Encrypt it with: pulumi config set --secret {name}; what is no secret is a {{value: ...}}",
            )


def _region() -> str | None:
    configured = pulumi.Config("aws").get("region")
    return configured or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _wrong_region() -> Iterator[Mistake]:
    region = _region()
    if region is None:
        yield Mistake(
            "aws:region",
            "no AWS region is set",
            "Pulumi would not know where to create the secrets",
            "Set it with: pulumi config set aws:region us-east-1",
        )
        return
    try:
        check_region(region)
    except PydanticCustomError as error:
        context = error.context or {}
        yield Mistake("aws:region", context["wrong"], context["consequence"], context["remedy"])


def _out_of_a_pipelines_reach(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    if stack_file.update_role is None:
        return
    naming = _map(_parsed(runtime_config.get_config("pulumi:autonaming") or ""))
    if naming.get("pattern") != AUTONAMING:
        yield Mistake(
            "pulumi:autonaming",
            "names in AWS would not begin with the stack's",
            "The role in updateRole may keep nothing that has another name",
            f'Write pulumi:autonaming: {{pattern: "{AUTONAMING}"}}',
        )
    if stack_file.permissions_boundary is None:
        yield Mistake(
            path_of(namespace, ("permissionsBoundary",)),
            "it is missing beside updateRole",
            "The role in updateRole may make no role without its boundary",
            "Write the ARN that the pipeline's stack shows",
        )
