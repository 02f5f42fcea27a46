"""ElastiCache and MemoryDB in front of a real server, and secrets of their users and tokens."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import boto3
import redis
from botocore.config import Config
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.lambdas.rotation.handler import handle
from tests.support.rotation_world import a_password, read, unique
from tests.support.secret_parts import remember
from tools.localcloud.servers.redis import RedisServer

Service = Literal["elasticache", "memorydb"]
ACCESS = "on ~* +@all"
OWNER_TAG = "aws-secrets:secret"


@dataclass(frozen=True)
class Caches:
    """A server, AWS in front of it, and the Secrets Manager with the secrets."""

    server: RedisServer
    secrets: Any
    endpoint: str

    def client(self, service: Service) -> Any:
        settings = Config(retries={"total_max_attempts": 1})
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=settings,
        )

    def own(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Call the emulator's own interface."""
        asked = urllib.request.Request(
            f"{self.endpoint}/_localcloud/{path}", data=json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(asked) as answer:
            found: dict[str, Any] = json.load(answer) if answer.length else {}
        return found

    def register(self, kind: str, identifier: str, **more: object) -> str:
        """Put a cache of AWS in front of the server; return its ARN."""
        described = {
            "Kind": kind,
            "Identifier": identifier,
            "Engine": self.server.engine,
            "Host": self.server.host,
            "Port": self.server.port,
            "CaFile": str(self.server.ca_file),
            "AdminUser": self.server.admin_user,
            "AdminPassword": self.server.admin_password,
        }
        arn: str = self.own("caches", {**described, **more})["Arn"]
        return arn


@dataclass(frozen=True)
class User:
    """A user in a group of its own, which a cache of its own has."""

    caches: Caches
    service: Service
    arn: str
    identifier: str
    name: str

    def describe(self) -> dict[str, Any]:
        client = self.caches.client(self.service)
        if self.service == "elasticache":
            found: dict[str, Any] = client.describe_users(UserId=self.identifier)["Users"][0]
        else:
            found = client.describe_users(UserName=self.identifier)["Users"][0]
        return found

    def settle(self) -> None:
        while self.describe()["Status"] != "active":
            time.sleep(0.01)

    def set_passwords(self, *passwords: str) -> None:
        """Change the passwords in AWS, as an administrator does."""
        for password in passwords:
            remember(password)
        mode = {"Type": "password", "Passwords": list(passwords)}
        client = self.caches.client(self.service)
        if self.service == "elasticache":
            client.modify_user(UserId=self.identifier, AuthenticationMode=mode)
        else:
            client.update_user(UserName=self.identifier, AuthenticationMode=mode)
        self.settle()

    def tag(self, value: str) -> None:
        tags = [{"Key": OWNER_TAG, "Value": value}]
        client = self.caches.client(self.service)
        if self.service == "elasticache":
            client.add_tags_to_resource(ResourceName=self.arn, Tags=tags)
        else:
            client.tag_resource(ResourceArn=self.arn, Tags=tags)

    def owner(self) -> str | None:
        client = self.caches.client(self.service)
        if self.service == "elasticache":
            found = client.list_tags_for_resource(ResourceName=self.arn)["TagList"]
        else:
            found = client.list_tags(ResourceArn=self.arn)["TagList"]
        return next((tag["Value"] for tag in found if tag["Key"] == OWNER_TAG), None)


def a_user(caches: Caches, service: Service = "elasticache", access: str = ACCESS) -> User:
    """Create a user with a password that nobody knows, and a cache that it can log in to."""
    return users(caches, 1, service, access)[0]


def users(caches: Caches, count: int, service: Service = "elasticache", access: str = ACCESS) -> list[User]:
    """Create users in one group."""
    client, group = caches.client(service), unique("group-")
    made = []
    for _ in range(count):
        name = unique("app-")
        password = a_password()
        if service == "elasticache":
            arn = client.create_user(
                UserId=f"id-{name}", UserName=name, Engine="valkey", Passwords=[password], AccessString=access
            )["ARN"]
            made.append(User(caches, service, arn, f"id-{name}", name))
        else:
            mode = {"Type": "password", "Passwords": [password]}
            arn = client.create_user(UserName=name, AuthenticationMode=mode, AccessString=access)["User"][
                "ARN"
            ]
            made.append(User(caches, service, arn, name, name))
    names = [user.identifier for user in made]
    if service == "elasticache":
        client.create_user_group(UserGroupId=group, Engine="valkey", UserIds=names)
        _await_group(client, group)
        caches.register("replication-group", unique("cache-"), Group=group)
    else:
        client.create_acl(ACLName=group, UserNames=names)
        while client.describe_acls(ACLName=group)["ACLs"][0]["Status"] != "active":
            time.sleep(0.01)
        caches.register("memorydb", unique("cache-"), Group=group)
    for user in made:
        user.settle()
    return made


def _await_group(client: Any, group: str) -> None:
    while client.describe_user_groups(UserGroupId=group)["UserGroups"][0]["Status"] != "active":
        time.sleep(0.01)


def put_user_secret(user: User, **fields: object) -> str:
    """Create a user's secret as a deployment does, without a password."""
    server = user.caches.server
    place = f"{server.host}:{server.port}"
    value = {
        "engine": server.engine,
        "host": server.host,
        "port": str(server.port),
        "username": user.name,
        "password": "",
        "REDIS_URL": f"rediss://{user.name}@{place}",
        **fields,
    }
    return put_secret(user.caches, value, "cache-user", user.arn)


def put_secret(caches: Caches, value: Mapping[str, object], kind: str, target: str) -> str:
    remember(value.get("password"))
    tags = {"aws-secrets:rotation": kind, "aws-secrets:rotation-cache": target}
    arn: str = caches.secrets.create_secret(
        Name=unique("secret"),
        SecretString=json.dumps(value),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )["ARN"]
    return arn


def provision_user(user: User, arn: str, **more: object) -> Mapping[str, Any]:
    request = {"Cache": {"service": user.service, "user": user.arn}, **more}
    return handle({"Action": "provision", "SecretId": arn, **request}) or {}


def a_cache_login(
    caches: Caches, service: Service = "elasticache", access: str = ACCESS, **fields: object
) -> tuple[User, str]:
    """Create a working login; return its user and its secret's ARN."""
    user = a_user(caches, service, access)
    return user, provisioned(user, **fields)


def provisioned(user: User, **fields: object) -> str:
    """Give a user's password to a secret, as a deployment does for a user that nobody uses."""
    arn = put_user_secret(user, **fields)
    user.tag(name_of(user.caches, arn))
    provision_user(user, arn)
    return arn


def name_of(caches: Caches, arn: str) -> str:
    name: str = caches.secrets.describe_secret(SecretId=arn)["Name"]
    return name


@dataclass(frozen=True)
class Group:
    """A replication group with AUTH tokens."""

    caches: Caches
    arn: str
    identifier: str

    def describe(self) -> dict[str, Any]:
        client = self.caches.client("elasticache")
        answer = client.describe_replication_groups(ReplicationGroupId=self.identifier)
        found: dict[str, Any] = answer["ReplicationGroups"][0]
        return found

    def change(self, token: str, strategy: str) -> None:
        """Change the tokens in AWS, as an administrator does."""
        remember(token)
        self.caches.client("elasticache").modify_replication_group(
            ReplicationGroupId=self.identifier,
            AuthToken=token,
            AuthTokenUpdateStrategy=strategy,
            ApplyImmediately=True,
        )
        while self.describe()["Status"] != "available":
            time.sleep(0.01)

    @property
    def tokens(self) -> int:
        """The number of its tokens."""
        with urllib.request.urlopen(f"{self.caches.endpoint}/_localcloud/caches") as answer:
            known = json.load(answer)["caches"]
        return next(int(one["AuthTokens"]) for one in known if one["Identifier"] == self.identifier)


def a_group(caches: Caches, **more: object) -> Group:
    """Create a replication group; without AuthToken it is open."""
    remember(more.get("AuthToken"))
    identifier = unique("tokens-")
    return Group(caches, caches.register("replication-group", identifier, **more), identifier)


def put_token_secret(group: Group, **fields: object) -> str:
    server = group.caches.server
    value = {
        "engine": server.engine,
        "host": server.host,
        "port": str(server.port),
        "password": "",
        "REDIS_URL": f"rediss://{server.host}:{server.port}",
        **fields,
    }
    return put_secret(group.caches, value, "auth-token", group.arn)


def provision_token(group: Group, arn: str) -> Mapping[str, Any]:
    request = {"Cache": {"service": "elasticache", "replicationGroup": group.arn}}
    return handle({"Action": "provision", "SecretId": arn, **request}) or {}


def a_token(caches: Caches, **fields: object) -> tuple[Group, str]:
    """Create a replication group whose token is in a secret."""
    group = a_group(caches)
    arn = put_token_secret(group, **fields)
    provision_token(group, arn)
    return group, arn


def connected(caches: Caches, fields: Mapping[str, Any] | None, url: str | None = None) -> "redis.Redis":
    """Connect as a workload does, without the code under test; `fields` None sends no password."""
    options: dict[str, Any] = {
        "ssl_ca_certs": str(caches.server.ca_file),
        "ssl_check_hostname": True,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": 30,
    }
    if url is not None:
        return redis.Redis.from_url(url, **options)
    credentials: dict[str, Any] = (
        {} if fields is None else {"username": fields.get("username"), "password": fields["password"]}
    )
    return redis.Redis(host=caches.server.host, port=caches.server.port, ssl=True, **credentials, **options)


def log_in(caches: Caches, fields: Mapping[str, Any] | None) -> None:
    with contextlib.closing(connected(caches, fields)) as client:
        assert client.ping()


def can_log_in(caches: Caches, fields: Mapping[str, Any] | None) -> bool:
    try:
        log_in(caches, fields)
    except redis.AuthenticationError:
        return False
    return True


def current(caches: Caches, arn: str) -> dict[str, Any]:
    return read(caches, arn)


@contextlib.contextmanager
def held(caches: Caches) -> Iterator[None]:
    """Let every change of AWS wait until the end."""
    caches.own("cache-changes", {"Held": True})
    try:
        yield
    finally:
        caches.own("cache-changes", {"Held": False})
