"""An interrupted command stops its engines, with a CLI that stands in for Pulumi's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from operations.console import cancel_on_signals
from operations.exit_codes import ExitCode
from tests.support.projects import ROOT, wait_for

# An operation begins, and then waits to be stopped.
CLI = """#!/bin/sh
echo "$*" >> "$ASKED"
case "$*" in
  *"stack ls"*) echo '[{"name": "shop"}, {"name": "shop.a"}, {"name": "shop.b"}]'; exit;;
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
        return subprocess.Popen(
            [sys.executable, "-m", "operations", *arguments, "--cwd", str(self.folder)],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
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


@pytest.mark.parametrize("command", [("up",), ("fleet", "up")])
def test_ctrl_c_stops_the_preview_that_an_update_is_compared_with(
    command: tuple[str, ...], checkout: Checkout
) -> None:
    process = checkout.start(*command, "--stack", "shop", "--yes", "--reviewed", "nothing")
    wait_for(checkout.folder / "reached")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
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
