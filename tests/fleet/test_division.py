"""Which stack makes what: nothing is lost, nothing is there twice, nothing moves by itself."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from automation.fleet import Division, divide
from settings import Configuration, SettingsError

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


def placed(division: Division) -> dict[str, str]:
    return {secret: group.name for group in division.groups for secret in group.secrets}


def mistakes(fleet: object, secrets: Secrets, **more: Any) -> dict[str, str]:  # noqa: ANN401  a file may hold all
    with pytest.raises(SettingsError) as raised:
        divide(configuration(fleet, secrets, **more))
    return {
        found.path: f"{found.wrong}. {found.consequence}. {found.remedy}" for found in raised.value.mistakes
    }


@st.composite
def _fleets(draw: st.DrawFn) -> dict[str, Any]:
    """Groups with patterns of all kinds; every name has one."""
    patterns = draw(
        st.sets(st.one_of(_names, st.text("ab/-", max_size=3).map(lambda text: f"{text}*")), max_size=6)
    )
    groups: dict[str, list[str]] = {"rest": ["*"]}
    for pattern in sorted(patterns - {"*"}):
        groups.setdefault(draw(st.sampled_from(["rest", "one", "two"])), []).append(pattern)
    return {"groups": groups}


def groups_with_secrets(fleet: dict[str, Any], secrets: set[str]) -> dict[str, Any]:
    """The same with a secret for each group, named in it: a group without any is refused."""
    for group, patterns in fleet["groups"].items():
        patterns.append(f"of-{group}")
        secrets.add(f"of-{group}")
    return fleet


@hypothesis_settings(deadline=None)
@given(_fleets(), _secrets)
def test_every_secret_is_in_exactly_one_group_that_has_its_name(
    fleet: dict[str, Any], secrets: set[str]
) -> None:
    division = divide(configuration(groups_with_secrets(fleet, secrets), secrets))
    everywhere = [secret for group in division.groups for secret in group.secrets]
    assert sorted(everywhere) == sorted(secrets)
    for group in division.groups:
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
def test_a_secret_stays_in_its_part_whatever_is_added_or_taken_away(
    secrets: set[str], others: set[str], parts: int
) -> None:
    before = placed(divide(configuration({"parts": parts}, secrets)))
    after = placed(divide(configuration({"parts": parts}, secrets | others)))
    assert before.keys() == secrets
    assert {secret: after[secret] for secret in secrets} == before


@hypothesis_settings(deadline=None)
@given(_fleets(), _secrets, _secrets)
def test_a_secret_stays_in_its_group_whatever_secret_or_unrelated_group_is_added(
    fleet: dict[str, Any], secrets: set[str], others: set[str]
) -> None:
    before = placed(divide(configuration(groups_with_secrets(fleet, secrets), secrets)))
    fleet["groups"]["new"] = ["new/*"]
    after = placed(divide(configuration(fleet, secrets | others | {"new/one"})))
    assert {secret: after[secret] for secret in secrets} == before


@hypothesis_settings(deadline=None)
@given(st.sets(st.text("abcdef", min_size=6, max_size=6), min_size=1, max_size=60), st.integers(2, 9))
def test_one_part_more_takes_secrets_and_moves_none_between_the_others(secrets: set[str], parts: int) -> None:
    before = placed(divide(configuration({"parts": parts}, secrets)))
    after = placed(divide(configuration({"parts": parts + 1}, secrets)))
    assert {after[secret] for secret in secrets if after[secret] != before[secret]} <= {str(parts + 1)}


def test_thousand_secrets_are_spread_evenly() -> None:
    division = divide(configuration({"parts": 10}, [f"team/secret-{number}" for number in range(1_000)]))
    assert all(70 < len(group.secrets) < 130 for group in division.groups)


def test_a_part_without_secrets_has_no_stack() -> None:
    assert [group.stack for group in divide(configuration({"parts": 9}, ["one"])).groups] in [
        [f"prod.{number}"] for number in range(1, 10)
    ]


def test_the_most_specific_pattern_counts_in_whatever_order_they_stand() -> None:
    division = divide(
        configuration(
            {"groups": {"all": ["*"], "web": ["web/*"], "admin": ["web/admin/*"], "one": ["web/admin/x"]}},
            ["other", "web/a", "web/admin/a", "web/admin/x"],
        )
    )
    assert placed(division) == {"other": "all", "web/a": "web", "web/admin/a": "admin", "web/admin/x": "one"}


DATABASE: dict[str, Any] = {
    "rdsInstance": "db",
    "logins": {
        "db/one": {"username": "one", "database": "d", "password": {"config": "onePassword"}},
        "db/two": {"username": "two", "database": "d"},
    },
}
READS = {"ecs": {}, "environment": {"KEY": {"secret": "a"}, "DATABASE_URL": {"secret": "db/one"}}}


UNSET = {
    **DATABASE,
    "logins": {name: {**about, "password": None} for name, about in DATABASE["logins"].items()},
}
TORN = {"ecs": {}, "environmentFrom": ["a"], "environment": {"X": {"secret": "b", "key": "KEY"}}}


def test_a_stack_has_what_belongs_to_its_group_with_the_values_that_this_names_and_all_that_is_for_all() -> (
    None
):
    source = configuration(
        {"groups": {"data": ["db/*", "a"], "rest": ["*"]}},
        {"a": VALUE, "b": {"values": {"K": {"config": "bValue"}}}},
        databases={"main": DATABASE},
        workloads={"web": READS},
        encrypted=("onePassword", "bValue", "idle"),
    )
    division = divide(source)
    data, rest = division.groups
    assert data.secrets == {"a", "db/one", "db/two"}
    for_all = {"aws:region": "us-east-1", "app:encryption": "aws-managed"}
    assert data.config(source.values, "app") == for_all | {
        "app:secrets": {"a": VALUE},
        "app:databases": {"main": DATABASE},
        "app:workloads": {"web": READS},
        "app:onePassword": "(encrypted)",
    }
    assert rest.config(source.values, "app") == for_all | {
        "app:secrets": {"b": source.values["app:secrets"]["b"]},
        "app:bValue": "(encrypted)",
    }
    assert division.idle == ("idle",)


def test_a_database_stays_whole_in_its_part_when_a_login_is_added() -> None:
    one = {**DATABASE, "logins": {"db/two": DATABASE["logins"]["db/two"]}}
    three = {
        **one,
        "logins": {f"db/{name}": {"username": name, "database": "d"} for name in ("x", "two", "y")},
    }
    before = placed(divide(configuration({"parts": 9}, {}, databases={"main": one})))
    after = placed(divide(configuration({"parts": 9}, {}, databases={"main": three})))
    assert set(after.values()) == set(before.values())


F = "app:fleet"
TWO = {"groups": {"a": ["a*"], "rest": ["*"]}}


@pytest.mark.parametrize(
    ("fleet", "secrets", "more", "path", "words"),
    [
        ({}, ["a"], {}, F, "either groups or parts"),
        ({"parts": 2, "groups": {"a": ["*"]}}, ["a"], {}, F, "either groups or parts"),
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
        ({"groups": {"a": ["a*"]}}, ["a", "b"], {}, "app:secrets.b", "No stack would make it"),
        (TWO, ["a"], {}, f"{F}.groups.rest", "pulumi destroy --stack prod.rest"),
        ({"parts": 2}, {}, {}, "app:secrets", "It would create nothing"),
        (
            {"groups": {"a": ["a*", "db/one"], "rest": ["*"]}},
            ["a"],
            {"databases": {"main": UNSET}},
            "app:databases.main",
            "db/one to a, db/two to rest",
        ),
        (
            TWO,
            ["a", "b"],
            {"workloads": {"web": TORN}},
            "app:workloads.web",
            "a to a, b to rest",
        ),
        (TWO, ["a", "b"], {"stack": "s" * 99}, F, "Pulumi takes 100"),
    ],
)
def test_a_division_that_cannot_be_is_refused(
    fleet: object,
    secrets: Secrets,
    more: dict[str, Any],
    path: str,
    words: str,
) -> None:
    found = mistakes(fleet, secrets, **more)
    assert words in found[path], found


def test_all_mistakes_of_the_whole_file_come_at_once() -> None:
    found = mistakes({"parts": 0}, {"a b": {}, "c": {"values": {"K": {"randm": {}}}}})
    assert {"app:fleet.parts", 'app:secrets["a b"]', "app:secrets.c.values.K.randm"} <= found.keys()


def test_a_file_without_fleet_is_not_divided() -> None:
    source = configuration(None, ["a"])
    values = {key: value for key, value in source.values.items() if key != F}
    with pytest.raises(SettingsError, match="not said how the secrets are divided"):
        divide(Configuration(project="app", stack="prod", values=values, encrypted=frozenset()))


def test_a_part_that_no_program_could_be_started_with_is_refused_before_anything_is_done() -> None:
    many = {f"secret-{number:05}" for number in range(6000)}
    assert divide(configuration({"parts": 10}, many))
    (place,) = mistakes({"parts": 2}, many)
    assert place == "app:fleet.parts"
    grouped = mistakes({"groups": {"some": ["secret-000*"], "rest": ["*"]}}, many)
    assert grouped.keys() == {"app:fleet.groups.rest"}
    assert "more stacks" in grouped["app:fleet.groups.rest"]


def test_a_workload_that_reads_existing_secrets_alone_is_in_one_group() -> None:
    reading = {"ecs": {}, "environment": {"A": {"existingSecret": "b/platform"}}}
    fleet = {"groups": {"a": ["a/*"], "b": ["b/*"]}}
    found = divide(configuration(fleet, ["a/x"], workloads={"web": reading}))
    assert {group.name: group.parts["workloads"] for group in found.groups} == {
        "a": frozenset(),
        "b": frozenset({"web"}),
    }
    elsewhere = {"ecs": {}, "environment": {"A": {"existingSecret": "platform"}}}
    found = divide(configuration(fleet, ["a/x", "b/x"], workloads={"web": elsewhere}))
    assert [group.name for group in found.groups if group.parts["workloads"]] == ["a"]
    parts = divide(configuration({"parts": 3}, ["a"], workloads={"web": elsewhere}))
    assert sum(len(group.parts["workloads"]) for group in parts.groups) == 1
