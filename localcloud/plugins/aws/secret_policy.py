"""The resource aws:secretsmanager/secretPolicy:SecretPolicy."""

from localcloud.plugins.aws.account import Account, doing, missing
from localcloud.plugins.aws.schema import shape
from localcloud.plugins.resource import Resource, normal_policy
from localcloud.plugins.values import Properties


def _put(account: Account, inputs: Properties) -> str:
    client = account.client("secretsmanager", inputs)
    secret = str(inputs["secretArn"])
    with doing(f"putting Secrets Manager Secret ({secret}) policy"):
        client.put_resource_policy(
            SecretId=secret,
            ResourcePolicy=inputs["policy"],
            BlockPublicPolicy=bool(inputs.get("blockPublicPolicy")),
        )
    return secret


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    client = account.client("secretsmanager", known)
    with doing(f"reading Secrets Manager Secret Policy ({identity})"):
        try:
            policy = client.get_resource_policy(SecretId=identity).get("ResourcePolicy")
        except client.exceptions.ClientError as error:
            if missing(error) or "marked for deletion" in str(error):
                return None
            raise
    if not policy:
        return None
    return {
        "blockPublicPolicy": known.get("blockPublicPolicy"),
        "id": identity,
        "policy": normal_policy(policy),
        "region": known.get("region") or account.region,
        "secretArn": identity,
    }


def _update(account: Account, _identity: str, _olds: Properties, news: Properties) -> None:
    _put(account, news)


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("secretsmanager", olds)
    with doing(f"deleting Secrets Manager Secret Policy ({identity})"):
        try:
            client.delete_resource_policy(SecretId=identity)
        except client.exceptions.ClientError as error:
            if not (missing(error) or "marked for deletion" in str(error)):
                raise


SECRET_POLICY = Resource(
    **shape("aws:secretsmanager/secretPolicy:SecretPolicy"),
    create=_put,
    read=_read,
    update=_update,
    delete=_delete,
    policies=frozenset({"policy"}),
)
