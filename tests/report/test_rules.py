"""Test single rules, with recorded steps of the real engine in which one property is changed."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operations import signatures
from operations.report import Kind, Report, report
from operations.report.as_json import as_json
from operations.report.command import CODES
from operations.report.model import plain
from operations.report.steps import UNKNOWN
from operations.report.verdict import verdict_for
from tests.support.recordings import Recordings
from tests.support.stacks import ROOT

Edit = Callable[[dict[str, Any]], None]
SCHEDULE = "::app-schedule"


def edited(events: list[dict[str, Any]], urn_end: str, edit: Edit) -> Report:
    """Return the report after an edit of one step's metadata."""
    events = copy.deepcopy(events)
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    [step] = [step for step in steps if step["urn"].endswith(urn_end) and step["op"] != "refresh"]
    edit(step)
    return report(events)


def of(found: Report, name: str) -> list[tuple[Kind | None, str]]:
    """Return the dangers and changes of a component, as kind and text."""
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
def test_schedules_are_compared_by_frequency(
    recordings: Recordings, old: dict[str, Any], new: dict[str, Any], kind: Kind | None
) -> None:
    found = edited(recordings.events("harmless"), SCHEDULE, rules(old, new))
    [(actual, text)] = [finding for finding in of(found, "app") if finding[1].startswith("Rotates ")]
    assert actual == kind, text


def set_new(**inputs: object) -> Edit:
    return lambda step: step["new"]["inputs"].update(inputs)


@pytest.mark.parametrize(
    ("urn_end", "edit", "name", "kind"),
    [
        (SCHEDULE, set_new(rotateImmediately=True), "app", Kind.OVERWRITES_VALUE),
        (SCHEDULE, set_new(rotationLambdaArn="arn:aws:lambda:::function:x"), "app", None),
        ("::app-secret", set_new(policy="{}"), "app", Kind.CANNOT_BE_JUDGED),
        ("::app-secret", set_new(replicas=[{"region": "eu-west-1"}]), "app", None),
        ("::app-secret", set_new(replicas=UNKNOWN), "app", Kind.CANNOT_BE_JUDGED),
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
def test_properties_are_assessed_by_their_effect(
    recordings: Recordings, urn_end: str, edit: Edit, name: str, kind: Kind | None
) -> None:
    found = edited(recordings.events("harmless"), urn_end, edit)
    assert found.complete
    assert {danger.kind for danger in found.dangers} == ({kind} if kind else set()), of(found, name)
    assert of(found, name)


def test_unknown_policy_of_reader_without_names_cannot_be_assessed(
    recordings: Recordings,
) -> None:
    def without_names(step: dict[str, Any]) -> None:
        step["new"]["inputs"].pop("reads")

    found = edited(recordings.events("harmless"), "ReadAccess::hook", without_names)
    assert [danger.kind for danger in found.dangers] == [Kind.CANNOT_BE_JUDGED]


def test_new_secret_of_reader_is_found_before_policy_is_known(recordings: Recordings) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-1-AbCdEf"
    gained = set_new(readsByArn=[arn])
    found = edited(recordings.events("harmless"), "ReadAccess::hook", gained)
    assert (Kind.WIDENS_ACCESS, "Can read rds!cluster-1") in of(found, "hook")


@pytest.mark.parametrize("name", ["new", "app"])
def test_secret_of_another_account_is_named_by_arn(recordings: Recordings, name: str) -> None:
    arn = f"arn:aws:secretsmanager:us-east-1:210987654321:secret:{name}-AbCdEf"

    def known(step: dict[str, Any]) -> None:
        old = step["old"]["inputs"]["policy"]
        step["new"]["inputs"]["policy"] = re.sub(r'"[^"]*:secret:other-\w{6}"', rf'\g<0>, "{arn}"', old)

    for edits in (("ReadAccess::hook", set_new(readsByArn=[arn])), ("::hook-policy", known)):
        found = of(edited(recordings.events("harmless"), *edits), "hook")
        assert (Kind.WIDENS_ACCESS, f"Can read {arn}") in found


def test_preview_with_unknown_policy_reports_what_the_update_reports(recordings: Recordings) -> None:
    events = recordings.events("up")
    expected = report(events)
    for event in events:
        if "resourcePreEvent" in event and event["resourcePreEvent"]["metadata"]["type"].endswith(
            "RolePolicy"
        ):
            event["resourcePreEvent"]["metadata"]["new"]["inputs"]["policy"] = UNKNOWN
    found = report(events)
    assert found.dangers == expected.dangers
    assert found.changes == expected.changes
    assert found.dangers


def test_state_without_declared_values_is_not_dangerous(recordings: Recordings) -> None:
    def older(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["old"]["inputs"] = {}

    events = recordings.events("nothing")
    for event in events:
        if "summaryEvent" in event:
            event["summaryEvent"]["resourceChanges"]["same"] -= 1
            event["summaryEvent"]["resourceChanges"]["update"] = 1
    found = edited(events, "Secret::app", older)
    assert plain(found.verdict) == "Changes 1 secret; no dangers"


def test_policy_that_moves_to_another_role_widens_access(recordings: Recordings) -> None:
    def moved(step: dict[str, Any]) -> None:
        step["op"] = "replace"
        step["new"]["inputs"]["role"] = "another-role"
        step["new"]["inputs"]["policy"] = step["old"]["inputs"]["policy"]

    found = edited(recordings.events("dangerous"), "::hook-policy", moved)
    assert (Kind.WIDENS_ACCESS, "Can read other") in of(found, "hook")


def test_access_to_secret_of_same_update_is_not_dangerous(recordings: Recordings) -> None:
    def known(step: dict[str, Any]) -> None:
        old = step["old"]["inputs"]["policy"]
        new, number = re.subn(r'("[^"]*:secret:)other-\w{6}"', r'\g<0>, \1new-AbCdEf"', old)
        assert number == 2
        step["new"]["inputs"]["policy"] = new

    found = edited(recordings.events("harmless"), "::hook-policy", known)
    assert of(found, "hook") == [(None, "Can read new, created by the same update")]


@pytest.mark.parametrize(
    ("retained", "text"),
    [
        (True, "The key is removed from the stack and stays in AWS"),
        (False, "The key is deleted, and everything it encrypts becomes unreadable"),
    ],
)
def test_deleted_key_and_retained_key_are_reported_differently(
    recordings: Recordings, retained: bool, text: str
) -> None:
    def deleted(step: dict[str, Any]) -> None:
        step["op"] = "delete"
        step["old"]["retainOnDelete"] = retained

    found = edited(recordings.events("dangerous"), "::stack-key", deleted)
    assert (Kind.DELETES_KEY, text) in of(found, "stack")


def test_immediate_deletion_is_reported_as_permanent(recordings: Recordings) -> None:
    def at_once(step: dict[str, Any]) -> None:
        step["old"]["inputs"]["recoveryWindowInDays"] = 0

    found = edited(recordings.events("dangerous"), "::old-secret", at_once)
    assert of(found, "old") == [(Kind.DELETES_SECRET, "Is deleted immediately and permanently")]


def test_documentation_covers_every_danger_field_and_exit_code(recordings: Recordings) -> None:
    text = Path(ROOT, "docs", "preview.md").read_text()
    assert re.findall(r"^\*\*`([a-z-]+)`\*\*", text, re.MULTILINE) == [kind.value for kind in Kind]
    created = re.search(
        r"for kind in (.*?); do gh label create", Path(ROOT, "docs", "pipeline.md").read_text(), re.DOTALL
    )
    assert created
    assert created[1].replace("\\", "").split() == ["incomplete", *(kind.value for kind in Kind)]
    codes = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert codes == [str(int(code)) for code in sorted(CODES)]
    fields = text.partition("## JSON")[2]
    for field in json.loads(as_json(report(recordings.events("nothing")))):
        assert f"`{field}`" in fields


NOT_APPLIED = ". This is not applied to the live secret"


def secret_changes(
    recordings: Recordings, old: dict[str, Any], new: dict[str, Any]
) -> set[tuple[Kind | None, str]]:
    """Return the findings about the secret `app` for these inputs of its component before and after."""

    def changed(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["old"]["inputs"], step["new"]["inputs"] = old, new

    events = recordings.events("nothing")
    for event in events:
        if "summaryEvent" in event:
            event["summaryEvent"]["resourceChanges"]["same"] -= 1
            event["summaryEvent"]["resourceChanges"]["update"] = 1
    return {*of(edited(events, "Secret::app", changed), "app")}


def test_report_names_what_the_writer_changes_in_live_secret(recordings: Recordings) -> None:
    before = {"SAME": "a", "RAISED": {"random": {}}, "LEFT": "b", "REMOVED": "c", "CHANGED": "d"}
    after = {
        "SAME": "a",
        "RAISED": {"random": {"length": 40}, "generation": 2},
        "CHANGED": "e",
        "ADDED": {"random": {}},
    }
    expected = {
        (Kind.OVERWRITES_VALUE, "RAISED is overwritten in AWS, because the generation is raised"),
        (Kind.OVERWRITES_VALUE, "REMOVED is removed from the live secret"),
        (
            Kind.STAYS_OUT_OF_AWS,
            f"The stack file changes the initial value of CHANGED; removes LEFT{NOT_APPLIED}",
        ),
        (None, "ADDED is added to the live secret"),
    }
    for mode in ("managed", "account"):
        old = {"initialValues": before, "mode": mode}
        assert (
            secret_changes(recordings, old, {**old, "initialValues": after, "removedKeys": ["REMOVED"]})
            == expected
        )


def test_in_mode_once_no_declared_change_is_applied(recordings: Recordings) -> None:
    old: dict[str, Any] = {"initialValues": {"RAISED": {"random": {}}}}
    new = {"initialValues": {"RAISED": {"random": {}, "generation": 2}, "ADDED": "a"}, "removedKeys": ["X"]}
    [(kind, text)] = secret_changes(recordings, old, new)
    assert kind == Kind.STAYS_OUT_OF_AWS
    assert "RAISED" in text
    assert "ADDED" in text


HIDDEN = {signatures.KEY: signatures.SECRET, "value": "[secret]"}
POSSIBLY = (
    "Pulumi hides whether the configured value of GIVEN changes as well; "
    "such a change is not applied to the live secret"
)


def test_possible_change_of_hidden_value_cannot_be_assessed(
    recordings: Recordings,
) -> None:
    old: dict[str, Any] = {"initialValues": {"GIVEN": HIDDEN}, "mode": "managed"}
    added = {**old, "initialValues": {"GIVEN": HIDDEN, "ADDED": {"random": {}}}}
    assert secret_changes(recordings, old, added) == {
        (None, "ADDED is added to the live secret"),
        (Kind.CANNOT_BE_JUDGED, POSSIBLY),
    }
    assert (Kind.CANNOT_BE_JUDGED, POSSIBLY) in secret_changes(recordings, old, {**old, "mode": "account"})
    once = {"initialValues": old["initialValues"]}
    assert (Kind.CANNOT_BE_JUDGED, POSSIBLY) in secret_changes(
        recordings, once, {"initialValues": added["initialValues"]}
    )


def test_configured_value_with_generation_changes_like_one_without(recordings: Recordings) -> None:
    for given in (HIDDEN, {"value": HIDDEN, "generation": 2}):
        values: dict[str, Any] = {"initialValues": {"GIVEN": given}, "mode": "managed"}
        assert secret_changes(recordings, values, values) == {
            (Kind.STAYS_OUT_OF_AWS, f"The stack file changes the initial value of GIVEN{NOT_APPLIED}")
        }


def test_change_of_mode_alone_is_not_dangerous(recordings: Recordings) -> None:
    values = {"initialValues": {"K": {"random": {}, "generation": 2}}}
    assert secret_changes(recordings, values, {**values, "mode": "account"}) == {
        (None, "initialValues changes from once to account")
    }


VERSION = "::app-initial-version"
BOTH = ["AWSCURRENT", "aws-secrets-initial"]


def version_steps(
    recordings: Recordings,
    *steps: tuple[str, dict[str, Any] | None, dict[str, Any] | None],
    name: str = "nothing",
) -> Report:
    """Return the report for these steps of the initial version: operation, inputs before and after."""
    events = copy.deepcopy(recordings.events(name))
    [at] = [
        at
        for at, event in enumerate(events)
        if event.get("resourcePreEvent", {}).get("metadata", {}).get("urn", "").endswith(VERSION)
    ]
    replacement = []
    for op, old, new in steps:
        event = copy.deepcopy(events[at])
        metadata = event["resourcePreEvent"]["metadata"]
        metadata["op"] = op
        for side, inputs in (("old", old), ("new", new)):
            if inputs is None:
                metadata[side] = None
            else:
                metadata[side] = metadata[side] or copy.deepcopy(metadata["new"])
                metadata[side]["inputs"].update(inputs)
        replacement.append(event)
    events[at : at + 1] = replacement
    for event in events:
        counts = event.get("summaryEvent", {}).get("resourceChanges")
        if counts:
            counts["same"] -= 1
            for op, _, _ in steps:
                counts[op] = counts.get(op, 0) + 1
    return report(events)


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ([("same", {"versionStages": ["AWSCURRENT"]}, {"versionStages": ["AWSCURRENT"]})], set()),
        ([("same", {"versionStages": ["AWSCURRENT"]}, {"versionStages": BOTH})], set()),
        ([("create", None, {"versionStages": ["aws-secrets-initial"]})], set()),
        ([("create", None, {"versionStages": BOTH})], {Kind.OVERWRITES_VALUE}),
        ([("create", None, {"versionStages": None})], {Kind.OVERWRITES_VALUE}),
        ([("create", None, {"versionStages": UNKNOWN})], {Kind.OVERWRITES_VALUE}),
        ([("create", None, {"versionStages": ["aws-secrets-initial", UNKNOWN]})], {Kind.OVERWRITES_VALUE}),
        (
            [("update", {"versionStages": ["aws-secrets-initial"]}, {"versionStages": BOTH})],
            {Kind.OVERWRITES_VALUE},
        ),
        (
            [
                ("create-replacement", {}, {"secretString": "x", "versionStages": ["aws-secrets-initial"]}),
                ("replace", {}, {"secretString": "x"}),
                ("delete-replaced", {}, None),
            ],
            {Kind.OVERWRITES_VALUE},
        ),
        (
            [("delete-replaced", {}, None), ("replace", {}, {}), ("create-replacement", {}, {})],
            {Kind.OVERWRITES_VALUE},
        ),
    ],
)
def test_initial_version_that_may_become_live_is_dangerous(
    recordings: Recordings,
    steps: list[tuple[str, dict[str, Any] | None, dict[str, Any] | None]],
    kinds: set[Kind],
) -> None:
    found = version_steps(recordings, *steps)
    assert {danger.kind for danger in found.dangers} == kinds, of(found, "app")


def test_labels_missing_after_refresh_are_not_a_change(recordings: Recordings) -> None:
    events = copy.deepcopy(recordings.events("nothing"))

    def refreshed(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["old"]["inputs"]["versionStages"] = ["AWSCURRENT"]
        step["old"]["outputs"]["versionStages"] = BOTH
        step["new"]["inputs"]["versionStages"] = BOTH

    assert not edited(events, VERSION, refreshed).dangers


def test_initial_value_of_new_secret_is_not_dangerous(recordings: Recordings) -> None:
    for labels in (BOTH, UNKNOWN):
        events = copy.deepcopy(recordings.events("harmless"))
        found = edited(events, "::new-initial-version", set_new(versionStages=labels))
        assert not found.dangers


REPLICAS_STAY = "The replica in a, b is removed from the stack file, but stays in AWS"


@pytest.mark.parametrize(
    ("before", "after", "kind", "text"),
    [
        (["a", "b"], ["a"], Kind.DELETES_REPLICA, "The replica in b is deleted"),
        (["a"], ["b"], Kind.DELETES_REPLICA, "The replica in a is deleted"),
        (["a", "b"], None, Kind.STAYS_OUT_OF_AWS, REPLICAS_STAY),
        (["a", "b"], [], Kind.STAYS_OUT_OF_AWS, REPLICAS_STAY),
        (
            ["a"],
            ["a/key"],
            Kind.DELETES_REPLICA,
            "The replica in a is deleted and created again with a different key",
        ),
        (["a"], ["a", "b"], None, "Replicated to b"),
    ],
)
def test_replica_that_the_provider_deletes_is_dangerous(
    recordings: Recordings, before: list[str], after: list[str] | None, kind: Kind | None, text: str
) -> None:
    def replicas(regions: list[str] | None) -> list[dict[str, str]] | None:
        if regions is None:
            return None
        pairs = [region.partition("/") for region in regions]
        return [{"region": region, **({"kmsKeyId": key} if key else {})} for region, _, key in pairs]

    def edit(step: dict[str, Any]) -> None:
        step["old"]["inputs"]["replicas"], step["new"]["inputs"]["replicas"] = (
            replicas(before),
            replicas(after),
        )

    found = edited(recordings.events("harmless"), "::app-secret", edit)
    assert (kind, text) in of(found, "app")
    assert {danger.kind for danger in found.dangers} == ({kind} if kind else set())


def reformatted(document: str) -> str:
    """Return a policy document as a provider may normalize it: reordered, with lists and without spaces."""
    parsed = json.loads(document)
    parsed["Statement"] = [
        {
            key: [value] if key in {"Action", "Resource"} and isinstance(value, str) else value
            for key, value in part.items()
        }
        for part in reversed(parsed["Statement"])
    ]
    return json.dumps(parsed, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    ("urn_end", "key", "name"),
    [
        ("::team/pay-policy", "policy", "team/pay"),
        ("::web-policy", "policy", "web"),
        ("::web-role", "assumeRolePolicy", "web"),
        ("::stack-key", "policy", "stack"),
    ],
)
def test_reformatted_document_is_not_a_change_of_access(
    recordings: Recordings, urn_end: str, key: str, name: str
) -> None:
    def reformat(op: str) -> Edit:
        def edit(step: dict[str, Any]) -> None:
            step["op"] = op
            step["old"]["inputs"][key] = reformatted(step["new"]["inputs"][key])
            assert step["old"]["inputs"][key] != step["new"]["inputs"][key]

        return edit

    events = recordings.events("nothing")
    assert of(edited(events, urn_end, reformat("same")), name) == []
    [(kind, text)] = of(edited(events, urn_end, reformat("update")), name)
    assert kind is None
    assert text.endswith("is reformatted and grants the same access")


def divided(recordings: Recordings, widened: str | None = None) -> Report:
    """Return the report after the rotation function's policy is split in two.

    Args:
        recordings: the recorded previews.
        widened: an additional action of the second policy.
    """
    events = copy.deepcopy(recordings.events("nothing"))
    [at] = [
        at
        for at, event in enumerate(events)
        if event.get("resourcePreEvent", {}).get("metadata", {}).get("urn", "").endswith("::rotation-policy")
    ]
    step = events[at]["resourcePreEvent"]["metadata"]
    document = json.loads(step["new"]["inputs"]["policy"])
    first, *others = document["Statement"]
    second = copy.deepcopy(events[at])
    added = second["resourcePreEvent"]["metadata"]
    if widened:
        others[0] = {**others[0], "Action": widened, "Resource": "*"}
    added |= {"op": "create", "old": None, "urn": f"{step['urn']}-2"}
    added["new"]["inputs"]["policy"] = json.dumps({**document, "Statement": others})
    step["op"] = "update"
    step["new"]["inputs"]["policy"] = json.dumps({**document, "Statement": [first]})
    events.insert(at, second)
    for event in events:
        if counts := event.get("summaryEvent", {}).get("resourceChanges"):
            counts |= {"same": counts["same"] - 1, "create": 1, "update": 1}
    return report(events)


def test_split_policy_grants_the_same_access(recordings: Recordings) -> None:
    found = divided(recordings)
    assert found.complete
    assert of(found, "rotation") == [(None, "The policy is reformatted and grants the same access")]


def test_broader_access_in_one_of_several_policies_is_found(recordings: Recordings) -> None:
    found = divided(recordings, "iam:PassRole")
    assert [danger.kind for danger in found.dangers] == [Kind.WIDENS_ACCESS]


ARNS = [f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf" for name in "abc"]
MANAGED_ARN = "arn:aws:iam::123456789012:policy/web-policy-2"


def reading(*arns: str) -> str:
    """Return a reader's policy for these secrets and one key."""
    context = {
        "kms:EncryptionContext:SecretARN": arns,
        "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
    }
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
    read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arns}
    decrypt = {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key,
        "Condition": {"StringEquals": context},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [read, decrypt]})


def in_two(
    recordings: Recordings,
    inline: tuple[str, str],
    managed: tuple[str | None, str | None],
    role: str | None = None,
) -> Report:
    """Return the report for these policies of the reader `web`.

    Args:
        recordings: the recorded previews.
        inline: the inline policy before and after.
        managed: the managed policy before and after; None where it does not exist.
        role: another role that the managed policy is attached to.
    """
    events = copy.deepcopy(recordings.events("nothing"))
    [at] = [
        at
        for at, event in enumerate(events)
        if event.get("resourcePreEvent", {}).get("metadata", {}).get("urn", "").endswith("::web-policy")
    ]
    template = copy.deepcopy(events[at])
    step = events[at]["resourcePreEvent"]["metadata"]
    step["op"] = "same" if inline[0] == inline[1] else "update"
    step["old"]["inputs"]["policy"], step["new"]["inputs"]["policy"] = inline
    op = "create" if managed[0] is None else "delete" if managed[1] is None else "update"
    arn = UNKNOWN if op == "create" else MANAGED_ARN

    def add(type_: str, op: str, old: dict[str, Any] | None, new: dict[str, Any] | None, name: str) -> None:
        event = copy.deepcopy(template)
        added = event["resourcePreEvent"]["metadata"]
        urn = step["urn"].replace("aws:iam/rolePolicy:RolePolicy::web-policy", f"{type_}::{name}")
        states = {
            key: state
            and {**added["new"], "urn": urn, "type": type_, "inputs": state, "outputs": {"arn": arn}}
            for key, state in (("old", old), ("new", new))
        }
        added |= {"op": op, "urn": urn, "type": type_, "detailedDiff": None, "diffs": None, **states}
        events.insert(at, event)

    old, new = ({"policy": document} if document else None for document in managed)
    add("aws:iam/policy:Policy", op, old, new, "web-policy-2")
    roles = [step["new"]["inputs"]["role"], *([role] if role else [])]
    for number, name in enumerate(roles):
        inputs = {"role": name, "policyArn": arn}
        attaching = "same" if op == "update" and not number else "create" if number else op
        add(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            attaching,
            None if attaching == "create" else inputs,
            None if attaching == "delete" else inputs,
            "web-policy-2" if not number else "another",
        )
    return report(events)


@pytest.mark.parametrize(
    ("inline", "managed"),
    [
        ((reading(*ARNS), reading(*ARNS[:2])), (None, reading(*ARNS[1:]))),
        ((reading(*ARNS[:2]), reading(*ARNS)), (reading(*ARNS[1:]), None)),
        ((reading(*ARNS[:2]), reading(*ARNS[:1])), (reading(*ARNS[2:]), reading(*ARNS[1:]))),
        ((reading(*ARNS[:1]), reading(*ARNS[:1])), (reading(ARNS[2], ARNS[1]), reading(*ARNS[1:]))),
    ],
)
def test_secret_that_moves_between_policies_changes_no_access(
    recordings: Recordings, inline: tuple[str, str], managed: tuple[str | None, str | None]
) -> None:
    found = in_two(recordings, inline, managed)
    assert of(found, "web") == [(None, "The policy is reformatted and grants the same access")]


def test_additional_secret_in_managed_policy_is_found(recordings: Recordings) -> None:
    same = (reading(*ARNS[:1]), reading(*ARNS[:1]))
    [(kind, text)] = of(in_two(recordings, same, (reading(ARNS[1]), reading(*ARNS[1:]))), "web")
    assert (kind, text) == (Kind.WIDENS_ACCESS, "Can read c")
    [(kind, text)] = of(in_two(recordings, same, (None, reading(*ARNS[1:]))), "web")
    assert (kind, text) == (Kind.WIDENS_ACCESS, "Can read b, c")
    removed = of(in_two(recordings, same, (reading(*ARNS[1:]), None)), "web")
    assert removed == [(None, "Can no longer read b, c")]


def test_managed_policy_attached_to_second_role_widens_access(recordings: Recordings) -> None:
    same = (reading(*ARNS[:1]), reading(*ARNS[:1]))
    found = in_two(recordings, same, (reading(*ARNS[1:]), reading(*ARNS[1:])), role="admin")
    assert Kind.WIDENS_ACCESS in {danger.kind for danger in found.dangers}


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({"environment": {"variables": {"SERVERS": "x"}}}, Kind.CANNOT_BE_JUDGED),
        ({"handler": "other.run"}, Kind.CANNOT_BE_JUDGED),
        ({"role": "arn:aws:iam::123456789012:role/other"}, Kind.CANNOT_BE_JUDGED),
        ({"code": {"hash": "other"}}, Kind.CANNOT_BE_JUDGED),
        ({"memorySize": 512}, None),
    ],
)
def test_changed_behavior_of_rotation_function_cannot_be_assessed(
    recordings: Recordings, inputs: dict[str, Any], kind: Kind | None
) -> None:
    def edit(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["new"]["inputs"] |= inputs

    found = edited(recordings.events("nothing"), "::rotation-function", edit)
    assert {danger.kind for danger in found.dangers} == ({kind} if kind else set())
    assert "SERVERS" in str(found.dangers) or "environment" not in inputs


def test_same_archive_from_another_checkout_is_not_a_change(recordings: Recordings) -> None:
    def edit(step: dict[str, Any]) -> None:
        step["op"] = "update"
        step["new"]["inputs"]["memorySize"] = 512
        step["new"]["inputs"]["code"]["path"] = "/another/checkout/rotation.zip"

    found = edited(recordings.events("nothing"), "::rotation-function", edit)
    assert not found.dangers
    assert ["code" in str(change.text) for change in found.changes] == [False]


@pytest.mark.parametrize(
    "key", ["principal", "sourceAccount", "sourceArn", "principalOrgId", "functionUrlAuthType"]
)
def test_every_restriction_of_a_permission_is_compared(recordings: Recordings, key: str) -> None:
    def edit(step: dict[str, Any]) -> None:
        step["op"] = "replace"
        step["old"]["inputs"][key] = "before"
        step["new"]["inputs"].pop(key, None)

    found = edited(recordings.events("nothing"), "::rotation-permission", edit)
    assert Kind.WIDENS_ACCESS in {danger.kind for danger in found.dangers}


def test_error_in_successful_run_is_not_a_failure(recordings: Recordings) -> None:
    events = copy.deepcopy(recordings.events("nothing"))
    urn = next(event for event in events if "resourcePreEvent" in event)["resourcePreEvent"]["metadata"][
        "urn"
    ]
    events.insert(2, {"diagnosticEvent": {"severity": "error", "message": "value-in-an-error", "urn": urn}})
    found = report(events)
    assert found.complete
    assert not found.dangers
    assert any("logged an error" in plain(change.text) for change in found.changes)


def test_logins_are_counted_once() -> None:
    assert verdict_for({("change", "login"): 1, ("create", "secret"): 2}, [], []) == (
        "Creates 2 secrets, changes 1 login; no dangers",
    )
