"""A log that is cut off or spoiled makes an incomplete report, which calls nothing harmless."""

import functools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation.report import Report, report
from automation.report.as_json import as_json
from automation.report.events import parsed
from automation.report.markdown import markdown
from automation.report.model import plain
from automation.report.terminal import terminal
from tests.report.recordings import Recordings


def every_form(found: Report) -> str:
    return markdown(found) + as_json(found) + terminal(found)


def test_a_log_that_is_cut_off_anywhere_is_incomplete(recordings: Recordings) -> None:
    log = recordings.log("harmless").read_bytes()
    lines = log.splitlines(keepends=True)
    summary = next(number for number, line in enumerate(lines) if b"summaryEvent" in line)
    ends = [*range(0, len(lines) - 2, 25), summary]
    cuts = [b"".join(lines[:end]) for end in ends] + [b"".join(lines[: end + 1])[:-20] for end in ends]
    for cut in cuts:
        found = report(parsed(cut.splitlines()))
        assert not found.complete
        assert "nothing dangerous" not in every_form(found)


def test_a_log_that_lacks_or_spoils_a_step_is_incomplete(recordings: Recordings) -> None:
    lines = recordings.log("harmless").read_bytes().splitlines()
    metadata = [event.get("resourcePreEvent", {}).get("metadata", {}) for event in map(json.loads, lines)]
    steps = [
        number
        for number, step in enumerate(metadata)
        if step.get("logical") and not step["type"].startswith("pulumi:providers:")  # which nothing counts
    ]
    assert len(steps) > 40
    for number in steps[::4]:
        line = lines[number]
        for spoiled in ([], [b'{"resourcePreEvent": {"metadata": {}}}'], [line[:-5]], [b"[]"], [b"\xff"]):
            found = report(parsed([*lines[:number], *spoiled, *lines[number + 1 :]]))
            assert not found.complete, line[:200]


def test_a_line_that_is_no_event_makes_the_report_incomplete(recordings: Recordings) -> None:
    lines = recordings.log("harmless").read_bytes().splitlines()
    for noise in (b"panic: runtime error", b"[]", b"\xff", b'{"diagnosticEvent": '):
        assert not report(parsed([*lines[:30], noise, *lines[30:]])).complete
    assert report(parsed([*lines[:30], b"", *lines[30:], b"\n"])).complete


@pytest.mark.parametrize("broken", [7, "text", [], None, {"metadata": {"op": "update", "urn": "x"}}])
def test_an_event_of_another_form_is_no_exception(recordings: Recordings, broken: object) -> None:
    for kind in ("resourcePreEvent", "diagnosticEvent", "summaryEvent", "resOpFailedEvent", "preludeEvent"):
        events: list[dict[str, Any]] = [*recordings.events("harmless"), {kind: broken}]
        every_form(report(events))


def test_an_operation_that_the_engine_does_not_have_yet_makes_the_report_incomplete(
    recordings: Recordings,
) -> None:
    text = recordings.log("harmless").read_text().replace('"op":"update"', '"op":"transmute"')
    text = text.replace('"update":', '"transmute":')
    found = report(parsed(text.encode().splitlines()))
    assert not found.complete
    assert any("transmute" in plain(problem) for problem in found.problems)


def test_of_a_preview_and_its_update_in_one_log_the_update_counts(recordings: Recordings) -> None:
    events = [*recordings.events("dangerous"), *recordings.events("nothing")]
    assert report(events) == report(recordings.events("nothing"))


@functools.cache
def changing_steps(recordings: Recordings) -> str:
    """Events of steps that are not the same, without what no judgement looks at, as JSON."""
    events = [event for event in recordings.events("dangerous") if "resourcePreEvent" in event]
    return json.dumps([event for event in events if event["resourcePreEvent"]["metadata"]["op"] != "same"])


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["region", "Statement", "x"]), inner, max_size=2),
    ),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_form_of_a_step_is_an_exception(recordings: Recordings, data: st.DataObject) -> None:
    events: list[dict[str, Any]] = json.loads(changing_steps(recordings))
    changed = [event["resourcePreEvent"]["metadata"] for event in events]
    place: Any = data.draw(st.sampled_from(changed))
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], (dict, list)) and place[key]) or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(_json)
    found = report(events)
    assert markdown(found)
    assert terminal(found)
    assert json.loads(as_json(found))["dangers"]
