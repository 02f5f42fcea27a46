"""A resource that failed is one failure, however many errors the provider and the engine log about it.

The log follows a bridged provider's errors in public logs of pulumi-aws 7: the provider's own line
(`sdk-v2/provider2.go:572: sdk.helper_schema: ...: provider=aws@...`), then the engine's.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from operations import errors, report, terminal
from operations.diagnosis import failures_in, of_operation
from operations.report.model import plain
from operations.results import result_of

LOG = Path(__file__).with_name("refused_on_the_provider.jsonl")
CAUSE = (
    "creating Secrets Manager Secret (app): operation error Secrets Manager: CreateSecret, "
    "ResourceExistsException: The operation failed because the secret app already exists."
)


def log() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LOG.read_text().splitlines()]


def test_a_resource_with_two_errors_is_one_failure_with_one_cause() -> None:
    error = of_operation("web", 255, "", log())
    assert isinstance(error, errors.ProviderError)
    [failure] = error.failures
    assert (failure.name, failure.type) == ("app-secret", "aws:secretsmanager/secret:Secret")
    assert failure.cause == CAUSE
    assert str(error).startswith("1 resource of stack web failed.")
    assert str(error).count("already exists") == 1


def test_two_resources_are_two_failures_with_all_causes() -> None:
    events = log()
    more = copy.deepcopy(events[6:9])
    for event in more:
        about = event.get("diagnosticEvent") or event["resOpFailedEvent"]["metadata"]
        about["urn"] = about["urn"].replace("app-secret", "third-secret")
    more[0]["diagnosticEvent"]["message"] = "something else"
    events[9:9] = more
    first, second = failures_in(events)
    assert (first.name, second.name) == ("app-secret", "third-secret")
    assert second.cause == f"something else\n{CAUSE}"


def test_a_step_that_succeeded_is_not_a_failure() -> None:
    events = log()
    assert [failure.name for failure in failures_in(events)] == ["app-secret"]
    failed = copy.deepcopy(events[8])
    failed["resOpFailedEvent"]["metadata"]["urn"] = events[4]["diagnosticEvent"]["urn"]
    events.insert(9, failed)
    assert [failure.name for failure in failures_in(events)] == ["other-secret", "app-secret"]


UNREACHABLE = (
    # AWS's provider, without a network; the stand-in, without its emulator
    (
        "retrieving caller identity from STS: operation error STS: GetCallerIdentity, exceeded maximum "
        "number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post "
        '"https://sts.us-east-1.amazonaws.com/": dial tcp: lookup sts.us-east-1.amazonaws.com: no such host'
    ),
    'Could not connect to the endpoint URL: "http://127.0.0.1:1/"',
)
REJECTED = (
    (
        "retrieving caller identity from STS: operation error STS: GetCallerIdentity, https response error "
        "StatusCode: 403, RequestID: 1, api error InvalidClientTokenId: The security token is invalid"
    ),
    # nothing is wrong with the network: there is no instance that could have a role
    (
        "no valid credential sources found. Error: failed to refresh cached credentials, no EC2 IMDS role "
        "found, operation error ec2imds: GetMetadata, exceeded maximum number of attempts, 3, "
        'request send failed, Get "http://169.254.169.254/latest/meta-data/": dial tcp '
        "169.254.169.254:80: connect: connection refused"
    ),
)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        *((text, errors.AwsUnreachableError) for text in UNREACHABLE),
        *((text, errors.CredentialsError) for text in REJECTED),
    ],
)
def test_credentials_that_nobody_checked_are_not_called_wrong(
    details: str, expected: type[errors.OperationError]
) -> None:
    message = (
        "pulumi:providers:aws resource 'default' has a problem: unable to validate AWS credentials.\n"
        f"Details: validating provider credentials: {details}"
    )
    event = {"diagnosticEvent": {"severity": "error", "message": message}}
    assert isinstance(of_operation("web", 255, "", [event]), expected)
    assert isinstance(of_operation("web", 255, f"error: {message}", []), expected)


def succeeded() -> list[dict[str, Any]]:
    """Return the same run without the rejected resource."""
    events = [event for event in log() if "app-secret" not in json.dumps(event) and event["sequence"] != 9]
    events[-2]["summaryEvent"]["result"] = "succeeded"
    return events


def test_an_invokes_error_is_a_warning_if_the_update_succeeds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = result_of("up", "web", succeeded(), 1.0)
    terminal.print_non_fatal_errors(result)
    assert [line[:20] for line in capsys.readouterr().err.splitlines()] == ["warning: sdk-v2/prov"] * 2
    assert len(result.warnings) == 2
    assert "couldn't find resource" in result.warnings[0]
    assert result_of("up", "web", log(), 1.0).warnings == ()


def test_a_report_of_such_a_run_is_complete_without_messages() -> None:
    events = succeeded()
    for event in events:
        if "resourcePreEvent" in event:
            event["resourcePreEvent"]["metadata"]["logical"] = True
    findings = report.report(events)
    assert findings.complete
    texts = [plain(change.text) for change in findings.changes if change.component.what == "resource"]
    assert sum("logged an error" in text for text in texts) == 2
    assert "couldn't find resource" not in str(findings)
