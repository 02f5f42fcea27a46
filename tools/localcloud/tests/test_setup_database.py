"""PostgreSQL next to the emulator: its port never changes, and it recovers from interruptions."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pg8000.exceptions
import pg8000.native
import pytest

from tests.support.emulator_functions import client
from tools.localcloud import postgres
from tools.localcloud.__main__ import run
from tools.localcloud.database import DATABASE, start_database
from tools.localcloud.down import down
from tools.localcloud.emulator_control import command_line, running_emulator
from tools.localcloud.environment import local_variables
from tools.localcloud.layout import Layout, SetupError, checkout
from tools.localcloud.postgres import PostgresServer
from tools.localcloud.postgres_process import read_cluster
from tools.localcloud.tests.real_cloud import checkout_with_databases, emulator_of


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    monkeypatch.setenv("LOCALCLOUD_PORT", "0")
    made = checkout_with_databases(tmp_path / "a checkout")
    yield made
    down(made)


def server_of(layout: Layout) -> PostgresServer:
    found = postgres.running(layout.postgres)
    assert found is not None
    return found


def ask(server: PostgresServer, *statements: str, user: str = "", password: str = "") -> list[list[object]]:
    """Return the answer to the last statement, asked by the administrator or by somebody else."""
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with pg8000.native.Connection(
        user or server.admin_user,
        server.host,
        DATABASE,
        server.port,
        password or server.admin_password,
        ssl_context=context,
    ) as connection:
        answers = [connection.run(statement) for statement in statements]
        return list(answers[-1] or [])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while command_line(pid):
        time.sleep(0.01)


def test_start_runs_both_and_rds_leads_to_the_real_server(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("start", layout) == 0
    server, emulator = server_of(layout), emulator_of(layout)
    said = capsys.readouterr().out
    assert f"at localhost:{server.port}" in said
    (instance,) = client(emulator, "rds").describe_db_instances(DBInstanceIdentifier="example-db")[
        "DBInstances"
    ]
    assert (instance["Endpoint"]["Address"], instance["Endpoint"]["Port"]) == (server.host, server.port)
    master = client(emulator, "secretsmanager").get_secret_value(
        SecretId=instance["MasterUserSecret"]["SecretArn"]
    )
    login = json.loads(master["SecretString"])
    assert ask(server, "SELECT 1", user=login["username"], password=login["password"]) == [[1]]
    # what clients need is brought by the workloads contract, and must not come from this shell
    assert not [name for name in local_variables(layout, emulator.port) if name.startswith("PG")]
    assert server.admin_password not in said + emulator.log.read_text() + server.log_file.read_text()
    assert server.admin_password not in " ".join(command_line(emulator.pid) + command_line(server.pid))
    assert run("start", layout) == 0
    assert (server_of(layout), emulator_of(layout)) == (server, emulator)


def test_stop_and_start_keep_data_and_port(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("start", layout) == 0
    before = server_of(layout)
    master = _master_version(layout)
    ask(before, "CREATE TABLE kept (name text)", "INSERT INTO kept VALUES ('here')")
    assert run("stop", layout) == 0
    assert postgres.running(layout.postgres) is None
    assert running_emulator(layout) is None
    assert run("stop", layout) == 0
    assert "was not running" in capsys.readouterr().out
    assert run("start", layout) == 0
    after = server_of(layout)
    assert (after.port, after.admin_password) == (before.port, before.admin_password)
    assert ask(after, "SELECT name FROM kept") == [["here"]]
    assert _master_version(layout) == master


def _master_version(layout: Layout) -> str:
    emulator = emulator_of(layout)
    (instance,) = client(emulator, "rds").describe_db_instances()["DBInstances"]
    arn = instance["MasterUserSecret"]["SecretArn"]
    return str(client(emulator, "secretsmanager").get_secret_value(SecretId=arn)["VersionId"])


def test_a_server_killed_from_outside_is_started_again_on_its_port(layout: Layout) -> None:
    before = start_database(layout)
    for _ in range(3):
        kill(server_of(layout).pid)
        after = start_database(layout)
        assert (after.port, ask(after, "SELECT 1")) == (before.port, [[1]])


def test_another_process_in_the_pid_file_is_left_alone(layout: Layout) -> None:
    before = start_database(layout)
    cluster = read_cluster(layout.postgres)
    assert cluster is not None
    pid_file = Path(cluster.data, "postmaster.pid")
    noted = pid_file.read_text()
    kill(before.pid)
    with subprocess.Popen(postgres._as_server(["sleep", "60"])) as stranger:
        # As after a restart of the machine: somebody else, of the same user, has that number now.
        pid_file.write_text(noted.replace(str(before.pid), str(stranger.pid)))
        assert not postgres.stop(layout.postgres)
        assert start_database(layout).port == before.port
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_is_still_starting_is_waited_for(layout: Layout) -> None:
    server = start_database(layout)
    cluster = read_cluster(layout.postgres)
    assert cluster is not None
    pid_file = Path(cluster.data, "postmaster.pid")
    ready = pid_file.read_text()
    # What it says of itself before it takes connections.
    pid_file.write_text(ready.replace("ready", "starting"))
    assert postgres.running(layout.postgres) is None
    # at one stroke: a file that is empty for a moment would say that no server runs
    done = pid_file.with_name("postmaster.pid.done")
    done.write_text(ready)
    threading.Timer(0.5, done.replace, (pid_file,)).start()
    assert start_database(layout) == server


@pytest.mark.parametrize("stack_file", ["", "config: {}\n", "config:\n  aws-secrets:secrets: {}\n"])
def test_without_databases_in_the_stack_file_there_is_no_server(layout: Layout, stack_file: str) -> None:
    (layout.root / "Pulumi.local.yaml").write_text(stack_file)
    assert run("start", layout) == 0
    assert not layout.postgres.exists()


def test_an_invalid_stack_file_is_reported_without_its_content(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    (layout.root / "Pulumi.local.yaml").write_text("config:\n  key: [made-up\n")
    assert run("start", layout) == 1
    said = capsys.readouterr().err
    assert "Pulumi.local.yaml, line 3: not valid YAML" in said
    assert "made-up" not in said


def test_a_taken_port_is_an_error_not_another_port(layout: Layout) -> None:
    port = start_database(layout).port
    postgres.stop(layout.postgres)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(SetupError, match=f"Port {port} is in use by another program.*secrets"):
            start_database(layout)
    assert start_database(layout).port == port


def test_the_first_port_is_the_one_after_the_emulators(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("LOCALCLOUD_PORT", str(port - 1))
    assert start_database(layout).port == port


KILLED = """
import os, pathlib, signal, sys
from tools.localcloud import database, layout, postgres

module = {"database": database, "postgres": postgres}[sys.argv[2]]
real = getattr(module, sys.argv[3])

def fatal(*arguments, **options):
    if sys.argv[4] == "after":
        real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, sys.argv[3], fatal)
database.start_database(layout.Layout(pathlib.Path(sys.argv[1])))
"""


# In this order, and each leaves another state than the one above: after one call is often before another.
@pytest.mark.parametrize(
    ("module", "function", "moment"),
    [
        ("postgres", "begin_data", "before"),
        ("postgres", "begin_data", "after"),
        ("postgres", "_give_to_server", "before"),
        ("postgres", "_run_as_server", "before"),
        ("postgres", "_run_as_server", "after"),
        ("postgres", "write_cluster", "before"),
        ("postgres", "write_cluster", "after"),
        ("postgres", "_start_once", "before"),
        ("postgres", "postmaster", "after"),  # the server has been started and is not ready yet
        ("postgres", "_start_once", "after"),
        ("postgres", "create_database", "after"),
    ],
)
def test_a_start_killed_at_any_moment_is_completed_by_the_next(
    layout: Layout, module: str, function: str, moment: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(layout.root), module, function, moment],
        cwd=checkout().root,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    noted = layout.postgres / "unfinished-data"
    half_made = Path(noted.read_text()) if noted.exists() else None
    server = start_database(layout)
    assert ask(server, "SELECT 1") == [[1]]
    assert start_database(layout) == server
    cluster = read_cluster(layout.postgres)
    assert cluster is not None
    assert half_made is None or str(half_made) == cluster.data or not half_made.exists()
    assert not noted.exists()


def test_down_without_installed_packages_removes_the_server_and_data_kept_elsewhere(layout: Layout) -> None:
    assert run("start", layout) == 0
    server, emulator = server_of(layout), emulator_of(layout)
    cluster = read_cluster(layout.postgres)
    assert cluster is not None
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
    code += "from tools.localcloud import down, layout; down.down(layout.Layout(Path(sys.argv[2])))"
    arguments = [sys.executable, "-I", "-S", "-c", code, str(checkout().root), str(layout.root)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not layout.local.exists()
    assert not Path(cluster.data).exists()
    assert not command_line(server.pid)
    assert not command_line(emulator.pid)


def test_an_administrator_who_is_refused_is_explained_without_a_password(layout: Layout) -> None:
    server = start_database(layout)
    cluster = layout.postgres / "cluster.json"
    changed = json.loads(cluster.read_text()) | {"admin_password": "made-up-and-wrong"}
    cluster.write_text(json.dumps(changed))
    with pytest.raises(SetupError, match=f"{server.port} did not allow its administrator.*log") as refused:
        start_database(layout)
    assert "made-up-and-wrong" not in str(refused.value)
