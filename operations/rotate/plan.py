"""Decide what a run rotates and restarts, from the stack file alone: nothing is read from AWS."""

import shlex
from collections.abc import Iterable, Sequence

from components.lambdas.rotation.protocol import POSTGRES_IAM, ROTATION_TAG
from operations.renewal.functions import function_of, has_one_value
from operations.renewal.model import Deployment, ReaderPlan
from operations.restore.plan import Refusal
from operations.rotate.model import Plan, SecretPlan, Validity
from program.desired import Desired, DesiredSecret
from stack_file.restarts import predecessors


def chosen(desired: Desired, names: Sequence[str], workload: str | None) -> tuple[list[str], list[str]]:
    """Return the names of the secrets to rotate, and notes about those of the workload that do not rotate.

    Raises:
        Refusal: one of them is not declared or cannot be rotated; the message lists all reasons.
    """
    problems = []
    if workload is not None and workload not in desired.workloads:
        known = ", ".join(desired.workloads) or "none"
        problems.append(f"The stack file declares no workload {workload}. It declares: {known}.")
    for name in names:
        if name not in desired.secrets:
            known = ", ".join(desired.secrets) or "none"
            problems.append(f"The stack file declares no secret {name}. It declares: {known}.")
        elif reason := _unfit(desired.secrets[name]):
            problems.append(f"{name}: {reason}")
    if problems:
        raise Refusal("\n".join([*problems, "Nothing was changed."]))
    read = desired.workloads[workload] if workload is not None else None
    of_workload = [name for name in read.secrets if name not in names] if read else []
    notes = [
        f"{name} is not rotated: {reason}"
        for name in of_workload
        if (reason := _unfit(desired.secrets[name]))
    ]
    notes += [f"{name} is not rotated: another stack or team manages it." for name in _existing(read)]
    fit = [name for name in of_workload if not _unfit(desired.secrets[name])]
    if read and not fit and not names:
        raise Refusal("\n".join([f"No secret that {read.name} reads can be rotated.", *notes]))
    return [*dict.fromkeys([*names, *fit])], notes


def plan(desired: Desired, names: Iterable[str], notes: Iterable[str], deployment: Deployment) -> Plan:
    """Return a run: its secrets in the order given, their readers in the order of `restart.after`."""
    wanted = [*names]
    readers = []
    for name in desired.restart_order:
        workload = desired.workloads[name]
        if read := tuple(one for one in workload.secrets if one in wanted):
            readers.append(ReaderPlan(workload=workload, secrets=read))
    return Plan(
        secrets=tuple(
            SecretPlan(
                secret=desired.secrets[name],
                function=function_of(desired.secrets[name], deployment.functions),
                validity=_validity(desired.secrets[name]),
            )
            for name in wanted
        ),
        readers=tuple(readers),
        before={
            one.workload.name: frozenset(predecessors(desired.stack_file.workloads, one.workload.name))
            for one in readers
        },
        notes=tuple(notes),
    )


def _unfit(secret: DesiredSecret) -> str:
    """Return why a secret cannot be rotated; empty if it can."""
    if secret.login_tags.get(ROTATION_TAG) == POSTGRES_IAM:
        return "The login has no password: it uses tokens of IAM, which are valid for 15 minutes."
    if secret.rotated_by == "aws":
        command = f"aws secretsmanager rotate-secret --secret-id {shlex.quote(secret.name)}"
        return (
            "AWS rotates it together with the partner. The partner decides whether the old value still "
            f"works, so this command has no way back. Rotate it alone: {command}"
        )
    if secret.schedule is None and secret.is_login:
        remedy = "Write `rotation: {enabled: true}` and update the stack first."
        return f"Rotation is off ({secret.path}). {remedy}"
    if secret.schedule is None:
        remedy = "Write `rotation: {keys: [KEY]}` for random keys and update the stack first"
        return f"It does not rotate ({secret.path}). {remedy}; other values need a person."
    return ""


def _existing(workload: object) -> Sequence[str]:
    return getattr(workload, "existing_secrets", ())


def _validity(secret: DesiredSecret) -> Validity:
    if secret.rotated_by == "own-function":
        return "own-function"
    if not secret.is_login:
        return "as-readers-accept"
    return "ended" if has_one_value(secret) else "until-next-rotation"
