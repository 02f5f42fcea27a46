"""No Ctrl-C is lost, wherever it arrives."""

import signal
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import pytest

from operations import cli
from operations.exit_codes import ExitCode
from operations.interrupts import interrupts_arrive


class Folder:
    """Something whose finalizer takes time, like the removal of a folder."""


def interrupted_cleanup() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_inside_a_finalizer_arrives_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder()
    weakref.finalize(folder, interrupted_cleanup)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interrupts_arrive():  # noqa: PT012 - the interrupt comes later
        del folder
        while time.monotonic() < began + 30:
            time.sleep(0.01)
    assert "ignored" not in capsys.readouterr().err


def test_an_interrupt_inside_a_finalizer_ends_the_wait_that_follows() -> None:
    began = time.monotonic()
    folder = Folder()
    weakref.finalize(folder, interrupted_cleanup)
    with pytest.raises(KeyboardInterrupt), interrupts_arrive():  # noqa: PT012 - the interrupt comes later
        del folder
        threading.Event().wait(30)
    assert time.monotonic() < began + 20


def test_an_interrupt_does_not_arrive_after_the_block() -> None:
    folder = Folder()
    weakref.finalize(folder, interrupted_cleanup)
    with interrupts_arrive():
        del folder
    time.sleep(0.1)


@pytest.mark.parametrize("command", [command for command, _, _ in cli._COMMANDS])
def test_an_interrupted_command_says_so_in_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_COMMANDS", ((command, "a_command", ""),))
    monkeypatch.setitem(sys.modules, "a_command", SimpleNamespace(main=interrupted))
    assert cli.main(command.split()) == ExitCode.CANCELLED
    assert capsys.readouterr() == ("", "Interrupted.\n")


class Named:
    def __set_name__(self, owner: type, name: str) -> None:
        raise KeyboardInterrupt


def imported_class(_arguments: object) -> int:
    type("Imported", (), {"named": Named()})
    return 0


def test_an_interrupt_that_python_wraps_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_COMMANDS", (("up", "a_command", ""),))
    monkeypatch.setitem(sys.modules, "a_command", SimpleNamespace(main=imported_class))
    assert cli.main(["up"]) == ExitCode.CANCELLED
    assert capsys.readouterr() == ("", "Interrupted.\n")


def test_an_error_is_not_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_COMMANDS", (("up", "a_command", ""),))
    monkeypatch.setitem(sys.modules, "a_command", SimpleNamespace(main=lambda _: 1 // 0))
    with pytest.raises(ZeroDivisionError):
        cli.main(["up"])


def test_other_exceptions_inside_finalizers_are_shown_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: shown.append(unraisable.exc_type))
    folder = Folder()
    weakref.finalize(folder, lambda: 1 / 0)
    with interrupts_arrive():
        del folder
    assert shown == [ZeroDivisionError]


def test_sigterm_is_an_interrupt_within_the_block() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_arrive():  # noqa: PT012 - otherwise pytest would end
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
