"""Serves a stand-in plugin to the engine: the gRPC service ResourceProvider."""

import os
import select
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from localcloud.plugins import resource as resources
from localcloud.plugins.resource import Difference, Failure, Resource
from localcloud.plugins.values import Properties, from_struct, to_struct

# Every call to AWS holds a thread while it waits; the engine sends as many as its --parallel allows.
_THREADS = 128

Message = Any  # protobuf publishes no types


class ProviderError(Exception):
    """A call failed; the message is shown to the operator and holds no property value."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin serves.

    Attributes:
        name, version: of the plugin that it stands in for.
        check_config: configuration to the inputs of the provider resource and what is refused.
        configure: configuration to the context that resources and functions get; raises ProviderError.
        default_tags, region: what Check adds, from that context.
        resources, functions: by token.
    """

    name: str
    version: str
    check_config: Callable[[Properties], tuple[Properties, list[Failure]]]
    configure: Callable[[Properties], Any]
    default_tags: Callable[[Any], Mapping[str, str]]
    region: Callable[[Any], str | None]
    resources: Mapping[str, Resource]
    functions: Mapping[str, Callable[[Any, Properties], Properties]]


# ruff: noqa: D102, N802  the methods are those of Pulumi's provider.proto, which describes them
class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine for one plugin."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.context: Any = None

    def Handshake(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    def Attach(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return Empty()

    def Cancel(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return Empty()

    def GetPluginInfo(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return plugin_pb2.PluginInfo(version=self.plugin.version)

    def GetSchema(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return provider_pb2.GetSchemaResponse(
            schema=f'{{"name": "{self.plugin.name}", "version": "{self.plugin.version}"}}'
        )

    def GetMapping(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, _request: Message, _context: grpc.ServicerContext) -> Message:
        return provider_pb2.GetMappingsResponse()

    def CheckConfig(self, request: Message, _context: grpc.ServicerContext) -> Message:
        inputs, failures = self.plugin.check_config(from_struct(request.news))
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures("", failures))

    def DiffConfig(self, request: Message, _context: grpc.ServicerContext) -> Message:
        olds, news = from_struct(request.olds), from_struct(request.news)
        changed = sorted(key for key in {*olds, *news} - {"version"} if olds.get(key) != news.get(key))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            # another region is another place: nothing of the old one can be updated there
            replaces=[key for key in changed if key == "region"],
        )

    def Configure(self, request: Message, context: grpc.ServicerContext) -> Message:
        try:
            self.context = self.plugin.configure(from_struct(request.args))
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Check(self, request: Message, context: grpc.ServicerContext) -> Message:
        resource = self._resource(request.urn, context)
        name = _name(request.urn)
        asked = resources.Checked(
            logical_name=name,
            olds=from_struct(request.olds),
            news=from_struct(request.news),
            seed=request.randomSeed,
            default_tags=self.plugin.default_tags(self.context),
            region=self.plugin.region(self.context),
        )
        inputs, failures = resources.check(resource, asked)
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(name, failures))

    def Diff(self, request: Message, context: grpc.ServicerContext) -> Message:
        resource = self._resource(request.urn, context)
        found = resources.diff(
            resource, from_struct(request.olds), from_struct(request.news), list(request.ignoreChanges)
        )
        return _diff_response(found)

    def Create(self, request: Message, context: grpc.ServicerContext) -> Message:
        resource = self._resource(request.urn, context)
        inputs = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(resources.preview(resource, inputs)))
        identity, outputs = self._call(context, lambda: _created(resource, self.context, inputs))
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(outputs))

    def Read(self, request: Message, context: grpc.ServicerContext) -> Message:
        resource = self._resource(request.urn, context)
        old_inputs = from_struct(request.inputs)
        outputs = self._call(
            context, lambda: resource.read(self.context, request.id, from_struct(request.properties))
        )
        if outputs is None:
            return provider_pb2.ReadResponse()
        inputs = resources.read_inputs(resource, old_inputs, outputs)
        return provider_pb2.ReadResponse(
            id=outputs["id"],
            properties=to_struct(resources.finished(resource, outputs)),
            inputs=to_struct(resources.finished(resource, inputs, timeouts=False)),
        )

    def Update(self, request: Message, context: grpc.ServicerContext) -> Message:
        resource = self._resource(request.urn, context)
        olds, news = from_struct(request.olds), from_struct(request.news)
        if request.preview:
            known = {name: value for name, value in news.items() if name in resource.outputs}
            return provider_pb2.UpdateResponse(
                properties=to_struct(resources.finished(resource, {**olds, **known}))
            )
        outputs = self._call(context, lambda: _updated(resource, self.context, request.id, olds, news))
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    def Delete(self, request: Message, context: grpc.ServicerContext) -> Message:
        resource = self._resource(request.urn, context)
        olds = from_struct(request.properties)
        self._call(context, lambda: resource.delete(self.context, request.id, olds))
        return Empty()

    def Invoke(self, request: Message, context: grpc.ServicerContext) -> Message:
        function = self.plugin.functions.get(request.tok)
        if function is None:
            self._unsupported(request.tok, context)
        args = from_struct(request.args)
        found = self._call(context, lambda: function(self.context, args))
        return provider_pb2.InvokeResponse(**{"return": to_struct(found)})

    def _resource(self, urn: str, context: grpc.ServicerContext) -> Resource:
        token = urn.split("::")[2].rpartition("$")[2]
        found = self.plugin.resources.get(token)
        if found is None:
            self._unsupported(token, context)
        return found

    def _unsupported(self, token: str, context: grpc.ServicerContext) -> NoReturn:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"The local cloud's stand-in for the {self.plugin.name} plugin does not know {token}. "
            "Run with PULUMI_PLUGINS=official, or add it to localcloud/plugins.",
        )
        raise AssertionError  # abort raises

    def _call(self, context: grpc.ServicerContext, function: Callable[[], Any]) -> Any:  # noqa: ANN401  any answer
        try:
            return function()
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"1 error occurred:\n\t* {error}\n\n")
        except Exception as error:  # noqa: BLE001  a defect of ours; its message may hold a value, its place not
            place = traceback.extract_tb(error.__traceback__)[-1]
            context.abort(
                grpc.StatusCode.INTERNAL,
                f"the stand-in plugin failed: {type(error).__name__} at {place.name}:{place.lineno}",
            )


def _created(resource: Resource, context: object, inputs: Properties) -> tuple[str, Properties]:
    created = resource.create(context, inputs)
    if not isinstance(created, str):
        return created["id"], resources.finished(resource, created)
    identity = created
    outputs = resource.read(context, identity, inputs)
    if outputs is None:
        raise ProviderError(f"reading {resource.token} ({identity}): couldn't find resource")
    if "tags" in outputs and not inputs.get("tags"):
        outputs = {**outputs, "tags": None}
    return identity, resources.finished(resource, outputs)


def _updated(
    resource: Resource, context: object, identity: str, olds: Properties, news: Properties
) -> Properties:
    resource.update(context, identity, olds, news)
    outputs = resource.read(context, identity, {**olds, **news})
    if outputs is None:
        raise ProviderError(f"reading {resource.token} ({identity}): couldn't find resource")
    return resources.finished(resource, outputs)


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _failures(name: str, failures: list[Failure]) -> list[Message]:
    def reason(failure: Failure) -> str:
        place = f" Examine values at '{name}.{failure.path}'." if name and failure.path else ""
        return failure.reason + place

    return [provider_pb2.CheckFailure(reason=reason(failure)) for failure in failures]


def _diff_response(found: Difference) -> Message:
    kinds = provider_pb2.PropertyDiff.Kind
    response = provider_pb2.DiffResponse(
        stables=found.stables,
        changes=provider_pb2.DiffResponse.DIFF_SOME if found.details else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=found.changed,
        replaces=found.replaces,
        hasDetailedDiff=True,
    )
    for path, (kind, replaces) in found.details.items():
        value = kinds.Value(f"{kind}_REPLACE" if replaces else kind)
        response.detailedDiff[path].CopyFrom(provider_pb2.PropertyDiff(kind=value))
    return response


def _wait_for_the_end() -> None:
    """Returns on SIGINT or SIGTERM, and when the engine is gone: it holds the other end of standard input."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    watched = [woken]
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        watched.append(0)
    while True:
        readable, _, _ = select.select(watched, [], [])
        if woken in readable or not os.read(0, 4096):
            return


def serve(plugin: Plugin) -> NoReturn:
    """Serves until the engine ends us or ends itself."""
    server = grpc.server(
        ThreadPoolExecutor(_THREADS),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(plugin), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    _wait_for_the_end()
    # no shutdown of the server: the engine reads no more answers
    os._exit(0)
