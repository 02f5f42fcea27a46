"""Permissions that Secrets Manager requests need: on secrets, with condition keys, and on KMS keys.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for AWS Secrets Manager";
User Guide, "Secret encryption and decryption", "Permissions for rotation"; API Reference ("Required
permissions" of each operation).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.kms.models import Key, kms_backends

from tools.localcloud.emulator import lambda_service, secrets_service
from tools.localcloud.emulator import secrets_rules as rules
from tools.localcloud.emulator.authorization import Request, ResourcePolicy
from tools.localcloud.emulator.needs import Need, tag_context
from tools.localcloud.emulator.policy_conditions import Context

_WITHOUT_RESOURCE = {"ListSecrets", "GetRandomPassword", "BatchGetSecretValue"}
_WITH_VALUE = ("SecretString", "SecretBinary")
# Parameter to condition key, where both are one text, number or truth value.
_PARAMETERS = {
    "Name": "name",
    "Description": "description",
    "KmsKeyId": "kmskeyid",
    "VersionId": "versionid",
    "VersionStage": "versionstage",
    "RecoveryWindowInDays": "recoverywindowindays",
    "ForceDeleteWithoutRecovery": "forcedeletewithoutrecovery",
    "RotationLambdaARN": "rotationlambdaarn",
    "RotateImmediately": "rotateimmediately",
    "BlockPublicPolicy": "blockpublicpolicy",
    "ForceOverwriteReplicaSecret": "forceoverwritereplicasecret",
}
# A secret that is about to be made has an ARN that nobody knows yet.
_SUFFIX_TO_COME = "-??????"
_OTHER_ACCOUNT = (
    "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS "
    "service key."
)


def needed(name: str, region: str, account: str, body: Mapping[str, Any], context: Context) -> Iterator[Need]:
    """Yield everything that the operation needs.

    Args:
        name: of the operation.
        region: that is asked.
        account: of the caller.
        body: the request's parameters.
        context: condition keys that are known already.
    """
    about = {**context, **_parameters(body)}
    if name in _WITHOUT_RESOURCE:
        yield Need(Request(action=f"secretsmanager:{name}", resource="*", context=about))
        if name == "BatchGetSecretValue" and "Filters" in body:
            yield Need(Request(action="secretsmanager:ListSecrets", resource="*", context=about))
        return
    if name == "CreateSecret":
        yield from _creation(region, account, body, about)
        return
    if "SecretId" not in body:
        yield Need(Request(action=f"secretsmanager:{name}", resource=None, context=about))
        return
    yield from needed_of(str(body["SecretId"]), name, region, account, body, about)


def needed_of(  # noqa: PLR0913, PLR0917  the same as above, and which secret
    secret_id: str,
    name: str,
    region: str,
    account: str,
    body: Mapping[str, Any],
    context: Context,
) -> Iterator[Need]:
    """Yield what an operation on one secret needs."""
    owner = secrets_service.account_in(secret_id) or account
    action = f"secretsmanager:{name}"
    try:
        secret = secrets_service.store_of(owner).find(region, secret_id)
    except rules.ServiceError:
        arn = secret_id if secret_id.startswith("arn:") else _arn_to_come(region, owner, secret_id)
        request = Request(action=action, resource=arn, context={**context, "secretsmanager:secretid": (arn,)})
        yield Need(request, ResourcePolicy(document=None, account=owner), shown=secret_id)
        return
    arn = rules.arn_in(secret, region)
    about = {
        **context,
        "secretsmanager:secretid": (arn,),
        "secretsmanager:secretprimaryregion": (secret.region,),
        **_tagged(secret.tags),
    }
    if secret.rotation is not None:
        about["secretsmanager:resource/allowrotationlambdaarn"] = (secret.rotation.lambda_arn,)
    policy = ResourcePolicy(document=json.loads(secret.policy) if secret.policy else None, account=owner)
    foreign = owner != account and _needs_awss_key(name, secret, body)
    yield Need(
        Request(action=action, resource=arn, context=about),
        policy,
        shown=secret_id,
        impossible=_OTHER_ACCOUNT if foreign else None,
    )
    yield from _of_keys(name, secret, region, body, context)
    if name == "RotateSecret":
        yield from _of_function(secret, account, body, context)


def _needs_awss_key(name: str, secret: rules.Secret, body: Mapping[str, Any]) -> bool:
    """Return whether it reads or writes a value with AWS's own key, which no other account can use."""
    if name == "PutSecretValue":
        return secret.kms_key_id.endswith(rules.AWS_MANAGED_KEY)
    if name != "GetSecretValue":
        return False
    try:
        version = rules.wanted_version(secret, body.get("VersionId"), body.get("VersionStage"))
    except rules.ServiceError:
        return False
    return version.kms_key_id.endswith(rules.AWS_MANAGED_KEY)


def _creation(region: str, account: str, body: Mapping[str, Any], context: Context) -> Iterator[Need]:
    name = str(body.get("Name") or "")
    arn = _arn_to_come(region, account, name)
    yield Need(Request(action="secretsmanager:CreateSecret", resource=arn, context=context), shown=name)
    if body.get("Tags"):
        yield Need(Request(action="secretsmanager:TagResource", resource=arn, context=context), shown=name)
    if any(body.get(parameter) is not None for parameter in _WITH_VALUE):
        yield from _key_needs(body.get("KmsKeyId"), account, region, arn, context)
    yield from _replicas(account, arn, body, context)


def _of_keys(
    name: str, secret: rules.Secret, region: str, body: Mapping[str, Any], context: Context
) -> Iterator[Need]:
    arn, owner = rules.arn_in(secret, region), secret.arn.split(":")[4]
    if name == "GetSecretValue":
        try:
            version = rules.wanted_version(secret, body.get("VersionId"), body.get("VersionStage"))
        except rules.ServiceError:
            return
        replica = secret.replicas.get(region)
        key = replica.kms_key_id if replica else version.kms_key_id
        yield from _key_needs(key, owner, region, arn, context, ("kms:Decrypt",))
    elif name == "PutSecretValue":
        yield from _key_needs(secret.kms_key_id, owner, region, arn, context)
    elif name == "UpdateSecret":
        new = body.get("KmsKeyId")
        if new is not None and new != secret.kms_key_id and secret.versions:
            yield from _key_needs(secret.kms_key_id, owner, region, arn, context, ("kms:Decrypt",))
            yield from _key_needs(new, owner, region, arn, context)
        elif any(body.get(parameter) is not None for parameter in _WITH_VALUE):
            yield from _key_needs(secret.kms_key_id if new is None else new, owner, region, arn, context)
    elif name == "ReplicateSecretToRegions":
        yield from _key_needs(secret.kms_key_id, owner, region, arn, context, ("kms:Decrypt",))
        yield from _replicas(owner, arn, body, context)


def _replicas(account: str, arn: str, body: Mapping[str, Any], context: Context) -> Iterator[Need]:
    for copy in body.get("AddReplicaRegions") or []:
        region = str(copy.get("Region"))
        there = arn.replace(f":{arn.split(':')[3]}:", f":{region}:", 1)
        actions = ("kms:GenerateDataKey", "kms:Encrypt")
        yield from _key_needs(copy.get("KmsKeyId"), account, region, there, context, actions)


def _key_needs(  # noqa: PLR0913, PLR0917  a key, whose secret it serves, for what
    key_id: str | None,
    account: str,
    region: str,
    secret_arn: str,
    context: Context,
    actions: tuple[str, ...] = ("kms:GenerateDataKey", "kms:Decrypt"),
) -> Iterator[Need]:
    """Yield the uses of a customer managed key on the caller's behalf; AWS's own key needs none."""
    if not key_id or key_id.endswith(rules.AWS_MANAGED_KEY):
        return
    key = key_of(account, region, key_id)
    about = {
        **context,
        "kms:viaservice": (f"secretsmanager.{region}.amazonaws.com",),
        "kms:calleraccount": context.get("aws:principalaccount", (account,)),
        "kms:encryptioncontext:secretarn": (secret_arn,),
        "kms:encryptioncontextkeys": ("SecretARN", "SecretVersionId"),
        "aws:viaawsservice": ("true",),
    }
    if key is not None:
        about["kms:resourcealiases"] = tuple(sorted(key.aliases))
    for action in actions:
        arn = key_id if key is None else str(key.arn)
        request = Request(action=action, resource=arn, context=about)
        document = None if key is None else json.loads(key.policy)
        yield Need(request, ResourcePolicy(document=document, account=account, required=True), in_kms=True)


def key_of(account: str, region: str, key_id: str) -> Key | None:
    """Return a KMS key by id, ARN, alias or an alias's ARN; an ARN may be another account's."""
    if key_id.startswith("arn:"):
        parts = key_id.split(":")
        region, account = parts[3], parts[4]
    if account not in kms_backends or region not in kms_backends[account]:
        return None
    backend = kms_backends[account][region]
    try:
        return backend.describe_key(backend.any_id_to_key_id(key_id))
    except (ServiceException, KeyError, AttributeError):
        return None


def _of_function(
    secret: rules.Secret, account: str, body: Mapping[str, Any], context: Context
) -> Iterator[Need]:
    """RotateSecret needs the right to call the function, too."""
    arn = body.get("RotationLambdaARN") or (secret.rotation.lambda_arn if secret.rotation else None)
    if arn:
        policy = lambda_service.policy_of(str(arn)) if str(arn).startswith("arn:") else None
        owner = str(arn).split(":")[4] if policy else account
        request = Request(action="lambda:InvokeFunction", resource=str(arn), context=context)
        yield Need(request, ResourcePolicy(document=policy, account=owner))


def _arn_to_come(region: str, account: str, name: str) -> str:
    return f"arn:aws:secretsmanager:{region}:{account or DEFAULT_ACCOUNT_ID}:secret:{name}{_SUFFIX_TO_COME}"


def _parameters(body: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {
        f"secretsmanager:{key}": (
            str(body[name]).lower() if isinstance(body[name], bool) else str(body[name]),
        )
        for name, key in _PARAMETERS.items()
        if body.get(name) is not None
    }
    regions = [str(copy.get("Region")) for copy in body.get("AddReplicaRegions") or []]
    if regions:
        found["secretsmanager:addreplicaregions"] = tuple(regions)
    if body.get("RotationRules"):
        found["secretsmanager:modifyrotationrules"] = ("true",)
    return {**found, **tag_context(body.get("Tags"), body.get("TagKeys"))}


def _tagged(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {
        f"{prefix}:resourcetag/{key.lower()}": (value,)
        for key, value in tags.items()
        for prefix in ("aws", "secretsmanager")
    }
