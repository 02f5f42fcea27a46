"""Readers by either name, while updates are killed and the old name changes."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rename.running import rename
from tests.support.stacks import Stack, start

APP: dict[str, Any] = {"values": {"KEY": {"filledByHand": "x"}}}


@dataclass
class Reader:
    """Reads a secret again and again; what it reads and what fails is kept.

    Attributes:
        values: each value that differs from the one before.
        failures: errors after the first success.
    """

    stack: Stack
    name: str
    values: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        client = self.stack.client()
        while not self.stopped.is_set():
            try:
                value = client.get_secret_value(SecretId=self.name)["SecretString"]
            except ClientError as error:
                if self.values:
                    self.failures.append(str(error))
            else:
                if value not in self.values[-1:]:
                    self.values.append(value)
            self.stopped.wait(0.01)

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(timeout=30)


def killed_when(stack: Stack, reached: Callable[[], bool]) -> None:
    """Start an update, and kill it as soon as AWS has come so far."""
    running = start(stack, "up", "--yes", "--skip-preview")
    deadline = time.monotonic() + 120
    while not reached():
        assert running.poll() is None, (stack.folder / "background.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(timeout=30)
    stack.pulumi("cancel", "--yes", check=False)


@pytest.mark.deep
def test_readers_by_either_name_never_fail_and_see_values_in_order(stack: Stack) -> None:
    stack.configure({"old": APP}, encryption="aws-managed")
    stack.up()
    stack.edit("old", KEY="1")
    client = stack.client()
    readers = {name: Reader(stack, name) for name in ("old", "new")}
    try:
        rename(stack, "--yes")
        killed_when(stack, lambda: bool(readers["new"].values))
        stack.edit("old", KEY="2")
        stack.up()
        assert stack.value("new") == {"KEY": "2"}
        for value in ("3", "4"):
            stack.edit("old", KEY=value)
            rename(stack)
            assert stack.value("new") == {"KEY": value}
        readers["old"].stop()  # it has moved
        rename(stack, "--finish", "--readers-have-moved", "--yes")
        killed_when(stack, lambda: "DeletedDate" in client.describe_secret(SecretId="old"))
        stack.up("--refresh")  # whether the state knows of the deletion depends on the moment
        assert stack.value("new") == {"KEY": "4"}
        stack.edit("new", KEY="5")
        assert stack.up("--refresh") == []
    finally:
        for reader in readers.values():
            reader.stop()
    expected = [f'{{"KEY": "{number}"}}' for number in range(1, 6)]
    assert readers["old"].values == expected[:4]
    assert readers["new"].values == expected
    assert readers["old"].failures + readers["new"].failures == []
