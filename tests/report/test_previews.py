"""What the report says of previews that the real engine made."""

import random

from automation.report import Kind, Report, report
from automation.report.as_json import as_json
from automation.report.events import parsed
from automation.report.markdown import markdown
from automation.report.model import plain
from automation.report.terminal import terminal
from tests.engine.test_secrecy import numbers_of_shown
from tests.report.recordings import Recordings


def dangers(found: Report) -> set[tuple[Kind, str, str]]:
    return {
        (danger.kind, f"{danger.component.what} {danger.component.name}", plain(danger.text))
        for danger in found.dangers
    }


def changes(found: Report) -> set[tuple[str, str]]:
    return {
        (f"{change.component.what} {change.component.name}", plain(change.text)) for change in found.changes
    }


def every_form(found: Report) -> str:
    return markdown(found) + as_json(found) + terminal(found)


def test_a_first_update_is_told_in_the_words_of_the_stack_file(recordings: Recordings) -> None:
    found = report(recordings.events("up"))
    assert found.complete
    assert not found.preview
    assert found.stack == "test"
    assert {
        ("secret app", "Is created with BYTES, ENVIRONMENT, KEY, STRIPE, TOKEN; a person fills TOKEN"),
        ("login shop-database", "Login is created"),
        ("login shop-database", "Gets read-only privileges in the schemas public"),
        ("login shop-database", "Rotation is attached: every 30 days"),
        ("rotation app", "Rotation is attached: every 30 days"),
        ("reader web", "A new reader may read app, old, created by the same update"),
        ("encryption key stack", "Encryption key is created"),
    } <= changes(found)
    # the administrator's secret is RDS's, and was there before
    assert {(kind, component) for kind, component, _ in dangers(found)} == {
        (Kind.WIDENS_ACCESS, "rotation function rotation")
    }


def test_a_preview_without_changes_says_so_in_one_line(recordings: Recordings) -> None:
    found = report(recordings.events("nothing"))
    assert plain(found.verdict) == "Changes nothing"
    assert (found.dangers, found.changes, found.details, found.complete) == ((), (), (), True)


def test_what_harms_nothing_live_is_told_and_not_dangerous(recordings: Recordings) -> None:
    found = report(recordings.events("harmless"))
    assert plain(found.verdict) == (
        "Creates 1 secret, 1 reader, 1 rotation, 1 redeployment, changes 2 secrets, 2 readers, "
        "1 rotation, 1 rotation function; nothing dangerous"
    )
    assert changes(found) == {
        ("secret new", "Is created with N, TOKEN; a person fills TOKEN"),
        ("reader hook", "May read new, created by the same update"),
        ("rotation new", "Rotation is attached: every 30 days"),
        ("rotation function rotation", "May rotate, and so read, new, created by the same update"),
        ("reader worker", "A new reader may read new, created by the same update"),
        ("reader worker", "Reader is created"),
        ("redeployment worker-redeploy", "Redeployment is created"),
        ("reader web", "No longer reads old"),
        ("rotation app", "Rotates every 14 days instead of every 30 days"),
        ("secret app", "Description changes"),
        ("secret app", "Tags change: team"),
        ("secret other", "Protected from now on"),
        ("secret other", "Recovery window from 14 days to 30 days"),
    }
    assert found.complete
    assert found.preview


def test_each_danger_of_a_stack_file_is_found(recordings: Recordings) -> None:
    found = report(recordings.events("dangerous"))
    told: dict[tuple[Kind, str], list[str]] = {}
    for kind, component, text in sorted(dangers(found)):
        told.setdefault((kind, component), []).append(text)
    foreign = "principals arn:aws:iam::210987654321:role/foreign"
    keeps = ": AWS keeps the secret as it is"
    assert told == {
        (Kind.DELETES_SECRET, "secret old"): ["Is deleted; it can be restored for 30 days"],
        (Kind.WIDENS_ACCESS, "encryption key stack"): [f"The key's policy lets more in: {foreign}"],
        (Kind.WIDENS_ACCESS, "reader late"): ["A new reader may read app"],
        (Kind.WIDENS_ACCESS, "reader web"): [
            "May read shop-database",
            (
                "The role web-role can be taken in more ways: other or fewer conditions on "
                "oidc.eks.us-east-1.amazonaws.com/id/abc:sub"
            ),
        ],
        (Kind.WIDENS_ACCESS, "reader pods"): [
            "Pods of another service account have the role",
            (
                "The role pods-role can be taken in more ways: other or fewer conditions on "
                "aws:requesttag/kubernetes-namespace"
            ),
        ],
        (Kind.WIDENS_ACCESS, "secret app"): [
            (
                f"The secret's policy lets more in: {foreign}; "
                "actions secretsmanager:DescribeSecret, secretsmanager:GetSecretValue"
            )
        ],
        (Kind.WIDENS_ACCESS, "secret team/pay"): [
            (
                "The secret's policy lets more in: principals arn:aws:iam::210987654321:role/other and 1 of "
                "another form; actions secretsmanager:* and 1 of another form"
            )
        ],
        (Kind.REMOVES_ROTATION, "rotation app"): ["Rotation ends; the secret keeps the value it has"],
        (Kind.ROTATES_LESS_OFTEN, "login shop-database"): ["Rotates every 90 days instead of every 30 days"],
        (Kind.REMOVES_PROTECTION, "secret team/pay"): [
            "No longer protected: a later update may delete or replace it"
        ],
        (Kind.SHORTENS_RECOVERY, "secret team/pay"): [
            "A deleted secret can be restored for less time: from 30 days to 7 days"
        ],
        (Kind.STAYS_OUT_OF_AWS, "login shop-database"): [
            "password is generated again in Pulumi's state alone; AWS keeps the value it has"
        ],
        (Kind.STAYS_OUT_OF_AWS, "secret app"): [
            (
                "In the stack file the first value of ENVIRONMENT, KEY changes (perhaps also of STRIPE, "
                f"which is hidden); ADDED is added; BYTES is taken away{keeps}"
            )
        ],
        (Kind.STAYS_OUT_OF_AWS, "secret other"): [
            "The key of its own is taken away only here: AWS goes on encrypting with it"
        ],
        (Kind.STAYS_OUT_OF_AWS, "secret team/pay"): [
            f"In the stack file the first value of VENDOR changes{keeps}"
        ],
    }
    assert plain(found.verdict).startswith(
        "17 dangerous changes: deletes 1 secret, widens access in 8 places"
    )


def test_each_danger_of_a_changed_program_is_found(recordings: Recordings) -> None:
    found = report(recordings.events("program"))
    assert {(kind, component) for kind, component, _ in dangers(found)} == {
        (Kind.REPLACES_SECRET, "secret other"),
        # without ignoring changes each initial version loses the label AWSCURRENT, which AWS gave it
        *((Kind.OVERWRITES_VALUE, f"secret {name}") for name in ("app", "old", "team/pay", "other")),
        (Kind.OVERWRITES_VALUE, "rotation app"),
        (Kind.OVERWRITES_VALUE, "rotation old"),
        (Kind.OVERWRITES_VALUE, "login shop-database"),
        (Kind.DELETES_KEY, "encryption key stack"),
        (Kind.WIDENS_ACCESS, "secret team/pay"),
        (Kind.REMOVES_ROTATION, "encryption key stack"),
        (Kind.REMOVES_PROTECTION, "encryption key stack"),
        (Kind.SHORTENS_RECOVERY, "encryption key stack"),
    }


def test_a_failed_preview_names_what_failed_and_calls_nothing_harmless(recordings: Recordings) -> None:
    found = report(recordings.events("failing"))
    assert not found.complete
    [problem] = map(plain, found.problems)
    assert problem.startswith("the run failed at ")
    assert "which this report does not repeat" in problem
    assert plain(found.verdict).startswith("Incomplete: ")


def test_a_failure_shows_in_what_the_engine_sums_up_or_in_what_it_says(recordings: Recordings) -> None:
    events = recordings.events("failing")
    assert not report([event for event in events if "diagnosticEvent" not in event]).complete
    for event in events:
        event.get("summaryEvent", {}).pop("result", None)
    assert any("the run failed at " in plain(problem) for problem in report(events).problems)


def test_the_log_of_a_refresh_is_not_judged(recordings: Recordings) -> None:
    found = report(recordings.events("refresh"))
    assert not found.complete
    assert found.dangers == ()
    assert "refresh" in plain(found.verdict)


def test_no_value_no_encrypted_text_and_no_message_shows(recordings: Recordings) -> None:
    assert len(recordings.values) > 20
    logs = b"".join(recordings.log(name).read_bytes() for name in recordings.names).decode()
    assert "value-in-an-error" in logs
    for name in recordings.names:
        shown = every_form(report(recordings.events(name), live=recordings.live("dangerous")))
        shown_values = numbers_of_shown(recordings.values, shown.encode())  # apart: pytest prints calls
        assert shown_values == [], name
        for forbidden in ("ciphertext", "4dabf18193072939515e22adb298388d", "v1:", "[secret]"):
            assert forbidden not in shown


def test_the_same_steps_in_any_order_make_the_same_text(recordings: Recordings) -> None:
    for name in ("dangerous", "up"):
        events = recordings.events(name)
        first, *rest = events  # the prelude, which begins a run
        expected = every_form(report(events))
        assert every_form(report(events)) == expected
        for seed in range(5):
            random.Random(seed).shuffle(rest)  # noqa: S311  nothing here is secret
            assert every_form(report([first, *rest])) == expected


def test_a_resource_of_a_type_that_this_report_does_not_know_cannot_be_judged(recordings: Recordings) -> None:
    log = (
        recordings.log("up")
        .read_text()
        .replace("aws:cloudwatch/metricAlarm:MetricAlarm", "aws:kms/grant:Grant")
    )
    found = report(parsed(log.encode().splitlines()))
    assert (Kind.CANNOT_BE_JUDGED, "rotation function rotation") in {
        (kind, component) for kind, component, _ in dangers(found)
    }
