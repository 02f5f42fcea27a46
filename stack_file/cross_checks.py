"""Check the parts of a stack file against each other."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from stack_file.engine_checks import wrong_for_the_engine
from stack_file.iam_logins import wrong_iam_logins
from stack_file.key_references import NamedRead, check_variable
from stack_file.mistakes import Mistake, nearest, path_of
from stack_file.mode_checks import wrong_modes
from stack_file.notice_checks import wrong_notices
from stack_file.renames import wrong_renames
from stack_file.restarts import wrong_restarts
from stack_file.stack_secrets import StackSecret, by_name, stack_secrets
from stack_file.top_level import StackFile
from stack_file.workloads import Workload

if TYPE_CHECKING:
    from stack_file.secrets import Replica

_MOST_TAG_CHARACTERS = 256
Place = tuple[str | int, ...]

_NOT_IN_A_TEMPLATE = 2  # length of a read's place outside templates: section and name


def mistakes_between(namespace: str, stack_file: StackFile, region: str | None, stack: str) -> list[Mistake]:
    """Return all mistakes between the parts of a stack's file."""
    return [
        *_wrong_replicas(namespace, stack_file, region),
        *_wrong_names(namespace, stack_file),
        *_shared_roles(namespace, stack_file),
        *wrong_for_the_engine(namespace, stack_file),
        *_wrong_smtp(namespace, stack_file),
        *wrong_iam_logins(namespace, stack_file),
        *_wrong_reads(namespace, stack_file),
        *_wrong_existing_reads(namespace, stack_file, region),
        *_wrong_pipeline(namespace, stack_file, stack),
        *wrong_modes(namespace, stack_file),
        *wrong_renames(namespace, stack_file),
        *wrong_restarts(namespace, stack_file),
        *wrong_notices(namespace, stack_file, region),
    ]


def replicas_of(stack_file: StackFile) -> dict[Place, Sequence["Replica"]]:
    """Return every list of replicas, by its place."""
    return {
        ("replicas",): stack_file.replicas,
        **{
            (*secret.place, "replicas"): secret.settings.replicas or ()
            for secret in stack_secrets(stack_file)
        },
    }


def _wrong_replicas(namespace: str, stack_file: StackFile, region: str | None) -> Iterator[Mistake]:
    for place, replicas in replicas_of(stack_file).items():
        seen = {region}
        for index, replica in enumerate(replicas):
            if replica.region in seen:
                yield Mistake(
                    path_of(namespace, (*place, index)),
                    f"the secret is already in {replica.region}",
                    "AWS would reject the replica",
                    "List each other region once",
                )
            seen.add(replica.region)


def _wrong_names(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    if stack_file.pipeline:
        return
    reads_others = any(workload.existing_reads for workload in stack_file.workloads.values())
    sections = (stack_file.secrets, stack_file.databases, stack_file.caches, stack_file.smtp)
    if not any((*sections, reads_others)):
        yield Mistake(
            path_of(namespace, ("secrets",)),
            "secrets, databases, caches and smtp are all empty",
            "The stack would create nothing",
            "Add at least one entry",
        )
    seen: dict[str, str] = {}
    for secret in stack_secrets(stack_file):
        path = path_of(namespace, secret.place)
        if secret.name in seen:
            yield Mistake(
                path,
                f"{seen[secret.name]} has the same name",
                "Names of secrets are unique in AWS",
                "Rename one of them",
            )
        seen[secret.name] = path


def _wrong_smtp(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    for name in stack_file.smtp:
        if stack_file.update_role:
            yield Mistake(
                path_of(namespace, ("smtp", name)),
                "updateRole is set, and a pipeline's role may not create IAM users",
                "The update would fail",
                "Put them into a stack that an administrator updates; workloads of this stack can read them "
                "as an existing secret",
            )
        if len(name) > _MOST_TAG_CHARACTERS:
            yield Mistake(
                path_of(namespace, ("smtp", name)),
                f"the name has {len(name)} characters",
                f"It becomes a tag of the IAM user, and IAM accepts {_MOST_TAG_CHARACTERS}",
                "Shorten the name",
            )


def _shared_roles(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Yield roles that logins of two entries for the same server share; models check each single entry."""
    owners: dict[tuple[object, ...], tuple[str, Place]] = {}
    for name, database in stack_file.databases.items():
        for login_name, login in database.logins.items():
            place: Place = ("databases", name, "logins", login_name)
            for role in database.roles_of(login):
                first, where = owners.setdefault((*database.server, role), (name, place))
                if first != name:
                    yield Mistake(
                        path_of(namespace, (*place, "username")),
                        f'its role "{role}" is also that of {path_of(namespace, where)}, on the same server',
                        "Each rotation of one would lock out the other",
                        "Use a different username for each login; workloads can share a secret",
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
                f"{read.secret} is a {secret.content} value without keys",
                "The workload would not start",
                "Remove key to read the whole value",
            )
        if read.place[0] == "environmentFromAll":
            yield _without_keys(namespace, place, secret)
    elif read.whole:
        return
    elif key is None:
        yield Mistake(
            path_of(namespace, place),
            "key is required",
            "",
            f'Add "key" with one of {", ".join(secret.keys)}, or whole: true for all of them as JSON',
        )
    elif key not in secret.keys:
        yield Mistake(
            path_of(namespace, (*place, "key")),
            f'{read.secret} has no key "{key}"{nearest(key, secret.keys)}',
            "The workload would not start, or would start without it",
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
                    f'this stack creates the secret "{read.secret}"',
                    "It would be looked up before it is created",
                    f"Use secret: {read.secret}",
                )
            elif workload.ecs and read.key and ":" in read.key:
                yield Mistake(
                    path_of(namespace, ("workloads", name, *read.place)),
                    f'{_COLON}, and the key "{read.key}" of {read.secret} contains one',
                    "The workload would not start",
                    _remedy(_COLON),
                )
            elif arn and region and arn[3] != region:
                yield Mistake(
                    path,
                    f"the secret is in {arn[3]}, but the stack is in {region}",
                    "The workload's platform would look for it in its own region",
                    f"Replicate the secret to {region} and use the ARN of the replica",
                )


def _without_keys(namespace: str, place: Place, secret: StackSecret) -> Mistake:
    return Mistake(
        path_of(namespace, place),
        f"{secret.name} is a {secret.content} value without keys",
        "",
        f"Use environment: {{VARIABLE: {{secret: {secret.name}}}}}",
    )


def _wrong_platform(
    namespace: str, place: Place, read: NamedRead, workload: Workload, secrets: Mapping[str, StackSecret]
) -> Iterator[Mistake]:
    """Yield reads that the workload's platform does not support."""
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
            "Read it under files, or declare the secret as text: {config: ...} with the bytes in base64"
            if workload.kubernetes
            else "Declare the secret as text: {config: ...} with the bytes in base64"
        )
        yield Mistake(
            path_of(namespace, place),
            f"{read.secret} is binary, but "
            f"{'ECS supports only text' if workload.ecs else 'a variable is a text'}",
            "The workload would not start",
            remedy,
        )


def _yaml(key: str) -> str:
    """Return a key as YAML, in quotes unless it is a plain word."""
    return key if re.fullmatch(r"[A-Za-z0-9_./-]+", key) else "'" + key.replace("'", "''") + "'"


_COLON = "ECS separates a secret's ARN and key by a colon"


def _unnameable(workload: Workload, secret: StackSecret, key: str) -> str | None:
    """Return why the workload's platform does not support a key; None if it does.

    Sources: the ECS agent formats JSON other than text as Go values (agent/asm/asm.go); AWS's provider for
    the CSI driver rejects it (provider/secret_value.go).
    """
    if workload.ecs and ":" in key:
        return f'{_COLON}, and the key "{key}" of {secret.name} contains one'
    value = secret.values.get(key)
    if value is None or value.json_ is None or isinstance(value.json_, str) or workload.lambda_:
        return None
    if workload.kubernetes and workload.kubernetes.operator == "external-secrets":
        return None
    platform = "ECS" if workload.ecs else "The CSI driver"
    return f'{platform} supports only text, and "{key}" of {secret.name} is JSON of another type'


def _remedy(wrong: str) -> str:
    if wrong.startswith(_COLON):
        return "Rename the key, or read it in the application with an AWS SDK"
    return "Declare it as text, {value: '...'}, or read it with the External Secrets Operator"


def _unknown_secret(namespace: str, place: Place, secret: str, keys: Iterable[str]) -> Mistake:
    return Mistake(
        path_of(namespace, place),
        f'unknown secret "{secret}"{nearest(secret, keys)}',
        "",
        f"The stack's secrets are: {', '.join(keys) or 'none'}. Use existingSecret for any other",
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
                    f'the key "{key}" of {secret} is not a valid environment variable name',
                    "Shells and many programs could not read it",
                    f"Use environment: {{VARIABLE: {{secret: {secret}, key: {_yaml(key)}}}}} for the keys "
                    f"that "
                    "you need",
                )
            if key in taken:
                yield Mistake(
                    here,
                    f'the variable "{key}" is also set by {taken[key]}',
                    "",
                    "List the keys that you need under environment",
                )
            taken[key] = f"environmentFrom[{index}]"


def _wrong_files(namespace: str, place: Place, workload: Workload) -> Iterator[Mistake]:
    for path in workload.files:
        below = next((other for other in workload.files if other.startswith(f"{path}/")), None)
        if below:
            yield Mistake(
                path_of(namespace, (*place, "files", path)),
                f'the file is also the folder of "{below}"',
                "One of them could not be created",
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
    """Yield whole secrets that are several files: AWS's provider for the CSI driver writes only one.

    Args:
        namespace: the project's name.
        place: the workload's place.
        workload: the workload, for its platform.
        whole: path of each file that is a whole secret, to that secret.
    """
    if not workload.kubernetes or workload.kubernetes.operator != "secrets-store-csi":
        return
    seen: dict[str, str] = {}
    for path, secret in whole.items():
        if secret in seen:
            yield Mistake(
                path_of(namespace, (*place, "files", path)),
                f'the whole of {secret} is already the file "{seen[secret]}"',
                "AWS's provider for the CSI driver mounts a secret once, and the pod would not start",
                "Keep one of the files",
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
            "the workload reads no database login",
            "It is unknown which authorities it needs",
            "Read a login's DATABASE_URL, or remove databaseAuthorities",
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
                f'the variable "{variable}" is also set by {taken[variable]}',
                "",
                "Remove one of them",
            )


def databases_of(workload: Workload, stack_file: StackFile) -> list[str]:
    """Return the names of the databases whose logins a workload reads."""
    read = set(workload.secrets)
    return [
        name
        for name, database in stack_file.databases.items()
        if read & {*database.logins, database.admin.secret if database.admin else None}
    ]


def _wrong_pipeline(namespace: str, stack_file: StackFile, stack: str) -> Iterator[Mistake]:
    pipeline = stack_file.pipeline
    if pipeline is None:
        return
    for key in ("secrets", "databases", "caches", "smtp", "workloads", "notices", "rehearsal"):
        if getattr(stack_file, key):
            yield Mistake(
                path_of(namespace, (key,)),
                f"{key} and pipeline are in the same stack",
                "The pipeline could change its own roles, which this stack creates",
                "Declare pipeline in its own stack, which an administrator updates",
            )
    for index, name in enumerate(pipeline.stacks):
        if name == stack or stack.startswith(f"{name}_"):
            yield Mistake(
                path_of(namespace, ("pipeline", "stacks", index)),
                "it is this stack"
                if name == stack
                else "the names of its resources and of this stack's have the same prefix",
                "The pipeline could change its own roles, which this stack creates",
                "List only stacks with secrets",
            )
