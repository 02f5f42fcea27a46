"""Grant a login one of three levels of privileges, or run the operator's own statements.

    read-only    read tables and sequences
    read-write   read-only, and insert, update, delete
    owner        read-write, and create schemas, tables and everything else, and own what it creates

Default privileges cover the tables that others create later. They apply to one creator each, so they are set
for everybody who has created or may create tables in the schema, and extended when a new owner appears.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import OperatorError
from .postgres_roles import try_to_act_as
from .postgres_session import LOCK_NOT_AVAILABLE, Session, SqlError
from .protocol import CREATE_SCHEMAS, GRANTS, SCHEMAS
from .sql import check_name, identifier

READ_ONLY, READ_WRITE, OWNER = "read-only", "read-write", "owner"

_TABLES, _SEQUENCES = "TABLES", "SEQUENCES"
_PRIVILEGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    READ_ONLY: {_TABLES: ("SELECT",), _SEQUENCES: ("SELECT",)},
    READ_WRITE: {
        _TABLES: ("SELECT", "INSERT", "UPDATE", "DELETE"),
        _SEQUENCES: ("SELECT", "UPDATE", "USAGE"),
    },
    OWNER: {
        _TABLES: ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"),
        _SEQUENCES: ("SELECT", "UPDATE", "USAGE"),
    },
}
_KINDS = {_TABLES: ("r", "p", "v", "m", "f"), _SEQUENCES: ("S",)}  # pg_class.relkind
_DEFAULT_KINDS = {"r": _TABLES, "S": _SEQUENCES}  # pg_default_acl.defaclobjtype
# Tables or sequences of a schema whose owner the administrator may act as, except the grantee's own.
_REACHABLE = """
SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = :schema AND relkind::text = ANY(string_to_array(:kinds, ','))
AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = :grantee) AND pg_has_role(relowner, 'USAGE')
ORDER BY 1
"""

# Roles that have created or may create something in a schema, except PUBLIC.
_CREATORS = """
SELECT DISTINCT rolname::text FROM pg_roles
WHERE NOT starts_with(rolname, 'pg_') AND rolname <> :grantee AND oid IN (
    SELECT oid FROM pg_roles WHERE rolname = current_user
    UNION SELECT nspowner FROM pg_namespace WHERE nspname = :schema
    UNION SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT relowner FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = :schema AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION SELECT a.grantee FROM pg_namespace, aclexplode(nspacl) a
        WHERE nspname = :schema AND a.privilege_type = 'CREATE')
ORDER BY 1
"""

# The privileges that our other logins get on what a role will create in a schema, as the administrator's
# default privileges declare them: nobody else can write those, while other roles write their own.
_DEFAULTS_OF_OURS = """
SELECT pg_get_userbyid(a.grantee)::text, defaclobjtype::text, string_agg(DISTINCT privilege_type, ', ')
FROM pg_default_acl JOIN pg_namespace n ON n.oid = defaclnamespace, aclexplode(defaclacl) a
WHERE nspname = :schema AND defaclobjtype IN ('r', 'S') AND a.grantee NOT IN (0, defaclrole)
AND defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
AND pg_get_userbyid(a.grantee) <> :creator
AND position('aws-secrets:' IN shobj_description(a.grantee, 'pg_authid')) > 0
GROUP BY 1, 2 ORDER BY 1, 2
"""

_SHOWN = 80  # characters of a statement in a message
_NOT_FOUND = {"3F000", "42704", "42883", "42P01"}  # schema, object, function, table
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Declared privileges.

    Attributes:
        level: read-only, read-write or owner; None with the operator's own statements.
        statements: SQL templates with {login}, {owner}, {database}, {schema} for quoted names. A template
            with {login} runs for each login role, one with {schema} for each schema. {owner} is the role that
            the logins act as, with a single user the login itself; it is the one to grant to.
        schemas: the schemas that the privileges apply to.
        create_schemas: whether missing schemas are created.
    """

    level: str | None
    statements: tuple[str, ...]
    schemas: tuple[str, ...]
    create_schemas: bool


def read_grants(grants: object, schemas: object, create_schemas: object) -> Grants:
    """Check the request's keys Grants, Schemas and CreateSchemas.

    Raises:
        OperatorError: one is invalid; the message says what to write.
    """
    if not isinstance(schemas, list) or not schemas or not all(isinstance(name, str) for name in schemas):
        raise OperatorError(f'{SCHEMAS} must be a list of at least one name, such as ["public"].')
    for name in schemas:
        check_name(name, f"A schema in {SCHEMAS}")
    if not isinstance(create_schemas, bool):
        raise OperatorError(f"{CREATE_SCHEMAS} must be true or false.")
    if isinstance(grants, str) and grants in _PRIVILEGES:
        return Grants(level=grants, statements=(), schemas=tuple(schemas), create_schemas=create_schemas)
    if isinstance(grants, list) and all(isinstance(text, str) for text in grants):
        for template in grants:
            list(_render(template, ["login"], "owner", "database", ["schema"]))
        return Grants(
            level=None, statements=tuple(grants), schemas=tuple(schemas), create_schemas=create_schemas
        )
    raise OperatorError(f"{GRANTS} must be one of {', '.join(_PRIVILEGES)}, or a list of SQL statements.")


def apply_grants(session: Session, grants: Grants, logins: Sequence[str], grantee: str) -> list[str]:
    """Grant the declared privileges, and revoke those of higher levels.

    Args:
        session: the administrator's session, in a transaction.
        grants: the declared privileges.
        logins: the login roles.
        grantee: the role that they act as.

    Returns:
        Warnings about what is not covered, in sentences.

    Raises:
        OperatorError: a schema does not exist and is not to be created, or a statement failed.
    """
    database = session.value("SELECT current_database()::text")
    if (grants.level or grants.statements) and not grants.create_schemas:
        _check_schemas(session, grants.schemas, database)
    warnings = _allow_database(session, grants, grantee, database)
    for schema in grants.schemas:
        _ensure_schema(session, schema, grantee if grants.level == OWNER else None)
        if grants.level:
            warnings += _allow_schema(session, grants.level, schema, grantee)
    # only pg_catalog is searched for names (postgres_session.py): in the declared schemas, an application
    # could have created an operator or function that would run as the administrator
    for index, template in enumerate(grants.statements):
        for statement in _render(template, logins, grantee, database, grants.schemas):
            _run_own(session, statement, f"grantStatements[{index}] ({_shortened(template)})")
    return warnings


def _check_schemas(session: Session, schemas: Sequence[str], database: str) -> None:
    present = [
        str(row[0])
        for row in session.rows(
            "SELECT nspname::text FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' "
            "AND nspname <> 'information_schema' ORDER BY 1"
        )
    ]
    missing = [schema for schema in schemas if schema not in present]
    if missing:
        raise OperatorError(
            f"Database {database!r} has no schema {', '.join(map(repr, missing))}; its schemas are "
            f"{', '.join(map(repr, present)) or 'none'}. Nothing was changed. Correct schemas, or write "
            "createSchemas: true to create them."
        )


def _shortened(template: str) -> str:
    text = " ".join(template.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _run_own(session: Session, statement: str, place: str) -> None:
    try:
        session.execute(statement)
    except SqlError as error:
        if error.concurrent or error.code == LOCK_NOT_AVAILABLE:
            raise
        if error.code not in _NOT_FOUND:
            raise OperatorError(f"{place} failed: {error}") from None
        raise OperatorError(
            f"{place} names an object that does not exist, or without its schema: {error} Write "
            "{schema}.name: only pg_catalog is searched, so that no application's code runs as the "
            "administrator."
        ) from None


def _allow_database(session: Session, grants: Grants, grantee: str, database: str) -> list[str]:
    """Grant privileges on the database; PUBLIC has CONNECT unless it was revoked."""
    warnings = []
    for privilege in ["CONNECT", *(["CREATE", "TEMPORARY"] if grants.level == OWNER else [])]:
        question = "SELECT has_database_privilege(:grantee::name, current_database(), :privilege)"
        if session.value(question, grantee=grantee, privilege=privilege):
            continue
        act_as_owner(session, "SELECT datdba FROM pg_database WHERE datname = current_database()")
        error = session.attempt(
            f"GRANT {privilege} ON DATABASE {identifier(database)} TO {identifier(grantee)}"
        )
        if error or not session.value(question, grantee=grantee, privilege=privilege):
            warnings.append(
                f"{grantee!r} lacks {privilege} on database {database!r}, which only the database's owner "
                "can grant."
            )
    return warnings


def _ensure_schema(session: Session, schema: str, owner: str | None) -> None:
    if session.value("SELECT true FROM pg_namespace WHERE nspname = :schema", schema=schema):
        return
    if owner:
        try_to_act_as(session, owner)
    session.execute(
        f"CREATE SCHEMA {identifier(schema)}" + (f" AUTHORIZATION {identifier(owner)}" if owner else "")
    )


def _allow_schema(session: Session, level: str, schema: str, grantee: str) -> list[str]:
    name, to = identifier(schema), identifier(grantee)
    act_as_schema_owner(session, schema)
    warnings = []
    question = "SELECT has_schema_privilege(:grantee::name, :schema, :privilege)"
    for privilege in ["USAGE", *(["CREATE"] if level == OWNER else [])]:
        if session.value(question, grantee=grantee, schema=schema, privilege=privilege):
            continue
        error = session.attempt(f"GRANT {privilege} ON SCHEMA {name} TO {to}")
        if error or not session.value(question, grantee=grantee, schema=schema, privilege=privilege):
            raise OperatorError(
                f"{grantee!r} lacks {privilege} on schema {schema!r}, and the administrator cannot grant it. "
                f"Have the schema's owner run: GRANT {privilege} ON SCHEMA {name} TO {to}"
            )
    if level != OWNER:
        session.attempt(f"REVOKE CREATE ON SCHEMA {name} FROM {to}")
        if session.value(question, grantee=grantee, schema=schema, privilege="CREATE"):
            warnings.append(
                f"{grantee!r} can still create tables in schema {schema!r}: it owns the schema, or PUBLIC "
                f"has CREATE (to change that, run: REVOKE CREATE ON SCHEMA {name} FROM PUBLIC)."
            )
    creators, unreachable = _creators(session, schema, grantee)
    for kind in (_TABLES, _SEQUENCES):
        _allow_existing(session, level, kind, schema, grantee)
        for creator in creators:
            where = f"FOR ROLE {identifier(creator)} IN SCHEMA {name}"
            for statement in _grant_and_revoke(level, kind, f"ON {kind}", grantee):
                session.execute(f"ALTER DEFAULT PRIVILEGES {where} {statement}")
    warnings += [
        f"What {creator!r} creates in schema {schema!r} is not covered: the administrator may not act as "
        f"this role. Have it run GRANT and ALTER DEFAULT PRIVILEGES for {grantee!r} itself."
        for creator in unreachable
    ]
    if level == OWNER:
        _extend_to_new_creator(session, schema, grantee)
    return warnings


def _allow_existing(session: Session, level: str, kind: str, schema: str, grantee: str) -> None:
    """Grant on existing objects whose owner the administrator may act as."""
    names = [
        f"{identifier(schema)}.{identifier(row[0])}"
        for row in session.rows(
            _REACHABLE,
            schema=schema,
            kinds=",".join(_KINDS[kind]),
            grantee=grantee,
        )
    ]
    if names:
        what = f"ON {'TABLE' if kind == _TABLES else 'SEQUENCE'} {', '.join(names)}"
        for statement in _grant_and_revoke(level, kind, what, grantee):
            session.execute(statement)


def _grant_and_revoke(level: str, kind: str, what: str, grantee: str) -> Iterator[str]:
    declared = _PRIVILEGES[level][kind]
    surplus = [privilege for privilege in _PRIVILEGES[OWNER][kind] if privilege not in declared]
    if surplus:
        yield f"REVOKE {', '.join(surplus)} {what} FROM {identifier(grantee)}"
    yield f"GRANT {', '.join(declared)} {what} TO {identifier(grantee)}"


def _creators(session: Session, schema: str, grantee: str) -> tuple[list[str], list[str]]:
    """Return the roles that have created or may create tables in the schema, except PUBLIC.

    Returns:
        Those that the administrator may act as, and the others.
    """
    names = [
        row[0]
        for row in session.rows(
            _CREATORS,
            schema=schema,
            grantee=grantee,
        )
    ]
    unreachable = [name for name in names if try_to_act_as(session, name)]
    return [name for name in names if name not in unreachable], unreachable


def _extend_to_new_creator(session: Session, schema: str, creator: str) -> None:
    """Grant what this new owner will create to the logins that were provisioned before."""
    if try_to_act_as(session, creator):
        return
    for grantee, kind, privileges in session.rows(
        _DEFAULTS_OF_OURS,
        schema=schema,
        creator=creator,
    ):
        kinds = _DEFAULT_KINDS[kind]
        known = ", ".join(name for name in privileges.split(", ") if name in _PRIVILEGES[OWNER][kinds])
        if known:
            where = f"FOR ROLE {identifier(creator)} IN SCHEMA {identifier(schema)}"
            session.execute(
                f"ALTER DEFAULT PRIVILEGES {where} GRANT {known} ON {kinds} TO {identifier(grantee)}"
            )


def act_as_schema_owner(session: Session, schema: str) -> None:
    """Let the administrator act as the schema's owner, if it may: only the owner can grant on a schema."""
    act_as_owner(session, "SELECT nspowner FROM pg_namespace WHERE nspname = :schema", schema=schema)


def act_as_owner(session: Session, query: str, **parameters: object) -> None:
    """Let the administrator act as the owner whose oid `query` selects, if it may."""
    owner = session.value(f"SELECT rolname::text FROM pg_roles WHERE oid = ({query})", **parameters)  # noqa: S608 - a constant of this program
    if owner and not owner.startswith("pg_"):
        try_to_act_as(session, owner)


def _render(
    template: str, logins: Sequence[str], owner: str, database: str, schemas: Sequence[str]
) -> Iterator[str]:
    """Yield the template's statements, one for each login and schema if it names those."""
    if "\0" in template:
        raise OperatorError(f"A statement in {GRANTS} contains a NUL character. Remove it.")
    for login in logins if "{login}" in template else logins[:1]:
        for schema in schemas if "{schema}" in template else schemas[:1]:
            names = {"login": login, "owner": owner, "database": database, "schema": schema}
            yield _PLACEHOLDER.sub(lambda match, names=names: _fill(match, names), template)  # type: ignore[misc] # a default keeps the loop's value


def _fill(match: re.Match[str], names: Mapping[str, str]) -> str:
    text, name = match.group(0), match.group(1)
    if text in {"{{", "}}"}:
        return text[0]
    if name not in names:
        raise OperatorError(
            f"A statement in {GRANTS} contains {text!r}. Use {', '.join(f'{{{key}}}' for key in names)}; "
            "write {{ and }} for literal braces."
        )
    return identifier(names[name])
