"""What happens to logins: what a provisioning asks of a database, with its administrator's rights."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from automation.report.access import as_mapping
from automation.report.model import Change, Danger, Finding, Kind, Name, Text, named
from automation.report.steps import UNKNOWN, Plan, Step, hidden

# Each may do all that the one before it may.
_LEVELS = (None, "read-only", "read-write", "owner")
_OWNER = "owner"
# Source: functions/rotation/provision.py; "tf" is Terraform's own.
_KNOWN = {
    *("Action", "SecretId", "Username", "Connection", "Grants", "Schemas", "CreateSchemas", "OwnerRole"),
    "tf",
}
_PLACE = ("host", "port", "dbname")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a provisioning asks for.

    Attributes:
        grants: a level, or the operator's own SQL templates.
        rest: what this report does not know.
    """

    username: str
    place: tuple[str, ...]
    admin: str
    grants: str | tuple[str, ...] | None
    schemas: tuple[str, ...]
    owner_role: str
    create_schemas: bool
    rest: Mapping[str, Any] = field(default_factory=dict)


def _asked(text: object) -> Asked | None:
    """Return what an Invocation's input asks for; None where that is not known."""
    if not isinstance(text, str) or UNKNOWN in text or hidden(text):
        return None
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    connection = as_mapping(event.get("Connection"))
    grants = event.get("Grants")
    known = grants in _LEVELS if not isinstance(grants, list) else True
    return Asked(
        username=str(event.get("Username") or ""),
        place=tuple(str(connection.get(key) or "") for key in _PLACE),
        admin=str(connection.get("masterarn") or ""),
        grants=tuple(map(str, grants)) if isinstance(grants, list) else grants if known else None,
        schemas=tuple(map(str, _listed(event.get("Schemas")))) or (() if grants is None else ("public",)),
        owner_role=str(event.get("OwnerRole") or ""),
        create_schemas=event.get("CreateSchemas") is True,
        rest={
            **{key: value for key, value in event.items() if key not in _KNOWN},
            **{key: value for key, value in connection.items() if key not in {*_PLACE, "masterarn"}},
            **({} if known else {"Grants": grants}),
        },
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def provisioning(step: Step, plan: Plan) -> Iterator[Finding]:
    """An aws.lambda.Invocation: the login's roles and privileges in the database."""
    if step.op not in {"create", "update", "replace"}:
        return
    owner = plan.component(step)
    new = _asked(step.new.inputs.get("input"))
    if step.op != "create" or not plan.begins(step):
        text: Text = ("The login's roles and privileges in the database are set anew",)
        yield Change(component=owner, text=text)
    if new is None:
        unread = (
            "is not known before the update"
            if step.new.inputs.get("input") == UNKNOWN
            else "cannot be read here"
        )
        text = (f"What the login may do in the database {unread}: read its grants in the stack file",)
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=text)
        return
    old = _asked(step.old.inputs.get("input")) if step.op != "create" else None
    for kind, text, code in _judged(old, new):
        if kind is None:
            yield Change(component=owner, text=text)
        else:
            yield Danger(kind=kind, component=owner, text=text, code=code)


_Judgement = tuple[Kind | None, Text, tuple[str, ...]]


def _judged(old: Asked | None, new: Asked) -> Iterator[_Judgement]:
    """Return what a request means beyond an earlier one; None for one that is the first or not known."""
    yield from _granted(old, new)
    if new.create_schemas and not (old and old.create_schemas):
        yield None, ("Creates the schemas ", *named(new.schemas), " that do not exist"), ()
    if old is None:
        if new.owner_role:
            text: Text = ("Acts as the role ", Name(new.owner_role), ", with all that it may do")
            yield Kind.WIDENS_ACCESS, text, ()
    else:
        yield from _elsewhere(old, new)
        if _owner_role(old) != _owner_role(new):
            roles = (Name(_owner_role(one)) for one in (new, old))
            yield Kind.WIDENS_ACCESS, ("Acts as the role ", next(roles), " instead of ", next(roles)), ()
    known = old.rest if old else {}
    if others := [key for key in {*known, *new.rest} if known.get(key) != new.rest.get(key)]:
        text = ("Its provisioning changes in ", *named(others), ", where this report does not look")
        yield Kind.CANNOT_BE_JUDGED, text, ()


def _owner_role(asked: Asked) -> str:
    return asked.owner_role or f"{asked.username}_owner"


def _granted(old: Asked | None, new: Asked) -> Iterator[_Judgement]:
    before = old.grants if old else None
    if isinstance(new.grants, tuple):
        if new.grants != before:
            text: Text = ("Runs own SQL as the database's administrator, which cannot be judged: read it",)
            yield Kind.CANNOT_BE_JUDGED, text, new.grants
        elif old and {*new.schemas} - {*old.schemas}:
            text = ("Runs its own SQL for more schemas: ", *named({*new.schemas} - {*old.schemas}))
            yield Kind.CANNOT_BE_JUDGED, text, new.grants
        return
    told: Text = (f"Gets {new.grants} privileges in the schemas ", *named(new.schemas))
    if isinstance(before, tuple):
        kind = Kind.WIDENS_ACCESS if new.grants == _OWNER else Kind.CANNOT_BE_JUDGED
        yield kind, (*(told if new.grants else ("Gets no more privileges",)), " instead of own SQL"), ()
        return
    if new.grants != before:
        higher = _LEVELS.index(new.grants) > _LEVELS.index(before)
        dangerous = higher and (old is not None or new.grants == _OWNER)
        if new.grants is None:
            told = ("Its privileges are left as they are",)
        instead = f" instead of {before or 'no'} privileges" if old else ""
        yield Kind.WIDENS_ACCESS if dangerous else None, (*told, instead), ()
    if old is None or not old.schemas or not new.schemas:
        return
    if more := {*new.schemas} - {*old.schemas}:
        yield Kind.WIDENS_ACCESS, (f"Gets {new.grants} privileges in more schemas: ", *named(more)), ()
    if fewer := {*old.schemas} - {*new.schemas}:
        yield None, ("Is asked no more for privileges in ", *named(fewer)), ()


def _elsewhere(old: Asked, new: Asked) -> Iterator[_Judgement]:
    """Who logs in, where, and with whose administrator."""
    if old.username != new.username:
        text: Text = ("Logs in as ", Name(new.username), " instead of ", Name(old.username))
        yield Kind.CHANGES_LOGIN, text, ()
    if old.place != new.place:
        text = ("Logs in at ", Name(_spelled(new.place)), " instead of ", Name(_spelled(old.place)))
        yield Kind.CHANGES_LOGIN, text, ()
    if old.admin == new.admin:
        return
    if not new.admin:
        yield None, ("No administrator provisions it from now on",), ()
    elif not old.admin or {*"*?"} & {*new.admin}:
        yield (
            Kind.WIDENS_ACCESS,
            ("The administrator whose secret is ", Name(new.admin), " provisions it"),
            (),
        )
    else:
        text = ("Another administrator's secret: ", Name(new.admin), " instead of ", Name(old.admin))
        yield Kind.CHANGES_LOGIN, text, ()


def _spelled(place: Sequence[str]) -> str:
    host, port, database = place
    return f"{host}:{port}/{database}"
