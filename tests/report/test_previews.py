"""Test the reports on previews that the real engine recorded."""

import random

from operations import signatures
from operations.report import Kind, Report, report
from operations.report.as_json import as_json
from operations.report.events import parse_log
from operations.report.markdown import markdown
from operations.report.model import plain
from operations.report.terminal import terminal
from tests.engine.test_secrecy import numbers_of_shown
from tests.support.recordings import Recordings


def dangers(found: Report) -> set[tuple[Kind, str, str]]:
    return {
        (danger.kind, f"{danger.component.what} {danger.component.name}", plain(danger.text))
        for danger in found.dangers
    }


def changes(found: Report) -> set[tuple[str, str]]:
    return {
        (f"{change.component.what} {change.component.name}", plain(change.text)) for change in found.changes
    }


def all_formats(found: Report) -> str:
    return markdown(found) + as_json(found) + terminal(found)


def test_first_update_is_described_in_terms_of_the_stack_file(recordings: Recordings) -> None:
    found = report(recordings.events("up"))
    assert found.complete
    assert not found.preview
    assert found.stack == "test"
    assert {
        (
            "secret app",
            "Is created with BYTES, ENVIRONMENT, KEY, STRIPE, TOKEN; waiting for manual input: TOKEN",
        ),
        ("login shop-database", "Is created"),
        ("login shop-database", "Is granted read-only privileges in schemas public"),
        ("login shop-database", "Rotation is turned on: every 30 days"),
        ("rotation app", "Rotation is turned on: every 30 days"),
        ("reader web", "A new reader can read app, old, created by the same update"),
        ("encryption key stack", "Is created"),
    } <= changes(found)
    # RDS created the administrator's secret before the update
    assert {(kind, component) for kind, component, _ in dangers(found)} == {
        (Kind.WIDENS_ACCESS, "rotation function rotation")
    }


def test_preview_without_changes_says_so(recordings: Recordings) -> None:
    found = report(recordings.events("nothing"))
    assert plain(found.verdict) == "No changes"
    assert (found.dangers, found.changes, found.details, found.complete) == ((), (), (), True)


def test_harmless_changes_are_reported_without_danger(recordings: Recordings) -> None:
    found = report(recordings.events("harmless"))
    assert plain(found.verdict) == (
        "Creates 1 secret, 1 reader, 1 rotation, 1 redeployment, changes 2 secrets, 2 readers, "
        "1 rotation, 1 rotation function; no dangers"
    )
    assert changes(found) == {
        ("secret new", "Is created with N, TOKEN; waiting for manual input: TOKEN"),
        ("reader hook", "Can read new, created by the same update"),
        ("rotation new", "Rotation is turned on: every 30 days"),
        ("rotation function rotation", "Can rotate, and so read, new, created by the same update"),
        ("reader worker", "A new reader can read new, created by the same update"),
        ("reader worker", "Is created"),
        ("redeployment worker-redeploy", "Is created"),
        ("reader web", "Can no longer read old"),
        ("rotation app", "Rotates every 14 days instead of every 30 days"),
        ("secret app", "The description changes"),
        ("secret app", "Tags change: team"),
        ("secret other", "Is now protected from deletion"),
        ("secret other", "The recovery window is extended from 14 days to 30 days"),
    }
    assert found.complete
    assert found.preview


def test_every_danger_of_a_stack_file_is_found(recordings: Recordings) -> None:
    found = report(recordings.events("dangerous"))
    texts: dict[tuple[Kind, str], list[str]] = {}
    for kind, component, text in sorted(dangers(found)):
        texts.setdefault((kind, component), []).append(text)
    foreign = "principals arn:aws:iam::210987654321:role/foreign"
    not_applied = ". This is not applied to the live secret"
    assert texts == {
        (Kind.DELETES_SECRET, "secret old"): ["Is deleted; it can be restored for 30 days"],
        (Kind.WIDENS_ACCESS, "encryption key stack"): [f"The key policy grants broader access: {foreign}"],
        (Kind.WIDENS_ACCESS, "reader late"): ["A new reader can read app"],
        (Kind.WIDENS_ACCESS, "reader web"): [
            "Can read shop-database",
            (
                "The trust policy of role web-role grants broader access: different or fewer conditions on "
                "oidc.eks.us-east-1.amazonaws.com/id/abc:sub"
            ),
        ],
        (Kind.WIDENS_ACCESS, "reader pods"): [
            "The role is associated with pods of a different service account",
            (
                "The trust policy of role pods-role grants broader access: different or fewer conditions on "
                "aws:requesttag/kubernetes-namespace"
            ),
        ],
        (Kind.WIDENS_ACCESS, "secret app"): [
            (
                f"The secret's policy grants broader access: {foreign}; "
                "actions secretsmanager:DescribeSecret, secretsmanager:GetSecretValue"
            )
        ],
        (Kind.WIDENS_ACCESS, "secret team/pay"): [
            (
                "The secret's policy grants broader access: principals "
                "arn:aws:iam::210987654321:role/other and 1 not shown here; "
                "actions secretsmanager:* and 1 not shown here"
            )
        ],
        (Kind.REMOVES_ROTATION, "rotation app"): [
            "Rotation is turned off; the secret keeps its current value"
        ],
        (Kind.ROTATES_LESS_OFTEN, "login shop-database"): ["Rotates every 90 days instead of every 30 days"],
        (Kind.REMOVES_PROTECTION, "secret team/pay"): [
            "Is no longer protected: a later update can delete or replace it"
        ],
        (Kind.SHORTENS_RECOVERY, "secret team/pay"): [
            "The recovery window is shortened from 30 days to 7 days"
        ],
        (Kind.STAYS_OUT_OF_AWS, "login shop-database"): [
            f"password is regenerated in Pulumi's state only{not_applied}"
        ],
        (Kind.STAYS_OUT_OF_AWS, "secret app"): [
            (
                "The stack file changes the initial value of ENVIRONMENT, KEY (and possibly that of STRIPE, "
                f"which Pulumi hides); adds ADDED; removes BYTES{not_applied}"
            )
        ],
        (Kind.STAYS_OUT_OF_AWS, "secret other"): [
            "Its own KMS key is removed from the stack file, but AWS keeps encrypting with it"
        ],
        (Kind.STAYS_OUT_OF_AWS, "secret team/pay"): [
            f"The stack file changes the initial value of VENDOR{not_applied}"
        ],
    }
    assert plain(found.verdict).startswith("17 dangers: deletes 1 secret, widens access in 8 places")


def test_every_danger_of_a_changed_program_is_found(recordings: Recordings) -> None:
    found = report(recordings.events("program"))
    assert {(kind, component) for kind, component, _ in dangers(found)} == {
        (Kind.REPLACES_SECRET, "secret other"),
        # without ignore_changes each initial version loses the label AWSCURRENT, which AWS attached
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


def test_failed_preview_names_the_failed_resource(recordings: Recordings) -> None:
    found = report(recordings.events("failing"))
    assert not found.complete
    [problem] = map(plain, found.problems)
    assert problem.startswith("the run failed at ")
    assert "which this report does not repeat" in problem
    assert plain(found.verdict).startswith("Incomplete: ")


def test_failure_is_found_in_summary_or_diagnostics(recordings: Recordings) -> None:
    events = recordings.events("failing")
    assert not report([event for event in events if "diagnosticEvent" not in event]).complete
    for event in events:
        event.get("summaryEvent", {}).pop("result", None)
    assert any("the run failed at " in plain(problem) for problem in report(events).problems)


def test_log_of_a_refresh_is_not_assessed(recordings: Recordings) -> None:
    found = report(recordings.events("refresh"))
    assert not found.complete
    assert found.dangers == ()
    assert "refresh" in plain(found.verdict)


def test_no_value_ciphertext_or_message_is_shown(recordings: Recordings) -> None:
    assert len(recordings.values) > 20
    logs = b"".join(recordings.log(name).read_bytes() for name in recordings.names).decode()
    assert "value-in-an-error" in logs
    for name in recordings.names:
        shown = all_formats(report(recordings.events(name), live=recordings.live("dangerous")))
        shown_values = numbers_of_shown(
            recordings.values, shown.encode()
        )  # not in the assert: pytest would print it
        assert shown_values == [], name
        for forbidden in ("ciphertext", signatures.KEY, "v1:", "[secret]"):
            assert forbidden not in shown


def test_order_of_steps_does_not_change_the_report(recordings: Recordings) -> None:
    for name in ("dangerous", "up"):
        events = recordings.events(name)
        first, *rest = events  # the prelude begins a run
        expected = all_formats(report(events))
        assert all_formats(report(events)) == expected
        for seed in range(5):
            random.Random(seed).shuffle(rest)  # noqa: S311  not used for secrets
            assert all_formats(report([first, *rest])) == expected


def test_unknown_resource_type_cannot_be_assessed(recordings: Recordings) -> None:
    log = (
        recordings.log("up")
        .read_text()
        .replace("aws:cloudwatch/metricAlarm:MetricAlarm", "aws:kms/grant:Grant")
    )
    found = report(parse_log(log.encode().splitlines()))
    assert (Kind.CANNOT_BE_JUDGED, "rotation function rotation") in {
        (kind, component) for kind, component, _ in dangers(found)
    }
