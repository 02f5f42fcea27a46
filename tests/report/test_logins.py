"""Test the rules for logins: a change that grants an administrator's privileges is never harmless."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.report import Component, Danger, Kind, Report, report
from operations.report.as_json import as_json
from operations.report.markdown import LEAST_LIMIT, markdown, size
from operations.report.model import plain
from operations.report.terminal import terminal
from tests.support.recordings import Recordings

LOGIN, NEW = "::shop-database-provisioning", "::second-database-provisioning"
ADMIN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"
HOSTILE_SQL = (
    "GRANT postgres TO {login} -- ```\n````\n::warning::x ##[add-mask]y\u202e\x1b[2J\n</details>@all"
)

Edit = Callable[[dict[str, Any]], None]


def provisioned(recordings: Recordings, before: Edit | None, after: Edit, urn_end: str = LOGIN) -> Report:
    """Return the report for these provisioning requests before and after the update.

    Args:
        recordings: the recorded previews.
        before: edits the request before the update; None keeps it as recorded.
        after: edits the request after the update.
        urn_end: end of the URN of the login's provisioning.
    """
    events = copy.deepcopy(recordings.events("database"))
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    [old] = {
        step["old"]["inputs"]["input"] for step in steps if step["urn"].endswith(LOGIN) and step.get("old")
    }
    for step in steps:
        if not step["urn"].endswith(urn_end):
            continue
        for side, edit in (("old", before), ("new", after)):
            if step.get(side):
                request = json.loads(old)
                if edit:
                    edit(request)
                step[side]["inputs"]["input"] = json.dumps(request)
    return report(events)


def of_login(found: Report, name: str = "shop-database") -> list[tuple[Kind, str]]:
    return [(danger.kind, plain(danger.text)) for danger in found.dangers if danger.component.name == name]


def same(_request: dict[str, Any]) -> None:
    pass


def with_(**parts: object) -> Edit:
    return lambda request: request.update(parts)


def connected(**parts: object) -> Edit:
    return lambda request: request["Connection"].update(parts)


def without_admin(request: dict[str, Any]) -> None:
    del request["Connection"]["masterarn"]


def test_more_privileges_in_stack_file_are_dangerous(recordings: Recordings) -> None:
    found = report(recordings.events("database"))
    assert found.complete
    assert {kind for kind, _ in of_login(found)} == {Kind.WIDENS_ACCESS}
    texts = [text for _, text in of_login(found)]
    assert any(text.startswith("Acts as the role billing_owner instead of ") for text in texts)
    assert "Is granted owner privileges in more schemas: billing" in texts
    assert "Is granted owner privileges in schemas billing, public instead of read-only privileges" in texts


def test_new_login_with_unknown_request_cannot_be_assessed(recordings: Recordings) -> None:
    [(kind, text)] = of_login(report(recordings.events("database")), "second-database")
    assert kind == Kind.CANNOT_BE_JUDGED
    assert text.startswith("The login's provisioning request is not known before the update")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (with_(Grants="read-only"), with_(Grants="read-write"), Kind.WIDENS_ACCESS),
        (with_(Grants="read-write"), with_(Grants="owner"), Kind.WIDENS_ACCESS),
        (with_(Grants="owner"), with_(Grants="read-only"), None),
        (lambda request: request.pop("Grants"), with_(Grants="read-only"), Kind.WIDENS_ACCESS),
        (same, with_(Grants=["SELECT 1"]), Kind.CANNOT_BE_JUDGED),
        (with_(Grants=["SELECT 1"]), with_(Grants=["SELECT 2"]), Kind.CANNOT_BE_JUDGED),
        (with_(Grants=["SELECT 1"]), with_(Grants=["SELECT 1"]), None),
        (with_(Grants=["SELECT 1"]), with_(Grants="owner"), Kind.WIDENS_ACCESS),
        (with_(Grants=["SELECT 1"]), with_(Grants="read-only"), Kind.CANNOT_BE_JUDGED),
        (
            with_(Grants=["SELECT 1"]),
            with_(Grants=["SELECT 1"], Schemas=["public", "x"]),
            Kind.CANNOT_BE_JUDGED,
        ),
        (same, with_(Grants="superuser"), Kind.CANNOT_BE_JUDGED),
        (same, with_(Schemas=["public", "billing"]), Kind.WIDENS_ACCESS),
        (with_(Schemas=["public", "billing"]), same, None),
        (same, with_(OwnerRole="postgres"), Kind.WIDENS_ACCESS),
        (with_(OwnerRole="postgres"), same, Kind.WIDENS_ACCESS),
        (same, with_(Username="another"), Kind.CHANGES_LOGIN),
        (same, connected(host="db.example.com"), Kind.CHANGES_LOGIN),
        (same, connected(port="1"), Kind.CHANGES_LOGIN),
        (same, connected(dbname="another"), Kind.CHANGES_LOGIN),
        (same, connected(masterarn=ADMIN), Kind.CHANGES_LOGIN),
        (same, connected(masterarn=f"{ADMIN[:-6]}*"), Kind.WIDENS_ACCESS),
        (without_admin, connected(masterarn=ADMIN), Kind.WIDENS_ACCESS),
        (same, without_admin, None),
        (same, with_(Superuser=True), Kind.CANNOT_BE_JUDGED),
        (same, connected(sslmode="disable"), Kind.CANNOT_BE_JUDGED),
        (same, same, None),
    ],
)
def test_every_part_of_a_request_is_assessed(
    recordings: Recordings, before: Edit, after: Edit, kind: Kind | None
) -> None:
    found = {kind for kind, _ in of_login(provisioned(recordings, before, after))}
    assert kind in found if kind else not found


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (with_(Grants="owner"), Kind.WIDENS_ACCESS),
        (with_(Grants=["SELECT 1"]), Kind.CANNOT_BE_JUDGED),
        (with_(OwnerRole="postgres"), Kind.WIDENS_ACCESS),
        (with_(Superuser=True), Kind.CANNOT_BE_JUDGED),
        (with_(Grants="read-write"), None),
        (with_(Grants="read-only", Schemas=["a", "b"]), None),
    ],
)
def test_new_owner_or_custom_sql_is_dangerous(recordings: Recordings, after: Edit, kind: Kind | None) -> None:
    found = of_login(provisioned(recordings, None, after, NEW), "second-database")
    assert {kind for kind, _ in found} == ({kind} if kind else set())


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "[" * 100_000, None, 7])
def test_malformed_request_cannot_be_assessed(recordings: Recordings, text: object) -> None:
    events = copy.deepcopy(recordings.events("database"))
    for event in events:
        step = event.get("resourcePreEvent", {}).get("metadata", {})
        if step.get("urn", "").endswith(LOGIN) and step.get("new"):
            step["new"]["inputs"]["input"] = text
    [(kind, _)] = of_login(report(events))
    assert kind == Kind.CANNOT_BE_JUDGED


def test_custom_sql_is_quoted_in_full_and_cannot_break_out(recordings: Recordings) -> None:
    found = provisioned(recordings, same, with_(Grants=[HOSTILE_SQL, "SELECT 1"]))
    [danger] = [danger for danger in found.dangers if danger.code]
    assert danger.code == (HOSTILE_SQL, "SELECT 1")
    [document] = [danger for danger in json.loads(as_json(found))["dangers"] if "code" in danger]
    assert document["code"] == [HOSTILE_SQL, "SELECT 1"]
    assert "##[" not in as_json(found)
    shown = terminal(found)
    assert "      | GRANT postgres TO {login} -- ```\n      | ````\n" in shown
    assert "      | SELECT 1\n" in shown
    for text in (shown, markdown(found)):
        assert text.replace("\n", "").isprintable()
        assert "##[" not in text
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text("`~\n @<>:#[x", max_size=60)))
def test_sql_cannot_break_out_of_its_code_block(sql: str) -> None:
    component = {"what": "login", "name": "x"}
    found = Report(
        stack="test",
        preview=True,
        verdict=("Does",),
        problems=(),
        dangers=(_danger(component, sql),),
        changes=(),
        details=(),
    )
    lines = markdown(found).splitlines()
    start = next(at for at, line in enumerate(lines) if line.endswith("`sql"))
    fence = lines[start].strip().removesuffix("sql")
    closing = [at for at, line in enumerate(lines) if line.strip() == fence]
    assert set(fence) == {"`"}
    assert len(closing) == 1  # CommonMark: a fence at least as long as the opening one closes the block
    within = lines[start + 1 : closing[0]]
    assert all(line.startswith("    ") for line in within)
    assert len(within) == sql.count("\n") + 1
    assert not any(fence in line for line in within)


def test_sql_that_is_too_long_hides_no_other_danger() -> None:
    long = "SELECT 1; " * 2_000
    dangers = tuple(_danger({"what": "login", "name": f"login-{number}"}, long) for number in range(5))
    found = Report(
        stack="", preview=True, verdict=("Does",), problems=(), dangers=dangers, changes=(), details=()
    )
    text = markdown(found, LEAST_LIMIT)
    assert size(text) <= LEAST_LIMIT
    assert all(f"`login-{number}`" in text for number in range(5))
    assert text.count("too long to quote here") == 5


def _danger(component: dict[str, str], sql: str) -> Danger:
    return Danger(kind=Kind.CANNOT_BE_JUDGED, component=Component(**component), text=("Runs",), code=(sql,))


def test_switching_alternating_users_on_or_off_is_dangerous(recordings: Recordings) -> None:
    for before, after in (("postgres-alternating", "postgres"), ("postgres", "postgres-alternating")):
        found = tagged(recordings, {"aws-secrets:rotation": before}, {"aws-secrets:rotation": after})
        assert [kind for kind, _ in found] == [Kind.CHANGES_LOGIN]


def test_key_that_rotation_will_regenerate_is_named(recordings: Recordings) -> None:
    kind = {"aws-secrets:rotation": "random-key"}
    found = tagged(
        recordings,
        {**kind, "aws-secrets:rotation-keys": "KEY"},
        {**kind, "aws-secrets:rotation-keys": "KEY STRIPE"},
    )
    assert found == [(Kind.OVERWRITES_VALUE, "Each rotation will now regenerate STRIPE")]


def tagged(recordings: Recordings, before: dict[str, str], after: dict[str, str]) -> list[tuple[Kind, str]]:
    events = copy.deepcopy(recordings.events("harmless"))
    for event in events:
        step = event.get("resourcePreEvent", {}).get("metadata", {})
        if step.get("urn", "").endswith("::app-secret") and step["op"] == "update":
            step["old"]["inputs"]["tags"], step["new"]["inputs"]["tags"] = before, after
    return of_login(report(events), "app")
