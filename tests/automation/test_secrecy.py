"""No value that a caller gives, and none that the engine knows, comes out anywhere."""

import base64
import json
import logging
import urllib.parse

import pytest

import automation
from automation.secrecy import Redactor
from tests.automation.projects import AWS, Project, client, new_name, structure
from tests.engine.test_secrecy import command_lines, files_below, forms_of
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
    for number, value in enumerate([*live.values(), "given-", "with a second line"]):
        shows = any(form in haystack for form in forms_of(value))
        assert not shows, f"value number {number} shows"  # pytest would print what it compares
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


@pytest.mark.parametrize(
    "value",
    ["plain-value", 'quo"ted\\value', "spaced value & more", "ünïcode-välue", "first line-1\nsecond line-2"],
)
def test_a_known_value_is_found_in_every_form(value: str) -> None:
    redactor = Redactor({"PULUMI_CONFIG_PASSPHRASE": "the-passphrase"})
    redactor.know([value])
    once = json.dumps(value)
    forms = [
        value,
        once,
        json.dumps(once),
        json.dumps(value, ensure_ascii=False),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        base64.b64encode(value.encode()).decode(),
        base64.urlsafe_b64encode(value.encode()).decode(),
    ]
    for form in forms:
        text = redactor.text(f"before {form} after")
        assert text.replace("=", "").replace('"', "").replace("\\", "") == "before [secret] after"
    assert redactor.data({value: [value, {"deep": f"x{value}"}], "n": 1, "none": None}) == {
        "[secret]": ["[secret]", {"deep": "x[secret]"}],
        "n": 1,
        "none": None,
    }
    assert redactor.text("the-passphrase") == "[secret]"


def test_a_value_that_is_part_of_another_leaves_no_rest() -> None:
    redactor = Redactor({})
    redactor.know(["secret-value", "secret-value-and-more"])
    assert redactor.text("secret-value-and-more secret-value") == "[secret] [secret]"


def test_short_values_are_not_looked_for_because_words_would_be_torn() -> None:
    redactor = Redactor({"PULUMI_CONFIG_PASSPHRASE": "local"})
    redactor.know(["", "true"])
    assert redactor.text("a local truth is true") == "a local truth is true"
