"""Mistakes between parts of a stack file that are each right in themselves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from settings.databases import Database
from settings.mistakes import Mistake, nearest, path_of
from settings.secrets import Kept
from settings.stack_file import StackFile
from settings.workloads import Workload, check_variable

if TYPE_CHECKING:
    from settings.secrets import Replica

Place = tuple[str | int, ...]


def mistakes_between(namespace: str, stack_file: StackFile, region: str | None) -> list[Mistake]:
    """All of them."""
    return [
        *_wrong_replicas(namespace, stack_file, region),
        *_wrong_names(namespace, stack_file),
        *_wrong_reads(namespace, stack_file),
    ]


def secret_places(stack_file: StackFile) -> Iterator[tuple[str, Place]]:
    """Every secret that the stack makes, by its name in AWS, with its place in the stack file."""
    for name in stack_file.secrets:
        yield name, ("secrets", name)
    for database, declared in stack_file.databases.items():
        if declared.admin and declared.admin.secret:
            yield declared.admin.secret, ("databases", database, "admin", "secret")
        for name in declared.logins:
            yield name, ("databases", database, "logins", name)


def kept_secrets(stack_file: StackFile) -> dict[str, Kept]:
    """Name in AWS of each secret that the stack makes, to how it is kept."""
    kept: dict[str, Kept] = dict(stack_file.secrets)
    for database in stack_file.databases.values():
        kept.update(database.logins)
        if database.admin and database.admin.secret:
            kept[database.admin.secret] = Kept()
    return kept


def keys_of(stack_file: StackFile) -> dict[str, tuple[str, ...]]:
    """Name in AWS of each secret that the stack makes, to its JSON keys."""
    keys = {name: tuple(secret.values) for name, secret in stack_file.secrets.items()}
    for database in stack_file.databases.values():
        if database.admin and database.admin.secret:
            keys[database.admin.secret] = _login_keys(None)
        for name, login in database.logins.items():
            keys[name] = (*_login_keys(database), *login.values)
    return keys


def _login_keys(database: Database | None) -> tuple[str, ...]:
    known = ("engine", "host", "port", "dbname", "username", "password", "DATABASE_URL")
    has_admin = database is not None and (database.admin is not None or not database.host)
    return (*known, "masterarn") if has_admin else known


def _wrong_replicas(namespace: str, stack_file: StackFile, region: str | None) -> Iterator[Mistake]:
    places: dict[Place, Sequence[Replica]] = {
        ("replicas",): stack_file.replicas,
        **{
            ("secrets", name, "replicas"): secret.replicas or ()
            for name, secret in stack_file.secrets.items()
        },
        **{
            ("databases", database, "logins", name, "replicas"): login.replicas or ()
            for database, declared in stack_file.databases.items()
            for name, login in declared.logins.items()
        },
    }
    for place, replicas in places.items():
        seen = {region}
        for index, replica in enumerate(replicas):
            if replica.region in seen:
                yield Mistake(
                    path_of(namespace, (*place, index)),
                    f"the secret is in {replica.region} already",
                    "AWS would refuse the replica",
                    "Name each other region once",
                )
            seen.add(replica.region)


def _wrong_names(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    if not stack_file.secrets and not stack_file.databases:
        yield Mistake(
            path_of(namespace, ("secrets",)),
            "it is empty, and so is databases",
            "It would create nothing",
            "Write at least one entry",
        )
    seen: dict[str, str] = {}
    for name, place in secret_places(stack_file):
        path = path_of(namespace, place)
        if name in seen:
            yield Mistake(
                path,
                f"{seen[name]} has the same name",
                "AWS has each name once",
                "Rename one of the two",
            )
        seen[name] = path


def _wrong_reads(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    keys = keys_of(stack_file)
    for name, workload in stack_file.workloads.items():
        place: Place = ("workloads", name)
        for variable, read in workload.environment.items():
            yield from _wrong_read(
                namespace, (*place, "environment", variable), read.secret, read.key or variable, keys
            )
        for path, file in workload.files.items():
            yield from _wrong_read(namespace, (*place, "files", path), file.secret, file.key, keys)
        yield from _wrong_whole_secrets(namespace, place, workload, keys)
        yield from _wrong_files(namespace, place, workload)


def _wrong_read(
    namespace: str, place: Place, secret: str, key: str, keys: Mapping[str, Sequence[str]]
) -> Iterator[Mistake]:
    if secret not in keys:
        yield _unknown_secret(namespace, (*place, "secret"), secret, keys)
    elif key not in keys[secret]:
        yield Mistake(
            path_of(namespace, (*place, "key")),
            f'{secret} has no key "{key}"{nearest(key, keys[secret])}',
            "The workload would not start, or start without it",
            f"Its keys are {', '.join(keys[secret])}",
        )


def _unknown_secret(namespace: str, place: Place, secret: str, keys: Mapping[str, Sequence[str]]) -> Mistake:
    return Mistake(
        path_of(namespace, place),
        f'this stack makes no secret "{secret}"{nearest(secret, keys)}',
        "The workload could not read it",
        f"Its secrets are {', '.join(keys) or 'none'}",
    )


def _wrong_whole_secrets(
    namespace: str, place: Place, workload: Workload, keys: Mapping[str, Sequence[str]]
) -> Iterator[Mistake]:
    taken = {variable: f"environment.{variable}" for variable in workload.environment}
    for index, secret in enumerate(workload.environment_from):
        here = path_of(namespace, (*place, "environmentFrom", index))
        if secret not in keys:
            yield _unknown_secret(namespace, (*place, "environmentFrom", index), secret, keys)
            continue
        for key in keys[secret]:
            try:
                check_variable(key)
            except PydanticCustomError:
                yield Mistake(
                    here,
                    f'the key "{key}" of {secret} is no name of an environment variable',
                    "Shells and many programs could not read it",
                    f"Write environment: {{VARIABLE: {{secret: {secret}, key: {key}}}}} for what you need",
                )
            if key in taken:
                yield Mistake(
                    here,
                    f'the variable "{key}" comes from {taken[key]} too',
                    "It would hold the one or the other",
                    "Name the keys that you need under environment",
                )
            taken[key] = f"environmentFrom[{index}]"


def _wrong_files(namespace: str, place: Place, workload: Workload) -> Iterator[Mistake]:
    for path in workload.files:
        below = next((other for other in workload.files if other.startswith(f"{path}/")), None)
        if below:
            yield Mistake(
                path_of(namespace, (*place, "files", path)),
                f'it is a file, and the folder of "{below}"',
                "One of the two could not be made",
                "Rename one of them",
            )
