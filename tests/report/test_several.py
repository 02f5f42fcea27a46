"""Test reports on several stacks."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.exit_codes import ExitCode
from operations.report import Change, Component, Danger, Detail, Kind, Report, combined, report
from operations.report.as_json import as_json
from operations.report.command import main
from operations.report.events import parse_log
from operations.report.markdown import LEAST_LIMIT, markdown, marker, size
from operations.report.terminal import terminal
from tests.report.test_formats import HOSTILE
from tests.support.recordings import Recordings

_stacks = st.sampled_from(["prod.web", "prod.jobs", *HOSTILE])
_components = st.builds(Component, what=st.just("secret"), name=st.sampled_from(["a", "b", *HOSTILE]))
_reports = st.builds(
    Report,
    stack=_stacks,
    preview=st.sampled_from([True]),
    verdict=st.just(("Does something",)),
    problems=st.lists(st.just(("the log ends",)), max_size=2).map(tuple),
    dangers=st.lists(
        st.builds(Danger, kind=st.sampled_from(Kind), component=_components, text=st.just(("Harms",))),
        max_size=30,
    ).map(tuple),
    changes=st.lists(st.builds(Change, component=_components, text=st.just(("Helps",))), max_size=5).map(
        tuple
    ),
    details=st.lists(
        st.builds(
            Detail,
            op=st.just("update"),
            urn=st.just("urn"),
            type=st.just("a:b/c:D"),
            name=st.just("n"),
            properties=st.just(("p",)),
        ),
        max_size=5,
    ).map(tuple),
    does=st.dictionaries(st.just(("create", "secret")), st.integers(1, 5)),
)


@settings(deadline=None)
@given(st.lists(_reports, min_size=1, max_size=6))
def test_combined_report_keeps_all_dangers_in_order_within_limit(reports: list[Report]) -> None:
    whole = combined(reports, "prod")
    assert len(whole.dangers) == sum(len(one.dangers) for one in reports)
    order = [list(Kind).index(danger.kind) for danger in whole.dangers]
    assert order == sorted(order)
    assert whole.complete == all(one.complete for one in reports)
    text = markdown(whole, LEAST_LIMIT)
    assert size(text) <= LEAST_LIMIT
    assert text.startswith(marker("prod"))
    if whole.dangers:
        assert "#### Dangers" in text
        assert f"{len(whole.dangers)} danger" in text
    document = json.loads(as_json(whole))
    assert {danger["component"].get("stack", "") for danger in document["dangers"]} <= {
        one.stack for one in reports
    }
    assert sum(one["verdict"] == "Does something" for one in document["stacks"]) == len(reports)


def test_combined_report_adds_numbers_and_names_stacks(recordings: Recordings) -> None:
    def one(log: str, stack: str) -> Report:
        with recordings.log(log).open("rb") as lines:
            return report(parse_log(lines), stack)

    dangerous, nothing = one("dangerous", "prod.web"), one("nothing", "prod.jobs")
    whole = combined([nothing, dangerous, one("dangerous", "prod.other")], "prod")
    assert len(whole.dangers) == 2 * len(dangerous.dangers)
    assert {danger.component.stack for danger in whole.dangers} == {"prod.web", "prod.other"}
    assert whole.counts["same"] == nothing.counts["same"] + 2 * dangerous.counts["same"]
    assert "Preview of prod in 3 stacks: " in terminal(whole)
    assert "    prod.web: secret" in terminal(whole)
    assert "Preview of `prod` in 3 stacks:" in markdown(whole)


def test_several_logs_on_the_command_line_yield_one_report(
    recordings: Recordings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["--events", str(recordings.log("nothing")), "--events", str(recordings.log("dangerous"))]
    assert main([*both, "--stack", "prod", "--fail-on-danger", "--format", "json"]) == ExitCode.DANGEROUS
    assert json.loads(capsys.readouterr().out)["stack"] == "prod"
    # one missing log makes the whole report incomplete
    assert (
        main([*both, "--events", str(tmp_path / "missing"), "--fail-on-danger"]) == ExitCode.INCOMPLETE_REPORT
    )
