"""A partition loses, duplicates and moves no secret."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from operations.fleet import Partition, split
from stack_file import Configuration, SettingsError

_names = st.text("ab/-", min_size=1, max_size=4)
_secrets = st.sets(_names, min_size=1, max_size=12)
VALUE: dict[str, Any] = {"values": {"KEY": {"random": {}}}}
Secrets = Iterable[str] | dict[str, Any]


def configuration(
    fleet: object,
    secrets: Secrets,
    *,
    stack: str = "prod",
    encrypted: tuple[str, ...] = (),
    **more: object,
) -> Configuration:
    structure = {
        "fleet": fleet,
        "encryption": "aws-managed",
        "secrets": secrets if isinstance(secrets, dict) else dict.fromkeys(sorted(secrets), VALUE),
        **more,
    }
    values = {"aws:region": "us-east-1"} | {f"app:{key}": value for key, value in structure.items()}
    return Configuration(
        project="app",
        stack=stack,
        values=values | {f"app:{key}": "(encrypted)" for key in encrypted},
        encrypted=frozenset(f"app:{key}" for key in encrypted),
    )


def assigned(partition: Partition) -> dict[str, str]:
    return {secret: group.name for group in partition.groups for secret in group.secrets}


def mistakes(fleet: object, secrets: Secrets, **more: Any) -> dict[str, str]:  # noqa: ANN401  any stack file
    with pytest.raises(SettingsError) as raised:
        split(configuration(fleet, secrets, **more))
    return {
        mistake.path: f"{mistake.wrong}. {mistake.consequence}. {mistake.remedy}"
        for mistake in raised.value.mistakes
    }


@st.composite
def _fleets(draw: st.DrawFn) -> dict[str, Any]:
    """Groups with all kinds of patterns, of which every name matches one."""
    patterns = draw(
        st.sets(st.one_of(_names, st.text("ab/-", max_size=3).map(lambda text: f"{text}*")), max_size=6)
    )
    groups: dict[str, list[str]] = {"rest": ["*"]}
    for pattern in sorted(patterns - {"*"}):
        groups.setdefault(draw(st.sampled_from(["rest", "one", "two"])), []).append(pattern)
    return {"groups": groups}


def groups_with_secrets(fleet: dict[str, Any], secrets: set[str]) -> dict[str, Any]:
    """Add a secret to each group, because a group without secrets is a mistake."""
    for group, patterns in fleet["groups"].items():
        patterns.append(f"of-{group}")
        secrets.add(f"of-{group}")
    return fleet


@hypothesis_settings(deadline=None)
@given(_fleets(), _secrets)
def test_every_secret_is_in_exactly_one_matching_group(fleet: dict[str, Any], secrets: set[str]) -> None:
    partition = split(configuration(groups_with_secrets(fleet, secrets), secrets))
    everywhere = [secret for group in partition.groups for secret in group.secrets]
    assert sorted(everywhere) == sorted(secrets)
    for group in partition.groups:
        patterns = fleet["groups"][group.name]
        assert all(
            any(
                secret == pattern or (pattern[-1] == "*" and secret.startswith(pattern[:-1]))
                for pattern in patterns
            )
            for secret in group.secrets
        )


@hypothesis_settings(deadline=None)
@given(_secrets, _secrets, st.integers(2, 9))
def test_a_secret_stays_in_its_part_when_others_change(
    secrets: set[str], others: set[str], parts: int
) -> None:
    before = assigned(split(configuration({"parts": parts}, secrets)))
    after = assigned(split(configuration({"parts": parts}, secrets | others)))
    assert before.keys() == secrets
    assert {secret: after[secret] for secret in secrets} == before


@hypothesis_settings(deadline=None)
@given(_fleets(), _secrets, _secrets)
def test_a_secret_stays_in_its_group_when_others_are_added(
    fleet: dict[str, Any], secrets: set[str], others: set[str]
) -> None:
    before = assigned(split(configuration(groups_with_secrets(fleet, secrets), secrets)))
    fleet["groups"]["new"] = ["new/*"]
    after = assigned(split(configuration(fleet, secrets | others | {"new/one"})))
    assert {secret: after[secret] for secret in secrets} == before


@hypothesis_settings(deadline=None)
@given(st.sets(st.text("abcdef", min_size=6, max_size=6), min_size=1, max_size=60), st.integers(2, 9))
def test_an_added_part_moves_no_secret_between_the_others(secrets: set[str], parts: int) -> None:
    before = assigned(split(configuration({"parts": parts}, secrets)))
    after = assigned(split(configuration({"parts": parts + 1}, secrets)))
    assert {after[secret] for secret in secrets if after[secret] != before[secret]} <= {str(parts + 1)}


def test_a_thousand_secrets_are_spread_evenly() -> None:
    partition = split(configuration({"parts": 10}, [f"team/secret-{number}" for number in range(1_000)]))
    assert all(70 < len(group.secrets) < 130 for group in partition.groups)


def test_a_part_without_secrets_has_no_stack() -> None:
    assert [group.stack for group in split(configuration({"parts": 9}, ["one"])).groups] in [
        [f"prod.{number}"] for number in range(1, 10)
    ]


def test_the_most_specific_pattern_wins_in_any_order() -> None:
    partition = split(
        configuration(
            {"groups": {"all": ["*"], "web": ["web/*"], "admin": ["web/admin/*"], "one": ["web/admin/x"]}},
            ["other", "web/a", "web/admin/a", "web/admin/x"],
        )
    )
    assert assigned(partition) == {
        "other": "all",
        "web/a": "web",
        "web/admin/a": "admin",
        "web/admin/x": "one",
    }


DATABASE: dict[str, Any] = {
    "rdsInstance": "db",
    "logins": {
        "db/one": {"username": "one", "database": "d", "password": {"config": "onePassword"}},
        "db/two": {"username": "two", "database": "d"},
    },
}
READS = {"ecs": {}, "environment": {"KEY": {"secret": "a"}, "DATABASE_URL": {"secret": "db/one"}}}


WITHOUT_PASSWORDS = {
    **DATABASE,
    "logins": {name: {**about, "password": None} for name, about in DATABASE["logins"].items()},
}
SPLIT_WORKLOAD = {"ecs": {}, "environmentFrom": ["a"], "environment": {"X": {"secret": "b", "key": "KEY"}}}


def test_a_stack_gets_its_group_its_references_and_shared_settings() -> None:
    source = configuration(
        {"groups": {"data": ["db/*", "a"], "rest": ["*"]}},
        {"a": VALUE, "b": {"values": {"K": {"config": "bValue"}}}},
        databases={"main": DATABASE},
        workloads={"web": READS},
        encrypted=("onePassword", "bValue", "idle"),
    )
    partition = split(source)
    data, rest = partition.groups
    assert data.secrets == {"a", "db/one", "db/two"}
    shared = {"aws:region": "us-east-1", "app:encryption": "aws-managed"}
    assert data.config(source.values, "app") == shared | {
        "app:secrets": {"a": VALUE},
        "app:databases": {"main": DATABASE},
        "app:workloads": {"web": READS},
        "app:onePassword": "(encrypted)",
    }
    assert rest.config(source.values, "app") == shared | {
        "app:secrets": {"b": source.values["app:secrets"]["b"]},
        "app:bValue": "(encrypted)",
    }
    assert partition.idle == ("idle",)


def test_a_database_stays_in_its_part_when_a_login_is_added() -> None:
    one = {**DATABASE, "logins": {"db/two": DATABASE["logins"]["db/two"]}}
    three = {
        **one,
        "logins": {f"db/{name}": {"username": name, "database": "d"} for name in ("x", "two", "y")},
    }
    before = assigned(split(configuration({"parts": 9}, {}, databases={"main": one})))
    after = assigned(split(configuration({"parts": 9}, {}, databases={"main": three})))
    assert set(after.values()) == set(before.values())


F = "app:fleet"
TWO = {"groups": {"a": ["a*"], "rest": ["*"]}}


@pytest.mark.parametrize(
    ("fleet", "secrets", "more", "path", "words"),
    [
        ({}, ["a"], {}, F, "exactly one of groups and parts"),
        ({"parts": 2, "groups": {"a": ["*"]}}, ["a"], {}, F, "exactly one of groups and parts"),
        ({"parts": 1}, ["a"], {}, f"{F}.parts", "2 or more"),
        ({"parts": 201}, ["a"], {}, f"{F}.parts", "200"),
        ({"part": 2}, ["a"], {}, f"{F}.part", 'did you mean "parts"'),
        ({"groups": {"a.b": ["*"]}}, ["a"], {}, f'{F}.groups["a.b"]', "1 to 40"),
        ({"groups": {"a_b": ["*"]}}, ["a"], {}, f"{F}.groups.a_b", "1 to 40"),
        ({"groups": {"a": []}}, ["a"], {}, f"{F}.groups.a", "empty"),
        ({"groups": {}}, ["a"], {}, f"{F}.groups", "empty"),
        ({"groups": {"a": ["*a"]}}, ["a"], {}, f"{F}.groups.a[0]", "at the end"),
        ({"groups": {"a": ["x*"], "b": ["x*"]}}, ["x"], {}, F, '"x*" is in a and in b'),
        ({"groups": {"a": ["x*", "x*"]}}, ["x"], {}, F, "is in a twice"),
        ({"groups": {"a": ["a*"]}}, ["a", "b"], {}, "app:secrets.b", "No stack would create it"),
        (TWO, ["a"], {}, f"{F}.groups.rest", "pulumi destroy --stack prod.rest"),
        ({"parts": 2}, {}, {}, "app:secrets", "would create nothing"),
        (
            {"groups": {"a": ["a*", "db/one"], "rest": ["*"]}},
            ["a"],
            {"databases": {"main": WITHOUT_PASSWORDS}},
            "app:databases.main",
            "db/one in a, db/two in rest",
        ),
        (
            TWO,
            ["a", "b"],
            {"workloads": {"web": SPLIT_WORKLOAD}},
            "app:workloads.web",
            "a in a, b in rest",
        ),
        (TWO, ["a", "b"], {"stack": "s" * 99}, F, "Pulumi allows 100"),
    ],
)
def test_an_impossible_partition_is_a_mistake(
    fleet: object,
    secrets: Secrets,
    more: dict[str, Any],
    path: str,
    words: str,
) -> None:
    reported = mistakes(fleet, secrets, **more)
    assert words in reported[path], reported


def test_all_mistakes_of_the_file_are_reported_at_once() -> None:
    reported = mistakes({"parts": 0}, {"a b": {}, "c": {"values": {"K": {"randm": {}}}}})
    assert {"app:fleet.parts", 'app:secrets["a b"]', "app:secrets.c.values.K.randm"} <= reported.keys()


def test_a_file_without_fleet_is_a_mistake() -> None:
    source = configuration(None, ["a"])
    values = {key: value for key, value in source.values.items() if key != F}
    with pytest.raises(SettingsError, match="could not be partitioned into stacks"):
        split(Configuration(project="app", stack="prod", values=values, encrypted=frozenset()))


def test_a_part_that_exceeds_the_size_limit_is_a_mistake() -> None:
    many = {f"secret-{number:05}" for number in range(6000)}
    assert split(configuration({"parts": 10}, many))
    (place,) = mistakes({"parts": 2}, many)
    assert place == "app:fleet.parts"
    grouped = mistakes({"groups": {"some": ["secret-000*"], "rest": ["*"]}}, many)
    assert grouped.keys() == {"app:fleet.groups.rest"}
    assert "several stacks" in grouped["app:fleet.groups.rest"]


def test_a_workload_that_reads_only_existing_secrets_has_one_group() -> None:
    reading = {"ecs": {}, "environment": {"A": {"existingSecret": "b/platform"}}}
    fleet = {"groups": {"a": ["a/*"], "b": ["b/*"]}}
    partition = split(configuration(fleet, ["a/x"], workloads={"web": reading}))
    assert {group.name: group.parts["workloads"] for group in partition.groups} == {
        "a": frozenset(),
        "b": frozenset({"web"}),
    }
    elsewhere = {"ecs": {}, "environment": {"A": {"existingSecret": "platform"}}}
    partition = split(configuration(fleet, ["a/x", "b/x"], workloads={"web": elsewhere}))
    assert [group.name for group in partition.groups if group.parts["workloads"]] == ["a"]
    parts = split(configuration({"parts": 3}, ["a"], workloads={"web": elsewhere}))
    assert sum(len(group.parts["workloads"]) for group in parts.groups) == 1


def test_notices_of_a_fleet_go_to_a_topic_and_not_to_a_webhook() -> None:
    secrets = {**dict.fromkeys(("a", "b"), VALUE), "chat": {"text": {"filledByHand": "Slack"}}}
    fleet = {"groups": {"one": ["a"], "others": ["*"]}}
    topic = {"topicArn": "arn:aws:sns:us-east-1:123456789012:alerts"}
    assert set(assigned(split(configuration(fleet, secrets, notices=topic)))) == set(secrets)
    found = mistakes(fleet, secrets, notices={**topic, "webhook": {"secret": "chat"}})
    assert found.keys() == {"app:notices.webhook"}
    assert "Use topicArn" in found["app:notices.webhook"]


def test_a_workload_waits_for_workloads_of_its_own_group_only() -> None:
    def waiting(secret: str, *after: str) -> dict[str, Any]:
        return {"ecs": {}, "environment": {"KEY": {"secret": secret}}, "restart": {"after": [*after]}}

    workloads = {"web": waiting("a/x", "job"), "job": waiting("b/x"), "cron": waiting("b/x", "job")}
    found = mistakes({"groups": {"a": ["a/*"], "b": ["b/*"]}}, ["a/x", "b/x"], workloads=workloads)
    assert found.keys() == {"app:workloads.web.restart.after"}
    assert "other groups" in found["app:workloads.web.restart.after"]
    assert split(configuration({"groups": {"all": ["*"]}}, ["a/x", "b/x"], workloads=workloads))
