"""Clients that keep an old value keep logging in as long as deferral is declared, and not for ever."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self
from unittest.mock import Mock

import pg8000.native
import pytest

from components.lambdas.rotation import deadline, postgres_roles, retirement, store
from components.lambdas.rotation.driver import Holder
from components.lambdas.rotation.errors import OperatorError
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.labels import deferred
from components.lambdas.rotation.postgres_secret import pair_of, read_login
from components.lambdas.rotation.postgres_session import session
from components.lambdas.rotation.protocol import (
    DEFER,
    NOW_VERSION,
    PROCEED,
    WAIT,
)
from tests.support.interruption import killed
from tests.support.retirements import Declare, deferrals, labels_of
from tests.support.rotation_world import (
    STEPS,
    World,
    a_login,
    a_password,
    both_users,
    can_log_in,
    log_in,
    read,
    rejection,
    rotate,
    run_as,
    run_step,
    run_steps,
    set_password,
    start_rotation,
    superuser,
    version_with,
    write,
)

ROTATIONS = int(os.environ.get("ROTATIONS", "4"))


class Stubborn(threading.Thread):
    """A client that never reads again: it logs in and out with one value, and counts failures."""

    def __init__(self, try_login: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._try_login, self._stopped = try_login, threading.Event()
        self.logins = self.failures = 0

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.failures += not self._try_login()
            except Exception:  # noqa: BLE001 - every failure counts
                self.failures += 1
            self.logins += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()

    def wait(self) -> None:
        seen = self.logins
        while self.logins < seen + 2:
            time.sleep(0.001)


@pytest.fixture
def held(world: World) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """A login that was rotated once, and a client connected with the value before."""
    arn = a_login(world)
    old, _ = both_users(world, arn)
    connection = log_in(world, old)
    connection.run("SET application_name = 'billing'")
    yield arn, old, connection
    with contextlib.suppress(pg8000.native.InterfaceError):  # the test has closed it
        connection.close()


def test_no_client_loses_its_login_as_long_as_deferral_is_declared(
    world: World, declare: Declare, record_property: Callable[[str, object], None]
) -> None:
    arn = a_login(world)
    old, current = both_users(world, arn)
    declare(arn, DEFER, ROTATIONS)
    with Stubborn(lambda: can_log_in(world, old)) as client, log_in(world, old) as connection:
        for _ in range(ROTATIONS):
            rotate(world, arn)
            client.wait()
            assert connection.run("SELECT 1") == [[1]]
            assert can_log_in(world, read(world, arn))
    record_property("logins", client.logins)
    assert client.failures == 0
    assert read(world, arn) == current


def test_a_client_that_only_reconnects_keeps_its_login(
    world: World, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is connected for most of the time, and a look outlasts a slow login on a busy machine."""
    arn = a_login(world)
    old, current = both_users(world, arn)
    rotations = ROTATIONS // 2
    declare(arn, DEFER, rotations)
    monkeypatch.setattr(retirement, "LOOK_SECONDS", 3)

    def work() -> bool:
        run_as(world, old, "SELECT pg_sleep(0.5)")
        return True

    with Stubborn(work) as client:
        client.wait()
        for _ in range(rotations):
            rotate(world, arn)
    assert client.failures == 0
    assert read(world, arn) == current


@pytest.mark.parametrize("mode", [PROCEED, None])
def test_without_deferral_the_client_loses_its_login(
    world: World,
    held: tuple[str, dict[str, Any], Any],
    declare: Declare,
    log: Callable[[], str],
    mode: str | None,
) -> None:
    arn, old, _ = held
    if mode:
        declare(arn, mode)
    rotate(world, arn)
    assert not can_log_in(world, old)
    assert ("goes on, although" in log()) is (mode is not None)


def test_a_deferred_rotation_names_who_holds_the_old_value(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare, log: Callable[[], str]
) -> None:
    arn, old, _ = held
    declare(arn, DEFER)
    rotate(world, arn)
    assert "deferred (1 of 3 at most)" in log()
    assert f"user '{old['username']}' from '127.0.0.1', application 'billing'" in log()


def test_the_bound_ends_the_deferrals(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare, log: Callable[[], str]
) -> None:
    arn, old, _ = held
    declare(arn, DEFER, 2)
    for times in (1, 2):
        rotate(world, arn)
        assert deferrals(world, arn) == times
        assert can_log_in(world, old)
    rotate(world, arn)
    assert not can_log_in(world, old)
    assert "goes on after 2 deferrals" in log()
    assert deferrals(world, arn) == 0
    assert can_log_in(world, read(world, arn))


def test_when_the_client_has_gone_the_next_rotation_renews(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare
) -> None:
    arn, old, connection = held
    declare(arn, DEFER)
    rotate(world, arn)
    before = read(world, arn)
    connection.close()
    with superuser(world.server) as one:
        while one.run("SELECT 1 FROM pg_stat_activity WHERE usename = :name", name=old["username"]):
            time.sleep(0.01)
    rotate(world, arn)
    assert read(world, arn)["password"] != before["password"]
    assert not can_log_in(world, old)
    assert deferrals(world, arn) == 0


def test_waiting_ends_when_the_client_has_gone(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare, log: Callable[[], str]
) -> None:
    arn, _, connection = held
    declare(arn, WAIT)
    timer = threading.Timer(0.5, connection.close)
    timer.start()
    before = read(world, arn)
    rotate(world, arn)
    timer.join()
    assert read(world, arn)["password"] != before["password"]
    assert "goes on" not in log()


def test_waiting_ends_with_the_invocation(
    world: World,
    held: tuple[str, dict[str, Any], Any],
    declare: Declare,
    log: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arn, old, _ = held
    declare(arn, WAIT)
    monkeypatch.setattr(deadline, "seconds_left", lambda: 0.0)
    rotate(world, arn)
    assert not can_log_in(world, old)
    assert "goes on, although" in log()


def test_an_answer_to_a_leak_is_never_deferred(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare
) -> None:
    arn, old, _ = held
    declare(arn, DEFER)
    token = f"{NOW_VERSION}{'0' * 36}"
    world.secrets.rotate_secret(
        SecretId=arn, ClientRequestToken=token, RotationRules={"AutomaticallyAfterDays": 30}
    )
    run_steps(arn, token)
    assert not can_log_in(world, old)


def test_a_value_that_does_not_work_is_repaired_rather_than_deferred(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare
) -> None:
    arn, _, _ = held
    declare(arn, DEFER)
    set_password(world, read(world, arn)["username"], a_password())
    rotate(world, arn)
    assert can_log_in(world, read(world, arn))


def test_a_killed_deferral_is_completed_by_the_next_attempt(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare
) -> None:
    arn, old, _ = held
    current = read(world, arn)
    points = 0
    declare(arn, DEFER, 99)
    while True:
        before, token = deferrals(world, arn), start_rotation(world, arn)
        was_killed = killed(points, partial(run_steps, arn, token))
        assert deferrals(world, arn) in {before, before + 1}
        run_steps(arn, token)
        assert version_with(world, arn, "AWSCURRENT") == token
        assert deferrals(world, arn) == before + 1
        assert len([label for label in labels_of(world, arn) if deferred([label])]) == 2
        assert can_log_in(world, old)
        assert read(world, arn) == current
        if not was_killed:
            break
        points += 1
    assert points > 4


def test_a_killed_renewal_forgets_the_deferrals(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare
) -> None:
    arn, _, _ = held
    points = 0
    while True:
        declare(arn, DEFER, 1)
        with log_in(world, {**read(world, arn, "AWSPREVIOUS")}):
            rotate(world, arn)
        assert deferrals(world, arn) == 1
        token = start_rotation(world, arn)
        declare(arn, PROCEED)
        run_steps(arn, token, STEPS[:-1])
        was_killed = killed(points, partial(run_step, arn, token, "finishSecret"))
        run_step(arn, token, "finishSecret")
        assert version_with(world, arn, "AWSCURRENT") == token
        assert deferrals(world, arn) == 0
        if not was_killed:
            break
        points += 1
    assert points > 2


@pytest.mark.parametrize("after", range(1, 4))
def test_an_edit_during_a_deferral_is_kept(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare, after: int
) -> None:
    arn, old, _ = held
    declare(arn, DEFER)
    token = start_rotation(world, arn)
    run_steps(arn, token, STEPS[:after])
    password = a_password()
    set_password(world, read(world, arn)["username"], password)
    write(world, arn, password=password, MARK="kept")
    run_steps(arn, token, STEPS[after:])  # the copy's password is not valid any more
    now = read(world, arn)
    assert (now["password"], now["MARK"]) == (password, "kept")
    assert can_log_in(world, now)
    assert can_log_in(world, old)
    assert version_with(world, arn, "AWSPENDING") is None
    assert deferrals(world, arn) == 1


def test_an_edit_between_deferrals_does_not_lengthen_them(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare
) -> None:
    """Also where AWS removes the labels of a version that loses AWSCURRENT by an edit."""
    arn, old, _ = held
    declare(arn, DEFER, 2)
    for _ in range(2):
        rotate(world, arn)
        copy = version_with(world, arn, "AWSCURRENT")
        write(world, arn, MARK="edited")
        for label in world.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"].get(copy, []):
            if deferred([label]):
                world.secrets.update_secret_version_stage(
                    SecretId=arn, VersionStage=label, RemoveFromVersionId=copy
                )
    rotate(world, arn)
    assert not can_log_in(world, old)


@pytest.mark.parametrize(
    ("mode", "deferrals", "words"),
    [
        (DEFER, 2, "would be deferred (1 of 2 at most)"),
        (PROCEED, 3, "would end the logins of clients with an old value"),
        (WAIT, 3, "would wait for up to 14 minutes and then end the logins"),
    ],
)
def test_a_rehearsal_says_what_the_next_rotation_would_do(
    held: tuple[str, dict[str, Any], Any], declare: Declare, mode: str, deferrals: int, words: str
) -> None:
    arn, old, connection = held
    assert rehearse(arn) == ([], [])
    assert handle({"Action": "old-passwords", "SecretId": arn}) == {"Holders": [], "Outlook": []}
    declare(arn, mode, deferrals)
    [sentence], problems = rehearse(arn)
    assert words in sentence
    assert "application 'billing'" in sentence
    assert problems == []
    answer = handle({"Action": "old-passwords", "SecretId": arn})
    holder = {"User": old["username"], "Host": "127.0.0.1", "Application": "billing"}
    assert answer == {"Holders": [holder], "Outlook": [sentence]}
    connection.close()


def rehearse(arn: str) -> tuple[list[str], list[str]]:
    """Return the outlook, and the problems that were found."""
    answer = handle({"Action": "rehearse", "SecretId": arn}) or {}
    outlook, findings = answer["Outlook"], answer["Findings"]
    assert isinstance(outlook, list)
    assert isinstance(findings, list)
    return outlook, [one["Problem"] for one in findings]


def test_looking_leaves_a_slow_server_nine_tenths_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Mock(now=0.0)
    clock.monotonic.side_effect = lambda: clock.now
    clock.sleep.side_effect = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(retirement, "time", clock)
    monkeypatch.setattr(deadline, "seconds_left", lambda: 60.0)

    def watch() -> Iterator[list[Holder]]:
        while True:
            clock.now += 0.5
            yield [Holder(user=str(clock.now), host="", application="")]

    seen = retirement._sample(watch())
    assert len(seen) in {2, 3}
    assert clock.now <= retirement.LOOK_SECONDS + 0.5


@pytest.mark.parametrize(
    ("written", "labels", "became"),
    [
        ({"new": 200.0, "old": 100.0}, (), 250.0),
        # edited since the last rotation
        ({"new": 280.0, "old": 200.0}, (), 280.0),
        ({"new": 200.0, "old": 100.0}, ("aws-secrets-deferral:1:90",), 90.0),
        # rolled back, perhaps to a copy: clients may have connected with the other value until then
        ({"new": 100.0, "old": 200.0}, (), 300.0),
        ({"new": 100.0, "old": 200.0}, ("aws-secrets-deferral:1:90",), 300.0),
    ],
)
def test_no_value_seems_to_have_become_current_before_it_did(
    monkeypatch: pytest.MonkeyPatch, written: dict[str, float], labels: tuple[str, ...], became: float
) -> None:
    monkeypatch.setattr(store, "written", lambda _, version: written[version])
    stages = {"new": frozenset({"AWSCURRENT", *labels}), "old": frozenset({"AWSPREVIOUS"})}
    secret = store.Description("arn", {}, stages, True, False, last_rotated=250.0, last_changed=300.0)  # noqa: FBT003  as AWS
    assert retirement.became_current(secret) == became


def test_a_label_too_many_does_not_fail_a_rotation_that_has_succeeded(
    monkeypatch: pytest.MonkeyPatch, log: Callable[[], str]
) -> None:
    driver = Mock(spec=["watch", "bookmark"], **{"bookmark.return_value": "7:1"})
    secret = store.Description("arn", {}, {"new": frozenset({"AWSCURRENT"})}, True, False)  # noqa: FBT003  as AWS
    monkeypatch.setattr(retirement, "setting_of", lambda _: retirement.Setting(DEFER, 1))
    monkeypatch.setattr(store, "add_label", Mock(side_effect=OperatorError("LimitExceededException")))
    retirement.set_bookmark(secret, "new", {}, driver, is_new=True)
    assert "cannot be told apart: LimitExceededException" in log()


def test_deferral_needs_two_users(world: World, declare: Declare) -> None:
    arn = a_login(world, alternating=False)
    before = read(world, arn)
    declare(arn, DEFER)
    assert any("a single user has one password" in problem for problem in rehearse(arn)[1])
    assert "a single user has one password" in rejection(lambda: rotate(world, arn))
    assert read(world, arn) == before


def test_a_client_cannot_write_into_the_log(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare, log: Callable[[], str]
) -> None:
    arn, old, connection = held
    declare(arn, DEFER)
    connection.run("SET application_name = E'it''s\u202e \"x\"'")
    others = [log_in(world, old) for _ in range(7)]
    for number, other in enumerate(others):
        other.run(f"SET application_name = 'number {number}'")
    rotate(world, arn)
    for other in others:
        other.close()
    assert "and 3 more" in log()
    assert re.search(r"application '[^'\n]*\u202e", log()) is None


def test_whoever_may_not_see_hosts_still_sees_that_clients_are_there(
    world: World, held: tuple[str, dict[str, Any], Any]
) -> None:
    """An administrator without pg_read_all_stats sees as much as any other login."""
    _, old, _ = held
    stranger = a_login(world)
    with session(read_login(read(world, stranger), stranger)) as opened:
        assert postgres_roles.sessions_of(opened, old["username"]) == [("", "billing")]


def test_the_sessions_of_another_secrets_user_are_not_named(
    world: World, held: tuple[str, dict[str, Any], Any], declare: Declare, log: Callable[[], str]
) -> None:
    """The secret is edited to name the active one of two users of another secret."""
    _, old, _ = held
    stranger = a_login(world)
    declare(stranger, DEFER)
    active = next(name for name in pair_of(old["username"]) if name != old["username"])
    write(world, stranger, username=active)
    token = start_rotation(world, stranger)
    message = rejection(lambda: run_step(stranger, token, "createSecret"))
    assert "its comment does not name the secret" in message
    assert "billing" not in message + log()
