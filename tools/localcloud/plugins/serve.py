"""Serve a stand-in plugin to the engine: the gRPC service ResourceProvider."""

import json
import logging
import os
import select
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import wraps
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from tools.localcloud.plugins import resource as resources
from tools.localcloud.plugins.property_types import Failure
from tools.localcloud.plugins.resource import Difference, Resource
from tools.localcloud.plugins.values import Properties, from_struct, to_struct

# Every call to AWS holds a thread while it waits; the engine sends as many as its --parallel allows.
_THREADS = 128

Message = Any  # protobuf publishes no types


class ProviderError(Exception):
    """A call failed; the message is shown to the operator and holds no property value."""


class UnfinishedError(ProviderError):
    """A creation failed after the object was created under this id; the engine keeps it in the state file."""

    def __init__(self, message: str, identity: str) -> None:
        super().__init__(message)
        self.identity = identity


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """The resources and functions that a plugin serves.

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


class UnsupportedError(Exception):
    """The stand-in does not know a resource or function."""


class _InitializationError(Exception):
    """An object was created or changed incompletely: the engine records it with the error."""

    def __init__(self, message: str, identity: str, outputs: Properties) -> None:
        super().__init__(message)
        self.details = provider_pb2.ErrorResourceInitFailed(
            id=identity, properties=to_struct(outputs), reasons=[message]
        )


def _answered(method: Callable[["Servicer", Message], Message]) -> Callable[..., Message]:
    """Return a method of the service whose exceptions become errors of the call, and never a traceback."""

    @wraps(method)
    def answered(servicer: "Servicer", request: Message, context: grpc.ServicerContext) -> Message:
        try:
            return method(servicer, request)
        except UnsupportedError as error:
            code, text = grpc.StatusCode.UNIMPLEMENTED, str(error)
        except ProviderError as error:
            code, text = grpc.StatusCode.UNKNOWN, str(error)
        except _InitializationError as error:
            code, text = grpc.StatusCode.UNKNOWN, str(error)
            status = status_pb2.Status(code=code.value[0], message=text)
            status.details.add().Pack(error.details)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        except Exception as error:  # noqa: BLE001  a defect of ours; its message may hold a value, its place not
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {place.name}:{place.lineno}"
            code, text = grpc.StatusCode.INTERNAL, f"the stand-in plugin failed: {where}"
        context.abort(code, text)
        raise AssertionError  # abort raises

    return answered


# ruff: noqa: D102, N802  the methods are those of Pulumi's provider.proto, which describes them
class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answer the engine for one plugin."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.context: Any = None

    @_answered
    def Handshake(self, _request: Message) -> Message:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    @_answered
    def Attach(self, _request: Message) -> Message:
        return Empty()

    @_answered
    def Cancel(self, _request: Message) -> Message:
        return Empty()

    @_answered
    def GetPluginInfo(self, _request: Message) -> Message:
        return plugin_pb2.PluginInfo(version=self.plugin.version)

    @_answered
    def GetSchema(self, _request: Message) -> Message:
        return provider_pb2.GetSchemaResponse(
            schema=json.dumps({"name": self.plugin.name, "version": self.plugin.version})
        )

    @_answered
    def GetMapping(self, _request: Message) -> Message:
        return provider_pb2.GetMappingResponse()

    @_answered
    def GetMappings(self, _request: Message) -> Message:
        return provider_pb2.GetMappingsResponse()

    @_answered
    def CheckConfig(self, request: Message) -> Message:
        inputs, failures = self.plugin.check_config(from_struct(request.news))
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures("", failures))

    @_answered
    def DiffConfig(self, request: Message) -> Message:
        olds, news = from_struct(request.old_inputs or request.olds), from_struct(request.news)
        changed = sorted(key for key in {*olds, *news} - {"version"} if olds.get(key) != news.get(key))
        return provider_pb2.DiffResponse(
            # without a change the bridge leaves it to the engine to compare
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if changed
            else provider_pb2.DiffResponse.DIFF_UNKNOWN,
            diffs=changed,
            # another region is another place: nothing of the old one can be updated there
            replaces=[key for key in changed if key == "region" and key in olds],
        )

    @_answered
    def Configure(self, request: Message) -> Message:
        self.context = self.plugin.configure(from_struct(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,
            supports_autonaming_configuration=True,
        )

    @_answered
    def Check(self, request: Message) -> Message:
        resource = self._resource(request.urn)
        name = _name(request.urn)
        naming = None
        if request.HasField("autonaming"):
            mode = provider_pb2.CheckRequest.AutonamingOptions.Mode.Name(request.autonaming.mode)
            naming = (mode.lower(), request.autonaming.proposed_name)
        asked = resources.Checked(
            logical_name=name,
            olds=from_struct(request.olds),
            news=from_struct(request.news),
            seed=request.randomSeed,
            naming=naming,
            default_tags=self.plugin.default_tags(self.context),
            region=self.plugin.region(self.context),
        )
        inputs, failures = resources.check(resource, asked)
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(name, failures))

    @_answered
    def Diff(self, request: Message) -> Message:
        resource = self._resource(request.urn)
        olds, news = from_struct(request.olds), from_struct(request.news)
        return _diff_response(resources.diff(resource, olds, news, list(request.ignoreChanges)))

    @_answered
    def Create(self, request: Message) -> Message:
        resource = self._resource(request.urn)
        inputs = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(resources.preview(resource, inputs)))
        identity, outputs = _created(resource, self.context, request.urn, inputs)
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(outputs))

    @_answered
    def Read(self, request: Message) -> Message:
        resource = self._resource(request.urn)
        known = from_struct(request.properties)
        outputs = _listed(lambda: resource.read(self.context, request.id, known))
        if outputs is None:
            return provider_pb2.ReadResponse()
        inputs = (
            resources.refreshed_inputs(resource, from_struct(request.inputs), outputs)
            if known
            else resources.imported_inputs(resource, outputs)
        )
        return provider_pb2.ReadResponse(
            id=outputs["id"],
            properties=to_struct(resources.finished(resource, outputs)),
            inputs=to_struct(resources.finished(resource, inputs, timeouts=False)),
        )

    @_answered
    def Update(self, request: Message) -> Message:
        resource = self._resource(request.urn)
        olds = from_struct(request.olds)
        news = resources.without_ignored(olds, from_struct(request.news), list(request.ignoreChanges))
        if request.preview:
            outputs = resources.finished(resource, resources.preview_update(resource, olds, news))
        else:
            outputs = _updated(resource, self.context, request, olds, news)
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    @_answered
    def Delete(self, request: Message) -> Message:
        resource = self._resource(request.urn)
        olds = from_struct(request.properties)
        _listed(lambda: resource.delete(self.context, request.id, olds))
        return Empty()

    @_answered
    def Invoke(self, request: Message) -> Message:
        function = self.plugin.functions.get(request.tok)
        if function is None:
            raise self._unsupported(request.tok)
        args = from_struct(request.args)
        found = _listed(lambda: function(self.context, args))
        return provider_pb2.InvokeResponse(**{"return": to_struct(found)})

    def _resource(self, urn: str) -> Resource:
        token = urn.split("::")[2].rpartition("$")[2]
        found = self.plugin.resources.get(token)
        if found is None:
            raise self._unsupported(token)
        return found

    def _unsupported(self, token: str) -> UnsupportedError:
        return UnsupportedError(
            f"The local stand-in for the {self.plugin.name} plugin does not implement {token}. Run with "
            "PULUMI_PLUGINS=official, or add it as tools/localcloud/plugins/__init__.py describes."
        )


def _listed(call: Callable[[], Any]) -> Any:  # noqa: ANN401  any answer
    """Return a call to AWS whose failure is shown as the bridge shows its list of errors."""
    try:
        return call()
    except UnfinishedError as error:
        raise UnfinishedError(_list_of_one(error), error.identity) from None
    except ProviderError as error:
        raise ProviderError(_list_of_one(error)) from None


def _list_of_one(error: ProviderError) -> str:
    return f"1 error occurred:\n\t* {error}\n\n"


def _created(resource: Resource, context: object, urn: str, inputs: Properties) -> tuple[str, Properties]:
    identity = ""
    try:
        created = _listed(lambda: resource.create(context, inputs))
        if not isinstance(created, str):
            return created["id"], resources.finished(resource, created)
        identity = created
        outputs = _listed(lambda: _found_again(resource, context, identity, inputs))
    except ProviderError as error:
        identity = getattr(error, "identity", identity)
        if not identity:
            raise
        known = {**resources.without_unknowns(resources.preview(resource, inputs)), "id": identity}
        raise _InitializationError(f"creating {urn}: {error}", identity, known) from None
    planned = resource.planned(inputs)
    return identity, resources.finished(resource, resources.without_empty(resource, planned, outputs))


def _found_again(resource: Resource, context: object, identity: str, inputs: Properties) -> Properties:
    found = resource.read(context, identity, inputs)
    if found is None:
        raise ProviderError(f"reading {resource.token} ({identity}): couldn't find resource")
    return found


def _updated(
    resource: Resource, context: object, request: Message, olds: Properties, news: Properties
) -> Properties:
    planned = resources.after_update(resource, olds, news)
    try:
        outputs = _listed(lambda: resource.update(context, request.id, olds, news))
        if outputs is None:
            outputs = _listed(lambda: resource.read(context, request.id, planned))
    except ProviderError as error:
        known = resources.finished(resource, resources.after_failed_update(resource, olds, news))
        raise _InitializationError(f"updating {request.urn}: {error}", request.id, known) from None
    if outputs is None:
        raise ProviderError(
            f"Resource provider reported that the resource did not exist while updating {request.urn}.\n\n"
            "Run `pulumi refresh`, then update again."
        )
    return resources.finished(resource, resources.without_empty(resource, planned, outputs))


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _failures(name: str, failures: list[Failure]) -> list[Message]:
    def reason(failure: Failure) -> str:
        place = f". Examine values at '{name}.{failure.path}'." if name and failure.path else ""
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
        deleteBeforeReplace=found.delete_before_replace,
    )
    for path, (kind, replaces) in found.details.items():
        value = kinds.Value(f"{kind}_REPLACE" if replaces else kind)
        response.detailedDiff[path].CopyFrom(provider_pb2.PropertyDiff(kind=value))
    return response


def _wait_for_the_end() -> None:
    """Return on SIGINT or SIGTERM, and when the engine, at the other end of standard input, has ended."""
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
    """Serve until the engine ends this process or itself."""
    # what goes wrong is an answer to the engine, which shows this process's standard error to the operator
    logging.getLogger("grpc").setLevel(logging.CRITICAL + 1)
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
