"""The deployed archive: reproducible, complete, and without unnecessary files."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from components.lambdas.build import Archive, build
from tests.support.engines import OVERLAPPING, Engine
from tests.support.rotation_world import STEPS, read, start_rotation

FUNCTIONS = Path(__file__).parents[2] / "components" / "lambdas"

# what AWS's runtime does with the archive, in a separate process
RUNTIME = """
import json, sys, time
started = time.perf_counter()
from rotation.handler import handle
assert handle.__code__.co_filename.startswith(sys.argv[1]), "not from the archive"
import pg8000, pymysql
for dependency in (pg8000, pymysql):
    assert dependency.__file__.startswith(sys.argv[1]), "not the vendored dependency"
for line in sys.stdin:
    handle(json.loads(line), None)
    print(time.perf_counter() - started)
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Archive:
    return build(tmp_path_factory.mktemp("archive") / "rotation.zip", request.config.cache.mkdir("functions"))


def test_two_checkouts_build_the_same_archive(archive: Archive, tmp_path: Path) -> None:
    checkout = tmp_path / "another checkout" / "functions"
    shutil.copytree(FUNCTIONS, checkout)
    for path in checkout.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    (checkout / "rotation" / "__pycache__").mkdir(exist_ok=True)
    (checkout / "rotation" / "__pycache__" / "steps.cpython-399.pyc").write_bytes(b"x")
    completed = subprocess.run(
        [
            sys.executable,
            checkout / "build.py",
            "--output",
            tmp_path / "out.zip",
            "--cache",
            tmp_path / "cache",
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
    )
    assert archive.sha256 in completed.stdout
    assert (tmp_path / "out.zip").read_bytes() == archive.path.read_bytes()


def test_the_archive_contains_no_bytecode_or_installer_metadata(archive: Archive) -> None:
    with zipfile.ZipFile(archive.path) as packed:
        entries = packed.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert not [name for name in names if name.endswith((".pyc", "RECORD", "INSTALLER", "direct_url.json"))]
    assert {"rotation/handler.py", "rotation/ca/rds.pem", "pg8000/native.py", "scramp/core.py"} <= set(names)
    assert "pymysql/connections.py" in names
    assert not [name for name in names if name.startswith(("boto", "bin/", "tests"))]
    assert archive.size < 3_000_000


def test_building_again_changes_nothing(
    archive: Archive, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    again = build(tmp_path / "again.zip", request.config.cache.mkdir("functions"))
    assert (again.sha256, again.size) == (archive.sha256, archive.size)


@pytest.mark.parametrize("engine", OVERLAPPING, indirect=True)
def test_the_archive_rotates_a_secret_in_a_separate_process(
    engine: Engine, archive: Archive, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    code = tmp_path / "task"
    with zipfile.ZipFile(archive.path) as packed:
        packed.extractall(code)
    arn = engine.a_login()
    before = read(engine.world, arn)
    tokens = []
    figures: list[list[float]] = []
    for _ in range(2):
        token = start_rotation(engine.world, arn)
        tokens.append(token)
        events = [json.dumps({"Step": step, "SecretId": arn, "ClientRequestToken": token}) for step in STEPS]
        completed = subprocess.run(
            [sys.executable, "-c", RUNTIME, str(code)],
            check=True,
            input="\n".join(events),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(code)},
        )
        figures.append([float(line) for line in completed.stdout.split()])
    record_property("seconds after start of each step, and MiB", figures)
    after = read(engine.world, arn)
    assert after["password"] != before["password"]
    assert engine.can_log_in(after)
    assert engine.can_log_in(read(engine.world, arn, "AWSPREVIOUS"))
