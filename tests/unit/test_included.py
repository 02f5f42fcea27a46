"""Declarations in included files mean what they mean in the stack file."""

import errno
import glob
import json
import os
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import pytest
import referencing
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import operations
from operations.adopt.entries import Stack
from operations.fleet.stack_files import load_fleet_file
from operations.move import moving
from operations.rename import renaming
from operations.rename.readers import references
from operations.restore.plan import Refusal, Target
from program.desired import resolve
from stack_file import SettingsError, check
from stack_file.documents import project_file
from stack_file.files import read
from stack_file.included_paths import matching_files
from stack_file.mistakes import Mistake, located, path_of
from stack_file.schema import declarations_schema, stack_file_schema
from stack_file.size import size_of
from tests.support.example_project import PROJECT_FILE
from tests.support.recorded_run import run

SECRET: dict[str, Any] = {"values": {"KEY": {"random": {}}, "STRIPE": {"config": "stripeKey"}}}
KEY = {"secure": "v1:aaaa:bbbb"}
NAMES = st.text(st.sampled_from("ab.[]/@_-"), min_size=1, max_size=6)


def project(folder: Path, files: Mapping[str, str], **config: object) -> Path:
    """Write a project whose stack file has this configuration, and further files."""
    folder.mkdir(exist_ok=True)
    (folder / "Pulumi.yaml").write_text(PROJECT_FILE)
    settings = {f"aws-secrets:{key}": value for key, value in config.items()}
    content = {"encryptionsalt": "v1:x", "config": {"aws:region": "us-east-1", **settings}}
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def mistakes(folder: Path) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        check(read(folder, "dev"))
    return {mistake.path: mistake.wrong for mistake in raised.value.mistakes}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(where=st.dictionaries(NAMES, st.sampled_from(["", "a", "b/c"]), min_size=1))
def test_entries_mean_the_same_in_every_file(
    where: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    entries = {f"x{name}".replace("[", "+").replace("]", "="): SECRET for name in where}
    parts: dict[str, dict[str, Any]] = {"": {}, "a": {}, "b/c": {}}
    for name, file in zip(entries, where.values(), strict=True):
        parts[file][name] = SECRET
    folder = tmp_path_factory.mktemp("split")
    files = {f"declarations/{file}.yaml": yaml.safe_dump({"secrets": parts[file]}) for file in ("a", "b/c")}
    project(folder, files, include=["declarations/**/*.yaml"], secrets=parts[""], stripeKey=KEY)
    found = read(folder, "dev")
    whole = check(read(project(tmp_path_factory.mktemp("whole"), {}, secrets=entries, stripeKey=KEY), "dev"))
    checked = check(found)
    assert checked.stack_file.model_copy(update={"include": ()}) == whole.stack_file
    assert (checked.references, checked.idle) == (whole.references, whole.idle)
    assert found.passed["aws-secrets:secrets"] == parts[""]


def test_the_program_declares_the_same_resources(tmp_path: Path) -> None:
    other = {"values": {"KEY": {"random": {"length": 9}}, "A": {"value": "off"}}}
    config: dict[str, Any] = {"aws:region": "us-east-1"}
    secret = {"aws-secrets:stripeKey": "s"}
    whole = run({**config, "aws-secrets:secrets": {"one": SECRET, "two": other}}, secret)
    text = "secrets:\n  two: {values: {KEY: {random: {length: 9}}, A: {value: off}}}\n"
    with chdir(project(tmp_path, {"declarations/two.yaml": text})):
        included = {"aws-secrets:include": ["declarations/*.yaml"], "aws-secrets:secrets": {"one": SECRET}}
        split = run({**config, **included}, secret)
    assert {one.urn: one for one in split.resources} == {one.urn: one for one in whole.resources}
    assert split.outputs == whole.outputs


SOUND = "values: {KEY: {random: {}}}"


def test_every_mistake_of_a_file_has_its_name(tmp_path: Path) -> None:
    files = {
        "declarations/a.yaml": f"secrets:\n  one: {{{SOUND}, tag: {{}}}}\n"
        "  d.d: {values: {K: {value: 2024-06-20}}}\n",
        "declarations/b.yaml": f"secrets: {{one: {{{SOUND}}}, own: {{{SOUND}}}}}\n",
        "declarations/c.yaml": "secrets: {enc: {description: {secure: v1:a}}}\n"
        "x:smtp: {}\nkeys: 1\nconfig: 1\n",
        "declarations/d.yaml": "secrets: [\n",
        "declarations/e.yaml": "secrets: [one]\n",
        "declarations/.#f.yaml": "not read",
        "declarations/g.yaml": "workloads: {secure: v1:a}\n",
    }
    patterns = ["declarations/*.yaml", "declarations/none/*.yaml", "program/x.yaml", "declarations/../x.yaml"]
    own = {"own": yaml.safe_load(SOUND)}
    found = mistakes(project(tmp_path, files, include=patterns, secrets=own))
    assert {path: wrong.split(" (")[0].split(",")[0] for path, wrong in found.items()} == {
        "aws-secrets:include[1]": "no file matches declarations/none/*.yaml",
        "aws-secrets:include[2]": "not a path below declarations/ that ends in .yaml",
        "aws-secrets:include[3]": "not a path below declarations/ that ends in .yaml",
        "declarations/a.yaml: secrets.one.tag": 'unknown key "tag"',
        'declarations/a.yaml: secrets["d.d"].values.K.value': "this value is without quotes",
        "declarations/b.yaml: secrets.one": "it is declared in declarations/a.yaml as well",
        "declarations/b.yaml: secrets.own": "it is declared in Pulumi.dev.yaml or Pulumi.yaml as well",
        "declarations/c.yaml: secrets.enc": "a secret needs exactly one of values",
        "declarations/c.yaml: secrets.enc.description": "an encrypted value",
        "declarations/c.yaml: x:smtp": 'unknown key "x:smtp"',
        "declarations/c.yaml: keys": 'unknown key "keys"',
        "declarations/c.yaml: config": 'unknown key "config"',
        "declarations/d.yaml": "line 2",
        "declarations/e.yaml: secrets": "expected a map",
        "declarations/g.yaml: workloads": "an encrypted value",
    }


def test_entries_may_have_the_name_of_pulumis_key_for_encrypted_values(tmp_path: Path) -> None:
    named: dict[str, Any] = {"secure": {"values": {"secure": {"random": {}}}}}
    config: dict[str, Any] = {"include": ["declarations/a.yaml"], "databases": {}}
    for own, files in (
        (named, {"declarations/a.yaml": ""}),
        ({}, {"declarations/a.yaml": yaml.safe_dump({"secrets": named})}),
    ):
        assert check(
            read(project(tmp_path, files, secrets=own, **config), "dev")
        ).stack_file.secrets.keys() == {"secure"}
    facade = operations.checkout(tmp_path).stack("dev")
    assert facade.configure({"secrets": named}, aws={"region": "us-east-1"}).secrets.keys() == {"secure"}


@pytest.mark.parametrize("pattern", ["declarations/b.yaml", "declarations/*.yaml", "declarations/**/*.yaml"])
@pytest.mark.parametrize("kind", ["outside", "missing", "itself", "pipe", "parent", "folder"])
def test_what_cannot_be_read_is_never_left_out(tmp_path: Path, kind: str, pattern: str) -> None:
    files = {"declarations/a.yaml": f"secrets: {{one: {{{SOUND}}}}}\n"}
    folder = project(tmp_path / "p", files, include=["declarations/a.yaml", pattern])
    (tmp_path / "hidden.yaml").write_text("secrets: {hidden: {}}\n")
    file = folder / "declarations/b.yaml"
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "parent":
            (folder / "declarations").rename(folder / "elsewhere")
            (folder / "declarations").symlink_to("elsewhere")
        case _:
            file.symlink_to({"outside": f"{tmp_path}/hidden.yaml", "itself": "b.yaml"}.get(kind, "none.yaml"))
    found = mistakes(folder)
    assert found.keys() - {"aws-secrets:secrets"} == {
        "declarations" if kind == "parent" else "declarations/b.yaml"
    }


def test_many_patterns_of_folders_are_matched_at_once(tmp_path: Path) -> None:
    deep = "/".join(["declarations", *"a" * 60])
    pattern = "/".join(["declarations", *["**", "a"] * 7, "b.yaml"])
    folder = project(tmp_path, {f"{deep}/b.yaml": "", f"{deep}/c.yaml": ""}, include=[pattern])
    assert list(matching_files(folder, pattern)) == [f"{deep}/b.yaml"]


def test_a_folder_that_cannot_be_read_is_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"declarations/a.yaml": f"secrets: {{one: {{{SOUND}}}}}\n", "declarations/b/x.yaml": ""}
    folder = project(tmp_path, files, include=["declarations/**/*.yaml"])
    scan = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("declarations/b"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert mistakes(folder) == {"declarations/b": "the folder cannot be read: Permission denied"}


@pytest.mark.parametrize(
    "pattern",
    [
        *("declarations/c/*.yaml", "declarations/*/x.yaml", "declarations/**/*.yaml"),
        *("declarations/*.yaml", "declarations/**/c.yaml"),
    ],
)
def test_links_to_folders_are_never_left_out(tmp_path: Path, pattern: str) -> None:
    files = {"declarations/a.yaml": f"secrets: {{one: {{{SOUND}}}}}\n", "declarations/d/x.yaml": ""}
    folder = project(tmp_path, files, include=["declarations/a.yaml", pattern])
    name = (
        "declarations/c.yaml"
        if pattern in {"declarations/*.yaml", "declarations/**/c.yaml"}
        else "declarations/c"
    )
    (folder / name).symlink_to("d")
    assert mistakes(folder) == {name: "it is a link to a folder"}


@pytest.mark.parametrize(
    "pattern",
    [
        *("declarations/**.yaml", "declarations/a**/b.yaml", "declarations/***/b.yaml"),
        *("declarations/../x.yaml", "declarations//x.yaml", "/declarations/x.yaml", "declarations/.x.yaml"),
        *(f"declarations/{'a' * 300}.yaml", f"declarations/{'a/' * 3_000}x.yaml"),
    ],
)
def test_a_wrong_pattern_is_a_mistake_of_the_stack_file(tmp_path: Path, pattern: str) -> None:
    folder = project(tmp_path, {}, include=[pattern], secrets={"own": yaml.safe_load(SOUND)})
    assert mistakes(folder) == {"aws-secrets:include[0]": "not a path below declarations/ that ends in .yaml"}


PARTS = st.sampled_from(["a", "b", "ab", ".a"])
WILD = st.sampled_from(["a", "b", "*", "?", "a*", "*b", "**"])


@settings(max_examples=60, deadline=None)
@given(
    paths=st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8),
    pattern=st.tuples(st.lists(WILD, max_size=3), WILD.filter(lambda part: part != "**")),
)
def test_patterns_match_as_a_shells_do(
    paths: set[str], pattern: tuple[list[str], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("matches")
    for path in paths:
        file = folder / f"declarations/{path}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    wanted = "/".join(["declarations", *pattern[0], f"{pattern[1]}.yaml"])
    # the shell's, unlike Path.glob, leaves out hidden files
    expected = glob.glob(wanted, root_dir=folder, recursive=True)  # noqa: PTH207  see above
    assert sorted(map(str, matching_files(folder, wanted))) == sorted(set(expected))


@given(place=st.tuples(st.sampled_from(["secrets", "smtp"]), NAMES, NAMES), others=st.lists(NAMES))
def test_a_path_gets_the_file_of_its_own_entry_only(place: tuple[str, str, str], others: list[str]) -> None:
    mistake = Mistake(path_of("p", place), "", "", "")
    files = {(place[0], other): "wrong.yaml" for other in others if other != place[1]}
    assert located([mistake], files) == [mistake]
    [found] = located([mistake], {**files, place[:2]: "right.yaml"})
    assert found.path == f"right.yaml: {mistake.path.removeprefix('p:')}"
    assert path_of("p", place, {**files, place[:2]: "right.yaml"}) == found.path


def test_mistakes_that_only_aws_shows_have_the_file(tmp_path: Path) -> None:
    text = "workloads: {web: {environment: {A: {existingSecret: gone/token}}, ecs: {}}}\n"
    config = {"aws:region": "us-east-1", "aws-secrets:include": ["declarations/*.yaml"]}
    with (
        chdir(project(tmp_path, {"declarations/web.yaml": text})),
        pytest.raises(SettingsError, match=r"declarations/web.yaml: workloads.web.environment.A"),
    ):
        run(config)


def test_five_thousand_secrets_fit_into_one_stack(tmp_path: Path) -> None:
    many = yaml.safe_dump({"secrets": {f"team/{number}": SECRET for number in range(5_000)}})
    folder = project(
        tmp_path, {"declarations/all.yaml": many}, include=["declarations/*.yaml"], stripeKey=KEY
    )
    configuration = read(folder, "dev")
    assert len(check(configuration).stack_file.secrets) == 5_000
    assert size_of(configuration.passed) < 1024 < 128 * 1024 < size_of(configuration.values)


@pytest.mark.parametrize("shared", [False, True])
def test_a_fleets_groups_get_their_entries_of_included_files(tmp_path: Path, shared: bool) -> None:
    files = {"declarations/web.yaml": yaml.safe_dump({"secrets": {"web/a": SECRET, "api/a": SECRET}})}
    groups = {"web": ["web/*"], "api": ["api/*"]}
    own = {"api/b": SECRET}
    include = [] if shared else ["declarations/*.yaml"]
    folder = project(tmp_path, files, include=include, secrets=own, fleet={"groups": groups}, stripeKey=KEY)
    if shared:  # by all stacks of the project
        (folder / "Pulumi.dev.yaml").write_text(
            (folder / "Pulumi.dev.yaml").read_text().replace("  aws-secrets:include: []\n", "")
        )
        content = yaml.safe_load(PROJECT_FILE)
        content["config"]["aws-secrets:include"] = {"value": ["declarations/*.yaml"]}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(content))
    fleet = load_fleet_file(folder, "dev")
    fleet.write(fleet.partition.groups)
    written = {name: read(folder, f"dev.{name}").values for name in groups}
    assert {name: sorted(values["aws-secrets:secrets"]) for name, values in written.items()} == {
        "web": ["web/a"],
        "api": ["api/a", "api/b"],
    }
    assert not any(values["aws-secrets:include"] for values in written.values())
    assert project_file(folder).stack_file("dev.web").exists()


def test_the_schema_of_included_files_is_current_and_strict() -> None:
    shipped = json.loads(Path("declarations.schema.json").read_text())
    assert shipped == declarations_schema(), (
        "run: python -m stack_file.schema declarations > declarations.schema.json"
    )
    whole = referencing.Resource.from_contents(stack_file_schema())
    registry: referencing.Registry[Any] = referencing.Registry().with_resource(
        "stack-file.schema.json", whole
    )
    validator = jsonschema.Draft202012Validator(shipped, registry=registry)
    validator.validate({"secrets": {"one": SECRET}})
    assert not validator.is_valid({"secrets": {"one": {"values": {"K": {"rondom": {}}}}}})
    assert not validator.is_valid({"protect": True})


def test_the_facade_reads_included_files_and_limits_what_pulumi_passes(tmp_path: Path) -> None:
    many: dict[str, Any] = {f"team/{number}": {"values": {"KEY": {"random": {}}}} for number in range(4_000)}
    folder = project(tmp_path, {"declarations/many.yaml": yaml.safe_dump({"secrets": many})})
    stack = operations.checkout(folder).stack("dev")
    aws = {"region": "us-east-1"}
    found = stack.configure({"include": ["declarations/many.yaml"]}, aws=aws)
    assert found.secrets.keys() == many.keys()
    with pytest.raises(operations.InvalidConfigurationError, match="the limit on Linux is 128 KiB"):
        stack.configure({"secrets": many}, aws=aws)
    inline = operations.inline(folder).stack("dev")
    assert inline.configure({"secrets": many}, aws=aws).secrets.keys() == many.keys()


def test_commands_that_edit_stack_files_alone_stop(tmp_path: Path) -> None:
    entries: dict[str, Any] = {name: {"values": {"KEY": {"random": {}}}} for name in ("old", "other")}
    files = {"declarations/a.yaml": yaml.safe_dump({"secrets": entries})}
    configuration = read(project(tmp_path, files, include=["declarations/a.yaml"]), "dev")
    stack = Stack(
        configuration=configuration, file=check(configuration).stack_file, mode=None, account_id="", region=""
    )
    engine = operations.checkout(tmp_path).stack("dev")
    target = cast("Target", SimpleNamespace(stack=stack, engine=engine))
    refused = pytest.raises(Refusal, match=r"old is declared in declarations/a\.yaml")
    with refused:
        renaming.assess("old", "new", target)
    with refused:
        moving.plan("old", target, target)


def test_a_rename_in_a_fleet_stops_at_entries_of_included_files(tmp_path: Path) -> None:
    files = {
        "declarations/a.yaml": yaml.safe_dump({"secrets": {"web/old": {"values": {"KEY": {"random": {}}}}}})
    }
    folder = project(tmp_path, files, include=["declarations/a.yaml"], fleet={"groups": {"web": ["web/*"]}})
    fleet = load_fleet_file(folder, "dev")
    fleet.write(fleet.partition.groups)
    configuration = read(folder, "dev.web")
    stack = Stack(
        configuration=configuration, file=check(configuration).stack_file, mode=None, account_id="", region=""
    )
    engine = operations.checkout(folder).stack("dev.web")
    target = cast("Target", SimpleNamespace(stack=stack, engine=engine))
    with pytest.raises(Refusal, match=r"web/old is declared in declarations/a\.yaml"):
        renaming.assess("web/old", "web/new", target)


def test_every_command_is_told_the_file_of_an_entry(tmp_path: Path) -> None:
    login = {"username": "app", "database": "app"}
    declared = {
        "secrets": {"app": {"values": {"KEY": {"random": {}}}}},
        "databases": {"main": {"rdsInstance": "main", "logins": {"app-login": login}}},
        "workloads": {"web": {"ecs": {}, "environmentFrom": ["app"]}},
    }
    own: dict[str, Any] = {"secrets": {"own": {"values": {"KEY": {"random": {}}}}}}
    files = {"declarations/team.yaml": yaml.safe_dump(declared)}
    configuration = read(project(tmp_path, files, include=["declarations/*.yaml"], **own), "dev")
    desired = resolve(
        check(configuration).stack_file, configuration.project, configuration.stack, configuration.included
    )
    assert {name: secret.path for name, secret in desired.secrets.items()} == {
        "own": "aws-secrets:secrets.own",
        "app": "declarations/team.yaml: secrets.app",
        "app-login": "declarations/team.yaml: databases.main.logins.app-login",
    }
    assert desired.databases["main"].path == "declarations/team.yaml: databases.main"
    assert desired.workloads["web"].path == "declarations/team.yaml: workloads.web"
    assert references(desired, "app") == ["declarations/team.yaml: workloads.web"]
    assert desired.path("encryption") == "aws-secrets:encryption"
