"""Our reader reads stack files as the engine does, or rejects them; the engine reads back what we write."""

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from stack_file import files, parsed
from stack_file.yaml_text import YamlError, read, write
from tests.support.local_engine import stack_environment
from tests.support.stacks import Stack, new_stack
from tests.unit.test_yaml_text import AWKWARD

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = "0123456789" * 3 + "+-._:eExXobOBTZ nyYNtf~"
SCALARS = [
    *("1e3", "0o644", "123456e7", "12:30", "2024-06-20", "1.10", "0x10", "012", "08", "1_000"),
    *("off", "NO", "on"),
    *("true", "True", "~", "null", ".5", "-.5", "1.", "0b101", "-0b11", "+1", "-0", "2024-6-2", "2024-02-30"),
    *("2024-06-20T10:00:00Z", "2024-06-20 10:00:00", "1e400", "9223372036854775808", "-9223372036854775809"),
    *("1.0", "0.1", "3.14", "2.50", "012345678901", "123456789012", "1E3", "0X1F", "+0x1", "=", "é1", "a b"),
]  # fmt: skip
STRUCTURES = {
    "merged": "{<<: *base, b: 3}",
    "merged-list": "{<<: [*base, *other]}",
    "merged-twice": "{<<: [*other, *base], c: 5}",
    "alias": "[*base, *text]",
    "literal": "|\n      # no comment\n      two\n\n      lines\n",
    "stripped": "|-\n      one\n      two\n",
    "kept": "|+\n      one\n\n",
    "folded": ">\n      one\n      two\n\n      three\n",
    "quoted": '"a\\tb \\u00e9 \\x41"',
    "single": "'it''s # none'",
    "comment": "a # a comment",
    "hash": "a#b",
    "flow": '{a: [1, {b: c}], "d": ~, e: , f: "x"}',
    "empty": "{}",
    "nothing": "",
    "many lines": "one\n      two",
    "tabs": "a\tb",
    "question": "{? a : b}",
}
REFUSED = {
    "twice": "a: 1\n    a: 2",
    "itself": "a: &x [*x]",
    "unknown": "a: *nowhere",
    "list-key": "? [a]\n    : b",
    "open": "a: [b",
    "no-map-merged": "<<: 1",
    "quoted-merge": '"<<": 1',
    "not-a-number": "a: .nan",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder: Path = tmp_path_factory.mktemp("yaml")
    return new_stack(folder / "project", stack_environment(folder, "http://127.0.0.1:1"), "")


def by_engine(stack: Stack, text: str) -> dict[str, Any]:
    """Return what the engine passes to a program, by key."""
    stack.file.write_text(text)
    told = json.loads(stack.pulumi("config", "--json").stdout)
    return {key: json.loads(about["value"]) for key, about in told.items() if key.startswith("p:")}


def generated(count: int) -> list[str]:
    source = random.Random(20261129)  # noqa: S311  the same cases in each run
    texts = ("".join(source.choices(CHARACTERS, k=source.randint(1, 7))).strip() for _ in range(count))
    return [
        text
        for text in texts
        if text[:1] not in {"", "-", "?"} and ": " not in f"{text} " and text[-1] != ":"
    ]


def test_plain_scalars_match_the_engine_or_are_reported(stack: Stack) -> None:
    texts = list(dict.fromkeys([*SCALARS, *generated(600)]))
    lines = [f"  p:v{number}:\n    a: {text}\n    {text}: x\n" for number, text in enumerate(texts)]
    text = f"config:\n{''.join(lines)}"
    ours, engines = read(text), by_engine(stack, text)
    altered = {str(one.place[1]) for one in ours.altered}
    assert len(altered) < len(texts) / 2
    for number, written in enumerate(texts):
        key = f"p:v{number}"
        if key not in altered:
            assert json.dumps(ours.value["config"][key], sort_keys=True) == json.dumps(
                engines[key], sort_keys=True
            ), written


def test_every_reported_text_is_altered_by_the_engine(stack: Stack) -> None:
    texts = [text for text in SCALARS if read(f"x: {text}").altered]
    lines = [f"  p:v{number}: {{x: {text}}}\n" for number, text in enumerate(texts)]
    engines = by_engine(stack, f"config:\n{''.join(lines)}")
    for number, text in enumerate(texts):
        assert json.dumps(engines[f"p:v{number}"]["x"]).strip('"') != text


def test_structures_anchors_and_block_texts_match_the_engine(stack: Stack) -> None:
    head = "config:\n  p:base: &base {a: 1, b: 2}\n  p:other: &other {b: 4, c: d}\n  p:list: [&text off]\n"
    lines = [f"  p:{name.replace(' ', '-')}:\n    v: {text}\n" for name, text in STRUCTURES.items()]
    text = head + "".join(lines)
    ours = read(text)
    assert ours.altered == ()
    assert ours.value["config"] == by_engine(stack, text)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_rejects_is_rejected(stack: Stack, name: str) -> None:
    text = f"config:\n  p:v:\n    {REFUSED[name]}\n"
    try:
        refused = bool(read(text).altered)
    except YamlError:
        refused = True
    assert refused
    stack.file.write_text(text)
    assert stack.pulumi("config", "--json", check=False).returncode != 0


def test_shared_project_values_match_the_engine(stack: Stack) -> None:
    """A stack's value of a key replaces the project's whole value: nothing is merged."""
    file = stack.folder / "Pulumi.yaml"
    project = file.read_text()
    shared = {
        "aws-secrets:secrets": {"value": {"app": {"values": {"off": {"value": "1e3"}}, "tags": {"a": "b"}}}},
        "aws-secrets:tags": {"value": {"team": "a", "on": "NO"}},
        "aws-secrets:replicas": {"value": [{"region": "eu-west-1"}]},
        "aws:region": {"value": "eu-west-1"},
    }
    own = {"aws-secrets:tags": {"owner": "b"}, "aws-secrets:workloads": {}}
    try:
        file.write_text(write({"name": "aws-secrets", "runtime": "python", "config": shared}))
        stack.file.write_text(write({"config": own}))
        told = json.loads(stack.pulumi("config", "--json").stdout)
        ours = files.read(stack.folder, "test").values
    finally:
        file.write_text(project)
    assert ours == {key: parsed(about["value"]) for key, about in told.items()}
    assert ours["aws-secrets:tags"] == {"owner": "b"}


def test_the_engine_reads_back_what_is_written(stack: Stack) -> None:
    texts = [*AWKWARD, *SCALARS, *generated(300)]
    config = {
        f"p:v{number}": {"a": text, text or "empty": [text]}
        for number, text in enumerate(texts)
        if text != "<<"
    }
    assert by_engine(stack, write({"config": config})) == config
