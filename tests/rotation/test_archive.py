"""The archive that is deployed: the same everywhere, whole, and without what does not belong there."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.build import Archive, build
from tests.rotation.world import STEPS, World, a_login, can_log_in, read, start_rotation

FUNCTIONS = Path(__file__).parents[2] / "functions"

# what AWS's runtime does with the archive, in a process of its own
RUNTIME = """
import json, sys, time
started = time.perf_counter()
from rotation.handler import handle
assert handle.__code__.co_filename.startswith(sys.argv[1]), "not from the archive"
import pg8000
assert pg8000.__file__.startswith(sys.argv[1]), "not the vendored dependency"
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
    done = subprocess.run(
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
    assert archive.sha256 in done.stdout
    assert (tmp_path / "out.zip").read_bytes() == archive.path.read_bytes()


def test_the_archive_holds_neither_bytecode_nor_an_installers_notes(archive: Archive) -> None:
    with zipfile.ZipFile(archive.path) as packed:
        entries = packed.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert not [name for name in names if name.endswith((".pyc", "RECORD", "INSTALLER", "direct_url.json"))]
    assert {"rotation/handler.py", "rotation/ca/rds.pem", "pg8000/native.py", "scramp/core.py"} <= set(names)
    assert not [name for name in names if name.startswith(("boto", "bin/", "tests"))]
    assert archive.size < 3_000_000


def test_building_again_changes_nothing(
    archive: Archive, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    again = build(tmp_path / "again.zip", request.config.cache.mkdir("functions"))
    assert (again.sha256, again.size) == (archive.sha256, archive.size)


def test_the_archive_rotates_a_secret_in_a_process_of_its_own(
    world: World, archive: Archive, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    code = tmp_path / "task"
    with zipfile.ZipFile(archive.path) as packed:
        packed.extractall(code)
    arn = a_login(world)
    before = read(world, arn)
    tokens = []
    figures: list[list[float]] = []
    for _ in range(2):
        token = start_rotation(world, arn)
        tokens.append(token)
        events = [json.dumps({"Step": step, "SecretId": arn, "ClientRequestToken": token}) for step in STEPS]
        done = subprocess.run(
            [sys.executable, "-c", RUNTIME, str(code)],
            check=True,
            input="\n".join(events),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(code)},
        )
        figures.append([float(line) for line in done.stdout.split()])
    record_property("seconds after start of each step, and MiB", figures)
    after = read(world, arn)
    assert after["password"] != before["password"]
    assert can_log_in(world, after)
