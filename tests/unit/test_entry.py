"""The program's entry and its errors."""

import pulumi
import pytest

from program import entry
from stack_file import loading


def test_errors_have_no_terminal_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise pulumi.RunError('unknown key "a\x1b[2Jb"\n  line two')

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(entry, "tune", lambda: None)  # it would tune the test's process
    with pytest.raises(pulumi.RunError) as raised:
        entry.run()
    assert "\x1b" not in str(raised.value)
    assert str(raised.value).endswith("\n  line two")
