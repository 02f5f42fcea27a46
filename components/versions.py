"""What AWS says of a secret's versions, asked through the engine."""

from dataclasses import dataclass
from importlib import metadata

import grpc
from google.protobuf import json_format
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

CURRENT_LABEL = "AWSCURRENT"

# AWS deletes versions without a staging label in its own time. This label of our own keeps the initial
# version: were it gone, a refresh would drop it from state and the next update would write it again.
INITIAL_VERSION_LABEL = "aws-secrets-initial"

# On a version of the writer in which a key still waits for a person (functions/writer).
UNFILLED_LABEL = "aws-secrets-unfilled"


class LookupFailedError(RuntimeError):
    """AWS did not say; the message is the provider's."""


@dataclass(frozen=True)
class Version:
    """A version with staging labels; no value."""

    version_id: str
    version_stages: tuple[str, ...]


def list_versions(secret_id: str) -> list[Version]:
    """The versions of a secret, by its ARN or name.

    This asks the engine directly. The SDK's own invoke waits for a thread of a pool whose every thread may be
    waiting for the end of a registration, and with it for a hook that calls this; and a failure of it fails
    the program, whoever catches it.

    Raises:
        LookupFailedError: there is no such secret, or AWS could not be asked.
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
