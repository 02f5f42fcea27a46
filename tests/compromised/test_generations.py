"""Raising generations in a stack file: the right key, nothing else, and not twice for one incident."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from operations.compromised.answer import Answer
from operations.compromised.generations import Edited, Key, raise_generations, sharing_stacks
from operations.compromised.model import Plan, Report
from operations.fleet.stack_files import load_fleet_file
from stack_file import Configuration
from stack_file.files import read

SINCE = datetime(2026, 11, 29, 3, 12, 45, 123456, tzinfo=UTC)
MARK = "# compromised 2026-11-29T03:12:45.123456+00:00"
HEAD = "# written by hand\nconfig:\n  aws:region: us-east-1  # near\n  aws-secrets:secrets:\n    app:\n"


def raised(folder: Path, values: str, *keys: str, since: datetime = SINCE, applied: int = 1) -> Edited:
    file = folder / "Pulumi.dev.yaml"
    (folder / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    if not file.exists():
        file.write_text(HEAD + values)
    declared = yaml.safe_load(file.read_text())["config"]["aws-secrets:secrets"]["app"]["values"]
    wanted = [
        Key(
            secret="app",
            key=key,
            place=("secrets", "app", "values", key),
            declared=declared[key].get("generation", 1),
            applied=applied,
        )
        for key in keys
    ]
    configuration = Configuration(
        project="aws-secrets", stack="dev", values={}, encrypted=frozenset(), mistakes=()
    )
    return raise_generations(folder, configuration, wanted, since)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("        A: {random: {length: 9}}\n", "        A: {random: {length: 9}, generation: 2}  %s\n"),
        (
            "        A: {random: {}, generation: 1}  # why\n",
            "        A: {random: {}, generation: 2}  # why  %s\n",
        ),
        (
            "        A:\n          random:\n            length: 9\n",
            "        A:\n          generation: 2  %s\n          random:\n            length: 9\n",
        ),
        (
            "        A:\n          random: {}\n          generation: 1\n",
            "        A:\n          random: {}\n          generation: 2  %s\n",
        ),
        (
            "        A: {\n          random: {}\n        }\n",
            None,
        ),
    ],
)
def test_a_generation_is_raised_in_place(tmp_path: Path, before: str, after: str | None) -> None:
    other = "        B: {random: {}}  # stays\n"
    edited = raised(tmp_path, f"      values:\n{before}{other}", "A")
    text = (tmp_path / "Pulumi.dev.yaml").read_text()
    if after is None:
        assert ([key.key for key in edited.impossible], edited.wanted) == (["A"], {})
        assert text == f"{HEAD}      values:\n{before}{other}"
        return
    assert text == f"{HEAD}      values:\n{after % MARK}{other}"
    assert edited.wanted == {("app", "A"): 2}


def test_one_incident_raises_a_generation_once(tmp_path: Path) -> None:
    values = "      values:\n        A: {random: {}}\n        B: {random: {}}\n"
    raised(tmp_path, values, "A")
    once = (tmp_path / "Pulumi.dev.yaml").read_text()
    assert raised(tmp_path, values, "A", applied=2).raised == []
    assert (tmp_path / "Pulumi.dev.yaml").read_text() == once
    # another key, and a later incident
    assert [key.key for key in raised(tmp_path, values, "A", "B", applied=1).raised] == ["B"]
    later = raised(tmp_path, values, "A", applied=2, since=SINCE + timedelta(hours=1))
    assert later.wanted == {("app", "A"): 3}


def test_a_generation_that_is_not_applied_yet_is_not_raised_again(tmp_path: Path) -> None:
    values = "      values:\n        A: {random: {}, generation: 4}\n"
    edited = raised(tmp_path, values, "A", applied=3)
    assert (edited.raised, edited.wanted) == ([], {("app", "A"): 4})
    assert (tmp_path / "Pulumi.dev.yaml").read_text().endswith(f"generation: 4}}  {MARK}\n")


def test_a_lowered_generation_is_raised_above_the_applied_one(tmp_path: Path) -> None:
    assert raised(tmp_path, "      values:\n        A: {random: {}}\n", "A", applied=7).wanted == {
        ("app", "A"): 8
    }


@pytest.mark.parametrize(
    "values",
    [
        "      values: {A: {random: {}, generation: 1}, B: {random: {}}}\n",
        "      values:\n        B: &one {random: {}}\n        A: *one\n",
    ],
)
def test_an_entry_that_shares_its_line_or_text_stays_as_it_is(tmp_path: Path, values: str) -> None:
    edited = raised(tmp_path, values, "A")
    assert [key.key for key in edited.impossible] == ["A"]
    assert (tmp_path / "Pulumi.dev.yaml").read_text() == HEAD + values


def test_a_comment_about_another_key_counts_for_none(tmp_path: Path) -> None:
    values = f"      values: {{A: {{random: {{}}, generation: 2}}, B: {{random: {{}}}}}}  {MARK}\n"
    assert [key.key for key in raised(tmp_path, values, "A", applied=2).impossible] == ["A"]


def test_a_generation_in_an_included_file_is_raised_there(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    own, file = tmp_path / "Pulumi.dev.yaml", tmp_path / "declarations" / "app.yaml"
    text = "secrets:\n  app:\n    values:\n      A: {random: {}%s\n"
    file.parent.mkdir()
    file.write_text(text % "}")
    own.write_text("config:\n  aws-secrets:include: [declarations/app.yaml]\n")
    before = own.read_text()
    key = Key(secret="app", key="A", place=("secrets", "app", "values", "A"), declared=1, applied=1)
    assert raise_generations(tmp_path, read(tmp_path, "dev"), [key], SINCE).raised == [key]
    assert file.read_text() == text % f", generation: 2}}  {MARK}"
    assert own.read_text() == before


def test_other_stacks_that_get_the_raised_generations_are_named(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    (tmp_path / "declarations").mkdir()
    for name, secret in (("app", "app"), ("more", "other"), ("same", "app")):
        text = f"secrets: {{{secret}: {{values: {{A: {{random: {{}}}}}}}}}}\n"
        (tmp_path / "declarations" / f"{name}.yaml").write_text(text)
    included = {"dev": "app", "prod": "*p*", "web": "more", "test": "same", "broken": "[", "none": "none"}
    for stack, name in included.items():
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(
            f"config: {{aws-secrets:include: [declarations/{name}.yaml]}}\n"
        )
    keys = [
        Key(secret=name, key="A", place=("secrets", name, "values", "A"), declared=1, applied=1)
        for name in ("app", "own")
    ]
    found = sharing_stacks(tmp_path, read(tmp_path, "dev"), keys)
    assert found == {"declarations/app.yaml": ["prod"]}
    assert sharing_stacks(tmp_path, read(tmp_path, "dev"), keys[1:]) == {}


def test_the_report_names_the_other_stacks_of_an_included_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    (tmp_path / "declarations").mkdir()
    (tmp_path / "declarations/a.yaml").write_text("secrets:\n  app:\n    values:\n      A: {random: {}}\n")
    for stack in ("dev", "prod"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(
            "config: {aws-secrets:include: [declarations/a.yaml]}\n"
        )
    report = Report(stack="dev", account="", region="", since=SINCE, started=SINCE, dry_run=True)
    answer = Answer(
        target=cast("Any", SimpleNamespace(stack=SimpleNamespace(configuration=read(tmp_path, "dev")))),
        plan=cast("Plan", SimpleNamespace(secrets=(), readers=())),
        report=report,
        folder=tmp_path,
        timeout=0,
        update=False,
        tell=print,
    )
    key = Key(secret="app", key="A", place=("secrets", "app", "values", "A"), declared=1, applied=1)
    monkeypatch.setattr(Answer, "_keys", lambda _: [key])
    answer.preview()
    [task] = report.tasks
    assert task.where == "declarations/a.yaml"
    assert "prod" in task.text


FLEET = """encryptionsalt: v1:anything
config:
  aws:region: us-east-1
  aws-secrets:initialValues: managed
  aws-secrets:fleet: {groups: {a: [app], b: [other]}}
  aws-secrets:secrets:
    app:
      values:
        A: {random: {}}
    other: {values: {B: {random: {}}}}
"""


def test_a_generation_of_a_fleets_group_is_raised_in_the_fleets_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    own, group = tmp_path / "Pulumi.shop.yaml", tmp_path / "Pulumi.shop.a.yaml"
    own.write_text(FLEET)
    file = load_fleet_file(tmp_path, "shop")
    file.write(file.partition.groups)
    key = Key(secret="app", key="A", place=("secrets", "app", "values", "A"), declared=1, applied=1)
    before = group.read_text()
    raise_generations(tmp_path, read(tmp_path, "shop.a"), [key], SINCE, write=False)
    assert (own.read_text(), group.read_text()) == (FLEET, before)
    assert raise_generations(tmp_path, read(tmp_path, "shop.a"), [key], SINCE).raised == [key]
    raised_text = FLEET.replace("A: {random: {}}", f"A: {{random: {{}}, generation: 2}}  {MARK}")
    assert own.read_text() == raised_text
    values = {"A": {"random": {}, "generation": 2}}
    assert read(tmp_path, "shop.a").values["aws-secrets:secrets"]["app"]["values"] == values
    assert load_fleet_file(tmp_path, "shop").outdated_files() == []
    again = replace(key, declared=2, applied=2)
    edited = raise_generations(tmp_path, read(tmp_path, "shop.a"), [again], SINCE)
    assert (edited.raised, edited.wanted) == ([], {("app", "A"): 2})


def test_an_included_file_of_a_fleet_is_edited_for_its_group(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    (tmp_path / "declarations").mkdir()
    included = tmp_path / "declarations" / "app.yaml"
    included.write_text("secrets:\n  app:\n    values:\n      A: {random: {}}\n")
    without = FLEET.replace("    app:\n      values:\n        A: {random: {}}\n", "")
    for stack in ("shop", "else"):
        text = f"{without}  aws-secrets:include: [declarations/app.yaml]\n"
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text)
    file = load_fleet_file(tmp_path, "shop")
    file.write(file.partition.groups)
    key = Key(secret="app", key="A", place=("secrets", "app", "values", "A"), declared=1, applied=1)
    raise_generations(tmp_path, read(tmp_path, "shop.a"), [key], SINCE)
    assert included.read_text().endswith(f"A: {{random: {{}}, generation: 2}}  {MARK}\n")
    shared = sharing_stacks(tmp_path, read(tmp_path, "shop.a"), [key])
    assert shared == {"declarations/app.yaml": ["else"]}


def test_a_generation_that_another_run_raised_meanwhile_is_not_lowered(tmp_path: Path) -> None:
    values = "      values:\n        A: {random: {}, generation: 5}\n"
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(HEAD + values)
    configuration = read(tmp_path, "dev")
    key = Key(secret="app", key="A", place=("secrets", "app", "values", "A"), declared=1, applied=1)
    assert raise_generations(tmp_path, configuration, [key], SINCE).wanted == {("app", "A"): 5}
    assert "generation: 5" in file.read_text()
