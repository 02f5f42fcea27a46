"""Mistakes between parts of a stack file that are each right in themselves."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from settings.databases import roles_of
from settings.mistakes import Mistake, nearest, path_of
from settings.modes import wrong_modes
from settings.reads import NamedRead, check_variable
from settings.stack_file import StackFile
from settings.stack_secrets import StackSecret, by_name, stack_secrets
from settings.workloads import Workload

if TYPE_CHECKING:
    from settings.secrets import Replica

Place = tuple[str | int, ...]

_NOT_IN_A_TEMPLATE = 2  # of the place of a read: where, and under which name


def mistakes_between(namespace: str, stack_file: StackFile, region: str | None, stack: str) -> list[Mistake]:
    """All of them; `stack` is the name of the stack that the file is of."""
    return [
        *_wrong_replicas(namespace, stack_file, region),
        *_wrong_names(namespace, stack_file),
        *_shared_roles(namespace, stack_file),
        *_wrong_reads(namespace, stack_file),
        *_wrong_existing_reads(namespace, stack_file, region),
        *_wrong_pipeline(namespace, stack_file, stack),
        *wrong_modes(namespace, stack_file),
    ]


def replicas_of(stack_file: StackFile) -> dict[Place, Sequence["Replica"]]:
    """Return every list of replicas by its place."""
    return {
        ("replicas",): stack_file.replicas,
        **{(*secret.place, "replicas"): secret.kept.replicas or () for secret in stack_secrets(stack_file)},
    }


def _wrong_replicas(namespace: str, stack_file: StackFile, region: str | None) -> Iterator[Mistake]:
    for place, replicas in replicas_of(stack_file).items():
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
    if stack_file.pipeline:
        return
    reads_others = any(workload.existing_reads for workload in stack_file.workloads.values())
    if not stack_file.secrets and not stack_file.databases and not reads_others:
        yield Mistake(
            path_of(namespace, ("secrets",)),
            "it is empty, and so is databases",
            "It would create nothing",
            "Write at least one entry",
        )
    seen: dict[str, str] = {}
    for secret in stack_secrets(stack_file):
        path = path_of(namespace, secret.place)
        if secret.name in seen:
            yield Mistake(
                path,
                f"{seen[secret.name]} has the same name",
                "AWS has each name once",
                "Rename one of the two",
            )
        seen[secret.name] = path


def _shared_roles(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Logins of two entries that are one server; within one entry its model looks."""
    owners: dict[tuple[object, ...], tuple[str, Place]] = {}
    for name, database in stack_file.databases.items():
        for login_name, login in database.logins.items():
            place: Place = ("databases", name, "logins", login_name)
            for role in roles_of(login):
                first, where = owners.setdefault((*database.server, role), (name, place))
                if first != name:
                    yield Mistake(
                        path_of(namespace, (*place, "username")),
                        f'its role "{role}" belongs to {path_of(namespace, where)}, on the same server',
                        "Each rotation of one would lock out the other",
                        "Give each login a username of its own, and let workloads share a secret instead",
                    )


def _wrong_reads(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    secrets = by_name(stack_file)
    for name, workload in stack_file.workloads.items():
        place: Place = ("workloads", name)
        for read in workload.reads:
            yield from _wrong_read(namespace, (*place, *read.place), read, secrets)
            yield from _wrong_platform(namespace, (*place, *read.place), read, workload, secrets)
        yield from _wrong_whole_secrets(namespace, place, workload, secrets)
        yield from _wrong_files(namespace, place, workload)
        yield from _same_whole_file_twice(namespace, place, workload, secrets)
        yield from _wrong_authorities(namespace, place, workload, stack_file)


def _wrong_read(
    namespace: str, place: Place, read: NamedRead, secrets: Mapping[str, StackSecret]
) -> Iterator[Mistake]:
    secret = secrets.get(read.secret)
    if secret is None:
        yield _unknown_secret(namespace, (*place, "secret"), read.secret, secrets)
        return
    key = read.key_of(secret.content)
    if secret.content != "keys":
        if read.key is not None:
            yield Mistake(
                path_of(namespace, (*place, "key")),
                f"{read.secret} is one {secret.content} value and has no keys",
                "The workload would not start",
                "Drop key: the whole value is read",
            )
        if read.place[0] == "environmentFromAll":
            yield _without_keys(namespace, place, secret)
    elif read.whole:
        return
    elif key is None:
        yield Mistake(
            path_of(namespace, place),
            "the key is missing",
            "Which key of the secret is meant cannot be guessed",
            f'Add "key" with one of {", ".join(secret.keys)}, or whole: true for all as one JSON text',
        )
    elif key not in secret.keys:
        yield Mistake(
            path_of(namespace, (*place, "key")),
            f'{read.secret} has no key "{key}"{nearest(key, secret.keys)}',
            "The workload would not start, or start without it",
            f"Its keys are {', '.join(secret.keys)}",
        )


def _wrong_existing_reads(namespace: str, stack_file: StackFile, region: str | None) -> Iterator[Mistake]:
    made = by_name(stack_file)
    for name, workload in stack_file.workloads.items():
        for read in workload.existing_reads:
            path = path_of(namespace, ("workloads", name, *read.place, "existingSecret"))
            arn = read.secret.split(":") if read.secret.startswith("arn:") else None
            if read.secret in made:
                yield Mistake(
                    path,
                    f'this stack makes the secret "{read.secret}"',
                    "It would be looked for in AWS before it is made",
                    f"Write secret: {read.secret}",
                )
            elif workload.ecs and read.key and ":" in read.key:
                yield Mistake(
                    path_of(namespace, ("workloads", name, *read.place)),
                    f'{_COLON}, and "{read.key}" of {read.secret} has one itself',
                    "The workload would not start",
                    _remedy(_COLON),
                )
            elif arn and region and arn[3] != region:
                yield Mistake(
                    path,
                    f"the secret is in {arn[3]}, and the stack in {region}",
                    "The workload's platform would look for it in its own region",
                    f"Replicate the secret to {region} and write the ARN of the replica",
                )


def _without_keys(namespace: str, place: Place, secret: StackSecret) -> Mistake:
    return Mistake(
        path_of(namespace, place),
        f"{secret.name} is one {secret.content} value and has no keys",
        "It is unclear which variable would hold it",
        f"Write environment: {{VARIABLE: {{secret: {secret.name}}}}}",
    )


def _wrong_platform(
    namespace: str, place: Place, read: NamedRead, workload: Workload, secrets: Mapping[str, StackSecret]
) -> Iterator[Mistake]:
    """Yield what the workload's platform cannot bring to it."""
    secret = secrets.get(read.secret)
    if secret is None:
        return
    key = read.key_of(secret.content)
    wrong = None if key is None else _unnameable(workload, secret, key)
    if wrong is not None:
        yield Mistake(path_of(namespace, place), wrong, "The workload would not start", _remedy(wrong))
    if secret.content != "binary" or workload.lambda_:
        return
    if read.place[0] == "environment" or len(read.place) > _NOT_IN_A_TEMPLATE:
        remedy = (
            "Write it under files, or declare the secret as text: {config: ...}, with the bytes in base64"
            if workload.kubernetes
            else "Declare the secret as text: {config: ...}, with the bytes in base64"
        )
        yield Mistake(
            path_of(namespace, place),
            f"{read.secret} is binary, and {'ECS reads texts only' if workload.ecs else 'this is a text'}",
            "The workload would not start",
            remedy,
        )


def _yaml(key: str) -> str:
    """Return a key as it is written in YAML, in quotes unless it is a plain word."""
    return key if re.fullmatch(r"[A-Za-z0-9_./-]+", key) else "'" + key.replace("'", "''") + "'"


_COLON = "ECS puts colons between a secret's ARN and key"


def _unnameable(workload: Workload, secret: StackSecret, key: str) -> str | None:
    """Return why the workload's platform cannot bring a key to it; None where it can.

    Sources: the ECS agent prints what is not text in a form of Go (agent/asm/asm.go); AWS's provider for the
    CSI driver refuses it (provider/secret_value.go).
    """
    if workload.ecs and ":" in key:
        return f'{_COLON}, and "{key}" of {secret.name} has one itself'
    value = secret.values.get(key)
    if value is None or value.json_ is None or isinstance(value.json_, str) or workload.lambda_:
        return None
    if workload.kubernetes and workload.kubernetes.operator == "external-secrets":
        return None
    platform = "ECS" if workload.ecs else "The CSI driver"
    return f'{platform} reads texts, and "{key}" of {secret.name} is JSON that is not a text'


def _remedy(wrong: str) -> str:
    if wrong.startswith(_COLON):
        return "Give the key another name, or read it in the program by AWS's SDK"
    return "Write it as a text, {value: '...'}, or read it with the External Secrets Operator"


def _unknown_secret(namespace: str, place: Place, secret: str, keys: Iterable[str]) -> Mistake:
    return Mistake(
        path_of(namespace, place),
        f'this stack makes no secret "{secret}"{nearest(secret, keys)}',
        "The workload could not read it",
        f"Its secrets are {', '.join(keys) or 'none'}",
    )


def _wrong_whole_secrets(
    namespace: str, place: Place, workload: Workload, secrets: Mapping[str, StackSecret]
) -> Iterator[Mistake]:
    taken = {variable: f"environment.{variable}" for variable in workload.environment}
    for index, secret in enumerate(workload.environment_from):
        here = path_of(namespace, (*place, "environmentFrom", index))
        if secret not in secrets:
            yield _unknown_secret(namespace, (*place, "environmentFrom", index), secret, secrets)
            continue
        if secrets[secret].content != "keys":
            yield _without_keys(namespace, (*place, "environmentFrom", index), secrets[secret])
        for key in secrets[secret].keys:
            wrong = _unnameable(workload, secrets[secret], key)
            if wrong is not None:
                yield Mistake(here, wrong, "The workload would not start", _remedy(wrong))
                continue
            try:
                check_variable(key)
            except PydanticCustomError:
                yield Mistake(
                    here,
                    f'the key "{key}" of {secret} is no name of an environment variable',
                    "Shells and many programs could not read it",
                    f"Write environment: {{VARIABLE: {{secret: {secret}, key: {_yaml(key)}}}}} for what you "
                    "need",
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


def _same_whole_file_twice(
    namespace: str, place: Place, workload: Workload, secrets: Mapping[str, StackSecret]
) -> Iterator[Mistake]:
    whole = {}
    for path, file in workload.files.items():
        secret = file.secret or file.existing_secret
        known = secrets.get(file.secret or "")
        if secret and (file.whole or (known is not None and known.content != "keys")):
            whole[path] = secret
    yield from mounted_twice(namespace, place, workload, whole)


def mounted_twice(
    namespace: str, place: Place, workload: Workload, whole: Mapping[str, str]
) -> Iterator[Mistake]:
    """Yield whole secrets that are several files, of which AWS's provider for the CSI driver makes one.

    Args:
        namespace: the project's name.
        place: of the workload.
        workload: of which only the platform counts.
        whole: path of a file to the secret that is the whole of it.
    """
    if not workload.kubernetes or workload.kubernetes.operator != "secrets-store-csi":
        return
    seen: dict[str, str] = {}
    for path, secret in whole.items():
        if secret in seen:
            yield Mistake(
                path_of(namespace, (*place, "files", path)),
                f'the whole of {secret} is the file "{seen[secret]}" too',
                "AWS's provider for the CSI driver mounts a secret once, and the pod would not start",
                "Keep one of the two files",
            )
        seen[secret] = path


def _wrong_authorities(
    namespace: str, place: Place, workload: Workload, stack_file: StackFile
) -> Iterator[Mistake]:
    declared = workload.database_authorities
    if declared is None:
        return
    here: Place = (*place, "databaseAuthorities")
    if not databases_of(workload, stack_file) and not workload.existing_reads:
        yield Mistake(
            path_of(namespace, here),
            "this workload reads no database login",
            "It is unclear which authorities it needs",
            "Read a login's DATABASE_URL, or drop databaseAuthorities",
        )
    secrets = by_name(stack_file)
    taken = {variable: f"environment.{variable}" for variable in workload.environment}
    for index, name in enumerate(workload.environment_from):
        keys = secrets[name].keys if name in secrets else ()
        taken |= dict.fromkeys(keys, f"environmentFrom[{index}]")
    for index, variable in enumerate(declared.variables):
        if variable in taken:
            yield Mistake(
                path_of(namespace, (*here, "variables", index)),
                f'the variable "{variable}" comes from {taken[variable]} too',
                "It would hold the one or the other",
                "Remove one of them",
            )


def databases_of(workload: Workload, stack_file: StackFile) -> list[str]:
    """Return the databases whose logins the workload reads, by their names in the stack file."""
    read = {*(key.secret for key in workload.reads), *workload.environment_from}
    return [
        name
        for name, database in stack_file.databases.items()
        if read & {*database.logins, database.admin.secret if database.admin else None}
    ]


def _wrong_pipeline(namespace: str, stack_file: StackFile, stack: str) -> Iterator[Mistake]:
    pipeline = stack_file.pipeline
    if pipeline is None:
        return
    for key in ("secrets", "databases", "workloads"):
        if getattr(stack_file, key):
            yield Mistake(
                path_of(namespace, (key,)),
                "a stack with pipeline makes nothing else",
                "The pipeline could change its own roles, which come from this stack",
                "Give pipeline a stack of its own, which an administrator updates",
            )
    for index, name in enumerate(pipeline.stacks):
        if name == stack or stack.startswith(f"{name}_"):
            yield Mistake(
                path_of(namespace, ("pipeline", "stacks", index)),
                "it is this stack"
                if name == stack
                else "names of this stack's roles begin like those of its",
                "The pipeline could change its own roles, which come from this stack",
                "Name the stacks that have secrets",
            )
