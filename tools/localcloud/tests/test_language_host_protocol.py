"""The language host's answers, asked directly over gRPC."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from tools.localcloud.layout import checkout

Stub = language_pb2_grpc.LanguageRuntimeStub
HOST = checkout().root / "tools" / "localcloud" / "language_host.py"


@pytest.fixture
def host() -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [sys.executable, "-P", str(HOST), "/no/executor", "--tracing", "none", "127.0.0.1:1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def stub(host: "subprocess.Popen[str]") -> Iterator[Stub]:
    port = host.stdout.readline() if host.stdout else ""
    with grpc.insecure_channel(f"127.0.0.1:{int(port)}") as channel:
        yield Stub(channel)


def program(folder: Path, **options: str) -> language_pb2.ProgramInfo:
    info = language_pb2.ProgramInfo(
        root_directory=str(folder), program_directory=str(folder), entry_point="."
    )
    info.options.update(options)
    return info


def install(environment: Path, name: str, described: dict[str, Any] | None, requires: str = "") -> None:
    """Put a distribution into a virtual environment as pip would leave it."""
    site = environment / "lib" / "python3.11" / "site-packages"
    metadata = site / f"{name.replace('-', '_')}-1.2.3.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    required = f"Requires-Dist: {requires}\n" if requires else ""
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n{required}")
    if described is not None:
        package = site / name.replace("-", "_")
        package.mkdir()
        (package / "pulumi-plugin.json").write_text(json.dumps(described))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with packages of every kind."""
    made = tmp_path / "env"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "python").symlink_to(sys.executable)
    install(made, "pulumi-aws", {"resource": True, "name": "aws", "version": "7.51.1"}, "pulumi-library<2")
    install(made, "pulumi-unversioned", {"resource": True, "server": "https://example.org"})
    install(made, "pulumi-library", {"resource": False, "name": "library"})
    install(made, "pulumi-policy", None)
    install(made, "other", {"resource": True, "name": "other", "version": "1.0.0"})
    return made


def test_required_plugins_are_what_installed_packages_ask_for(
    stub: Stub, tmp_path: Path, environment: Path
) -> None:
    request = language_pb2.GetRequiredPackagesRequest(info=program(tmp_path, virtualenv=environment.name))
    packages = stub.GetRequiredPackages(request).packages
    assert [(package.name, package.kind, package.version, package.server) for package in packages] == [
        ("aws", "resource", "v7.51.1", ""),
        ("unversioned", "resource", "v1.2.3", "https://example.org"),
    ]


def test_dependencies_leave_out_what_others_require_unless_all_are_asked_for(
    stub: Stub, tmp_path: Path, environment: Path
) -> None:
    info = program(tmp_path, virtualenv=environment.name)
    direct = stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest(info=info))
    every = stub.GetProgramDependencies(
        language_pb2.GetProgramDependenciesRequest(info=info, transitiveDependencies=True)
    )
    names = {found.name for found in every.dependencies}
    assert names == {"pulumi-aws", "pulumi-unversioned", "pulumi-library", "pulumi-policy", "other"}
    assert names - {found.name for found in direct.dependencies} == {"pulumi-library"}


def test_about_names_the_interpreter_of_the_virtual_environment(
    stub: Stub, tmp_path: Path, environment: Path
) -> None:
    about = stub.About(language_pb2.AboutRequest(info=program(tmp_path, virtualenv=environment.name)))
    assert about.executable == str(environment / "bin" / "python")
    assert about.version.startswith("3.")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"virtualenv": "absent"}, "not a virtual environment"), ({"toolchain": "poetry"}, "supports only pip")],
)
def test_a_project_that_cannot_run_is_refused_with_the_reason(
    stub: Stub, tmp_path: Path, options: dict[str, str], words: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(info=program(tmp_path, **options)))
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert words in refused.value.details()


def test_installing_creates_the_virtual_environment_and_shows_what_pip_says(
    stub: Stub, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("./absent-package\n")
    stream = stub.InstallDependencies(
        language_pb2.InstallDependenciesRequest(info=program(tmp_path, virtualenv="made"))
    )
    shown: list[bytes] = []
    with pytest.raises(grpc.RpcError) as failed:
        shown.extend(part.stdout for part in stream)
    assert any(b"absent-package" in line for line in shown)
    assert "pip install" in failed.value.details()
    assert (tmp_path / "made" / "bin" / "python").exists()


def test_a_plugin_runs_with_its_output_and_exit_code_passed_on(stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(
        "import os, sys\nprint(sys.argv[1], os.environ['GIVEN'])\n"
        "print('wrong', file=sys.stderr)\nsys.exit(3)\n"
    )
    request = language_pb2.RunPluginRequest(
        info=program(tmp_path), pwd=str(tmp_path), args=["engine"], env=["GIVEN=a=b"]
    )
    answers = list(stub.RunPlugin(request))
    assert b"".join(answer.stdout for answer in answers) == b"engine a=b\n"
    assert b"".join(answer.stderr for answer in answers) == b"wrong\n"
    assert answers[-1].exitcode == 3


def test_what_is_not_served_is_said_to_be_unimplemented(stub: Stub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.GenerateProgram(language_pb2.GenerateProgramRequest())
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_it_ends_when_the_engine_is_gone(host: "subprocess.Popen[str]", stub: Stub) -> None:
    assert stub
    assert host.stdin
    host.stdin.close()
    assert host.wait(timeout=60) == 0


def test_a_configuration_beyond_the_os_limit_is_reported(stub: Stub, environment: Path) -> None:
    request = language_pb2.RunRequest(
        stack="prod",
        config={"app:secrets": "x" * 200 * 1024},
        info=program(environment.parent, virtualenv="env"),
        pwd=str(environment.parent),
    )
    with pytest.raises(grpc.RpcError) as raised:
        stub.Run(request)
    assert "configuration of stack prod takes 200 KiB" in raised.value.details()
    assert "divide it among several stacks" in raised.value.details()
