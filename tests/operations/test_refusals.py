"""Every operator's mistake has an error class and a clear message; each is provoked with the real CLI."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

import operations
from stack_file import Mistake, mistakes_file
from tests.support.emulator_process import Emulator
from tests.support.projects import AWS, WAITING, Project, client, new_name, structure, tenant
from tests.support.refusing_server import refusing

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
def fails(kind: type[operations.OperationError], *words: str) -> Iterator[None]:
    """Check that the block raises exactly this error, with these words and without a traceback."""
    with pytest.raises(kind) as raised:
        yield
    assert type(raised.value) is kind
    for word in words:
        assert word in str(raised.value)
    assert "Traceback" not in str(raised.value)


def test_every_method_reports_an_unknown_stack(project: Project) -> None:
    stack = project.workspace().stack("nowhere")
    for method in (
        lambda: stack.preview().result(),
        lambda: stack.up().result(),
        stack.outputs,
        stack.history,
        stack.cancel,
        stack.check,
    ):
        with fails(operations.StackNotFoundError, "nowhere", "pulumi stack init"):
            method()


def test_a_stack_is_created_once_with_a_valid_name(project: Project) -> None:
    workspace = project.workspace()
    workspace.create("one")
    written = (project.folder / "Pulumi.one.yaml").read_bytes()
    with fails(operations.StackAlreadyExistsError, "one"):
        workspace.create("one")
    assert (project.folder / "Pulumi.one.yaml").read_bytes() == written
    with fails(operations.InvalidStackNameError, "alphanumeric"):
        workspace.create("no name")
    assert workspace.stacks() == ["one"]


def test_a_wrong_or_missing_passphrase_is_reported(project: Project) -> None:
    project.stack()
    with fails(operations.PassphraseError, "is wrong", "PULUMI_CONFIG_PASSPHRASE"):
        project.workspace(PULUMI_CONFIG_PASSPHRASE="wrong").stack("test").up().result()
    without = {name: value for name, value in project.environment.items() if "PASSPHRASE" not in name}
    with fails(operations.PassphraseError, "is not set"):
        operations.checkout(project.folder, environment=without).stack("test").preview().result()


@pytest.mark.parametrize("text", ["config: [1", "config: {}\nconfig: {}", "config: text", "- 1"])
def test_an_unreadable_stack_file_is_an_error_and_stays(project: Project, text: str) -> None:
    stack = project.stack()
    file = project.folder / "Pulumi.test.yaml"
    file.write_text(text)
    with fails(operations.InvalidConfigurationError, "Pulumi.test.yaml"):
        stack.up().result()
    with fails(operations.InvalidConfigurationError, "Pulumi.test.yaml"):
        stack.configure(structure(), aws=AWS)
    assert file.read_text() == text


def test_all_mistakes_are_reported_at_once_by_every_method(
    tenants: operations.Workspace,
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
    with pytest.raises(operations.InvalidConfigurationError) as raised:
        stack.configure(wrong, aws={"region": "us-est-1"})
    assert file.read_text() == before
    assert [mistake.path for mistake in raised.value.mistakes] == [
        "aws-secrets:recoveryWindowDays",
        "aws-secrets:secrets.c.values.K.config",
        'aws-secrets:secrets["a b"]',
        'aws-secrets:secrets["a b"].values',
        "aws-secrets:typo",
        "aws:region",
    ]
    file.write_text(before.replace("recoveryWindowDays: 0", "recoveryWindowDays: 3\n  aws-secrets:typo: 1"))
    with pytest.raises(operations.InvalidConfigurationError) as checked:
        stack.check()
    with pytest.raises(operations.InvalidConfigurationError) as run:
        stack.up().result()
    assert run.value.mistakes == checked.value.mistakes
    assert len(run.value.mistakes) == 2


def test_a_mistake_reaches_the_caller_as_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mistakes = [Mistake("a:b", "wrong.\n  And more", "It would fail", "Write x. Or y")]
    file = tmp_path / "mistakes"
    monkeypatch.delenv(mistakes_file.VARIABLE, raising=False)
    mistakes_file.report_mistakes(mistakes)
    assert mistakes_file.reported_mistakes(file) == []
    monkeypatch.setenv(mistakes_file.VARIABLE, str(file))
    mistakes_file.report_mistakes(mistakes)
    assert mistakes_file.reported_mistakes(file) == mistakes
    file.write_text(file.read_text()[:-2])
    assert mistakes_file.reported_mistakes(file) == []


def test_an_encrypted_value_inside_the_structure_is_a_mistake(tenants: operations.Workspace) -> None:
    stack = tenant(tenants, new_name())
    nested = {"a": {"values": {"K": {"value": {"secure": "v1:abc:def"}}}}}
    with fails(operations.InvalidConfigurationError, "under its own key"):
        stack.configure({**structure(), "secrets": nested}, aws=AWS)


def test_a_locked_stack_names_the_lock_holder(project: Project) -> None:
    project.program(WAITING)
    stack = project.stack()
    update = stack.up()
    project.waits()
    with fails(operations.ConcurrentUpdateError, "stack test", "pulumi cancel"):
        stack.destroy().result()
    with pytest.raises(operations.ConcurrentUpdateError) as conflict:
        stack.up().result()
    assert [holder.user for holder in conflict.value.holders] == ["root"] or conflict.value.holders[0].user
    project.goes_on()
    assert update.result().outputs == {"done": True}


def test_a_resource_rejected_by_aws_is_named_with_the_cause(
    tenants: operations.Workspace, emulator: Emulator
) -> None:
    name = new_name()
    client(emulator).create_secret(Name=name)
    stack = tenant(tenants, name, name)
    with pytest.raises(operations.ProviderError) as failed:
        stack.up().result()
    [failure] = failed.value.failures
    assert failure.name == f"{name}-secret"
    assert failure.type == "aws:secretsmanager/secret:Secret"
    assert failure.urn.endswith(f"::{failure.name}")
    assert "already exists" in failure.cause
    assert failed.value.done
    assert failed.value.done.counts


def test_a_failing_program_is_reported_without_its_traceback(project: Project) -> None:
    project.program("def inner():\n    raise ValueError('no quota')\ninner()")
    with fails(operations.ProgramError, "ValueError: no quota"):
        project.stack().preview().result()


def test_expired_credentials_are_recognized_from_aws_and_every_backend(
    project: Project, tenants: operations.Workspace
) -> None:
    name = tenant(tenants, new_name()).name
    with refusing(*EXPIRED_AT_AWS) as address, fails(operations.CredentialsError, "expired"):
        environment = {**tenants.cli.environment, "AWS_ENDPOINT_URL": address}
        operations.inline(tenants.cli.folder, environment=environment).stack(name).preview().result()
    with refusing(*EXPIRED_AT_S3) as address, fails(operations.CredentialsError, "expired"):
        bucket = f"s3://state?endpoint={address}&s3ForcePathStyle=true&region=us-east-1"
        project.workspace(PULUMI_BACKEND_URL=bucket).stack("test").outputs()
    with refusing(*EXPIRED_AT_PULUMI) as address, fails(operations.CredentialsError, "Unauthorized"):
        project.workspace(PULUMI_BACKEND_URL=address, PULUMI_ACCESS_TOKEN="pul-0").stack("test").outputs()
    with fails(operations.CredentialsError, "PULUMI_ACCESS_TOKEN"):
        project.workspace(PULUMI_BACKEND_URL="https://127.0.0.1:9").stack("test").outputs()


def test_a_missing_backend_is_reported(project: Project) -> None:
    for backend in (
        "file:///nowhere/at/all",
        "s3://nowhere?endpoint=http://127.0.0.1:9&s3ForcePathStyle=true&region=us-east-1",
    ):
        with fails(operations.BackendError, "PULUMI_BACKEND_URL"):
            project.workspace(PULUMI_BACKEND_URL=backend, AWS_MAX_ATTEMPTS="1").stack("test").outputs()


def test_a_missing_cli_or_project_is_reported(
    project: Project, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with fails(operations.PulumiNotFoundError, "PATH"):
        project.workspace(PATH="/nowhere").stack("test").outputs()
    with fails(operations.PulumiNotFoundError, "PATH"):
        project.workspace(PATH="/nowhere").stack("test").up().result()
    with fails(operations.ProjectError, "Pulumi.yaml"):
        operations.checkout(tmp_path / "nowhere", environment=environment)


def test_a_stack_works_with_an_s3_backend(project: Project, emulator: Emulator) -> None:
    boto3.client(
        "s3",
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).create_bucket(Bucket="state")
    url = f"s3://state?endpoint={emulator.endpoint}&s3ForcePathStyle=true&region=us-east-1"
    stack = operations.checkout(project.folder, backend=url, environment=project.environment).open("test")
    project.program("import pulumi\npulumi.export('x', 1)")
    assert stack.up().result().outputs == {"x": 1} == stack.outputs()
    assert len(stack.history()) == 1
