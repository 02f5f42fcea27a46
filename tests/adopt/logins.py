"""Database logins as other programs leave them in AWS and in PostgreSQL, and clients that use them."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from tests.adopt.live import rotate
from tests.support.databases import connected
from tests.support.shops import Shop

CLONE, ALT = "_clone", "_alt"


def a_login(shop: Shop, secret: str, username: str, function: str, grants: str = "", **fields: object) -> str:
    """Create a role, its secret with AWS's keys, and its rotation; return the secret's ARN."""
    password = f"initial-{username}-Password1"
    with shop.administrator() as admin:
        admin.run(f"CREATE ROLE {username} LOGIN PASSWORD '{password}'")
        for statement in filter(None, [grants]):
            admin.run(statement)
    value = {
        "engine": "postgres",
        "host": shop.server.host,
        "port": shop.server.port,
        "dbname": shop.database,
        "username": username,
        "password": password,
        **fields,
    }
    client = shop.stack.client()
    arn: str = client.create_secret(Name=secret, SecretString=json.dumps(value))["ARN"]
    client.rotate_secret(
        SecretId=secret,
        RotationLambdaARN=function,
        RotationRules={"ScheduleExpression": "rate(10 days)", "Duration": "3h"},
        RotateImmediately=False,
    )
    return arn


def rotated(shop: Shop, secret: str) -> dict[str, Any]:
    """Rotate a login, and return its new value."""
    rotate(shop.stack, secret)
    return shop.stack.value(secret)


def log_in(shop: Shop, value: Mapping[str, Any]) -> Any:  # noqa: ANN401  pg8000 is untyped
    return connected(shop.server, value["username"], value["password"], value["dbname"])


class Client(threading.Thread):
    """Logs in and reads a table again and again with the value from `fetch`, until it is stopped."""

    def __init__(self, shop: Shop, table: str, fetch: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__()
        self._shop, self._table, self._fetch = shop, table, fetch
        self._stopped = threading.Event()
        self.logins = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopped.is_set():
            value = self._fetch()
            try:
                with closing(log_in(self._shop, value)) as connection:
                    connection.run(f"TABLE {self._table}")
            except Exception as error:  # noqa: BLE001  every failure counts
                self.failures.append(f"{value['username']}: {error!r}")
            self.logins += 1
            time.sleep(0.02)

    def another(self) -> None:
        """Wait until a login that began later has ended."""
        seen = self.logins
        while self.logins < seen + 2:
            time.sleep(0.005)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Load:
    """Clients of a login: one reads the secret before each login, one uses a value for half a period."""

    def __init__(self, shop: Shop, secret: str, table: str, held: Mapping[str, Any]) -> None:
        self._shop, self._secret, self._held = shop, secret, held
        self.clients = [
            Client(shop, table, lambda: shop.stack.value(secret)),
            Client(shop, table, lambda: self._held),
        ]

    def read_again(self) -> None:
        """Let the second client read the secret, in the middle between two rotations."""
        self._held = self._shop.stack.value(self._secret)
        self.another()

    def another(self) -> None:
        for client in self.clients:
            client.another()

    @property
    def failures(self) -> list[str]:
        return [failure for client in self.clients for failure in client.failures]
