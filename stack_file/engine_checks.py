"""Check databases and their logins against what the engine allows."""

from collections.abc import Iterator

from stack_file.databases import CLONE, PLACEHOLDER, Database, Login
from stack_file.engines import ENGINES, Engine
from stack_file.mistakes import Mistake, path_of
from stack_file.model import Model
from stack_file.top_level import StackFile

Place = tuple[str | int, ...]

# Field to what the other engines have instead of it.
_POSTGRES_ONLY = {
    "users": "One user with two passwords keeps what was read valid",
    "owner_role": "There is one user, and tables belong to their database",
    "schemas": "A schema is a database there: grants apply to the login's database",
    "create_schemas": "A schema is a database there, which the login cannot create",
    "authentication": "Create a user IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' yourself",
}
_MYSQL_ONLY = {
    "user_host": "pg_hba.conf and security groups decide from where a role may log in",
    "url_scheme": "DATABASE_URL begins with postgres://",
}
_POSTGRES_PLACEHOLDERS = ("owner", "schema")


def wrong_for_the_engine(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Yield what the engine of a database does not allow."""
    for name, database in stack_file.databases.items():
        place: Place = ("databases", name)
        engine = ENGINES[database.engine]
        if database.admin:
            admin: Place = (*place, "admin")
            yield from _wrong_user(namespace, (*admin, "username"), database.admin.username, engine)
            yield from _wrong_database(namespace, (*admin, "database"), database.admin.database, engine)
        for login_name, login in database.logins.items():
            where: Place = (*place, "logins", login_name)
            yield from _wrong_user(namespace, (*where, "username"), login.username, engine)
            yield from _wrong_user(namespace, (*where, "ownerRole"), login.owner_role, engine)
            yield from _wrong_database(namespace, (*where, "database"), login.database, engine)
            if database.engine == "postgres":
                yield from _foreign(namespace, where, login, engine, _MYSQL_ONLY)
                yield from _wrong_schemas(namespace, where, login, engine)
                yield from _wrong_pair(namespace, where, database, login)
            else:
                yield from _foreign(namespace, where, login, engine, _POSTGRES_ONLY)
                yield from _wrong_placeholders(namespace, where, login, engine)


def _wrong_user(namespace: str, place: Place, name: str | None, engine: Engine) -> Iterator[Mistake]:
    if name is None:
        return
    if engine.length(name) > engine.longest_user:
        yield _too_long(namespace, place, name, engine, engine.longest_user)
    elif name in engine.reserved_users or (
        engine.reserved_prefix and name.startswith(engine.reserved_prefix)
    ):
        yield Mistake(
            path_of(namespace, place),
            f'the name "{name}" is reserved by {engine.title} or RDS',
            f"{engine.title} would reject it",
            "Use another name",
        )


def _wrong_database(namespace: str, place: Place, name: str | None, engine: Engine) -> Iterator[Mistake]:
    if name is not None and engine.length(name) > engine.longest_database:
        yield _too_long(namespace, place, name, engine, engine.longest_database)


def _wrong_schemas(namespace: str, place: Place, login: Login, engine: Engine) -> Iterator[Mistake]:
    for index, schema in enumerate(login.schemas):
        yield from _wrong_database(namespace, (*place, "schemas", index), schema, engine)


def _too_long(namespace: str, place: Place, name: str, engine: Engine, longest: int) -> Mistake:
    return Mistake(
        path_of(namespace, place),
        f"not a valid {engine.title} identifier: it has {engine.length(name)} {engine.unit}",
        "",
        f"Use 1 to {longest} {engine.unit} without a null character",
    )


def _foreign(
    namespace: str, place: Place, login: Login, engine: Engine, foreign: dict[str, str]
) -> Iterator[Mistake]:
    for field in sorted(login.model_fields_set & foreign.keys()):
        yield Mistake(
            path_of(namespace, (*place, _key(Login, field))),
            f"{_key(Login, field)} does not apply to {engine.title}",
            "It would be ignored",
            f"Remove it. {foreign[field]}",
        )


def _wrong_placeholders(namespace: str, place: Place, login: Login, engine: Engine) -> Iterator[Mistake]:
    for index, statement in enumerate(login.grant_statements or ()):
        for found in PLACEHOLDER.finditer(statement):
            if found[1] in _POSTGRES_PLACEHOLDERS:
                yield Mistake(
                    path_of(namespace, (*place, "grantStatements", index)),
                    f"{found[0]} does not apply to {engine.title}",
                    "The statement could not be run",
                    "Use {login} or {database}, which become quoted names",
                )


def _wrong_pair(namespace: str, place: Place, database: Database, login: Login) -> Iterator[Mistake]:
    """Yield names that two alternating users, and the role that they act as, cannot have."""
    path = path_of(namespace, place)
    engine = ENGINES[database.engine]
    longest = engine.longest_user - len(CLONE)
    if not database.alternates(login):
        if login.owner_role:
            yield Mistake(
                path,
                "ownerRole is set for a single user, which has no owner role",
                "It would be ignored",
                "Remove ownerRole, or set users: alternating",
            )
    elif login.username.endswith(CLONE):
        yield Mistake(
            path,
            f'username ends with "{CLONE}"',
            "The second of two alternating users has that suffix",
            f'Use "{login.username.removesuffix(CLONE)}", or another name',
        )
    elif longest < engine.length(login.username) <= engine.longest_user:
        yield Mistake(
            path,
            f"username has {engine.length(login.username)} {engine.unit}",
            f'The second user\'s name, with the suffix "{CLONE}", would be too long for {engine.title}',
            f"Use at most {longest} {engine.unit}, or set users: single",
        )
    elif login.owner_role in {login.username, login.username + CLONE}:
        yield Mistake(
            path,
            "ownerRole is one of the two users",
            "The users could not share the objects that they own",
            f'Remove it to use "{login.username}_owner", or use another name',
        )


def _key(model: type[Model], field: str) -> str:
    return model.model_fields[field].alias or field
