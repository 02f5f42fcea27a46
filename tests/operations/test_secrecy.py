"""Secret values of callers and of the engine appear in no output."""

import base64
import json
import logging

import pytest

import operations
from operations import value_forms
from operations.secrecy import Redactor
from operations.value_forms import Finder
from tests.engine.test_secrecy import command_lines, files_below, numbers_of_shown
from tests.support.emulator_process import Emulator
from tests.support.projects import AWS, Project, client, new_name, structure

GIVEN = 'given-"value"-2c91\nwith a second line of its own\n'
# What a careless program or provider might print about a secret value.
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


def test_configured_values_appear_in_no_output_or_command_line(
    tenants: operations.Workspace,
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
    assert live["GIVEN"] == GIVEN  # including the trailing newline
    assert any(b"operations.inline_worker" in line for line in lines)
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
    )  # assigned first: a failing assertion prints the arguments of its calls
    assert shown_values == []
    # other tests on this machine may read values
    ours = [line for line in lines if b"pulumi" in line and name.encode() in line]
    assert any(b"\0up\0" in line for line in ours)
    assert not any(b"--show-secrets" in line for line in ours)


def test_the_output_of_a_careless_program_is_redacted(project: Project) -> None:
    project.program(CARELESS)
    stack = project.stack()
    value = "careless-value-5d10"
    stack.configure(structure(), secrets={"careless": value}, aws=AWS)
    with stack.up() as update:
        shown = [*update, update.result(), update.result().engine_events]
    shown += [stack.outputs(), stack.history()]
    assert "info [secret]" in repr(shown)  # the program did log it
    with (project.folder / "Pulumi.test.yaml").open("a") as file:
        file.write("  aws-secrets:fails: true\n")
    with pytest.raises(operations.ProgramError, match=r"no \[secret\]") as failed:
        stack.up().result()
    shown += [failed.value, str(failed.value), failed.value.done, vars(failed.value)]
    for form in (value, base64.b64encode(value.encode()).decode().rstrip("=")):
        assert form not in repr(shown)


def test_a_value_within_another_leaves_no_remainder() -> None:
    redactor = Redactor({})
    redactor.know(["secret-value", "secret-value-and-more"])
    assert redactor.text("secret-value-and-more secret-value") == "[secret] [secret]"


def test_values_are_redacted_from_data_and_keys() -> None:
    redactor = Redactor({"PULUMI_CONFIG_PASSPHRASE": "the-passphrase"})
    redactor.know(["a-value"])
    assert redactor.data({"a-value": ["a-value", {"deep": "xa-value"}], "n": 1, "none": None}) == {
        "[secret]": ["[secret]", {"deep": "x[secret]"}],
        "n": 1,
        "none": None,
    }
    assert redactor.text("the-passphrase") == "[secret]"


@pytest.mark.parametrize("value", ["same", "create", "update", "succeeded", "error"])
def test_the_engines_own_words_are_never_redacted_in_data(value: str) -> None:
    redactor = Redactor({})
    redactor.know([value])
    assert redactor.data({"op": value, "counts": {value: 1}}) == {"op": value, "counts": {value: 1}}
    assert redactor.data(f"it is {value} here") == "it is [secret] here"


def test_a_short_value_is_redacted_as_a_whole_word_only() -> None:
    redactor = Redactor({"PULUMI_CONFIG_PASSPHRASE": "local"})
    redactor.know(["", "a", "dev", "true", "Pa55!"])
    text = "urn:pulumi:dev::true::x is a local truth, so true=true. 'Pa55!', (Pa55!), not xPa55!"
    masked = (
        "urn:pulumi:dev::true::x is a local truth, so [secret]=[secret]. '[secret]', ([secret]), not xPa55!"
    )
    assert redactor.text(text) == masked


def test_the_cost_of_redaction_is_independent_of_the_number_of_values() -> None:
    values = [f"value-number-{number}-{number * 7919}" for number in range(1000)]
    line = '{"message": "urn:pulumi:dev::x::aws:index/thing:Thing::name says \\"%s\\" and more"}\n'
    log = "".join(line % values[number % 1000] for number in range(2000))
    redactor = Redactor({})
    redactor.know(values)
    assert redactor.text(log) == line % "[secret]" * 2000
    # with a common prefix, a lookup needs no more comparisons than with one value
    assert _lookups(Finder(values[:1]), log) == _lookups(redactor._finder, log) <= 3 * len(log)
    most = max(len(places) for _, table in redactor._finder._tables for places in table.values())
    assert most < 100


def _lookups(finder: Finder, log: str) -> int:
    """Return the number of offsets of the log that are looked up among known values."""
    levels = [len(level.text) for level in value_forms._levels(log)]
    return sum(length // stride for length in levels for stride, _ in finder._tables)
