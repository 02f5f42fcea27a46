"""State, stack file and AWS compared: what somebody edited in AWS, and what an update does with it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation.report import Kind, Report, report
from automation.report.__main__ import main as report_main
from automation.report.as_json import as_json
from automation.report.live.__main__ import main as ask_main
from automation.report.live.asking import snapshot as take
from automation.report.live.model import LiveKey, LiveSecret, Rotation, Snapshot, parse, written
from automation.report.markdown import LEAST_LIMIT, markdown, size
from automation.report.model import plain
from automation.report.terminal import terminal
from automation.status.aws import Caller, Denied, Found, Key
from automation.status.errors import CannotAskError
from tests.report.live_events import (
    ARN,
    FUNCTION,
    KEY,
    OTHER_KEY,
    compared,
    log,
    policy,
    said,
    snapshot,
    step,
)
from tests.report.recordings import PLANTED, Recordings
from tests.report.test_written import HOSTILE

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


def every_form(made: Report) -> str:
    return terminal(made) + as_json(made) + markdown(made, LEAST_LIMIT)


def update(**changed: object) -> dict[str, Any]:
    return step("secret", SECRET, {**SECRET, **changed})


def test_nothing_is_said_of_a_secret_that_is_as_in_state() -> None:
    made = compared(log(update(description="two")), snapshot(live()))
    assert said(made) == {}
    assert [plain(note) for note in made.notes] == [
        "Compared with what AWS had at 2026-11-29 12:00 UTC: 1 secret"
    ]


def test_a_secret_that_the_update_leaves_alone_is_not_compared() -> None:
    made = compared(log(step("secret", SECRET, SECRET)), snapshot(live(description="by hand")))
    assert (made.dangers, made.changes, made.notes) == ((), (), ())


@pytest.mark.parametrize(
    ("changed", "edited", "kind", "words"),
    [
        ({"description": "two"}, {"description": "by hand"}, "reverts-edit", "The description was edited"),
        ({"description": "two"}, {"description": "two"}, "change", "now has the same"),
        ({"tags": {"team": "a"}}, {"description": "by hand"}, "change", "leaves that as it is"),
        # UpdateSecret takes the key along with the description
        (
            {"description": "two"},
            {"kms_key": OTHER_KEY},
            "reverts-edit",
            f"KMS key was chosen in AWS, outside of Pulumi: {OTHER_KEY}",
        ),
        ({"tags": {"team": "a"}}, {"kms_key": OTHER_KEY}, "change", "leaves that as it is"),
        (
            {"tags": {"team": "a"}},
            {"tags": {"team": "by hand"}},
            "reverts-edit",
            "Tags were edited in AWS, outside of Pulumi: team",
        ),
        ({"tags": {"team": "a"}}, {"tags": {"team": "a"}}, "change", "now has the same"),
        (
            {"tags": {"team": "a"}},
            {"tags": {"team": "web", "cost": "1"}},
            "change",
            "cost. The update leaves",
        ),
        ({"description": "two"}, {"tags": {}}, "change", "team. The update leaves"),
        (
            {"replicas": [{"region": "eu-west-1"}]},
            {"replicas": {"eu-west-1": ""}},
            "change",
            "now has the same",
        ),
        (
            {"description": "two"},
            {"replicas": {"eu-west-1": ""}},
            "change",
            "A copy was added in AWS, outside of Pulumi: eu-west-1",
        ),
        ({"description": "two"}, {"policy": policy("friend")}, "change", "role/friend"),
    ],
)
def test_an_edit_of_a_secret_is_taken_back_where_the_update_writes_it(
    changed: dict[str, Any], edited: dict[str, Any], kind: str, words: str
) -> None:
    found = said(compared(log(update(**changed)), snapshot(live(**edited))))
    assert list(found) == [kind]
    assert words in found[kind]


def test_tags_that_the_provider_ignores_are_not_compared() -> None:
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
    assert said(compared(events, snapshot(live(tags=tags)))) == {}
    provider["resourcePreEvent"]["metadata"]["new"] = {"inputs": {"ignoreTags": "[" * 100_000}, "outputs": {}}
    assert "cost" in said(compared(events, snapshot(live(tags=tags))))["change"]


@pytest.mark.parametrize(
    ("new", "now", "kind", "words"),
    [
        (
            policy("a", "b"),
            policy("a", "friend"),
            "reverts-edit",
            ("allowed no longer", "role/friend", "allowed again", "role/b"),
        ),
        (policy("a", "b"), policy("a", "b"), "change", ("now has the same",)),
        (None, policy("a", "friend"), "reverts-edit", ("allowed no longer", "role/friend")),
        # somebody took it away in an incident, and the update gives it back
        (policy("a", "b"), "", "reverts-edit", ("allows less", "allowed again", "role/a")),
    ],
)
def test_an_edit_of_the_policy_is_taken_back_in_both_directions(
    new: str | None, now: str, kind: str, words: tuple[str, ...]
) -> None:
    old = {"policy": policy("a"), "secretArn": ARN}
    changed = None if new is None else {"policy": new, "secretArn": ARN}
    events = log(step("secret", SECRET, SECRET), step("policy", old, changed))
    found = said(compared(events, snapshot(live(policy=now))))
    assert list(found) == [kind]
    assert all(word in found[kind] for word in words), found


def test_a_policy_written_in_another_form_is_no_edit() -> None:
    old = {"policy": policy("a"), "secretArn": ARN}
    written_by_aws = json.dumps({**json.loads(policy("a")), "Id": "x"}, sort_keys=True)
    events = log(update(description="two"), step("policy", old, old))
    assert said(compared(events, snapshot(live(policy=written_by_aws)))) == {}


@pytest.mark.parametrize(
    ("new", "now", "kind", "words"),
    [
        (
            {"automaticallyAfterDays": 60},
            None,
            "reverts-edit",
            "The update takes that back: it rotates every 60 days",
        ),
        (
            {"automaticallyAfterDays": 60},
            {"automaticallyAfterDays": 7},
            "reverts-edit",
            "every 7 days. The update takes that back",
        ),
        ({"automaticallyAfterDays": 60}, {"automaticallyAfterDays": 60}, "change", "now has the same"),
        (None, {"automaticallyAfterDays": 7}, "reverts-edit", "it no longer rotates"),
        (
            {"automaticallyAfterDays": 30},
            {"automaticallyAfterDays": 7},
            "change",
            "every 7 days. The update leaves",
        ),
    ],
)
def test_an_edit_of_the_rotation_is_taken_back_where_the_schedule_changes(
    new: dict[str, Any] | None, now: dict[str, Any] | None, kind: str, words: str
) -> None:
    old = {**MONTHLY, "secretId": ARN}
    changed = None if new is None else {**old, "rotationRules": new}
    rotation = None if now is None else Rotation(rules=now, function=FUNCTION)
    events = log(update(recoveryWindowInDays=20), step("rotation", old, changed))
    found = said(compared(events, snapshot(live(rotation=rotation))))
    assert list(found) == [kind]
    assert words in found[kind]


def test_a_master_secrets_schedule_is_compared_with_the_one_of_rds() -> None:
    every_60 = {"secretId": ARN, "rotationRules": {"automaticallyAfterDays": 60}}
    weekly = live(rotation=Rotation(rules={"automaticallyAfterDays": 7}, function=""))
    found = said(compared(log(step("rotation", None, every_60)), snapshot(weekly)))
    assert "It rotates already" in found["reverts-edit"]
    assert "it rotates every 60 days" in found["reverts-edit"]
    off = {"secretId": ARN, "rotationEnabled": False}
    stays_off = compared(
        log(update(description="two"), step("rotation", off, off)), snapshot(live(rotation=None))
    )
    assert said(stays_off) == {}


def test_days_that_aws_computes_of_an_expression_are_no_edit() -> None:
    old = {**MONTHLY, "secretId": ARN, "rotationRules": {"scheduleExpression": "rate(10 days)"}}
    rules: dict[str, str | int] = {"scheduleExpression": "rate(10 days)", "automaticallyAfterDays": 10}
    events = log(update(description="two"), step("rotation", old, old))
    assert said(compared(events, snapshot(live(rotation=Rotation(rules=rules, function=FUNCTION))))) == {}
    other = Rotation(rules=rules, function=f"{FUNCTION}-2")
    assert "another function" in said(compared(events, snapshot(live(rotation=other))))["change"]


@pytest.mark.parametrize(
    ("step_of_secret", "answer", "kind", "words"),
    [
        (update(description="two"), LiveSecret(presence="missing"), "blocked-in-aws", "is gone from AWS"),
        (
            update(description="two"),
            LiveSecret(presence="deletion-scheduled", deletion_after=date(2026, 12, 24)),
            "blocked-in-aws",
            "can be restored until 2026-12-24",
        ),
        (
            step("secret", SECRET, None),
            LiveSecret(presence="missing"),
            "change",
            "AWS has deleted it already",
        ),
        (
            step("secret", SECRET, None),
            live(last_read=date(2026, 11, 28)),
            "change",
            "last read on 2026-11-28",
        ),
        (step("secret", SECRET, None), live(), "change", "never been read, as far as AWS knows"),
    ],
)
def test_what_was_deleted_in_aws_and_what_is_still_read_is_said(
    step_of_secret: dict[str, Any], answer: LiveSecret, kind: str, words: str
) -> None:
    made = compared(log(step_of_secret), snapshot(answer))
    texts = [(danger.kind.value, plain(danger.text)) for danger in made.dangers]
    texts += [("change", plain(change.text)) for change in made.changes]
    assert [text for known, text in texts if known == kind and words in text], texts


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (live(), "AWS has a secret named app already"),
        (LiveSecret(presence="deletion-scheduled"), "AWS keeps a deleted secret named app"),
        (LiveSecret(presence="missing"), None),
    ],
)
def test_a_name_that_is_taken_in_aws_blocks_a_new_secret(answer: LiveSecret, words: str | None) -> None:
    made = compared(log(step("secret", None, SECRET)), snapshot(answer, identifier="app"))
    assert [danger.kind for danger in made.dangers] == ([Kind.BLOCKED_IN_AWS] if words else [])
    assert words is None or words in plain(made.dangers[0].text)


def test_a_key_that_cannot_be_used_blocks_what_it_encrypts() -> None:
    keys = {KEY: LiveKey(arn=KEY, state="PendingDeletion")}
    made = compared(log(update(description="two")), snapshot(live(), keys=keys))
    assert said(made) == {
        "blocked-in-aws": "The KMS key of the secret is not usable; its state in AWS is PendingDeletion"
    }


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (Snapshot(unavailable="no network"), "What AWS has now is not known: no network"),
        (snapshot(None), "What AWS has now is not known of 1 secret"),
        (
            snapshot(LiveSecret(presence="denied"), denied=("secretsmanager:DescribeSecret",)),
            "may not call secretsmanager:DescribeSecret",
        ),
        (parse(b"no JSON"), "not one that this report can read"),
        (parse(b'{"version": 2}'), "not one that this report can read"),
    ],
)
def test_without_aws_the_report_says_so_and_is_otherwise_the_same(answers: Snapshot, words: str) -> None:
    events = log(update(description="two"))
    made, without = compared(events, answers), report(events)
    assert (made.dangers, made.changes, made.verdict) == (without.dangers, without.changes, without.verdict)
    for text in (terminal(made), markdown(made), as_json(made)):
        assert words in text.replace("`", "")


def test_what_was_asked_is_read_back_as_it_was() -> None:
    rotation = Rotation(rules={"automaticallyAfterDays": 7}, function=FUNCTION)
    whole = snapshot(live(rotation=rotation, last_read=date(2026, 11, 28), replicas={"eu-west-1": KEY}))
    assert parse(written(whole).encode()) == whole


@settings(deadline=None)
@given(
    text=st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60)),
    words=st.sampled_from(["value-by-hand", "<b>", "::warning::x"]),
)
def test_answers_of_a_hostile_file_neither_break_out_nor_show_free_texts(text: str, words: str) -> None:
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
    made = report(events, live=answers)
    refused = report(events, live=Snapshot(unavailable=text))
    blocked = report(events, live=snapshot(live(), keys={KEY: LiveKey(arn=text, state=text)}))
    for form in (every_form(refused), every_form(blocked)):
        assert form.isascii()
    for form in (terminal(made), as_json(made), markdown(made, LEAST_LIMIT)):
        assert form.isascii()
        assert "value-by-hand" not in form.replace("role/value-by-hand", "")
    assert size(markdown(made, LEAST_LIMIT)) <= LEAST_LIMIT


def test_edits_by_hand_of_a_real_stack_are_found(recordings: Recordings) -> None:
    answers = recordings.live("dangerous")
    made = report(recordings.events("dangerous"), live=answers)
    found = {(danger.kind.value, danger.component.name): plain(danger.text) for danger in made.dangers}
    pay = found["reverts-edit", "team/pay"]
    assert "role/friend" in pay.partition("allowed no longer")[2]
    assert "role/reader" in pay.partition("allowed again")[2]
    assert "it rotates every 90 days" in found["reverts-edit", "shop-database"]
    assert "was deleted in AWS, outside of Pulumi" in found["blocked-in-aws", "other"]
    left = [plain(change.text) for change in made.changes if change.component.name == "app"]
    assert [text for text in left if "description was edited" in text and "leaves" in text]
    assert [text for text in left if "Tags were edited in AWS, outside of Pulumi: team" in text]
    assert {answers.secrets[name].presence for name in answers.secrets} == {"present", "deletion-scheduled"}
    assert not answers.denied


def test_no_value_is_in_what_aws_is_asked_for(recordings: Recordings) -> None:
    kept = (recordings.folder / "dangerous.live").read_text()
    assert "tag-by-hand" in kept  # tags and descriptions are compared, and so are in the file
    assert not [value for value in recordings.values if value not in PLANTED and value in kept]


@dataclass
class Aws:
    """Stands for AWS; remembers what it was asked."""

    account_id: str = "123456789012"
    asked: list[str] = field(default_factory=list)

    def caller(self) -> Caller:
        return Caller(account_id=self.account_id, partition="aws", arn="arn:aws:iam::1:user/x")

    def secrets(self, names: Iterable[str], *, policies: bool) -> dict[str, Found]:
        assert policies
        self.asked += names
        described = {
            "ARN": ARN,
            "Tags": [{"Key": "team", "Value": "web"}],
            "KmsKeyId": "alias/aws/secretsmanager",
        }
        return {name: Found(described=described, policy=Denied(action="x:Policy")) for name in self.asked}

    def keys(self, names: Iterable[str]) -> dict[str, Key | Denied]:
        return {name: Key(arn=name, state="Enabled") for name in names}


def asked(monkeypatch: pytest.MonkeyPatch, aws: Aws, *steps: dict[str, Any]) -> Snapshot:
    monkeypatch.setattr("automation.report.live.asking.asking", lambda region: {"us-east-1": aws}[region])
    return take(log(*steps))


def test_aws_is_asked_for_the_secrets_of_the_report_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws()
    assert asked(monkeypatch, aws, step("secret", SECRET, SECRET)) == Snapshot()
    answers = asked(monkeypatch, aws, update(description="two"))
    assert aws.asked == [ARN]
    assert (answers.secrets[ARN].tags, answers.secrets[ARN].kms_key) == ({"team": "web"}, "")
    assert (answers.denied, answers.keys[KEY].state) == (("x:Policy",), "Enabled")


def test_credentials_of_another_account_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws(account_id="210987654321")
    answers = asked(monkeypatch, aws, update(description="two"))
    assert "of account 210987654321" in answers.unavailable
    assert aws.asked == []


def test_without_a_network_the_answers_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_self: Aws) -> Caller:
        raise CannotAskError("AWS cannot be asked (sts:GetCallerIdentity): no route.\n  Check the network.")

    monkeypatch.setattr(Aws, "caller", unreachable)
    answers = asked(monkeypatch, Aws(), update(description="two"))
    assert answers.unavailable == "AWS cannot be asked (sts:GetCallerIdentity): no route."


def test_files_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_main(["--events", str(tmp_path / "missing")]) == 3
    assert "missing" in capsys.readouterr().err
    events = tmp_path / "events"
    events.write_text("\n".join(map(json.dumps, log(step("secret", SECRET, SECRET)))))
    assert report_main(["--events", str(events), "--live", str(tmp_path / "none")]) == 0
    assert "there is no file with AWS's answers" in capsys.readouterr().out
    assert ask_main(["--events", str(events), "--output", str(tmp_path / "live")]) == 0
    assert parse((tmp_path / "live").read_bytes()) == Snapshot()
    with pytest.raises(SystemExit, match="2"):
        report_main(["--events", str(events), "--live", "a", "--live", "b"])
