"""No Ctrl-C is lost, wherever it arrives."""

import signal
import time
import weakref

import pytest

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


def test_other_exceptions_inside_finalizers_are_shown_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: shown.append(unraisable.exc_type))
    folder = Folder()
    weakref.finalize(folder, lambda: 1 / 0)
    with interrupts_arrive():
        del folder
    assert shown == [ZeroDivisionError]
