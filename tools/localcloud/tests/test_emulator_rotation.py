"""Rotation in the emulator: four invocations of the deployed function, retried whole, as AWS does it."""

import json
import os
import threading
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.emulator_functions import ACCOUNT, client, deploy, logged, until, zipped
from tests.support.emulator_process import Emulator, running_emulator
from tools.localcloud.emulator import rotation_schedule
from tools.localcloud.emulator.rotation import STEPS
from tools.localcloud.emulator.rotation_schedule import Schedule
from tools.localcloud.emulator.secrets_rules import ServiceError

# Does what AWS's template does. The file FAIL names a step that fails and how often; HANG one that hangs.
SOURCE = """
import json, os, pathlib, time, boto3

def told(name, secret):
    path = pathlib.Path(os.environ["FOLDER"], name + "-" + secret.rpartition(":")[2])
    return path if path.exists() else None

def handle(event, context):
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    assert secret.startswith("arn:") and event["RotationToken"]
    print("step", step, secret, token)
    sm = boto3.client("secretsmanager")
    stages = sm.describe_secret(SecretId=secret)["VersionIdsToStages"]
    assert "AWSPENDING" in stages[token], stages
    fail = told("FAIL", secret)
    if fail:
        wanted, count = fail.read_text().split()
        if wanted == step and int(count) > 0:
            fail.write_text(f"{wanted} {int(count) - 1}")
            raise RuntimeError("told to fail")
    hang = told("HANG", secret)
    if hang and hang.read_text() == step:
        hang.unlink()
        time.sleep(60)
    if step == "createSecret":
        try:
            sm.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except sm.exceptions.ResourceNotFoundException:
            sm.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString="made for " + token,
                                VersionStages=["AWSPENDING"])
    read = told("READ", secret)
    if read and step == "testSecret":
        found = sm.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        read.write_text(json.dumps({"id": found["VersionId"], "value": found["SecretString"],
                                    "labels": found["VersionStages"]}))
    if step == "finishSecret" and not told("FORGET", secret):
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        if current != token:
            sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT",
                                           MoveToVersionId=token, RemoveFromVersionId=current)
"""


class Rotating:
    """An emulator with a function that may be told to misbehave."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self.folder = emulator, folder
        self.secrets = client(emulator, "secretsmanager")

    def deploy(self) -> None:
        deploy(
            self.emulator,
            "rotate",
            zipped(SOURCE),
            Timeout=60,
            Environment={"Variables": {"FOLDER": str(self.folder)}},
        )
        self.permit("rotate")

    def permit(self, function: str, **source: str) -> None:
        client(self.emulator, "lambda").add_permission(
            FunctionName=function,
            StatementId="rotation",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
            **(source or {"SourceAccount": ACCOUNT}),
        )

    @property
    def function(self) -> str:
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rotate"

    def secret(self) -> str:
        answer = self.secrets.create_secret(Name=f"s{uuid.uuid4().hex}", SecretString="first")
        return str(answer["ARN"])

    def tell(self, what: str, arn: str, text: str = "") -> None:
        (self.folder / f"{what}-{arn.rpartition(':')[2]}").write_text(text)

    def read(self, arn: str) -> Any:  # noqa: ANN401  JSON
        """Return what testSecret found, which READ makes it write down."""
        return json.loads((self.folder / f"READ-{arn.rpartition(':')[2]}").read_text())

    def rotate(self, arn: str, **more: Any) -> str:  # noqa: ANN401  boto3's own arguments
        settings = {"RotationLambdaARN": self.function, "RotationRules": {"AutomaticallyAfterDays": 30}}
        return str(self.secrets.rotate_secret(SecretId=arn, **{**settings, **more})["VersionId"])

    def stages(self, arn: str) -> dict[str, set[str]]:
        found = self.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
        return {version: set(labels) for version, labels in found.items()}

    def is_current(self, arn: str, token: str) -> bool:
        return "AWSCURRENT" in self.stages(arn).get(token, set())

    def steps(self, arn: str) -> list[str]:
        lines = [line.split() for line in logged(self.emulator, "/aws/lambda/rotate")]
        return [line[1] for line in lines if len(line) == 4 and line[0] == "step" and line[2] == arn]

    def own(self, path: str, **body: str) -> Any:  # noqa: ANN401  JSON
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.emulator.endpoint}/_localcloud/{path}", data)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def is_over(self, arn: str) -> bool:
        return all(unfinished["SecretId"] != arn for unfinished in self.own("rotations")["unfinished"])


@contextmanager
def rotating(folder: Path, *, tries: int = 5, cleaned: str = "yes") -> Iterator[Rotating]:
    before = dict(os.environ)
    os.environ.update(LOCALCLOUD_ROTATION_RETRY_SECONDS="0.05", LOCALCLOUD_ROTATION_TRIES=str(tries))
    os.environ["LOCALCLOUD_PENDING_CLEANED"] = cleaned
    try:
        with running_emulator(folder / "data") as emulator:
            yield Rotating(emulator, folder)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotating]:
    with rotating(tmp_path_factory.mktemp("rotation")) as found:
        found.deploy()
        yield found


def test_a_rotation_runs_four_steps_and_moves_the_labels(world: Rotating) -> None:
    arn = world.secret()
    (first,) = world.stages(arn)
    began = datetime.now(UTC) - timedelta(seconds=1)
    token = world.rotate(arn)
    until(lambda: world.is_over(arn))
    assert world.steps(arn) == list(STEPS)
    assert world.secrets.get_secret_value(SecretId=arn)["SecretString"] == f"made for {token}"
    assert world.stages(arn) == {first: {"AWSPREVIOUS"}, token: {"AWSCURRENT"}}
    found = world.secrets.describe_secret(SecretId=arn)
    assert found["RotationEnabled"] is True
    assert found["RotationLambdaARN"] == world.function
    assert found["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert began < found["LastRotatedDate"] < datetime.now(UTC) + timedelta(seconds=1)
    assert timedelta(days=30) <= found["NextRotationDate"] - began <= timedelta(days=31, seconds=1)
    second = world.rotate(arn)
    until(lambda: world.is_over(arn))
    assert world.is_current(arn, second)
    assert world.stages(arn)[token] == {"AWSPREVIOUS"}


def test_awspending_stays_on_the_current_version_where_aws_does_not_clean_it(tmp_path: Path) -> None:
    with rotating(tmp_path, cleaned="no") as world:
        world.deploy()
        arn = world.secret()
        first = world.rotate(arn)
        until(lambda: world.is_over(arn))
        assert world.stages(arn)[first] == {"AWSCURRENT", "AWSPENDING"}
        second = world.rotate(arn)
        until(lambda: world.is_over(arn))
        assert world.stages(arn)[first] == {"AWSPREVIOUS"}
        assert world.stages(arn)[second] == {"AWSCURRENT", "AWSPENDING"}
        edited = world.secrets.put_secret_value(SecretId=arn, SecretString="by hand")["VersionId"]
        assert world.stages(arn) == {second: {"AWSPREVIOUS"}, edited: {"AWSCURRENT"}}


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_step_retries_the_whole_rotation_with_the_same_version(world: Rotating, step: str) -> None:
    arn = world.secret()
    world.tell("FAIL", arn, f"{step} 2")
    token = world.rotate(arn)
    until(lambda: world.is_over(arn))
    assert world.is_current(arn, token)
    until_failure = list(STEPS[: STEPS.index(step) + 1])
    assert world.steps(arn) == [*until_failure, *until_failure, *STEPS]


def test_a_failing_rotation_keeps_the_current_version_and_can_be_resumed(
    world: Rotating,
) -> None:
    arn = world.secret()
    world.tell("FAIL", arn, "setSecret 5")
    token = world.rotate(arn)
    until(lambda: world.is_over(arn))
    assert world.stages(arn)[token] == {"AWSPENDING"}
    assert world.secrets.get_secret_value(SecretId=arn)["SecretString"] == "first"
    assert "LastRotatedDate" not in world.secrets.describe_secret(SecretId=arn)
    with pytest.raises(world.secrets.exceptions.InvalidRequestException, match="will be reattempted"):
        world.rotate(arn)
    until(lambda: world.is_current(arn, token))
    assert world.secrets.get_secret_value(SecretId=arn)["SecretString"] == f"made for {token}"


def test_a_request_that_is_sent_twice_rotates_once(world: Rotating) -> None:
    arn, token = world.secret(), str(uuid.uuid4())
    assert world.rotate(arn, ClientRequestToken=token) == token
    assert world.rotate(arn, ClientRequestToken=token) == token
    until(lambda: world.is_over(arn))
    assert world.rotate(arn, ClientRequestToken=token) == token
    assert world.is_over(arn)
    assert world.steps(arn) == list(STEPS)


def test_a_function_that_forgets_to_move_the_label_has_not_rotated(world: Rotating) -> None:
    arn = world.secret()
    world.tell("FORGET", arn)
    token = world.rotate(arn)
    until(lambda: world.is_over(arn))
    assert world.stages(arn)[token] == {"AWSPENDING"}
    assert "LastRotatedDate" not in world.secrets.describe_secret(SecretId=arn)


def test_without_rotating_at_once_testsecret_runs_alone(world: Rotating) -> None:
    arn = world.secret()
    before = world.stages(arn)
    world.tell("READ", arn)
    token = world.rotate(arn, RotateImmediately=False)
    until(lambda: world.is_over(arn))
    assert world.steps(arn) == ["testSecret"]
    # AWS gives the version that is tested a copy of the current value, under an id of its own
    assert world.read(arn) == {"id": token, "value": "first", "labels": ["AWSPENDING"]}
    assert token not in before
    assert world.stages(arn) == before
    found = world.secrets.describe_secret(SecretId=arn)
    assert found["RotationEnabled"] is True
    assert found["NextRotationDate"] > datetime.now(UTC)
    assert "LastRotatedDate" not in found


def test_a_due_rotation_is_performed(world: Rotating) -> None:
    arn, other = world.secret(), world.secret()
    world.rotate(arn, RotateImmediately=False)
    world.rotate(other, RotateImmediately=False)
    until(lambda: world.is_over(arn) and world.is_over(other))
    assert world.own("rotate-due", SecretId=arn) == {"begun": [arn]}
    until(lambda: world.is_over(arn))
    assert world.steps(arn) == ["testSecret", *STEPS]
    assert world.steps(other) == ["testSecret"]


def test_a_cancelled_rotation_ends_and_keeps_its_configuration(world: Rotating) -> None:
    arn = world.secret()
    world.tell("FAIL", arn, "setSecret 1000")
    token = world.rotate(arn)
    until(lambda: "setSecret" in world.steps(arn))
    assert world.secrets.cancel_rotate_secret(SecretId=arn)["VersionId"] == token
    assert world.is_over(arn)
    found = world.secrets.describe_secret(SecretId=arn)
    assert found["RotationEnabled"] is False
    assert found["RotationLambdaARN"] == world.function
    assert "NextRotationDate" not in found
    assert world.own("rotate-due", SecretId=arn) == {"begun": []}


def test_two_secrets_rotate_at_once(world: Rotating) -> None:
    first, second = world.secret(), world.secret()
    for arn in (first, second):
        world.tell("FAIL", arn, "testSecret 1")
    tokens: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda arn=arn: tokens.update({arn: world.rotate(arn)}))
        for arn in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: all(world.is_current(arn, tokens[arn]) for arn in (first, second)))


@pytest.mark.parametrize(
    "source",
    [
        None,
        {"SourceAccount": "210987654321"},
        {"SourceArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:another-*"},
        {"PrincipalOrgID": "o-a1b2c3d4e5"},
    ],
    ids=["none", "another account", "another secret", "another organization"],
)
def test_a_function_without_a_permission_for_secrets_manager_is_rejected(
    world: Rotating, source: Mapping[str, str] | None
) -> None:
    name = f"f{uuid.uuid4().hex}"
    function, arn = deploy(world.emulator, name, zipped(SOURCE)), world.secret()
    if source:
        world.permit(name, **source)
    with pytest.raises(world.secrets.exceptions.ClientError) as refused:
        world.rotate(arn, RotationLambdaARN=function)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "function policy grants access to the principal" in refused.value.response["Error"]["Message"]
    assert "RotationEnabled" not in world.secrets.describe_secret(SecretId=arn)
    assert len(world.stages(arn)) == 1


def test_a_permission_for_exactly_this_secret_is_enough(world: Rotating) -> None:
    name, arn = f"f{uuid.uuid4().hex}", world.secret()
    function = deploy(world.emulator, name, zipped(SOURCE))
    world.permit(name, SourceArn=arn, SourceAccount=ACCOUNT)
    world.rotate(arn, RotationLambdaARN=function)


def test_what_rotatesecret_refuses(world: Rotating) -> None:
    arn, errors = world.secret(), world.secrets.exceptions
    with pytest.raises(errors.InvalidRequestException, match="No Lambda rotation function ARN"):
        world.secrets.rotate_secret(SecretId=arn)
    with pytest.raises(errors.ClientError, match=r"AccessDeniedException.* cannot invoke the specified"):
        world.rotate(arn, RotationLambdaARN=f"{world.function}-not-there")
    with pytest.raises(errors.InvalidParameterException, match="both"):
        world.rotate(arn, RotationRules={"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"})
    assert "RotationEnabled" not in world.secrets.describe_secret(SecretId=arn)


def test_a_schedule_expression_replaces_days(world: Rotating) -> None:
    arn = world.secret()
    world.rotate(arn, RotateImmediately=False)
    until(lambda: world.is_over(arn))
    rules = {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"}
    world.rotate(arn, RotationRules=rules, RotateImmediately=False)
    until(lambda: world.is_over(arn))
    found = world.secrets.describe_secret(SecretId=arn)
    assert found["RotationRules"] == rules
    assert (found["NextRotationDate"].day in {1, 15}, found["NextRotationDate"].astimezone(UTC).hour) == (
        True,
        17,
    )


def test_a_secret_that_is_deleted_meanwhile_stops_rotating(world: Rotating) -> None:
    arn = world.secret()
    world.tell("FAIL", arn, "createSecret 1000")
    world.rotate(arn)
    until(lambda: world.steps(arn))
    world.secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    assert world.is_over(arn)


@pytest.mark.parametrize("step", ["createSecret", "setSecret", "finishSecret"])
def test_a_rotation_goes_on_after_a_restart(tmp_path: Path, step: str) -> None:
    with rotating(tmp_path) as world:
        world.deploy()
        arn = world.secret()
        world.tell("HANG", arn, step)
        token = world.rotate(arn)
        until(lambda: not (tmp_path / f"HANG-{arn.rpartition(':')[2]}").exists())
        assert not world.is_current(arn, token)
    with rotating(tmp_path) as world:
        until(lambda: world.is_over(arn))
        assert world.is_current(arn, token)
        assert world.secrets.get_secret_value(SecretId=arn)["SecretString"] == f"made for {token}"
        assert world.steps(arn)[-4:] == list(STEPS)


AFTER = st.integers(0, 16 * 365 * 24 * 3600).map(
    lambda seconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(days=st.integers(1, 999), after=AFTER)
def test_days_and_rates_in_days_open_at_midnight_for_a_day(days: int, after: datetime) -> None:
    unit = "day" if days == 1 else "days"
    for schedule in (Schedule(days=days), Schedule(expression=f"rate({days} {unit})")):
        rotation_schedule.check(schedule)
        window = rotation_schedule.next_window(schedule, after)
        assert window.opens.time() == datetime.min.time()
        assert (window.opens.date() - after.date()).days == days
        assert window.closes - window.opens == timedelta(days=1)
        assert rotation_schedule.days_between(schedule, after) == days


@given(hours=st.integers(4, 23), length=st.integers(1, 24), after=AFTER)
def test_rates_in_hours_open_on_the_hour(hours: int, length: int, after: datetime) -> None:
    schedule = Schedule(expression=f"rate({hours} hours)", duration=f"{length}h")
    if length > hours:
        with pytest.raises(ServiceError):
            rotation_schedule.check(schedule)
        return
    rotation_schedule.check(schedule)
    window = rotation_schedule.next_window(schedule, after)
    assert (window.opens.minute, window.opens.second) == (0, 0)
    assert timedelta(hours=hours - 1) < window.opens - after <= timedelta(hours=hours)
    assert window.closes - window.opens == timedelta(hours=length)


FIELDS = {
    "month_day": st.sampled_from(["*", "1", "15", "L", "1,15", "1/7", "10-20", "*/5"]),
    "weekday": st.sampled_from(["SUN", "MON-FRI", "2", "SUN#1", "6#3", "FRIL", "L", "SAT,SUN", "FRI-MON"]),
    "month": st.sampled_from(["*", "JAN", "1/3", "JAN,APR,JUL,OCT", "2-4", "NOV-FEB"]),
}


@given(
    hour=st.integers(0, 23),
    step=st.sampled_from([None, 4, 6, 8, 12]),
    length=st.integers(1, 24),
    by_weekday=st.booleans(),
    after=AFTER,
    data=st.data(),
)
def test_cron_windows_follow_each_other_and_never_cross_midnight(  # noqa: PLR0913  one for each field
    *,
    hour: int,
    step: int | None,
    length: int,
    by_weekday: bool,
    after: datetime,
    data: st.DataObject,
) -> None:
    days = "? {} {}" if by_weekday else "{1} {0} ?"
    fields = days.format(
        data.draw(FIELDS["month"]), data.draw(FIELDS["weekday" if by_weekday else "month_day"])
    )
    hours = f"{hour}/{step}" if step else str(hour)
    schedule = Schedule(expression=f"cron(0 {hours} {fields} *)", duration=f"{length}h")
    often = len(range(hour, 24, step)) > 1 if step else False
    last = max(range(hour, 24, step)) if step else hour
    gap = min(step or 24, 24 - last + hour) if often else 24
    if gap < 4 or length > gap or last + length > 24:
        with pytest.raises(ServiceError):
            rotation_schedule.check(schedule)
        return
    rotation_schedule.check(schedule)
    end = None
    for _ in range(5):
        window = rotation_schedule.next_window(schedule, after)
        assert after < window.opens
        assert end is None or end <= window.opens
        assert (window.closes - timedelta(seconds=1)).date() == window.opens.date()
        if by_weekday and "MON-FRI" in fields:
            assert window.opens.isoweekday() <= 5
        if by_weekday and "SUN#1" in fields:
            assert (window.opens.isoweekday(), window.opens.day <= 7) == (7, True)
        after, end = window.opens, window.closes


@pytest.mark.parametrize(
    ("expression", "opens"),
    [
        ("cron(0 8 1 * ? *)", "2026-12-01T08"),
        ("cron(0 4/12 * * ? *)", "2026-11-24T16"),
        ("cron(0 16 L * ? *)", "2026-11-30T16"),
        ("cron(0 0 ? * SUN#1 *)", "2026-12-06T00"),
        ("cron(0 17 ? * MON-FRI *)", "2026-11-24T17"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T00"),
        ("rate(10 days)", "2026-12-04T00"),
        ("rate(4 hours)", "2026-11-24T16"),
    ],
)
def test_known_expressions(expression: str, opens: str) -> None:
    after = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
    schedule = Schedule(expression=expression)
    rotation_schedule.check(schedule)
    assert rotation_schedule.next_window(schedule, after).opens.strftime("%Y-%m-%dT%H") == opens


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(),
        Schedule(days=0),
        Schedule(days=1001),
        Schedule(days=1, duration="0h"),
        Schedule(days=1, duration="25h"),
        Schedule(days=1, duration="90m"),
        *(
            Schedule(expression=text)
            for text in (
                "rate(3 hours)",
                "rate(1000 days)",
                "rate(0 days)",
                "rate(5 minutes)",
                "every day",
                "cron(30 8 * * ? *)",
                "cron(0 8 * * ? 2027)",
                "cron(0 8 * * * *)",
                "cron(0 8 ? * ? *)",
                "cron(0 24 * * ? *)",
                "cron(0 0/2 * * ? *)",
                "cron(0 1,23 * * ? *)",
                "cron(0 8 31 2 ? *)",
                "cron(0 8 * * ?)",
                "cron(0 8 , * ? *)",
                "cron(0 8 * FOO ? *)",
            )
        ),
        Schedule(expression="cron(0 20 * * ? *)", duration="5h"),
        Schedule(expression="cron(0 0/8 * * ? *)", duration="9h"),
    ],
    ids=str,
)
def test_schedules_that_aws_refuses(schedule: Schedule) -> None:
    with pytest.raises(ServiceError) as refused:
        rotation_schedule.check(schedule)
    assert refused.value.code == "InvalidParameterException"
