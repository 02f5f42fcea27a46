"""Names from stack files, states and AWS cannot become commands, new lines or reversed text."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.visible import visible, visible_lines
from operations import errors, events, json_output, terminal
from operations.status import texts
from stack_file import Mistake, SettingsError

NASTY = "x\n::warning::y\r##[add-mask]z\x1b[2J\u202e\u2028\x9b\ud800"
_texts = st.one_of(st.text(), st.text("\n\r:#[ \x1b\u202ea", max_size=12))


def is_harmless(line: str) -> bool:
    """Return whether terminals and workflow runners treat a text as plain text."""
    return line.isprintable() and not line.lstrip().startswith("::") and "##" not in line


@given(_texts)
@example(NASTY)
@example(" \u3000::error::x")
@example("####[x]")
def test_any_text_becomes_one_harmless_line(text: str) -> None:
    assert is_harmless(visible(text))
    assert visible(visible(text)) == visible(text)
    assert texts.clean(text) == visible(text)


@given(_texts)
@example(NASTY)
def test_lines_stay_lines_and_each_is_harmless(text: str) -> None:
    shown = visible_lines(text).split("\n")
    assert len(shown) == text.count("\n") + 1
    assert all(map(is_harmless, shown))


@given(st.from_regex(r"[A-Za-z0-9/_+=.@:-][A-Za-z0-9/_+=.@: -]{0,80}", fullmatch=True))
def test_ordinary_names_and_arns_stay_as_they_are(name: str) -> None:
    if not name.startswith("::"):
        assert visible(name) == name
    assert visible("Prüfung: 25 €") == "Prüfung: 25 €"


@given(_texts, _texts)
@example(NASTY, NASTY)
def test_json_keeps_every_text_without_workflow_commands(key: str, text: str) -> None:
    written = json_output.render({key: [text]})
    assert json.loads(written) == json.loads(json.dumps({key: [text]}))
    assert all(map(is_harmless, written.split("\n")))


@given(_texts)
@example(NASTY)
def test_mistakes_always_have_three_lines(text: str) -> None:
    mistakes = [Mistake(text, text, text, text)]
    for error in (SettingsError("dev", mistakes), errors.InvalidConfigurationError("dev", mistakes)):
        first, blank, *lines = str(error).rstrip("\n").split("\n")
        assert (first.startswith("The configuration"), blank) == (True, "")
        assert len(lines) == 3
        assert all(map(is_harmless, lines))


@given(_texts)
@example(NASTY)
def test_resource_names_cannot_control_a_terminal(name: str) -> None:
    step = events.StepDone(operation="create", urn=name, type=name, name=name)
    failed = events.StepFailed(operation="create", urn=name, type=name, name=name)
    for event in (step, failed):
        [line] = terminal._lines(event)
        assert is_harmless(line)
    failure = errors.Failure(urn=name, type="t", name=name, cause="c")
    assert str(errors.ProviderError("dev", [failure])).count("\n") == 3


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_messages_keep_their_lines_without_commands(severity: events.Severity) -> None:
    [text] = terminal._lines(events.Message(severity=severity, text=f"a\n{NASTY}", urn=""))
    assert all(map(is_harmless, text.split("\n")))
    assert len(text.split("\n")) == 3
