"""A REDIS_URL keeps its form at a rotation; passwords and names that AWS and the function accept."""

import pytest

from components.lambdas.rotation import cache_aws, deadline
from components.lambdas.rotation.cache_authority import secret_name
from components.lambdas.rotation.cache_secret import (
    CacheLogin,
    is_acceptable,
    read_cache_login,
    with_password,
)
from components.lambdas.rotation.cache_session import place_of
from components.lambdas.rotation.errors import OperatorError

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:team/shop-AbCdEf"
USER = {"engine": "valkey", "host": "cache.example", "port": "6379", "username": "new user"}
TOKEN = {"engine": "redis", "host": "cache.example", "port": 6379}


@pytest.mark.parametrize(
    ("existing", "renewed"),
    [
        (None, "rediss://new%20user:p%26w@cache.example:6379"),
        ("", "rediss://new%20user:p%26w@cache.example:6379"),
        ("rediss://new%20user@ro:6380", "rediss://new%20user:p%26w@ro:6380"),
        ("rediss://new%20user:old@h:1/3?x=1#f", "rediss://new%20user:p%26w@h:1/3?x=1#f"),
        ("rediss://h", "rediss://new%20user:p%26w@h"),
        ("valkeys://new%20user:a:b@h", "valkeys://new%20user:p%26w@h"),
        ("rediss://other:theirs@h", "rediss://other:theirs@h"),
    ],
)
def test_only_user_and_password_of_a_url_are_renewed(existing: str | None, renewed: str) -> None:
    fields = {**USER, **({} if existing is None else {"REDIS_URL": existing})}
    assert with_password(fields, ARN, "p&w", token=False)["REDIS_URL"] == renewed
    reader = with_password({**USER, "REDIS_READER_URL": existing}, ARN, "p&w", token=False)
    assert reader["REDIS_READER_URL"] == renewed


def test_a_token_has_a_url_without_a_user() -> None:
    assert with_password(TOKEN, ARN, "p&w", token=True)["REDIS_URL"] == "rediss://:p%26w@cache.example:6379"
    known = {**TOKEN, "host": "::1", "REDIS_URL": "rediss://:old@h/0"}
    assert with_password(known, ARN, "p&w", token=True)["REDIS_URL"] == "rediss://:p%26w@h/0"
    assert (
        with_password({**TOKEN, "host": "::1"}, ARN, "p", token=True)["REDIS_URL"] == "rediss://:p@[::1]:6379"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"REDIS_URL": "cache.example:6379"}, "'REDIS_URL' is not a valid URL"),
        ({"engine": "memcached"}, "'engine' must be one of redis, valkey"),
        ({"host": ""}, "'host' is missing, empty"),
        ({"port": "0"}, "'port' must be a number"),
        ({"username": None}, "'username' is missing"),
        ({"password": 7}, "'password' is not a string"),
    ],
)
def test_a_key_that_cannot_work_is_named(changes: dict[str, object], message: str) -> None:
    fields = {**USER, **changes}
    with pytest.raises(OperatorError, match=message):
        (read_cache_login if "password" in changes else read_or_renew)(fields, ARN, token=False)


def read_or_renew(fields: dict[str, object], arn: str, *, token: bool) -> object:
    return with_password(fields, arn, "p", token=token)


def test_an_auth_token_has_no_user() -> None:
    with pytest.raises(OperatorError, match="Remove it"):
        read_cache_login(USER, ARN, token=True)


@pytest.mark.parametrize(
    ("password", "as_password", "as_token"),
    [
        ("a" * 16, True, True),
        ("a" * 128, True, True),
        ("a" * 15, False, False),
        ("a" * 129, False, False),
        ("!&#$^<>-" * 2, True, True),
        ("%:;=?[]{}|\\~`'()*+._", True, False),
        *((f"{'a' * 16}{character}", False, False) for character in ',"/@ \x7fé'),
    ],
)
def test_what_aws_accepts_as_a_password(password: str, as_password: bool, as_token: bool) -> None:
    def login(username: str | None) -> CacheLogin:
        return CacheLogin(host="h", port=1, username=username, password=password)

    assert is_acceptable(login("app")) is as_password
    assert is_acceptable(login(None)) is as_token


def test_a_login_shows_no_password() -> None:
    assert "hidden" not in repr(CacheLogin(host="h", port=1, username="app", password="hidden"))


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        ("arn:aws:elasticache:us-east-1:123456789012:user:shop", ("elasticache", "user", "shop")),
        ("arn:aws-cn:elasticache:cn-north-1:123456789012:usergroup:g-1", ("elasticache", "usergroup", "g-1")),
        (
            "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:r",
            ("elasticache", "replicationgroup", "r"),
        ),
        ("arn:aws:memorydb:us-east-1:123456789012:user/shop", ("memorydb", "user", "shop")),
        ("arn:aws:memorydb:us-east-1:123456789012:acl/shop", ("memorydb", "acl", "shop")),
    ],
)
def test_an_arn_names_its_service_kind_and_name(arn: str, expected: tuple[str, str, str]) -> None:
    target = cache_aws.parse_arn(arn)
    assert target is not None
    assert (target.service, target.kind, target.name) == expected


@pytest.mark.parametrize(
    "arn",
    [
        None,
        "",
        "shop",
        "arn:aws:elasticache:us-east-1:123456789012:user:*",
        "arn:aws:elasticache:us-east-1:123456789012:cluster:shop",
        "arn:aws:iam::123456789012:user/shop",
        "arn:aws:memorydb:us-east-1:123456789012:user/shop extra",
    ],
)
def test_other_arns_name_nothing(arn: str | None) -> None:
    assert cache_aws.parse_arn(arn) is None


def test_the_owner_of_a_user_is_a_secrets_name() -> None:
    assert secret_name(ARN) == "team/shop"
    assert secret_name("arn:aws:secretsmanager:us-east-1:123456789012:secret:a-b-AbCdEf") == "a-b"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("rediss://u@ro.example:6380/0", ("ro.example", 6380)),
        ("rediss://ro.example", ("ro.example", 6379)),
        ("rediss://h:port", None),
        ("", None),
        (7, None),
    ],
)
def test_the_place_of_a_reader(url: object, place: tuple[str, int] | None) -> None:
    assert place_of(url) == place


class Context:
    """Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def test_the_time_to_wait_ends_before_the_invocation_does() -> None:
    deadline.start(Context())
    assert 850 < deadline.seconds_left() < 890
    deadline.start(None)
    assert 0 < deadline.seconds_left() < 60
