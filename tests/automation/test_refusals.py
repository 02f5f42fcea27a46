"""What an operator can get wrong has a type and clear words; each is provoked with the real CLI."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

import automation
from automation.diagnosis import mistakes_in
from settings import Mistake, SettingsError
from tests.automation.projects import AWS, WAITING, Project, client, new_name, structure, tenant
from tests.automation.refusing_server import refusing
from tests.localcloud.emulator_process import Emulator

EXPIRED_AT_AWS = (
    403,
    "text/xml",
    "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>It is expired</Message></Error></ErrorResponse>",
)
EXPIRED_AT_S3 = (
    403,
    "application/xml",
    "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>",
)
EXPIRED_AT_PULUMI = (
    401,
    "application/json",
    '{"code":401,"message":"Unauthorized: No credentials provided"}',
)


@contextmanager
def refused(kind: type[automation.AutomationError], *words: str) -> Iterator[None]:
    """Raises this error, with these words and without a traceback."""
    with pytest.raises(kind) as refusal:
        yield
    assert type(refusal.value) is kind
    for word in words:
        assert word in str(refusal.value)
    assert "Traceback" not in str(refusal.value)


def test_an_unknown_stack_is_named_by_whatever_is_done_with_it(project: Project) -> None:
    stack = project.workspace().stack("nowhere")
    for done in (
        lambda: stack.preview().result(),
        lambda: stack.up().result(),
        stack.outputs,
        stack.history,
        stack.cancel,
        stack.check,
    ):
        with refused(automation.UnknownStack, "nowhere", "pulumi stack init"):
            done()


def test_a_stack_is_made_once_and_only_under_a_good_name(project: Project) -> None:
    workspace = project.workspace()
    workspace.create("one")
    written = (project.folder / "Pulumi.one.yaml").read_bytes()
    with refused(automation.StackExists, "one"):
        workspace.create("one")
    assert (project.folder / "Pulumi.one.yaml").read_bytes() == written
    with refused(automation.BadStackName, "alphanumeric"):
        workspace.create("no name")
    assert workspace.stacks() == ["one"]


def test_a_wrong_or_missing_passphrase_is_told(project: Project) -> None:
    project.stack()
    with refused(automation.WrongPassphrase, "does not fit", "PULUMI_CONFIG_PASSPHRASE"):
        project.workspace(PULUMI_CONFIG_PASSPHRASE="wrong").stack("test").up().result()
    without = {name: value for name, value in project.environment.items() if "PASSPHRASE" not in name}
    with refused(automation.WrongPassphrase, "No passphrase"):
        automation.checkout(project.folder, environment=without).stack("test").preview().result()


@pytest.mark.parametrize("text", ["config: [1", "config: {}\nconfig: {}", "config: text", "- 1"])
def test_a_stack_file_that_cannot_be_read_is_refused_and_left_as_it_is(project: Project, text: str) -> None:
    stack = project.stack()
    file = project.folder / "Pulumi.test.yaml"
    file.write_text(text)
    with refused(automation.BadSettings, "Pulumi.test.yaml"):
        stack.up().result()
    with refused(automation.BadSettings, "Pulumi.test.yaml"):
        stack.configure(structure(), aws=AWS)
    assert file.read_text() == text


def test_all_mistakes_of_a_configuration_are_told_in_one_go_wherever_they_are_found(
    tenants: automation.Workspace,
) -> None:
    name = new_name()
    stack = tenant(tenants, name)
    file = tenants.cli.folder / f"Pulumi.{name}.yaml"
    before = file.read_text()
    wrong = {
        **structure(),
        "recoveryWindowDays": 3,
        "typo": 1,
        "secrets": {"a b": {"values": {}}, "c": {"values": {"K": {"config": "k"}}}},
    }
    with pytest.raises(automation.BadSettings) as refusal:
        stack.configure(wrong, aws={"region": "us-est-1"})
    assert file.read_text() == before
    assert [mistake.path for mistake in refusal.value.mistakes] == [
        "aws-secrets:recoveryWindowDays",
        "aws-secrets:secrets.c.values.K.config",
        'aws-secrets:secrets["a b"]',
        'aws-secrets:secrets["a b"].values',
        "aws-secrets:typo",
        "aws:region",
    ]
    file.write_text(before.replace("recoveryWindowDays: 0", "recoveryWindowDays: 3\n  aws-secrets:typo: 1"))
    with pytest.raises(automation.BadSettings) as checked:
        stack.check()
    with pytest.raises(automation.BadSettings) as run:
        stack.up().result()
    assert run.value.mistakes == checked.value.mistakes
    assert len(run.value.mistakes) == 2


def test_the_words_of_a_mistake_survive_the_way_through_the_engine() -> None:
    mistakes = [
        Mistake("a:b", "wrong. And more", "It would fail", "Write x. Or y"),
        Mistake('a:c["d e"]', 'the value "x" is wrong', "Nothing would happen", "Take it out"),
    ]
    assert mistakes_in(str(SettingsError("dev", mistakes))) == mistakes


def test_an_encrypted_value_inside_the_structure_is_refused(tenants: automation.Workspace) -> None:
    stack = tenant(tenants, new_name())
    nested = {"a": {"values": {"K": {"value": {"secure": "v1:abc:def"}}}}}
    with refused(automation.BadSettings, "key of its own"):
        stack.configure({**structure(), "secrets": nested}, aws=AWS)


def test_a_stack_that_is_locked_names_who_has_it(project: Project) -> None:
    project.program(WAITING)
    stack = project.stack()
    update = stack.up()
    project.waits()
    with refused(automation.Conflict, "stack test", "pulumi cancel"):
        stack.destroy().result()
    with pytest.raises(automation.Conflict) as conflict:
        stack.up().result()
    assert [holder.user for holder in conflict.value.holders] == ["root"] or conflict.value.holders[0].user
    project.goes_on()
    assert update.result().outputs == {"done": True}


def test_a_resource_that_aws_refuses_is_named_with_the_cause(
    tenants: automation.Workspace, emulator: Emulator
) -> None:
    name = new_name()
    client(emulator).create_secret(Name=name)
    stack = tenant(tenants, name, name)
    with pytest.raises(automation.ProviderFailure) as failed:
        stack.up().result()
    [failure] = failed.value.failures
    assert failure.name == f"{name}-secret"
    assert failure.type == "aws:secretsmanager/secret:Secret"
    assert failure.urn.endswith(f"::{failure.name}")
    assert "already exists" in failure.cause
    assert failed.value.done
    assert failed.value.done.counts


def test_a_program_that_stops_is_told_without_its_traceback(project: Project) -> None:
    project.program("def inner():\n    raise ValueError('no such thing')\ninner()")
    with refused(automation.ProgramFailure, "ValueError: no such thing"):
        project.stack().preview().result()


def test_expired_credentials_are_told_as_such_by_aws_and_by_every_backend(
    project: Project, tenants: automation.Workspace
) -> None:
    name = tenant(tenants, new_name()).name
    with refusing(*EXPIRED_AT_AWS) as address, refused(automation.CredentialsRefused, "expired"):
        environment = {**tenants.cli.environment, "AWS_ENDPOINT_URL": address}
        automation.inline(tenants.cli.folder, environment=environment).stack(name).preview().result()
    with refusing(*EXPIRED_AT_S3) as address, refused(automation.CredentialsRefused, "expired"):
        bucket = f"s3://state?endpoint={address}&s3ForcePathStyle=true&region=us-east-1"
        project.workspace(PULUMI_BACKEND_URL=bucket).stack("test").outputs()
    with refusing(*EXPIRED_AT_PULUMI) as address, refused(automation.CredentialsRefused, "Unauthorized"):
        project.workspace(PULUMI_BACKEND_URL=address, PULUMI_ACCESS_TOKEN="pul-0").stack("test").outputs()
    with refused(automation.CredentialsRefused, "PULUMI_ACCESS_TOKEN"):
        project.workspace(PULUMI_BACKEND_URL="https://127.0.0.1:9").stack("test").outputs()


def test_a_backend_that_is_not_there_is_told(project: Project) -> None:
    for backend in (
        "file:///nowhere/at/all",
        "s3://nowhere?endpoint=http://127.0.0.1:9&s3ForcePathStyle=true&region=us-east-1",
    ):
        with refused(automation.BackendUnreachable, "PULUMI_BACKEND_URL"):
            project.workspace(PULUMI_BACKEND_URL=backend, AWS_MAX_ATTEMPTS="1").stack("test").outputs()


def test_a_missing_cli_or_project_is_told(
    project: Project, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with refused(automation.EngineMissing, "PATH"):
        project.workspace(PATH="/nowhere").stack("test").outputs()
    with refused(automation.EngineMissing, "PATH"):
        project.workspace(PATH="/nowhere").stack("test").up().result()
    with refused(automation.NoProject, "Pulumi.yaml"):
        automation.checkout(tmp_path / "nowhere", environment=environment)


def test_a_stack_lives_in_an_s3_bucket_too(project: Project, emulator: Emulator) -> None:
    boto3.client(
        "s3",
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).create_bucket(Bucket="state")
    url = f"s3://state?endpoint={emulator.endpoint}&s3ForcePathStyle=true&region=us-east-1"
    stack = automation.checkout(project.folder, backend=url, environment=project.environment).open("test")
    project.program("import pulumi\npulumi.export('x', 1)")
    assert stack.up().result().outputs == {"x": 1} == stack.outputs()
    assert len(stack.history()) == 1
