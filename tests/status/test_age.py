"""Ages, expiry dates and prices in the status of a deployed stack."""

import json
from datetime import UTC, datetime, timedelta

from operations.exit_codes import ExitCode
from operations.status.cost import ALARM, KEY, SECRET
from operations.status.metrics import metrics
from operations.status.model import VERSION, Problem
from operations.status.page import render_page
from tests.support.status_stack import SECRETS, StatusStack

LAST_DAY = datetime(2199, 1, 31, 23, 59, tzinfo=UTC)


def aging(problems: tuple[Problem, ...]) -> list[str]:
    return [f"{one.kind}: {one.text}" for one in problems if one.kind in {"aging", "expired"}]


def test_the_age_is_that_of_the_value_and_not_of_its_tags(status_stack: StatusStack) -> None:
    client = status_stack.stack.client()
    first = status_stack.secret("aged")
    assert (first.max_age_days, first.problems) == (3650, ())
    assert first.value_created is not None
    client.tag_resource(SecretId="aged", Tags=[{"Key": "team", "Value": "web"}])
    tagged = status_stack.secret("aged")
    assert tagged.value_created == first.value_created
    status_stack.stack.edit("aged", KEY="renewed-by-hand")
    renewed = status_stack.secret("aged")
    assert renewed.value_created is not None
    assert renewed.value_created > first.value_created
    assert status_stack.secret("app").value_created is None  # it was not asked for
    old = renewed.value_created + timedelta(days=3650)
    [problem] = status_stack.secret("aged", old).problems
    assert (problem.kind, problem.text) == ("aging", "The value is 3650 days old; maxAgeDays is 3650")
    [soon] = status_stack.secret("aged", old - timedelta(days=10)).problems
    assert soon.text.startswith("The value is 3640 days old, and will be too old on ")


def test_an_expiry_date_is_reported_before_and_after(status_stack: StatusStack) -> None:
    assert "aging: KEY expires on 2199-01-31, today" in aging(status_stack.secret("aged", LAST_DAY).problems)
    expired = status_stack.status(LAST_DAY + timedelta(days=1))
    [secret] = [one for one in expired.secrets if one.name == "aged"]
    assert aging(secret.problems)[0] == "expired: KEY expired on 2199-01-31, 1 day ago"
    assert (expired.summary.expired, expired.summary.aging) == (1, 1)
    assert "KEY expired on 2199-01-31" in render_page(expired)
    midnight = datetime(2199, 2, 1, tzinfo=UTC).timestamp()
    [line] = [one for one in metrics(expired).splitlines() if one.startswith("aws_secrets_expires_")]
    assert float(line.rpartition(" ")[2]) == midnight


def test_kinds_of_age_have_their_exit_codes(status_stack: StatusStack) -> None:
    from operations.status.command import exit_code  # noqa: PLC0415  next to what it is for

    expired = status_stack.status(LAST_DAY + timedelta(days=1))
    assert exit_code(expired, frozenset({"aging", "waiting", "drift"})) in {
        ExitCode.DRIFT,
        ExitCode.PLACEHOLDER,
    }
    assert exit_code(expired, frozenset({"aging"})) == ExitCode.AGING
    assert exit_code(expired, frozenset({"aging", "expired", "unavailable"})) == ExitCode.EXPIRED


def test_the_cost_is_the_list_price_of_what_exists(status_stack: StatusStack) -> None:
    cost = status_stack.status().cost
    assert cost is not None
    client = status_stack.stack.client()
    exist, replicas = 0, 0
    for name in SECRETS:
        try:
            described = client.describe_secret(SecretId=name)
        except client.exceptions.ResourceNotFoundException:
            continue
        exist += "DeletedDate" not in described
        replicas += 0 if "DeletedDate" in described else len(described.get("ReplicationStatus") or ())
    assert (cost.secrets, cost.replicas, cost.keys, cost.alarms) == (exist, replicas, 1, 1)
    assert replicas > 0
    assert cost.monthly_usd == float(SECRET * (exist + replicas) + KEY + ALARM)
    done = status_stack.command("--stack", "test", "--json", "--fail-on", "none")
    written = json.loads(done.stdout)
    assert written["version"] == VERSION == 1
    assert written["cost"]["monthlyUsd"] == cost.monthly_usd
    plain = status_stack.command("--stack", "test", "--fail-on", "none").stdout
    assert f"cost: {cost.monthly_usd:.2f} USD a month for {exist} secrets and " in plain
    assert "list price, us-east-1, without free tier" in plain
    assert f"{cost.monthly_usd:.2f} USD a month" in render_page(status_stack.status())
