"""Official downloads: verified before anything runs, resumed, with deadlines; otherwise a build."""

import gzip
import hashlib
import io
import os
import random
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.local_engine import local_engine
from tools.localcloud import download as downloading
from tools.localcloud import official, pin
from tools.localcloud.download import ChecksumError, DownloadError, RemoteFile, connection_problem, download
from tools.localcloud.engine import LANGUAGE_HOST, provide_engine
from tools.localcloud.engine_build import EXECUTOR, engine_version
from tools.localcloud.layout import Layout, SetupError, checkout
from tools.localcloud.plugin_install import provide_plugins
from tools.localcloud.tests.download_server import Downloads, download_server

BODY = random.Random(1).randbytes(400_000)  # noqa: S311 -- only has to be different everywhere
ENGINE = engine_version(checkout().engine_module)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    with download_server() as downloads:
        downloads.files["a"] = BODY
        monkeypatch.setenv(official.ADDRESS_VARIABLE, downloads.address)
        yield downloads


def remote(server: Downloads, body: bytes = BODY) -> RemoteFile:
    return RemoteFile(url=f"{server.address}/a", sha256=hashlib.sha256(body).hexdigest())


def ignore(_done: int, _size: int) -> None:
    pass


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_downloaded_once_with_its_progress(server: Downloads, tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    path = download(remote(server), tmp_path, lambda done, size: shown.append((done, size)))
    assert path.read_bytes() == BODY
    assert shown[-1] == (len(BODY), len(BODY))
    assert download(remote(server), tmp_path, ignore) == path
    assert len(server.requests) == 1
    assert left(tmp_path) == ["a"]


def test_a_file_is_downloaded_over_verified_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with download_server(tmp_path) as server:
        server.files["a"] = BODY
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            download(remote(server), tmp_path / "files", ignore)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert download(remote(server), tmp_path / "files", ignore).read_bytes() == BODY


def test_a_file_with_another_checksum_is_deleted(server: Downloads, tmp_path: Path) -> None:
    expected = remote(server, b"something else")
    with pytest.raises(ChecksumError, match=rf"not the pinned {expected.sha256}\. It was deleted"):
        download(expected, tmp_path, ignore)
    assert left(tmp_path) == []


def test_a_connection_that_breaks_off_is_resumed(server: Downloads, tmp_path: Path) -> None:
    server.cut_after = [100_000, 100_000]
    assert download(remote(server), tmp_path, ignore).read_bytes() == BODY
    assert [asked for _, asked in server.requests] == ["", "bytes=100000-", "bytes=200000-"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_later_command_resumes_or_restarts_a_download(
    server: Downloads, tmp_path: Path, *, ranges: bool
) -> None:
    server.ranges = ranges
    (tmp_path / "a.part").write_bytes(BODY[:100_000])
    assert download(remote(server), tmp_path, ignore).read_bytes() == BODY
    assert server.requests == [("/releases/a", "bytes=100000-")]


@pytest.mark.parametrize("damaged", [b"x" * 100_000, b"x" * len(BODY), b"x" * (len(BODY) + 1)])
def test_a_damaged_part_is_replaced(server: Downloads, tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "a.part").write_bytes(damaged)
    try:
        path = download(remote(server), tmp_path, ignore)
    except DownloadError:
        # one that is longer than the file is removed, and the next command begins again
        path = download(remote(server), tmp_path, ignore)
    assert path.read_bytes() == BODY


def test_a_complete_part_needs_no_second_download(server: Downloads, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(BODY)
    assert download(remote(server), tmp_path, ignore).read_bytes() == BODY
    assert len(server.requests) == 1


@pytest.mark.parametrize("after", [0, 100_000])
def test_a_stalled_server_meets_a_deadline(
    server: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(downloading, "STALL_SECONDS", 0.3)
    server.cut_after, server.stalls = [after, 0], True
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"nothing received for 0\.3 s"):
        download(remote(server), tmp_path, ignore)
    assert time.monotonic() - started < 5
    assert left(tmp_path) == ["a.part"]


def test_a_server_that_trickles_meets_a_deadline(
    server: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "STALL_SECONDS", 0.3)
    server.trickles = True
    with pytest.raises(DownloadError, match=r"fewer than 50000 bytes within 0\.3 s"):
        download(remote(server), tmp_path, ignore)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusal_is_reported_with_its_status(server: Downloads, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"HTTP status {status}"):
        download(remote(server), tmp_path, ignore)
    assert left(tmp_path) == []


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_unreachable_server_is_recognized_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    assert "refused" in connection_problem(f"http://127.0.0.1:{closed_port()}/x")
    assert connection_problem("https://nowhere.invalid/x")
    assert time.monotonic() - started < 3
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: threading.Event().wait())
    started = time.monotonic()
    assert connection_problem("https://localhost/x") == "no answer from localhost within 2.5 s"
    assert time.monotonic() - started < 3


def test_the_proxy_is_what_has_to_be_reachable(server: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert "refused" in connection_problem("http://example.org/x")
    monkeypatch.setenv("http_proxy", server.address)
    assert connection_problem("http://example.org/x") == ""


GO = """#!/bin/sh
case "$1 $2" in
  "env GOVERSION") echo go1.99.1 ;;
  env*) printf '%s\\n' /tmp /tmp ;;
  "list -deps") echo one ;;
  list*) echo "$FAKE_SDK" ;;
  build*) while [ "$1" != "-o" ]; do shift; done; echo built > "$2"; chmod +x "$2" ;;
esac
"""


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A checkout without tools, with checksums of its own, whose go is played."""
    made, real = Layout(tmp_path / "a checkout"), checkout()
    made.engine_module.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        (made.engine_module / name).symlink_to(real.engine_module / name)
    made.checksums.write_text("# a comment\n")
    go = tmp_path / "go" / "go"
    executor = tmp_path / "sdk" / "python" / "cmd" / EXECUTOR
    for path, text in ((go, GO), (executor, "the executor")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_SDK", str(tmp_path / "sdk"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "users home"))
    for name in ("LOCALCLOUD_PULUMI", "PULUMI_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    return made


def archive(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def official_program(mark: Path, name: str = "pulumi/pulumi") -> bytes:
    """Return an archive of the program, which leaves `mark` when it is run."""
    text = f"#!/bin/sh\necho run >> '{mark}'\necho v{ENGINE}\n"
    return archive({name: text, f"pulumi/{LANGUAGE_HOST}": "official", f"pulumi/{EXECUTOR}": "official"})


def offer(server: Downloads, layout: Layout, path: str, body: bytes, *, pinned: bytes | None = None) -> None:
    """Serve an archive, and pin its checksum or that of other content."""
    server.files[path] = body
    digest = hashlib.sha256(body if pinned is None else pinned).hexdigest()
    with layout.checksums.open("a") as file:
        file.write(f"{digest}  {path.rpartition('/')[2]}\n")


def program_path() -> str:
    names = official._platform_names()
    assert names
    return official.program_path(ENGINE, names[0])


def plugin_path(name: str) -> str:
    names = official._platform_names()
    assert names
    return official.plugin_path(name, version(f"pulumi-{name}"), names[1])


def test_the_official_program_is_downloaded_and_used(
    server: Downloads, layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(server, layout, program_path(), official_program(tmp_path / "run"))
    pulumi = provide_engine(layout)
    assert (tmp_path / "run").exists()
    assert (pulumi.resolve().parent / LANGUAGE_HOST).read_text() == "official"
    shown = capsys.readouterr().out
    assert f"Downloading pulumi {ENGINE} from localhost" in shown
    assert "checksum verified" in shown
    assert provide_engine(layout) == pulumi
    assert len(server.requests) == 1
    assert left(layout.downloads) == []
    assert not capsys.readouterr().out


def test_a_program_with_another_checksum_is_never_run(
    server: Downloads, layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(server, layout, program_path(), official_program(tmp_path / "run"), pinned=b"other")
    assert provide_engine(layout).read_text() == "built\n"
    assert not (tmp_path / "run").exists()
    assert "warning: " in capsys.readouterr().out
    assert left(layout.downloads) == []


def test_a_program_without_a_pinned_checksum_is_not_fetched(
    server: Downloads, layout: Layout, tmp_path: Path
) -> None:
    server.files[program_path()] = official_program(tmp_path / "run")
    assert provide_engine(layout).read_text() == "built\n"
    assert server.requests == []


def test_a_refused_connection_leads_to_a_build_within_three_seconds(
    server: Downloads, layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(server, layout, program_path(), b"")
    monkeypatch.setenv(official.ADDRESS_VARIABLE, f"http://127.0.0.1:{closed_port()}")
    started = time.monotonic()
    assert provide_engine(layout).read_text() == "built\n"
    assert time.monotonic() - started < 3
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first == "No official download: 127.0.0.1: Connection refused."
    assert second == f"Building pulumi {ENGINE} from source: this takes a few minutes, once."


def test_downloads_can_be_switched_off(
    server: Downloads, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, layout, program_path(), b"")
    monkeypatch.setenv(official.ADDRESS_VARIABLE, official.NO_DOWNLOADS)
    assert provide_engine(layout).read_text() == "built\n"
    assert server.requests == []


def test_a_built_program_stays_when_the_service_is_reachable_later(
    server: Downloads, layout: Layout, tmp_path: Path
) -> None:
    provide_engine(layout)
    offer(server, layout, program_path(), official_program(tmp_path / "run"))
    assert provide_engine(layout).read_text() == "built\n"
    assert server.requests == []


def test_a_member_outside_the_folder_lands_inside(server: Downloads, layout: Layout, tmp_path: Path) -> None:
    offer(server, layout, program_path(), official_program(tmp_path / "run", "pulumi/../../../pulumi"))
    assert provide_engine(layout).resolve().parent.parent == layout.engines.resolve()


def test_two_commands_at_once_download_once(server: Downloads, layout: Layout, tmp_path: Path) -> None:
    offer(server, layout, program_path(), official_program(tmp_path / "run"))
    code = "import sys, pathlib; from tools.localcloud import tools, layout as l; "
    code += "tools.provide_plugins = lambda _: (); tools.provide_tools(l.Layout(pathlib.Path(sys.argv[1])))"
    environment = {**os.environ, "PYTHONPATH": str(checkout().root)}
    commands = [
        subprocess.Popen([sys.executable, "-c", code, str(layout.root)], env=environment) for _ in range(2)
    ]
    assert [command.wait(timeout=30) for command in commands] == [0, 0]
    assert len(server.requests) == 1
    assert layout.pulumi.is_symlink()


@pytest.fixture
def with_engine(layout: Layout) -> Layout:
    """The checkout with the real engine, which installs plugins."""
    layout.bin.mkdir(parents=True)
    layout.pulumi.symlink_to(local_engine().pulumi)
    return layout


def installed(layout: Layout, name: str) -> str:
    folder = layout.pulumi_home / "plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}"
    return (folder / f"pulumi-resource-{name}").read_text()


def test_pinned_plugins_are_downloaded_once(server: Downloads, with_engine: Layout) -> None:
    for name in ("aws", "random"):
        offer(
            server, with_engine, plugin_path(name), archive({f"pulumi-resource-{name}": f"official {name}"})
        )
    for _ in range(2):
        assert provide_plugins(with_engine) == ()
        assert installed(with_engine, "aws") == "official aws"
        assert len(server.requests) == 2


def test_a_plugin_with_another_checksum_is_stood_in_for(
    server: Downloads, with_engine: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    body = archive({"pulumi-resource-aws": "official aws"})
    offer(server, with_engine, plugin_path("aws"), body, pinned=b"other")
    assert provide_plugins(with_engine) == ("aws", "random")
    assert "tools.localcloud.plugins aws" in installed(with_engine, "aws")
    assert "warning: " in capsys.readouterr().out


def test_official_plugins_that_are_demanded_are_verified_too(
    server: Downloads, with_engine: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide_plugins(with_engine)
    monkeypatch.setenv("PULUMI_PLUGINS", "official")
    with pytest.raises(SetupError, match=r"No checksum is pinned for the aws plugin .*localcloud\.pin"):
        provide_plugins(with_engine)
    body = archive({"pulumi-resource-aws": "official aws"})
    offer(server, with_engine, plugin_path("aws"), body, pinned=b"other")
    with pytest.raises(SetupError, match="not the pinned"):
        provide_plugins(with_engine)
    with_engine.checksums.write_text("")
    for name in ("aws", "random"):
        offer(
            server, with_engine, plugin_path(name), archive({f"pulumi-resource-{name}": f"official {name}"})
        )
    assert provide_plugins(with_engine) == ()
    assert installed(with_engine, "random") == "official random"


def test_stand_ins_can_be_demanded(
    server: Downloads, with_engine: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("aws", "random"):
        offer(
            server, with_engine, plugin_path(name), archive({f"pulumi-resource-{name}": f"official {name}"})
        )
    assert provide_plugins(with_engine) == ()
    monkeypatch.setenv("PULUMI_PLUGINS", "stand-ins")
    assert provide_plugins(with_engine) == ("aws", "random")
    assert "tools.localcloud.plugins aws" in installed(with_engine, "aws")
    monkeypatch.setenv("PULUMI_PLUGINS", "offical")
    with pytest.raises(SetupError, match="'offical', which is not valid: use official or stand-ins"):
        provide_plugins(with_engine)


def test_pinning_records_every_archive_and_accepts_no_change(server: Downloads, layout: Layout) -> None:
    for path in pin.archives(layout):
        server.files[path] = path.encode()
    pin.pin(layout)
    assert len(official.pinned_checksums(layout)) == 12
    assert layout.checksums.read_text().startswith("# a comment\n")
    server.files[program_path()] = b"another"
    with pytest.raises(SetupError, match=r"pulumi-v.* has the checksum .* is pinned"):
        pin.pin(layout)


def test_the_checksums_of_the_pinned_program_are_known_for_every_platform() -> None:
    known = official.pinned_checksums(checkout())
    names = {official.program_path(ENGINE, names[0])[4:] for names in official.PLATFORMS.values()}
    assert names <= known.keys()
