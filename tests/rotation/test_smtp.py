"""Rotate SMTP credentials of Amazon SES: an emulated IAM, and a real SMTP server with TLS."""

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.lambdas.rotation import deadline, smtp_aws, smtp_session, store
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.smtp import driver_of
from components.lambdas.rotation.smtp_password import smtp_password
from tests.support.rotation_world import (
    STEPS,
    rejection,
    rotate,
    run_step,
    run_steps,
    start_rotation,
    version_with,
)
from tests.support.smtp_world import (
    GETADDRINFO,
    REGION,
    USER_TAG,
    Mail,
    Server,
    derived,
    loopback,
    provision,
    smtp_server,
    watched_keys,
)


@pytest.fixture(scope="module")
def smtp(secrets: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    del secrets  # it sets the environment first
    with smtp_server(tmp_path_factory.mktemp("smtp"), boto3.client("iam")) as server:
        yield server


@pytest.fixture
def mail(smtp: Server, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> Mail:
    monkeypatch.setenv("DATABASE_CA_FILE", str(smtp.ca_file))
    monkeypatch.setattr(socket, "getaddrinfo", loopback(GETADDRINFO))
    monkeypatch.setattr(smtp_session, "PORT", smtp.port)
    monkeypatch.setattr(smtp_session, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(smtp_aws, "create_access_key", watched_keys(smtp))
    monkeypatch.setattr(deadline, "_WITHOUT_CONTEXT_SECONDS", 20.3)
    smtp.late, smtp.code = 0, ""
    return Mail(smtp, secrets, smtp.iam)


@pytest.mark.parametrize(
    ("region", "secret", "password"),
    [  # Source: terraform-provider-aws, TestSESSMTPPasswordFromSecretKeySigV4
        ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("us-west-1", "some+secret+key", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_the_password_is_the_one_that_ses_derives(region: str, secret: str, password: str) -> None:
    assert smtp_password(secret, region) == password == derived(secret, region)


def test_provisioning_creates_the_first_credentials(mail: Mail) -> None:
    user, arn = mail.credentials(SMTP_DOMAIN="example.com")
    value = mail.read(arn)
    assert mail.keys(user) == {value["SMTP_USERNAME"]}
    assert value["SMTP_DOMAIN"] == "example.com"
    assert mail.can_log_in(value)
    assert provision(user, arn) == {"Roles": [user.name], "Warnings": []}
    assert mail.read(arn) == value


def test_the_first_credentials_must_log_in_before_they_are_current(mail: Mail) -> None:
    user = mail.a_user()
    arn = mail.put_secret(user)
    mail.tag(user, mail.name_of(arn))
    mail.server.late = 1_000_000
    assert "rejects the credentials" in rejection(lambda: provision(user, arn))
    assert mail.read(arn)["SMTP_PASSWORD"] == ""
    mail.server.late = 0
    provision(user, arn)
    assert mail.keys(user) == {mail.read(arn)["SMTP_USERNAME"]}


def test_what_was_read_works_until_the_rotation_after_next(mail: Mail) -> None:
    user, arn = mail.credentials()
    first = mail.read(arn)
    rotate(mail, arn)
    second = mail.read(arn)
    assert first["SMTP_USERNAME"] != second["SMTP_USERNAME"]
    assert mail.can_log_in(first)
    assert mail.can_log_in(second)
    rotate(mail, arn)
    third = mail.read(arn)
    assert mail.can_log_in(second)
    assert mail.can_log_in(third)
    assert not mail.can_log_in(first)
    assert mail.keys(user) == {second["SMTP_USERNAME"], third["SMTP_USERNAME"]}


def test_a_rehearsal_creates_and_deletes_no_access_key(mail: Mail) -> None:
    user, arn = mail.credentials()
    rotate(mail, arn)
    before = mail.keys(user), mail.read(arn)
    answer = handle({"Action": "rehearse", "SecretId": arn}) or {}
    assert answer["Findings"] == []
    assert "CreateAccessKey" in str(answer["NotRehearsed"])
    assert before[1]["SMTP_PASSWORD"] not in str(answer)
    assert (mail.keys(user), mail.read(arn)) == before
    mail.tag(user, "of-another")
    assert "of-another" in str(handle({"Action": "rehearse", "SecretId": arn}))


def test_only_the_derived_password_is_stored(mail: Mail) -> None:
    _, arn = mail.credentials()
    rotate(mail, arn)
    versions = mail.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    values = [mail.secrets.get_secret_value(SecretId=arn, VersionId=version) for version in versions]
    assert len(values) == 3
    for value in values:
        text = value["SecretString"]
        assert not any(secret in text for secret in mail.server.secret_keys.values())


def test_a_new_key_may_become_known_late(mail: Mail) -> None:
    _, arn = mail.credentials()
    mail.server.late = 3
    before = mail.server.logins
    rotate(mail, arn)
    assert mail.server.logins - before >= 3
    assert mail.can_log_in(mail.read(arn))


def test_a_key_that_stays_unknown_does_not_become_current(mail: Mail) -> None:
    user, arn = mail.credentials()
    before = mail.read(arn)
    token = start_rotation(mail, arn)
    run_steps(arn, token, STEPS[:2])
    mail.server.late = 1_000_000
    message = rejection(lambda: run_step(arn, token, "testSecret"))
    assert "The access key exists and is active" in message
    assert mail.read(arn) == before
    mail.server.late = 0
    run_steps(arn, token)
    assert mail.can_log_in(mail.read(arn))
    assert mail.can_log_in(before)
    assert len(mail.keys(user)) == 2


class _CrashError(BaseException):
    pass


def _crash_at(monkeypatch: pytest.MonkeyPatch, place: int, *, after: bool) -> list[str]:
    """Fail before or after a call that changes something; return the calls so far."""
    made: list[str] = []

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def calling(operation: str, *arguments: Any, **more: Any) -> Any:
            if operation.startswith(("get", "list", "describe")):
                return call(operation, *arguments, **more)
            made.append(operation)
            if len(made) == place + 1 and not after:
                raise _CrashError
            answer = call(operation, *arguments, **more)
            if len(made) == place + 1:
                raise _CrashError
            return answer

        return calling

    monkeypatch.setattr(smtp_aws, "_call", wrapped(smtp_aws._call))
    monkeypatch.setattr(store, "_call", wrapped(store._call))
    return made


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_rotation_survives_a_crash_at_every_call(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    user, arn = mail.credentials()
    rotate(mail, arn)
    expected = [
        "delete_access_key",
        "create_access_key",
        "put_secret_value",
        "update_secret_version_stage",
        "update_secret_version_stage",
    ]
    for place, operation in enumerate(expected):
        before = mail.read(arn)
        token = start_rotation(mail, arn)
        with monkeypatch.context() as patched:
            made = _crash_at(patched, place, after=after)
            with pytest.raises(_CrashError):
                run_steps(arn, token)
            assert made[-1] == operation
        now = mail.read(arn)
        assert mail.can_log_in(now), f"{operation}: the current value does not work"
        assert mail.can_log_in(before), f"{operation}: what was read before does not work"
        if version_with(mail, arn, "AWSPENDING") == token or now == before:
            run_steps(arn, token)
        assert mail.can_log_in(mail.read(arn))
        assert mail.can_log_in(before)
        assert mail.read(arn) != before
        assert len(mail.keys(user)) <= 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_provisioning_survives_a_crash_at_every_call(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    for place, operation in enumerate(
        ["create_access_key", "put_secret_value", "update_secret_version_stage"]
    ):
        user = mail.a_user()
        arn = mail.put_secret(user)
        mail.tag(user, mail.name_of(arn))
        with monkeypatch.context() as patched:
            made = _crash_at(patched, place, after=after)
            with pytest.raises(_CrashError):
                provision(user, arn)
            assert made[-1] == operation
        provision(user, arn)
        first = mail.read(arn)
        assert mail.can_log_in(first)
        rotate(mail, arn)
        assert mail.can_log_in(first)
        assert len(mail.keys(user)) == 2
        rotate(mail, arn)
        assert mail.can_log_in(mail.read(arn, "AWSPREVIOUS"))


def test_two_attempts_at_once_heal(mail: Mail) -> None:
    """One deletes the key that the other has just created, and the other stores it."""
    user, arn = mail.credentials()
    rotate(mail, arn)
    before = mail.read(arn)
    token = start_rotation(mail, arn)
    run_step(arn, token, "createSecret")
    lost = mail.read(arn, "AWSPENDING")["SMTP_USERNAME"]
    mail.iam.delete_access_key(UserName=user.name, AccessKeyId=lost)
    mail.key_by_hand(user)
    message = rejection(lambda: run_step(arn, token, "testSecret"))
    assert "has no active access key" in message
    assert version_with(mail, arn, "AWSPENDING") is None
    assert mail.read(arn) == before
    rotate(mail, arn)
    assert mail.can_log_in(before)
    assert mail.can_log_in(mail.read(arn))


def test_a_key_in_use_is_never_deleted(mail: Mail) -> None:
    user, arn = mail.credentials()
    current = mail.read(arn)["SMTP_USERNAME"]
    token = start_rotation(mail, arn)
    run_step(arn, token, "createSecret")
    pending = mail.read(arn, "AWSPENDING")["SMTP_USERNAME"]
    driver = driver_of(arn, user.arn)
    message = rejection(lambda: driver.next_fields(mail.read(arn)))
    assert "AWSCURRENT and AWSPENDING name them" in message
    assert mail.keys(user) == {current, pending}


def test_the_previous_key_stays_while_the_current_one_is_gone(mail: Mail) -> None:
    user, arn = mail.credentials()
    rotate(mail, arn)
    current, previous = mail.read(arn), mail.read(arn, "AWSPREVIOUS")
    mail.iam.delete_access_key(UserName=user.name, AccessKeyId=current["SMTP_USERNAME"])
    mail.key_by_hand(user)
    token = start_rotation(mail, arn)
    run_step(arn, token, "createSecret")
    assert mail.can_log_in(previous)
    run_steps(arn, token)
    assert mail.can_log_in(mail.read(arn))


def test_a_value_that_was_rolled_back_keeps_working(mail: Mail) -> None:
    _, arn = mail.credentials()
    first = mail.read(arn)
    rotate(mail, arn)
    mail.secrets.update_secret_version_stage(
        SecretId=arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=version_with(mail, arn, "AWSPREVIOUS"),
        RemoveFromVersionId=version_with(mail, arn, "AWSCURRENT"),
    )
    assert mail.read(arn) == first
    rotate(mail, arn)
    assert mail.can_log_in(first)
    assert mail.can_log_in(mail.read(arn))


def test_going_back_works_while_the_earlier_key_exists(mail: Mail) -> None:
    """`python -m operations rollback` gives AWSPENDING to a version, and runs the last three steps."""
    _, arn = mail.credentials()
    first, version = mail.read(arn), version_with(mail, arn, "AWSCURRENT")
    assert version is not None
    rotate(mail, arn)

    def go_back() -> None:
        mail.secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSPENDING", MoveToVersionId=version
        )
        run_steps(arn, version, STEPS[1:])

    go_back()
    assert mail.read(arn) == first
    rotate(mail, arn)
    rotate(mail, arn)
    before = mail.read(arn)
    assert "has no active access key" in rejection(go_back)
    assert mail.read(arn) == before
    assert mail.can_log_in(before)


def test_an_edit_during_a_rotation_is_kept(mail: Mail) -> None:
    _, arn = mail.credentials()
    token = start_rotation(mail, arn)
    run_steps(arn, token, STEPS[:3])
    edited = {**mail.read(arn), "SMTP_DOMAIN": "example.org"}
    mail.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(edited))
    run_step(arn, token, "finishSecret")
    value = mail.read(arn)
    assert value["SMTP_DOMAIN"] == "example.org"
    assert value["SMTP_USERNAME"] != edited["SMTP_USERNAME"]
    assert mail.can_log_in(value)


def test_end_sessions_has_nothing_to_end(mail: Mail) -> None:
    _, arn = mail.credentials()
    assert handle({"Action": "end-sessions", "SecretId": arn}) == {"Sessions": 0}


# --- What others may write


def test_a_tag_cannot_name_a_user_that_is_not_the_secrets(mail: Mail) -> None:
    """A writer of tags must not get the keys of another IAM user."""
    _, arn = mail.credentials()
    victim, _ = mail.credentials()
    untagged = mail.a_user()
    before = mail.keys(victim)
    for user in (victim, untagged):
        mail.secrets.tag_resource(SecretId=arn, Tags=[{"Key": USER_TAG, "Value": user.arn}])
        token = start_rotation(mail, arn)
        message = rejection(partial(run_step, arn, token, "createSecret"))
        assert "its access keys are not touched" in message
        assert "not touched" in rejection(partial(provision, user, arn))
        mail.secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token
        )
    assert mail.keys(victim) == before
    assert mail.keys(untagged) == set()


def test_a_foreign_or_malformed_tag_is_rejected(mail: Mail) -> None:
    user, arn = mail.credentials()
    for value in ("root", "arn:aws:iam::123456789012:role/admin", "arn:aws:iam::123456789012:root", ""):
        mail.secrets.tag_resource(SecretId=arn, Tags=[{"Key": USER_TAG, "Value": value}])
        assert "Write the ARN of an IAM user" in rejection(lambda: provision(user, arn))


def test_the_request_must_name_the_user_of_the_tag(mail: Mail) -> None:
    _, arn = mail.credentials()
    assert "does not declare" in rejection(lambda: provision(mail.a_user(), arn))


def test_the_password_is_never_sent_to_the_address_in_the_secret(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = mail.credentials(SMTP_ADDRESS="attacker.example.com", SMTP_PORT="2525")
    asked: list[object] = []
    find = socket.getaddrinfo

    def noted(host: Any, *more: Any, **options: Any) -> Any:
        asked.append(host)
        return find(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    rotate(mail, arn)
    assert "attacker.example.com" not in asked


def test_credentials_of_another_region_are_derived_for_it(mail: Mail) -> None:
    user = mail.a_user()
    arn = mail.put_secret(user)
    mail.tag(user, mail.name_of(arn))
    mail.tag(user, "eu-west-1", "aws-secrets:smtp-region")
    token = start_rotation(mail, arn)
    run_step(arn, token, "createSecret")
    value = mail.read(arn, "AWSPENDING")
    secret = mail.server.secret_keys[value["SMTP_USERNAME"]]
    assert value["SMTP_PASSWORD"] == derived(secret, "eu-west-1") != derived(secret, REGION)


# --- Failures that an operator must understand


def test_a_server_without_a_known_authority_is_not_trusted(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = mail.credentials()
    monkeypatch.delenv("DATABASE_CA_FILE")
    token = start_rotation(mail, arn)
    run_steps(arn, token, STEPS[:2])
    assert "is not trusted" in rejection(lambda: run_step(arn, token, "testSecret"))


def test_a_certificate_for_another_name_is_not_trusted(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = mail.credentials()
    with smtp_server(tmp_path, mail.iam, "email-smtp.example.com") as impostor:
        monkeypatch.setenv("DATABASE_CA_FILE", str(impostor.ca_file))
        monkeypatch.setattr(smtp_session, "PORT", impostor.port)
        message = rejection(lambda: run_step(arn, start_rotation(mail, arn), "testSecret"))
        assert "is not trusted" in message
        assert impostor.logins == 0


def test_a_server_that_does_not_answer_is_reported(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    _, arn = mail.credentials()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(smtp_session, "PORT", port)
    message = rejection(lambda: run_step(arn, start_rotation(mail, arn), "testSecret"))
    assert "ConnectionRefusedError" in message


def test_other_answers_are_reported_by_their_code(mail: Mail) -> None:
    _, arn = mail.credentials()
    mail.server.code = "554 Transaction failed for a reason with AKIASECRET in it"
    message = rejection(lambda: run_step(arn, start_rotation(mail, arn), "testSecret"))
    assert "with the code 554" in message
    assert "AKIASECRET" not in message


def test_a_deleted_user_or_key_is_explained(mail: Mail) -> None:
    user, arn = mail.credentials()
    mail.iam.delete_access_key(UserName=user.name, AccessKeyId=mail.read(arn)["SMTP_USERNAME"])
    assert "is not an access key of" in rejection(lambda: provision(user, arn))
    mail.iam.delete_user(UserName=user.name)
    message = rejection(lambda: provision(user, arn))
    assert "NoSuchEntity" in message
    assert "Check that the user exists" in message


def test_the_driver_needs_nothing_outside_the_standard_library() -> None:
    folder = Path(smtp_session.__file__).parent
    found = subprocess.run(
        ["grep", "-hE", r"^(import|from) [a-z]", *map(str, folder.glob("smtp*.py"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(re.findall(r"^(?:import|from) (\w+)", found, re.MULTILINE)) <= {
        *("base64", "hashlib", "hmac", "logging", "re", "smtplib", "ssl", "time"),
        *("collections", "dataclasses", "datetime", "functools", "typing", "boto3", "botocore"),
    }
