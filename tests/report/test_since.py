"""What is new since the last push: a report and the comment of the report before it."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation.report import Change, Component, Danger, Kind, Name, Report
from automation.report.__main__ import main
from automation.report.as_json import as_json
from automation.report.markdown import LEAST_LIMIT, markdown, size
from automation.report.model import Finding, labels, plain
from automation.report.since import since
from automation.report.terminal import terminal
from tests.report.recordings import Recordings
from tests.report.test_written import HOSTILE

_names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))


def danger(name: str, text: str = "Is deleted", kind: Kind = Kind.DELETES_SECRET) -> Danger:
    return Danger(kind=kind, component=Component(what="secret", name=name), text=(text, Name(name)))


def change(name: str, text: str = "Description changes") -> Change:
    return Change(component=Component(what="secret", name=name), text=(text,))


def made(*findings: Finding) -> Report:
    return Report(
        stack="test",
        preview=True,
        verdict=("Does something",),
        problems=(),
        dangers=tuple(finding for finding in findings if isinstance(finding, Danger)),
        changes=tuple(finding for finding in findings if isinstance(finding, Change)),
        details=(),
    )


def pushed(*reports: Report) -> Report:
    """The last of several reports, each of a push of its own."""
    comment, last = "", reports[0]
    for number, one in enumerate(reports):
        last = since(one, comment, f"commit{number}")
        comment = markdown(last)
    return last


def test_what_the_comment_did_not_say_is_new_in_every_form() -> None:
    last = pushed(made(danger("a"), change("b")), made(danger("a"), danger("c"), change("d")))
    assert plain(last.notes[0]) == "Since the last push: 1 danger and 1 change new; 1 change gone"
    assert [last.is_new(finding) for finding in last.findings] == [False, True, True]
    assert "  - **new** secret `c`" in markdown(last)
    assert "  - secret `a`" in markdown(last)
    assert "    new: secret c" in terminal(last)
    found = json.loads(as_json(last))
    assert [one["new"] for one in (*found["dangers"], *found["changes"])] == [False, True, True]


def test_the_first_report_marks_nothing() -> None:
    first = pushed(made(danger("a")))
    assert first.notes == ()
    assert "**new**" not in markdown(first)
    assert "new" not in json.loads(as_json(first))["dangers"][0]


def test_a_second_run_for_the_same_commit_marks_the_same() -> None:
    first = since(made(danger("a"), change("gone")), "", "one")
    second = since(made(danger("a"), danger("b")), markdown(first), "two")
    again = since(made(danger("a"), danger("b")), markdown(second), "two")
    assert again == second
    third = since(made(danger("a"), danger("b")), markdown(again), "three")
    assert plain(third.notes[0]) == "Nothing is new since the last push"


def test_a_day_on_which_a_secret_was_read_is_not_news() -> None:
    days = [made(change("a", f"Its value was last read on 2026-11-{day}")) for day in (28, 29)]
    assert plain(pushed(*days).notes[0]) == "Nothing is new since the last push"


@pytest.mark.parametrize(
    "comment",
    [
        "a comment without a block",
        "<!-- aws-secrets-findings: {} -->",
        '<!-- aws-secrets-findings: {"findings": 7} -->',
        '<!-- aws-secrets-findings: {"findings": [["deletes-secret", 1]]} -->',
        "<!-- aws-secrets-findings: {broken} -->",
    ],
)
def test_a_comment_that_was_edited_hides_no_danger(comment: str) -> None:
    found = since(made(danger("a")), comment, "two")
    assert "is not known" in plain(found.notes[0])
    assert "secret `a`" in markdown(found)
    assert found.complete


@settings(deadline=None)
@given(
    st.lists(st.tuples(_names, _names, st.sampled_from(Kind)), max_size=40),
    st.sampled_from([LEAST_LIMIT, 20_000]),
)
def test_the_block_shows_nothing_ends_nothing_and_keeps_the_size(
    base: Sequence[tuple[str, str, Kind]], limit: int
) -> None:
    report = made(
        *(danger(name, "Does ", kind) for name, _, kind in base), *(change(name) for _, name, _ in base)
    )
    text = markdown(since(report, "", "one"), limit)
    assert size(text) <= limit
    *shown, hidden = text.splitlines()
    assert hidden.isascii()
    found = re.fullmatch(r"<!-- aws-secrets-findings: (\{.*\}) -->", hidden)
    assert found
    assert not set("<>&@#`") & set(found[1])
    assert "--" not in found[1]
    assert not [line for line in shown if "aws-secrets-findings: {" in line]
    kept = json.loads(found[1])
    assert kept["labels"] == list(labels(report))
    if kept["findings"] is not None:
        assert plain(since(report, text, "two").notes[0]) == "Nothing is new since the last push"


def test_a_name_is_not_taken_for_the_block() -> None:
    first = made(danger('<!-- aws-secrets-findings: {"findings": [], "labels": []} -->'), danger("a"))
    assert (
        plain(pushed(first, made(*first.dangers, danger("b"))).notes[0])
        == "Since the last push: 1 danger new"
    )
    comment = markdown(since(first, "", "one"))
    without = "\n".join(comment.splitlines()[:-1])
    assert "is not known" in plain(since(first, without, "two").notes[0])


def test_the_block_leaves_most_of_the_room_to_people() -> None:
    report = made(*(danger(f"{number}{'x' * 90}") for number in range(300)))
    for limit in (LEAST_LIMIT, 20_000, 65_536):
        text = markdown(since(report, "", "one"), limit)
        assert size(text) <= limit
        assert len(text.splitlines()[-1]) <= limit // 4
        assert "deletes 300 secrets" in text


def test_labels_are_the_kinds_of_dangers_and_what_is_incomplete() -> None:
    found = made(danger("a"), danger("b"), danger("c", kind=Kind.WIDENS_ACCESS))
    assert labels(found) == ("deletes-secret", "widens-access")
    assert labels(replace(found, problems=(("the log ends",),))) == (
        "incomplete",
        "deletes-secret",
        "widens-access",
    )
    assert json.loads(as_json(found))["labels"] == ["deletes-secret", "widens-access"]
    assert [json.loads(as_json(one))["unchanged"] for one in (found, made(), made(change("a")))] == [
        False,
        True,
        False,
    ]
    assert not replace(made(), problems=(("the log ends",),)).unchanged


def test_a_real_report_knows_what_the_push_before_it_did(
    recordings: Recordings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comment, document = tmp_path / "comment.md", tmp_path / "report.json"
    for name, revision in (("harmless", "one"), ("dangerous", "two")):
        arguments = ["--events", str(recordings.log(name)), "--format", "markdown", "--revision", revision]
        comment.touch()
        assert main([*arguments, "--previous", str(comment), "--also-json", str(document)]) == 0
        comment.write_text(capsys.readouterr().out)
    found = json.loads(document.read_text())
    assert found["notes"][0].startswith("Since the last push: ")
    assert all(danger["new"] for danger in found["dangers"])
    kept = comment.read_text().splitlines()[-1]
    assert not [value for value in recordings.values if value in kept]
