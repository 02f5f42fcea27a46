"""Redis: clients that connected before the current password keep their login under deferral."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.lambdas.rotation import retirement
from components.lambdas.rotation.protocol import DEFER, PROCEED
from tests.support.cache_world import Caches, a_cache_login, a_token, can_log_in, connected, current
from tests.support.retirements import Declare, deferrals
from tests.support.rotation_world import a_password, rejection, rotate, write

ROTATIONS = int(os.environ.get("ROTATIONS", "4"))
_SECOND = 1.1  # Redis knows in whole seconds how long a client has been connected
Held = tuple[str, dict[str, Any], Any]


@pytest.fixture
def renewed_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the current value become current now: Secrets Manager knows whole seconds, too."""

    def now() -> None:
        time.sleep(_SECOND)
        moment = time.time()
        monkeypatch.setattr(retirement, "became_current", lambda _: moment)
        time.sleep(_SECOND)

    return now


@pytest.fixture(params=["user", "token"])
def held(
    request: pytest.FixtureRequest, caches: Caches, declare: Declare, renewed_now: Callable[[], None]
) -> Iterator[Held]:
    """A login that was rotated, and a client that connected before and goes on."""
    _, arn = a_cache_login(caches) if request.param == "user" else a_token(caches)
    rotate(caches, arn)  # with a value before it, as after the first month
    old = current(caches, arn)
    client = connected(caches, old)
    client.client_setname("billing")
    rotate(caches, arn)
    renewed_now()
    declare(arn, DEFER, 99)
    yield arn, old, client
    client.close()


def test_a_connected_client_loses_no_login_as_long_as_deferral_is_declared(
    caches: Caches, held: Held, log: Callable[[], str]
) -> None:
    arn, old, client = held
    now = current(caches, arn)
    for _ in range(ROTATIONS):
        rotate(caches, arn)
        assert client.ping()
        assert can_log_in(caches, old)
        assert can_log_in(caches, current(caches, arn))
    assert current(caches, arn) == now
    assert deferrals(caches, arn) == ROTATIONS
    assert f"user '{old.get('username') or 'default'}' from '127.0.0.1', application 'billing'" in log()


def test_a_client_that_read_again_does_not_defer_the_rotation(caches: Caches, held: Held) -> None:
    arn, old, client = held
    client.close()
    now = current(caches, arn)
    later = connected(caches, now)
    assert later.ping()
    rotate(caches, arn)
    assert current(caches, arn)["password"] != now["password"]
    assert not can_log_in(caches, old)
    assert can_log_in(caches, now)
    later.close()


def test_without_deferral_the_client_loses_its_login(
    caches: Caches, held: Held, declare: Declare, log: Callable[[], str]
) -> None:
    arn, old, _ = held
    declare(arn, PROCEED)
    rotate(caches, arn)
    assert not can_log_in(caches, old)
    assert "goes on, although" in log()


def test_a_client_with_an_endless_name_cannot_keep_its_login_for_ever(
    caches: Caches, held: Held, declare: Declare
) -> None:
    """A list that the function did not read failed the rotation, and the old value stayed valid."""
    arn, old, client = held
    client.client_setname("-" * (1 << 24))
    declare(arn, DEFER, 1)
    rotate(caches, arn)
    assert deferrals(caches, arn) == 1
    rotate(caches, arn)
    assert not can_log_in(caches, old)


def test_the_bound_ends_the_deferrals(caches: Caches, held: Held, declare: Declare) -> None:
    arn, old, _ = held
    declare(arn, DEFER, 1)
    rotate(caches, arn)
    assert can_log_in(caches, old)
    rotate(caches, arn)
    assert not can_log_in(caches, old)


def test_a_value_that_does_not_work_is_repaired_rather_than_deferred(caches: Caches, held: Held) -> None:
    arn, _, _ = held
    write(caches, arn, password=a_password())
    rotate(caches, arn)
    assert can_log_in(caches, current(caches, arn))


def test_a_user_that_sees_no_clients_fails_the_rotation_early(caches: Caches, declare: Declare) -> None:
    _, arn = a_cache_login(caches, access="on ~* +@all -client|list")
    rotate(caches, arn)
    declare(arn, DEFER)
    before = current(caches, arn)
    assert "add +client|list" in rejection(lambda: rotate(caches, arn))
    assert current(caches, arn) == before
    declare(arn, PROCEED)


def test_the_first_rotation_is_never_deferred(caches: Caches, declare: Declare) -> None:
    _, arn = a_cache_login(caches)
    old = current(caches, arn)
    declare(arn, DEFER)
    client = connected(caches, old)
    assert client.ping()
    rotate(caches, arn)
    assert current(caches, arn) != old
    assert can_log_in(caches, old)
    client.close()
