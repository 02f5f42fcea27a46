"""Reports of several stacks as one."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation.exit_codes import ExitCode
from automation.report import Change, Component, Danger, Detail, Kind, Report, combined, report
from automation.report.__main__ import main
from automation.report.as_json import as_json
from automation.report.events import parsed
from automation.report.markdown import LEAST_LIMIT, markdown, marker, size
from automation.report.terminal import terminal
from tests.report.recordings import Recordings
from tests.report.test_written import HOSTILE

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
def test_no_danger_is_lost_the_worst_come_first_and_the_size_is_kept(reports: list[Report]) -> None:
    whole = combined(reports, "prod")
    assert len(whole.dangers) == sum(len(one.dangers) for one in reports)
    order = [list(Kind).index(danger.kind) for danger in whole.dangers]
    assert order == sorted(order)
    assert whole.complete == all(one.complete for one in reports)
    text = markdown(whole, LEAST_LIMIT)
    assert size(text) <= LEAST_LIMIT
    assert text.startswith(marker("prod"))
    if whole.dangers:
        assert text.index("#### Dangerous") < len(text)
        assert f"{len(whole.dangers)} dangerous change" in text
    told = json.loads(as_json(whole))
    assert {danger["component"].get("stack", "") for danger in told["dangers"]} <= {
        one.stack for one in reports
    }
    assert sum(one["verdict"] == "Does something" for one in told["stacks"]) == len(reports)


def test_numbers_add_up_and_each_danger_names_its_stack(recordings: Recordings) -> None:
    def one(log: str, stack: str) -> Report:
        with recordings.log(log).open("rb") as lines:
            return report(parsed(lines), stack)

    dangerous, nothing = one("dangerous", "prod.web"), one("nothing", "prod.jobs")
    whole = combined([nothing, dangerous, one("dangerous", "prod.other")], "prod")
    assert len(whole.dangers) == 2 * len(dangerous.dangers)
    assert {danger.component.stack for danger in whole.dangers} == {"prod.web", "prod.other"}
    assert whole.counts["same"] == nothing.counts["same"] + 2 * dangerous.counts["same"]
    assert "Preview of prod in 3 stacks: " in terminal(whole)
    assert "    prod.web: secret" in terminal(whole)
    assert "Preview of `prod` in 3 stacks:" in markdown(whole)


def test_several_logs_on_the_command_line_make_one_report(
    recordings: Recordings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["--events", str(recordings.log("nothing")), "--events", str(recordings.log("dangerous"))]
    assert main([*both, "--stack", "prod", "--fail-on-danger", "--format", "json"]) == ExitCode.DANGEROUS
    assert json.loads(capsys.readouterr().out)["stack"] == "prod"
    # one log that is not there makes the whole incomplete
    assert (
        main([*both, "--events", str(tmp_path / "missing"), "--fail-on-danger"]) == ExitCode.INCOMPLETE_REPORT
    )
