"""Leaks on the local cloud: an attacker holds the leaked value, and loses it while clients go on."""

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pg8000.native
import pytest
import yaml

from operations.compromised.answer import Answer
from operations.compromised.command import main
from operations.exit_codes import ExitCode
from tests.compromised.conftest import SINGLE, Leaks, policy
from tests.rollback.test_rollback import OF_OTHERS
from tests.support.command_line import Done
from tests.support.ecs_services import deployments
from tests.support.emulator_functions import ACCOUNT, REGION, TRUST, deploy, until, zipped
from tests.support.emulator_process import Emulator
from tests.support.interruption import killed
from tests.support.shops import SECRET, Shop
from tests.support.stacks import ROOT


@dataclass
class Loop:
    """Logins in a loop until the end of a block; times are seconds of one clock.

    `ended` are sessions that were ended while they logged in: neither a success nor a rejected password.
    """

    ended: int = 0
    successes: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)


def rejected(shop: Shop, value: dict[str, str]) -> bool:
    try:
        shop.log_in(value)
    except pg8000.native.DatabaseError as error:
        if error.args[0]["C"] != "28P01":
            raise
        return True
    return False


@contextmanager
def logging_in(shop: Shop, value: dict[str, str] | None, secret: str) -> Iterator[Loop]:
    """Log in all the time: with a leaked value, or with what the secret has at each login."""
    loop, end = Loop(), threading.Event()

    def run() -> None:
        while not end.is_set():
            try:
                refused = rejected(shop, value or shop.stack.value(secret))
            except (pg8000.native.DatabaseError, pg8000.native.InterfaceError):
                loop.ended += 1
                continue
            (loop.failures if refused else loop.successes).append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield loop
    finally:
        end.set()
        thread.join()


def is_over(connection: pg8000.native.Connection) -> bool:
    try:
        connection.run("SELECT 1")
    except (pg8000.native.DatabaseError, pg8000.native.InterfaceError, OSError):
        return True
    return False


@pytest.mark.parametrize(("secret", "rotations"), [(SECRET, 2), (SINGLE, 1)])
def test_the_attackers_login_and_session_end(leaks: Leaks, secret: str, rotations: int) -> None:
    shop = leaks.shop
    leaked, before = shop.stack.value(secret), leaks.labelled(secret)
    with (
        suppress(pg8000.native.InterfaceError),  # closing a session that the server has ended
        shop.connection(leaked) as session,
        logging_in(shop, leaked, secret) as attacker,
    ):
        with logging_in(shop, None, secret) as client:
            until(lambda: attacker.successes and client.successes)
            began = time.monotonic()
            done = leaks.command(secret, "--yes", "--json")
            ended = time.monotonic()
        assert is_over(session)
        until(lambda: attacker.failures and attacker.failures[-1] > ended)
    assert done.code == ExitCode.DONE, done.out
    report = done.document()
    assert attacker.successes[-1] < ended
    assert attacker.ended + client.ended <= report["secrets"][0]["sessionsEnded"]
    # a single user's secret may briefly have a password that the database does not know yet
    assert secret == SINGLE or not client.failures
    print(f"seconds until the attacker's last success: {attacker.successes[-1] - began:.1f}")  # noqa: T201
    [one] = report["secrets"]
    assert (one["versionBefore"], len(one["rotations"]), one["failures"]) == (before, rotations, [])
    assert one["versionAfter"] == one["rotations"][-1] == leaks.labelled(secret)
    assert one["sessionsEnded"] >= 1
    assert rejected(shop, leaked)
    assert shop.log_in(shop.stack.value(secret))
    for value in (leaked, shop.stack.value(secret)):
        assert value["password"] not in done.out
    assert [reader["outcome"] for reader in report["readers"]] == (["done"] if secret == SECRET else [])


def test_a_whole_stack_is_renewed_and_the_rest_reported(leaks: Leaks) -> None:
    shop = leaks.shop
    shop.stack.edit("app", TOKEN="by-hand-4d1f")
    before = {name: shop.stack.value(name) for name in (SECRET, SINGLE, "app", "once", "sessions")}
    count, file = deployments(shop.stack), shop.stack.folder / "report.md"
    planned = leaks.command("--all", "--dry-run")
    assert planned.code == 0, planned.err
    assert {name: shop.stack.value(name) for name in before} == before

    done = leaks.command("--all", "--yes", "--report", str(file))
    assert done.code == ExitCode.LEFT_TO_DO, done.out + done.err
    after = {name: shop.stack.value(name) for name in before}
    changed = {
        name: {key for key, value in one.items() if value != before[name][key]} for name, one in after.items()
    }
    assert changed["app"] == {"KEY_BASE", "SIGNING"}
    assert changed["sessions"] == {"KEY"}
    assert changed["once"] == set()
    assert "password" in changed[SECRET] & changed[SINGLE]
    assert deployments(shop.stack) > count
    for words in (
        "the vendor's dashboard",
        "stripeKey",
        "initialValues: once",
        "force-sync",
        "list-functions",
    ):
        assert words in done.out, words
        assert words in planned.out, words
    page = file.read_text()
    shown = planned.out + planned.err + done.out + done.err + page + shop.stack.file.read_text()
    values = {value for one in (*before.values(), *after.values()) for value in one.values()}
    secret = [
        value for value in values if len(value) > 12 and not value.startswith(("arn:", "shop_", "app_"))
    ]
    assert not [value for value in secret if value in shown]
    live = {name: leaks.labelled(name) for name in before}
    since = re.search(r"Incident since (\S+);", done.out)
    again = leaks.command("--all", "--yes", "--json", "--since", since[1] if since else "")
    assert {name: leaks.labelled(name) for name in before} == live
    assert [one["regenerated"] for one in again.document()["secrets"] if one["name"] == "app"] == [
        ["KEY_BASE", "SIGNING"]
    ]


@pytest.mark.deep
def test_each_kill_is_continued_and_nothing_is_renewed_twice(leaks: Leaks) -> None:
    shop, since = leaks.shop, datetime.now(UTC).isoformat()
    arguments = leaks.arguments(SECRET, "--yes", "--json", "--since", since)
    first, count = shop.stack.value(SECRET), shop.stack.version_count(SECRET)

    def run() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.environ.clear()
        os.environ.update(shop.stack.environment)
        assert main(arguments) == ExitCode.DONE

    # before each rotation, before the end of the sessions, before the deployment
    points = 0
    for at in (0, 1, 1, 1):
        points += killed(at, run)
        shop.log_in()
    report = leaks.command(SECRET, "--yes", "--json", "--since", since).document()
    assert points == 4
    assert shop.stack.version_count(SECRET) == count + 2
    assert [one["failures"] for one in report["secrets"]] == [[]]
    assert [one["outcome"] for one in report["readers"]] == ["done"]
    assert rejected(shop, first)
    assert shop.log_in()


def test_documented_permissions_suffice_and_each_is_needed(leaks: Leaks) -> None:
    iam, sts = leaks.shop.stack.client("iam"), leaks.shop.stack.client("sts")
    trust = TRUST.replace('"Service": "lambda.amazonaws.com"', f'"AWS": "arn:aws:iam::{ACCOUNT}:root"')
    arn = iam.create_role(RoleName="answer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    document = json.loads(policy(ROOT).replace("REGION", REGION).replace("ACCOUNT", ACCOUNT))

    def run(*without: str, since: str = "2026-01-01") -> Done:
        allowed = [
            {**one, "Action": [action for action in actions if action not in without] or ["s3:GetObject"]}
            for one in document["Statement"]
            for actions in [[one["Action"]] if isinstance(one["Action"], str) else one["Action"]]
        ]
        text = json.dumps({**document, "Statement": allowed})
        iam.put_role_policy(RoleName="answer", PolicyName="it", PolicyDocument=text)
        session = sts.assume_role(RoleArn=arn, RoleSessionName="night")["Credentials"]
        return leaks.command(
            *(SECRET, "--yes", "--json", "--since", since),
            AWS_ACCESS_KEY_ID=session["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"],
            AWS_SESSION_TOKEN=session["SessionToken"],
        )

    # the rotations of this incident are done once; the deployment is missing
    assert "ecs:UpdateService" in run("ecs:UpdateService").out
    for action in (
        *("secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"),
        *("lambda:InvokeFunction", "ecs:DescribeServices"),
    ):
        denied = run(action)
        assert (denied.code, action in denied.out) == (ExitCode.FAILED, True), action
    denied = run("secretsmanager:RotateSecret", since="2026-01-02")
    assert (denied.code, "secretsmanager:RotateSecret" in denied.out) == (ExitCode.FAILED, True)
    done = run()
    assert done.code == ExitCode.DONE, done.out


def test_only_the_stacks_own_function_rotates(leaks: Leaks) -> None:
    shop = leaks.shop
    client, own = shop.stack.client(), shop.described()
    other = deploy(Emulator(0, shop.stack.endpoint, {}, Path(), 0), "of-others", zipped(OF_OTHERS))
    shop.stack.client("lambda").add_permission(
        FunctionName=other,
        StatementId="AllowSecretsManager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    rules = {"SecretId": SECRET, "RotationRules": own["RotationRules"], "RotateImmediately": False}
    client.rotate_secret(RotationLambdaARN=other, **rules)
    before = shop.described()["VersionIdsToStages"]
    text = shop.stack.file.read_text()
    done = leaks.command("--workload", "web", "--yes", "--json", "--no-update")
    shop.stack.file.write_text(text)
    shop.wait_for_rotations()
    client.rotate_secret(RotationLambdaARN=own["RotationLambdaARN"], **rules)
    shop.wait_for_rotations()
    [problem] = next(one["failures"] for one in done.document()["secrets"] if one["name"] == SECRET)
    assert (done.code, other in problem, "stack declares" in problem) == (ExitCode.FAILED, True, True)
    assert {label for one in before.values() for label in one} >= {"AWSCURRENT"}
    assert leaks.labelled(SECRET) in before


def test_a_rotation_that_fails_stops_no_other_secret(leaks: Leaks) -> None:
    shop = leaks.shop
    single = f"{shop.username}_one"
    with shop.administrator() as connection:
        connection.run(f'ALTER ROLE "{single}" RENAME TO hidden_role')
    text = shop.stack.file.read_text()
    done = leaks.command("--all", "--yes", "--json", "--timeout", "4", "--no-update")
    shop.stack.file.write_text(text)
    with shop.administrator() as connection:
        connection.run(f'ALTER ROLE hidden_role RENAME TO "{single}"')
    report = done.document()
    by_name = {one["name"]: one for one in report["secrets"]}
    assert done.code == ExitCode.FAILED
    assert "not complete after 4 seconds" in by_name[SINGLE]["failures"][0]
    assert "aws logs tail" in by_name[SINGLE]["failures"][0]
    assert (len(by_name[SECRET]["rotations"]), by_name[SECRET]["failures"]) == (2, [])
    again = leaks.command(SINGLE, "--yes", "--json", "--since", report["since"])
    [one] = again.document()["secrets"]
    assert (again.code, len(one["rotations"]), one["failures"]) == (ExitCode.DONE, 1, [])
    assert shop.log_in(shop.stack.value(SINGLE))


def test_a_raised_generation_is_completed_by_the_next_run(leaks: Leaks) -> None:
    shop = leaks.shop
    left = leaks.command("app", "--key", "KEY_BASE", "--yes", "--json", "--no-update")
    before, text = shop.stack.value("app"), shop.stack.file.read_text()
    assert left.code == ExitCode.LEFT_TO_DO
    assert f"# compromised {left.document()['since']}" in text
    content = yaml.safe_load(text)
    content["config"]["aws-secrets:secrets"]["other"] = {"values": {"KEY": {"random": {}}}}
    shop.stack.file.write_text(yaml.safe_dump(content))
    mixed = leaks.command("app", "--key", "KEY_BASE", "--yes", "--json")
    assert "create other-secret" in mixed.document()["toDo"][0]["text"]
    assert shop.stack.value("app") == before
    shop.stack.file.write_text(text)
    done = leaks.command("app", "--key", "KEY_BASE", "--yes", "--json")
    assert (done.code, yaml.safe_load(shop.stack.file.read_text())) == (ExitCode.DONE, yaml.safe_load(text))
    assert shop.stack.value("app") == {**before, "KEY_BASE": shop.stack.value("app")["KEY_BASE"]}
    assert shop.stack.value("app")["KEY_BASE"] != before["KEY_BASE"]


def test_ctrl_c_shows_how_to_go_on_and_writes_the_report(
    leaks: Leaks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(_: Answer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Answer, "carry_out", interrupt)
    file = tmp_path / "report.md"
    done = leaks.command("app", "--since", "2026-11-29T03:12", "--yes", "--report", str(file))
    assert done.code == ExitCode.CANCELLED
    again = done.err.splitlines()[-1]
    assert again.startswith("Interrupted. Go on with: python -m operations compromised app --yes ")
    assert again.endswith("--since 2026-11-29T03:12:00.000000+00:00")
    assert "2026-11-29T03:12:00.000000+00:00" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ap", "--yes"), ExitCode.FAILED, "declares no secret ap"),
        (("--workload", "wbe", "--yes"), ExitCode.FAILED, "declares no workload wbe"),
        (("app", "--key", "KYE", "--yes"), ExitCode.FAILED, "has no key KYE"),
        (("app", "--key", "MODE", "--yes"), ExitCode.FAILED, "not a secret"),
        (("app",), ExitCode.USAGE, "Confirm with --yes"),
        (("app", "--yes", "--since", "2999-01-01"), ExitCode.FAILED, "in the future"),
        (("app", "--yes", "--report", "missing/report.md"), ExitCode.FAILED, "does not exist"),
    ],
)
def test_a_mistake_changes_nothing(
    leaks: Leaks, arguments: tuple[str, ...], code: ExitCode, words: str
) -> None:
    before = {name: leaks.shop.described(name)["VersionIdsToStages"] for name in (SECRET, "app")}
    text, done = leaks.shop.stack.file.read_text(), leaks.command(*arguments)
    assert (done.code, words in done.err) == (code, True), done.err
    assert {name: leaks.shop.described(name)["VersionIdsToStages"] for name in before} == before
    assert leaks.shop.stack.file.read_text() == text
