"""The commands as a newcomer types them, on the real engine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local_engine import local_engine
from tools.localcloud.__main__ import INTERRUPTED, run
from tools.localcloud.emulator_control import running_emulator, stop_emulator
from tools.localcloud.layout import Layout, checkout
from tools.localcloud.tests.played_checkout import checkout_with_played_emulator

# Made by the engine for the passphrase `local`.
SALT = "encryptionsalt: v1:N3y6sBL62EE=:v1:y540p21Y3uT9ylEL:prkGySRIGZNJwf5hsmXJ5GmBAhZhBw=="

PROGRAM = """
import pulumi

pulumi.ComponentResource("small:index:Parent", "parent")
pulumi.export("secrets", {
    "app": {"keys": ["TOKEN", "OTHER"], "filledByHand": {"TOKEN": "where"}},
    "vendor": {"keys": ["KEY"], "filledByHand": {"KEY": "where"}},
})
pulumi.export("databases", {"shop": {"logins": {"shop-login": {"arn": "arn:..."}}}})
"""


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A checkout with a small program, nothing set up."""
    local_engine()
    made = checkout_with_played_emulator(tmp_path / "a checkout")
    (made.root / "Pulumi.yaml").write_text(
        "name: small\nruntime: {name: python, options: {virtualenv: .venv}}\n"
    )
    (made.root / "Pulumi.local.yaml").write_text(f"# a comment\n{SALT}\nconfig:\n  small:key: [1,  2]\n")
    (made.root / "__main__.py").write_text(PROGRAM)
    monkeypatch.setenv("LOCALCLOUD_PORT", "0")
    # What a user may have set, and what must not matter.
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://example.org")
    yield made
    stop_emulator(made)


def test_up_deploys_and_up_again_changes_nothing(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    stack_file = (layout.root / "Pulumi.local.yaml").read_bytes()
    assert run("up", layout) == 0
    first = capfd.readouterr().out
    assert "2 created" in first
    assert "app: TOKEN, OTHER" in first
    # The one line that is safe: it names a secret in which nothing else is.
    assert "put-secret-value --secret-id vendor" in first
    assert "shop-login: on shop" in first
    assert "make rotate" in first
    emulator = running_emulator(layout)
    assert run("up", layout) == 0
    second = capfd.readouterr().out
    assert "Nothing changed: all 2 resources are as declared." in second
    assert running_emulator(layout) == emulator
    assert (layout.root / "Pulumi.local.yaml").read_bytes() == stack_file
    a_sourced_shell_works_on_the_same_stack(layout)


def a_sourced_shell_works_on_the_same_stack(layout: Layout) -> None:
    done = subprocess.run(
        ["sh", "-c", ". .local/env && pulumi preview --expect-no-changes --non-interactive && pulumi whoami"],
        cwd=layout.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 unchanged" in done.stdout


def test_state_is_compared_once_with_an_emulator_that_was_started_anew(
    layout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("up", layout) == 0
    for lost in (False, True):
        assert run("stop", layout) == 0
        if lost:
            (layout.emulator / "data").unlink()
        capfd.readouterr()
        assert run("up", layout) == 0
        assert "was restarted" in capfd.readouterr().out
        assert run("up", layout) == 0
        assert "was restarted" not in capfd.readouterr().out


def test_a_failed_update_is_passed_on_and_the_next_goes_on(
    layout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    (layout.root / "__main__.py").write_text("raise ValueError('wrong value')\n")
    assert run("up", layout) != 0
    shown = capfd.readouterr()
    assert "wrong value" in shown.out
    assert "localcloud" not in shown.err
    (layout.root / "__main__.py").write_text(PROGRAM)
    assert run("up", layout) == 0


WAITING = """
import pathlib, time

pathlib.Path("waiting").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.02)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_continues_when_repeated(
    layout: Layout, capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    (layout.root / "__main__.py").write_text(WAITING + PROGRAM)
    code = "import sys, pathlib; from tools.localcloud import __main__ as m, layout as l; "
    code += "sys.exit(m.run('up', l.Layout(pathlib.Path(sys.argv[1]))))"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(layout.root)], cwd=checkout().root, start_new_session=True
    ) as make:
        command = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done', str(layout.root / "waiting")]
        subprocess.run(command, check=True, timeout=30)
        # As a terminal does: everything in the foreground group.
        os.killpg(make.pid, number)
        assert make.wait(timeout=20) == (INTERRUPTED if number == signal.SIGINT else -number)
    shown = capfd.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert ("Run `make up` again to continue" in shown.err) == (number == signal.SIGINT)
    (layout.root / "go").touch()
    assert run("up", layout) == 0
    assert "These secrets now exist" in capfd.readouterr().out


def test_down_removes_everything_below_local_and_ends_the_emulator(layout: Layout) -> None:
    assert run("up", layout) == 0
    emulator = running_emulator(layout)
    assert emulator
    assert run("down", layout) == 0
    assert not layout.local.exists()
    # A child of this process, so it stays until we have seen its end.
    assert os.waitpid(emulator.pid, 0)[0] == emulator.pid
    assert run("down", layout) == 0
    assert run("env", layout) == 1


def test_down_needs_no_installed_package() -> None:
    code = "import sys; sys.path[:0] = [sys.argv[1]]; import tools.localcloud.down; print(len(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(checkout().root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
