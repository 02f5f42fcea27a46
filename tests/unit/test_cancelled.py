"""A cancelled operation says what it has done."""

import signal

import pytest

from operations.console import cancel_on_signals
from operations.errors import OperationCancelledError


@pytest.mark.parametrize(
    ("kind", "at_once", "has_begun", "words"),
    [
        ("preview", False, True, "Nothing was changed."),
        ("preview", True, True, "Nothing was changed."),
        ("up", False, False, "Nothing was changed."),
        ("up", False, True, "Steps in progress were finished and recorded"),
        ("up", True, True, "without being recorded: see docs/recovery.md"),
    ],
)
def test_the_error_says_what_was_done(kind: str, at_once: bool, has_begun: bool, words: str) -> None:
    assert words in str(OperationCancelledError("dev", kind, at_once=at_once, has_begun=has_begun))


def test_each_ctrl_c_shows_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    cancelled: list[None] = []
    with cancel_on_signals(lambda: cancelled.append(None), quiet=False):
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err.split("\n\n") == [
        "\nCancelling: steps in progress finish first. Again: stop now.",
        "Stopping now.\n",
    ]
    assert len(cancelled) == 3
