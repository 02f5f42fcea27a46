"""Test the comparison with AWS: which settings were edited there, and what an update does with them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.report import Kind, Report, report
from operations.report.as_json import as_json
from operations.report.command import main as report_main
from operations.report.live.command import main as ask_main
from operations.report.live.model import LiveKey, LiveSecret, Rotation, Snapshot, parse, written
from operations.report.live.query import snapshot as take
from operations.report.markdown import LEAST_LIMIT, markdown, size
from operations.report.model import plain
from operations.report.terminal import terminal
from operations.status.aws import AwsSecret, Caller, Denied, KmsKey
from operations.status.errors import QueryError
from tests.report.test_formats import HOSTILE
from tests.support.live_events import (
    ARN,
    FUNCTION,
    KEY,
    OTHER_KEY,
    added,
    compared,
    log,
    policy,
    snapshot,
    step,
)
from tests.support.recordings import PLANTED, Recordings

SECRET: dict[str, Any] = {"name": "app", "description": "one", "kmsKeyId": KEY, "tags": {"team": "web"}}
LIVE: dict[str, Any] = {
    "presence": "present",
    "description": "one",
    "kms_key": KEY,
    "tags": {"team": "web", "aws:cloudformation:stack": "x"},
    "policy": "",
}
MONTHLY: dict[str, Any] = {"rotationRules": {"automaticallyAfterDays": 30}, "rotationLambdaArn": FUNCTION}


def live(**changed: object) -> LiveSecret:
    return LiveSecret(**{**LIVE, **changed})


def all_formats(result: Report) -> str:
    return terminal(result) + as_json(result) + markdown(result, LEAST_LIMIT)


def update(**changed: object) -> dict[str, Any]:
    return step("secret", SECRET, {**SECRET, **changed})


def test_secret_that_matches_state_has_no_findings() -> None:
    result = compared(log(update(description="two")), snapshot(live()))
    assert added(log(update(description="two")), snapshot(live())) == {}
    assert [plain(note) for note in result.notes] == ["Compared 1 secret with AWS at 2026-11-29 12:00 UTC"]


def test_secret_that_does_not_change_is_not_compared() -> None:
    result = compared(log(step("secret", SECRET, SECRET)), snapshot(live(description="by hand")))
    assert (result.dangers, result.changes, result.notes) == ((), (), ())


@pytest.mark.parametrize(
    ("changed", "edited", "kind", "words"),
    [
        ({"description": "two"}, {"description": "by hand"}, "reverts-edit", "The description was edited"),
        ({"description": "two"}, {"description": "two"}, "change", "now matches the edit"),
        ({"tags": {"team": "a"}}, {"description": "by hand"}, "change", "The update keeps the edit"),
        # UpdateSecret writes the key together with the description
        (
            {"description": "two"},
            {"kms_key": OTHER_KEY},
            "reverts-edit",
            f"The KMS key was changed in AWS, outside of Pulumi: {OTHER_KEY}",
        ),
        ({"tags": {"team": "a"}}, {"kms_key": OTHER_KEY}, "change", "The update keeps the edit"),
        (
            {"tags": {"team": "a"}},
            {"tags": {"team": "by hand"}},
            "reverts-edit",
            "Tags were edited in AWS, outside of Pulumi: team",
        ),
        ({"tags": {"team": "a"}}, {"tags": {"team": "a"}}, "change", "now matches the edit"),
        (
            {"tags": {"team": "a"}},
            {"tags": {"team": "web", "cost": "1"}},
            "change",
            "cost. The update keeps",
        ),
        ({"description": "two"}, {"tags": {}}, "change", "team. The update keeps"),
        (
            {"replicas": [{"region": "eu-west-1"}]},
            {"replicas": {"eu-west-1": ""}},
            "change",
            "now matches the edit",
        ),
        (
            {"description": "two"},
            {"replicas": {"eu-west-1": ""}},
            "change",
            "A replica was added in AWS, outside of Pulumi: eu-west-1",
        ),
        ({"description": "two"}, {"policy": policy("friend")}, "change", "role/friend"),
    ],
)
def test_update_reverts_an_edit_of_a_setting_that_it_writes(
    changed: dict[str, Any], edited: dict[str, Any], kind: str, words: str
) -> None:
    found = added(log(update(**changed)), snapshot(live(**edited)))
    assert list(found) == [kind]
    assert words in found[kind]


def test_ignored_tags_are_not_compared() -> None:
    provider = {
        "resourcePreEvent": {
            "metadata": {
                "op": "same",
                "urn": "urn:pulumi:test::aws-secrets::pulumi:providers:aws::default",
                "type": "pulumi:providers:aws",
                "old": {"inputs": {}, "outputs": {}},
                "new": {"inputs": {"ignoreTags": '{"keys":["cost"],"keyPrefixes":["org:"]}'}, "outputs": {}},
            }
        }
    }
    events = log(update(description="two"))
    events.insert(1, provider)
    tags = {"team": "web", "cost": "1", "org:unit": "2"}
    assert added(events, snapshot(live(tags=tags))) == {}
    provider["resourcePreEvent"]["metadata"]["new"] = {"inputs": {"ignoreTags": "[" * 100_000}, "outputs": {}}
    assert "cost" in added(events, snapshot(live(tags=tags)))["change"]


@pytest.mark.parametrize(
    ("new", "now", "kind", "words"),
    [
        (
            policy("a", "b"),
            policy("a", "friend"),
            "reverts-edit",
            ("revokes principals", "role/friend", "grants principals", "role/b"),
        ),
        (policy("a", "b"), policy("a", "b"), "change", ("now matches the edit",)),
        (None, policy("a", "friend"), "reverts-edit", ("revokes principals", "role/friend")),
        # the policy was removed during an incident, and the update restores it
        (policy("a", "b"), "", "reverts-edit", ("no longer grants", "grants principals", "role/a")),
    ],
)
def test_update_reverts_a_policy_edit_in_both_directions(
    new: str | None, now: str, kind: str, words: tuple[str, ...]
) -> None:
    old = {"policy": policy("a"), "secretArn": ARN}
    changed = None if new is None else {"policy": new, "secretArn": ARN}
    events = log(step("secret", SECRET, SECRET), step("policy", old, changed))
    found = added(events, snapshot(live(policy=now)))
    assert list(found) == [kind]
    assert all(word in found[kind] for word in words), found


def test_reformatted_policy_is_not_an_edit() -> None:
    old = {"policy": policy("a"), "secretArn": ARN}
    reformatted = json.dumps({**json.loads(policy("a")), "Id": "x"}, sort_keys=True)
    events = log(update(description="two"), step("policy", old, old))
    assert added(events, snapshot(live(policy=reformatted))) == {}


@pytest.mark.parametrize(
    ("new", "now", "kind", "words"),
    [
        (
            {"automaticallyAfterDays": 60},
            None,
            "reverts-edit",
            "The update reverts this: it will rotate every 60 days",
        ),
        (
            {"automaticallyAfterDays": 60},
            {"automaticallyAfterDays": 7},
            "reverts-edit",
            "every 7 days. The update reverts this",
        ),
        ({"automaticallyAfterDays": 60}, {"automaticallyAfterDays": 60}, "change", "now matches the edit"),
        (None, {"automaticallyAfterDays": 7}, "reverts-edit", "it will no longer rotate"),
        (
            {"automaticallyAfterDays": 30},
            {"automaticallyAfterDays": 7},
            "change",
            "every 7 days. The update keeps",
        ),
    ],
)
def test_update_reverts_a_rotation_edit_if_the_schedule_changes(
    new: dict[str, Any] | None, now: dict[str, Any] | None, kind: str, words: str
) -> None:
    old = {**MONTHLY, "secretId": ARN}
    changed = None if new is None else {**old, "rotationRules": new}
    rotation = None if now is None else Rotation(rules=now, function=FUNCTION)
    events = log(update(recoveryWindowInDays=20), step("rotation", old, changed))
    found = added(events, snapshot(live(rotation=rotation)))
    assert list(found) == [kind]
    assert words in found[kind]


def test_schedule_of_master_secret_is_compared_with_that_of_rds() -> None:
    every_60 = {"secretId": ARN, "rotationRules": {"automaticallyAfterDays": 60}}
    weekly = live(rotation=Rotation(rules={"automaticallyAfterDays": 7}, function=""))
    found = added(log(step("rotation", None, every_60)), snapshot(weekly))
    assert "Rotation is already on" in found["reverts-edit"]
    assert "it will rotate every 60 days" in found["reverts-edit"]
    off = {"secretId": ARN, "rotationEnabled": False}
    stays_off = log(update(description="two"), step("rotation", off, off))
    assert added(stays_off, snapshot(live(rotation=None))) == {}


def test_days_computed_from_schedule_expression_are_not_an_edit() -> None:
    old = {**MONTHLY, "secretId": ARN, "rotationRules": {"scheduleExpression": "rate(10 days)"}}
    rules: dict[str, str | int] = {"scheduleExpression": "rate(10 days)", "automaticallyAfterDays": 10}
    events = log(update(description="two"), step("rotation", old, old))
    assert added(events, snapshot(live(rotation=Rotation(rules=rules, function=FUNCTION)))) == {}
    other = Rotation(rules=rules, function=f"{FUNCTION}-2")
    assert "a different function" in added(events, snapshot(live(rotation=other)))["change"]


@pytest.mark.parametrize(
    ("step_of_secret", "answer", "kind", "words"),
    [
        (
            update(description="two"),
            LiveSecret(presence="missing"),
            "blocked-in-aws",
            "no longer exists in AWS",
        ),
        (
            update(description="two"),
            LiveSecret(presence="deletion-scheduled", deletion_after=date(2026, 12, 24)),
            "blocked-in-aws",
            "scheduled for deletion in AWS on 2026-12-24",
        ),
        (
            step("secret", SECRET, None),
            LiveSecret(presence="missing"),
            "change",
            "It was already deleted in AWS",
        ),
        (
            step("secret", SECRET, None),
            live(last_read=date(2026, 11, 28)),
            "change",
            "last read on 2026-11-28",
        ),
        (step("secret", SECRET, None), live(), "change", "According to AWS, its value has never been read"),
    ],
)
def test_deletion_in_aws_and_date_of_last_read_are_reported(
    step_of_secret: dict[str, Any], answer: LiveSecret, kind: str, words: str
) -> None:
    result = compared(log(step_of_secret), snapshot(answer))
    texts = [(danger.kind.value, plain(danger.text)) for danger in result.dangers]
    texts += [("change", plain(change.text)) for change in result.changes]
    assert [text for known, text in texts if known == kind and words in text], texts


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (live(), "A secret named app already exists in AWS"),
        (LiveSecret(presence="deletion-scheduled"), "A secret named app is scheduled for deletion in AWS"),
        (LiveSecret(presence="missing"), None),
    ],
)
def test_name_that_is_taken_in_aws_blocks_a_new_secret(answer: LiveSecret, words: str | None) -> None:
    result = compared(log(step("secret", None, SECRET)), snapshot(answer, identifier="app"))
    assert [danger.kind for danger in result.dangers] == ([Kind.BLOCKED_IN_AWS] if words else [])
    assert words is None or words in plain(result.dangers[0].text)


def test_unusable_key_blocks_the_update() -> None:
    keys = {KEY: LiveKey(arn=KEY, state="PendingDeletion")}
    assert added(log(update(description="two")), snapshot(live(), keys=keys)) == {
        "blocked-in-aws": "The secret's KMS key is not usable. Its state is PendingDeletion"
    }


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (Snapshot(unavailable="no network"), "The current settings in AWS are unknown: no network"),
        (snapshot(None), "The current settings in AWS are unknown for 1 secret"),
        (
            snapshot(LiveSecret(presence="denied"), denied=("secretsmanager:DescribeSecret",)),
            "not authorized to call secretsmanager:DescribeSecret",
        ),
        (parse(b"no JSON"), "is invalid or of another version"),
        (parse(b'{"version": 2}'), "is invalid or of another version"),
    ],
)
def test_report_without_answers_of_aws_is_otherwise_equal(answers: Snapshot, words: str) -> None:
    events = log(update(description="two"))
    result, without = compared(events, answers), report(events)
    assert (result.findings, result.verdict) == (without.findings, without.verdict)
    for text in (terminal(result), markdown(result), as_json(result)):
        assert words in text.replace("`", "")


def test_snapshot_survives_serialization() -> None:
    rotation = Rotation(rules={"automaticallyAfterDays": 7}, function=FUNCTION)
    whole = snapshot(live(rotation=rotation, last_read=date(2026, 11, 28), replicas={"eu-west-1": KEY}))
    assert parse(written(whole).encode()) == whole


@settings(deadline=None)
@given(
    text=st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60)),
    words=st.sampled_from(["value-by-hand", "<b>", "::warning::x"]),
)
def test_hostile_answers_cannot_break_out_or_show_free_text(text: str, words: str) -> None:
    hostile = live(
        description=words,
        tags={text: words},
        kms_key=text,
        replicas={text: words},
        policy=policy(words, text),
        rotation=Rotation(rules={"scheduleExpression": words}, function=text),
    )
    answers = snapshot(hostile, denied=(text,))
    old = {"policy": policy("a"), "secretArn": ARN}
    events = log(update(description="two"), step("policy", old, {**old, "policy": policy("b")}))
    result = report(events, live=answers)
    unavailable = report(events, live=Snapshot(unavailable=text))
    blocked = report(events, live=snapshot(live(), keys={KEY: LiveKey(arn=text, state=text)}))
    for form in (all_formats(unavailable), all_formats(blocked)):
        assert form.isascii()
    for form in (terminal(result), as_json(result), markdown(result, LEAST_LIMIT)):
        assert form.isascii()
        assert "value-by-hand" not in form.replace("role/value-by-hand", "")
    assert size(markdown(result, LEAST_LIMIT)) <= LEAST_LIMIT


def test_manual_edits_of_a_recorded_stack_are_found(recordings: Recordings) -> None:
    answers = recordings.live("dangerous")
    result = report(recordings.events("dangerous"), live=answers)
    found = {(danger.kind.value, danger.component.name): plain(danger.text) for danger in result.dangers}
    pay = found["reverts-edit", "team/pay"]
    assert "role/friend" in pay.partition("revokes")[2]
    assert "role/reader" in pay.partition("; grants")[2]
    assert "it will rotate every 90 days" in found["reverts-edit", "shop-database"]
    assert "scheduled for deletion in AWS" in found["blocked-in-aws", "other"]
    kept = [plain(change.text) for change in result.changes if change.component.name == "app"]
    assert [text for text in kept if "description was edited" in text and "keeps" in text]
    assert [text for text in kept if "Tags were edited in AWS, outside of Pulumi: team" in text]
    assert {answers.secrets[name].presence for name in answers.secrets} == {"present", "deletion-scheduled"}
    assert not answers.denied


def test_answers_of_aws_contain_no_value(recordings: Recordings) -> None:
    answers = (recordings.folder / "dangerous.live").read_text()
    assert "tag-by-hand" in answers  # tags and descriptions are compared, so the file has them
    assert not [value for value in recordings.values if value not in PLANTED and value in answers]


@dataclass
class Aws:
    """A fake of AWS that records queries."""

    account_id: str = "123456789012"
    queried: list[str] = field(default_factory=list)

    def caller(self) -> Caller:
        return Caller(account_id=self.account_id, partition="aws", arn="arn:aws:iam::1:user/x")

    def secrets(self, names: Iterable[str], *, policies: bool) -> dict[str, AwsSecret]:
        assert policies
        self.queried += names
        described = {
            "ARN": ARN,
            "Tags": [{"Key": "team", "Value": "web"}],
            "KmsKeyId": "alias/aws/secretsmanager",
        }
        return {
            name: AwsSecret(described=described, policy=Denied(action="x:Policy")) for name in self.queried
        }

    def keys(self, names: Iterable[str]) -> dict[str, KmsKey | Denied]:
        return {name: KmsKey(arn=name, state="Enabled") for name in names}


def query(monkeypatch: pytest.MonkeyPatch, aws: Aws, *steps: dict[str, Any]) -> Snapshot:
    monkeypatch.setattr("operations.report.live.query.connect", lambda region: {"us-east-1": aws}[region])
    return take(log(*steps))


def test_only_secrets_of_the_report_are_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws()
    assert query(monkeypatch, aws, step("secret", SECRET, SECRET)) == Snapshot()
    answers = query(monkeypatch, aws, update(description="two"))
    assert aws.queried == [ARN]
    assert (answers.secrets[ARN].tags, answers.secrets[ARN].kms_key) == ({"team": "web"}, "")
    assert (answers.denied, answers.keys[KEY].state) == (("x:Policy",), "Enabled")


def test_credentials_of_another_account_query_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws(account_id="210987654321")
    answers = query(monkeypatch, aws, update(description="two"))
    assert "for account 210987654321" in answers.unavailable
    assert aws.queried == []


def test_missing_network_makes_the_snapshot_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_self: Aws) -> Caller:
        raise QueryError("AWS cannot be queried (sts:GetCallerIdentity): no route.\n  Check the network.")

    monkeypatch.setattr(Aws, "caller", unreachable)
    answers = query(monkeypatch, Aws(), update(description="two"))
    assert answers.unavailable == "AWS cannot be queried (sts:GetCallerIdentity): no route."


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_main(["--events", str(tmp_path / "missing")]) == 3
    assert "missing" in capsys.readouterr().err
    events = tmp_path / "events"
    events.write_text("\n".join(map(json.dumps, log(step("secret", SECRET, SECRET)))))
    assert report_main(["--events", str(events), "--live", str(tmp_path / "none")]) == 0
    assert "the file with AWS's answers cannot be read" in capsys.readouterr().out
    assert ask_main(["--events", str(events), "--output", str(tmp_path / "live")]) == 0
    assert parse((tmp_path / "live").read_bytes()) == Snapshot()
    with pytest.raises(SystemExit, match="2"):
        report_main(["--events", str(events), "--live", "a", "--live", "b"])
