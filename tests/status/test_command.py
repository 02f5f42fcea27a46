"""The command line: output forms, exit codes, permissions, errors and secrecy."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from operations.exit_codes import ExitCode
from operations.status import schema
from operations.status.command import CODES
from tests.support.emulator_process import Emulator
from tests.support.stacks import CONFIGURED, ROOT
from tests.support.status_stack import ACCOUNT, CommandResult, StatusStack

DOCS = (ROOT / "docs" / "status.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced code blocks of docs/status.md."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)


@pytest.fixture
def fields(status_stack: StatusStack) -> dict[str, Any]:
    """The JSON output."""
    done = status_stack.command("--stack", "test", "--json", "--fail-on", "none")
    assert done.returncode == 0, done.stderr
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def test_json_output_follows_the_shipped_schema(fields: dict[str, Any]) -> None:
    shipped = json.loads((ROOT / "docs" / "status.schema.json").read_text())
    assert shipped == schema.status_schema(), (
        "run: python -m operations status.schema > docs/status.schema.json"
    )
    jsonschema.Draft202012Validator(shipped).validate(fields)
    assert fields["version"] == 1


def test_piped_output_is_plain_and_complete(status_stack: StatusStack) -> None:
    done = status_stack.command("--stack", "test")
    assert done.returncode != 0
    assert "\x1b" not in done.stdout
    assert re.search(r"^vendor/prismic: waiting for manual input; ", done.stdout, re.MULTILINE)
    assert (
        "waiting: vendor/prismic: TOKEN is not filled in yet. Get the value here: Prismic > " in done.stdout
    )
    assert "workload rails (service account shop/rails (IRSA)" in done.stdout
    assert done.stderr == ""


def test_worst_selected_kind_decides_the_exit_code(status_stack: StatusStack) -> None:
    def code(*arguments: str) -> int:
        return status_stack.command("--stack", "test", *arguments).returncode

    assert code("--fail-on", "waiting") == ExitCode.PLACEHOLDER
    status_stack.stack.client().tag_resource(SecretId="app", Tags=[{"Key": "team", "Value": "other"}])
    try:
        assert code("--fail-on", "drift,waiting") == ExitCode.DRIFT
        assert code("--fail-on", "none") == 0
    finally:
        status_stack.stack.client().tag_resource(SecretId="app", Tags=[{"Key": "team", "Value": "web"}])
    assert code("--fail-on", "everything") == 2


# --- Permissions


def credentials(status_stack: StatusStack, policy: str, name: str) -> dict[str, str]:
    """Return the environment with the credentials of a role that has this policy."""
    iam = status_stack.stack.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=policy)
    session = status_stack.stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="monitor")[
        "Credentials"
    ]
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def test_documented_permissions_suffice_and_no_value_is_read(
    status_stack: StatusStack, cloud: Emulator, fields: dict[str, Any]
) -> None:
    [policy] = blocks("json")
    environment = credentials(status_stack, policy, "monitor")
    reads = cloud.log.read_text().count("GetSecretValue")
    done = status_stack.command("--stack", "test", "--json", "--fail-on", "none", environment=environment)
    assert done.returncode == 0, done.stderr
    assert cloud.log.read_text().count("GetSecretValue") == reads
    seen = json.loads(done.stdout)
    assert seen["summary"]["unknown"] == 0
    for secret in seen["secrets"]:
        assert secret["presence"] != "unknown"
    assert [secret["name"] for secret in seen["secrets"]] == [secret["name"] for secret in fields["secrets"]]


def test_each_documented_permission_is_required_and_named_when_missing(status_stack: StatusStack) -> None:
    [text] = blocks("json")
    policy = json.loads(text)
    allowed = [
        action
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    ]
    assert len(allowed) == 6
    client, file = status_stack.stack.client(), status_stack.stack.file
    version = client.put_secret_value(SecretId="pending", SecretString="{}", VersionStages=["AWSPENDING"])
    before = file.read_text()
    content = yaml.safe_load(before)
    content["config"]["aws-secrets:rehearsal"] = {}  # only then is a log read
    file.write_text(yaml.safe_dump(content))
    try:
        everything = credentials(status_stack, json.dumps(policy), "with-a-schedule")
        done = status_stack.command("--stack", "test", "--fail-on", "unknown", environment=everything)
        assert done.returncode == 0, done.stdout
        for number, action in enumerate(allowed):
            if action == "secretsmanager:DescribeSecret":
                continue  # nothing works without it: tested below
            denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
            narrower = json.dumps({**policy, "Statement": [*policy["Statement"], denied]})
            environment = credentials(status_stack, narrower, f"narrower-{number}")
            done = status_stack.command("--stack", "test", "--fail-on", "unknown", environment=environment)
            assert done.returncode == 1, action
            assert f"These credentials are not allowed to call {action}" in done.stdout
    finally:
        file.write_text(before)
        client.update_secret_version_stage(
            SecretId="pending", VersionStage="AWSPENDING", RemoveFromVersionId=version["VersionId"]
        )


def test_secret_without_permission_is_unknown_and_others_are_reported(status_stack: StatusStack) -> None:
    [text] = blocks("json")
    policy = json.loads(text)
    forbidden = {
        "Effect": "Deny",
        "Action": "secretsmanager:DescribeSecret",
        "Resource": "arn:aws:secretsmanager:*:*:secret:forbidden-*",
    }
    narrower = json.dumps({**policy, "Statement": [*policy["Statement"], forbidden]})
    environment = credentials(status_stack, narrower, "all-but-one")
    done = status_stack.command("--stack", "test", "--json", "--fail-on", "unknown", environment=environment)
    assert done.returncode == 1
    presence = {secret["name"]: secret["presence"] for secret in json.loads(done.stdout)["secrets"]}
    assert presence["forbidden"] == "unknown"
    assert list(presence.values()).count("unknown") == 1


# --- Errors


def error_of(done: CommandResult, code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def test_credentials_without_permissions_name_the_missing_one(status_stack: StatusStack) -> None:
    nothing = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    )
    environment = credentials(status_stack, nothing, "nothing")
    message = error_of(status_stack.command("--stack", "test", environment=environment), ExitCode.FAILED)
    assert "secretsmanager:DescribeSecret" in message or "sts:GetCallerIdentity" in message
    assert "docs/status.md" in message


def test_invalid_and_missing_credentials_differ_from_a_network_error(
    status_stack: StatusStack,
) -> None:
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    known = credentials(status_stack, everything, "anything")
    wrong = {**known, "AWS_SESSION_TOKEN": "made-up"}
    message = error_of(status_stack.command("--stack", "test", environment=wrong), ExitCode.CREDENTIALS)
    assert "AWS rejects the credentials" in message
    assert "made-up" not in message
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert "Unable to locate credentials" in error_of(
        status_stack.command("--stack", "test", environment=none), ExitCode.CREDENTIALS
    )
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    message = error_of(status_stack.command("--stack", "test", environment=nowhere), 1)
    assert "Could not connect" in message
    assert "Check the network" in message
    profile = {"AWS_PROFILE": "nobody"}
    assert "nobody" in error_of(status_stack.command("--stack", "test", environment=profile), 1)
    no_address = {"AWS_ENDPOINT_URL": "no address"}
    assert "AWS_ENDPOINT_URL" in error_of(status_stack.command("--stack", "test", environment=no_address), 1)


def test_credentials_for_another_account_are_rejected(status_stack: StatusStack) -> None:
    file = status_stack.stack.file
    before = file.read_text()
    file.write_text(before.replace(f"'{ACCOUNT}'", "'210987654321'"))
    try:
        assert before != file.read_text()
        assert f"account {ACCOUNT}" in error_of(status_stack.command("--stack", "test"), ExitCode.CREDENTIALS)
    finally:
        file.write_text(before)


def test_unknown_stack_is_rejected_with_a_suggestion(status_stack: StatusStack) -> None:
    message = error_of(status_stack.command("--stack", "tset"), ExitCode.STACK_NOT_FOUND)
    assert 'did you mean "test"?' in message
    assert "no stack given" in error_of(status_stack.command(environment={"PULUMI_STACK": ""}), 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: {aws-secrets:secrets: {app: {vaules: {}}}}", 'did you mean "values"?'),
        ("config: [\n", "line 2"),
        ("just text", "is not a map"),
        ("environment: [shared]\nconfig: {}\n", "Pulumi ESC"),
    ],
)
def test_invalid_stack_file_is_rejected_with_the_place(
    status_stack: StatusStack, text: str, words: str
) -> None:
    file = status_stack.stack.folder / "Pulumi.wrong.yaml"
    file.write_text(text)
    try:
        assert words in error_of(status_stack.command("--stack", "wrong"), ExitCode.BAD_SETTINGS)
    finally:
        file.unlink()


def test_unwritable_page_is_named_in_the_error(status_stack: StatusStack, tmp_path: Path) -> None:
    message = error_of(
        status_stack.command("--stack", "test", "--html", str(tmp_path / "no" / "page.html")),
        ExitCode.BAD_SETTINGS,
    )
    assert message == f"error: {tmp_path / 'no' / 'page.html'}: No such file or directory.\n"


def test_closed_pipe_ends_the_command_silently(status_stack: StatusStack) -> None:
    done = status_stack.process(
        "set -o pipefail; python -m operations status --stack test --fail-on none | true"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_invalid_outputs_are_rejected(status_stack: StatusStack, tmp_path: Path) -> None:
    wrong = tmp_path / "outputs"
    wrong.write_text("error: no stack selected")
    assert "pulumi stack output --json" in error_of(
        status_stack.command("--stack", "test", "--outputs", str(wrong)), ExitCode.BAD_SETTINGS
    )
    assert "nowhere" in error_of(
        status_stack.command("--stack", "test", "--outputs", "nowhere"), ExitCode.BAD_SETTINGS
    )


# --- Documentation and secrecy


@pytest.mark.parametrize("number", range(len(blocks("sh"))))
def test_documented_commands_work(status_stack: StatusStack, number: int, tmp_path: Path) -> None:
    command = blocks("sh")[number].replace("--stack dev", "--stack test")
    for place in ("--html ", "--metrics /var/lib/node_exporter/"):
        command = command.replace(place, f"{place.partition(' ')[0]} {tmp_path}/")
    done = status_stack.process(command)
    assert done.returncode in {0, *CODES.values()}, done.stderr
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr
    assert done.stdout


def test_documented_python_example_works(
    status_stack: StatusStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(status_stack.stack.folder)
    [example] = blocks("python")
    exec(compile(example.replace('"dev"', '"test"'), "docs/status.md", "exec"), {})  # noqa: S102  our own docs
    shown = capsys.readouterr().out
    assert "are healthy" in shown
    assert "vendor/prismic ['Prismic > Settings > API & Security']" in shown


def test_no_output_form_shows_a_value(status_stack: StatusStack, tmp_path: Path) -> None:
    status_stack.stack.edit("vendor/prismic", TOKEN="by-hand-and-secret-8c1f")
    page = tmp_path / "page.html"
    shown = [
        status_stack.command("--stack", "test"),
        status_stack.command("--stack", "test", "--json"),
        status_stack.command("--stack", "test", "--html", str(page)),
    ]
    haystack = "\n".join([page.read_text(), *(one.stdout + one.stderr for one in shown)])
    assert "vendor/prismic" in page.read_text()
    values = {value for text in status_stack.values() for value in json.loads(text).values() if value}
    assert {CONFIGURED, "by-hand-and-secret-8c1f"} <= values
    assert len(values) > 10
    for number, value in enumerate(sorted(values)):
        shows = value in haystack
        assert not shows, f"value number {number} shows"
