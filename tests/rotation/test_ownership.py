"""Alternating users share what either creates; each level of grants has its privileges."""

import pg8000.native
import pytest

from tests.support.rotation_world import (
    World,
    a_login,
    a_login_in,
    administrator,
    both_users,
    can_log_in,
    log_in,
    new_database,
    provision,
    put_login,
    read,
    rejection,
    rotate,
    run_as,
    set_password,
    superuser,
    unique,
)

DENIED = "42501"


def denied(world: World, arn: str, statement: str) -> bool:
    try:
        run_as(world, read(world, arn), statement)
    except pg8000.native.DatabaseError as error:
        assert error.args[0]["C"] == DENIED, error.args[0]["M"]
        return True
    return False


def check_sharing(world: World) -> None:
    """Check that each user alters, fills and drops what the other one created."""
    arn = a_login(world)
    first, second = both_users(world, arn)
    run_as(world, first, "CREATE TABLE by_first (id serial PRIMARY KEY)", "CREATE SCHEMA of_first")
    run_as(world, second, "INSERT INTO by_first DEFAULT VALUES", "ALTER TABLE by_first ADD COLUMN note text")
    run_as(world, second, "CREATE TABLE of_first.by_second (id int)", "CREATE VIEW seen AS SELECT 1 AS one")
    run_as(
        world,
        first,
        "INSERT INTO of_first.by_second VALUES (1)",
        "DROP VIEW seen",
        "DROP SCHEMA of_first CASCADE",
    )
    owner = run_as(world, first, "SELECT tableowner::text FROM pg_tables WHERE tablename = 'by_first'")
    assert owner == [[first["username"] + "_owner"]]


def check_existing_login(world: World) -> None:
    """Check that an existing login keeps tables, privileges and password, and shares them with its pair."""
    database = new_database(world)
    name = unique("old")
    with administrator(world.server, database) as admin:
        admin.run(f"CREATE ROLE {name}_group")
        admin.run("CREATE TABLE shared (id int)")
        admin.run(f"GRANT SELECT ON shared TO {name}_group")
        admin.run("CREATE TABLE granted (id int)")
        admin.run("CREATE SCHEMA private")
    arn = put_login(world, database, name)
    fields = read(world, arn)
    with administrator(world.server, database) as admin:
        admin.run(f"CREATE ROLE {name} LOGIN IN ROLE {name}_group")
        admin.run(f"GRANT SELECT, INSERT ON granted TO {name}")
        admin.run(f"GRANT USAGE, CREATE ON SCHEMA private TO {name}")
        admin.run(f"GRANT TEMP, CREATE ON DATABASE {database} TO {name}")
    set_password(world, name, fields["password"])
    run_as(world, fields, "CREATE TABLE private.mine (id int)", "INSERT INTO private.mine VALUES (7)")
    report = provision(arn, Grants=[])
    assert report["Warnings"] == []
    assert read(world, arn) == fields
    first, second = both_users(world, arn)
    for user in (first, second):
        run_as(world, user, "SELECT * FROM shared", "INSERT INTO granted VALUES (1)")
        assert run_as(world, user, "SELECT id FROM private.mine") == [[7]]
    run_as(world, second, "ALTER TABLE private.mine ADD COLUMN more int")
    run_as(world, first, "DROP TABLE private.mine")


def check_kinds(world: World) -> None:
    """Check the levels of grants, on existing tables and on those that old and new owners create later."""
    database = new_database(world)
    with administrator(world.server, database) as admin:
        admin.run("CREATE TABLE before (id serial, note text)")
        admin.run("INSERT INTO before (note) VALUES ('x')")
    reader = a_login_in(world, database, request={"Grants": "read-only"})
    writer = a_login_in(world, database, alternating=False, request={"Grants": "read-write"})
    owner = a_login_in(world, database, request={"Grants": "owner"})
    run_as(world, read(world, owner), "CREATE TABLE later (id serial, note text)")
    with administrator(world.server, database) as admin:
        admin.run("CREATE TABLE later_by_admin (id serial, note text)")
    for arn in (reader, writer, owner):
        rotate(world, arn)
    for table in ("before", "later", "later_by_admin"):
        for arn in (reader, writer, owner):
            run_as(world, read(world, arn), f"SELECT * FROM {table}")
        insert = f"INSERT INTO {table} (note) VALUES ('y')"
        assert denied(world, reader, insert)
        run_as(world, read(world, writer), insert, f"DELETE FROM {table}")
        run_as(world, read(world, owner), insert)
    assert denied(world, writer, "DROP TABLE before")
    if world.server.version >= 15:  # earlier, PUBLIC has CREATE on the schema public, which is a warning
        assert denied(world, reader, "CREATE TABLE mine (id int)")
        assert denied(world, writer, "CREATE TABLE mine (id int)")


def test_alternating_users_share_their_objects(world: World) -> None:
    check_sharing(world)


def test_an_existing_login_keeps_and_shares_its_privileges(world: World) -> None:
    check_existing_login(world)


def test_grants_cover_existing_and_later_tables(world: World) -> None:
    check_kinds(world)


def test_ownership_and_grants_work_on_every_version(any_world: World) -> None:
    check_sharing(any_world)
    check_existing_login(any_world)
    check_kinds(any_world)
    single = a_login(any_world, alternating=False)
    rotate(any_world, single)
    assert can_log_in(any_world, read(any_world, single))


def test_provisioning_again_shares_objects_created_without_the_owner_role(world: World) -> None:
    arn = a_login(world)
    first, second = both_users(world, arn)
    with log_in(world, second) as connection:
        connection.run("SET ROLE NONE")
        connection.run("CREATE TABLE stray (id int)")
    rotate(world, arn)  # locks no table, and so changes no owner
    assert provision(arn, Grants="owner")["Warnings"] == []
    third = read(world, arn)
    assert third["username"] == first["username"]
    run_as(world, third, "ALTER TABLE stray ADD COLUMN more int", "DROP TABLE stray")


def test_a_lower_level_revokes_what_the_higher_one_granted(world: World) -> None:
    database = new_database(world)
    with administrator(world.server, database) as admin:
        admin.run("CREATE TABLE t (id int)")
    arn = a_login_in(world, database, request={"Grants": "read-write"})
    run_as(world, read(world, arn), "INSERT INTO t VALUES (1)")
    provision(arn, Grants="read-only")
    assert denied(world, arn, "INSERT INTO t VALUES (1)")
    with administrator(world.server, database) as admin:
        admin.run("CREATE TABLE later (id int)")
    assert denied(world, arn, "INSERT INTO later VALUES (1)")
    run_as(world, read(world, arn), "SELECT * FROM later")


def test_grant_statements_quote_names_safely(world: World) -> None:
    database = new_database(world, 'da"ta')
    name = unique("O'Brien \"{app}")
    request = {
        "Grants": [
            "CREATE TABLE IF NOT EXISTS {schema}.events (id int, kind text DEFAULT '{{}}')",
            "GRANT INSERT ON {schema}.events TO {owner}",
            "COMMENT ON TABLE {schema}.events IS 'events'",
            "ALTER ROLE {login} SET statement_timeout = '7s'",
            "GRANT CONNECT ON DATABASE {database} TO {login}",
        ],
        "Schemas": ['sch"ema; DROP'],
        "CreateSchemas": True,
    }
    arn = a_login_in(world, database, name, request={**request})
    for user in both_users(world, arn):
        with log_in(world, user) as connection:
            assert connection.run("SHOW statement_timeout") == [["7s"]]
            assert connection.run("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'sch%'") == [
                ['sch"ema; DROP']
            ]
    provision(arn, **request)


def test_settings_are_copied_to_the_other_user(world: World) -> None:
    arn = a_login(world)
    first = read(world, arn)
    path = '"$user", \'my "odd", schema\', public'
    with administrator(world.server, first["dbname"]) as admin:
        admin.run(f"ALTER ROLE {first['username']} SET search_path = {path}")
        admin.run(f"ALTER ROLE {first['username']} IN DATABASE {first['dbname']} SET work_mem = '7MB'")
    first, second = both_users(world, arn)
    settings = []
    for user in (first, second):
        with log_in(world, user) as connection:
            settings.append(connection.run("SHOW search_path") + connection.run("SHOW work_mem"))
    assert settings[0] == settings[1]
    assert settings[0][1] == ["7MB"]
    with administrator(world.server, first["dbname"]) as admin:
        admin.run(f"ALTER ROLE {second['username']} RESET search_path")
    rotate(world, arn)
    with log_in(world, read(world, arn)) as connection:
        assert connection.run("SHOW search_path") == [['"$user", public']]


def test_objects_in_the_search_path_do_not_deceive_the_function(world: World) -> None:
    database = new_database(world)
    with superuser(world.server, database) as other:
        other.run(
            "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT "
            "''infinity''::timestamptz'"
        )
        other.run(
            "CREATE TABLE public.pg_roles (oid oid, rolname name, rolcanlogin bool, rolvaliduntil "
            "timestamptz)"
        )
        other.run(f"ALTER DATABASE {database} SET search_path = public, pg_catalog")
    arn = a_login_in(world, database)
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


@pytest.mark.parametrize("grants", ["reader", [1], None, ["GRANT {nobody}"], ["GRANT {login"]], ids=str)
def test_invalid_grants_are_rejected(world: World, grants: object) -> None:
    arn = put_login(world, new_database(world), unique("app"))
    assert "Grants" in rejection(lambda: provision(arn, Grants=grants))


def test_a_missing_schema_is_an_error_unless_it_is_created(world: World) -> None:
    database, name = new_database(world), unique("app")
    arn = put_login(world, database, name)
    for grants in ("read-only", "owner", ["GRANT USAGE ON SCHEMA {schema} TO {owner}"]):
        message = rejection(lambda grants=grants: provision(arn, Grants=grants, Schemas=["public", "pubic"]))  # type: ignore[misc] # a default keeps the loop's value
        assert f"Database '{database}' has no schema 'pubic'; its schemas are 'public'." in message
        assert "createSchemas: true" in message
    with administrator(world.server, database) as admin:
        assert not admin.run("SELECT 1 FROM pg_namespace WHERE nspname = 'pubic'")
        assert not admin.run("SELECT 1 FROM pg_roles WHERE rolname LIKE :name", name=f"{name}%")
    provision(arn, Grants="owner", Schemas=["public", "own"], CreateSchemas=True)
    provision(arn, Grants="owner", Schemas=["public", "own"])  # it exists now
    run_as(world, read(world, arn), "CREATE TABLE own.mine (id int)")


def test_an_error_names_the_failed_grant_statement(world: World) -> None:
    arn = put_login(world, new_database(world), unique("app"))
    broken = [
        "GRANT USAGE ON SCHEMA {schema} TO {owner}",
        "GRANT   NONSENSE ON\nDATABASE {database} TO {owner}",
    ]
    message = rejection(lambda: provision(arn, Grants=broken))
    assert "grantStatements[1] (GRANT NONSENSE ON DATABASE {database} TO {owner}) failed: " in message
    message = rejection(lambda: provision(arn, Grants=["SELECT public.nothing_like_it()"]))
    assert "grantStatements[0] (SELECT public.nothing_like_it()) names an object" in message


def test_the_new_owner_of_a_schema_may_create_in_it(world: World) -> None:
    """PostgreSQL merges the temporary grant into the rights of the schema's new owner."""
    database, name = new_database(world), unique("old")
    arn = put_login(world, database, name)
    fields = read(world, arn)
    with administrator(world.server, database) as admin:
        admin.run(f"CREATE ROLE {name} LOGIN")
        admin.run(f"GRANT CREATE ON DATABASE {database} TO {name}")
    set_password(world, name, fields["password"])
    run_as(world, fields, "CREATE SCHEMA its_own", "CREATE TABLE its_own.mine (id int)")
    assert provision(arn, Grants=[])["Warnings"] == []
    for user in both_users(world, arn):
        run_as(world, user, "CREATE TABLE its_own.more (id int)", "DROP TABLE its_own.more")


def test_objects_in_schemas_without_create_are_handed_over_too(world: World) -> None:
    """ALTER ... OWNER needs CREATE for the new owner: it is granted and revoked in the same transaction."""
    database, name = new_database(world), unique("old")
    arn = put_login(world, database, name)
    fields = read(world, arn)
    with administrator(world.server, database) as admin:
        admin.run(f"CREATE ROLE {name} LOGIN")
        admin.run("CREATE SCHEMA frozen")
        admin.run(f"GRANT USAGE, CREATE ON SCHEMA frozen TO {name}")
    set_password(world, name, fields["password"])
    run_as(
        world,
        fields,
        "CREATE TABLE frozen.mine (id serial PRIMARY KEY)",
        "CREATE FUNCTION frozen.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    with administrator(world.server, database) as admin:
        admin.run(f"REVOKE CREATE ON SCHEMA frozen FROM {name}")
    report = provision(arn, Grants=[])
    assert report["Warnings"] == []
    owner = f"{name}_owner"
    with administrator(world.server, database) as admin:
        assert admin.run("SELECT tableowner::text FROM pg_tables WHERE schemaname = 'frozen'") == [[owner]]
        assert admin.run(
            "SELECT pg_get_userbyid(proowner)::text, has_schema_privilege(:owner::name, 'frozen', 'CREATE') "
            "FROM pg_proc WHERE proname = 'one'",
            owner=owner,
        ) == [[owner, False]]
    for user in both_users(world, arn):
        run_as(world, user, "INSERT INTO frozen.mine DEFAULT VALUES", "ALTER TABLE frozen.mine ADD note text")
        run_as(world, user, "ALTER TABLE frozen.mine DROP note", "SELECT frozen.one()")
