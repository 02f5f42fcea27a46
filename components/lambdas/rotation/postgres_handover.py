"""Turn an existing login into one of two alternating users, without taking any privilege from it.

As soon as the login acts as the owner role, it has that role's privileges instead of its own. So the owner
first receives the login's memberships, privileges in this database, default privileges and row security
policies. Ownership is transferred in small transactions with a short lock timeout: applications keep reading
and writing, and thousands of tables do not exhaust the server's lock table. For what could not be handed
over, a warning contains the statement to run.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from .postgres_authority import find_role
from .postgres_grants import act_as_schema_owner
from .postgres_roles import try_to_act_as
from .postgres_session import Session, SqlError
from .sql import identifier

_BATCH = 100  # tables per transaction; each takes a few locks
_WAIT_MILLISECONDS = 500
_SECONDS = 25.0  # of the function's 60
_MOST_NAMED = 5  # objects in a message


def _of_the_login(query: str) -> str:
    """Return the query with LOGIN replaced by the login's oid."""
    return query.replace("LOGIN", "(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = :login)")


_RELATIONS = _of_the_login("""
SELECT format('%I.%I', nspname, relname), privilege_type, is_grantable
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(relacl) a
WHERE a.grantee = LOGIN AND relowner <> a.grantee
""")
# Keyword in GRANT -> query for quoted name, privilege and grant option. It excludes what the login owns.
_OBJECTS = {
    "TABLE": _RELATIONS + " AND relkind <> 'S'",
    "SEQUENCE": _RELATIONS + " AND relkind = 'S'",
    "SCHEMA": _of_the_login("""
SELECT format('%I', nspname), privilege_type, is_grantable FROM pg_namespace, aclexplode(nspacl) a
WHERE a.grantee = LOGIN AND nspowner <> a.grantee
"""),
    "ROUTINE": _of_the_login("""
SELECT oid::regprocedure::text, privilege_type, is_grantable FROM pg_proc, aclexplode(proacl) a
WHERE a.grantee = LOGIN AND proowner <> a.grantee
"""),
    "TYPE": _of_the_login("""
SELECT oid::regtype::text, privilege_type, is_grantable FROM pg_type, aclexplode(typacl) a
WHERE a.grantee = LOGIN AND typowner <> a.grantee
"""),
    "LANGUAGE": _of_the_login("""
SELECT format('%I', lanname), privilege_type, is_grantable FROM pg_language, aclexplode(lanacl) a
WHERE a.grantee = LOGIN AND lanowner <> a.grantee
"""),
    "FOREIGN DATA WRAPPER": _of_the_login("""
SELECT format('%I', fdwname), privilege_type, is_grantable FROM pg_foreign_data_wrapper, aclexplode(fdwacl) a
WHERE a.grantee = LOGIN AND fdwowner <> a.grantee
"""),
    "FOREIGN SERVER": _of_the_login("""
SELECT format('%I', srvname), privilege_type, is_grantable FROM pg_foreign_server, aclexplode(srvacl) a
WHERE a.grantee = LOGIN AND srvowner <> a.grantee
"""),
    "LARGE OBJECT": _of_the_login("""
SELECT m.oid::text, privilege_type, is_grantable FROM pg_largeobject_metadata m, aclexplode(lomacl) a
WHERE a.grantee = LOGIN AND lomowner <> a.grantee
"""),
    "TABLESPACE": _of_the_login("""
SELECT format('%I', spcname), privilege_type, is_grantable FROM pg_tablespace, aclexplode(spcacl) a
WHERE a.grantee = LOGIN AND spcowner <> a.grantee
"""),
    "DATABASE": _of_the_login("""
SELECT format('%I', datname), privilege_type, is_grantable FROM pg_database, aclexplode(datacl) a
WHERE a.grantee = LOGIN AND datdba <> a.grantee AND datname = current_database()
"""),
}
_NOT_OWNED = re.compile(r"AND \w+ <> a\.grantee")
_PARAMETERS = _of_the_login("""
SELECT parname, privilege_type, is_grantable FROM pg_parameter_acl, aclexplode(paracl) a
WHERE a.grantee = LOGIN
""")
_PARAMETERS_VERSION = 15
_COLUMNS = _of_the_login("""
SELECT format('%I.%I', nspname, relname), format('%I', attname), privilege_type, is_grantable
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace,
aclexplode(attacl) a WHERE a.grantee = LOGIN AND relowner <> a.grantee AND NOT attisdropped ORDER BY 1, 2, 3
""")
_POLICIES = _of_the_login("""
SELECT format('%I', polname), format('%I.%I', nspname, relname),
    (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(role)) END, ', ')
     FROM unnest(polroles) role)
FROM pg_policy JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE LOGIN = ANY(polroles)
AND NOT (SELECT oid FROM pg_roles WHERE rolname = :owner) = ANY(polroles) ORDER BY 2, 1
""")
_DEFAULTS = _of_the_login("""
SELECT pg_get_userbyid(defaclrole)::text, coalesce(nspname::text, ''), defaclobjtype::text, privilege_type,
    is_grantable
FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace, aclexplode(defaclacl) a
WHERE a.grantee = LOGIN AND defaclrole <> a.grantee ORDER BY 1, 2, 3, 4
""")
_OWNERS = _of_the_login("""
SELECT DISTINCT rolname::text FROM pg_roles o JOIN pg_class c ON c.relowner = o.oid, aclexplode(relacl) a
WHERE a.grantee = LOGIN AND rolname <> :login
UNION SELECT DISTINCT rolname::text FROM pg_roles o JOIN pg_class c ON c.relowner = o.oid
JOIN pg_attribute t ON attrelid = c.oid, aclexplode(attacl) a WHERE a.grantee = LOGIN AND rolname <> :login
UNION SELECT DISTINCT rolname::text FROM pg_roles o JOIN pg_class c ON c.relowner = o.oid
JOIN pg_policy p ON polrelid = c.oid WHERE LOGIN = ANY(polroles) AND rolname <> :login
ORDER BY 1
""")
_DEFAULT_KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "ROUTINES", "T": "TYPES", "n": "SCHEMAS"}

# Relations that the login owns; indexes and the sequences of columns follow their table.
_OWNED = _of_the_login("""
SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
    WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relowner = LOGIN AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass AND relkind = 'S')
ORDER BY 2
""")
_OWNS = _of_the_login("""
SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o'
AND refobjid = LOGIN
AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
""")


# Schemas that contain objects of the login and in which the owner lacks CREATE, which a new owner needs
# (PostgreSQL's documentation, "ALTER TABLE").
_WITHOUT_CREATE = _of_the_login("""
SELECT n.nspname::text FROM pg_namespace n WHERE n.nspname IN (
    SELECT (pg_identify_object(classid, objid, 0)).schema FROM pg_shdepend
    WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o' AND refobjid = LOGIN
    AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
AND n.nspname NOT LIKE 'pg\\_%' AND NOT has_schema_privilege(:owner::name, n.oid, 'CREATE') ORDER BY 1
""")


@dataclass(frozen=True)
class _Privilege:
    """A privilege on an object.

    Attributes:
        name: the privilege, such as SELECT.
        target: the object, as GRANT names it.
        grantable: whether it has the grant option.
    """

    name: str
    target: str
    grantable: bool

    def statement(self, to: str) -> str:
        option = " WITH GRANT OPTION" if self.grantable else ""
        return f"GRANT {self.name} ON {self.target} TO {identifier(to)}{option}"


def hand_over_privileges(session: Session, login: str, owner: str, pair: Sequence[str]) -> list[str]:
    """Grant `owner` everything that `login` was granted; return warnings about what could not be granted.

    Args:
        session: the administrator's session, in a transaction.
        login: the login role that will act as `owner`.
        owner: an existing role.
        pair: both users; a membership of one in the other is not handed over.
    """
    _act_as_grantors(session, login)
    missing = [
        *_memberships(session, login, owner, pair),
        *_privileges(session, login, owner),
        *_policies(session, login, owner),
        *_defaults(session, login, owner),
        *_extras(session, login, owner),
    ]
    return [
        f"{login!r} acts as {owner!r}, which lacks one of its privileges. To grant it, have an administrator "
        f"run: {statement}"
        for statement in missing
    ]


def owns_something(session: Session, login: str) -> bool:
    """Return whether the role owns the current database or anything in it."""
    return bool(session.value(_OWNS, login=login))


def hand_over_objects(session: Session, login: str, owner: str) -> list[str]:
    """Make `owner` own what `login` owns in this database; return warnings about what is left.

    Args:
        session: the administrator's session, outside a transaction.
        login: the login role, a member of `owner`.
        owner: an existing role.
    """
    for role in (login, owner):
        error = session.transact(lambda role=role: try_to_act_as(session, role))  # type: ignore[misc] # a default keeps the loop's value
        if error:
            return [f"{login!r} still owns its objects: {error}"]
    schemas = [str(row[0]) for row in session.rows(_WITHOUT_CREATE, login=login, owner=owner)]
    for schema in schemas:
        session.transact(lambda schema=schema: act_as_schema_owner(session, schema))  # type: ignore[misc] # the same
    deadline = time.monotonic() + _SECONDS
    owned = [(str(kind), str(name)) for kind, name in session.rows(_OWNED, login=login)]
    left: list[tuple[str, str]] = []
    for start in range(0, len(owned), _BATCH):
        batch = owned[start : start + _BATCH]
        if time.monotonic() > deadline or _change_owner(session, batch, owner, schemas):
            left += (
                batch
                if time.monotonic() > deadline
                else [one for one in batch if _change_owner(session, [one], owner, schemas)]
            )
    if left:
        return [
            *_share(session, left, owner),
            _left_warning(login, owner, left),
            *_create_warnings(session, login, owner),
        ]
    error = _change_rest(session, login, owner, schemas)
    return [f"{login!r} still owns some objects: {error}"] if error else []


def _change_owner(
    session: Session, batch: Sequence[tuple[str, str]], owner: str, schemas: Sequence[str]
) -> str | None:
    """Hand over a batch of relations; return the error, None on success."""
    statements = [f"ALTER {kind} {name} OWNER TO {identifier(owner)}" for kind, name in batch]
    return _change_as_creator(session, statements, owner, schemas)


def _change_rest(session: Session, login: str, owner: str, schemas: Sequence[str]) -> str | None:
    """Hand over schemas, functions, types and the rest, whose locks no application waits for."""
    statement = f"REASSIGN OWNED BY {identifier(login)} TO {identifier(owner)}"
    return _change_as_creator(session, [statement], owner, schemas)


def _change_as_creator(
    session: Session, statements: Sequence[str], owner: str, schemas: Sequence[str]
) -> str | None:
    """Change owners in a transaction during which the new owner has CREATE on `schemas`."""

    def run() -> None:
        session.execute(f"SET LOCAL lock_timeout = '{_WAIT_MILLISECONDS}ms'")
        granted = [
            schema
            for schema in schemas
            # if the administrator may not grant, the server reports an error or only a warning
            if not session.attempt(f"GRANT CREATE ON SCHEMA {identifier(schema)} TO {identifier(owner)}")
            and _may_create(session, owner, schema)
        ]
        for statement in statements:
            session.execute(statement)
        for schema in granted:
            if not _owns_schema(session, owner, schema):  # the owner of a schema keeps CREATE
                session.execute(f"REVOKE CREATE ON SCHEMA {identifier(schema)} FROM {identifier(owner)}")

    return _attempt_apart(session, run)


def _may_create(session: Session, role: str, schema: str) -> bool:
    question = "SELECT has_schema_privilege(:role::name, :schema, 'CREATE')"
    return bool(session.value(question, role=role, schema=schema))


def _owns_schema(session: Session, role: str, schema: str) -> bool:
    question = "SELECT pg_get_userbyid(nspowner) = :role FROM pg_namespace WHERE nspname = :schema"
    return bool(session.value(question, role=role, schema=schema))


def _create_warnings(session: Session, login: str, owner: str) -> list[str]:
    schemas = [str(row[0]) for row in session.rows(_WITHOUT_CREATE, login=login, owner=owner)]
    return [
        f"{owner!r} lacks CREATE on schema {schema!r}, and the administrator cannot grant it, so {owner!r} "
        f"cannot own objects there. Have the schema's owner run GRANT CREATE ON SCHEMA {identifier(schema)} "
        f"TO {identifier(owner)}, then run the provisioning again."
        for schema in schemas
    ]


def _share(session: Session, left: Sequence[tuple[str, str]], owner: str) -> Iterator[str]:
    """Grant the owner the use of what it does not own yet: GRANT does not lock a table."""
    for kind, name in left:
        place = f"{'SEQUENCE' if kind == 'SEQUENCE' else 'TABLE'} {name}"
        grant = partial(session.execute, f"GRANT ALL ON {place} TO {identifier(owner)}")
        if error := _attempt_apart(session, grant):
            yield f"{owner!r} could not be granted {name}: {error}"


def _attempt_apart(session: Session, work: Callable[[], None]) -> str | None:
    """Run `work` in a transaction of its own; return the error, None on success."""
    try:
        session.transact(work)
    except SqlError as error:
        return str(error)
    return None


def _left_warning(login: str, owner: str, left: Sequence[tuple[str, str]]) -> str:
    names = ", ".join(name for _, name in left[:_MOST_NAMED])
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    return (
        f"{login!r} still owns {names}{more}: an application held a lock, time ran out, or {owner!r} lacks "
        f"CREATE on the schema. {owner!r} may use these objects, but not what is reserved to their owner. "
        "Run the provisioning again."
    )


def _memberships(session: Session, login: str, owner: str, pair: Sequence[str]) -> list[str]:
    groups = session.rows(
        "SELECT g.rolname::text FROM pg_auth_members JOIN pg_roles g ON g.oid = roleid "
        "JOIN pg_roles m ON m.oid = member WHERE m.rolname = :login AND g.rolname <> :owner "
        "AND NOT pg_has_role(:owner::name, g.oid, 'MEMBER') ORDER BY 1",
        login=login,
        owner=owner,
    )
    missing = []
    for (group,) in groups:
        if group in pair:
            continue
        statement = f"GRANT {identifier(group)} TO {identifier(owner)}"
        role = find_role(session, group)
        # only a person may grant a group that has an administrator's power
        risky = role is None or role.powers or role.extras or group.startswith(("pg_", "rds_"))
        if risky or session.attempt(statement):
            missing.append(statement)
    return missing


def _act_as_grantors(session: Session, login: str) -> None:
    """Let the administrator act as the objects' owners, if it may: only an owner can grant."""
    for (name,) in session.rows(_OWNERS, login=login):
        try_to_act_as(session, name)


def _privileges(session: Session, login: str, owner: str) -> list[str]:
    privileges = _granted(session, login)
    failed = {one for one in privileges if session.attempt(one.statement(owner))}
    # if the administrator has a privilege but may not grant it, the server only warns
    present = {(one.name, one.target) for one in _granted(session, owner, owned=True)}
    return [
        one.statement(owner) for one in privileges if one in failed or (one.name, one.target) not in present
    ]


def _granted(session: Session, role: str, *, owned: bool = False) -> list[_Privilege]:
    """Return what a role was granted on objects of others; with `owned`, on its own objects as well."""
    queries = {kind: _NOT_OWNED.sub("", query) if owned else query for kind, query in _OBJECTS.items()}
    columns = _NOT_OWNED.sub("", _COLUMNS) if owned else _COLUMNS
    privileges = [
        _Privilege(privilege, f"{kind} {name}", grantable)
        for kind, query in queries.items()
        for name, privilege, grantable in session.rows(query + " ORDER BY 1, 2", login=role)
    ]
    privileges += [
        _Privilege(f"{privilege} ({column})", f"TABLE {name}", grantable)
        for name, column, privilege, grantable in session.rows(columns, login=role)
    ]
    if session.version >= _PARAMETERS_VERSION:
        privileges += [
            _Privilege(privilege, f"PARAMETER {identifier(name)}", grantable)
            for name, privilege, grantable in session.rows(_PARAMETERS + " ORDER BY 1, 2", login=role)
        ]
    return privileges


def _policies(session: Session, login: str, owner: str) -> list[str]:
    statements = [
        f"ALTER POLICY {policy} ON {table} TO {roles}, {identifier(owner)}"
        for policy, table, roles in session.rows(_POLICIES, login=login, owner=owner)
    ]
    return [statement for statement in statements if session.attempt(statement)]


def _defaults(session: Session, login: str, owner: str) -> list[str]:
    missing = []
    for creator, schema, kind, privilege, grantable in session.rows(_DEFAULTS, login=login):
        try_to_act_as(session, creator)
        place = f" IN SCHEMA {identifier(schema)}" if schema else ""
        statement = (
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(creator)}{place} "
            f"GRANT {privilege} ON {_DEFAULT_KINDS[kind]} TO {identifier(owner)}"
            f"{' WITH GRANT OPTION' if grantable else ''}"
        )
        if session.attempt(statement):
            missing.append(statement)
    return missing


def _extras(session: Session, login: str, owner: str) -> list[str]:
    """Return the statements for role attributes, which a person may grant to the owner or not."""
    role, target = find_role(session, login), find_role(session, owner)
    if role is None or target is None:
        return []
    return [f"ALTER ROLE {identifier(owner)} {extra}" for extra in role.extras if extra not in target.extras]
