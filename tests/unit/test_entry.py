"""What an operator is told by the program's entry, whoever runs it."""

import pulumi
import pytest

import settings
from program import entry


def test_a_mistake_is_told_without_characters_that_a_terminal_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise pulumi.RunError('unknown key "a\x1b[2Jb"\n  line two')

    monkeypatch.setattr(settings, "load", load)
    monkeypatch.setattr(entry, "prepare", lambda: None)  # it tunes the whole process
    with pytest.raises(pulumi.RunError) as raised:
        entry.run()
    assert "\x1b" not in str(raised.value)
    assert str(raised.value).endswith("\n  line two")
