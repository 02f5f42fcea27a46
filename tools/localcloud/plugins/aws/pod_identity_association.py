"""The resource aws:eks/podIdentityAssociation:PodIdentityAssociation.

Not among the recorded ones. Source: pulumi-aws's types, and in the Terraform provider
internal/service/eks/pod_identity_association.go.
"""

from typing import Any

from tools.localcloud.plugins.aws import tags
from tools.localcloud.plugins.aws.account import Account, doing, unless_gone
from tools.localcloud.plugins.property_types import Described
from tools.localcloud.plugins.resource import Resource
from tools.localcloud.plugins.values import Properties

_TEXT = {"type": "string"}
_KEPT = {**_TEXT, "required": True, "replace": True}
_MAP = {"type": {"*": "string"}}
_UPDATED = ("roleArn", "disableSessionTags", "targetRoleArn", "policy")

_INPUTS: Described = {
    "clusterName": _KEPT,
    "disableSessionTags": {"type": "boolean"},
    "namespace": _KEPT,
    "policy": _TEXT,
    "region": {**_TEXT, "replace": True},
    "roleArn": {**_TEXT, "required": True},
    "serviceAccount": _KEPT,
    "tags": _MAP,
    "targetRoleArn": _TEXT,
}
_OUTPUTS: Described = {
    **_INPUTS,
    "associationArn": _TEXT,
    "associationId": _TEXT,
    "externalId": _TEXT,
    "tagsAll": _MAP,
}


def _given(inputs: Properties, *names: str) -> dict[str, Any]:
    return {name: inputs[name] for name in names if inputs.get(name) is not None}


def _create(account: Account, inputs: Properties) -> str:
    cluster = inputs["clusterName"]
    request = _given(inputs, "namespace", "serviceAccount", *_UPDATED)
    if inputs.get("tagsAll"):
        request["tags"] = inputs["tagsAll"]
    with doing(f"creating EKS Pod Identity Association ({cluster}/{inputs['serviceAccount']})"):
        made = account.client("eks", inputs).create_pod_identity_association(clusterName=cluster, **request)
    return str(made["association"]["associationId"])


def _read(account: Account, identity: str, known: Properties) -> Properties | None:
    cluster, association = known.get("clusterName"), identity
    if not cluster:
        cluster, _, association = identity.partition(",")
    client = account.client("eks", known)
    with doing(f"reading EKS Pod Identity Association ({association})"):
        answer = unless_gone(
            lambda: client.describe_pod_identity_association(clusterName=cluster, associationId=association)
        )
    if answer is None:
        return None
    found = answer["association"]
    names = ("associationArn", "associationId", "clusterName", "namespace", "serviceAccount", *_UPDATED)
    return {
        **{name: found.get(name) for name in names},
        "externalId": found.get("externalId"),
        "id": association,
        "region": known.get("region") or account.region,
        **tags.outputs(found.get("tags") or {}, known, account.default_tags),
    }


def _update(account: Account, identity: str, olds: Properties, news: Properties) -> None:
    client = account.client("eks", news)
    change = tags.change(olds, news)
    with doing(f"updating EKS Pod Identity Association ({identity})"):
        changed = {name: news.get(name) for name in _UPDATED if news.get(name) != olds.get(name)}
        given = {name: value for name, value in changed.items() if value is not None}
        if given:
            client.update_pod_identity_association(
                clusterName=olds["clusterName"], associationId=identity, **given
            )
        if change.remove:
            client.untag_resource(resourceArn=olds["associationArn"], tagKeys=change.remove)
        if change.put:
            client.tag_resource(resourceArn=olds["associationArn"], tags=change.put)


def _delete(account: Account, identity: str, olds: Properties) -> None:
    client = account.client("eks", olds)
    with doing(f"deleting EKS Pod Identity Association ({identity})"):
        unless_gone(
            lambda: client.delete_pod_identity_association(
                clusterName=olds["clusterName"], associationId=identity
            )
        )


POD_IDENTITY_ASSOCIATION = Resource(
    token="aws:eks/podIdentityAssociation:PodIdentityAssociation",  # noqa: S106  Pulumi's word for a type
    inputs=_INPUTS,
    outputs=_OUTPUTS,
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    plugin_framework=True,
)
