"""On every engine, a leaked value stops working and its sessions end, while an attacker goes on.

`tests/compromised` has the whole command, on PostgreSQL. Here the part of it that renews a secret and ends
its sessions runs on the other engines, with the functions in this process.
"""

import io
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pymysql
import pytest
import redis

from components.lambdas.rotation.handler import handle
from operations.compromised.model import SecretOutcome, SecretPlan
from operations.compromised.renewal import Renewal
from operations.renewal.rotations import Rotations, incident
from tests.support import cache_world
from tests.support import mysql_world as mysql_world_of
from tests.support.emulator_functions import until
from tests.support.mysql_world import MysqlWorld
from tests.support.rotation_world import AnyWorld, read, rotate, run_steps

# a session that was ended, also while it logged in
ENDED = (pymysql.err.Error, redis.ConnectionError, OSError)
ROTATIONS = 2  # as the command plans it where two passwords are valid


@dataclass(frozen=True)
class Leak:
    """A secret whose value has leaked.

    Attributes:
        world: its Secrets Manager and server.
        arn: the secret's ARN.
        can_log_in: returns whether a value works.
        session: logs in with a value; returns a function that uses the session.
    """

    world: AnyWorld
    arn: str
    can_log_in: Callable[[Mapping[str, Any]], bool]
    session: Callable[[Mapping[str, Any]], Callable[[], object]]


class Rotating:
    """Secrets Manager whose RotateSecret runs the function's steps later, in a thread of its own."""

    def __init__(self, secrets: Any) -> None:
        self._secrets = secrets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._secrets, name)

    def list_secret_version_ids(self, **arguments: Any) -> dict[str, Any]:
        """List versions; moto ends with an empty token, which AWS does not."""
        page: dict[str, Any] = self._secrets.list_secret_version_ids(**arguments)
        return {key: one for key, one in page.items() if key != "NextToken" or one}

    def rotate_secret(self, SecretId: str, ClientRequestToken: str) -> None:  # noqa: N803  boto3's names
        token, rules = ClientRequestToken, {"AutomaticallyAfterDays": 30}
        self._secrets.rotate_secret(SecretId=SecretId, ClientRequestToken=token, RotationRules=rules)
        threading.Thread(target=run_steps, args=(SecretId, token)).start()


class Functions:
    """Lambda with the rotation function."""

    @staticmethod
    def invoke(FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  boto3's names
        del FunctionName
        return {"Payload": io.BytesIO(json.dumps(handle(json.loads(Payload))).encode())}


@dataclass
class Attacker:
    """Logs in with the leaked value all the time; times are seconds of one clock."""

    leak: Leak
    value: Mapping[str, Any]
    successes: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.end.is_set():
            try:
                works = self.leak.can_log_in(self.value)
            except ENDED:
                continue
            (self.successes if works else self.failures).append(time.monotonic())


def answer(leak: Leak, rotations: int = ROTATIONS) -> SecretOutcome:
    """Renew the secret and end its sessions, as the command does."""
    plan = SecretPlan(
        secret=cast("Any", SimpleNamespace(name=leak.arn, rotated_by="aws")),
        rotations=rotations,
        function="rotation",
        is_login=True,
    )
    outcome = SecretOutcome(name=leak.arn, arn=leak.arn)
    rotations_now = Rotations(
        client=Rotating(leak.world.secrets),
        incident=incident(datetime.now(UTC), at_once=True),
        timeout=60,
        consequence="the leaked value may still work",
        tell=lambda _: None,
        stop=threading.Event(),
    )
    Renewal(rotations=rotations_now, functions=Functions()).renew(plan, outcome)
    return outcome


def the_attacker_is_locked_out(leak: Leak, name: str) -> None:
    rotate(leak.world, leak.arn)
    value = read(leak.world, leak.arn)
    attacker, session = Attacker(leak, value), leak.session(value)
    session()
    thread = threading.Thread(target=attacker.run)
    thread.start()
    try:
        until(lambda: attacker.successes)
        began = time.monotonic()
        outcome = answer(leak)
        ended = time.monotonic()
        until(lambda: attacker.failures and attacker.failures[-1] > ended)
    finally:
        attacker.end.set()
        thread.join()
    seconds, load = attacker.successes[-1] - began, os.getloadavg()[0]
    print(f"{name}: last success after {seconds:.1f} s; load {load:.0f} on {os.cpu_count()} CPUs")  # noqa: T201
    assert len(outcome.rotated) == ROTATIONS
    assert began < attacker.successes[-1] < ended
    assert outcome.sessions
    until(lambda: is_over(session))
    assert not leak.can_log_in(value)
    assert leak.can_log_in(read(leak.world, leak.arn))


def is_over(session: Callable[[], object]) -> bool:
    try:
        session()
    except (*ENDED, redis.AuthenticationError):
        return True
    return False


def test_no_login_of_mysql_or_mariadb_works_once_the_answer_has_ended(mysql_world: MysqlWorld) -> None:
    log_in = partial(mysql_world_of.log_in, mysql_world)
    leak = Leak(
        mysql_world,
        mysql_world_of.a_login(mysql_world),
        partial(mysql_world_of.can_log_in, mysql_world),
        lambda value: partial(log_in(value).ping, reconnect=False),
    )
    the_attacker_is_locked_out(leak, mysql_world.kind)


@pytest.mark.parametrize("fixture", ["caches", "valkey_caches"])
@pytest.mark.parametrize("kind", ["user", "token"])
def test_no_login_of_a_cache_works_once_the_answer_has_ended(
    request: pytest.FixtureRequest, fixture: str, kind: str
) -> None:
    caches: cache_world.Caches = request.getfixturevalue(fixture)

    def session(value: Mapping[str, Any]) -> Callable[[], object]:
        connection = cache_world.connected(caches, value).connection_pool.get_connection()

        def use() -> object:
            connection.send_command("PING")  # type: ignore[no-untyped-call] # redis has no type here
            return connection.read_response()

        return use

    arn = cache_world.a_cache_login(caches)[1] if kind == "user" else cache_world.a_token(caches)[1]
    leak = Leak(caches, arn, partial(cache_world.can_log_in, caches), session)
    the_attacker_is_locked_out(leak, f"{caches.server.engine} {kind}")
