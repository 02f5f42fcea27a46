"""A DATABASE_URL keeps its form at a rotation, whatever form an operator gave it; and who may say so."""

import pytest

from components.lambdas.rotation.errors import OperatorError
from components.lambdas.rotation.postgres_secret import Login, database_url
from components.lambdas.rotation.postgres_session import major_version
from components.lambdas.rotation.protocol import fingerprint

LOGIN = Login(host="db.example", port=5432, database="d", username="new user", password="p&w", admin_arn=None)


@pytest.mark.parametrize(
    ("existing", "renewed"),
    [
        (None, "postgres://new%20user:p%26w@db.example:5432/d?sslmode=verify-full"),
        ("postgres://a:b@pool:6432/d?x=1#f", "postgres://new%20user:p%26w@pool:6432/d?x=1#f"),
        ("postgresql+psycopg://a:b@h/d", "postgresql+psycopg://new%20user:p%26w@h/d"),
        ("postgres://h/d", "postgres://new%20user:p%26w@h/d"),
        ("jdbc:postgresql://h:5432/d", "jdbc:postgresql://h:5432/d"),
        (
            "jdbc:postgresql://h/d?user=a&password=b&ssl=true",
            "jdbc:postgresql://h/d?user=new%20user&password=p%26w&ssl=true",
        ),
        ("postgres://h/d?sslmode=require&user=a&password=b", "postgres://h/d?sslmode=require&user=new%20user&password=p%26w"),
    ],
)  # fmt: skip
def test_only_user_and_password_of_a_url_are_renewed(existing: str | None, renewed: str) -> None:
    assert database_url(LOGIN, existing) == renewed


def test_what_is_no_url_is_refused_and_not_shown() -> None:
    with pytest.raises(OperatorError, match="is not a valid URL") as refused:
        database_url(LOGIN, "host=h password=canary")
    assert "canary" not in str(refused.value)


def test_a_servers_fingerprint_ignores_the_case_of_its_name() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1-AbCdEf"
    assert fingerprint(arn, "DB.example", 5432) == fingerprint(arn, "db.EXAMPLE", 5432)
    assert fingerprint(arn, "db.example", 5432) != fingerprint(arn, "db.example", 5433)


@pytest.mark.parametrize(("text", "major"), [("16.4 (Debian 16.4-1)", 16), ("19beta1", 19), ("13", 13)])
def test_a_servers_version_is_read_from_releases_and_betas(text: str, major: int) -> None:
    assert major_version(text) == major


def test_a_message_of_the_function_is_one_line_of_printable_characters() -> None:
    message = str(OperatorError("role 'a\n::warning::b\x1b[31m'"))
    assert "\n" not in message
    assert "\x1b" not in message
