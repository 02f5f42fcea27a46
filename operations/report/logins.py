"""Assess what a login's provisioning request does in the database with an administrator's privileges."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.lambdas.rotation import protocol
from operations.report.access import as_mapping
from operations.report.model import Change, Danger, Finding, Kind, Name, Text, named
from operations.report.steps import UNKNOWN, Plan, Step, is_hidden

# Each level includes the previous one.
_LEVELS = (None, "read-only", "read-write", "owner")
_OWNER = "owner"
# The fields of a request that this report assesses; "tf" is added by Terraform's and Pulumi's providers.
_KNOWN = {
    *(protocol.ACTION, protocol.SECRET_ID, protocol.USERNAME, protocol.CONNECTION, protocol.GRANTS),
    *(protocol.SCHEMAS, protocol.CREATE_SCHEMAS, protocol.OWNER_ROLE, "tf"),
}
_PLACE = (protocol.HOST, protocol.PORT, protocol.DATABASE)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A provisioning request.

    Attributes:
        username: the login role.
        place: host, port and database.
        admin: ARN of the administrator's secret; empty without one.
        grants: a level, the operator's SQL templates, or None to leave privileges as they are.
        schemas: the schemas that the grants apply to.
        owner_role: the owner role; empty for the default.
        create_schemas: whether missing schemas are created.
        rest: fields that this report does not know.
    """

    username: str
    place: tuple[str, ...]
    admin: str
    grants: str | tuple[str, ...] | None
    schemas: tuple[str, ...]
    owner_role: str
    create_schemas: bool
    rest: Mapping[str, Any] = field(default_factory=dict)


def _request(text: object) -> Request | None:
    """Return the request in an Invocation's input; None if it is not known."""
    if not isinstance(text, str) or UNKNOWN in text or is_hidden(text):
        return None
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    connection = as_mapping(event.get(protocol.CONNECTION))
    grants = event.get(protocol.GRANTS)
    known = grants in _LEVELS if not isinstance(grants, list) else True
    schemas = tuple(map(str, _listed(event.get(protocol.SCHEMAS))))
    return Request(
        username=str(event.get(protocol.USERNAME) or ""),
        place=tuple(str(connection.get(key) or "") for key in _PLACE),
        admin=str(connection.get(protocol.MASTER_ARN) or ""),
        grants=tuple(map(str, grants)) if isinstance(grants, list) else grants if known else None,
        schemas=schemas or (() if grants is None else ("public",)),
        owner_role=str(event.get(protocol.OWNER_ROLE) or ""),
        create_schemas=event.get(protocol.CREATE_SCHEMAS) is True,
        rest={
            **{key: value for key, value in event.items() if key not in _KNOWN},
            **{key: value for key, value in connection.items() if key not in {*_PLACE, protocol.MASTER_ARN}},
            **({} if known else {protocol.GRANTS: grants}),
        },
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def provisioning(step: Step, plan: Plan) -> Iterator[Finding]:
    """Assess an aws.lambda.Invocation, which provisions the login's roles and privileges in the database."""
    if step.op not in {"create", "update", "replace"}:
        return
    owner = plan.component(step)
    new = _request(step.new.inputs.get("input"))
    if step.op != "create" or not plan.in_new_component(step):
        text: Text = ("The login's roles and privileges are provisioned again in the database",)
        yield Change(component=owner, text=text)
    if new is None:
        unread = (
            "is not known before the update"
            if step.new.inputs.get("input") == UNKNOWN
            else "cannot be read here"
        )
        text = (f"The login's provisioning request {unread}: review its grants in the stack file",)
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=owner, text=text)
        return
    old = _request(step.old.inputs.get("input")) if step.op != "create" else None
    for kind, text, code in _assess(old, new):
        if kind is None:
            yield Change(component=owner, text=text)
        else:
            yield Danger(kind=kind, component=owner, text=text, code=code)


_Assessment = tuple[Kind | None, Text, tuple[str, ...]]


def _assess(old: Request | None, new: Request) -> Iterator[_Assessment]:
    """Yield what a request changes, as kind (None if harmless), text and SQL.

    Args:
        old: the previous request; None if this is the first, or the previous one is not known.
        new: the request.
    """
    yield from _granted(old, new)
    if new.create_schemas and not (old and old.create_schemas):
        yield None, ("Creates missing schemas among ", *named(new.schemas)), ()
    if old is None:
        if new.owner_role:
            text: Text = ("Acts as the role ", Name(new.owner_role), ", with all of its privileges")
            yield Kind.WIDENS_ACCESS, text, ()
    else:
        yield from _moved(old, new)
        if _owner_role(old) != _owner_role(new):
            roles = (Name(_owner_role(one)) for one in (new, old))
            yield Kind.WIDENS_ACCESS, ("Acts as the role ", next(roles), " instead of ", next(roles)), ()
    known = old.rest if old else {}
    if others := [key for key in {*known, *new.rest} if known.get(key) != new.rest.get(key)]:
        text = ("Its provisioning request changes in ", *named(others), ", which this report cannot assess")
        yield Kind.CANNOT_BE_JUDGED, text, ()


def _owner_role(request: Request) -> str:
    return request.owner_role or f"{request.username}_owner"


def _granted(old: Request | None, new: Request) -> Iterator[_Assessment]:
    before = old.grants if old else None
    if isinstance(new.grants, tuple):
        if new.grants != before:
            text: Text = ("Runs custom SQL as the database's administrator: review it",)
            yield Kind.CANNOT_BE_JUDGED, text, new.grants
        elif old and {*new.schemas} - {*old.schemas}:
            text = ("Runs its custom SQL for more schemas: ", *named({*new.schemas} - {*old.schemas}))
            yield Kind.CANNOT_BE_JUDGED, text, new.grants
        return
    text = (f"Is granted {new.grants} privileges in schemas ", *named(new.schemas))
    if isinstance(before, tuple):
        kind = Kind.WIDENS_ACCESS if new.grants == _OWNER else Kind.CANNOT_BE_JUDGED
        yield kind, (*(text if new.grants else ("Is granted no privileges",)), " instead of custom SQL"), ()
        return
    if new.grants != before:
        higher = _LEVELS.index(new.grants) > _LEVELS.index(before)
        dangerous = higher and (old is not None or new.grants == _OWNER)
        if new.grants is None:
            text = ("Its privileges are no longer managed",)
        instead = f" instead of {before or 'no'} privileges" if old and new.grants else ""
        yield Kind.WIDENS_ACCESS if dangerous else None, (*text, instead), ()
    if old is None or not old.schemas or not new.schemas:
        return
    if more := {*new.schemas} - {*old.schemas}:
        text = (f"Is granted {new.grants} privileges in more schemas: ", *named(more))
        yield Kind.WIDENS_ACCESS, text, ()
    if fewer := {*old.schemas} - {*new.schemas}:
        yield None, ("Its privileges in ", *named(fewer), " are no longer managed"), ()


def _moved(old: Request, new: Request) -> Iterator[_Assessment]:
    """Yield changes of the login's name, its server and the administrator that provisions it."""
    if old.username != new.username:
        text: Text = ("Logs in as ", Name(new.username), " instead of ", Name(old.username))
        yield Kind.CHANGES_LOGIN, text, ()
    if old.place != new.place:
        text = ("Logs in at ", Name(_spelled(new.place)), " instead of ", Name(_spelled(old.place)))
        yield Kind.CHANGES_LOGIN, text, ()
    if old.admin == new.admin:
        return
    if not new.admin:
        yield None, ("It is no longer provisioned by an administrator",), ()
    elif not old.admin or {*"*?"} & {*new.admin}:
        yield (
            Kind.WIDENS_ACCESS,
            ("It is provisioned by the administrator of secret ", Name(new.admin)),
            (),
        )
    else:
        text = (
            *("It is provisioned by the administrator of secret ", Name(new.admin)),
            *(" instead of ", Name(old.admin)),
        )
        yield Kind.CHANGES_LOGIN, text, ()


def _spelled(place: Sequence[str]) -> str:
    host, port, database = place
    return f"{host}:{port}/{database}"
