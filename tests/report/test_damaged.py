"""Test that a truncated or damaged log makes the report incomplete, and that nothing is called harmless."""

import functools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operations.report import Report, report
from operations.report.as_json import as_json
from operations.report.events import parse_log
from operations.report.markdown import markdown
from operations.report.model import plain
from operations.report.terminal import terminal
from tests.support.recordings import Recordings


def all_formats(found: Report) -> str:
    return markdown(found) + as_json(found) + terminal(found)


def test_log_truncated_anywhere_is_incomplete(recordings: Recordings) -> None:
    log = recordings.log("harmless").read_bytes()
    lines = log.splitlines(keepends=True)
    summary = next(number for number, line in enumerate(lines) if b"summaryEvent" in line)
    ends = [*range(0, len(lines) - 2, 25), summary]
    cuts = [b"".join(lines[:end]) for end in ends] + [b"".join(lines[: end + 1])[:-20] for end in ends]
    for cut in cuts:
        found = report(parse_log(cut.splitlines()))
        assert not found.complete
        assert "no dangers" not in all_formats(found)


def test_log_with_missing_or_damaged_step_is_incomplete(recordings: Recordings) -> None:
    lines = recordings.log("harmless").read_bytes().splitlines()
    metadata = [event.get("resourcePreEvent", {}).get("metadata", {}) for event in map(json.loads, lines)]
    steps = [
        number
        for number, step in enumerate(metadata)
        if step.get("logical") and not step["type"].startswith("pulumi:providers:")  # not in the summary
    ]
    assert len(steps) > 40
    for number in steps[::4]:
        line = lines[number]
        for damaged in ([], [b'{"resourcePreEvent": {"metadata": {}}}'], [line[:-5]], [b"[]"], [b"\xff"]):
            found = report(parse_log([*lines[:number], *damaged, *lines[number + 1 :]]))
            assert not found.complete, line[:200]


def test_line_that_is_not_an_event_makes_report_incomplete(recordings: Recordings) -> None:
    lines = recordings.log("harmless").read_bytes().splitlines()
    for noise in (b"panic: runtime error", b"[]", b"\xff", b'{"diagnosticEvent": '):
        assert not report(parse_log([*lines[:30], noise, *lines[30:]])).complete
    assert report(parse_log([*lines[:30], b"", *lines[30:], b"\n"])).complete


@pytest.mark.parametrize("broken", [7, "text", [], None, {"metadata": {"op": "update", "urn": "x"}}])
def test_malformed_event_raises_no_exception(recordings: Recordings, broken: object) -> None:
    for kind in ("resourcePreEvent", "diagnosticEvent", "summaryEvent", "resOpFailedEvent", "preludeEvent"):
        events: list[dict[str, Any]] = [*recordings.events("harmless"), {kind: broken}]
        all_formats(report(events))


def test_unknown_operation_makes_report_incomplete(
    recordings: Recordings,
) -> None:
    text = recordings.log("harmless").read_text().replace('"op":"update"', '"op":"transmute"')
    text = text.replace('"update":', '"transmute":')
    found = report(parse_log(text.encode().splitlines()))
    assert not found.complete
    assert any("transmute" in plain(problem) for problem in found.problems)


def test_last_run_in_the_log_counts(recordings: Recordings) -> None:
    events = [*recordings.events("dangerous"), *recordings.events("nothing")]
    assert report(events) == report(recordings.events("nothing"))


@functools.cache
def changing_steps(recordings: Recordings) -> str:
    """Return the events of changing steps as JSON, without everything that no rule reads."""
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
def test_malformed_step_raises_no_exception(recordings: Recordings, data: st.DataObject) -> None:
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
