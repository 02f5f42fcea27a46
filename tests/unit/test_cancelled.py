"""A cancelled operation says what it has done."""

import pytest

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
