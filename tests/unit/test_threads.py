"""Calls in several threads keep no command from ending."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from operations.threads import mapped
from tests.support.projects import ROOT

COMMAND = """
import os, sys, time
from operations.threads import mapped
def wait(number):
    os.write(1, b"begun\\n")  # at one stroke
    time.sleep(60)
try:
    mapped(wait, range(3), 2)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


def test_answers_are_in_the_order_of_the_items_and_calls_limited() -> None:
    running: set[int] = set()
    most: list[int] = []

    def call(number: int) -> int | None:
        running.add(number)
        most.append(len(running))
        time.sleep(0.02 * (4 - number))
        running.remove(number)
        return None if number == 2 else number

    assert mapped(call, range(4), 2) == [0, 1, None, 3]
    assert max(most) == 2
    assert mapped(call, [], 2) == []


def test_the_first_exception_ends_the_wait_and_begins_nothing_more() -> None:
    begun: list[int] = []
    released = threading.Event()

    def call(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError("no")
        released.wait(30)

    with pytest.raises(ValueError, match="no"):
        mapped(call, range(9), 2)
    released.set()
    time.sleep(0.1)
    assert sorted(begun) == [0, 1]


def test_an_interrupted_command_ends_without_the_answers() -> None:
    process = subprocess.Popen([sys.executable, "-c", COMMAND], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == ["begun\n", "begun\n"]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == "interrupted\n"
    assert process.wait(timeout=50) == 130
    assert time.monotonic() < began + 30
