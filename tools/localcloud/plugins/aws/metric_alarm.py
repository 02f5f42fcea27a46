"""The resource aws:cloudwatch/metricAlarm:MetricAlarm, for alarms on one metric."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.localcloud.plugins.aws import arns, tags
from tools.localcloud.plugins.aws.account import Account, doing, is_error, missing, words
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure, snake_case
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Properties

# property to parameter of PutMetricAlarm
_PARAMETERS = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}
_LISTS = frozenset({"alarmActions", "insufficientDataActions", "okActions"})
_EMPTY: dict[str, Any] = {
    "actionsEnabled": False,
    "datapointsToAlarm": 0,
    "evaluationPeriods": 0,
    "period": 0,
    "threshold": 0.0,
}
_ELSEWHERE = ("evaluationCriteria", "evaluationInterval", "metricQueries", "thresholdMetricId")
_CHOICES = {
    "comparisonOperator": (
        "GreaterThanOrEqualToThreshold",
        "GreaterThanThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
        "LessThanLowerOrGreaterThanUpperThreshold",
        "LessThanLowerThreshold",
        "GreaterThanUpperThreshold",
    ),
    "evaluateLowSampleCountPercentiles": ("evaluate", "ignore"),
    "statistic": ("SampleCount", "Average", "Sum", "Minimum", "Maximum"),
    "treatMissingData": ("breaching", "notBreaching", "ignore", "missing"),
}
_LENGTHS = {"name": (1, 255), "alarmDescription": (0, 1024), "metricName": (1, 255), "namespace": (1, 255)}
_SHORT_PERIODS = (10, 20, 30)
_MINUTE = 60
_MOST_ACTIONS = 5
_EXTENDED_STATISTIC = re.compile(
    r"(p|tm|wm|tc|ts)(\d{1,2}(\.\d{1,2})?|100)|IQM|(TM|WM|PR|TC|TS)\((\d+(\.\d+)?%?)?:(\d+(\.\d+)?%?)?\)"
)


@contextmanager
def _doing(happening: str, name: str, part: str = "") -> Iterator[None]:
    """Do as `doing`, with the message format of the provider's newer error library."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  loaded when first needed

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        cause = re.sub(r"https response error StatusCode: \d+, RequestID: [^,]*, ", "", words(error))
        about = f"{happening} CloudWatch Metric Alarm: ID: {name}\nCause:"
        raise ProviderError(f"{about}{f' While {part},' if part else ''} {cause}") from None


def _put(account: Account, name: str, inputs: Properties, happening: str) -> None:
    request = {there: inputs[here] for here, there in _PARAMETERS.items() if inputs.get(here)}
    request["ActionsEnabled"] = bool(inputs.get("actionsEnabled"))
    request["Threshold"] = inputs.get("threshold") or 0.0
    if inputs.get("dimensions"):
        request["Dimensions"] = tags.as_list(inputs["dimensions"], key="Name")
    if inputs.get("tagsAll"):
        request["Tags"] = tags.as_list(inputs["tagsAll"])
    with _doing(happening, name):
        account.client("cloudwatch", inputs).put_metric_alarm(AlarmName=name, **request)


def _create(account: Account, inputs: Properties) -> str:
    name = str(inputs["name"])
    _put(account, name, inputs, "creating")
    return name


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("cloudwatch", known)
    with _doing("reading", identity, "finding"):
        alarms = client.describe_alarms(AlarmNames=[identity], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    if not alarms:
        return None
    [found] = alarms
    with doing(f"listing tags for CloudWatch Metric Alarm ({found['AlarmArn']})"):
        tagged = client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    outputs = {here: found.get(there) or _EMPTY.get(here, "") for here, there in _PARAMETERS.items()}
    return {
        **outputs,
        **{name: sorted(outputs[name] or []) for name in _LISTS},
        "arn": found["AlarmArn"],
        "dimensions": tags.as_map(found.get("Dimensions", []), key="Name"),
        "id": identity,
        "metricQueries": [],
        "name": identity,
        "region": known.get("region") or account.region,
        "thresholdMetricId": "",
        "treatMissingData": outputs["treatMissingData"] or "missing",
        **tags.outputs(tags.as_map(tagged), known, account.default_tags),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    change = tags.change(olds, news)
    client = account.client("cloudwatch", news)
    with doing(f"updating tags for CloudWatch Metric Alarm ({olds['arn']})"):
        if change.remove:
            client.untag_resource(ResourceARN=olds["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(ResourceARN=olds["arn"], Tags=tags.as_list(change.put))
    if any((olds.get(name) or None) != (news.get(name) or None) for name in (*_PARAMETERS, "dimensions")):
        _put(account, identity, news, "updating")


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("cloudwatch", olds)
    with _doing("deleting", identity):
        try:
            client.delete_alarms(AlarmNames=[identity])
        except client.exceptions.ClientError as error:
            # CloudWatch has this code besides
            if not (missing(error) or is_error(error, "ResourceNotFound")):
                raise


def _check(inputs: Properties) -> list[Failure]:
    failures = [_refused(name) for name in _ELSEWHERE if inputs.get(name)]
    failures += [_needed(name) for name in ("comparisonOperator", "evaluationPeriods") if name not in inputs]
    for name, known in _CHOICES.items():
        value = inputs.get(name)
        if isinstance(value, str) and value not in known:
            listed = " ".join(f'"{choice}"' for choice in known)
            reason = f"expected {snake_case(name)} to be one of [{listed}]"
            failures.append(Failure(name, reason))
    for name, (least, most) in _LENGTHS.items():
        value = inputs.get(name)
        if isinstance(value, str) and not least <= len(value) <= most:
            there = "alarm_name" if name == "name" else snake_case(name)
            reason = f"expected length of {there} to be in the range ({least} - {most})"
            failures.append(Failure(name, f"{reason}, got {len(value)} characters"))
    for name in sorted(_LISTS):
        failures += _check_actions(name, inputs.get(name))
    return failures + _check_numbers(inputs) + _check_statistic(inputs)


def _refused(name: str) -> Failure:
    reason = "the local stand-in for the aws plugin has alarms on one metric only, without this setting"
    return Failure(name, f"{reason}; leave it out, or run with PULUMI_PLUGINS=official")


def _needed(name: str) -> Failure:
    reason = f'The argument "{snake_case(name)}" is required, but no definition was found.'
    return Failure(name, f"Missing required argument. {reason}")


def _check_actions(name: str, actions: object) -> list[Failure]:
    if not isinstance(actions, list):
        return []
    failures = [
        Failure(f"{name}[{at}]", wrong)
        for at, action in enumerate(actions)
        if (wrong := arns.refusal(snake_case(name), action))
    ]
    if name != "alarmActions" and len(actions) > _MOST_ACTIONS:
        most = f"supports {_MOST_ACTIONS} item maximum, but config has {len(actions)} declared."
        failures.append(Failure(name, f"Too many list items. Attribute {snake_case(name)} {most}"))
    return failures


def _check_numbers(inputs: Properties) -> list[Failure]:
    failures = []
    for name in ("datapointsToAlarm", "evaluationPeriods"):
        value = inputs.get(name)
        if isinstance(value, int) and value < 1:
            failures.append(Failure(name, f"expected {snake_case(name)} to be at least (1), got {value}"))
    period = inputs.get("period")
    if isinstance(period, int) and period not in _SHORT_PERIODS and period % _MINUTE:
        listed = " ".join(map(str, _SHORT_PERIODS))
        failures.append(Failure("period", f"expected period to be one of [{listed}], got {period}"))
        failures.append(Failure("period", f"expected period to be divisible by {_MINUTE}, got: {period}"))
    return failures


def _check_statistic(inputs: Properties) -> list[Failure]:
    extended = inputs.get("extendedStatistic")
    if isinstance(extended, str) and not _EXTENDED_STATISTIC.fullmatch(extended):
        about = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html"
        reason = f"invalid value for extended_statistic (invalid statistic, see: {about})"
        return [Failure("extendedStatistic", reason)]
    if inputs.get("metricName") and not (inputs.get("statistic") or extended):
        one = "One of `statistic` or `extended_statistic` must be set for a cloudwatch metric alarm"
        return [Failure("", one)]
    return []


METRIC_ALARM = Resource(
    **shape("aws:cloudwatch/metricAlarm:MetricAlarm"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    autoname="{}",
    conflicts=(frozenset({"extendedStatistic", "statistic"}),),
    sets=_LISTS,
)
