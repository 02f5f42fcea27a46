"""What the rotation function makes of PostgreSQL's refusals."""

import pg8000.native

from functions.rotation.postgres_session import _refusal


def test_a_grant_without_a_possible_grantor_names_the_role_and_the_remedy() -> None:
    error = pg8000.native.DatabaseError({"C": "XX000", "M": "no possible grantors"})
    message = str(_refusal(error, "db.example:5432", 'GRANT "app_owner" TO "app"'))
    assert 'GRANT "app_owner" TO "app": no possible grantors (SQLSTATE XX000)' in message
    assert "WITH ADMIN OPTION" in message


def test_a_refusal_repeats_no_statement_that_could_hold_a_password() -> None:
    error = pg8000.native.DatabaseError({"C": "42501", "M": "permission denied"})
    message = str(_refusal(error, "db.example:5432", "ALTER ROLE app PASSWORD 'canary-4f1d'"))
    assert "canary-4f1d" not in message
