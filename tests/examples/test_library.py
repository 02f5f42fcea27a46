"""The library in another program: the wheel, its types, and examples/library on the local cloud."""

import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.support.databases import Database, new_database
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.library_install import ROOT, install_library, wheel
from tests.support.local_engine import stack_environment
from tools.localcloud.postgres import PostgresServer

LINES_OF_A_LOGIN = 15
_WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_library(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture
def database(server: PostgresServer, emulator: Emulator) -> Iterator[Database]:
    with new_database(server, emulator.endpoint) as database:
        yield database


def test_the_wheel_holds_the_components_and_needs_pulumi_alone() -> None:
    with zipfile.ZipFile(wheel()) as archive:
        names = archive.namelist()
        [about] = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(about))
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"pulumi_aws_secrets", about.partition("/")[0]}
    package = {name.partition("/")[2] for name in names}
    assert {"py.typed", "lambdas/requirements.txt", "lambdas/rotation/ca/rds.pem"} <= package
    assert {"lambdas/writer/handler.py", "provider/PulumiPlugin.yaml", "pulumi-plugin.json"} <= package
    requirements = [str(requirement) for requirement in metadata.get_all("Requires-Dist") or []]
    needed = [re.split("[<>=]", requirement)[0] for requirement in requirements]
    assert sorted(needed) == ["pulumi", "pulumi-aws", "pulumi-random"]


def test_the_engine_is_told_that_the_package_is_no_plugin() -> None:
    described = json.loads((ROOT / "components" / "pulumi-plugin.json").read_text())
    assert described["resource"] is False


def test_a_type_checker_sees_the_types(python: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from pulumi_aws_secrets import Random, Secret, SecretArgs\n"
        "Secret('app', SecretArgs(secret_name='app', values={'K': Random(length=8)})).grant_read('role')\n"
        "SecretArgs(secret_name='app', values={'K': 'text'})\n"
        "reveal_type(Random(length='8').length)\n"
    )
    # the thousands of modules of pulumi_aws would take half a minute, and say nothing about ours
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nfollow_imports=silent\n[mypy-pulumi_aws.*]\nfollow_imports=skip\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", f"--config-file={settings}"]
    options = ["--python-executable", str(python), "--cache-dir", str(tmp_path / "cache")]
    checked = subprocess.run(
        [*command, *options, str(program)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = [line for line in checked.stdout.splitlines() if line.startswith("program.py:")]
    assert [line.split(":")[1] for line in found] == ["3", "4", "4"], checked.stdout
    assert 'Revealed type is "int"' in checked.stdout or "builtins.int" in checked.stdout


def test_a_rotating_login_takes_fifteen_lines_at_most() -> None:
    text = (ROOT / "examples" / "library" / "__main__.py").read_text()
    start = text.index("login = PostgresLogin(")
    assert len(text[start : text.index("\n)\n", start)].splitlines()) + 1 <= LINES_OF_A_LOGIN


def test_the_example_deploys_a_login_that_rotates(
    python: Path, emulator: Emulator, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "library"
    shutil.copytree(ROOT / "examples" / "library", folder, ignore=shutil.ignore_patterns("venv"))
    (folder / "venv").symlink_to(python.parents[1])
    described = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    assert described["runtime"]["options"]["virtualenv"] == "venv"
    environment = stack_environment(tmp_path, emulator.endpoint, forked=False)
    environment["XDG_CACHE_HOME"] = str(ROOT / ".local" / "library-cache")

    def pulumi(*arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    pulumi("stack", "init", "test")
    for name, setting in database.configuration().items():
        pulumi("config", "set", "--plaintext", name, "--", setting)
    shown = pulumi("up", "--yes", "--skip-preview")
    client = _client("secretsmanager", emulator.endpoint)
    value = _value(client, "shop/database")
    _log_in(database, value)
    assert client.describe_secret(SecretId="shop/database")["RotationEnabled"]
    rotated = _rotated(client, "shop/database")
    assert rotated["username"] != value["username"]
    _log_in(database, rotated)
    _log_in(database, value)
    assert "unchanged" in pulumi("up", "--yes", "--skip-preview")
    assert _value(client, "shop/database") == rotated
    exported = pulumi("stack", "export")
    for secret in (value["password"], rotated["password"], _value(client, "shop/app")["SECRET_KEY_BASE"]):
        assert secret not in shown + exported
    pulumi("destroy", "--yes", "--skip-preview")


def _client(service: str, endpoint: str) -> Any:  # noqa: ANN401  untyped
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def _value(client: Any, name: str) -> dict[str, str]:  # noqa: ANN401  untyped
    found: dict[str, str] = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
    return found


def _rotated(client: Any, name: str) -> dict[str, str]:  # noqa: ANN401  untyped
    version, deadline = None, time.monotonic() + _WAIT_SECONDS
    while version is None:
        try:
            version = client.rotate_secret(SecretId=name)["VersionId"]
        except client.exceptions.InvalidRequestException:  # the test at the attachment is under way
            assert time.monotonic() < deadline
            time.sleep(0.1)
    while client.describe_secret(SecretId=name)["VersionIdsToStages"].get(version) != ["AWSCURRENT"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return _value(client, name)


def _log_in(database: Database, value: dict[str, str]) -> None:
    with database.connection(value["username"], value["password"]) as connection:
        assert connection.run("SELECT current_database()") == [["shop"]]
