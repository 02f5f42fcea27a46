"""Staging labels of a secret's versions, looked up through the engine."""

from dataclasses import dataclass
from importlib import metadata

import grpc
from google.protobuf import json_format
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

from .lambdas.common import labels

CURRENT_LABEL = labels.CURRENT

# AWS deletes versions without a staging label in its own time. Our own label keeps the initial version:
# without it, a refresh would drop the version from the state, and the next update would write it again.
INITIAL_VERSION_LABEL = labels.INITIAL

# On a version of the writer with a key that is not filled in yet (lambdas/writer).
UNFILLED_LABEL = labels.UNFILLED


class LookupFailedError(RuntimeError):
    """The lookup failed; the message is the provider's."""


@dataclass(frozen=True)
class Version:
    """A version with staging labels; no value."""

    version_id: str
    version_stages: tuple[str, ...]


def list_versions(secret_id: str) -> list[Version]:
    """Return the versions of a secret, by its ARN or name.

    This asks the engine directly. The SDK's invoke needs a thread of a pool whose threads may all be waiting
    for a registration, and so for a hook that calls this. And its failure fails the program even if caught.

    Raises:
        LookupFailedError: the secret does not exist, or AWS could not be asked.
    """
    request = resource_pb2.ResourceInvokeRequest(
        tok="aws:secretsmanager/getSecretVersions:getSecretVersions",
        version=metadata.version("pulumi-aws"),
    )
    request.args["secretId"] = secret_id
    monitor = get_monitor()
    if monitor is None:
        raise RuntimeError("this was called outside a Pulumi program")
    try:
        answer = json_format.MessageToDict(monitor.Invoke(request))
    except grpc.RpcError as error:
        raise LookupFailedError(str(error.details())) from None
    if answer.get("failures"):
        raise LookupFailedError(answer["failures"][0]["reason"])
    return [
        Version(str(version["versionId"]), tuple(version["versionStages"]))
        for version in answer["return"]["versions"]
    ]
