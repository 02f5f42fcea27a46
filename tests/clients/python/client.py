"""Log in with each URL of a JSON list on standard input, with each library; write the results as JSON."""

import json
import sys
from collections.abc import Callable

import dj_database_url
import django.conf
import django.db.utils
import psycopg
import sqlalchemy

QUERY = "SELECT session_user, current_database()"
Row = tuple[str, str]


def with_psycopg(url: str) -> Row:
    with psycopg.connect(url) as connection:
        who, database = connection.execute(QUERY).fetchone()
    return who, database


def with_sqlalchemy(url: str) -> Row:
    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        who, database = connection.execute(sqlalchemy.text(QUERY)).one()
    return who, database


def with_django(url: str) -> Row:
    connection = django.db.utils.ConnectionHandler({"default": dj_database_url.parse(url)})["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(QUERY)
            who, database = cursor.fetchone()
    finally:
        connection.close()
    return who, database


def attempt(connect: Callable[[str], Row], url: str) -> dict[str, str]:
    try:
        who, database = connect(url)
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError, django.db.utils.Error) as error:
        return {"error": str(error)}
    return {"who": who, "database": database}


django.conf.settings.configure()
logins = json.load(sys.stdin)
libraries = {"psycopg": with_psycopg, "SQLAlchemy": with_sqlalchemy, "Django": with_django}
results = {name: [attempt(connect, login["url"]) for login in logins] for name, connect in libraries.items()}
json.dump(results, sys.stdout)
