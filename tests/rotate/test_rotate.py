"""Rotations and restarts in order on the emulator: kept, stopped at the first failure, killed, and undone."""

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from operations.exit_codes import ExitCode
from operations.renewal import readers, services
from operations.rotate import command, rollout
from operations.rotate.command import main
from tests.rotate.conftest import CLUSTER, ROTATES, World, reader
from tests.support.command_line import Done
from tests.support.emulator_functions import until
from tests.support.interruption import killed

if TYPE_CHECKING:
    from collections.abc import Mapping

# each one after the ones below it, and declared in the reverse order
DIAMOND = {
    "top": reader("left", "right", service="top"),
    "right": reader("bottom", service="right"),
    "left": reader("bottom", service="left"),
    "bottom": reader(service="bottom"),
}
CHAIN = {
    "third": reader("second", service="third"),
    "second": reader("first", service="second"),
    "first": reader(service="first"),
}
SERVICES = ("first", "second", "third")
VALUE = re.compile(r"value-\w+")


def outcomes(done: Done) -> dict[str, tuple[str, str]]:
    return {one["workload"]: (one["state"], one["value"]) for one in done.document()["readers"]}


def state_of(world: World) -> tuple[str, dict[str, list[str]], list[int]]:
    return world.value(), world.stages(), world.deployments(*SERVICES)


def test_readers_are_restarted_after_those_they_wait_for(world: World) -> None:
    world.declare(DIAMOND)
    before = world.value()
    done = world.run("app", "--restart", "--yes", "--json")
    assert (done.code, world.value() != before) == (ExitCode.DONE, True), done
    assert set(outcomes(done).values()) == {("healthy", "new")}
    assert outcomes(done).keys() == {"bottom", "left", "right", "top"}
    bottom, left, right, top = world.begun("bottom", "left", "right", "top")
    assert bottom < min(left, right)
    assert max(left, right) < top
    assert world.deployments("bottom", "left", "right", "top") == [1, 1, 1, 1]


@pytest.mark.parametrize("outcome", ["failed", "rolled-back", "held"])
def test_the_second_of_three_fails_and_the_third_keeps_its_tasks(world: World, outcome: str) -> None:
    world.declare(CHAIN)
    world.outcome("second", outcome)
    [untouched] = world.begun("third")
    before, old = world.current(), world.value()
    stopped = world.run("app", "--restart", "--yes", "--json")
    report = stopped.document()
    assert stopped.code == ExitCode.STOPPED
    states = outcomes(stopped)
    assert (states["first"], states["third"]) == (("healthy", "new"), ("waiting", "old"))
    assert states["second"][0] == "failed"
    assert world.begun("third") == [untouched]
    [secret] = report["secrets"]
    assert (secret["state"], secret["versionBefore"], secret["versionAfter"]) == (
        "rotated",
        before,
        world.current(),
    )
    since = report["since"]
    tail = f"--cwd {world.folder} --stack test --restart --since {since}"
    assert report["goOn"] == f"python -m operations rotate app {tail}"
    back, *steps = report["wayBack"]
    assert back == f"python -m operations rotate app {tail} --back"
    assert steps[0] == f"python -m operations rollback app --stack test --to {before}"
    deployed = [re.findall(r"--service (\w+)", step) for step in steps[1:]]
    assert deployed == [["second"], ["first"]]

    text = world.run("app", "--restart", "--yes", "--since", since).out
    for words in (
        "reader first has the new value",
        "reader third has the old value",
        "STOPPED: Reader second failed its health check",
        "AWSPREVIOUS until the next rotation",
        report["goOn"],
        back,
        *steps,
    ):
        assert words in text, words
    world.outcome("second", "completed")
    done = world.run("app", "--restart", "--yes", "--json", "--since", since)
    assert (done.code, set(outcomes(done).values())) == (ExitCode.DONE, {("healthy", "new")}), done
    assert [one["versionAfter"] for one in done.document()["secrets"]] == [secret["versionAfter"]]
    assert not {*VALUE.findall(stopped.out + text + done.out)}
    assert world.value() != old


def test_the_way_back_is_the_inverse(world: World) -> None:
    world.declare(CHAIN)
    old, version = world.value(), world.current()
    world.outcome("second", "failed")
    report = world.run("app", "--restart", "--yes", "--json").document()
    new, [third] = world.value(), world.begun("third")
    went = ("app", "--restart", "--yes", "--json", "--since", report["since"], "--back")
    failing = world.run(*went)
    assert failing.code == ExitCode.STOPPED
    # the reader that cannot start does not keep the one before it from its old value
    assert outcomes(failing) == {
        "third": ("unchanged", "old"),
        "second": ("failed", "unknown"),
        "first": ("healthy", "old"),
    }
    assert (world.value(), world.current()) == (old, version)
    world.outcome("second", "completed")
    done = world.run(*went)
    assert (done.code, [one["state"] for one in done.document()["secrets"]]) == (
        ExitCode.DONE,
        ["rolled-back"],
    )
    assert world.begun("third") == [third]
    count = world.deployments(*SERVICES)
    assert world.run(*went).code == ExitCode.DONE
    assert world.deployments(*SERVICES) == count
    again = world.run("app", "--restart", "--yes", "--since", report["since"])
    assert (again.code, "was taken back" in again.err) == (ExitCode.FAILED, True)
    # the third one has the current value, although it was started before the rotation
    assert world.run("app", "--restart", "--dry-run").code == ExitCode.DONE
    assert new not in failing.out + done.out + again.err
    assert old not in failing.out + done.out + again.err


def test_the_way_back_restarts_in_the_reverse_order(world: World) -> None:
    world.declare(CHAIN)
    since = world.run("app", "--restart", "--yes", "--json").document()["since"]
    assert world.run("app", "--restart", "--yes", "--since", since, "--back").code == ExitCode.DONE
    third, second, first = world.begun("third", "second", "first")
    assert third < second < first


def test_each_kill_is_continued_and_nothing_is_done_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare(CHAIN)
    versions, since = len(world.stages()), datetime.now(UTC).isoformat()
    for name, setting in world.emulator.environment.items():
        monkeypatch.setenv(name, setting)

    def run(*arguments: str) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        assert main(world.arguments("app", "--restart", "--yes", "--json", *arguments)) == ExitCode.DONE

    # before the rotation, then before each of three restarts: each run passes the point of the last one
    kills = [killed(at, lambda: run("--since", since)) for at in (0, 1, 1, 1, 1)]
    assert kills == [True, True, True, True, False]
    assert world.deployments(*SERVICES) == [1, 1, 1]
    assert len(world.stages()) == versions + 1
    done = world.run("app", "--restart", "--yes", "--json", "--since", since)
    assert (done.code, set(outcomes(done).values())) == (ExitCode.DONE, {("healthy", "new")})
    assert world.deployments(*SERVICES) == [1, 1, 1]

    back = [killed(at, lambda: run("--since", since, "--back")) for at in (0, 1, 1, 1, 1)]
    assert back[0]
    assert not back[-1]
    assert world.deployments(*SERVICES) == [2, 2, 2]
    first, second, third = world.begun(*SERVICES)
    assert third < second < first


@pytest.mark.parametrize("number", range(3))
def test_an_interruption_shows_how_to_go_on_and_back(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    world.declare(CHAIN)
    calls = iter(range(100))

    def interrupt(*arguments: Any) -> Any:
        if next(calls) == number:
            raise KeyboardInterrupt
        return readers.changed(*arguments)

    monkeypatch.setattr(rollout, "changed", interrupt)
    done = world.run("app", "--restart", "--yes")
    assert done.code == ExitCode.CANCELLED
    on, back = re.findall(r"Go (?:on|back) with: python -m (.*)", done.err)
    assert back == f"{on} --back"


def test_an_interruption_of_the_report_does_not_suggest_another_rotation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> Any:
        raise KeyboardInterrupt

    world.declare(CHAIN)
    monkeypatch.setattr(command, "lines", interrupt)
    done = world.run("app", "--restart", "--yes")
    assert done.code == ExitCode.CANCELLED
    assert re.search(r"Interrupted. Go on with: python -m .* --since ", done.err)
    assert "same command" not in done.err


def test_a_health_check_that_fails_before_changes_nothing(world: World) -> None:
    world.declare(CHAIN | {"second": reader("first", service="second", alarms=["too-slow", "missing"])})
    cloudwatch = world.client("cloudwatch")
    alarm(cloudwatch, "too-slow")
    cloudwatch.set_alarm_state(AlarmName="too-slow", StateValue="ALARM", StateReason="test")
    before = state_of(world)
    done = world.run("app", "--restart", "--yes")
    assert done.code == ExitCode.FAILED
    for words in (
        "the alarm too-slow has gone off",
        "CloudWatch has no alarm missing",
        "Nothing was changed",
    ):
        assert words in done.err, words
    assert state_of(world) == before


def alarm(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/ApplicationELB",
        MetricName="TargetResponseTime",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )


def test_targets_and_alarms_are_part_of_a_readers_health(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = {
        "first": reader(service="first", alarms=["errors"]),
        "second": reader("first", service="second"),
    }
    elb, cloudwatch = world.client("elbv2"), world.client("cloudwatch")
    vpc = world.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = elb.create_target_group(Name="shop", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    balanced = {"targetGroupArn": arn, "containerName": "web", "containerPort": 80}
    alarm(cloudwatch, "errors")
    world.service("first", loadBalancers=[balanced])
    world.service("second")
    world.secret("app")
    world.write(workload, {"app": ROTATES})
    refused = world.run("app", "--restart", "--yes")
    assert (refused.code, "0 of 1 targets in targetgroup/shop" in refused.err) == (ExitCode.FAILED, True)
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.9.0.7", "Port": 80}])
    deploy = services.deploy

    def breaking(*arguments: Any) -> str:
        deployment = deploy(*arguments)
        elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "10.9.0.7", "Port": 80}])
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
        return str(deployment)

    monkeypatch.setattr(services, "deploy", breaking)
    stopped = world.run("app", "--restart", "--yes", "--json")
    assert stopped.code == ExitCode.STOPPED, stopped
    assert "targets in targetgroup/shop" in stopped.document()["stopped"]
    assert "the alarm errors has gone off" in stopped.document()["stopped"]
    # its tasks have read the new value; they are not healthy with it
    assert outcomes(stopped) == {"first": ("failed", "new"), "second": ("waiting", "old")}


def test_a_reader_that_a_person_restarts_holds_up_only_those_after_it(world: World) -> None:
    pod = {
        "kubernetes": {"operator": "external-secrets", "namespace": "shop", "role": "pod"},
        "environment": {"KEY": {"secret": "app"}},
    }
    world.declare({"third": reader("pod", service="third"), "pod": pod, "first": reader(service="first")})
    left = world.run("app", "--restart", "--yes", "--json")
    assert left.code == ExitCode.LEFT_TO_DO, left
    assert outcomes(left) == {
        "pod": ("by-hand", "unknown"),
        "first": ("healthy", "new"),
        "third": ("waiting", "old"),
    }
    [by_hand] = [one for one in left.document()["readers"] if one["workload"] == "pod"]
    assert "rollout restart" in by_hand["commands"][-1]
    since = left.document()["since"]
    done = world.run("app", "--restart", "--yes", "--json", "--since", since, "--restarted", "pod")
    assert (done.code, set(outcomes(done).values())) == (ExitCode.DONE, {("healthy", "new")}), done
    for name, words in (("first", "restarts it itself"), ("other", "no such workload")):
        refused = world.run("app", "--restart", "--yes", "--restarted", name)
        assert (refused.code, words in refused.err) == (ExitCode.FAILED, True)


def test_a_second_rotation_is_refused_while_a_reader_has_the_value_before(world: World) -> None:
    world.declare(CHAIN)
    alone = world.run("app", "--yes")
    assert alone.code == ExitCode.DONE
    assert re.search(
        r"Restart the readers: python -m operations rotate app .* --restart$", alone.out, re.MULTILINE
    )
    assert "reader third has the old value. It was not restarted" in alone.out
    before = world.stages()
    refused = world.run("app", "--restart", "--yes")
    assert refused.code == ExitCode.FAILED
    assert "another one would end the value that they hold" in refused.err
    assert world.stages() == before
    restarted = world.run("app", "--restart-only", "--yes", "--json")
    assert (restarted.code, set(outcomes(restarted).values())) == (ExitCode.DONE, {("healthy", "new")})
    assert restarted.document()["wayBack"] == []
    assert world.stages() == before
    assert world.deployments(*SERVICES) == [1, 1, 1]
    assert world.run("app", "--restart", "--yes").code == ExitCode.DONE


def test_a_deferred_rotation_restarts_nobody_and_is_not_taken_for_one(world: World) -> None:
    web = reader(service="web") | {"environment": {"KEY": {"secret": "deferred"}}}
    world.declare({"web": web}, deferred=ROTATES)
    before = world.deployments("web")
    done = world.run("deferred", "--restart", "--yes", "--json")
    assert done.code == ExitCode.FAILED
    report = done.document()
    assert report["secrets"][0]["state"] == "failed"
    assert "clients use an old password" in report["stopped"]
    copies = len(world.stages("deferred"))
    again = world.run("deferred", "--restart", "--yes", "--json", "--since", report["since"])
    assert (again.code, "run this command again" in again.document()["stopped"]) == (ExitCode.FAILED, True)
    assert len(world.stages("deferred")) <= copies + 1
    assert world.deployments("web") == before


def test_the_way_back_begins_only_if_it_can_end(world: World) -> None:
    """A rotation on schedule has replaced one of two secrets since; the other one stays, too."""
    world.declare({}, app=ROTATES, later=ROTATES)
    since = world.run("app", "later", "--yes", "--json").document()["since"]
    world.client().rotate_secret(SecretId="app")
    until(lambda: "AWSPENDING" not in str(world.stages()))
    before = (world.stages("app"), world.stages("later"))
    refused = world.run("app", "later", "--yes", "--since", since, "--back")
    assert (refused.code, "app: Leave it out of the command" in refused.err) == (
        ExitCode.FAILED,
        True,
    ), refused
    assert (world.stages("app"), world.stages("later")) == before
    again = world.run("app", "--yes", "--json", "--since", since).document()
    assert (again["secrets"][0]["versionBefore"], again["wayBack"]) == (None, [])
    assert world.run("later", "--yes", "--since", since, "--back").code == ExitCode.DONE


def test_a_deferred_rotation_does_not_block_the_way_back_of_another(world: World) -> None:
    world.declare({}, app=ROTATES, deferred=ROTATES)
    value = world.value()
    stopped = world.run("app", "deferred", "--yes", "--json")
    assert [one["state"] for one in stopped.document()["secrets"]] == ["rotated", "failed"]
    since = stopped.document()["since"]
    done = world.run("app", "deferred", "--yes", "--json", "--since", since, "--back")
    assert (done.code, world.value()) == (ExitCode.DONE, value), done
    assert [one["state"] for one in done.document()["secrets"]] == ["rolled-back", "unchanged"]


def test_all_secrets_that_must_not_be_rotated_are_refused_at_once(world: World) -> None:
    world.declare(CHAIN, app=ROTATES, plain={"values": {"KEY": {"random": {}}}}, own=ROTATES)
    manager = world.client()
    manager.cancel_rotate_secret(SecretId="own")
    manager.put_secret_value(SecretId="app", SecretString="{}", VersionStages=["AWSPENDING"])
    before = (world.stages("app"), world.stages("own"))
    done = world.run("plain", "ap", "app", "--restart", "--yes")
    assert (done.code, "declares no secret ap" in done.err) == (ExitCode.FAILED, True)
    assert "plain: It does not rotate (aws-secrets:secrets.plain)" in done.err
    done = world.run("app", "own", "--restart", "--yes")
    assert (done.code, "app: A rotation is in progress" in done.err) == (ExitCode.FAILED, True)
    assert "own: It rotates with no function, and the stack declares" in done.err
    assert (world.stages("app"), world.stages("own")) == before
    assert world.deployments(*SERVICES) == [0, 0, 0]


def test_a_workloads_secrets_are_rotated_as_far_as_they_rotate(world: World) -> None:
    second = {**reader("first", service="second"), "environmentFrom": ["plain"]}
    chain: Mapping[str, Any] = {**CHAIN, "second": second}
    second["environment"] = {"APP": {"secret": "app", "key": "KEY"}}
    world.declare(chain, app=ROTATES, plain={"values": {"KEY": {"random": {}}}})
    plain = world.current("plain")
    dry = world.run("--workload", "second", "--restart", "--dry-run")
    assert dry.code == ExitCode.DONE, dry
    assert "plain is not rotated: It does not rotate" in dry.out
    assert "1. reader first" in dry.out
    assert "3. reader third" in dry.out
    assert world.deployments(*SERVICES) == [0, 0, 0]
    done = world.run("--workload", "second", "--restart", "--yes", "--json")
    assert (done.code, {*outcomes(done)}) == (ExitCode.DONE, {*SERVICES})
    assert world.current("plain") == plain


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("app", "--restart"), ExitCode.USAGE, "Confirm with --yes"),
        (("app", "--yes", "--since", "2999-01-01"), ExitCode.FAILED, "in the future"),
        (("--workload", "frist", "--yes"), ExitCode.FAILED, "declares no workload frist"),
        (("app", "--restart", "--yes"), ExitCode.FAILED, "no active service third"),
    ],
)
def test_a_mistake_changes_nothing(
    world: World, arguments: tuple[str, ...], code: ExitCode, words: str
) -> None:
    world.declare(CHAIN)
    if "service" in words:
        world.client("ecs").delete_service(cluster=CLUSTER, service="third", force=True)
    before = (world.stages(), world.deployments("first", "second"))
    done = world.run(*arguments)
    assert (done.code, words in done.err) == (code, True), done
    assert (world.stages(), world.deployments("first", "second")) == before
