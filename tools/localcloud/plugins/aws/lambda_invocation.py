"""The resource aws:lambda/invocation:Invocation: creating it invokes a function."""

import hashlib
import json

from tools.localcloud.plugins.aws.account import Account, doing
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import Properties

_SCOPES = {"CREATE_ONLY", "CRUD"}


def _is_create_only(properties: Properties) -> bool:
    return properties.get("lifecycleScope") in {None, "CREATE_ONLY"}


def _payload(action: str, inputs: Properties, previous: str | None) -> bytes:
    """Return the input as it is, or (CRUD) with the action and the input before under the key for them."""
    if _is_create_only(inputs):
        return str(inputs["input"]).encode()
    key = {"action": action, "prev_input": json.loads(previous) if previous else None}
    sent = {**json.loads(inputs["input"]), inputs.get("terraformKey") or "tf": key}
    return json.dumps(sent, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _invoke(account: Account, action: str, inputs: Properties, previous: str | None = None) -> Properties:
    function, qualifier = inputs["functionName"], inputs.get("qualifier") or "$LATEST"
    payload = _payload(action, inputs, previous)
    tenant = {"TenantId": inputs["tenantId"]} if inputs.get("tenantId") else {}
    with doing(f"invoking Lambda Function ({function})"):
        answer = account.client("lambda", inputs, patient=True).invoke(
            FunctionName=function, Qualifier=qualifier, Payload=payload, **tenant
        )
        result = answer["Payload"].read().decode()
    if answer.get("FunctionError"):
        raise ProviderError(f"invoking Lambda Function ({function}): {result}")
    told = hashlib.md5(payload, usedforsecurity=False).hexdigest()
    return {
        "__meta": '{"schema_version":"1"}',
        "functionName": function,
        "id": f"{function},{qualifier},{told}",
        "input": inputs["input"],
        "lifecycleScope": inputs.get("lifecycleScope"),
        "qualifier": qualifier,
        "region": inputs.get("region") or account.region,
        "result": result,
        "tenantId": inputs.get("tenantId"),
        "terraformKey": inputs.get("terraformKey"),
        "triggers": inputs.get("triggers"),
    }


def _create(account: Account, inputs: Properties) -> Properties:
    return _invoke(account, "create", inputs)


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    """Return the known properties: AWS keeps no invocations."""
    if known:
        return known
    function, _, rest = identity.partition(",")
    qualifier, _, told = rest.partition(",")
    if not told:
        return None
    return {"functionName": function, "id": identity, "qualifier": qualifier, "region": account.region}


def _update(account: Account, _identity: str, olds: Properties, news: Properties) -> Properties:
    return _invoke(account, "update", news, olds.get("input"))


def _delete(account: Account, _identity: str, olds: Properties) -> None:
    if not _is_create_only(olds):
        _invoke(account, "delete", olds, olds.get("input"))


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError("Expecting value", name, 0)


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    scope, text = inputs.get("lifecycleScope"), inputs.get("input")
    if isinstance(scope, str) and scope not in _SCOPES:
        failures.append(
            Failure("lifecycleScope", 'expected lifecycle_scope to be one of ["CREATE_ONLY" "CRUD"]')
        )
    if isinstance(text, str):
        try:
            parsed = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            reason = f'"input" contains an invalid JSON: {error.msg}, at offset {error.pos}'
            failures.append(Failure("input", reason))
        else:
            if scope == "CRUD" and not isinstance(parsed, dict):
                reason = 'lifecycle_scope other than "CREATE_ONLY" requires input to be a JSON object'
                failures.append(Failure("", reason))
    return failures


def _meta_replacements(news: Properties) -> frozenset[str]:
    return frozenset({"input"}) if _is_create_only(news) else frozenset()


def _renewed(news: Properties, changed: frozenset[str]) -> frozenset[str]:
    is_renewed = "input" in changed and not _is_create_only(news)
    return frozenset({"result"}) if is_renewed else frozenset()


INVOCATION = Resource(
    **shape("aws:lambda/invocation:Invocation"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    defaults={"lifecycleScope": "CREATE_ONLY", "qualifier": "$LATEST", "terraformKey": "tf"},
    meta_replacements=_meta_replacements,
    renewed=_renewed,
)
