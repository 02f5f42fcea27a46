"""Resources for databases and rotation, without an engine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from program.desired import rotation_function
from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, MASTER_KEY_ARN, Recording, Registered, run
from tests.unit.test_program import PASSWORD, SECRET, VERSION, example

FUNCTION = "aws:lambda/function:Function"
INVOCATION = "aws:lambda/invocation:Invocation"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
PERMISSION = "aws:lambda/permission:Permission"
ACCOUNT = "123456789012"
LOGIN = {"username": "app", "database": "shop"}
SERVER = {"host": "db.example", "outsideVpc": True, "admin": {"secretArn": MASTER_ARN}}


def one_database(
    login: Mapping[str, Any] | None = None,
    server: Mapping[str, Any] | None = None,
    secret_config: Mapping[str, str] | None = None,
    **stack_wide: object,
) -> Recording:
    database = {
        **(SERVER if server is None else server),
        "logins": {"app-database": {**LOGIN, **(login or {})}},
    }
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:databases": {"shop": database},
            **{f"aws-secrets:{key}": value for key, value in stack_wide.items()},
        },
        secret_config,
    )


def first_value(recording: Recording, name: str = "app-database") -> dict[str, str]:
    version = recording.only(VERSION, f"{name}-login-initial-version")
    value: dict[str, str] = json.loads(version.inputs["secretString"])
    return value


def event(recording: Recording, name: str = "app-database") -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(recording.only(INVOCATION, f"{name}-provisioning").inputs["input"])
    return sent


def statements(recording: Recording, name: str = "rotation") -> dict[str, dict[str, Any]]:
    document = json.loads(recording.only(ROLE_POLICY, f"{name}-policy").inputs["policy"])
    return {statement["Sid"]: statement for statement in document["Statement"]}


def names_before(recording: Recording, resource: Registered) -> set[str]:
    """Return the logical names of a resource's direct and indirect dependencies."""
    waits = {found.urn: found for found in recording.resources}
    names: set[str] = set()
    todo = list(resource.dependencies)
    while todo:
        found = waits.get(todo.pop())
        if found and found.name not in names:
            names.add(found.name)
            todo += found.dependencies
    return names


def test_the_initial_value_has_awss_standard_keys_and_a_url() -> None:
    value = first_value(one_database({"username": "the app/ü", "database": "a shop"}))
    assert value == {
        "engine": "postgres",
        "host": "db.example",
        "port": "5432",
        "dbname": "a shop",
        "username": "the app/ü",
        "password": "R" * 40,
        "masterarn": MASTER_ARN,
        "DATABASE_URL": f"postgres://the%20app%2F%C3%BC:{'R' * 40}@db.example:5432/a%20shop"
        "?sslmode=verify-full",
    }


def test_further_keys_are_added_to_the_logins() -> None:
    assert first_value(one_database({"values": {"POOL": {"value": "5"}}}))["POOL"] == "5"


def test_rotation_is_attached_after_everything_it_needs() -> None:
    recording = example()
    before = names_before(recording, recording.only(ROTATION))
    assert before >= {
        "rotation-permission",
        "rotation-policy",
        "rotation-function",
        "example-database-login-initial-version",
        "example-database-provisioning",
    }


def test_a_login_is_provisioned_after_value_and_permissions() -> None:
    recording = example()
    before = names_before(recording, recording.only(INVOCATION))
    assert before >= {"example-database-login-initial-version", "rotation-policy"}


def test_rotate_immediately_is_always_explicit() -> None:
    for asked in ({}, {"rotateImmediately": True}):
        inputs = one_database({"rotation": asked}).only(ROTATION).inputs
        assert inputs["rotateImmediately"] is bool(asked)


@pytest.mark.parametrize(
    ("declared", "rules"),
    [
        ({}, {"automaticallyAfterDays": 30}),
        ({"automaticallyAfterDays": 7, "duration": "3h"}, {"automaticallyAfterDays": 7, "duration": "3h"}),
        ({"scheduleExpression": "rate(10 days)"}, {"scheduleExpression": "rate(10 days)"}),
        ({"scheduleExpression": "cron(0 8 1 * ? *)"}, {"scheduleExpression": "cron(0 8 1 * ? *)"}),
    ],
)
def test_the_schedule_is_monthly_by_default(declared: dict[str, Any], rules: dict[str, Any]) -> None:
    assert one_database({"rotation": declared}).only(ROTATION).inputs["rotationRules"] == rules


def test_a_disabled_rotation_lacks_only_the_schedule() -> None:
    types = one_database({"rotation": {"enabled": False}}).types()
    assert ROTATION not in types
    assert INVOCATION in types


def test_the_role_has_access_only_to_its_functions_secrets() -> None:
    found = statements(example())
    assert found["RotateTheseSecrets"]["Resource"] == [
        f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:example-database-??????"
    ]
    assert found["LogInAsAdministrator"] == {
        "Sid": "LogInAsAdministrator",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": [MASTER_ARN],
    }
    keys = {found[sid]["Resource"] for sid in found if sid.startswith("UseKey")}
    assert keys == {"arn:aws:kms:us-east-1:123456789012:key/k", MASTER_KEY_ARN}
    assert all(
        found[sid]["Condition"]["StringEquals"]
        == {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
        for sid in found
        if sid.startswith("UseKey")
    )


@pytest.mark.parametrize("server", [SERVER, {"auroraCluster": "in-a-vpc"}])
def test_only_network_permissions_are_for_all_resources(server: dict[str, Any]) -> None:
    recording = one_database(server=server)
    policy = next(resource for resource in recording.resources if resource.type == ROLE_POLICY)
    wide = {
        statement["Sid"]
        for statement in json.loads(policy.inputs["policy"])["Statement"]
        if statement["Resource"] == "*"
    }
    assert wide == (
        {"LambdaAttachesItToTheNetwork", "ItsOwnCodeMayNot"} if "auroraCluster" in server else set()
    )


def test_a_key_alias_becomes_a_condition() -> None:
    alias = f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/shop"
    found = statements(one_database({"encryption": alias}))
    by_alias = next(
        statement
        for statement in found.values()
        if "ForAnyValue:StringEquals" in statement.get("Condition", {})
    )
    assert by_alias["Resource"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"
    assert by_alias["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/shop"}


def test_only_this_accounts_secrets_manager_invokes_the_function() -> None:
    inputs = example().only(PERMISSION).inputs
    assert (inputs["principal"], inputs["sourceAccount"]) == ("secretsmanager.amazonaws.com", ACCOUNT)


def test_a_clusters_endpoint_network_and_secret_are_looked_up() -> None:
    recording = one_database(server={"auroraCluster": "in-a-vpc"})
    value = first_value(recording)
    assert (value["engine"], value["host"], value["port"]) == (
        "aurora-postgresql",
        "in-a-vpc.rds.example",
        "5433",
    )
    assert value["masterarn"] == MASTER_ARN
    network = recording.only(FUNCTION).inputs["vpcConfig"]
    assert network == {"subnetIds": ["subnet-a", "subnet-b"], "securityGroupIds": ["sg-1"]}


def test_each_network_has_its_own_function() -> None:
    login = {"username": "app", "database": "shop"}
    recording = run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:databases": {
                "one": {**SERVER, "logins": {"a": login, "b": {**login, "username": "b"}}},
                "two": {"rdsInstance": "example-db", "logins": {"c": login}},
                "three": {"auroraCluster": "in-a-vpc", "logins": {"d": login}},
                "four": {
                    "host": "other.example",
                    "vpc": {"subnetIds": ["subnet-b", "subnet-a"], "securityGroupIds": ["sg-2"]},
                    "admin": {"secretArn": MASTER_ARN},
                    "logins": {"e": login},
                },
            },
        }
    )
    functions = [resource for resource in recording.resources if resource.type == FUNCTION]
    assert len(functions) == 2
    in_the_vpc = next(function for function in functions if function.inputs.get("vpcConfig"))
    assert in_the_vpc.inputs["vpcConfig"]["securityGroupIds"] == ["sg-1", "sg-2"]


def test_a_functions_name_ignores_the_order_of_subnets() -> None:
    one, other = rotation_function(["subnet-b", "subnet-a"]), rotation_function(["subnet-a", "subnet-b"])
    assert one == other != rotation_function(None)


def test_provisioning_passes_the_declared_settings() -> None:
    sent = event(one_database({"grants": "owner", "schemas": ["a", "b"], "ownerRole": "shop_owner"}))
    assert sent == {
        "Action": "provision",
        "SecretId": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-database-AbCdEf",
        "Username": "app",
        "OwnerRole": "shop_owner",
        "Grants": "owner",
        "Schemas": ["a", "b"],
        "Connection": {"host": "db.example", "port": "5432", "dbname": "shop", "masterarn": MASTER_ARN},
    }
    assert event(one_database())["Grants"] == "read-write"
    assert "CreateSchemas" not in event(one_database())
    assert event(one_database({"createSchemas": True}))["CreateSchemas"] is True
    assert event(one_database({"grantStatements": ["GRANT x TO {owner}"]}))["Grants"] == [
        "GRANT x TO {owner}"
    ]


@pytest.mark.parametrize(("users", "kind"), [("single", "postgres"), ("alternating", "postgres-alternating")])
def test_tags_describe_how_a_login_rotates(users: str, kind: str) -> None:
    recording = one_database({"users": users, "passwordLength": 64}, tags={"team": "a"})
    tags = recording.only(SECRET).inputs["tags"]
    assert tags == {"team": "a", "aws-secrets:rotation": kind, "aws-secrets:rotation-length": "64"}
    assert recording.only(PASSWORD).inputs["length"] == 64


def test_an_existing_login_keeps_its_password_and_needs_no_administrator() -> None:
    recording = one_database(
        {"users": "single", "password": {"config": "loginPassword"}},
        {"host": "db.example", "outsideVpc": True},
        {"aws-secrets:loginPassword": "it's the/one"},
        encryption="aws-managed",
    )
    assert PASSWORD not in recording.types()
    value = first_value(recording)
    assert "masterarn" not in value
    assert value["DATABASE_URL"].startswith("postgres://app:it%27s%20the%2Fone@")
    assert event(recording).keys() == {"Action", "SecretId", "Username", "Connection"}


def test_a_stacks_administrator_exists_before_its_logins() -> None:
    admin = {
        "secret": "shop-admin",
        "username": "root",
        "password": {"config": "adminPassword"},
        "rotation": {"automaticallyAfterDays": 60},
    }
    recording = one_database(
        None,
        {"host": "db.example", "outsideVpc": True, "admin": admin},
        {"aws-secrets:adminPassword": "known"},
    )
    assert first_value(recording, "shop-admin")["password"] == "known"
    assert first_value(recording)["masterarn"].endswith(":secret:shop-admin-AbCdEf")
    before = names_before(recording, recording.only(INVOCATION, "app-database-provisioning"))
    assert {"shop-admin-login-initial-version", "shop-admin-provisioning"} <= before
    rules = recording.only(ROTATION, "shop-admin-rotation-schedule").inputs["rotationRules"]
    assert rules == {"automaticallyAfterDays": 60}
    assert len(statements(recording)["RotateTheseSecrets"]["Resource"]) == 2


def test_tags_list_the_random_keys_to_rotate() -> None:
    recording = run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:encryption": "aws-managed",
            "aws-secrets:secrets": {
                "sessions": {
                    "values": {"A": {"random": {}}, "B": {"random": {}}, "C": {"value": "x"}},
                    "rotation": {"keys": ["A", "B"], "length": 32, "format": "hex"},
                }
            },
        }
    )
    assert recording.only(SECRET).inputs["tags"] == {
        "aws-secrets:rotation": "random-key",
        "aws-secrets:rotation-keys": "A B",
        "aws-secrets:rotation-length": "32",
        "aws-secrets:rotation-format": "hex",
    }
    assert recording.only(ROTATION).inputs["rotationRules"] == {"automaticallyAfterDays": 30}
    assert recording.only(FUNCTION).inputs["runtime"].startswith("python3")
    assert INVOCATION not in recording.types()


def test_a_random_keys_rotation_waits_for_the_function() -> None:
    secret = {"values": {"A": {"random": {}}}, "rotation": {"keys": ["A"]}}
    recording = run({"aws:region": "us-east-1", "aws-secrets:secrets": {"sessions": secret}})
    before = names_before(recording, recording.only(ROTATION))
    assert before >= {"rotation-permission", "rotation-policy", "sessions-initial-version"}


def test_an_operators_own_function_is_attached() -> None:
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:theirs"
    recording = run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": {
                "app": {"values": {"A": {"random": {}}}, "rotation": {"functionArn": arn}},
            },
        }
    )
    assert recording.only(ROTATION).inputs["rotationLambdaArn"] == arn
    assert FUNCTION not in recording.types()


def test_passwords_and_urls_are_secret_inputs() -> None:
    recording = one_database()
    for resource in recording.resources:
        assert "R" * 40 not in json.dumps(resource.visible_inputs), resource.name
        if resource.type == "aws-secrets:index:Secret":
            assert "R" * 40 not in json.dumps(resource.inputs), "a component does not keep what is generated"
    assert "R" * 40 not in json.dumps(recording.outputs["databases"])


def test_the_alarm_notifies_the_topic() -> None:
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:ops"
    recording = one_database(
        rotation={"alarmTopicArn": topic, "logRetentionDays": 14, "architecture": "x86_64"}
    )
    alarm = recording.only("aws:cloudwatch/metricAlarm:MetricAlarm").inputs
    assert alarm["alarmActions"] == [topic]
    assert alarm["dimensions"] == {"FunctionName": "rotation-function"}
    assert recording.only("aws:cloudwatch/logGroup:LogGroup").inputs["retentionInDays"] == 14
    assert recording.only(FUNCTION).inputs["architectures"] == ["x86_64"]


D = "aws-secrets:databases.shop"
L = f'{D}.logins["app-database"]'.replace('["app-database"]', ".app-database")


@pytest.mark.parametrize(
    ("login", "server", "path", "words"),
    [
        ({"username": "x" * 58}, None, L, "57 bytes"),
        ({"username": "x" * 64}, None, f"{L}.username", "63 bytes"),
        ({"username": "app_clone"}, None, L, 'Use "app"'),
        ({"username": "pg_app"}, None, f"{L}.username", "reserved"),
        ({"username": ""}, None, f"{L}.username", "0 bytes"),
        ({"users": "both"}, None, f"{L}.users", "'alternating' or 'single'"),
        ({"grants": "all"}, None, f"{L}.grants", "read-only"),
        ({"grants": "owner", "grantStatements": ["x"]}, None, L, "Remove one"),
        (
            {"grantStatements": ["GRANT x TO {lgoin}"]},
            None,
            f"{L}.grantStatements[0]",
            "unknown placeholder {lgoin}",
        ),
        ({"ownerRole": "o", "users": "single"}, None, L, "Remove ownerRole"),
        ({"ownerRole": "app"}, None, L, "ownerRole is one of the two users"),
        ({"values": {"password": {"random": {}}}}, None, L, "the login sets itself"),
        ({"passwordLength": 8}, None, f"{L}.passwordLength", "16 or more"),
        (
            {"rotation": {"automaticallyAfterDays": 0}},
            None,
            f"{L}.rotation.automaticallyAfterDays",
            "1 or more",
        ),
        (
            {"rotation": {"automaticallyAfterDays": 3, "scheduleExpression": "rate(10 days)"}},
            None,
            f"{L}.rotation",
            "Remove one",
        ),
        (
            {"rotation": {"scheduleExpression": "rate(1 hour)"}},
            None,
            f"{L}.rotation.scheduleExpression",
            "4 hours",
        ),
        (
            {"rotation": {"scheduleExpression": "cron(5 8 1 * ? *)"}},
            None,
            f"{L}.rotation.scheduleExpression",
            "minute 0",
        ),
        ({"rotation": {"duration": "30m"}}, None, f"{L}.rotation.duration", '"1h" to "24h"'),
        (
            {"rotation": {"maxDeferrals": 2}},
            None,
            f"{L}.rotation",
            "set whileOldPasswordIsUsed: defer",
        ),
        (
            {"rotation": {"whileOldPasswordIsUsed": "wait", "maxDeferrals": 2}},
            None,
            f"{L}.rotation",
            "set whileOldPasswordIsUsed: defer",
        ),
        (
            {"rotation": {"whileOldPasswordIsUsed": "defer", "maxDeferrals": 100}},
            None,
            f"{L}.rotation.maxDeferrals",
            "99",
        ),
        (
            {"rotation": {"whileOldPasswordIsUsed": "defer", "enabled": False}},
            None,
            f"{L}.rotation",
            "rotation is not enabled",
        ),
        (
            {"rotation": {"whileOldPasswordIsUsed": "defer"}, "users": "single"},
            None,
            D,
            "set users: alternating",
        ),
        ({"password": {"config": "nope"}}, None, f"{L}.password.config", "pulumi config set --secret nope"),
        ({}, {}, D, "exactly one of rdsInstance"),
        ({}, {"host": "db.example", "admin": {"secretArn": MASTER_ARN}}, D, "outsideVpc: true"),
        ({}, {"host": "db.example", "outsideVpc": True}, D, "no administrator to create the roles"),
        ({}, {**SERVER, "host": "db.example:5432"}, f"{D}.host", "without a port"),
        ({}, {**SERVER, "admin": {"secretArn": "shop-admin"}}, f"{D}.admin.secretArn", "six characters"),
        ({}, {**SERVER, "admin": {}}, f"{D}.admin", "secret, username and password"),
        ({}, {**SERVER, "admin": {"secret": "x"}}, f"{D}.admin", "secret, username and password"),
        ({}, {**SERVER, "certificateAuthorities": "nowhere.pem"}, f"{D}.certificateAuthorities", "PEM file"),
        (
            {},
            {**SERVER, "certificateAuthorities": "README.md"},
            f"{D}.certificateAuthorities",
            "only certificates",
        ),
        ({}, {"rdsInstance": "unmanaged"}, f"{D}.rdsInstance", "manage-master-user-password"),
        ({}, {"rdsInstance": "other-engine"}, f"{D}.rdsInstance", "its engine is mysql"),
        ({}, {"rdsInstance": "example-db", "port": 5432}, D, "Remove port"),
    ],
)
def test_a_mistake_in_a_database_has_path_and_remedy(
    login: dict[str, Any], server: dict[str, Any] | None, path: str, words: str
) -> None:
    recording = Recording()
    with pytest.raises(SettingsError) as raised:
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:databases": {
                    "shop": {
                        **(SERVER if server is None else server),
                        "logins": {"app-database": {**LOGIN, **login}},
                    }
                },
            },
            recording=recording,
        )
    found = {mistake.path: str(mistake) for mistake in raised.value.mistakes}
    assert path in found, found
    assert words in found[path]
    assert recording.resources == []


@pytest.mark.parametrize(
    ("structure", "path", "words"),
    [
        (
            {"secrets": {"app-database": {"values": {"K": {"value": ""}}}}},
            L,
            "aws-secrets:secrets.app-database has the same name",
        ),
        (
            {"secrets": {"app": {"values": {"K": {"value": ""}}, "rotation": {}}}},
            "aws-secrets:secrets.app.rotation",
            "keys and functionArn",
        ),
        (
            {"secrets": {"app": {"values": {"K": {"value": ""}}, "rotation": {"keys": ["X"]}}}},
            "aws-secrets:secrets.app",
            "Add X to values",
        ),
        ({"rotation": {"logRetentionDays": 31}}, "aws-secrets:rotation.logRetentionDays", "Use 30"),
        ({"rotation": {"alarmTopicArn": "ops"}}, "aws-secrets:rotation.alarmTopicArn", "arn:aws:sns:"),
    ],
)
def test_a_mistake_in_rotation_has_path_and_remedy(structure: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        one_database(**structure)
    found = {mistake.path: str(mistake) for mistake in raised.value.mistakes}
    assert path in found, found
    assert words in found[path]


def test_two_entries_for_one_server_cannot_share_a_role() -> None:
    def declare(second: dict[str, Any]) -> None:
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:databases": {
                    "shop": {**SERVER, "logins": {"one": LOGIN}},
                    "again": {**SERVER, **second, "logins": {"two": {**LOGIN, "database": "other"}}},
                },
            }
        )

    with pytest.raises(SettingsError, match=r"also that of aws-secrets:databases\.shop\.logins\.one"):
        declare({"host": "DB.Example", "port": 5432})
    declare({"host": "elsewhere.example"})
    declare({"port": 5433})


def test_two_logins_with_one_role_are_rejected() -> None:
    with pytest.raises(SettingsError, match='one and two have the same role, "app_clone"'):
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:databases": {
                    "shop": {
                        **SERVER,
                        "logins": {
                            "one": LOGIN,
                            "two": {**LOGIN, "username": "app_clone", "users": "single"},
                        },
                    }
                },
            }
        )


def test_a_ca_file_with_a_private_key_is_rejected(
    tmp_path: Path,
) -> None:
    both = tmp_path / "both.pem"
    kinds = ("CERTIFICATE", "PRIVATE KEY")
    both.write_text("".join(f"-----BEGIN {kind}-----\n-----END {kind}-----\n" for kind in kinds))
    with pytest.raises(SettingsError, match="contains a private key"):
        one_database(server={**SERVER, "certificateAuthorities": str(both)})
