"""Brings a login that exists already into a pair of alternating users without taking anything from it.

As soon as the login acts as the owner role, it has that role's privileges instead of its own. So its own are
given to the owner first: memberships, privileges in this database, and default privileges.
"""

from .postgres_roles import try_to_act_as
from .postgres_session import Session
from .sql import identifier

_RELATIONS = """
SELECT format('%I.%I', nspname, relname), privilege_type
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace, aclexplode(relacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login) AND relowner <> a.grantee
"""
# Keyword in GRANT -> query for quoted name and privilege. What the login owns is reassigned, not granted.
_OBJECTS = {
    "TABLE": _RELATIONS + " AND relkind <> 'S'",
    "SEQUENCE": _RELATIONS + " AND relkind = 'S'",
    "SCHEMA": """
SELECT format('%I', nspname), privilege_type FROM pg_namespace, aclexplode(nspacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login) AND nspowner <> a.grantee
""",
    "ROUTINE": """
SELECT oid::regprocedure::text, privilege_type FROM pg_proc, aclexplode(proacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login) AND proowner <> a.grantee
""",
    "DATABASE": """
SELECT format('%I', datname), privilege_type FROM pg_database, aclexplode(datacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login) AND datdba <> a.grantee
AND datname = current_database()
""",
}
_DEFAULTS = """
SELECT pg_get_userbyid(defaclrole)::text, coalesce(nspname::text, ''), defaclobjtype::text, privilege_type
FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace, aclexplode(defaclacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login) AND defaclrole <> a.grantee
ORDER BY 1, 2, 3, 4
"""
_OWNERS = """
SELECT DISTINCT rolname::text FROM pg_roles o JOIN pg_class c ON c.relowner = o.oid, aclexplode(relacl) a
WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = :login) AND rolname <> :login
ORDER BY 1
"""
_DEFAULT_KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "ROUTINES", "T": "TYPES", "n": "SCHEMAS"}


def hand_over_privileges(session: Session, login: str, owner: str) -> list[str]:
    """Give `owner` what `login` has been granted; returns in sentences what could not be given.

    Args:
        session: the administrator's, in a transaction.
        login: the login role that will act as `owner`.
        owner: a role that exists.
    """
    refused = [
        *_memberships(session, login, owner),
        *_objects(session, login, owner),
        *_defaults(session, login, owner),
    ]
    return [f"{login!r} will act as {owner!r}, which lacks one of its privileges: {text}" for text in refused]


def _memberships(session: Session, login: str, owner: str) -> list[str]:
    groups = session.rows(
        "SELECT g.rolname::text FROM pg_auth_members JOIN pg_roles g ON g.oid = roleid "
        "JOIN pg_roles m ON m.oid = member WHERE m.rolname = :login AND g.rolname <> :owner "
        "AND NOT pg_has_role(:owner::name, g.oid, 'MEMBER') ORDER BY 1",
        login=login,
        owner=owner,
    )
    return [
        refusal
        for (group,) in groups
        if (refusal := session.attempt(f"GRANT {identifier(group)} TO {identifier(owner)}"))
    ]


def _objects(session: Session, login: str, owner: str) -> list[str]:
    refused = []
    _act_as_grantors(session, login)
    for kind, query in _OBJECTS.items():
        for name, privilege in session.rows(query + " ORDER BY 1, 2", login=login):
            refusal = session.attempt(f"GRANT {privilege} ON {kind} {name} TO {identifier(owner)}")
            if refusal:
                refused.append(f"{privilege} on {kind} {name}: {refusal}")
    return refused


def _act_as_grantors(session: Session, login: str) -> None:
    """Only the owner of an object can grant on it; where the administrator may act as the owner, let it."""
    for (name,) in session.rows(_OWNERS, login=login):
        try_to_act_as(session, name)


def _defaults(session: Session, login: str, owner: str) -> list[str]:
    refused = []
    for maker, schema, kind, privilege in session.rows(_DEFAULTS, login=login):
        try_to_act_as(session, maker)
        place = f" IN SCHEMA {identifier(schema)}" if schema else ""
        refusal = session.attempt(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(maker)}{place} "
            f"GRANT {privilege} ON {_DEFAULT_KINDS[kind]} TO {identifier(owner)}"
        )
        if refusal:
            refused.append(refusal)
    return refused
