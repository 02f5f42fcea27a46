"""Test the comparison of a report with the previous report's comment."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.report import Change, Component, Danger, Kind, Name, Report
from operations.report.as_json import as_json
from operations.report.command import main
from operations.report.markdown import LEAST_LIMIT, markdown, size
from operations.report.model import Day, Finding, labels, plain
from operations.report.since import since
from operations.report.terminal import terminal
from tests.report.test_formats import HOSTILE
from tests.support.recordings import Recordings

_names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))


def danger(name: str, text: str = "Is deleted", kind: Kind = Kind.DELETES_SECRET) -> Danger:
    return Danger(kind=kind, component=Component(what="secret", name=name), text=(text, Name(name)))


def change(name: str, *text: str | Name | Day) -> Change:
    return Change(component=Component(what="secret", name=name), text=text or ("The description changes",))


def report_with(*findings: Finding) -> Report:
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
    """Return the last of several reports, each for another push."""
    comment, last = "", reports[0]
    for number, one in enumerate(reports):
        last = since(one, comment, f"commit{number}")
        comment = markdown(last)
    return last


def test_new_findings_are_marked_in_every_format() -> None:
    last = pushed(report_with(danger("a"), change("b")), report_with(danger("a"), danger("c"), change("d")))
    assert plain(last.notes[0]) == (
        "New since the last push: 1 danger and 1 change; no longer reported: 1 change"
    )
    assert [last.is_new(finding) for finding in last.findings] == [False, True, True]
    assert "  - **new** secret `c`" in markdown(last)
    assert "  - secret `a`" in markdown(last)
    assert "    new: secret c" in terminal(last)
    found = json.loads(as_json(last))
    assert [one["new"] for one in (*found["dangers"], *found["changes"])] == [False, True, True]


def test_first_report_marks_nothing() -> None:
    first = pushed(report_with(danger("a")))
    assert first.notes == ()
    assert "**new**" not in markdown(first)
    assert "new" not in json.loads(as_json(first))["dangers"][0]


def test_second_run_for_the_same_commit_marks_the_same() -> None:
    first = since(report_with(danger("a"), change("gone")), "", "one")
    second = since(report_with(danger("a"), danger("b")), markdown(first), "two")
    again = since(report_with(danger("a"), danger("b")), markdown(second), "two")
    assert again == second
    third = since(report_with(danger("a"), danger("b")), markdown(again), "three")
    assert plain(third.notes[0]) == "Nothing new since the last push"


def test_date_alone_makes_no_finding_new() -> None:
    reports = [report_with(change("a", "Was last read on ", Day(date(2026, 11, day)))) for day in (28, 29)]
    last = pushed(*reports)
    assert plain(last.notes[0]) == "Nothing new since the last push"
    assert "Was last read on 2026-11-29" in terminal(last)
    assert "Was last read on 2026-11-29" in markdown(last)


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
def test_edited_comment_hides_no_danger(comment: str) -> None:
    found = since(report_with(danger("a")), comment, "two")
    assert "is unknown" in plain(found.notes[0])
    assert "secret `a`" in markdown(found)
    assert found.complete


@settings(deadline=None)
@given(
    st.lists(st.tuples(_names, _names, st.sampled_from(Kind)), max_size=40),
    st.sampled_from([LEAST_LIMIT, 20_000]),
)
def test_block_is_invisible_inert_and_within_the_limit(
    base: Sequence[tuple[str, str, Kind]], limit: int
) -> None:
    report = report_with(
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
    stored = json.loads(found[1])
    assert stored["labels"] == list(labels(report))
    if stored["findings"] is not None:
        assert plain(since(report, text, "two").notes[0]) == "Nothing new since the last push"


def test_name_cannot_forge_the_block() -> None:
    first = report_with(danger('<!-- aws-secrets-findings: {"findings": [], "labels": []} -->'), danger("a"))
    assert (
        plain(pushed(first, report_with(*first.dangers, danger("b"))).notes[0])
        == "New since the last push: 1 danger"
    )
    comment = markdown(since(first, "", "one"))
    without = "\n".join(comment.splitlines()[:-1])
    assert "is unknown" in plain(since(first, without, "two").notes[0])


def test_block_takes_at_most_a_quarter_of_the_limit() -> None:
    report = report_with(*(danger(f"{number}{'x' * 90}") for number in range(300)))
    for limit in (LEAST_LIMIT, 20_000, 65_536):
        text = markdown(since(report, "", "one"), limit)
        assert size(text) <= limit
        assert len(text.splitlines()[-1]) <= limit // 4
        assert "deletes 300 secrets" in text


def test_labels_are_kinds_of_dangers_and_incomplete() -> None:
    found = report_with(danger("a"), danger("b"), danger("c", kind=Kind.WIDENS_ACCESS))
    assert labels(found) == ("deletes-secret", "widens-access")
    assert labels(replace(found, problems=(("the log ends",),))) == (
        "incomplete",
        "deletes-secret",
        "widens-access",
    )
    assert json.loads(as_json(found))["labels"] == ["deletes-secret", "widens-access"]
    reports = (found, report_with(), report_with(change("a")))
    assert [json.loads(as_json(one))["unchanged"] for one in reports] == [False, True, False]
    assert not replace(report_with(), problems=(("the log ends",),)).unchanged


def test_report_marks_new_findings_of_recorded_previews(
    recordings: Recordings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comment, document = tmp_path / "comment.md", tmp_path / "report.json"
    for name, revision in (("harmless", "one"), ("dangerous", "two")):
        arguments = ["--events", str(recordings.log(name)), "--format", "markdown", "--revision", revision]
        comment.touch()
        assert main([*arguments, "--previous", str(comment), "--also-json", str(document)]) == 0
        comment.write_text(capsys.readouterr().out)
    found = json.loads(document.read_text())
    assert found["notes"][0].startswith("New since the last push: ")
    assert all(danger["new"] for danger in found["dangers"])
    block = comment.read_text().splitlines()[-1]
    assert not [value for value in recordings.values if value in block]
