# ruff: noqa: ANN401  boto3, protobuf and property values are of any type
"""The stand-in aws plugin as the engine calls it, without the engine."""

import os
from typing import Any, NoReturn

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from tests.support.emulator_process import Emulator
from tools.localcloud.plugins.aws.plugin import PLUGIN
from tools.localcloud.plugins.serve import Servicer
from tools.localcloud.plugins.values import Properties, from_struct, to_struct


class RefusedError(Exception):
    """The error that the engine shows, and the unfinished object that it records."""

    def __init__(self, details: str, recorded: Properties) -> None:
        super().__init__(details)
        self.recorded = recorded


class Context:
    def __init__(self) -> None:
        self.recorded: Properties = {}

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        status, unfinished = status_pb2.Status(), provider_pb2.ErrorResourceInitFailed()
        status.ParseFromString(dict(metadata)["grpc-status-details-bin"])
        status.details[0].Unpack(unfinished)
        self.recorded = from_struct(unfinished.properties)

    def abort(self, _code: grpc.StatusCode, details: str) -> NoReturn:
        raise RefusedError(details, self.recorded)


class Plugin:
    """The engine's calls, by resource type."""

    def __init__(self, config: Properties) -> None:
        self.servicer = Servicer(PLUGIN)
        checked = self.servicer.CheckConfig(provider_pb2.CheckRequest(news=to_struct(config)), Context())
        self.refused = [failure.reason for failure in checked.failures]
        if not self.refused:
            self.servicer.Configure(provider_pb2.ConfigureRequest(args=checked.inputs), Context())

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """Return an AWS client that does not go through the plugin."""
        return self.servicer.context.client(service, {"region": region})

    def inputs(self, token: str, properties: Properties, olds: Properties | None = None) -> Properties:
        checked = self.servicer.Check(
            provider_pb2.CheckRequest(
                urn=urn(token), olds=to_struct(olds or {}), news=to_struct(properties), randomSeed=b"seed"
            ),
            Context(),
        )
        assert not checked.failures, checked.failures
        return from_struct(checked.inputs)

    def create(self, token: str, properties: Properties) -> tuple[str, Properties]:
        inputs = to_struct(self.inputs(token, properties))
        request = provider_pb2.CreateRequest(urn=urn(token), properties=inputs)
        made = self.servicer.Create(request, Context())
        return made.id, from_struct(made.properties)

    def update(self, token: str, identity: str, olds: Properties, properties: Properties) -> Properties:
        request = provider_pb2.UpdateRequest(
            urn=urn(token), id=identity, olds=to_struct(olds), news=to_struct(self.inputs(token, properties))
        )
        return from_struct(self.servicer.Update(request, Context()).properties)

    def read(self, token: str, identity: str) -> Any:
        """Read as an import does: with the id alone."""
        return self.servicer.Read(provider_pb2.ReadRequest(urn=urn(token), id=identity), Context())

    def invoke(self, token: str, args: Properties) -> Properties:
        request = provider_pb2.InvokeRequest(tok=token, args=to_struct(args))
        return from_struct(getattr(self.servicer.Invoke(request, Context()), "return"))


def urn(token: str) -> str:
    return f"urn:pulumi:test::app::{token}::it"


def difference(plugin: Plugin, token: str, olds: Properties, properties: Properties) -> Any:
    request = provider_pb2.DiffRequest(
        urn=urn(token), id=olds["id"], olds=to_struct(olds), news=to_struct(plugin.inputs(token, properties))
    )
    return plugin.servicer.Diff(request, Context())


def refusals(plugin: Plugin, token: str, properties: Properties) -> list[str]:
    request = provider_pb2.CheckRequest(urn=urn(token), news=to_struct(properties), randomSeed=b"seed")
    return [failure.reason for failure in plugin.servicer.Check(request, Context()).failures]


def lead_to(emulator: Emulator, patch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        patch.delenv(key)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    for key, value in emulator.environment.items():
        patch.setenv(key, value)
