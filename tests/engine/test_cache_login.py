"""Cache logins with the real engine and function, on real servers behind an emulated ElastiCache."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cache_world import Caches, a_group, a_user, can_log_in, current
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.stacks import Stack, new_stack
from tools.localcloud.servers.redis import RedisServer

PROGRAM = """
import json
from pathlib import Path

from components import *

given = json.loads(Path("given.json").read_text())
user = CacheUser(arn=given["user"], name="shop", access_string="on ~* +@all", group_arn=given["group"])
function = RotationFunction(
    "rotation",
    RotationFunctionArgs(
        secret_names=["shop-user", "shop-token"],
        cache_arns=[given["user"], given["group"], given["tokens"]],
        certificate_authorities=given["authorities"],
    ),
)
caches = {
    "shop-user": Cache(host="localhost", port=given["user_port"]),
    "shop-token": Cache(host="localhost", port=given["token_port"], replication_group_arn=given["tokens"]),
}
for name, cache in caches.items():
    CacheLogin(
        name,
        CacheLoginArgs(
            secret=SecretArgs(secret_name=name),
            cache=cache,
            user=user if name == "shop-user" else None,
            function=function,
            schedule=Schedule(automatically_after_days=30),
        ),
    )
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("caches")
    with running_emulator(None) as emulator:
        environment = {
            **stack_environment(folder, emulator.endpoint),
            "XDG_CACHE_HOME": str(Path(__file__).parents[2] / ".local" / "library-cache"),
        }
        yield new_stack(folder / "project", environment, emulator.endpoint)


def rotated(stack: Stack, name: str) -> dict[str, str]:
    """Rotate, wait for the end, and return the new value."""
    client, version = stack.client(), None
    ends = time.monotonic() + 60
    while version is None:
        try:
            version = client.rotate_secret(SecretId=name)["VersionId"]
        except client.exceptions.InvalidRequestException:  # the test at the attachment is under way
            assert time.monotonic() < ends
            time.sleep(0.1)
    while client.describe_secret(SecretId=name)["VersionIdsToStages"].get(version) != ["AWSCURRENT"]:
        assert time.monotonic() < ends, stack.function_log()
        time.sleep(0.05)
    return stack.value(name)


def test_cache_logins_work_after_up_and_rotate_within_the_declared_permissions(
    stack: Stack, redis_server: RedisServer, valkey_server: RedisServer
) -> None:
    """IAM is enforced, and no password is in Pulumi's state or output."""
    caches = Caches(redis_server, stack.client(), stack.endpoint)
    tokens = Caches(valkey_server, stack.client(), stack.endpoint)
    caches.own("cache-changes", {"Seconds": 0.02})
    other, group = a_user(caches), a_group(tokens)
    prefix, [users] = other.arn.partition(":user:")[0], other.describe()["UserGroupIds"]
    given = {
        "user": f"{prefix}:user:shop",
        "group": f"{prefix}:usergroup:{users}",
        "user_port": redis_server.port,
        "tokens": group.arn,
        "token_port": valkey_server.port,
        "authorities": redis_server.ca_file.read_text() + valkey_server.ca_file.read_text(),
    }
    (stack.folder / "given.json").write_text(json.dumps(given))
    (stack.folder / "__main__.py").unlink()
    (stack.folder / "__main__.py").write_text(PROGRAM)

    stack.up()
    known = {"shop-user": caches, "shop-token": tokens}
    seen = []
    for name, world in known.items():
        first = current(world, name)
        assert can_log_in(world, first)
        second = rotated(stack, name)
        assert can_log_in(world, first)
        assert can_log_in(world, second)
        seen += [first["password"], second["password"]]
    assert not can_log_in(tokens, None)
    assert stack.preview() == []
    shown = json.dumps(stack.state()) + (stack.folder / "events.json").read_text() + stack.function_log()
    assert len(set(seen)) == 4
    assert not [password for password in seen if password in shown]
