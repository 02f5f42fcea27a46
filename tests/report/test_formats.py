"""Test the formats of a report: names cannot break out, limits hold, and the JSON is stable."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from operations.report import Change, Component, Danger, Detail, Kind, Name, Report, Text, report
from operations.report.as_json import as_json
from operations.report.markdown import GITHUB_LIMIT, LEAST_LIMIT, markdown, marker, size
from operations.report.model import named
from operations.report.names import visible
from operations.report.steps import WORDS, Plan
from operations.report.terminal import terminal
from operations.report.verdict import verdict
from tests.support.recordings import Recordings

HOSTILE = (
    "@octocat/everyone",
    "![](https://example.com/x.png)",
    "[click](javascript:alert(1))",
    "</details><script>alert(1)</script>",
    "<!-- aws-secrets-preview:other -->",
    "`code` **bold**",
    "``` \n```",
    "a\n\n# Heading\n- no dangers",
    "\x1b[2J\x1b]0;title\x07",
    "\u202eevil\u2066",
    "\ud800",
    "owner/name#1 GH-1 0123456789abcdef0123456789abcdef01234567",
    "|a|b|\\",
    "",
)
_names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text("`\\<@[!\n", max_size=300))
_kinds = st.sampled_from(Kind)


@st.composite
def _components(draw: st.DrawFn) -> Component:
    return Component(what=draw(st.sampled_from(["secret", "login"])), name=draw(_names))


_findings = st.lists(st.tuples(_kinds, _components(), _names), min_size=1, max_size=4)


@dataclass(frozen=True)
class Sizes:
    dangers: int
    changes: int
    details: int


_number = st.sampled_from([0, 1, 2, 30, 1_000])
_sizes = st.builds(Sizes, _number, _number, _number)


def repeated(base: list[tuple[Kind, Component, str]], sizes: Sizes, problems: list[str]) -> Report:
    """Return a report of these sizes that repeats a few findings."""
    dangers, changes, details = (
        [base[turn % len(base)] for turn in range(number)]
        for number in (sizes.dangers, sizes.changes, sizes.details)
    )
    return Report(
        stack=base[0][2],
        preview=True,
        verdict=("Does ", Name(base[0][2])),
        problems=tuple(("the log ends at ", Name(name)) for name in problems),
        dangers=tuple(
            Danger(kind=kind, component=component, text=("Does ", Name(name), " harm"))
            for kind, component, name in dangers
        ),
        changes=tuple(
            Change(component=component, text=("Does ", Name(name), " good")) for _, component, name in changes
        ),
        details=tuple(
            Detail(op="update", urn=name, type="a:b/c:D", name=name, properties=(name,) * (len(name) % 25))
            for _, _, name in details
        ),
    )


def skeleton(text: str) -> str:
    """Return the text without the content of code spans and without the marker's name."""
    return re.sub(r"aws-secrets-preview:\S*", "aws-secrets-preview:", re.sub(r"`[^`\n]*`", "`N`", text))


@settings(max_examples=150, deadline=None)
@given(
    base=_findings,
    sizes=_sizes,
    problems=st.lists(_names, max_size=9),
    limit=st.sampled_from([LEAST_LIMIT, 10_000, GITHUB_LIMIT]),
)
def test_report_stays_within_limit_and_counts_dangers(
    base: list[tuple[Kind, Component, str]], sizes: Sizes, problems: list[str], limit: int
) -> None:
    whole = repeated(base, sizes, problems)
    text = markdown(whole, limit)
    assert len(text.replace("\n", "\r\n").encode()) <= limit
    for kind in Kind:
        number = sum(danger.kind == kind for danger in whole.dangers)
        stated = re.findall(rf"^- \*\*.*\b{number}\b.*\*\*$", text, re.MULTILINE)
        assert not number or stated
    plain = skeleton(text)
    shown = plain.count("Does `N` harm\n")
    omitted = sum(int(number) for number in re.findall(r"and (\d+) more of these", plain))
    assert shown + omitted == sizes.dangers
    if omitted:  # dangers are omitted last
        assert "Does `N` good" not in plain
        assert "- update `N`" not in plain
    if sizes.changes > plain.count("Does `N` good\n"):
        assert f"and {sizes.changes - plain.count('Does `N` good')} more change" in plain
        assert "- update `N`" not in plain


@settings(max_examples=60, deadline=None)
@given(name=_names)
@example(name=HOSTILE[3])
@example(name=HOSTILE[7])
def test_name_cannot_change_the_structure_of_a_report(name: str) -> None:
    def rendered(name: str) -> str:
        component = Component(what="secret", name=name)
        found = Report(
            stack="test",
            preview=True,
            verdict=("Does ", Name(name)),
            problems=(("ends at ", Name(name)),),
            dangers=(Danger(kind=Kind.DELETES_SECRET, component=component, text=("Does ", Name(name))),),
            changes=(Change(component=component, text=("Does ", Name(name))),),
            details=(Detail(op="update", urn=name, type=name, name=name, properties=(name,)),),
        )
        shown = terminal(found)
        assert shown.isascii()
        assert shown.replace("\n", "").isprintable()
        assert len(shown.splitlines()) == len(terminal(found).split("\n")) - 1
        json.loads(as_json(found))
        return markdown(found)

    assert skeleton(rendered(name)) == skeleton(rendered("plain"))
    assert marker(name).count("-->") == 1


def test_counts_alone_fit_the_least_limit() -> None:
    long = "`" * 600
    component = Component(what="rotation function", name=long)
    dangers = tuple(
        Danger(kind=kind, component=component, text=(*named([f"{number}{long}" for number in range(20)]),))
        for kind in Kind
        for _ in range(50)
    )
    problems: tuple[Text, ...] = (("the run failed at ", Name(long), "; the reason is in the log " * 3),) * 20
    empty = Plan(steps=(), by_urn={}, created_secrets=frozenset(), names_by_arn={})
    nouns = ", ".join(f"100000 {noun}s" for noun in WORDS.values())
    does = f" creates {nouns}, changes {nouns}, deletes {nouns}"
    for reasons in (problems, ()):
        whole = Report(
            stack=long,
            preview=True,
            verdict=(*verdict(empty, dangers, reasons), does),
            problems=reasons,
            dangers=dangers,
            changes=tuple(Change(component=component, text=danger.text) for danger in dangers),
            details=(Detail(op="update", urn=long, type=long, name=long, properties=(long,) * 99),) * 50,
            notes=tuple((*named([f"{number}{long}" for number in range(20)]),) for _ in range(9)),
        )
        assert size(markdown(whole, LEAST_LIMIT)) <= LEAST_LIMIT


def renamed(value: Any, name: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return a value with another name for two secrets and a key, in policy documents too."""
    if isinstance(value, dict):
        return {renamed(key, name): renamed(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, name) for item in value]
    if not isinstance(value, str):
        return value
    inserted = json.dumps(name)[1:-1] if value.startswith("{") else name
    return re.sub("team/pay|BYTES|shop-database", lambda _: inserted, value)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_in_recorded_preview_stay_inert(recordings: Recordings, hostile: str) -> None:
    events = recordings.events("dangerous")
    text, expected = markdown(report(renamed(events, hostile), "test")), markdown(report(events))
    assert sorted(skeleton(text).splitlines()) == sorted(skeleton(expected).splitlines())


@settings(deadline=None)
@given(st.text(max_size=400))
def test_names_are_short_and_printable(name: str) -> None:
    shown = visible(name)
    assert re.fullmatch(r"[ -_a-~]{1,130}", shown)
    if re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,120}", name):
        assert shown == name


def test_small_limit_omits_resources_first_and_no_danger(recordings: Recordings) -> None:
    found = report(recordings.events("dangerous"))
    whole, small = markdown(found), markdown(found, LEAST_LIMIT)
    for danger in found.dangers:
        assert all(part.text in small for part in danger.text if isinstance(part, Name))
    assert size(small) <= LEAST_LIMIT < size(whole)
    assert "size limit" not in whole
    assert re.search(r"and \d+ more resources not shown \(size limit\)", small)


def test_limit_that_is_too_short_is_rejected(recordings: Recordings) -> None:
    with pytest.raises(ValueError, match=str(LEAST_LIMIT)):
        markdown(report(recordings.events("nothing")), LEAST_LIMIT - 1)


def test_first_line_of_a_comment_names_its_stack(recordings: Recordings) -> None:
    for name in recordings.names:
        assert markdown(report(recordings.events(name))).splitlines()[0] == marker("test")
    assert markdown(report([], "test")).splitlines()[0] == marker("test")
    assert marker("test") != marker("test2")


def test_json_has_the_same_content_as_the_report(recordings: Recordings) -> None:
    found = report(recordings.events("dangerous"))
    document = json.loads(as_json(found))
    assert document["version"] == 1
    assert set(document) == {
        *(
            "version",
            "stack",
            "preview",
            "complete",
            "verdict",
            "problems",
            "dangers",
            "changes",
            "resources",
            "notes",
            "unchanged",
            "labels",
            "digest",
        ),
        "counts",
    }
    assert [danger["kind"] for danger in document["dangers"]] == [danger.kind for danger in found.dangers]
    assert document["dangers"][0] == {
        "kind": "deletes-secret",
        "component": {"what": "secret", "name": "old"},
        "text": "Is deleted; it can be restored for 30 days",
        "names": [],
    }
    assert document["counts"]["delete"] == 9
    app = next(resource for resource in document["resources"] if resource["urn"].endswith("Secret::app"))
    assert app["op"] == "update"
    assert app["properties"] == [
        "initialValues.ADDED",
        "initialValues.BYTES",
        "initialValues.ENVIRONMENT",
        "initialValues.KEY",
    ]
