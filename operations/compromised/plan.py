"""Decide what a leak asks for, from the stack file alone: nothing is read from AWS, nothing is changed."""

import shlex
from collections.abc import Iterator

from components.lambdas.rotation.protocol import POSTGRES, POSTGRES_ALTERNATING, POSTGRES_IAM, ROTATION_TAG
from operations.compromised.model import Leak, Plan, SecretPlan, Task
from operations.compromised.shell import connecting, generating, listing_sessions, prompting
from operations.renewal.functions import function_of, has_one_value
from operations.renewal.model import Deployment, ReaderPlan
from operations.restore.plan import Refusal
from program.authorities import BUNDLE
from program.desired import Desired, DesiredSecret
from stack_file.secrets import Binary, Secret, Text
from stack_file.stack_secrets import StackSecret, by_name

_POSTGRES = {POSTGRES, POSTGRES_ALTERNATING}


def chosen(desired: Desired, leak: Leak) -> tuple[str, ...]:
    """Return the names of the secrets that leaked.

    Raises:
        Refusal: the stack file does not declare it.
    """
    if leak.secret is not None:
        if leak.secret not in desired.secrets:
            known = ", ".join(desired.secrets) or "none"
            raise Refusal(f"The stack file declares no secret {leak.secret}. It declares: {known}.")
        return (leak.secret,)
    if leak.workload is not None:
        if leak.workload not in desired.workloads:
            known = ", ".join(desired.workloads) or "none"
            raise Refusal(f"The stack file declares no workload {leak.workload}. It declares: {known}.")
        return desired.workloads[leak.workload].secrets
    return tuple(desired.secrets)


def plan(desired: Desired, leak: Leak, deployment: Deployment) -> Plan:
    """Return what to do.

    Args:
        desired: the stack.
        leak: what leaked.
        deployment: what the deployment declares.

    Raises:
        Refusal: the stack file does not declare it, or it is not a secret.
    """
    declared, wanted = by_name(desired.stack_file), set(chosen(desired, leak))
    return Plan(
        secrets=tuple(
            _secret(desired, secret, declared[secret.name], deployment, leak.key)
            for secret in desired.secrets.values()
            if secret.name in wanted
        ),
        readers=tuple(_readers(desired, wanted, leak.key)),
        tasks=tuple(_tasks_of_others(desired, leak)),
    )


def _secret(
    desired: Desired, secret: DesiredSecret, declared: StackSecret, deployment: Deployment, key: str | None
) -> SecretPlan:
    sources = {place[1] if place[0] == "values" else "": source for place, source in declared.sources}
    if key is not None and key not in {*sources, *declared.own_keys}:
        known = ", ".join(declared.keys) or "one value without keys"
        raise Refusal(f"{secret.name} has no key {key}. It has: {known}.")
    is_login = bool(declared.own_keys)
    by_rotation = _rotated_keys(secret, declared)
    rotates = by_rotation is None or bool(by_rotation)
    asked = {key} if key is not None else {*sources, *declared.own_keys}
    if by_rotation is not None:
        rotates = bool(asked & by_rotation)
    left = {
        name: source for name, source in sources.items() if name in asked and name not in (by_rotation or ())
    }
    tasks: list[Task] = []
    if rotates and secret.login_tags.get(ROTATION_TAG) == POSTGRES_IAM:
        rotates = False
        tasks.append(_without_password(secret))
    elif rotates and secret.schedule is None:
        rotates = False
        tasks.append(_rotation_is_off(secret))
    if rotates and secret.rotated_by != "stack":
        tasks.append(_rotated_by_others(secret, tuple(left)))
        left = {name: source for name, source in left.items() if source.filled_by_hand is not None}
    if rotates and not is_login and secret.rotated_by == "stack":
        tasks.append(_previous_keys(secret))
    generated = tuple(name for name, source in left.items() if _is_generated(source))
    for name, source in left.items():
        tasks.extend(_by_hand(desired, secret, name, source))
    by_writer = generated if secret.mode != "once" else ()
    if not rotates and not by_writer and not tasks:
        what = f"key {key} of {secret.name}" if key else secret.name
        if key is not None:
            raise Refusal(f"The {what} is written in the stack file (value or json), so it is not a secret.")
    return SecretPlan(
        secret=secret,
        rotations=_rotations(secret, is_login=is_login) if rotates else 0,
        function=function_of(secret, deployment.functions) if rotates else "",
        is_login=is_login and rotates,
        keys=by_writer,
        tasks=tuple(tasks),
        checks=tuple(
            _checks(
                secret,
                deployment,
                _authorities(desired, secret),
                is_login=is_login and rotates,
                has_keys=rotates or bool(by_writer),
            )
        ),
    )


def _authorities(desired: Desired, secret: DesiredSecret) -> str:
    """Return the file of authorities that verify a login's server, relative to the project's folder."""
    database = desired.stack_file.databases.get(secret.server[1]) if secret.server else None
    declared = database.certificate_authorities if database else None
    return declared or BUNDLE.relative_to(BUNDLE.parents[4]).as_posix()


def _checks(
    secret: DesiredSecret, deployment: Deployment, authorities: str, *, is_login: bool, has_keys: bool
) -> Iterator[Task]:
    """Yield how to prove that an old value is dead, without showing one."""
    if is_login and secret.login_tags.get(ROTATION_TAG) not in _POSTGRES:
        yield Task(
            where=secret.name,
            text="Log in as the leaked user, and enter the leaked password when asked: it must be rejected. "
            "List the user's connections: each must have begun after the last rotation.",
        )
    elif is_login:
        users = _users(secret)
        server = deployment.servers.get(secret.server or ("", ""), ("HOST", "5432"))
        database = secret.login.database if secret.login else "postgres"
        login = (connecting(server, database, user, authorities) for user in users)
        yield Task(
            where=secret.name,
            text="In the project's folder, log in as the leaked user, and enter the leaked password when "
            "asked: the server must answer that password authentication failed. As an administrator, list "
            "the users' sessions: each must have begun after the last rotation, from an address that you "
            "know.",
            commands=(*login, listing_sessions(users)),
        )
    elif has_keys:
        yield Task(
            where=secret.name,
            text="Use something that the leaked key signed or opened, such as a session cookie or a token, "
            "at each reader: it must be rejected.",
        )


def _users(secret: DesiredSecret) -> tuple[str, ...]:
    if secret.login is None:
        return ("LEAKED_USER",)
    username = secret.login.username
    return (username,) if has_one_value(secret) else (username, f"{username}_clone")


def _rotated_keys(secret: DesiredSecret, declared: StackSecret) -> set[str] | None:
    """Return the keys that a rotation renews; None if only the function that rotates them knows."""
    if declared.own_keys:
        return set(declared.own_keys)
    settings = declared.settings
    if isinstance(settings, Secret) and settings.rotation and secret.rotated_by == "stack":
        return set(settings.rotation.renewed_keys)
    return set() if secret.schedule is None else None


def _rotations(secret: DesiredSecret, *, is_login: bool) -> int:
    return 2 if is_login and not has_one_value(secret) else 1


def _is_generated(source: Text | Binary) -> bool:
    return source.random_bytes is not None or getattr(source, "random", None) is not None


def _label(secret: DesiredSecret, key: str) -> str:
    return f"{secret.name}, key {key}" if key else secret.name


def _by_hand(desired: Desired, secret: DesiredSecret, key: str, source: Text | Binary) -> Iterator[Task]:
    where = _label(secret, key)
    place = f"{secret.path}.values.{key}" if key else f"{secret.path}.{secret.content}"
    if source.filled_by_hand is not None:
        yield Task(
            where=where,
            text=f"Get a new value and revoke the old one: {source.filled_by_hand}. Then put it into the "
            "secret.",
            commands=(prompting(secret.name, key, secret.content),),
        )
    elif source.config is not None:
        stack = shlex.quote(desired.stack)
        after = (
            f"Then write `generation: {source.generation + 1}` next to {place}, and update the stack."
            if secret.mode != "once"
            else "Pulumi does not change a live value in the mode `once`, so put it into the secret, too."
        )
        yield Task(
            where=where,
            text="Get a new value from whoever issued it, and revoke the old one. Store it in the "
            f"configuration. {after}",
            commands=(
                f"pulumi config set --secret {shlex.quote(source.config)} --stack {stack}",
                f"python -m operations up --stack {stack}"
                if secret.mode != "once"
                else prompting(secret.name, key, secret.content),
            ),
        )
    elif _is_generated(source) and secret.mode == "once":
        yield Task(
            where=where,
            text="The stack's writer does not write this secret (initialValues: once). Generate a new value; "
            "no value is shown. Or write `initialValues: managed` to the secret, update the stack, and run "
            "this command again.",
            commands=(generating(secret.name, key, source, secret.content),),
        )


def _without_password(secret: DesiredSecret) -> Task:
    return Task(
        where=secret.name,
        text="The login has no password: whoever may call rds-db:connect logs in. Revoke the leaked "
        "credentials of AWS in IAM, with `aws:TokenIssueTime`; tokens that were issued before are valid for "
        "15 minutes.",
    )


def _rotation_is_off(secret: DesiredSecret) -> Task:
    return Task(
        where=secret.name,
        text=f"Rotation is off ({secret.path}), so the leaked password stays valid. Write "
        "`rotation: {enabled: true}`, update the stack, and run this command again; or change the password "
        "in the database and in the secret.",
    )


def _rotated_by_others(secret: DesiredSecret, keys: tuple[str, ...]) -> Task:
    who = "your own function" if secret.rotated_by == "own-function" else "AWS, with the partner"
    which = (
        f" Keys that it does not renew still have the leaked value: {', '.join(filter(None, keys))}."
        if any(keys)
        else ""
    )
    return Task(
        where=secret.name,
        text=f"It is rotated by {who}. Check there whether the previous value still works: if two are "
        f"valid at a time, rotate it once more.{which}",
        commands=(f"aws secretsmanager rotate-secret --secret-id {shlex.quote(secret.name)}",),
    )


def _previous_keys(secret: DesiredSecret) -> Task:
    return Task(
        where=secret.name,
        text="The previous version (AWSPREVIOUS) has the leaked keys. If a reader accepts those of the "
        "previous version, too, rotate once more after all readers were restarted.",
        commands=(f"aws secretsmanager rotate-secret --secret-id {shlex.quote(secret.name)}",),
    )


def _readers(desired: Desired, names: set[str], key: str | None) -> Iterator[ReaderPlan]:
    for place in desired.restart_order:
        workload = desired.workloads[place]
        read = tuple(
            name
            for name in workload.secrets
            if name in names and _reads(desired.secrets[name], workload.name, key)
        )
        if read:
            yield ReaderPlan(workload=workload, secrets=read)


def _reads(secret: DesiredSecret, workload: str, key: str | None) -> bool:
    keys = secret.readers.get(workload, ())
    # a login's keys change together: a rotation renews the user and the URL as well as the password
    return key is None or secret.content != "keys" or secret.is_login or key in keys


def _tasks_of_others(desired: Desired, leak: Leak) -> Iterator[Task]:
    """Yield what to do about secrets that the stack reads or uses, but does not create."""
    whole_stack = leak.secret is None and leak.workload is None
    everybody = desired.workloads.values() if whole_stack else ()
    named = [desired.workloads[leak.workload]] if leak.workload else everybody
    for reference in sorted({name for one in named for name in one.existing_secrets}):
        yield Task(
            where=reference,
            text="This stack reads the secret, but does not create it. Renew it where it is managed; if it "
            "rotates, with the command.",
            commands=(f"aws secretsmanager rotate-secret --secret-id {shlex.quote(reference)}",),
        )
    for database in desired.databases.values() if whole_stack else ():
        where, declared = f"administrator of database {database.name}", database.declared
        if database.administrator == "rds":
            instance, cluster = declared.rds_instance, declared.aurora_cluster
            kind, identifier = ("instance", instance) if instance else ("cluster", cluster)
            command = (
                f"aws rds modify-db-{kind} --db-{kind}-identifier {shlex.quote(identifier or '')} "
                "--rotate-master-user-password --apply-immediately"
            )
            yield Task(
                where=where,
                text="RDS manages the master user's password. If it leaked, too, have RDS renew it.",
                commands=(command,),
            )
        elif database.administrator == "existing-secret" and declared.admin and declared.admin.secret_arn:
            yield Task(
                where=where,
                text="Its secret is not this stack's. If it leaked, too, renew it where it is managed.",
                commands=(
                    f"aws secretsmanager rotate-secret --secret-id {shlex.quote(declared.admin.secret_arn)}",
                ),
            )
