"""Secrets that become logins, with the server and the administrator that somebody vouches for."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from operations.adopt import adoption
from operations.adopt.login_functions import recognize
from operations.adopt.login_lookups import RdsServer
from operations.adopt.logins import Login, Logins, Options, Plain, Refused
from operations.adopt.model import (
    LiveRotation,
    LiveSecret,
    LoginFields,
    Origin,
    Origins,
    RotationFunction,
    Shape,
    SourceError,
)
from operations.adopt.value_shapes import login_fields
from operations.status.aws import Caller, Denied
from stack_file import StackFile
from tests.support.example_project import PROJECT_FILE

ACCOUNT = "123456789012"
ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
MASTER = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:rds!db-1-QwErTy"
OTHER = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:other-QwErTy"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rotate"
HOST = "shop.abc.us-east-1.rds.amazonaws.com"
HANDLER = "lambda_function.lambda_handler"
MULTI, SINGLE = (f"SecretsManagerRDSPostgreSQLRotation{users}User" for users in ("Multi", "Single"))
FIELDS = LoginFields(
    engine="postgres", host=HOST, port=5432, database="shop", username="app", admin_arn=MASTER
)
BOT = {
    "PRIMARY_USERNAME": "app",
    "ALTERNATE_USERNAME": "app_alt",
    "ADMIN_LOGIN_SECRET_ARN": MASTER,
    "GRANTS": '["GRANT SELECT ON t TO %s"]',
}
RDS = RdsServer(
    place="rdsInstance",
    identifier="shop",
    engine="postgres",
    port=5432,
    admin_arn=MASTER,
    master_username="root",
)


def live(login: LoginFields | None = FIELDS, **changes: Any) -> LiveSecret:  # noqa: ANN401  of the dataclass
    keys = dict.fromkeys(("engine", "host", "port", "dbname", "username", "password", "masterarn"))
    made = LiveSecret(
        arn=ARN,
        name="app",
        description="",
        tags={},
        kms_key=None,
        policy=None,
        replicas=(),
        rotation=LiveRotation(
            function_arn=FUNCTION,
            automatically_after_days=None,
            schedule_expression="rate(10 days)",
            duration="3h",
        ),
        current="v1",
        labels=["AWSCURRENT"],
        shape=Shape(content="keys", keys=keys) if login else None,
        login=login,
    )
    return replace(made, **changes)


def decide(
    secret: LiveSecret,
    origin: Origin | None = None,
    function: RotationFunction | Denied | None = None,
    server: RdsServer | Denied | None = RDS,
    **options: Any,  # noqa: ANN401  of the dataclass
) -> Login | Refused | Plain:
    """Decide about a secret whose function is AWS's for alternating users, unless said otherwise."""
    known = function or RotationFunction(arn=FUNCTION, handler=HANDLER, application=MULTI)
    logins = Logins(
        file=StackFile(),
        options=Options(read_keys=True, **options),
        functions={FUNCTION: known},
        servers=server if isinstance(server, Denied) else {HOST: server} if server else {},
        administrators=frozenset(options.get("administrators", ())),
    )
    return logins.of(secret, origin or Origin(arn=ARN, place="AWS"), secret.shape)


def refusal(*arguments: Any, **more: Any) -> str:  # noqa: ANN401  as above
    found = decide(*arguments, **more)
    assert isinstance(found, Refused), found
    return found.reason


def login(*arguments: Any, **more: Any) -> Login:  # noqa: ANN401  as above
    found = decide(*arguments, **more)
    assert isinstance(found, Login), found
    return found


def bot(**changes: str) -> RotationFunction:
    return RotationFunction(arn=FUNCTION, handler=HANDLER, variables={**BOT, **changes})


def test_a_hosted_login_becomes_one_with_its_server_schedule_and_length() -> None:
    found = login(live(), administrators=[MASTER])
    assert (found.database, found.server) == ("shop", {"rdsInstance": "shop", "outsideVpc": True})
    assert found.settings == {
        "username": "app",
        "database": "shop",
        "grants": "unchanged",
        "passwordLength": 32,
        "rotation": {"scheduleExpression": "rate(10 days)", "duration": "3h"},
    }
    clone = replace(FIELDS, username="app_clone")
    assert login(live(clone), administrators=[MASTER]).settings["username"] == "app"


def test_the_function_runs_where_the_former_one_has_run() -> None:
    function = RotationFunction(
        arn=FUNCTION,
        handler=HANDLER,
        application=MULTI,
        variables={"PASSWORD_LENGTH": "40"},
        subnet_ids=["subnet-2", "subnet-1"],
        security_group_ids=["sg-1"],
    )
    found = login(live(), function=function, administrators=[MASTER])
    assert found.server["vpc"] == {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]}
    assert "passwordLength" not in found.settings
    other = login(live(), function=function, server=None, administrators=[MASTER])
    assert other.server["host"] == HOST
    assert other.server["admin"] == {"secretArn": MASTER}
    unknown = Denied(action="lambda:GetFunctionConfiguration")
    tagged = live(tags={"aws-secrets:rotation": "postgres-alternating"})
    assert "network" in refusal(tagged, function=unknown, server=None, administrators=[MASTER])


def test_an_administrator_that_only_the_value_names_does_not_count() -> None:
    assert f"--administrator {MASTER}" in refusal(live())
    named = replace(FIELDS, admin_arn=OTHER)
    assert f"--administrator {OTHER}" in refusal(live(named), administrators=[MASTER])
    # not even RDS's own, as long as only the value says which server it is
    assert "only its value says" in refusal(live(replace(FIELDS, admin_arn=None)))


@pytest.mark.parametrize(
    "origin",
    [
        Origin(arn=ARN, place="module.app", login=FIELDS),
        Origin(arn=ARN, place="Secret", admin_arn=MASTER),
        # the server is declared, and RDS says who its master user is
        Origin(arn=ARN, place="module.app", login=replace(FIELDS, admin_arn=None)),
        Origin(arn=ARN, place="Secret", server="shop"),
    ],
)
def test_an_administrator_that_the_origin_names_counts(origin: Origin) -> None:
    assert login(live(), origin).server["rdsInstance"] == "shop"


def test_the_administrator_of_thoughtbots_function_counts() -> None:
    found = login(live(replace(FIELDS, admin_arn=None)), function=bot())
    assert found.settings["username"] == "app"
    notes = "\n".join(found.notes)
    assert 'REASSIGN OWNED BY "app_alt" TO "app_owner"' in notes
    assert "GRANT SELECT ON t TO %s" in notes
    assert "masterarn" in notes
    assert f"--administrator {OTHER}" in refusal(live(replace(FIELDS, admin_arn=OTHER)), function=bot())


def test_a_value_that_names_another_host_than_the_origin_is_refused() -> None:
    declared = Origin(arn=ARN, place="module.app", login=replace(FIELDS, host="elsewhere.example"))
    assert "another host than module.app declares" in refusal(live(), declared)
    attached = Origin(arn=ARN, place="Secret", server="elsewhere")
    assert "is attached to elsewhere" in refusal(live(), attached)


def test_thoughtbots_second_user_must_not_be_current() -> None:
    current = live(replace(FIELDS, username="app_alt"))
    assert "aws secretsmanager rotate-secret --secret-id app" in refusal(current, function=bot())
    assert "use --read-keys" in refusal(live(None), Origin(arn=ARN, place="m", login=FIELDS), function=bot())
    same = bot(ALTERNATE_USERNAME="app_clone")
    assert login(live(replace(FIELDS, username="app_clone")), function=same).settings["username"] == "app"


def test_a_single_user_stays_one_unless_it_is_to_alternate() -> None:
    function = RotationFunction(arn=FUNCTION, application=SINGLE)
    secret = live(replace(FIELDS, admin_arn=None))
    assert login(secret, function=function, administrators=[MASTER]).settings["users"] == "single"
    found = login(secret, function=function, administrators=[MASTER], alternating=True)
    assert "users" not in found.settings
    assert f"COMMENT ON ROLE \"app_clone\" IS 'aws-secrets:{ARN}'" in "\n".join(found.notes)


def test_a_login_without_any_administrator_is_refused() -> None:
    server = replace(RDS, admin_arn=None)
    secret = live(replace(FIELDS, admin_arn=None))
    assert "no administrator of its server is known" in refusal(secret, server=server)
    found = login(secret, server=server, administrators=[OTHER])
    assert found.server["admin"] == {"secretArn": OTHER}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_rotating": True}, "a rotation of it is pending"),
        ({"login": replace(FIELDS, port=6432)}, "port 6432, and RDS has 5432"),
        ({"login": replace(FIELDS, host=None)}, "use --read-keys"),
        ({"login": replace(FIELDS, username=None)}, "use --read-keys"),
        (
            {"shape": Shape(content="keys", keys={"password": None}, empty_keys=frozenset({"password"}))},
            "no password yet",
        ),
    ],
)
def test_a_login_that_cannot_be_taken_over_now_is_refused(changes: dict[str, Any], words: str) -> None:
    reason = refusal(live(**changes), administrators=[MASTER])
    assert words in reason
    assert "--keep-logins" in reason


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (replace(RDS, obstacle="it is a read replica"), "read replica"),
        (replace(RDS, engine="mysql"), "mysql"),
        (Denied(action="rds:DescribeDBInstances"), "AWS denies rds:DescribeDBInstances"),
    ],
)
def test_a_server_that_can_have_no_logins_is_refused(server: RdsServer | Denied, words: str) -> None:
    assert words in refusal(live(), server=server, administrators=[MASTER])


def remark(secret: LiveSecret, function: RotationFunction | Denied, **more: Any) -> str:  # noqa: ANN401
    found = decide(secret, function=function, **more)
    assert isinstance(found, Plain), found
    return found.remark


def test_a_secret_of_an_unknown_function_stays_a_plain_one() -> None:
    unknown = RotationFunction(arn=FUNCTION, handler="app.handle")
    assert f"{FUNCTION} is not one that this program knows" in remark(live(), unknown)
    denied = Denied(action="lambda:GetFunctionConfiguration")
    assert "AWS denies lambda:GetFunctionConfiguration" in remark(live(), denied)
    mysql = RotationFunction(arn=FUNCTION, application=MULTI.replace("PostgreSQL", "MySQL"))
    assert "PostgreSQL only" in remark(live(replace(FIELDS, engine=None)), mysql)
    assert "its engine is mysql" in remark(live(replace(FIELDS, engine="mysql")), unknown)
    assert remark(live(None), unknown) == ""
    assert remark(live(), RotationFunction(arn=FUNCTION, application=MULTI), keep=True) == ""


def test_an_administrators_secret_stays_a_plain_one() -> None:
    function = RotationFunction(arn=FUNCTION, application=SINGLE)
    assert "is an administrator's" in remark(live(replace(FIELDS, username="root")), function)
    assert "is an administrator's" in remark(live(), function, administrators=[ARN])
    admin = bot()
    words = remark(live(), replace(admin, variables={k: v for k, v in BOT.items() if "ADMIN" not in k}))
    assert 'ALTER ROLE "app_alt" CREATEROLE' in words


def test_awss_convention_tells_only_with_the_keys_and_its_settings() -> None:
    like_awss = RotationFunction(arn=FUNCTION, handler=HANDLER, has_endpoint=True)
    assert recognize(like_awss) is None
    single, alternating = (recognize(like_awss, names_admin=names) for names in (False, True))
    assert single is not None
    assert alternating is not None
    assert (single.kind, alternating.kind) == ("aws-single", "aws-alternating")
    assert recognize(replace(like_awss, has_endpoint=False), names_admin=True) is None


def test_a_login_of_another_stack_keeps_its_length_and_users() -> None:
    tags = {"aws-secrets:rotation": "postgres", "aws-secrets:rotation-length": "64"}
    found = login(live(tags=tags, rotation=None), administrators=[MASTER])
    assert found.settings["users"] == "single"
    assert found.settings["passwordLength"] == 64
    assert found.settings["rotation"] == {"enabled": False}
    assert "pulumi state delete" in "\n".join(found.notes)


def test_two_logins_of_a_server_share_its_entry() -> None:
    logins = Logins(
        file=StackFile(),
        options=Options(administrators=[MASTER]),
        functions={FUNCTION: RotationFunction(arn=FUNCTION, application=MULTI)},
        servers={HOST: RDS},
        administrators=frozenset(),
    )
    origin = Origin(arn=ARN, place="AWS")
    first = logins.of(live(), origin, None)
    second = logins.of(live(replace(FIELDS, username="two")), origin, None)
    assert isinstance(first, Login)
    assert isinstance(second, Login)
    assert (second.database, second.server) == (first.database, first.server)
    other = logins.of(
        live(replace(FIELDS, admin_arn=OTHER)), Origin(arn=ARN, place="m", admin_arn=OTHER), None
    )
    assert isinstance(other, Refused)
    assert "other logins of its server have" in other.reason


def test_what_a_value_says_of_a_login_never_includes_its_password() -> None:
    text = '{"username": "app", "password": "hunter2hunter2", "host": "hunter2hunter2", "port": "5432"}'
    found = login_fields(text)
    assert found == LoginFields(username="app", port=5432)
    assert "hunter2" not in repr(found)
    for other in ("[]", "1", "not JSON", '{"username": "app"}', '{"username": 1, "password": {}}'):
        assert login_fields(other) in {None, LoginFields()}


def test_a_login_for_a_server_of_an_included_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"username": "a", "database": "shop", "grants": "unchanged"}
    server = {"rdsInstance": "shop", "outsideVpc": True, "logins": {"a": settings}}
    texts = {
        "Pulumi.yaml": PROJECT_FILE,
        "Pulumi.dev.yaml": "config: {aws:region: us-east-1, aws-secrets:include: [declarations/db.yaml]}\n",
        "declarations/db.yaml": yaml.safe_dump({"databases": {"shop": server}}),
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    stack = adoption.stack_of(tmp_path, "dev", None)
    logins = Logins(
        file=stack.file,
        options=Options(administrators=[MASTER]),
        functions={FUNCTION: RotationFunction(arn=FUNCTION, application=MULTI)},
        servers={HOST: RDS},
        administrators=frozenset([MASTER]),
    )
    monkeypatch.setattr(adoption, "live_secrets", lambda *_, **__: {ARN: live()})
    monkeypatch.setattr(adoption, "_logins", lambda *_: logins)
    origins = Origins(secrets={ARN: Origin(arn=ARN, place="AWS")})
    caller = Caller(account_id=ACCOUNT, partition="aws", arn="")
    with pytest.raises(SourceError, match=r"shop is declared in declarations/db\.yaml"):
        adoption.plan(origins, stack, cast("Any", None), caller, logins.options)
    assert (tmp_path / "Pulumi.dev.yaml").read_text() == texts["Pulumi.dev.yaml"]
