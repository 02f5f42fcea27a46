"""The components in programs of other languages, deployed with the real engine on the local cloud."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pg8000.native
import pytest
import yaml

from tests.languages import hosts
from tests.support.databases import Database, new_database
from tests.support.emulator_process import Emulator, running_emulator
from tests.support.library_install import ROOT, install_library
from tests.support.local_engine import stack_environment
from tools.localcloud.postgres import PostgresServer

pytestmark = pytest.mark.skipif(
    not hosts.FETCH, reason="builds language hosts and fetches packages: make test-languages"
)


@dataclass(frozen=True)
class Project:
    folder: Path
    environment: dict[str, str]
    endpoint: str

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def configure(self, **values: str) -> None:
        for name, value in values.items():
            self.pulumi("config", "set", "--plaintext", name, "--", value)

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json"))
        return found

    def value(self, name: str) -> dict[str, Any]:
        client = boto3.client(
            "secretsmanager",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        found: dict[str, Any] = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
        return found


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The component provider as `pulumi install` leaves it, from the wheel."""
    folder = tmp_path_factory.mktemp("provider") / "provider"
    shutil.copytree(ROOT / "components" / "provider", folder, ignore=shutil.ignore_patterns("venv"))
    install_library(folder / "venv")
    (folder / "requirements.txt").write_text("pulumi-aws-secrets\n")  # in place of the checkout's path
    return folder


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An account of its own: the examples have a secret of the same name, which AWS reserves for 30 days."""
    with running_emulator(None) as emulator:
        yield emulator


@pytest.fixture
def project(request: pytest.FixtureRequest, provider: Path, emulator: Emulator, tmp_path: Path) -> Project:
    """An example's folder, with the provider, and a stack that is not deployed."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / request.param, folder, ignore=shutil.ignore_patterns("node_modules"))
    file = folder / "Pulumi.yaml"
    described = yaml.safe_load(file.read_text())
    described["packages"]["aws-secrets"] = str(provider)
    file.write_text(yaml.safe_dump(described))
    environment = stack_environment(tmp_path, emulator.endpoint, forked=False)
    commands = hosts.commands(tmp_path / "bin")
    environment |= {
        "PATH": f"{commands}:{environment['PATH']}",
        "XDG_CACHE_HOME": str(ROOT / ".local" / "library-cache"),
    }
    made = Project(folder, environment, emulator.endpoint)
    made.pulumi("stack", "init", "test")
    return made


@pytest.fixture
def database(server: PostgresServer, emulator: Emulator) -> Iterator[Database]:
    with new_database(server, emulator.endpoint) as database:
        yield database


def destroy(project: Project) -> None:
    project.pulumi("destroy", "--yes", "--skip-preview")


@pytest.mark.parametrize("project", ["yaml"], indirect=True)
def test_a_yaml_program_deploys_a_secret_and_its_rotation(project: Project) -> None:
    shown = project.pulumi("preview") + project.pulumi("up", "--yes", "--skip-preview")
    value = project.value("shop/app")
    assert value.keys() == {"SECRET_KEY_BASE", "API_KEY", "LIMITS", "STRIPE_KEY", "SENTRY_DSN"}
    assert (value["LIMITS"], value["STRIPE_KEY"], value["SENTRY_DSN"]) == (
        {"requests": 100},
        "sk_test_example",
        "",
    )
    outputs = project.outputs()
    assert outputs["references"]["API_KEY"] == f"{outputs['arn']}:API_KEY::"
    for secret in (value["SECRET_KEY_BASE"], value["STRIPE_KEY"]):
        assert secret not in shown + project.pulumi("stack", "export")
    assert "unchanged" in project.pulumi("up", "--yes", "--skip-preview")
    assert project.value("shop/app") == value
    destroy(project)


@pytest.mark.parametrize("project", ["yaml"], indirect=True)
def test_an_input_that_cannot_work_is_one_line_of_error(project: Project) -> None:
    file = project.folder / "Pulumi.yaml"
    described = yaml.safe_load(file.read_text())
    described["resources"]["app"]["properties"]["recoveryWindowDays"] = 3
    file.write_text(yaml.safe_dump(described))
    shown = project.pulumi("preview", check=False)
    assert "recovery_window_days is 3: use 7 to 30, or 0 to delete at once" in shown
    assert "Traceback" not in shown
    assert "provider/hosted.py" not in shown


@pytest.mark.parametrize("project", ["typescript"], indirect=True)
def test_a_typescript_program_deploys_a_login_that_works(
    project: Project, provider: Path, database: Database
) -> None:
    project.pulumi("package", "gen-sdk", str(provider), "--language", "nodejs", "--out", "sdks")
    modules = project.folder / "node_modules"
    shutil.copytree(hosts.node_modules(), modules, symlinks=True)
    shutil.move(project.folder / "sdks" / "nodejs", modules / "@pulumi" / "aws-secrets")
    sdk = modules / "@pulumi" / "aws-secrets"
    subprocess.run([modules / ".bin" / "tsc"], cwd=sdk, check=True)
    shutil.copytree(sdk / "bin", sdk, dirs_exist_ok=True)
    for source in sdk.rglob("*.ts"):
        if not source.name.endswith(".d.ts"):
            source.unlink()
    subprocess.run([modules / ".bin" / "tsc", "--noEmit"], cwd=project.folder, check=True)
    project.configure(**database.configuration())
    preview = project.pulumi("preview")
    shown = preview + project.pulumi("up", "--yes", "--skip-preview")
    value = project.value("shop/database")
    with database.connection(value["username"], value["password"]) as connection:
        assert connection.run("SELECT current_database()") == [["shop"]]
    assert project.outputs()["roles"] == ["shop", "shop_clone", "shop_owner"]
    assert project.value("shop/app")["DATABASE_SECRET"] == project.outputs()["references"]["password"][:-11]
    assert value["password"] not in shown + project.pulumi("stack", "export")
    assert "unchanged" in project.pulumi("up", "--yes", "--skip-preview")
    with pytest.raises(pg8000.native.DatabaseError), database.connection(value["username"], "wrong"):
        pass
    destroy(project)
