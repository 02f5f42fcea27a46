"""A deployed login: rotated by the stack's own function, with the documented rights, there and back."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from operations.exit_codes import ExitCode
from operations.rotate.command import main
from tests.rotate.conftest import CLUSTER, reader
from tests.support.command_line import CommandLine, Done
from tests.support.ecs_services import service
from tests.support.emulator_functions import ACCOUNT, REGION, TRUST
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.shops import SECRET, Shop, new_shop
from tests.support.stacks import ROOT, new_stack
from tools.localcloud.postgres import PostgresServer


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("rotate")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        shop = new_shop(new_stack(folder / "project", environment, emulator.endpoint), server)
        read = {"environment": {"DATABASE_URL": {"secret": SECRET}}}
        workloads = {
            "web": {**reader("worker", service="web", alarms=["slow"]), **read},
            "worker": {**reader(service="worker"), **read},
        }
        shop.configure(workloads=workloads)
        shop.stack.up()
        shop.wait_for_rotations()
        ecs, elb, ec2 = (shop.stack.client(name) for name in ("ecs", "elbv2", "ec2"))
        service(shop.stack, "worker")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        made = elb.create_target_group(Name="shop", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.9.0.7", "Port": 80}])
        balanced = {"targetGroupArn": arn, "containerName": "web", "containerPort": 80}
        ecs.create_service(
            cluster=CLUSTER, serviceName="web", taskDefinition="web", desiredCount=1, loadBalancers=[balanced]
        )
        shop.stack.client("cloudwatch").put_metric_alarm(
            AlarmName="slow",
            Namespace="AWS/ApplicationELB",
            MetricName="TargetResponseTime",
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        yield shop


def test_documented_permissions_suffice_and_each_is_needed(
    deployed: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shop, line = deployed, CommandLine(main, monkeypatch, capfd)
    iam, sts = shop.stack.client("iam"), shop.stack.client("sts")
    trust = TRUST.replace('"Service": "lambda.amazonaws.com"', f'"AWS": "arn:aws:iam::{ACCOUNT}:root"')
    arn = iam.create_role(RoleName="night", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    page = (ROOT / "docs" / "rotate.md").read_text()
    text = page.partition("```json\n")[2].partition("```")[0]
    document = json.loads(text.replace("REGION", REGION).replace("ACCOUNT", ACCOUNT))
    shown: list[str] = []
    values = [shop.stack.value(SECRET)]

    def run(*arguments: str, without: str = "") -> Done:
        allowed = [
            {**one, "Action": [action for action in actions if action != without] or ["s3:GetObject"]}
            for one in document["Statement"]
            for actions in [[one["Action"]] if isinstance(one["Action"], str) else one["Action"]]
        ]
        policy = json.dumps({**document, "Statement": allowed})
        iam.put_role_policy(RoleName="night", PolicyName="it", PolicyDocument=policy)
        session = sts.assume_role(RoleArn=arn, RoleSessionName="night")["Credentials"]
        whole = (SECRET, "--restart", *arguments, "--stack", "test", "--cwd", str(shop.stack.folder))
        done = line.run(
            whole,
            {
                **shop.stack.environment,
                "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
                "AWS_SESSION_TOKEN": session["SessionToken"],
            },
        )
        shown.append(done.out + done.err)
        return done

    def versions() -> dict[str, Any]:
        return dict(shop.described(SECRET)["VersionIdsToStages"])

    before = versions()
    for action in (
        *("secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds", "ecs:DescribeServices"),
        *("cloudwatch:DescribeAlarms", "elasticloadbalancing:DescribeTargetHealth"),
        "secretsmanager:RotateSecret",
    ):
        denied = run("--yes", without=action)
        assert (denied.code, action in shown[-1]) == (ExitCode.FAILED, True), (action, denied)
        assert versions() == before, action
    stopped = run("--yes", "--json", without="ecs:UpdateService")
    since = stopped.document()["since"]
    assert (stopped.code, "ecs:UpdateService" in stopped.out) == (ExitCode.STOPPED, True)
    done = run("--yes", "--json", "--since", since)
    assert done.code == ExitCode.DONE, done
    [secret] = done.document()["secrets"]
    assert secret["oldValueWorks"] == "until-next-rotation"
    assert [one["workload"] for one in done.document()["readers"]] == ["worker", "web"]
    values.append(shop.stack.value(SECRET))
    assert values[0]["password"] != values[1]["password"]
    # both values work: alternating users
    assert shop.log_in(values[0]) != shop.log_in(values[1])

    for action in ("secretsmanager:UpdateSecretVersionStage", "lambda:InvokeFunction"):
        denied = run("--yes", "--since", since, "--back", without=action)
        assert (denied.code, action in shown[-1]) == (ExitCode.FAILED, True), (action, denied)
        assert shop.stack.value(SECRET) == values[1]
    back = run("--yes", "--json", "--since", since, "--back")
    assert back.code == ExitCode.DONE, back
    assert shop.stack.value(SECRET) == values[0]
    assert shop.log_in(values[0]) != shop.log_in(values[1])
    again = run("--yes")
    assert (again.code, "until the next rotation, at the latest" in again.out) == (ExitCode.DONE, True), again
    values.append(shop.stack.value(SECRET))
    assert not [one for one in shown for value in values if value["password"] in one]
    assert shop.log_in()
