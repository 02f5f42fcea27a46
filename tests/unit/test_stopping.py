"""An interrupted command stops its engines, with a CLI that stands in for Pulumi's."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pytest

from operations.console import cancel_on_signals
from operations.exit_codes import ExitCode
from operations.pulumi_cli import Cli
from operations.secrecy import Redactor
from tests.support.projects import ROOT, wait_for

# An operation begins, and then waits to be stopped.
CLI = """#!/bin/sh
echo "$*" >> "$ASKED"
case "$*" in
  *"stack ls"*) echo '[{"name": "shop"}, {"name": "shop.a"}, {"name": "shop.b"}]'; exit;;
  *"stack history"*) echo '[]'; exit;;
  *"stack export"*) echo '{"version": 3, "deployment": {}}'; exit;;
esac
trap 'echo stopped >> "$ASKED"; kill $waiting; exit 1' TERM
for argument; do
  if [ "$before" = --event-log ]; then echo '{"sequence": 1, "timestamp": 1}' > "$argument"; fi
  before=$argument
done
if [ -n "$FAILS" ]; then echo "error: incorrect passphrase" >&2; exit 1; fi
sleep 60 & waiting=$!
touch "$REACHED"
wait $waiting
"""
STACK_FILE = """
encryptionsalt: v1:anything
config:
  aws:region: us-east-1
  aws-secrets:fleet: {groups: {a: [a*], b: [b*]}}
  aws-secrets:secrets:
    a1: {values: {A: {value: one}}}
    b1: {values: {B: {value: one}}}
"""


@dataclass(frozen=True)
class Checkout:
    folder: Path
    environment: Mapping[str, str]

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return self._start(subprocess.PIPE, *arguments, **environment)

    def start_without_reader(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command whose output nobody reads, as behind `| head` that has ended."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return self._start(writer, *arguments)
        finally:
            os.close(writer)

    def _start(self, stdout: int, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "operations", *arguments, "--cwd", str(self.folder)],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    (tmp_path / "Pulumi.shop.yaml").write_text(STACK_FILE)
    cli = tmp_path / "bin" / "pulumi"
    cli.parent.mkdir()
    cli.write_text(CLI)
    cli.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{cli.parent}:{os.environ['PATH']}",
        "ASKED": str(tmp_path / "asked"),
        "REACHED": str(tmp_path / "reached"),
        "FAILS": "",
    }
    return Checkout(tmp_path, environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [("up",), ("fleet", "up")])
def test_a_signal_stops_the_preview_that_an_update_is_compared_with(
    command: tuple[str, ...], number: signal.Signals, checkout: Checkout
) -> None:
    process = checkout.start(*command, "--stack", "shop", "--yes", "--reviewed", "nothing")
    wait_for(checkout.folder / "reached")
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=50)
    assert process.returncode == ExitCode.CANCELLED
    assert time.monotonic() < began + 30
    assert "Traceback" not in err
    assert "reviewed" not in err
    assert "stopped" in checkout.asked()
    assert not [line for line in checkout.asked() if " up " in line]


def test_a_preview_that_fails_before_an_update_of_a_fleet_is_its_own_error(checkout: Checkout) -> None:
    process = checkout.start("fleet", "up", "--stack", "shop", "--yes", "--reviewed", "nothing", FAILS="1")
    _, err = process.communicate(timeout=50)
    assert process.returncode == ExitCode.WRONG_PASSPHRASE
    assert "2 of 2 groups failed or were cancelled: a, b. Nothing was changed." in err
    assert "reviewed" not in err


class Started:
    """An operation that counts how often it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_an_operation_starts_cancels_it(number: signal.Signals) -> None:
    operation = Started()

    def start() -> Started:
        signal.raise_signal(number)
        return operation

    with cancel_on_signals(start, quiet=True) as followed:
        assert followed is operation
        assert operation.cancelled == 1
        signal.raise_signal(number)
    assert operation.cancelled == 2


def test_each_ctrl_c_shows_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with cancel_on_signals(Started, quiet=False) as operation:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err.split("\n\n") == [
        "\nCancelling: steps in progress finish first. Again: stop now.",
        "Stopping now.\n",
    ]
    assert operation.cancelled == 3


FULL = """
import os, sys
from operations.console import cancel_on_signals
class Operation:
    def cancel(self):
        os.write(1, b"cancelled\\n")
    def __enter__(self):
        return self
    def __exit__(self, kind, *_):
        os.write(1, f"left by {kind}\\n".encode())
with cancel_on_signals(Operation, quiet=False):
    os.write(1, b"begun\\n")
    for _ in range(3000):
        sys.stderr.write("x" * 99 + "\\n")
"""


def test_ctrl_c_in_the_middle_of_a_write_cancels_once() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", FULL],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    time.sleep(1)  # until the pipe is full, and the command waits in the write
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cancelled\n"
    out, err = process.communicate(timeout=50)
    assert out == "left by None\n"
    assert "Traceback" not in err
    assert process.returncode == 0


@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_nobody_reads_is_no_traceback(buffered: str, checkout: Checkout) -> None:
    checkout = replace(checkout, environment={**checkout.environment, "PYTHONUNBUFFERED": buffered})
    process = checkout.start_without_reader("history", "--stack", "shop")
    _, err = process.communicate(timeout=50)
    assert err == ""
    assert process.returncode == ExitCode.DONE


WRITER = """#!/bin/sh
touch "$REACHED"
sleep 1
cat > "$FILE"
"""


@pytest.mark.parametrize(
    ("command", "written"), [(("stack", "init"), "given"), (("stack", "export"), None)], ids=str
)
def test_ctrl_c_does_not_kill_a_cli_that_writes(
    command: tuple[str, ...], written: str | None, tmp_path: Path
) -> None:
    program = tmp_path / "pulumi"
    program.write_text(WRITER)
    program.chmod(0o755)
    file, reached = tmp_path / "file", tmp_path / "reached"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "FILE": str(file),
        "REACHED": str(reached),
    }
    cli = Cli(folder=tmp_path, project="p", environment=environment, redactor=Redactor(environment))
    main = threading.get_ident()

    def interrupt() -> None:
        wait_for(reached)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        cli.run("s", *command, standard_input="given")
    thread.join()
    assert (file.read_text() if file.exists() else None) == written
