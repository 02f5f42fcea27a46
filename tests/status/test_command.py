"""The command line: forms, exit codes, permissions, secrecy, and what it says when something is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from automation.exit_codes import ExitCode
from automation.status import schema
from automation.status.__main__ import CODES
from tests.engine.stacks import CONFIGURED, ROOT
from tests.localcloud.emulator_process import Emulator
from tests.status.stack import ACCOUNT, Asked, Done

DOCS = (ROOT / "docs" / "status.md").read_text()


def blocks(language: str) -> list[str]:
    """Fenced examples of docs/status.md."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)


@pytest.fixture
def fields(asked: Asked) -> dict[str, Any]:
    """The JSON output."""
    done = asked.command("--stack", "test", "--json", "--fail-on", "none")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_json_output_follows_the_schema_that_is_shipped(fields: dict[str, Any]) -> None:
    shipped = json.loads((ROOT / "docs" / "status.schema.json").read_text())
    assert shipped == schema.status_schema(), (
        "run: python -m automation.status.schema > docs/status.schema.json"
    )
    jsonschema.Draft202012Validator(shipped).validate(fields)
    assert fields["version"] == 1


def test_lines_for_pipes_have_no_colours_and_name_everything(asked: Asked) -> None:
    done = asked.command("--stack", "test")
    assert done.returncode != 0
    assert "\x1b" not in done.stdout
    assert re.search(r"^vendor/prismic: waits for a person; ", done.stdout, re.MULTILINE)
    assert "waiting: vendor/prismic: TOKEN waits for a person. Get it here: Prismic > Settings" in done.stdout
    assert "workload rails (service account shop/rails (IRSA)" in done.stdout
    assert done.stderr == ""


def test_the_exit_code_is_that_of_the_worst_kind_that_counts(asked: Asked) -> None:
    def code(*arguments: str) -> int:
        return asked.command("--stack", "test", *arguments).returncode

    assert code("--fail-on", "waiting") == ExitCode.PLACEHOLDER
    asked.stack.client().tag_resource(SecretId="app", Tags=[{"Key": "team", "Value": "other"}])
    try:
        assert code("--fail-on", "drift,waiting") == ExitCode.DRIFT
        assert code("--fail-on", "none") == 0
    finally:
        asked.stack.client().tag_resource(SecretId="app", Tags=[{"Key": "team", "Value": "web"}])
    assert code("--fail-on", "everything") == 2


# --- Permissions


def credentials(asked: Asked, policy: str, name: str) -> dict[str, str]:
    """What a session of a role with this policy has, for the environment."""
    iam = asked.stack.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=policy)
    session = asked.stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="monitor")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def test_a_role_with_exactly_the_documented_permissions_is_told_all_and_never_reads_a_value(
    asked: Asked, cloud: Emulator, fields: dict[str, Any]
) -> None:
    [policy] = blocks("json")
    environment = credentials(asked, policy, "monitor")
    reads = cloud.log.read_text().count("GetSecretValue")
    done = asked.command("--stack", "test", "--json", "--fail-on", "none", environment=environment)
    assert done.returncode == 0, done.stderr
    assert cloud.log.read_text().count("GetSecretValue") == reads
    seen = json.loads(done.stdout)
    assert seen["summary"]["unknown"] == 0
    for secret in seen["secrets"]:
        assert secret["presence"] != "unknown"
    assert [secret["name"] for secret in seen["secrets"]] == [secret["name"] for secret in fields["secrets"]]


def test_each_documented_permission_is_needed_and_named_where_it_is_missing(asked: Asked) -> None:
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
    assert len(allowed) == 5
    client = asked.stack.client()
    version = client.put_secret_value(SecretId="pending", SecretString="{}", VersionStages=["AWSPENDING"])
    try:
        for number, action in enumerate(allowed):
            if action == "secretsmanager:DescribeSecret":
                continue  # without it there is nothing to tell: see below
            denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
            narrower = json.dumps({**policy, "Statement": [*policy["Statement"], denied]})
            environment = credentials(asked, narrower, f"narrower-{number}")
            done = asked.command("--stack", "test", "--fail-on", "unknown", environment=environment)
            assert done.returncode == 1, action
            assert f"These credentials may not call {action}" in done.stdout
    finally:
        client.update_secret_version_stage(
            SecretId="pending", VersionStage="AWSPENDING", RemoveFromVersionId=version["VersionId"]
        )


def test_a_secret_that_may_not_be_asked_about_is_unknown_and_the_others_are_told(asked: Asked) -> None:
    [text] = blocks("json")
    policy = json.loads(text)
    forbidden = {
        "Effect": "Deny",
        "Action": "secretsmanager:DescribeSecret",
        "Resource": "arn:aws:secretsmanager:*:*:secret:forbidden-*",
    }
    narrower = json.dumps({**policy, "Statement": [*policy["Statement"], forbidden]})
    environment = credentials(asked, narrower, "all-but-one")
    done = asked.command("--stack", "test", "--json", "--fail-on", "unknown", environment=environment)
    assert done.returncode == 1
    presence = {secret["name"]: secret["presence"] for secret in json.loads(done.stdout)["secrets"]}
    assert presence["forbidden"] == "unknown"
    assert list(presence.values()).count("unknown") == 1


# --- What is wrong


def refused(done: Done, code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def test_credentials_that_may_nothing_are_told_which_permission_they_lack(asked: Asked) -> None:
    nothing = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    )
    environment = credentials(asked, nothing, "nothing")
    message = refused(asked.command("--stack", "test", environment=environment), ExitCode.FAILED)
    assert "secretsmanager:DescribeSecret" in message or "sts:GetCallerIdentity" in message
    assert "docs/status.md" in message


def test_credentials_of_nobody_and_no_credentials_are_told_apart_from_a_missing_network(asked: Asked) -> None:
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    known = credentials(asked, everything, "anything")
    wrong = {**known, "AWS_SESSION_TOKEN": "made-up"}
    message = refused(asked.command("--stack", "test", environment=wrong), ExitCode.CREDENTIALS)
    assert "AWS refuses the credentials" in message
    assert "made-up" not in message
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert "Unable to locate credentials" in refused(
        asked.command("--stack", "test", environment=none), ExitCode.CREDENTIALS
    )
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    message = refused(asked.command("--stack", "test", environment=nowhere), 1)
    assert "Could not connect" in message
    assert "Check the network" in message
    profile = {"AWS_PROFILE": "nobody"}
    assert "nobody" in refused(asked.command("--stack", "test", environment=profile), 1)
    no_address = {"AWS_ENDPOINT_URL": "no address"}
    assert "AWS_ENDPOINT_URL" in refused(asked.command("--stack", "test", environment=no_address), 1)


def test_another_account_than_the_stack_files_is_refused(asked: Asked) -> None:
    file = asked.stack.file
    before = file.read_text()
    file.write_text(before.replace(f"'{ACCOUNT}'", "'210987654321'"))
    try:
        assert before != file.read_text()
        assert f"account {ACCOUNT}" in refused(asked.command("--stack", "test"), ExitCode.CREDENTIALS)
    finally:
        file.write_text(before)


def test_an_unknown_stack_is_refused_with_the_stacks_that_there_are(asked: Asked) -> None:
    message = refused(asked.command("--stack", "tset"), ExitCode.STACK_NOT_FOUND)
    assert 'did you mean "test"?' in message
    assert "Which stack?" in refused(asked.command(environment={"PULUMI_STACK": ""}), 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: {aws-secrets:secrets: {app: {vaules: {}}}}", 'did you mean "values"?'),
        ("config: [\n", "line 2"),
        ("just text", "is not a map"),
        ("environment: [shared]\nconfig: {}\n", "Pulumi ESC"),
    ],
)
def test_a_wrong_stack_file_is_refused_with_the_place(asked: Asked, text: str, words: str) -> None:
    file = asked.stack.folder / "Pulumi.wrong.yaml"
    file.write_text(text)
    try:
        assert words in refused(asked.command("--stack", "wrong"), ExitCode.BAD_SETTINGS)
    finally:
        file.unlink()


def test_a_page_that_cannot_be_written_is_told_by_its_name(asked: Asked, tmp_path: Path) -> None:
    message = refused(
        asked.command("--stack", "test", "--html", str(tmp_path / "no" / "page.html")), ExitCode.BAD_SETTINGS
    )
    assert message == f"error: {tmp_path / 'no' / 'page.html'}: No such file or directory.\n"


def test_a_reader_that_has_seen_enough_ends_it_quietly(asked: Asked) -> None:
    done = asked.process("set -o pipefail; python -m automation.status --stack test --fail-on none | true")
    assert (done.returncode, done.stderr) == (0, "")


def test_outputs_that_are_none_are_refused(asked: Asked, tmp_path: Path) -> None:
    wrong = tmp_path / "outputs"
    wrong.write_text("error: no stack selected")
    assert "pulumi stack output --json" in refused(
        asked.command("--stack", "test", "--outputs", str(wrong)), ExitCode.BAD_SETTINGS
    )
    assert "nowhere" in refused(
        asked.command("--stack", "test", "--outputs", "nowhere"), ExitCode.BAD_SETTINGS
    )


# --- Documentation and secrecy


@pytest.mark.parametrize("number", range(len(blocks("sh"))))
def test_the_documented_commands_do_what_they_say(asked: Asked, number: int, tmp_path: Path) -> None:
    command = blocks("sh")[number].replace("--stack dev", "--stack test")
    done = asked.process(command.replace("--html status.html", f"--html {tmp_path / 'status.html'}"))
    assert done.returncode in {0, *CODES.values()}, done.stderr
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr
    assert done.stdout


def test_the_documented_facade_works(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(asked.stack.folder)
    [example] = blocks("python")
    exec(compile(example.replace('"dev"', '"test"'), "docs/status.md", "exec"), {})  # noqa: S102  our own docs
    shown = capsys.readouterr().out
    assert "are well" in shown
    assert "vendor/prismic ['Prismic > Settings > API & Security']" in shown


def test_no_form_shows_a_value(asked: Asked, tmp_path: Path) -> None:
    asked.stack.edit("vendor/prismic", TOKEN="by-hand-and-secret-8c1f")
    page = tmp_path / "page.html"
    shown = [
        asked.command("--stack", "test"),
        asked.command("--stack", "test", "--json"),
        asked.command("--stack", "test", "--html", str(page)),
    ]
    haystack = "\n".join([page.read_text(), *(one.stdout + one.stderr for one in shown)])
    assert "vendor/prismic" in page.read_text()
    values = {value for text in asked.values() for value in json.loads(text).values() if value}
    assert {CONFIGURED, "by-hand-and-secret-8c1f"} <= values
    assert len(values) > 10
    for number, value in enumerate(sorted(values)):
        shows = value in haystack
        assert not shows, f"value number {number} shows"
