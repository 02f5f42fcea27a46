"""The resource aws:secretsmanager/secretVersion:SecretVersion."""

import base64
import binascii
from typing import Any

from tools.localcloud.plugins.aws import names
from tools.localcloud.plugins.aws.account import Account, doing, is_error, missing, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.property_types import Failure
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.serve import ProviderError
from tools.localcloud.plugins.values import UNKNOWN, Properties

_CURRENT, _PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"


def _create(account: Account, inputs: Properties) -> str:
    secret = inputs["secretId"]
    request: dict[str, Any] = {"SecretId": secret, "ClientRequestToken": names.unique_id()}
    if inputs.get("secretBinary"):
        request["SecretBinary"] = base64.b64decode(inputs["secretBinary"])
    text = inputs.get("secretStringWo") or inputs.get("secretString")
    if text:
        request["SecretString"] = text
    if inputs.get("versionStages"):
        request["VersionStages"] = inputs["versionStages"]
    with doing(f"putting Secrets Manager Secret ({secret}) value"):
        created = account.client("secretsmanager", inputs).put_secret_value(**request)
    return f"{secret}|{created['VersionId']}"


def _parsed(identity: str) -> tuple[str, str]:
    secret, separator, version = identity.partition("|")
    if not (secret and separator and version):
        raise ProviderError(f"unexpected format of ID ({identity}), expected SecretID|VersionID")
    return secret, version


def _is_gone(error: Exception) -> bool:
    return missing(error) or any(
        is_error(error, "InvalidRequestException", text)
        for text in ("because it was deleted", "because it was marked for deletion")
    )


def _find(account: Account, identity: str, known: Properties) -> dict[str, Any] | None:
    client = account.client("secretsmanager", known)
    secret, version = _parsed(identity)
    with doing(f"reading Secrets Manager Secret Version ({identity})"):
        found: dict[str, Any] | None = unless_gone(
            lambda: client.get_secret_value(SecretId=secret, VersionId=version), _is_gone
        )
        if found is None:
            return None
    return found


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    found = _find(account, identity, known)
    if found is None:
        return None
    write_only = bool(known.get("secretStringWo") or known.get("hasSecretStringWo"))
    return {
        "arn": found["ARN"],
        "hasSecretStringWo": True if write_only else None,
        "id": identity,
        "region": known.get("region") or account.region,
        "secretArn": found["ARN"],
        "secretBinary": base64.b64encode(found.get("SecretBinary", b"")).decode(),
        "secretId": _parsed(identity)[0],
        "secretString": "" if write_only else found.get("SecretString", ""),
        "secretStringWo": None,
        "secretStringWoVersion": known.get("secretStringWoVersion"),
        "versionId": found["VersionId"],
        "versionStages": sorted(found.get("VersionStages", [])),
    }


def _holder_of_current(client: Any, secret: str) -> str:  # noqa: ANN401  boto3 is untyped
    with doing(f"listing Secrets Manager Secret ({secret}) version IDs"):
        listed = client.list_secret_version_ids(SecretId=secret)["Versions"]
    return next(
        str(version["VersionId"]) for version in listed if _CURRENT in version.get("VersionStages", [])
    )


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("secretsmanager", news)
    secret, version = _parsed(identity)
    if news.get("versionStages") is None:
        return
    old, new = set(olds.get("versionStages") or []), set(news["versionStages"])
    for stage in sorted(new - old):
        request = {"SecretId": secret, "VersionStage": stage, "MoveToVersionId": version}
        if stage == _CURRENT:
            request["RemoveFromVersionId"] = _holder_of_current(client, secret)
        with doing(f"adding Secrets Manager Secret Version ({identity}) stage ({stage})"):
            client.update_secret_version_stage(**request)
    for stage in sorted(old - new - {_CURRENT}):  # AWS only moves this label, it never takes it away
        if stage == _PREVIOUS and _CURRENT in new - old:
            continue  # AWS itself moved this one when AWSCURRENT was moved
        with doing(f"deleting Secrets Manager Secret Version ({identity}) stage ({stage})"):
            client.update_secret_version_stage(
                SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
            )


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("secretsmanager", olds)
    secret, version = _parsed(identity)
    for stage in sorted({*(olds.get("versionStages") or [])} - {_CURRENT}):
        with doing(f"deleting Secrets Manager Secret Version ({identity}) stage ({stage})"):
            try:
                client.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )
            except client.exceptions.ClientError as error:
                if _is_gone(error):
                    return
                raise
    left = set((_find(account, identity, olds) or {}).get("VersionStages", []))
    if len(left) > 1 or left - {_CURRENT, _PREVIOUS}:
        # the official provider waits two minutes for labels that it did not put there to go away
        raise ProviderError(
            f"waiting for Secrets Manager Secret Version ({identity}) delete: found resource, with the "
            f"staging labels {', '.join(sorted(left))}"
        )


def _check(inputs: Properties) -> list[Failure]:
    failures = []
    binary = inputs.get("secretBinary")
    if isinstance(binary, str):
        try:
            base64.b64decode(binary, validate=True)
        except binascii.Error:
            failures.append(Failure("secretBinary", '"secret_binary" must be base64-encoded'))
    write_only = {"secretStringWo": "secret_string_wo", "secretStringWoVersion": "secret_string_wo_version"}
    if len(write_only.keys() & inputs.keys()) == 1 and UNKNOWN not in inputs.values():
        name = next(iter(write_only.keys() & inputs.keys()))
        both = ",".join(write_only.values())
        reason = f'Missing required argument. "{write_only[name]}": all of `{both}` must be specified'
        failures.append(Failure(name, reason))
    return failures


SECRET_VERSION = Resource(
    **shape("aws:secretsmanager/secretVersion:SecretVersion"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    check=_check,
    conflicts=(frozenset({"secretBinary", "secretString", "secretStringWo"}),),
    sets=frozenset({"versionStages"}),
    meta_replacements=lambda _: frozenset({"secretString", "secretStringWoVersion"}),
)
