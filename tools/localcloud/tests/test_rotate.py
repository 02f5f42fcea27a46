"""`make rotate`: every step is shown, the new password works on a real server, failures are explained."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.lambdas import build
from components.lambdas.rotation.protocol import SERVERS_VARIABLE, fingerprint
from tests.support.emulator_functions import ACCOUNT, call, client, deploy, until, zipped
from tests.support.emulator_process import Emulator
from tools.localcloud import postgres, rotate, rotation_progress
from tools.localcloud.__main__ import run
from tools.localcloud.certificates import make_authority
from tools.localcloud.down import down
from tools.localcloud.layout import Layout, SetupError, checkout
from tools.localcloud.new_password import prove
from tools.localcloud.postgres import PostgresServer
from tools.localcloud.tests.real_cloud import checkout_with_databases, emulator_of

# ruff: noqa: ANN401 -- boto3 has no types

# Renews one key. A file `fail-STEP` makes a step fail, `wait-STEP` holds it, `lie` spoils the new password.
GATED = """
import json, os, time
import boto3

def handle(event, context):
    client, folder = boto3.client("secretsmanager"), os.environ["FOLDER"]
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    def there(name):
        return os.path.exists(os.path.join(folder, name))
    while there(f"wait-{step}"):
        time.sleep(0.02)
    if there(f"fail-{step}"):
        raise RuntimeError("the door is shut\\nand the key is lost")
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    if step == "createSecret":
        value = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        if there("lie"):
            value["DATABASE_URL"] = value["DATABASE_URL"].replace("@", "wrong@")
        value["KEY"] = token
        client.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(value),
                                VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        client.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                           RemoveFromVersionId=current)
        client.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)
"""
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """Emulator and PostgreSQL, with the functions `rotation` (the real one) and `gated`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALCLOUD_PORT", "0")
        patch.setenv("LOCALCLOUD_ROTATION_TRIES", "2")
        patch.setenv("LOCALCLOUD_ROTATION_RETRY_SECONDS", "0.05")
        made = checkout_with_databases(tmp_path_factory.mktemp("rotate") / "a checkout")
        try:
            assert run("start", made) == 0
            yield made
        finally:
            down(made)


@pytest.fixture(scope="module")
def emulator(layout: Layout) -> Emulator:
    return emulator_of(layout)


@pytest.fixture(scope="module")
def server(layout: Layout) -> PostgresServer:
    found = postgres.running(layout.postgres)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def secrets(emulator: Emulator) -> Any:
    return client(emulator, "secretsmanager")


@pytest.fixture(scope="module")
def rotation(emulator: Emulator, server: PostgresServer, pytestconfig: pytest.Config) -> str:
    """The ARN of the real function."""
    assert pytestconfig.cache is not None
    packages = pytestconfig.cache.mkdir("functions") / "packages"
    archive = build.build(server.directory / "rotation.zip", packages)
    (instance,) = client(emulator, "rds").describe_db_instances()["DBInstances"]
    known = fingerprint(instance["MasterUserSecret"]["SecretArn"], server.host, server.port)
    variables = {"DATABASE_CA_FILE": str(server.ca_file), SERVERS_VARIABLE: known}
    return _deployed(emulator, "rotation", archive.path.read_bytes(), build.HANDLER, variables)


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def gated(emulator: Emulator, gates: Path) -> str:
    """ARN of the function that does as the files in `gates` say."""
    name = f"gated-{uuid.uuid4().hex[:8]}"
    return _deployed(emulator, name, zipped(GATED), "app.handle", {"FOLDER": str(gates)})


def _deployed(emulator: Emulator, name: str, archive: bytes, handler: str, variables: dict[str, str]) -> str:
    arn = deploy(emulator, name, archive, Handler=handler, Timeout=20, Environment={"Variables": variables})
    client(emulator, "lambda").add_permission(
        FunctionName=name,
        StatementId="rotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=ACCOUNT,
    )
    return arn


def attach(secrets: Any, arn: str, function: str) -> None:
    secrets.rotate_secret(
        SecretId=arn,
        RotationLambdaARN=function,
        RotationRules={"AutomaticallyAfterDays": 30},
        RotateImmediately=False,
    )
    until(lambda: list(labels(secrets, arn).values()) == [["AWSCURRENT"]])


def labels(secrets: Any, arn: str) -> dict[str, list[str]]:
    return dict(secrets.describe_secret(SecretId=arn)["VersionIdsToStages"])


@pytest.fixture
def login(emulator: Emulator, server: PostgresServer, secrets: Any, rotation: str) -> Iterator[str]:
    """ARN of a rotating login whose two users take turns; its name is `NAME-database`."""
    user = f"app_{uuid.uuid4().hex[:8]}"
    (instance,) = client(emulator, "rds").describe_db_instances()["DBInstances"]
    fields = {
        "engine": "postgres",
        "host": server.host,
        "port": server.port,
        "dbname": "example",
        "username": user,
        "password": uuid.uuid4().hex,
        "masterarn": instance["MasterUserSecret"]["SecretArn"],
    }
    tags = [{"Key": "aws-secrets:rotation", "Value": "postgres-alternating"}]
    arn = secrets.create_secret(Name=f"{user}-database", SecretString=json.dumps(fields), Tags=tags)["ARN"]
    payload, answer = call(emulator, "rotation", {"Action": "provision", "SecretId": arn, "Grants": "owner"})
    assert "FunctionError" not in answer, payload
    attach(secrets, arn, rotation)
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def plain(secrets: Any, gated: str) -> Iterator[str]:
    """Return the ARN of a secret without a database, which the gated function rotates."""
    value = json.dumps({"KEY": "first-value", "OTHER": "unchanged-value"})
    arn = secrets.create_secret(Name=f"plain-{uuid.uuid4().hex[:8]}", SecretString=value)["ARN"]
    attach(secrets, arn, gated)
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def export(layout: Layout, *arns: str) -> None:
    """Write a state as the engine does, with outputs that hold these."""
    outputs = {"databases": {"example": {"logins": {arn[-13:]: {"arn": arn} for arn in arns}}}}
    resources = [{"type": "pulumi:pulumi:Stack", "outputs": outputs}]
    path = layout.state / ".pulumi" / "stacks" / "small" / "local.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


@pytest.fixture
def rotated(layout: Layout, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command, and return its exit code and output."""

    def command(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = run("rotate", layout, secret=arguments[0] if arguments else None)
        shown = capfd.readouterr()
        return code, shown.out + shown.err

    return command


Rotated = Callable[..., tuple[int, str]]


def open_when_followed(monkeypatch: pytest.MonkeyPatch, gate: Path) -> None:
    """Let a waiting step continue, but not before the command has seen it."""

    def follow(*arguments: Any) -> None:
        gate.unlink(missing_ok=True)
        rotation_progress.follow(*arguments)

    monkeypatch.setattr(rotate, "follow", follow)


def steps_of(said: str) -> list[str]:
    return [line.split()[0] for line in said.splitlines() if line.startswith("  ") and " done in " in line]


def name_of(arn: str) -> str:
    return arn.rpartition(":")[2][:-7]


def password(secrets: Any, arn: str) -> str:
    return str(json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])["password"])


def test_the_only_login_rotates_and_both_passwords_are_tested(
    layout: Layout,
    login: str,
    secrets: Any,
    rotated: Rotated,
) -> None:
    export(layout, login)
    user = name_of(login).removesuffix("-database")
    passwords = {password(secrets, login)}
    for now, before in ((f"{user}_clone", user), (user, f"{user}_clone")):
        code, said = rotated()
        assert code == 0, said
        assert steps_of(said) == STEPS
        version = secrets.get_secret_value(SecretId=login)["VersionId"]
        assert (
            f"Logged in as {now}, acting as {user}_owner, with the new password (version {version})" in said
        )
        assert (
            f"Logged in as {before}, acting as {user}_owner, with the previous password: it still works"
            in said
        )
        authority = said.rpartition("&sslrootcert=")[2].partition('"')[0]
        assert Path(authority).read_text().startswith("-----BEGIN CERTIFICATE-----")
        passwords.add(password(secrets, login))
        assert not any(secret in said for secret in passwords)
    assert len(passwords) == 3


def test_the_server_has_to_prove_who_it_is(
    login: str, secrets: Any, tmp_path: Path, rotated: Rotated
) -> None:
    assert rotated(login)[0] == 0
    stranger = tmp_path / "ca.pem"
    stranger.write_bytes(make_authority("somebody else").pem())
    token = secrets.get_secret_value(SecretId=login)["VersionId"]
    with pytest.raises(SetupError, match="certificate verify failed"):
        prove(secrets, login, token, {"postgres": stranger})


def test_a_new_password_that_does_not_work_is_an_error(
    login: str,
    secrets: Any,
    gated: str,
    gates: Path,
    rotated: Rotated,
) -> None:
    assert rotated(login)[0] == 0
    (gates / "lie").touch()
    secrets.rotate_secret(SecretId=login, RotationLambdaARN=gated, RotateImmediately=False)
    until(lambda: "AWSPENDING" not in str(labels(secrets, login)))
    code, said = rotated(login)
    assert code == 1
    assert "rejects app_" in said
    assert "password authentication failed" in said
    assert password(secrets, login) not in said


def test_a_secret_for_no_database_says_which_keys_are_new(
    layout: Layout, plain: str, rotated: Rotated
) -> None:
    export(layout, plain)
    code, said = rotated()
    assert code == 0, said
    assert steps_of(said) == STEPS
    assert "a new value of KEY (version" in said
    assert "-value" not in said


def test_of_several_secrets_one_has_to_be_named(
    layout: Layout, plain: str, login: str, rotated: Rotated
) -> None:
    export(layout, plain, login)
    code, said = rotated()
    assert code == 1
    for arn in (plain, login):
        assert f"make rotate SECRET={name_of(arn)}" in said
    assert rotated(name_of(plain))[0] == 0


def test_what_cannot_be_rotated_is_said_with_what_can(
    layout: Layout,
    plain: str,
    secrets: Any,
    rotated: Rotated,
) -> None:
    export(layout)
    assert "No secret of the stack rotates" in rotated()[1]
    export(layout, plain)
    code, said = rotated("no-such-secret")
    assert code == 1
    assert "The secret 'no-such-secret' does not exist" in said
    assert f"make rotate SECRET={name_of(plain)}" in said
    still = secrets.create_secret(Name=f"still-{uuid.uuid4().hex[:8]}", SecretString="{}")["Name"]
    code, said = rotated(still)
    assert code == 1
    assert f"'{still}' does not rotate" in said
    secrets.delete_secret(SecretId=still)
    assert "scheduled for deletion" in rotated(still)[1]


def test_a_rotation_in_progress_is_awaited_not_repeated(
    plain: str,
    secrets: Any,
    gates: Path,
    rotated: Rotated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (gates / "wait-setSecret").touch()
    token = secrets.rotate_secret(SecretId=plain)["VersionId"]
    open_when_followed(monkeypatch, gates / "wait-setSecret")
    code, said = rotated(plain)
    assert code == 0, said
    assert "already in progress; waiting for it" in said
    assert steps_of(said) == STEPS
    assert f"(version {token})" in said
    assert len(labels(secrets, plain)) == 2


def test_after_a_test_that_was_under_way_the_rotation_takes_place(
    plain: str,
    secrets: Any,
    gates: Path,
    rotated: Rotated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (gates / "wait-testSecret").touch()
    secrets.rotate_secret(SecretId=plain, RotateImmediately=False)
    open_when_followed(monkeypatch, gates / "wait-testSecret")
    code, said = rotated(plain)
    assert code == 0, said
    assert steps_of(said) == ["testSecret", *STEPS]


def test_a_failure_shows_the_functions_error_and_the_next_command_resumes(
    plain: str,
    secrets: Any,
    gates: Path,
    rotated: Rotated,
) -> None:
    (gates / "fail-setSecret").touch()
    code, said = rotated(plain)
    assert code == 1
    assert "(try 1): RuntimeError: the door is shut\n    and the key is lost" in said
    assert "(try 2): as before" in said
    assert "failed and was given up: RuntimeError: the door is shut" in said
    assert "aws logs tail /aws/lambda/gated-" in said
    assert "Traceback" not in said
    (gates / "fail-setSecret").unlink()
    pending = next(version for version, found in labels(secrets, plain).items() if "AWSPENDING" in found)
    code, said = rotated(plain)
    assert code == 0, said
    assert "was given up; resuming it" in said
    assert f"(version {pending})" in said
    assert steps_of(said) == STEPS
    assert "the door is shut" not in said


def test_a_slow_rotation_continues_and_can_be_awaited_again(
    plain: str, gates: Path, rotated: Rotated, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gates / "wait-testSecret").touch()
    monkeypatch.setenv("LOCALCLOUD_ROTATE_SECONDS", "0.5")
    code, said = rotated(plain)
    assert code == 1
    assert "has not finished after 0.5 s" in said
    assert said.splitlines()[3] == "  testSecret   "
    (gates / "wait-testSecret").unlink()
    monkeypatch.setenv("LOCALCLOUD_ROTATE_SECONDS", "20")
    assert rotated(plain)[0] == 0


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_limit_that_is_none_is_refused(
    rotated: Rotated, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("LOCALCLOUD_ROTATE_SECONDS", text)
    code, said = rotated("any")
    assert code == 1
    assert "LOCALCLOUD_ROTATE_SECONDS is" in said


def test_a_rotation_that_is_cancelled_meanwhile_is_told(
    plain: str,
    secrets: Any,
    gates: Path,
    rotated: Rotated,
) -> None:
    (gates / "wait-setSecret").touch()
    before = secrets.get_secret_value(SecretId=plain)["VersionId"]

    def cancel() -> None:
        until(lambda: "AWSPENDING" in str(labels(secrets, plain)))
        secrets.cancel_rotate_secret(SecretId=plain)

    with ThreadPoolExecutor(1) as pool:
        cancelled: Future[None] = pool.submit(cancel)
        code, said = rotated(plain)
        cancelled.result()
    (gates / "wait-setSecret").unlink()
    assert code == 1
    assert "was cancelled" in said
    assert secrets.get_secret_value(SecretId=plain)["VersionId"] == before


def test_a_function_that_is_gone_is_named(
    plain: str, emulator: Emulator, gated: str, rotated: Rotated
) -> None:
    client(emulator, "lambda").delete_function(FunctionName=gated)
    code, said = rotated(plain)
    assert code == 1
    assert "cannot invoke" in said
    assert "does not exist" in said
    assert gated.rpartition(":")[2] in said


def test_a_stopped_service_is_reported_with_its_start_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_PORT", "0")
    layout = checkout_with_databases(tmp_path / "another checkout")
    try:
        assert run("rotate", layout) == 1
        assert "Run `make up`" in capfd.readouterr().err
        assert run("start", layout) == 0
        postgres.stop(layout.postgres)
        assert run("rotate", layout) == 1
        assert "PostgreSQL is not running. Run `make start`" in capfd.readouterr().err
        assert run("stop", layout) == 0
        assert run("rotate", layout) == 1
        assert "The local cloud is not running. Run `make start`" in capfd.readouterr().err
    finally:
        down(layout)


def test_make_ignores_a_secret_or_stack_in_the_environment() -> None:
    def recipe(*arguments: str) -> str:
        done = subprocess.run(
            ["make", "--dry-run", "rotate", *arguments],
            cwd=checkout().root,
            env=os.environ | {"SECRET": "made-up-password", "STACK": "production"},
            capture_output=True,
            text=True,
            check=True,
        )
        return " ".join(done.stdout.strip().splitlines()[-1].split())

    assert recipe().endswith("localcloud rotate")
    assert recipe("SECRET=a name").endswith('localcloud rotate "$SECRET"')
    assert recipe("STACK=engines").endswith('localcloud rotate --stack "$STACK"')
