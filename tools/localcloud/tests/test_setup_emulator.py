"""Starting and stopping the emulator in the background: only our own, on the requested port."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tools.localcloud.__main__ import run
from tools.localcloud.emulator_control import Emulator, running_emulator, start_emulator, stop_emulator
from tools.localcloud.layout import Layout, SetupError
from tools.localcloud.tests.played_checkout import checkout_with_played_emulator


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A checkout whose emulator is played; what it started is stopped."""
    made = checkout_with_played_emulator(tmp_path / "a checkout")
    monkeypatch.setenv("LOCALCLOUD_PORT", "0")
    yield made
    stop_emulator(made)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return bool(Path(f"/proc/{pid}/cmdline").read_bytes())


def test_started_twice_it_is_the_same_emulator(layout: Layout) -> None:
    first = start_emulator(layout)
    assert start_emulator(layout) == first
    assert running_emulator(layout) == first


def test_stopped_and_started_it_keeps_port_and_data(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    first = start_emulator(layout)
    assert stop_emulator(layout)
    assert not is_running(first.pid)
    assert running_emulator(layout) is None
    monkeypatch.delenv("LOCALCLOUD_PORT")
    second = start_emulator(layout)
    assert (second.port, second.instance) == (first.port, first.instance)
    assert second.pid != first.pid


def test_another_port_that_is_asked_for_moves_it(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    first = start_emulator(layout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    monkeypatch.setenv("LOCALCLOUD_PORT", str(free))
    second = start_emulator(layout)
    assert (second.port, second.instance) == (free, first.instance)
    assert not is_running(first.pid)


def test_stopping_what_does_not_run_does_nothing(layout: Layout) -> None:
    assert not stop_emulator(layout)


def test_a_port_in_use_is_named_with_the_way_out(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setenv("LOCALCLOUD_PORT", str(taken_port))
    with pytest.raises(
        SetupError, match=rf"Port {taken_port} is in use by another program.*LOCALCLOUD_PORT="
    ):
        start_emulator(layout)
    assert running_emulator(layout) is None


def test_another_checkouts_local_cloud_is_left_alone(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Layout(tmp_path / "another checkout")
    other.root.mkdir()
    for name in ("tools", ".venv"):
        (other.root / name).symlink_to(layout.root / name)
    theirs = start_emulator(other)
    try:
        monkeypatch.setenv("LOCALCLOUD_PORT", str(theirs.port))
        with pytest.raises(SetupError, match="the local cloud of another checkout"):
            start_emulator(layout)
        assert running_emulator(other) == theirs
    finally:
        stop_emulator(other)


@pytest.mark.parametrize("text", ["http", "-1", "70000", "4577 ", "٤٥"])
def test_a_port_that_is_none_is_refused(layout: Layout, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LOCALCLOUD_PORT", text)
    with pytest.raises(SetupError, match="LOCALCLOUD_PORT is"):
        start_emulator(layout)


def test_an_emulator_that_ends_at_once_is_reported_with_its_log(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYED_EMULATOR", "fail")
    with pytest.raises(SetupError, match=r"(?s)ended with exit code 1.*the data file is damaged"):
        start_emulator(layout)
    assert not (layout.emulator / "pid").exists()


def test_a_stale_pid_file_is_no_obstacle(layout: Layout) -> None:
    first = start_emulator(layout)
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert (layout.emulator / "pid").exists()
    assert running_emulator(layout) is None
    assert start_emulator(layout).instance == first.instance


@pytest.mark.parametrize("arguments", [[], ["tools.localcloud.emulator", "--data", "/elsewhere/data"]])
def test_a_foreign_process_under_the_noted_pid_is_never_signalled(
    layout: Layout, arguments: list[str]
) -> None:
    first = start_emulator(layout)
    stop_emulator(layout)
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)", *arguments]
    with subprocess.Popen(sleeping) as stranger:
        (layout.emulator / "pid").write_text(f"{stranger.pid}\n")
        assert running_emulator(layout) is None
        assert not stop_emulator(layout)
        second = start_emulator(layout)
        assert second.instance == first.instance
        assert stranger.poll() is None
        stranger.kill()


def test_another_program_on_the_remembered_port_is_recognized(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "fine"}')

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        layout.emulator.mkdir(parents=True)
        (layout.emulator / "port").write_text(str(server.server_port))
        monkeypatch.delenv("LOCALCLOUD_PORT")
        with pytest.raises(SetupError, match="in use by another program"):
            start_emulator(layout)
    finally:
        server.shutdown()
        server.server_close()


def test_an_interrupted_start_is_found_by_the_next(layout: Layout) -> None:
    first = start_emulator(layout)
    (layout.emulator / "port").unlink()
    second = start_emulator(layout)
    assert second.pid != first.pid
    assert second.instance == first.instance
    assert not is_running(first.pid)


def test_a_proxy_of_the_users_is_not_asked_for_the_emulator(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(start_emulator(layout), Emulator)


def test_starts_at_the_same_time_end_with_one_emulator(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: run("start", layout), range(4)))
    assert started == [0, 0, 0, 0]
    assert len(set(re.findall(r"process (\d+)", capsys.readouterr().out))) == 1
