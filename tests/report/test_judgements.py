"""Single judgements: steps that the real engine recorded, with the one property changed that matters."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automation.report import Kind, Report, report
from automation.report.__main__ import DANGEROUS, INCOMPLETE
from automation.report.as_json import as_json
from automation.report.model import plain
from automation.report.steps import UNKNOWN
from tests.engine.stacks import ROOT
from tests.report.recordings import Recordings

Edit = Callable[[dict[str, Any]], None]
SCHEDULE = "::app-schedule"


def edited(events: list[dict[str, Any]], urn_end: str, edit: Edit) -> Report:
    """The report, after an edit of the step's metadata."""
    events = copy.deepcopy(events)
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    [found] = [step for step in steps if step["urn"].endswith(urn_end) and step["op"] != "refresh"]
    edit(found)
    return report(events)


def of(found: Report, name: str) -> list[tuple[Kind | None, str]]:
    """Dangers and changes of a component."""
    return [
        *((danger.kind, plain(danger.text)) for danger in found.dangers if danger.component.name == name),
        *((None, plain(change.text)) for change in found.changes if change.component.name == name),
    ]


def rules(old: dict[str, Any], new: dict[str, Any]) -> Edit:
    def edit(step: dict[str, Any]) -> None:
        step["old"]["inputs"]["rotationRules"] = old
        step["new"]["inputs"]["rotationRules"] = new

    return edit


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ({"automaticallyAfterDays": 30}, {"automaticallyAfterDays": 29}, None),
        ({"automaticallyAfterDays": 30}, {"automaticallyAfterDays": 31}, Kind.ROTATES_LESS_OFTEN),
        ({"automaticallyAfterDays": 1}, {"scheduleExpression": "rate(4 hours)"}, None),
        ({"scheduleExpression": "rate(4 hours)"}, {"automaticallyAfterDays": 1}, Kind.ROTATES_LESS_OFTEN),
        ({"scheduleExpression": "rate(10 days)"}, {"automaticallyAfterDays": 10}, None),
        (
            {"scheduleExpression": "cron(0 8 1 * ? *)"},
            {"scheduleExpression": "cron(0 9 1 * ? *)", "duration": "2h"},
            None,
        ),
        (
            {"scheduleExpression": "cron(0 8 1 * ? *)"},
            {"scheduleExpression": "cron(0 8 1 1 ? *)"},
            Kind.CANNOT_BE_JUDGED,
        ),
        (
            {"scheduleExpression": "cron(0 */4 1 * ? *)"},
            {"scheduleExpression": "cron(0 8 1 * ? *)"},
            Kind.CANNOT_BE_JUDGED,
        ),
        ({"automaticallyAfterDays": 30}, {"scheduleExpression": "cron(0 8 1 * ? *)"}, Kind.CANNOT_BE_JUDGED),
        ({"automaticallyAfterDays": 30}, {}, Kind.CANNOT_BE_JUDGED),
        *(
            ({"automaticallyAfterDays": 30}, {"automaticallyAfterDays": odd}, Kind.CANNOT_BE_JUDGED)
            for odd in (float("nan"), float("inf"), 10**400, True, "30", -1)
        ),
    ],
)
def test_a_schedule_is_compared_by_how_often_it_rotates(
    recordings: Recordings, old: dict[str, Any], new: dict[str, Any], kind: Kind | None
) -> None:
    found = edited(recordings.events("harmless"), SCHEDULE, rules(old, new))
    [(judged, text)] = [told for told in of(found, "app") if told[1].startswith("Rotates ")]
    assert judged == kind, text


def set_new(**inputs: object) -> Edit:
    return lambda step: step["new"]["inputs"].update(inputs)


@pytest.mark.parametrize(
    ("urn_end", "edit", "name", "kind"),
    [
        (SCHEDULE, set_new(rotateImmediately=True), "app", Kind.OVERWRITES_VALUE),
        (SCHEDULE, set_new(rotationLambdaArn="arn:aws:lambda:::function:x"), "app", None),
        ("::app-secret", set_new(policy="{}"), "app", Kind.CANNOT_BE_JUDGED),
        ("::app-secret", set_new(replicas=[{"region": "eu-west-1"}]), "app", None),
        ("::app-secret", set_new(recoveryWindowInDays=0), "app", Kind.SHORTENS_RECOVERY),
        ("::hook-policy", set_new(policy={"of": "another form"}), "hook", Kind.CANNOT_BE_JUDGED),
        ("::hook-policy", set_new(policy="no policy"), "hook", Kind.CANNOT_BE_JUDGED),
        ("::web-policy", set_new(policy='{"Statement": []}'), "web", None),
        ("::web-policy", set_new(policy="no policy"), "web", Kind.CANNOT_BE_JUDGED),
        (
            "::web-policy",
            set_new(policy='{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'),
            "web",
            Kind.WIDENS_ACCESS,
        ),
    ],
)
def test_a_property_is_judged_by_what_it_does(
    recordings: Recordings, urn_end: str, edit: Edit, name: str, kind: Kind | None
) -> None:
    found = edited(recordings.events("harmless"), urn_end, edit)
    assert found.complete
    assert {danger.kind for danger in found.dangers} == ({kind} if kind else set()), of(found, name)
    assert of(found, name)


def test_the_policy_of_a_reader_that_says_nothing_of_its_secrets_cannot_be_judged_before_the_update(
    recordings: Recordings,
) -> None:
    def without_names(step: dict[str, Any]) -> None:
        step["new"]["inputs"].pop("reads")

    found = edited(recordings.events("harmless"), "ReadAccess::hook", without_names)
    assert [danger.kind for danger in found.dangers] == [Kind.CANNOT_BE_JUDGED]


def test_a_preview_that_does_not_know_a_policy_yet_says_what_the_update_says(recordings: Recordings) -> None:
    events = recordings.events("up")
    told = report(events)
    for event in events:
        if "resourcePreEvent" in event and event["resourcePreEvent"]["metadata"]["type"].endswith(
            "RolePolicy"
        ):
            event["resourcePreEvent"]["metadata"]["new"]["inputs"]["policy"] = UNKNOWN
    found = report(events)
    assert found.dangers == told.dangers
    assert found.changes == told.changes
    assert found.dangers


def test_a_state_from_before_first_values_were_known_is_no_danger(recordings: Recordings) -> None:
    def older(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["old"]["inputs"] = {}

    events = recordings.events("nothing")
    for event in events:
        if "summaryEvent" in event:
            event["summaryEvent"]["resourceChanges"]["same"] -= 1
            event["summaryEvent"]["resourceChanges"]["update"] = 1
    found = edited(events, "Secret::app", older)
    assert plain(found.verdict) == "Changes 1 secret; nothing dangerous"


def test_a_policy_that_moves_to_another_role_lets_that_role_read(recordings: Recordings) -> None:
    def moved(step: dict[str, Any]) -> None:
        step["op"] = "replace"
        step["new"]["inputs"]["role"] = "another-role"
        step["new"]["inputs"]["policy"] = step["old"]["inputs"]["policy"]

    found = edited(recordings.events("dangerous"), "::hook-policy", moved)
    assert (Kind.WIDENS_ACCESS, "May read other") in of(found, "hook")


def test_a_known_policy_for_a_secret_of_the_same_update_is_no_danger(recordings: Recordings) -> None:
    def known(step: dict[str, Any]) -> None:
        old = step["old"]["inputs"]["policy"]
        new, number = re.subn(r'("[^"]*:secret:)other-\w{6}"', r'\g<0>, \1new-AbCdEf"', old)
        assert number == 2
        step["new"]["inputs"]["policy"] = new

    found = edited(recordings.events("harmless"), "::hook-policy", known)
    assert of(found, "hook") == [(None, "May read new, created by the same update")]


@pytest.mark.parametrize(
    ("retained", "text"),
    [
        (True, "The key leaves the stack and stays in AWS"),
        (False, "The key is deleted, and with it all that it encrypts"),
    ],
)
def test_a_key_that_goes_is_told_from_one_that_stays_in_aws(
    recordings: Recordings, retained: bool, text: str
) -> None:
    def gone(step: dict[str, Any]) -> None:
        step["op"] = "delete"
        step["old"]["retainOnDelete"] = retained

    found = edited(recordings.events("dangerous"), "::stack-key", gone)
    assert (Kind.DELETES_KEY, text) in of(found, "stack")


def test_a_deletion_at_once_is_told_as_one(recordings: Recordings) -> None:
    def at_once(step: dict[str, Any]) -> None:
        step["old"]["inputs"]["recoveryWindowInDays"] = 0

    found = edited(recordings.events("dangerous"), "::old-secret", at_once)
    assert of(found, "old") == [(Kind.DELETES_SECRET, "Is deleted at once and for good")]


def test_the_documentation_names_every_danger_field_and_exit_code(recordings: Recordings) -> None:
    text = Path(ROOT, "docs", "preview.md").read_text()
    assert re.findall(r"^\*\*`([a-z-]+)`\*\*", text, re.MULTILINE) == [kind.value for kind in Kind]
    codes = re.findall(r"^\| (\d) \|", text, re.MULTILINE)
    assert codes == ["0", "2", str(DANGEROUS), str(INCOMPLETE)]
    fields = text.partition("## JSON")[2]
    for field in json.loads(as_json(report(recordings.events("nothing")))):
        assert f"`{field}`" in fields


KEEPS = ": AWS keeps the secret as it is"


def secret_changes(
    recordings: Recordings, old: dict[str, Any], new: dict[str, Any]
) -> set[tuple[Kind | None, str]]:
    """What is told of the secret `app` whose component has these inputs before and after."""

    def changed(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["old"]["inputs"], step["new"]["inputs"] = old, new

    events = recordings.events("nothing")
    for event in events:
        if "summaryEvent" in event:
            event["summaryEvent"]["resourceChanges"]["same"] -= 1
            event["summaryEvent"]["resourceChanges"]["update"] = 1
    return {*of(edited(events, "Secret::app", changed), "app")}


def test_what_the_writer_will_do_to_a_live_secret_is_told_as_what_it_is(recordings: Recordings) -> None:
    before = {"SAME": "a", "RAISED": {"random": {}}, "LEFT": "b", "REMOVED": "c", "CHANGED": "d"}
    after = {
        "SAME": "a",
        "RAISED": {"random": {"length": 40}, "generation": 2},
        "CHANGED": "e",
        "ADDED": {"random": {}},
    }
    told = {
        (Kind.OVERWRITES_VALUE, "RAISED gets a new value in AWS, because its generation was raised"),
        (Kind.OVERWRITES_VALUE, "REMOVED is taken out of the secret"),
        (
            Kind.STAYS_OUT_OF_AWS,
            f"In the stack file the first value of CHANGED changes; LEFT is taken away{KEEPS}",
        ),
        (None, "ADDED is added in AWS"),
    }
    for mode in ("managed", "account"):
        old = {"initialValues": before, "mode": mode}
        assert (
            secret_changes(recordings, old, {**old, "initialValues": after, "removedKeys": ["REMOVED"]})
            == told
        )


def test_in_mode_once_nothing_of_that_reaches_aws(recordings: Recordings) -> None:
    old: dict[str, Any] = {"initialValues": {"RAISED": {"random": {}}}}
    new = {"initialValues": {"RAISED": {"random": {}, "generation": 2}, "ADDED": "a"}, "removedKeys": ["X"]}
    [(kind, text)] = secret_changes(recordings, old, new)
    assert kind == Kind.STAYS_OUT_OF_AWS
    assert "RAISED" in text
    assert "ADDED" in text


def test_another_mode_alone_is_told_and_not_dangerous(recordings: Recordings) -> None:
    hidden = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "[secret]"}
    values = {"initialValues": {"K": {"random": {}, "generation": 2}, "GIVEN": hidden}}
    assert secret_changes(recordings, values, {**values, "mode": "account"}) == {
        (None, "The values are written in another mode: account instead of once")
    }
