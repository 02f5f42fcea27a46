"""YAML as the engine reads it, and YAML that it reads back unchanged."""

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stack_file
from operations.stack_file_text import with_config
from stack_file.files import FileError, read
from stack_file.yaml_text import DEEPEST, YamlError, write
from stack_file.yaml_text import read as read_text

if TYPE_CHECKING:
    from pathlib import Path

AWKWARD = [
    "off", "NO", "on", "y", "12:30", "1e3", "12e4", "0o644", "123456e7", "0x10", "012", "1_000", "1.10", ".5",
    "~", "null", "true", "True", "2024-06-20", "2024-06-20 10:00:00", ".inf", "<<", "=", "", " a ", "a: b",
    "# no comment", "- a", "a\nb\n", "\t",
    "\u2028", "\u0085", "\ufeff", "'", '"',
    "{a}", "[b]", "*c", "&d", "!e",
    "%f", "@g", "`h", "|", ">", "?", ":", "-", "--- x", "...",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text("0123456789+-._:eExXobTZ", max_size=9),
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.none(), st.integers(-(2**53), 2**53)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_written_yaml_is_read_back_unchanged_or_rejected(value: dict[str, object]) -> None:
    try:
        text = write(value)
    except YamlError:
        return  # an error; nothing was written
    found = read_text(text)
    assert json.dumps(found.value) == json.dumps(value)
    assert found.altered == ()


@pytest.mark.parametrize("text", AWKWARD)
def test_every_awkward_text_can_be_written(text: str) -> None:
    assert read_text(write({"text": [text]})).value == {"text": [text]}


@pytest.mark.parametrize(
    "text",
    ["2024-06-20", "1.10", "0x10", "012345678901", "1e3", "0o17", "1_000", "+1", ".inf"],
)
def test_an_altered_unquoted_text_is_reported(text: str) -> None:
    assert [one.place for one in read_text(f"a: {{b: {text}}}").altered] == [("a", "b")]
    assert [(one.place, one.key) for one in read_text(f"a: {{{text}: b}}").altered] == [(("a", text), text)]
    assert read_text(f'a: {{"{text}": "{text}"}}').altered == ()


@pytest.mark.parametrize("text", ["32", "-5", "1.5", "true", "off", "NO", "12:30", "2024-13-40", "abc", "0"])
def test_an_unaltered_unquoted_text_is_accepted(text: str) -> None:
    found = read_text(f"a: {text}\n{text}: b")
    assert found.altered == ()
    assert found.value[text] == "b"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is already on line 1"),
        ("a: {b: 1, 'b': 2}", "line 1: the key 'b' is already on line 1"),
        ("a: &x [*x]", "the anchor contains itself"),
        ("a: *x", "undefined alias|unknown alias"),
        ("? [a]\n: b", "cannot be a key"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("a: !!binary aGk=", "tags \\(!\\)"),
        ("[" * (DEEPEST + 1), "levels deep"),
        ("a: [b", "line 2"),
        ("<<: 1", "only maps can be merged"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
            for old, new in zip("abcdef", "bcdefg", strict=True)
        ), "aliases"),
    ],
)  # fmt: skip
def test_yaml_that_the_engine_rejects_is_rejected_with_its_line(text: str, why: str) -> None:
    with pytest.raises(YamlError, match=why):
        read_text(text)


def test_maps_are_merged_as_the_engine_does() -> None:
    text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nx: {<<: [*base, *other], a: 5}"
    assert read_text(text).value["x"] == {"a": 5, "b": 2, "c": 4}


FILE = """\
# an editor's schema
encryptionsalt: v1:salt
config:
  aws:region: us-east-1
  # who pays
  aws-secrets:tags: {team: web}   # short
  aws-secrets:key:
    secure: v1:text

  # the secrets
  aws-secrets:secrets:
    app:  # of the shop
      values: {A: {value: "1e3"}}
# the end
"""


def test_an_edited_file_keeps_other_comments_and_quotes() -> None:
    content = read_text(FILE).value
    config = {
        **content["config"],
        "aws-secrets:tags": {"team": "off", "version": "1.10"},
        "new": "2024-06-20",
    }
    edited = with_config(FILE, content, config)
    assert read_text(edited).value == {**content, "config": config}
    assert read_text(edited).altered == ()
    for kept in (
        "# an editor's schema",
        "# who pays",
        "# the secrets",
        "# of the shop",
        '"1e3"',
        "# the end",
    ):
        assert kept in edited
    assert with_config(FILE, content, content["config"]) == FILE


SECRETS = """\
config:
  aws-secrets:secrets:
    # the shop's
    shop:  # asks the vendor
      values: {A: {value: "1e3"}}
    # leaves
    old:
      values: {B: {random: {}}}
    new:
      values:
        B: {random: {}}  # generated
        # until it is moved
      renamedFrom: old
  # who pays
  aws-secrets:tags: {team: web}
"""


def test_an_edit_of_one_secret_keeps_the_text_of_the_others() -> None:
    content = read_text(SECRETS).value
    secrets = content["config"]["aws-secrets:secrets"]
    kept = {"shop": secrets["shop"], "new": {"values": secrets["new"]["values"]}}
    edited = with_config(SECRETS, content, {**content["config"], "aws-secrets:secrets": kept})
    gone = """\
    # leaves
    old:
      values: {B: {random: {}}}
"""
    assert edited == SECRETS.replace(gone, "").replace("      renamedFrom: old\n", "").replace(
        "        # until it is moved\n", ""
    )


def test_a_removed_entry_loses_its_comment() -> None:
    content = read_text(FILE).value
    config = {key: value for key, value in content["config"].items() if key != "aws-secrets:tags"}
    assert "who pays" not in with_config(FILE, content, config)


@settings(deadline=None)
@given(
    st.dictionaries(TEXTS, VALUES, max_size=4),
    st.sampled_from([FILE, SECRETS, "", "config: {a: 1}\n", "config:\n", "a: &x 1\nconfig:\n  b: *x\n"]),
)
def test_any_configuration_can_be_written_into_any_file(config: dict[str, object], file: str) -> None:
    content = read_text(file).value or {}
    try:
        edited = with_config(file, content, config)
    except YamlError:
        return
    assert read_text(edited).value == {**content, "config": config}


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["config:", "  aws-secrets:secrets:", "    app:", "      values: {A: {value: x}}", "- a"]
        ),
        st.builds("{}{}: {}".format, st.sampled_from(["", "  ", "    "]), TEXTS, TEXTS),
        TEXTS,
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(lines=LINES)
def test_no_file_causes_a_traceback(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "any-file"
    folder.mkdir(exist_ok=True)
    (folder / "Pulumi.yaml").write_text("name: aws-secrets\n")
    (folder / "Pulumi.dev.yaml").write_text("\n".join(lines), "utf-8")
    with contextlib.suppress(FileError, stack_file.SettingsError):
        stack_file.check(read(folder, "dev"))


OIDC = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/A"
RICH: dict[str, object] = {
    "aws-secrets:key": "(encrypted)",
    "aws:region": "us-east-1",
    "pulumi:autonaming": {"pattern": "x"},
    "aws-secrets:encryption": "stack-key",
    "aws-secrets:tags": {"team": "web"},
    "aws-secrets:replicas": [{"region": "eu-west-1", "encryption": "aws-managed"}],
    "aws-secrets:rotation": {"logRetentionDays": 30, "architecture": "arm64"},
    "aws-secrets:secrets": {
        "app": {
            "description": "d",
            "values": {
                "A": {"random": {"length": 32, "keepers": {"a": "b"}}, "generation": 2},
                "B": {"value": "x"},
                "C": {"filledByHand": "ask"},
                "D": {"config": "key"},
                "E": {"randomBytes": {"length": 32, "encoding": "hex"}},
            },
            "removedKeys": ["OLD"],
            "initialValues": "managed",
            "policy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "S",
                        "Effect": "Allow",
                        "Principal": {"AWS": ["arn:aws:iam::123456789012:root"]},
                        "Action": "secretsmanager:GetSecretValue",
                        "Resource": "*",
                        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-1"]}},
                    }
                ],
            },
            "rotation": {"keys": ["A"], "length": 32, "automaticallyAfterDays": 30},
            "tags": {"a": "b"},
            "replicas": [{"region": "eu-west-1"}],
            "recoveryWindowDays": 7,
        }
    },
    "aws-secrets:databases": {
        "shop": {
            "host": "db.example",
            "port": 5432,
            "vpc": {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]},
            "admin": {"secret": "admin", "username": "postgres", "password": {"config": "key"}},
            "logins": {
                "login": {
                    "username": "u",
                    "database": "d",
                    "grantStatements": ["GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {owner}"],
                    "schemas": ["public"],
                    "rotation": {"scheduleExpression": "rate(10 days)", "duration": "3h"},
                    "values": {"X": {"value": "x"}},
                }
            },
        }
    },
    "aws-secrets:workloads": {
        "web": {
            "kubernetes": {
                "operator": "external-secrets",
                "oidcProviderArn": OIDC,
            },
            "environment": {
                "A": {"secret": "app", "key": "A"},
                "T": {"template": "${a}", "keys": {"a": {"secret": "app", "key": "A"}}},
            },
            "files": {"f": {"secret": "app", "key": "A"}},
            "environmentFrom": ["app"],
        },
        "job": {
            "ecs": {"redeploy": {"cluster": "c", "service": "s"}},
            "environment": {"A": {"secret": "app"}},
        },
        "hook": {"lambda": {"role": "r"}, "environment": {"A": {"secret": "app"}}},
    },
    "aws-secrets:fleet": {"groups": {"a": ["app"]}},
    "aws-secrets:pipeline": {"repository": "o/r", "stacks": ["dev"], "secretPrefixes": ["app"]},
}
ANYTHING = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.none(), st.integers(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=4,
)


def places(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for step, item in below for found in places(item, (*place, step)))]


def replaced(value: Any, place: tuple[str | int, ...], by: object) -> Any:  # noqa: ANN401  any structure
    if not place:
        return by
    copy = value.copy()
    copy[place[0]] = replaced(copy[place[0]], place[1:], by)
    return copy


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_configuration_causes_a_traceback(data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(sorted(RICH)), min_size=3))
    values = {key: RICH[key] for key in sorted(kept)}
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from([place for place in places(values) if place]))
        values = replaced(values, place, data.draw(ANYTHING))
    configuration = stack_file.Configuration(
        project="aws-secrets", stack="dev", values=values, encrypted=frozenset({"aws-secrets:key"})
    )
    with contextlib.suppress(stack_file.SettingsError):
        stack_file.check(configuration)
