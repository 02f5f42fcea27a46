"""No value that a caller gives, and none that the engine knows, comes out anywhere."""

import base64
import json
import logging

import pytest

import automation
from automation import value_forms
from automation.secrecy import Redactor
from automation.value_forms import Finder
from tests.automation.projects import AWS, Project, client, new_name, structure
from tests.engine.test_secrecy import command_lines, files_below, numbers_of_shown
from tests.localcloud.emulator_process import Emulator

GIVEN = 'given-"value"-2c91\nwith a second line of its own\n'
# What a careless program and a careless provider might say of a value that they have.
CARELESS = """
import base64, json, pulumi
value = pulumi.Config().require("careless")
pulumi.log.info(f"info {value}")
pulumi.log.warn(json.dumps({"nested": json.dumps(value)}))
pulumi.export("encoded", base64.b64encode(value.encode()).decode())
pulumi.export(value, 1)
if pulumi.Config().get_bool("fails"):
    raise ValueError(f"no {value}")
"""


def test_a_given_value_shows_in_no_result_event_error_log_file_or_command_line(
    tenants: automation.Workspace,
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    name = new_name()
    shown: list[object] = []
    declared = {name: {"values": {"GIVEN": {"config": "given"}, "MADE": {"random": {"length": 30}}}}}
    with caplog.at_level(logging.DEBUG), command_lines() as lines:
        stack = tenants.create(name)
        shown.append(stack.configure({**structure(), "secrets": declared}, secrets={"given": GIVEN}, aws=AWS))
        for operation in (stack.preview, stack.up, stack.refresh):
            with operation() as running:
                shown += [*running, running.result(), running.result().engine_events]
                shown += files_below(running._folder)
        shown += [stack.outputs(), stack.history(), stack, tenants, stack.cli, stack.cli.redactor]
    live = json.loads(client(emulator).get_secret_value(SecretId=name)["SecretString"])
    assert live["GIVEN"] == GIVEN  # the newline at its end too
    assert any(b"automation.inline" in line for line in lines)
    assert any(b"config\0set\0--secret" in line for line in lines)
    captured = capfd.readouterr()
    haystack = b"\n".join(
        [
            repr(shown).encode(),
            caplog.text.encode(),
            captured.out.encode(),
            captured.err.encode(),
            *lines,
            *files_below(tenants.cli.folder),
        ]
    )
    shown_values = numbers_of_shown(
        [*live.values(), 'given-"value', "with a second line"], haystack
    )  # apart: a failing assertion prints what it calls with
    assert shown_values == []
    # other tests on this machine may ask for values
    ours = [line for line in lines if b"pulumi" in line and name.encode() in line]
    assert any(b"\0up\0" in line for line in ours)
    assert not any(b"--show-secrets" in line for line in ours)


def test_what_a_careless_program_says_of_a_value_does_not_come_through(project: Project) -> None:
    project.program(CARELESS)
    stack = project.stack()
    value = "careless-value-5d10"
    stack.configure(structure(), secrets={"careless": value}, aws=AWS)
    with stack.up() as update:
        shown = [*update, update.result(), update.result().engine_events]
    shown += [stack.outputs(), stack.history()]
    assert "info [secret]" in repr(shown)  # it did say it
    with (project.folder / "Pulumi.test.yaml").open("a") as file:
        file.write("  aws-secrets:fails: true\n")
    with pytest.raises(automation.ProgramFailure, match=r"no \[secret\]") as failed:
        stack.up().result()
    shown += [failed.value, str(failed.value), failed.value.done, vars(failed.value)]
    for form in (value, base64.b64encode(value.encode()).decode().rstrip("=")):
        assert form not in repr(shown)


def test_a_value_that_is_part_of_another_leaves_no_rest() -> None:
    redactor = Redactor({})
    redactor.know(["secret-value", "secret-value-and-more"])
    assert redactor.text("secret-value-and-more secret-value") == "[secret] [secret]"


def test_values_are_taken_out_of_data_and_its_keys() -> None:
    redactor = Redactor({"PULUMI_CONFIG_PASSPHRASE": "the-passphrase"})
    redactor.know(["a-value"])
    assert redactor.data({"a-value": ["a-value", {"deep": "xa-value"}], "n": 1, "none": None}) == {
        "[secret]": ["[secret]", {"deep": "x[secret]"}],
        "n": 1,
        "none": None,
    }
    assert redactor.text("the-passphrase") == "[secret]"


@pytest.mark.parametrize("value", ["same", "create", "update", "succeeded", "error"])
def test_the_engines_own_words_say_what_happened_whatever_is_secret(value: str) -> None:
    redactor = Redactor({})
    redactor.know([value])
    assert redactor.data({"op": value, "counts": {value: 1}}) == {"op": value, "counts": {value: 1}}
    assert redactor.data(f"it is {value} here") == "it is [secret] here"


def test_a_short_value_is_taken_out_where_it_is_a_whole_word_and_tears_no_other() -> None:
    redactor = Redactor({"PULUMI_CONFIG_PASSPHRASE": "local"})
    redactor.know(["", "a", "dev", "true", "Pa55!"])
    said = "urn:pulumi:dev::true::x is a local truth, so true=true. 'Pa55!', (Pa55!), not xPa55!"
    masked = (
        "urn:pulumi:dev::true::x is a local truth, so [secret]=[secret]. '[secret]', ([secret]), not xPa55!"
    )
    assert redactor.text(said) == masked


def test_many_values_in_a_long_log_are_found_in_time_that_grows_with_the_log_alone() -> None:
    values = [f"value-number-{number}-{number * 7919}" for number in range(1000)]
    line = '{"message": "urn:pulumi:dev::x::aws:index/thing:Thing::name says \\"%s\\" and more"}\n'
    log = "".join(line % values[number % 1000] for number in range(2000))
    redactor = Redactor({})
    redactor.know(values)
    assert redactor.text(log) == line % "[secret]" * 2000
    # they all begin alike, and still each look is followed by no more comparisons than with one value
    assert _looks(Finder(values[:1]), log) == _looks(redactor._finder, log) <= 3 * len(log)
    most = max(len(places) for _, table in redactor._finder._tables for places in table.values())
    assert most < 100


def _looks(finder: Finder, log: str) -> int:
    """How many places of the log are looked up among known values."""
    levels = [len(level.text) for level in value_forms._levels(log)]
    return sum(length // stride for length in levels for stride, _ in finder._tables)
