"""Decide which live secrets become database logins of a stack, on which server, and with which administrator.

A login's value says where it logs in and who administers it, and whoever can write the secret decides what it
says. Adopting it makes that a declaration, which the rotation function trusts with an administrator's
password. So what only the value says counts for nothing: the administrator must be named by the origin, by
the rotation function that has used it so far, by the stack file, or by the operator (`--administrator`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from components.lambdas.rotation import protocol
from operations.adopt.login_functions import ADMIN, ALTERNATE, GRANTS, LENGTH, PRIMARY, Recognized, recognize
from operations.adopt.login_lookups import RdsServer
from operations.adopt.model import LiveSecret, LoginFields, Origin, RotationFunction, Shape
from operations.status.aws import Denied
from stack_file import StackFile
from stack_file.databases import ADMIN_KEY, LOGIN_KEYS, UNCHANGED, Database

_CLONE = "_clone"
_DATABASE = "postgres"  # where AWS's functions log in if the value does not say
_PORT = 5432
_LENGTH_OF_OTHERS = 32  # what GetRandomPassword generates by default
_ENGINES = {"postgres", "aurora-postgresql"}
_KINDS = {protocol.POSTGRES: "single", protocol.POSTGRES_ALTERNATING: "alternating"}
PENDING = (
    "a rotation of it is pending: wait until it has ended, or cancel it (docs/rotation.md, When a rotation "
    "fails), then run again"
)
_WHO_DECIDES = "and whoever can write the value decides what it says"

Users: TypeAlias = Literal["alternating", "single"]
Server: TypeAlias = tuple[str | int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The operator's decisions.

    Attributes:
        read_keys: read each value for the names of its keys, and for where a login logs in.
        keep: adopt logins as plain secrets, which keep their rotation functions.
        alternating: let single users alternate from now on.
        administrators: ARNs of administrators' secrets that logins may name.
        authorities: PEM file of authorities that servers' certificates are from, besides Amazon RDS's.
    """

    read_keys: bool = False
    keep: bool = False
    alternating: bool = False
    administrators: Sequence[str] = ()
    authorities: str | None = None


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login to declare.

    Attributes:
        database: its entry of `databases`.
        server: the settings of that entry, without its logins; empty if the stack file has the entry.
        settings: its own settings, without those of every secret.
        notes: what happens to it, and what to do, each a sentence.
    """

    database: str
    server: Mapping[str, Any]
    settings: Mapping[str, Any]
    notes: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A login that cannot be taken over as it is, with what to do."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A secret that is adopted as a plain one; `remark` says why it is not a login, if it looks like one."""

    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """A login under examination."""

    live: LiveSecret
    origin: Origin
    shape: Shape | None
    function: RotationFunction | None
    kind: str
    words: str

    @property
    def fields(self) -> LoginFields:
        """The known fields of its value: the live ones if they were read."""
        return self.live.login or self.origin.login or LoginFields()


@dataclass
class Logins:
    """The logins of a plan, which share servers.

    Attributes:
        file: the stack file.
        options: the operator's decisions.
        functions: rotation functions by ARN.
        servers: servers of RDS by address.
        administrators: ARNs of secrets that functions and logins name as their administrators'.
    """

    file: StackFile
    options: Options
    functions: Mapping[str, RotationFunction | Denied]
    servers: Mapping[str, RdsServer] | Denied
    administrators: frozenset[str]
    _new: dict[Server, tuple[str, str, Mapping[str, Any]]] = field(default_factory=dict)

    def of(self, live: LiveSecret, origin: Origin, shape: Shape | None) -> Login | Refused | Plain:
        """Return the login that a live secret becomes, why it cannot, or that it is none."""
        if self.options.keep:
            return Plain()
        function, denied = self._function(live)
        recognized = self._recognized(live, origin, function)
        engine = (live.login or origin.login or LoginFields()).engine
        if recognized is None or recognized.kind is None or (engine and engine not in _ENGINES):
            return Plain(remark=_not_recognized(live, shape, recognized, engine, denied))
        found = _Subject(
            live=live,
            origin=origin,
            shape=shape,
            function=function,
            kind=recognized.kind,
            words=recognized.words,
        )
        if self._is_administrator(found):
            return Plain(remark=_of_administrator(found))
        try:
            return self._login(found)
        except _RefusedError as refused:
            return Refused(
                reason=f"it is a database login, rotated by {found.words}: {refused}. To keep its function "
                "instead, use --keep-logins"
            )

    def _function(self, live: LiveSecret) -> tuple[RotationFunction | None, str]:
        known = self.functions.get(live.rotation.function_arn) if live.rotation else None
        if isinstance(known, Denied):
            return None, known.action
        return known, ""

    def _recognized(
        self, live: LiveSecret, origin: Origin, function: RotationFunction | None
    ) -> Recognized | None:
        if live.tags.get(protocol.ROTATION_TAG) in _KINDS:
            return Recognized(kind="ours", words="another stack of this program")
        if live.rotation is None:
            return None
        names_admin = None if live.login is None else live.login.admin_arn is not None
        return recognize(
            function or RotationFunction(arn=live.rotation.function_arn),
            origin.application,
            names_admin=names_admin,
        )

    def _is_administrator(self, found: _Subject) -> bool:
        """Return whether other logins need it, so that it is not an application's."""
        fields = found.fields
        rds = None if isinstance(self.servers, Denied) else self.servers.get((fields.host or "").casefold())
        is_master = rds is not None and fields.username == rds.master_username
        return found.kind == "thoughtbot-admin" or found.live.arn in self.administrators or is_master

    def _login(self, found: _Subject) -> Login:
        username, users = _user(found, alternating=self.options.alternating)
        fields = found.fields
        if found.live.is_rotating:
            raise _RefusedError(PENDING)
        if found.shape and found.live.shape and protocol.PASSWORD in found.shape.empty_keys:
            raise _RefusedError("it has no password yet: rotate it once, then run again")
        if not fields.host:
            raise _RefusedError("its host is in its value alone: use --read-keys")
        name, server, notes = self._server(found, fields.host, fields.port or _PORT)
        database = fields.database or _DATABASE
        how = "alternating users" if users == "alternating" else "a single user"
        becomes = f"it becomes a login of database {name}, with {how}; until then {found.words} rotates it"
        notes = [becomes, *notes, *_notes(found, username, users)]
        length = _length(found)
        return Login(
            database=name,
            server=server,
            settings={
                "username": username,
                "database": database,
                **({"users": users} if users == "single" else {}),
                "grants": UNCHANGED,
                **({} if length == protocol.DEFAULT_PASSWORD_LENGTH else {"passwordLength": length}),
                "rotation": _rotation(found.live),
                **_values(found),
            },
            notes=notes,
        )

    def _server(self, found: _Subject, host: str, port: int) -> tuple[str, Mapping[str, Any], list[str]]:
        """Return the entry of `databases` that a login belongs to, its settings if it is new, and notes."""
        if isinstance(self.servers, Denied):
            raise _RefusedError(f"AWS denies {self.servers.action}, which says what its host is: allow it")
        rds = self.servers.get(host.casefold())
        origins = found.origin.login
        if origins and origins.host and found.live.login and origins.host.casefold() != host.casefold():
            raise _RefusedError(
                f"its value names another host than {found.origin.place} declares, {_WHO_DECIDES}: correct "
                "one of them"
            )
        identity = _check_rds(rds, host, port) if rds else (None, None, host.lower().rstrip("."), port)
        existing = next((item for item in self.file.databases.items() if item[1].server == identity), None)
        known = (
            (existing[0], _admin_of(existing[1], rds)) if existing else self._new.get(identity, ("", ""))[:2]
        )
        if rds and found.origin.server and found.origin.server.casefold() != rds.identifier.casefold():
            raise _RefusedError(
                f"its value names the host of {rds.identifier}, and {found.origin.place} is attached to "
                f"{found.origin.server}, {_WHO_DECIDES}: correct the value"
            )
        declared = bool((origins and origins.host) or (rds and found.origin.server))
        admin = self._admin(found, rds, known[1], host_is_declared=declared or bool(known[0]))
        adds = f"the next update adds {ADMIN_KEY} to its value, in a new version with the same credentials"
        notes = [] if found.fields.admin_arn else [adds]
        if known[0]:
            return known[0], {} if existing else self._new[identity][2], notes
        settings = self._settings(found, rds, identity, admin)
        name = _free_name(
            str(identity[0] or identity[1] or host.partition(".")[0]),
            {*self.file.databases, *(name for name, _, _ in self._new.values())},
        )
        self._new[identity] = (name, admin, settings)
        return name, settings, notes

    def _admin(self, found: _Subject, rds: RdsServer | None, known: str, *, host_is_declared: bool) -> str:
        """Return the ARN of the administrator's secret, which somebody other than the value names."""
        by_function = found.function.variables.get(ADMIN) if found.function else None
        declared = [by_function, found.origin.admin_arn, found.origin.login and found.origin.login.admin_arn]
        of_rds = rds.admin_arn if rds else None
        trusted = {one for one in (known, *declared, *self.options.administrators) if one}
        if of_rds and host_is_declared:
            trusted.add(of_rds)
        only = self.options.administrators[0] if len(self.options.administrators) == 1 else None
        named = found.live.login.admin_arn if found.live.login else None
        admin = named or next((one for one in (*declared, known, of_rds, only) if one), None)
        if admin is None:
            raise _RefusedError(
                "no administrator of its server is known, who has to take over its roles: name the ARN of "
                "the administrator's secret with --administrator"
            )
        if admin not in trusted:
            who = "its value names" if named else "RDS has"
            what = _WHO_DECIDES if named else "but only its value says that this is its server"
            raise _RefusedError(
                f"{who} {admin} as its administrator's secret, {what}. If that is right, add: "
                f"--administrator {admin}"
            )
        if known and known != admin:
            raise _RefusedError(
                f"its administrator's secret is {admin}, and other logins of its server have {known}: "
                "declare one of them"
            )
        return admin

    def _settings(
        self, found: _Subject, rds: RdsServer | None, identity: Server, admin: str
    ) -> Mapping[str, Any]:
        function = found.function
        network: dict[str, Any] = {}
        if function and function.subnet_ids and function.security_group_ids:
            # its function has reached the server from there
            network = {
                "vpc": {
                    "subnetIds": sorted(function.subnet_ids),
                    "securityGroupIds": sorted(function.security_group_ids),
                }
            }
        elif function and (function.handler or not rds):
            network = {"outsideVpc": True}
        if not rds and not network:
            raise _RefusedError(
                "its host is not an RDS instance or cluster of this account and region, and AWS does not say "
                "in which network its function runs: allow lambda:GetFunctionConfiguration"
            )
        where: dict[str, Any]
        if rds:
            where = {rds.place: rds.identifier}
        else:
            where = {"host": identity[2], **({} if identity[3] == _PORT else {"port": identity[3]})}
        return {
            **where,
            **({} if rds and rds.admin_arn == admin else {"admin": {"secretArn": admin}}),
            **network,
            **({"certificateAuthorities": self.options.authorities} if self.options.authorities else {}),
        }


class _RefusedError(Exception):
    """A login cannot be taken over; the message says why, and what to do."""


def _not_recognized(
    live: LiveSecret, shape: Shape | None, recognized: Recognized | None, engine: str | None, denied: str
) -> str:
    """Return why a secret that looks like a login is adopted as a plain secret; empty for any other."""
    if shape is None or not shape.keys.keys() >= {protocol.LOGIN_USERNAME, protocol.PASSWORD}:
        return ""
    if engine and engine not in _ENGINES:
        why = f"its engine is {engine}, and this program rotates PostgreSQL only"
    elif recognized:
        why = f"{recognized.words} rotates it, and this program rotates PostgreSQL only"
    elif live.rotation is None:
        why = "nothing rotates it"
    elif denied:
        why = f"AWS denies {denied}, which says what its function is"
    else:
        why = f"its function {live.rotation.function_arn} is not one that this program knows" + (
            "" if live.login else ", as far as can be said without --read-keys"
        )
    return (
        f"it looks like a database login, but {why}. It is adopted as a plain secret that keeps its rotation"
    )


def _of_administrator(found: _Subject) -> str:
    alternate = found.function.variables.get(ALTERNATE) if found.function else None
    primary = found.function.variables.get(PRIMARY) if found.function else None
    words = (
        "it is an administrator's, which this program reads and does not take over: it is adopted as a plain "
        "secret that keeps its rotation"
    )
    if not alternate:
        return words
    return (
        f"{words}. Its function lets {_quoted(alternate)} take turns, which inherits the "
        f"privileges of {_quoted(primary or '')} but never CREATEROLE, without which no roles can "
        f"be taken over. Have an administrator run: ALTER ROLE {_quoted(alternate)} CREATEROLE"
    )


def _quoted(name: str) -> str:
    """Return a role's name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def _user(found: _Subject, *, alternating: bool) -> tuple[str, Users]:
    """Return the first user of a login, and how it rotates from now on."""
    current = found.fields.username
    if found.kind == "thoughtbot" and found.function:
        return _user_of_thoughtbot(found, found.function)
    if current is None:
        raise _RefusedError("its user name is in its value alone: use --read-keys")
    if found.kind == "ours":
        is_single = _KINDS[found.live.tags[protocol.ROTATION_TAG]] == "single"
    else:
        is_single = found.kind == "aws-single"
    if is_single and not alternating:
        return current, "single"
    if is_single:
        return current, "alternating"
    return current.removesuffix(_CLONE), "alternating"


def _user_of_thoughtbot(found: _Subject, function: RotationFunction) -> tuple[str, Users]:
    primary, alternate = function.variables[PRIMARY], function.variables[ALTERNATE]
    if alternate == f"{primary}{_CLONE}":
        return primary, "alternating"
    current = found.live.login.username if found.live.login else None
    if current is None:
        raise _RefusedError(
            f"which of its users {primary} and {alternate} is current is in its value alone: use --read-keys"
        )
    if current != primary:
        raise _RefusedError(
            f"its current user is {current}, and this program alternates between {primary} and "
            f"{primary}{_CLONE}. Rotate it once more, so that {primary} is current (aws secretsmanager "
            f"rotate-secret --secret-id {found.live.name}), then run again"
        )
    return primary, "alternating"


def _notes(found: _Subject, username: str, users: Users) -> Iterable[str]:
    mark = f"aws-secrets:{found.live.arn}".replace("'", "''")
    clone = _quoted(f"{username}{_CLONE}")
    if found.kind == "aws-alternating":
        yield (
            f"the update takes over {clone} without its password only if an administrator granted one of the "
            "two users to the other, as AWS's function does. If the update says that the role may be in use "
            f"elsewhere, and it is this login's, have an administrator run: COMMENT ON ROLE {clone} IS "
            f"'{mark}'"
        )
    elif users == "alternating" and found.kind != "ours":
        yield (
            f"the update creates {clone}. If a role of this name exists, it is rejected unless an "
            f"administrator says that it is this login's: COMMENT ON ROLE {clone} IS '{mark}'"
        )
    variables = found.function.variables if found.function else {}
    alternate = variables.get(ALTERNATE)
    if found.kind == "thoughtbot" and alternate and alternate != f"{username}{_CLONE}":
        role, owner = _quoted(alternate), _quoted(f"{username}_owner")
        yield (
            f"its second user {alternate} is not taken over and continues to log in. When no client has its "
            "password any more, at the earliest after one rotation, have an administrator run in "
            f"{found.fields.database or _DATABASE}: REASSIGN OWNED BY {role} TO {owner}; DROP OWNED BY "
            f"{role}; DROP ROLE {role}"
        )
    if variables.get(GRANTS, "[]").strip() != "[]":
        yield (
            f"its function ran these grants at each rotation: {variables[GRANTS]}. The login keeps what it "
            "has; declare grants (docs/rotation.md) to cover tables that are created later"
        )
    if found.live.rotation and found.kind != "ours":
        yield f"{found.live.rotation.function_arn} can be removed when no secret uses it any more"
    if found.kind == "ours":
        yield (
            "remove it from the state of the stack that had it (pulumi state delete), or that stack's "
            "destroy deletes it"
        )


def _length(found: _Subject) -> int:
    """Return how long its passwords are, within what this program generates."""
    variables = found.function.variables if found.function else {}
    said = found.live.tags.get(protocol.LENGTH_TAG) if found.kind == "ours" else variables.get(LENGTH)
    default = protocol.DEFAULT_PASSWORD_LENGTH if found.kind == "ours" else _LENGTH_OF_OTHERS
    length = int(said) if said and said.isascii() and said.isdecimal() and len(said) <= 3 else default  # noqa: PLR2004  digits
    return max(protocol.SHORTEST_LENGTH, min(length, protocol.LONGEST_LENGTH))


def _rotation(live: LiveSecret) -> dict[str, Any]:
    rotation = live.rotation
    if rotation is None:
        return {"enabled": False}
    found = {
        "automaticallyAfterDays": rotation.automatically_after_days,
        "scheduleExpression": rotation.schedule_expression,
        "duration": rotation.duration,
    }
    return {key: value for key, value in found.items() if value}


def _values(found: _Subject) -> dict[str, Any]:
    """Return the further keys of its value, so that workloads can read them."""
    known = found.shape.keys if found.shape else {}
    hint = {"filledByHand": "It is in AWS already"}
    others = {key: hint for key in known if key not in {*LOGIN_KEYS, ADMIN_KEY}}
    return {"values": others} if others else {}


def _check_rds(rds: RdsServer, host: str, port: int) -> Server:
    """Return the identity of a server of RDS, where logins can be created."""
    if rds.obstacle:
        raise _RefusedError(f"its host {host} cannot create roles: {rds.obstacle}")
    if rds.engine not in _ENGINES:
        raise _RefusedError(f"its host {host} is a server of {rds.engine}")
    if rds.port != port:
        raise _RefusedError(f"its value names port {port}, and RDS has {rds.port}: correct the value")
    if rds.place == "rdsInstance":
        return (rds.identifier, None, None, None)
    return (None, rds.identifier, None, None)


def _admin_of(database: Database, rds: RdsServer | None) -> str:
    """Return the ARN of the administrator's secret of a database in the stack file; empty if unknown."""
    if database.admin:
        return database.admin.secret_arn or ""
    return (rds.admin_arn if rds else None) or ""


def _free_name(wanted: str, taken: Iterable[str]) -> str:
    known = set(taken)
    number, name = 2, wanted
    while name in known:
        name, number = f"{wanted}-{number}", number + 1
    return name
