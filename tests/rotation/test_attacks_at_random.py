"""Random statements of logins between rotations and provisionings give no login more than is declared.

`ATTACK_EXAMPLES=200` turns this into a long soak test (`make test-soak`).
"""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import pg8000.native
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.lambdas.rotation.errors import OperatorError
from tests.support.rotation_world import (
    World,
    a_login_in,
    administrator,
    can_log_in,
    log_in,
    new_database,
    provision,
    read,
    rotate,
    superuser,
    unique,
)

EXAMPLES = int(os.environ.get("ATTACK_EXAMPLES", "4"))
LEVELS = ("read-only", "read-write", "owner")

# Statements that any login may try; {me}, {friend} and {victim} are roles, {owner} is the victim's owner
# role.
STATEMENTS = (
    "ALTER ROLE {me} SET role = '{owner}'",
    "ALTER ROLE {me} SET role = '{admin}'",
    "ALTER ROLE {me} SET role = 'pg_read_all_data'",
    "ALTER ROLE {me} IN DATABASE {database} SET role = '{owner}'",
    "ALTER ROLE {me} RESET ALL",
    "ALTER ROLE {me} SET default_transaction_read_only = on",
    "ALTER ROLE {me} SET statement_timeout = '1ms'",
    "ALTER ROLE {me} SET search_path = evil, public",
    "ALTER ROLE {me} SET session_authorization = '{admin}'",
    "ALTER ROLE {me} CREATEROLE",
    "COMMENT ON ROLE {owner} IS 'aws-secrets:{arn}'",
    "COMMENT ON ROLE {me} IS 'aws-secrets:{victim_arn}'",
    "GRANT {me} TO {friend}",
    "GRANT {me} TO {admin} WITH ADMIN OPTION",
    "GRANT {owner} TO {me}",
    "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {friend} WITH GRANT OPTION",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {me}, {friend}, PUBLIC",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT ALL ON TABLES TO {me}",
    "CREATE SCHEMA evil",
    "GRANT ALL ON SCHEMA evil TO PUBLIC",
    "CREATE TABLE public.mine (id int)",
    "GRANT ALL ON public.mine TO PUBLIC WITH GRANT OPTION",
    "CREATE TABLE public.pg_roles (oid oid, rolname name, rolcanlogin bool)",
    "CREATE FUNCTION public.pg_has_role(name, name, text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE sql AS $$SELECT 'ledger'$$",
    "CREATE FUNCTION evil.now() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN RETURN 1; END$$",
    "CREATE POLICY all_rows ON vault.gold USING (true)",
    "CREATE VIEW public.window AS SELECT 1 AS id",
    "ALTER TABLE public.mine OWNER TO {owner}",
    "SELECT pg_advisory_lock(26867863211402595)",
    "CREATE TYPE public.text AS ENUM ('x')",
)


class Attack:
    """Two attacking logins, a victim with its own schema, and a table of the administrator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database = new_database(world)
        with administrator(world.server, self.database) as admin:
            admin.run("CREATE TABLE public.ledger (id int)")
        request = {"Grants": "owner", "Schemas": ["vault"], "CreateSchemas": True}
        self.victim = a_login_in(world, self.database, request=request)
        with log_in(world, read(world, self.victim)) as victim:
            victim.run("CREATE TABLE vault.gold (id int)")
        self.pair = a_login_in(world, self.database, unique("evil"), request={"Grants": "read-only"})
        self.single = a_login_in(
            world, self.database, unique("evil"), alternating=False, request={"Grants": "read-only"}
        )
        self.levels = {self.pair: "read-only", self.single: "read-only"}

    def username(self, arn: str) -> str:
        return str(read(self.world, arn)["username"]).removesuffix("_clone")

    def execute(self, arn: str, statement: str, *, as_itself: bool) -> None:
        fields = read(self.world, arn)
        other = self.single if arn == self.pair else self.pair
        text = statement.format(
            me=fields["username"], friend=read(self.world, other)["username"], arn=arn,
            owner=f"{self.username(self.victim)}_owner", victim_arn=self.victim, database=self.database,
            admin=self.world.server.admin_user,
        )  # fmt: skip
        with contextlib.suppress(pg8000.native.DatabaseError), log_in(self.world, fields) as connection:
            if as_itself:
                connection.run("SET ROLE NONE")
            connection.run(text)

    def rotate(self, arn: str) -> None:
        with contextlib.suppress(OperatorError):
            rotate(self.world, arn)

    def provision(self, arn: str, level: str) -> None:
        with contextlib.suppress(OperatorError):
            provision(arn, Grants=level)
            self.levels[arn] = level

    def check(self) -> None:
        world, base, single = self.world, self.username(self.pair), self.username(self.single)
        roles = [base, f"{base}_clone", f"{base}_owner", single]
        with superuser(world.server, self.database) as catalog:
            quoted = ", ".join(f"'{role}'" for role in roles)
            powers = catalog.run(
                f"SELECT rolname::text FROM pg_roles WHERE rolname IN ({quoted}) AND (rolsuper OR "
                "rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)"
            )
            assert powers == []
            allowed = {(base, f"{base}_owner"), (f"{base}_clone", f"{base}_owner")}
            # up to PostgreSQL 15 a login may grant itself, which gives others no more than its own
            allowed |= {(member, group) for member in roles for group in roles}
            memberships = catalog.run(
                "SELECT m.rolname::text, g.rolname::text FROM pg_auth_members "
                "JOIN pg_roles m ON m.oid = member JOIN pg_roles g ON g.oid = roleid "
                f"WHERE m.rolname IN ({quoted})"
            )
            assert {tuple(row) for row in memberships} <= allowed
            for role in roles:
                for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                    [[has]] = catalog.run(
                        "SELECT has_table_privilege(CAST(:role AS name), 'vault.gold', :privilege)",
                        role=role, privilege=privilege,
                    )  # fmt: skip
                    assert not has, f"{role} has {privilege} on vault.gold"
            if self.levels[self.single] == "read-only" and self.levels[self.pair] == "read-only":
                [[writes]] = catalog.run(
                    "SELECT has_table_privilege(CAST(:role AS name), 'public.ledger', 'INSERT')", role=single
                )
                assert not writes
            marks = catalog.run(
                "SELECT count(*) FROM pg_roles WHERE rolname = :owner AND "
                "shobj_description(oid, 'pg_authid') LIKE '%' || :arn || '%'",
                owner=f"{self.username(self.victim)}_owner", arn=self.pair,
            )  # fmt: skip
            assert marks == [[0]]
        assert can_log_in(world, read(world, self.victim))


def steps() -> st.SearchStrategy[list[Callable[[Attack], None]]]:
    def step(
        kind: str, attacker: str, statement: str, level: str, *, as_itself: bool
    ) -> Callable[[Attack], None]:
        def run(attack: Attack) -> None:
            arn: str = getattr(attack, attacker)
            if kind == "rotate":
                attack.rotate(arn)
            elif kind == "provision":
                attack.provision(arn, level)
            else:
                attack.execute(arn, statement, as_itself=as_itself)

        return run

    return st.lists(
        st.builds(
            step,
            st.sampled_from(["attack", "attack", "attack", "rotate", "provision"]),
            st.sampled_from(["pair", "single"]),
            st.sampled_from([*STATEMENTS, *STATEMENTS[:4] * 6]),  # mostly owners and memberships
            st.sampled_from(LEVELS),
            as_itself=st.sampled_from([True, True, True, False]),
        ),
        min_size=6,
        max_size=14,
    )


@pytest.mark.deep
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(attacks=steps())
def test_no_sequence_of_attacks_gives_a_login_more(
    world: World, attacks: list[Callable[[Attack], Any]]
) -> None:
    attack = Attack(world)
    for run in attacks:
        run(attack)
    attack.rotate(attack.pair)
    attack.rotate(attack.single)
    attack.rotate(attack.victim)
    attack.provision(attack.pair, "read-only")
    attack.provision(attack.single, "read-only")
    attack.check()
