"""Alarms on the errors of Lambda functions, which moto never evaluates.

Only alarms that ignore missing data: they show the last invocation until there is another one. The others
would be OK again some minutes after an error, for which nobody waits on a laptop.

Source: Amazon CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data".
"""

from moto.cloudwatch.models import cloudwatch_backends


def evaluate(account: str, region: str, function_arn: str, *, failed: bool) -> None:
    """Set the alarms of a function after an invocation; each is taken to be in a period of its own."""
    cloudwatch, name = cloudwatch_backends[account][region], function_arn.split(":")[6]
    for alarm in list(cloudwatch.alarms.values()):
        dimensions = {one.name: one.value for one in alarm.dimensions or ()}
        if (alarm.namespace, alarm.metric_name) != ("AWS/Lambda", "Errors"):
            continue
        if dimensions == {"FunctionName": name} and alarm.treat_missing_data == "ignore":
            state, number = ("ALARM", 1.0) if failed else ("OK", 0.0)
            reason = f"Threshold Crossed: 1 datapoint [{number}], threshold {alarm.threshold}."
            alarm.update_state(reason, "{}", state)
