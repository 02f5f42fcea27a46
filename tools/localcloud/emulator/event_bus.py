"""EventBridge's default bus for events of AWS services: matching rules call their functions.

Moto keeps rules and evaluates patterns. Targets other than Lambda functions get nothing.

Source: Amazon EventBridge User Guide, "Event bus targets", "Using resource-based policies".
"""

import json
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.events.models import Rule, events_backends

from tools.localcloud.emulator import lambda_service

_BUS = "default"
_SERVICE = "events.amazonaws.com"


def publish(  # noqa: PLR0913  what every event has
    *,
    account: str,
    region: str,
    source: str,
    detail_type: str,
    resources: list[str],
    detail: Mapping[str, Any],
) -> None:
    """Publish an AWS service's event; functions of matching rules run later, each in its own thread."""
    event = _event(account, region, source, detail_type, resources, detail)
    for rule in _rules(account, region):
        pattern = rule.event_pattern
        # a rule with a schedule and no pattern is for no event; moto has it match every one
        if rule.state != "DISABLED" and pattern.get_pattern() and pattern.matches_event(event):
            for target in rule.targets:
                _call(rule, target, event)


def run_schedules() -> list[str]:
    """Call the targets of rules with a schedule now, instead of at their times; return the rules' names."""
    called = []
    for account, regions in list(events_backends.items()):
        for region in list(regions):
            for rule in _rules(account, region):
                if rule.state == "DISABLED" or not rule.scheduled_expression:
                    continue
                called.append(rule.name)
                event = _event(account, region, "aws.events", "Scheduled Event", [rule.arn], {})
                for target in rule.targets:
                    _call(rule, target, event)
    return called


def _rules(account: str, region: str) -> list[Rule]:
    return list(events_backends[account][region].event_buses[_BUS].rules.values())


def _event(  # noqa: PLR0913, PLR0917  what every event has
    account: str, region: str, source: str, detail_type: str, resources: list[str], detail: Mapping[str, Any]
) -> Any:  # noqa: ANN401  moto has a type of its own
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": resources,
        "detail": detail,
    }


def _call(rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    arn = str(target["Arn"])
    if arn.split(":")[2] != "lambda":
        _tell(rule, f"{target['Id']} is not a Lambda function and was not called")
        return
    if any(target.get(name) for name in ("Input", "InputPath", "InputTransformer")):
        _tell(rule, f"{target['Id']} was not called: the local cloud sends whole events only")
        return
    # EventBridge names the rule to Lambda and not the account: a condition on aws:SourceAccount never holds
    if not lambda_service.allows(
        rule.region_name,
        arn,
        service=_SERVICE,
        source_arn=rule.arn,
        account=rule.account_id,
        names_account=False,
    ):
        _tell(rule, f"{target['Id']} was not called: the function's policy does not grant this rule access")
        return
    lambda_service.invoke_later(rule.region_name, arn, json.dumps(event).encode())
    _tell(rule, f"{target['Id']} is called for {event['detail-type']}")


def _tell(rule: Rule, what: str) -> None:
    print(f"rule {rule.name}: {what}", file=sys.stderr, flush=True)
