"""Lambda in the emulator: the deployed archive runs in a process of its own."""

import base64
import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import pytest

from tests.support.emulator_functions import ACCOUNT, call, client, deploy, logged, ready, until, zipped
from tests.support.emulator_process import ROOT, Emulator, running_emulator

SOURCE = """
import logging, os, sys, time, boto3
logging.getLogger().setLevel("INFO")
calls = 0

def handle(event, context):
    global calls
    calls += 1
    print("printed", event.get("say"), flush=False)
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "fail" in event:
        raise ValueError(event["fail"])
    if "exit" in event:
        os._exit(event["exit"])
    if "return_nothing_json_knows" in event:
        return {1, 2}
    if "import" in event:
        __import__(event["import"])
    if "log" in event:
        logging.info(event["log"])
    return {
        "calls": calls, "pid": os.getpid(), "path": sys.path, "environment": dict(os.environ),
        "account": boto3.client("sts").get_caller_identity()["Account"],
        "left": context.get_remaining_time_in_millis(), "arn": context.invoked_function_arn,
        "stdin": sys.stdin.read(),
    }
"""


@pytest.fixture(scope="module", params=[False, True], ids=["started", "forked"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """One that starts the processes of functions, and one that forks them as other tests' do."""
    with running_emulator(None, forks_functions=request.param) as running:
        yield running


@pytest.fixture
def function(emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """A deployed function of the test's own."""
    name = f"f{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    deploy(emulator, name, zipped(SOURCE), Environment={"Variables": {"COLOUR": "blue"}}, MemorySize=256)
    return name


def test_what_was_deployed_is_described_as_lambda_does(emulator: Emulator, function: str) -> None:
    found = client(emulator, "lambda").get_function(FunctionName=function)["Configuration"]
    assert found["CodeSha256"] == base64.b64encode(hashlib.sha256(zipped(SOURCE)).digest()).decode()
    assert found["State"] == "Active"
    assert found["LastUpdateStatus"] == "Successful"
    assert found["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function}"}
    assert found["Environment"]["Variables"] == {"COLOUR": "blue"}


def test_a_function_finds_lambdas_environment_and_nothing_of_ours(emulator: Emulator, function: str) -> None:
    result, answer = call(emulator, function)
    environment = result["environment"]
    assert answer["ExecutedVersion"] == "$LATEST"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == function
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["_HANDLER"] == "app.handle"
    assert environment["COLOUR"] == "blue"
    assert environment["AWS_ENDPOINT_URL"] == emulator.endpoint
    assert Path(environment["LAMBDA_TASK_ROOT"]) == Path(result["path"][0])
    assert not any(str(ROOT) in entry for entry in result["path"])
    assert "site-packages" not in "".join(result["path"])
    assert environment["HOME"] != os.environ.get("HOME")
    assert (result["account"], result["stdin"]) == (ACCOUNT, "")
    assert 0 < result["left"] <= 10_000
    failed, answer = call(emulator, function, {"import": "pulumi"})
    assert failed["errorType"] == "ModuleNotFoundError"


def test_an_environment_is_used_again_until_code_or_configuration_change(
    emulator: Emulator, function: str
) -> None:
    first, second = (call(emulator, function)[0] for _ in range(2))
    assert (first["pid"], second["calls"]) == (second["pid"], 2)
    lambda_ = client(emulator, "lambda")
    lambda_.update_function_configuration(
        FunctionName=function, Environment={"Variables": {"COLOUR": "green"}}
    )
    third, _ = call(emulator, function)
    assert (third["calls"], third["environment"]["COLOUR"]) == (1, "green")
    source = "def handle(event, context): return 'new'"
    ready(lambda_, function)
    updated = lambda_.update_function_code(FunctionName=function, ZipFile=zipped(source))
    assert updated["CodeSha256"] == base64.b64encode(hashlib.sha256(zipped(source)).digest()).decode()
    assert call(emulator, function)[0] == "new"
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (first["pid"], third["pid"])))


def test_a_functions_error_is_answered_and_the_environment_lives_on(
    emulator: Emulator, function: str
) -> None:
    call(emulator, function)
    payload, answer = call(emulator, function, {"fail": "no such thing"})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (payload["errorType"], payload["errorMessage"]) == ("ValueError", "no such thing")
    assert "in handle" in payload["stackTrace"][0]
    assert call(emulator, function)[0]["calls"] == 3


def test_a_function_that_takes_too_long_is_ended(emulator: Emulator, function: str) -> None:
    client(emulator, "lambda").update_function_configuration(FunctionName=function, Timeout=1)
    first, _ = call(emulator, function)
    payload, answer = call(emulator, function, {"sleep": 60, "say": "before the end"})
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert not Path(f"/proc/{first['pid']}").exists()
    lines = logged(emulator, f"/aws/lambda/{function}")
    assert "printed before the end" in lines
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in lines)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"exit": 3}, "Runtime.ExitError"),
        ({"return_nothing_json_knows": True}, "Runtime.MarshalError"),
    ],
)
def test_other_ends_have_lambdas_names(
    emulator: Emulator, function: str, event: dict[str, object], kind: str
) -> None:
    payload, answer = call(emulator, function, event)
    assert (payload["errorType"], answer["FunctionError"]) == (kind, "Unhandled")
    assert call(emulator, function)[0]["account"] == ACCOUNT


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("nowhere.handle", "Runtime.ImportModuleError"),
        ("app.nothing", "Runtime.HandlerNotFound"),
        ("app", "Runtime.MalformedHandlerName"),
    ],
)
def test_a_handler_that_is_not_there_is_named(
    emulator: Emulator, function: str, handler: str, kind: str
) -> None:
    client(emulator, "lambda").update_function_configuration(FunctionName=function, Handler=handler)
    assert call(emulator, function)[0]["errorType"] == kind


def test_output_reaches_the_log_group(emulator: Emulator, function: str) -> None:
    call(emulator, function, {"say": "something", "log": "two\nlines"})
    lines = logged(emulator, f"/aws/lambda/{function}")
    assert [line.split(" ")[0] for line in (*lines[:2], *lines[-2:])] == [
        "INIT_START",
        "START",
        "END",
        "REPORT",
    ]
    assert "printed something" in lines
    assert any(line.startswith("[INFO]\t") and line.endswith("\ttwo\nlines") for line in lines)
    assert "\tInit Duration: " in lines[-1]
    assert "\tMax Memory Used: " in lines[-1]
    _, answer = call(emulator, function, LogType="Tail")
    assert b"REPORT" in base64.b64decode(answer["LogResult"])


def test_logs_go_where_the_configuration_says(emulator: Emulator, function: str) -> None:
    client(emulator, "lambda").update_function_configuration(
        FunctionName=function, LoggingConfig={"LogFormat": "JSON", "LogGroup": f"own-{function}"}
    )
    call(emulator, function, {"log": "said"})
    records = [json.loads(line) for line in logged(emulator, f"own-{function}") if line.startswith("{")]
    assert ("INFO", "said") in [(record["level"], record["message"]) for record in records]
    assert logged(emulator, f"/aws/lambda/{function}") == []


def test_an_event_runs_later_and_a_dry_run_never(emulator: Emulator, function: str) -> None:
    assert call(emulator, function, {"say": "dry"}, InvocationType="DryRun")[1]["StatusCode"] == 204
    assert call(emulator, function, {"say": "event"}, InvocationType="Event")[1]["StatusCode"] == 202
    until(lambda: "printed event" in logged(emulator, f"/aws/lambda/{function}"))
    assert "printed dry" not in logged(emulator, f"/aws/lambda/{function}")


def test_invocations_at_once_run_side_by_side(emulator: Emulator, function: str) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(call(emulator, function, {"sleep": 0.5})[0]["pid"]))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 3


def test_what_does_not_exist_is_refused(emulator: Emulator, function: str) -> None:
    lambda_ = client(emulator, "lambda")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException, match="Function not found: arn:"):
        lambda_.invoke(FunctionName="nothing")
    with pytest.raises(lambda_.exceptions.InvalidRequestContentException):
        lambda_.invoke(FunctionName=function, Payload=b"{")
    with pytest.raises(lambda_.exceptions.InvalidParameterValueException, match="Could not unzip"):
        deploy(emulator, "broken", b"no zip file")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_function(FunctionName="broken")
    lambda_.delete_function(FunctionName=function)
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.invoke(FunctionName=function)


def test_permissions_are_kept_and_removed(emulator: Emulator, function: str) -> None:
    lambda_ = client(emulator, "lambda")
    permission = {
        "FunctionName": function,
        "StatementId": "rotation",
        "Action": "lambda:InvokeFunction",
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": ACCOUNT,
    }
    lambda_.add_permission(**permission)
    with pytest.raises(lambda_.exceptions.ResourceConflictException, match="already exists"):
        lambda_.add_permission(**permission)
    (statement,) = json.loads(lambda_.get_policy(FunctionName=function)["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "secretsmanager.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}
    lambda_.remove_permission(FunctionName=function, StatementId="rotation")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_policy(FunctionName=function)


def test_functions_survive_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as first:
        deploy(first, "kept", zipped(SOURCE), LoggingConfig={"LogGroup": "own"})
        before, _ = call(first, "kept", {"say": "early"})
    assert not Path(f"/proc/{before['pid']}").exists()
    with running_emulator(data) as second:
        assert call(second, "kept")[0]["calls"] == 1
        assert "printed early" in logged(second, "own")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_function_outlives_a_killed_emulator(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "data") as emulator:
        deploy(emulator, "f", zipped(SOURCE), Timeout=60)
        pid = call(emulator, "f")[0]["pid"]

        def hang() -> None:
            with pytest.raises(botocore.exceptions.BotoCoreError):
                call(emulator, "f", {"sleep": 60, "say": "hanging"})

        busy = threading.Thread(target=hang)
        busy.start()
        os.kill(emulator.pid, signal.SIGKILL)
        busy.join()
        until(lambda: not Path(f"/proc/{pid}").exists(), 5)


def test_a_function_in_a_network_names_its_vpc_and_leaves_it(emulator: Emulator, function: str) -> None:
    ec2, iam, lambdas = (client(emulator, service) for service in ("ec2", "iam", "lambda"))
    subnet = ec2.describe_subnets()["Subnets"][0]
    network = {"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": []}
    with pytest.raises(botocore.exceptions.ClientError, match="permissions to call CreateNetworkInterface"):
        lambdas.update_function_configuration(FunctionName=function, VpcConfig=network)
    iam.attach_role_policy(
        RoleName="function",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
    )
    lambdas.update_function_configuration(FunctionName=function, VpcConfig=network)
    ready(lambdas, function)
    found = lambdas.get_function_configuration(FunctionName=function)["VpcConfig"]
    assert found == {**network, "VpcId": subnet["VpcId"], "Ipv6AllowedForDualStack": False}
    with pytest.raises(botocore.exceptions.ClientError, match="The subnet ID 'subnet-1' does not exist"):
        lambdas.update_function_configuration(FunctionName=function, VpcConfig={"SubnetIds": ["subnet-1"]})
    none: dict[str, list[str]] = {"SubnetIds": [], "SecurityGroupIds": []}
    lambdas.update_function_configuration(FunctionName=function, VpcConfig=none)
    assert lambdas.get_function_configuration(FunctionName=function)["VpcConfig"]["VpcId"] == ""
