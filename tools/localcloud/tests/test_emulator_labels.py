"""Staging labels: the emulator's rules against a small model of AWS's, for any order of requests."""

import uuid

import boto3
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.emulator_process import running_emulator
from tools.localcloud.emulator import label_rules
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.label_rules import WORLDS, LabelRules
from tools.localcloud.emulator.secrets_rules import Content, Secret, ServiceError, Store

OWN_LABELS = st.sampled_from(["aws-secrets-initial", "blue", "AWSPENDING"])
STAGES = st.none() | st.lists(st.just("AWSCURRENT") | OWN_LABELS, min_size=1, max_size=3, unique=True)


def new_secret() -> Secret:
    return rules.create(
        Store(), partition="aws", account="123456789012", region="us-east-1", name="app/database"
    )


def put(secret: Secret, text: str, stages: list[str] | None = None, token: str = "") -> str:
    return rules.put_value(secret, token or str(uuid.uuid4()), Content(text, None), stages).version_id


class StagingLabels(RuleBasedStateMachine):
    """The model: which version holds a label, what each version holds, and every AWSCURRENT in turn."""

    world = LabelRules()

    @initialize(world=st.sampled_from(WORLDS))
    def begin(self, world: LabelRules) -> None:
        self.world = rules.label_rules = world
        self.secret = new_secret()
        self.holders: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.currents: list[str] = []
        self.made = 0

    def teardown(self) -> None:
        rules.label_rules = LabelRules()

    def holds(self, label: str, version: str) -> None:
        if label == "AWSCURRENT" and self.holders.get(label) != version:
            if self.currents:
                self.holders["AWSPREVIOUS"] = self.currents[-1]
            self.currents.append(version)
        self.holders[label] = version

    def any_version(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.values)))

    @rule(text=st.text(max_size=3), stages=STAGES)
    def put_a_new_version(self, text: str, stages: list[str] | None) -> None:
        self.made += 1  # a random token would give the versions another order in every run
        version = put(self.secret, text, stages, f"{self.made:032d}")
        self.values[version] = text
        before = self.holders.get("AWSCURRENT")
        for label in stages or ["AWSCURRENT"]:
            self.holds(label, version)
        lost = before not in {None, self.holders.get("AWSCURRENT")}
        if lost and self.holders.get("AWSPENDING") == before:
            del self.holders["AWSPENDING"]
        if before is None and self.world.first_version_current:
            self.holds("AWSCURRENT", version)
        if before not in {None, self.holders.get("AWSCURRENT")} and not self.world.labels_survive_put:
            self.holders = {
                label: holder
                for label, holder in self.holders.items()
                if holder != before or label == "AWSPREVIOUS"
            }

    @precondition(lambda self: self.values)
    @rule(data=st.data(), stages=STAGES)
    def repeat_a_request(self, data: st.DataObject, stages: list[str] | None) -> None:
        token = self.any_version(data)
        answered = rules.put_value(self.secret, token, Content(self.values[token], None), stages)
        assert answered.version_id == token

    @precondition(lambda self: self.values)
    @rule(data=st.data(), stages=STAGES)
    def use_a_token_for_another_value(self, data: st.DataObject, stages: list[str] | None) -> None:
        token = self.any_version(data)
        with pytest.raises(ServiceError) as refused:
            rules.put_value(self.secret, token, Content(self.values[token] + "x", None), stages)
        assert refused.value.code == "ResourceExistsException"

    @precondition(lambda self: self.values)
    @rule(data=st.data(), label=st.just("AWSCURRENT") | OWN_LABELS)
    def move_a_label(self, data: st.DataObject, label: str) -> None:
        target = self.any_version(data)
        rules.move_label(self.secret, label, self.holders.get(label), target)
        self.holds(label, target)

    @precondition(lambda self: len(self.values) > 1)
    @rule(data=st.data(), label=st.just("AWSCURRENT") | OWN_LABELS)
    def move_a_label_and_name_the_wrong_holder(self, data: st.DataObject, label: str) -> None:
        target, named = self.any_version(data), self.any_version(data)
        if self.holders.get(label) != named:
            self.refused(label, named, target)
        if self.holders.get(label, target) != target:
            self.refused(label, None, target)

    @precondition(lambda self: self.values)
    @rule(data=st.data(), label=st.just("AWSCURRENT") | OWN_LABELS)
    def move_a_label_to_or_from_an_unknown_version(self, data: st.DataObject, label: str) -> None:
        known, unknown = self.any_version(data), str(uuid.uuid4())
        self.refused(label, self.holders.get(label), unknown)
        self.refused(label, unknown, known)

    @rule(label=OWN_LABELS)
    def take_a_label_away(self, label: str) -> None:
        if label in self.holders:
            rules.move_label(self.secret, label, self.holders.pop(label), None)

    @precondition(lambda self: "AWSCURRENT" in self.holders)
    @rule()
    def take_the_current_label_away(self) -> None:
        self.refused("AWSCURRENT", self.holders["AWSCURRENT"], None)

    def refused(self, label: str, remove_from: str | None, move_to: str | None) -> None:
        with pytest.raises(ServiceError):
            rules.move_label(self.secret, label, remove_from, move_to)

    @rule()
    def collect(self) -> None:
        unlabelled = self.values.keys() - set(self.holders.values())
        assert rules.collect(self.secret) == len(unlabelled)
        for version in unlabelled:
            del self.values[version]
        # a version that is gone can be AWSCURRENT no more; the last one always has a label
        assert not self.currents or self.currents[-1] in self.values

    @invariant()
    def every_version_is_there_with_its_value(self) -> None:
        found = {version.version_id: version.content.text for version in self.secret.versions.values()}
        assert found == self.values

    @invariant()
    def a_secret_with_a_value_has_one_current_version(self) -> None:
        holders = [version for version in self.secret.versions.values() if "AWSCURRENT" in version.labels]
        assert len(holders) == (1 if "AWSCURRENT" in self.holders else 0)
        assert holders or not self.values or not self.world.first_version_current

    @invariant()
    def the_previous_version_is_the_one_that_was_current_last(self) -> None:
        holder = self.secret.holder("AWSPREVIOUS")
        expected = self.currents[-2] if len(self.currents) > 1 else None
        assert (holder.version_id if holder else None) == expected

    @invariant()
    def each_label_is_on_one_version_and_stays_until_it_is_moved(self) -> None:
        found = [
            (label, version.version_id)
            for version in self.secret.versions.values()
            for label in version.labels
        ]
        assert sorted(found) == sorted(self.holders.items())


StagingLabels.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStagingLabelsMoveAsOnAws = StagingLabels.TestCase


def in_world(patch: pytest.MonkeyPatch, *, first: bool = True, survive: bool = True) -> Secret:
    patch.setattr(rules, "label_rules", LabelRules(first, survive))
    return new_secret()


def test_an_initial_version_becomes_readable_with_awscurrent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = in_world(monkeypatch, first=False)
    first = put(secret, "first", ["blue"])
    second = put(secret, "second", ["green"])
    assert secret.labelled() == {first: ["blue"], second: ["green"]}
    with pytest.raises(ServiceError) as missing:
        rules.wanted_version(secret, None, None)
    assert missing.value.code == "ResourceNotFoundException"
    with pytest.raises(ServiceError, match="currently has"):
        rules.move_label(secret, "AWSCURRENT", first, second)
    rules.move_label(secret, "AWSCURRENT", None, second)
    with pytest.raises(ServiceError, match=f"attached to version {second}"):
        rules.move_label(secret, "AWSCURRENT", None, first)
    assert rules.wanted_version(secret, None, None).content.text == "second"


@pytest.mark.parametrize("world", WORLDS)
def test_a_first_version_put_with_awscurrent_and_a_label_has_both(
    monkeypatch: pytest.MonkeyPatch, world: LabelRules
) -> None:
    monkeypatch.setattr(rules, "label_rules", world)
    secret = new_secret()
    version = put(secret, "first", ["AWSCURRENT", "one"])
    assert secret.labelled() == {version: ["AWSCURRENT", "one"]}
    assert put(new_secret(), "first") != version


@pytest.mark.parametrize("survive", [True, False])
def test_own_labels_may_go_with_a_put_and_never_with_a_move(
    monkeypatch: pytest.MonkeyPatch, survive: bool
) -> None:
    secret = in_world(monkeypatch, survive=survive)
    first = put(secret, "first", ["AWSCURRENT", "one"])
    second = put(secret, "second", ["two"])
    rules.move_label(secret, "AWSCURRENT", first, second)
    third = put(secret, "third", ["three"])
    assert secret.labelled() == {
        first: ["AWSPREVIOUS", "one"],
        second: ["AWSCURRENT", "two"],
        third: ["three"],
    }
    fourth = put(secret, "fourth")
    assert secret.labelled() == {
        first: ["one"],
        second: ["AWSPREVIOUS", "two"] if survive else ["AWSPREVIOUS"],
        third: ["three"],
        fourth: ["AWSCURRENT"],
    }


def test_label_rules_are_read_from_the_environment_and_nonsense_is_refused() -> None:
    assert label_rules.read({}) == LabelRules()
    assert [label_rules.read(world.variables()) for world in WORLDS] == list(WORLDS)
    for name in LabelRules().variables():
        with pytest.raises(ValueError, match=f"{name} is 'maybe': set it to yes or no"):
            label_rules.read({name: "maybe"})


def test_label_rules_are_set_at_start_and_unknown_values_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_emulator(None, labels=WORLDS[3]) as emulator:
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name="first")["ARN"]
        answer = client.put_secret_value(SecretId=arn, SecretString="1", VersionStages=["one"])
        assert answer["VersionStages"] == ["one"]
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_secret_value(SecretId=arn)
        client.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=answer["VersionId"]
        )
        client.put_secret_value(SecretId=arn, SecretString="2")
        stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
        assert stages[answer["VersionId"]] == ["AWSPREVIOUS"]
    monkeypatch.setenv(label_rules.LABELS_SURVIVE_PUT, "true")
    with pytest.raises(AssertionError, match="set it to yes or no"), running_emulator(None):
        pass


def test_an_initial_version_is_current_despite_another_label() -> None:
    secret = new_secret()
    version = put(secret, "first", ["AWSPENDING"])
    assert secret.labelled() == {version: ["AWSCURRENT", "AWSPENDING"]}


def test_a_version_with_its_own_label_survives_collection() -> None:
    secret = new_secret()
    first = put(secret, "first", ["AWSCURRENT", "aws-secrets-initial"])
    second, third, fourth = (put(secret, text) for text in ("second", "third", "fourth"))
    assert rules.collect(secret) == 1
    assert secret.labelled() == {
        first: ["aws-secrets-initial"],
        third: ["AWSPREVIOUS"],
        fourth: ["AWSCURRENT"],
    }
    with pytest.raises(ServiceError, match=second):
        rules.wanted_version(secret, second, None)


def test_going_back_to_the_previous_version_exchanges_both_labels() -> None:
    secret = new_secret()
    first, second = put(secret, "first"), put(secret, "second")
    rules.move_label(secret, "AWSCURRENT", second, first)
    assert secret.labelled() == {first: ["AWSCURRENT"], second: ["AWSPREVIOUS"]}
    assert rules.wanted_version(secret, None, None).content.text == "first"


def test_a_move_without_the_present_holder_says_who_it_is() -> None:
    secret = new_secret()
    first, second = put(secret, "first"), put(secret, "second")
    with pytest.raises(ServiceError, match=f"attached to version {second}") as refused:
        rules.move_label(secret, "AWSCURRENT", None, first)
    assert refused.value.code == "InvalidParameterException"


def test_an_unlabelled_version_is_readable_by_its_id_until_it_is_collected() -> None:
    secret = new_secret()
    first = put(secret, "first")
    put(secret, "second")
    put(secret, "third")
    assert first not in secret.labelled()
    assert rules.wanted_version(secret, first, None).content.text == "first"
    rules.collect(secret)
    with pytest.raises(ServiceError) as gone:
        rules.wanted_version(secret, first, None)
    assert gone.value.code == "ResourceNotFoundException"


def test_a_label_of_another_version_is_rejected() -> None:
    secret = new_secret()
    first = put(secret, "first")
    put(secret, "second")
    with pytest.raises(ServiceError) as refused:
        rules.wanted_version(secret, first, "AWSCURRENT")
    assert refused.value.code == "InvalidRequestException"


def test_a_version_has_at_most_twenty_labels() -> None:
    secret = new_secret()
    version = put(secret, "first", [f"label-{number}" for number in range(19)])
    before = secret.labelled()
    with pytest.raises(ServiceError) as refused:
        rules.move_label(secret, "one-more", None, version)
    assert refused.value.code == "LimitExceededException"
    with pytest.raises(ServiceError):
        put(secret, "second", [f"label-{number}" for number in range(21)])
    assert secret.labelled() == before


def test_deprecated_versions_beyond_a_hundred_expire_after_a_day() -> None:
    secret = new_secret()
    kept = put(secret, "kept", ["AWSCURRENT", "aws-secrets-initial"])
    made = [put(secret, f"value {number}") for number in range(120)]
    assert list(secret.versions) == [kept, *made]
    for version in secret.versions.values():
        version.created -= 2 * 86_400
    made.append(put(secret, "newest"))
    assert list(secret.versions) == [kept, *made[19:]]


def test_a_label_named_with_the_wrong_holder_stays_where_it_is() -> None:
    secret = new_secret()
    first, second = put(secret, "first"), put(secret, "second")
    before = secret.labelled()
    with pytest.raises(ServiceError, match="that currently has the staging label AWSCURRENT") as refused:
        rules.move_label(secret, "AWSCURRENT", first, first)
    assert refused.value.code == "InvalidParameterException"
    assert secret.labelled() == before
    assert second in before


def test_the_versions_of_a_secret_have_room_for_twenty_labels_together() -> None:
    secret = new_secret()
    first = put(secret, "first", [f"label-{number}" for number in range(10)])
    put(secret, "second", ["AWSCURRENT", *[f"more-{number}" for number in range(8)]])
    assert len({label for labels in secret.labelled().values() for label in labels}) == 20
    with pytest.raises(ServiceError) as refused:
        put(secret, "third", ["one-more"])
    assert refused.value.code == "LimitExceededException"
    rules.move_label(secret, "more-1", secret.holder("more-1").version_id, first)  # type: ignore[union-attr] # it has one
    put(secret, "third")
