"""The rotation function's messages about PostgreSQL's errors."""

import pg8000.native

from components.lambdas.rotation.postgres_session import _sql_error


def test_a_grant_without_a_possible_grantor_names_role_and_remedy() -> None:
    error = pg8000.native.DatabaseError({"C": "XX000", "M": "no possible grantors"})
    message = str(_sql_error(error, "db.example:5432", 'GRANT "app_owner" TO "app"'))
    assert 'GRANT "app_owner" TO "app": no possible grantors (SQLSTATE XX000)' in message
    assert "WITH ADMIN OPTION" in message


def test_an_error_does_not_repeat_a_statement_with_a_password() -> None:
    error = pg8000.native.DatabaseError({"C": "42501", "M": "permission denied"})
    message = str(_sql_error(error, "db.example:5432", "ALTER ROLE app PASSWORD 'canary-4f1d'"))
    assert "canary-4f1d" not in message
