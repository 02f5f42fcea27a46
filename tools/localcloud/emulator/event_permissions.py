"""Permissions that requests to EventBridge need: the action and its resource.

Source: Service Authorization Reference.
"""

from collections.abc import Iterator
from dataclasses import replace

from tools.localcloud.emulator.needs import Asked, Need


def needed(asked: Asked) -> Iterator[Need]:
    """Yield the needs of a request: for rules and targets, the rule."""
    body = asked.body
    if body.get("ResourceARN"):
        yield asked.need(str(body["ResourceARN"]))
        return
    rule = body.get("Rule") or (body.get("Name") if asked.name.endswith("Rule") else None)
    if not rule:
        yield asked.need("*" if asked.name.startswith("List") else None)
        return
    bus = str(body.get("EventBusName") or "default").rpartition("/")[2]
    arn = asked.arn(f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")
    need = asked.need(arn)
    targets = tuple(str(found.get("Arn")) for found in body.get("Targets") or [] if isinstance(found, dict))
    if asked.name == "PutTargets" and targets:
        context = {**need.request.context, "events:targetarn": targets}
        need = replace(need, request=replace(need.request, context=context))
    yield need
