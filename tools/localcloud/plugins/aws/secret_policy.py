"""The resource aws:secretsmanager/secretPolicy:SecretPolicy."""

from tools.localcloud.plugins import policies
from tools.localcloud.plugins.aws.account import Account, doing, is_error, missing, unless_gone
from tools.localcloud.plugins.aws.schema import shape
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties


def _put(account: Account, inputs: Properties) -> str:
    secret = str(inputs["secretArn"])
    with doing(f"putting Secrets Manager Secret ({secret}) policy"):
        answer = account.client("secretsmanager", inputs).put_resource_policy(
            SecretId=secret,
            ResourcePolicy=policies.normal(inputs["policy"]),
            BlockPublicPolicy=bool(inputs.get("blockPublicPolicy")),
        )
    return str(answer["ARN"])


def _is_gone(error: Exception) -> bool:
    return missing(error) or is_error(error, "InvalidRequestException", "because it was marked for deletion")


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    with doing(f"reading Secrets Manager Secret Policy ({identity})"):
        found = unless_gone(lambda: client.get_resource_policy(SecretId=identity), _is_gone)
        if found is None:
            return None
    return {
        "blockPublicPolicy": known.get("blockPublicPolicy"),
        "id": identity,
        "policy": policies.as_known(known.get("policy"), found.get("ResourcePolicy")),
        "region": known.get("region") or account.region,
        "secretArn": identity,
    }


def _update(account: Account, _identity: str, _olds: Properties, news: Properties) -> None:
    _put(account, news)


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("secretsmanager", olds)
    with doing(f"deleting Secrets Manager Secret ({identity}) policy"):
        unless_gone(lambda: client.delete_resource_policy(SecretId=identity), _is_gone)


SECRET_POLICY = Resource(
    **shape("aws:secretsmanager/secretPolicy:SecretPolicy"),
    create=_put,
    read=_read,
    update=_update,
    delete=_delete,
    policies=frozenset({"policy"}),
)
