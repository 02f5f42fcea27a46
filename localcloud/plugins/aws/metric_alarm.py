"""The resource aws:cloudwatch/metricAlarm:MetricAlarm, for alarms on one metric."""

from typing import Any

from localcloud.plugins.aws import tags
from localcloud.plugins.aws.account import Account, doing
from localcloud.plugins.aws.schema import shape
from localcloud.plugins.property_types import Failure
from localcloud.plugins.resource import Resource
from localcloud.plugins.serve import ProviderError
from localcloud.plugins.values import Properties

# property to parameter of PutMetricAlarm
_PARAMETERS = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
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
_LISTS = ("alarmActions", "insufficientDataActions", "okActions")
_NUMBERS = ("datapointsToAlarm", "evaluationPeriods", "period")
_UNSUPPORTED = (
    "metricQueries",
    "evaluationCriteria",
    "thresholdMetricId",
    "evaluateLowSampleCountPercentiles",
)


def _put(account: Account, name: str, inputs: Properties) -> None:
    for unsupported in _UNSUPPORTED:
        if inputs.get(unsupported):
            raise ProviderError(f"the local cloud has no alarms with {unsupported}")
    request = {there: inputs[here] for here, there in _PARAMETERS.items() if inputs.get(here) is not None}
    request["Dimensions"] = tags.as_list(inputs.get("dimensions") or {}, key="Name")
    with doing(f"putting CloudWatch Metric Alarm ({name})"):
        account.client("cloudwatch", inputs).put_metric_alarm(
            AlarmName=name, Tags=tags.as_list(inputs.get("tagsAll") or {}), **request
        )


def _create(account: Account, inputs: Properties) -> str:
    name = str(inputs["name"])
    _put(account, name, inputs)
    return name


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("cloudwatch", known)
    with doing(f"reading CloudWatch Metric Alarm ({identity})"):
        alarms = client.describe_alarms(AlarmNames=[identity])["MetricAlarms"]
        if not alarms:
            return None
        [found] = alarms
        tagged = client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    outputs: dict[str, Any] = {here: found.get(there, "") for here, there in _PARAMETERS.items()}
    for name in _LISTS:
        outputs[name] = sorted(outputs[name] or [])
    for name in _NUMBERS:
        outputs[name] = outputs[name] or 0
    return {
        **outputs,
        "arn": found["AlarmArn"],
        "dimensions": tags.as_map(found.get("Dimensions", []), key="Name"),
        "evaluateLowSampleCountPercentiles": "",
        "id": identity,
        "metricQueries": [],
        "name": identity,
        "region": known.get("region") or account.region,
        "thresholdMetricId": "",
        "treatMissingData": found.get("TreatMissingData") or "missing",
        **tags.outputs(tags.as_map(tagged), known, account.default_tags),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    _put(account, identity, news)
    change = tags.change(olds, news)
    client = account.client("cloudwatch", news)
    with doing(f"updating tags for CloudWatch Metric Alarm ({identity})"):
        if change.remove:
            client.untag_resource(ResourceARN=olds["arn"], TagKeys=change.remove)
        if change.put:
            client.tag_resource(ResourceARN=olds["arn"], Tags=tags.as_list(change.put))


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("cloudwatch", olds)
    with doing(f"deleting CloudWatch Metric Alarm ({identity})"):
        if client.describe_alarms(AlarmNames=[identity])["MetricAlarms"]:
            client.delete_alarms(AlarmNames=[identity])


def _check(inputs: Properties) -> list[Failure]:
    statistic = inputs.get("statistic")
    known = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    if isinstance(statistic, str) and statistic not in known:
        listed = " ".join(f'"{name}"' for name in known)
        return [Failure("statistic", f"expected statistic to be one of [{listed}], got {statistic}")]
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
    sets=frozenset(_LISTS),
)
