"""A resource plugin for tests of the engine: a resource is a file, and creating one can hang on demand.

SMALL_FOLDER holds the files. With SMALL_HANG creation hangs, `before` or `after` the file is there.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2

VERSION = "1.0.0"
FOLDER = Path(os.environ.get("SMALL_FOLDER", ""))


def create(request: Any) -> provider_pb2.CreateResponse:  # noqa: ANN401 -- protobuf publishes no types
    name = str(request.properties["name"])
    hang = os.environ.get("SMALL_HANG")
    if hang != "before":
        # Appended to, so that a second creation shows.
        with (FOLDER / name).open("a") as file:
            file.write("created\n")
    if hang:
        (FOLDER / "hanging").touch()
        time.sleep(60)
    return provider_pb2.CreateResponse(id=name, properties=request.properties)


def read(request: Any) -> provider_pb2.ReadResponse:  # noqa: ANN401 -- protobuf publishes no types
    if not (FOLDER / request.id).exists():
        return provider_pb2.ReadResponse()
    state = Struct()
    state.update({"name": request.id})
    outputs = Struct()
    outputs.update({"name": request.id, "read": True})
    return provider_pb2.ReadResponse(id=request.id, inputs=state, properties=outputs)


def delete(request: Any) -> Empty:  # noqa: ANN401 -- protobuf publishes no types
    (FOLDER / request.id).unlink()
    return Empty()


METHODS = {
    "Handshake": (
        lambda _: provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True),
        provider_pb2.ProviderHandshakeRequest,
    ),
    "GetPluginInfo": (lambda _: plugin_pb2.PluginInfo(version=VERSION), Empty),
    "CheckConfig": (
        lambda request: provider_pb2.CheckResponse(inputs=request.news),
        provider_pb2.CheckRequest,
    ),
    "DiffConfig": (lambda _: provider_pb2.DiffResponse(), provider_pb2.DiffRequest),
    "Configure": (
        lambda _: provider_pb2.ConfigureResponse(supportsPreview=True),
        provider_pb2.ConfigureRequest,
    ),
    "Check": (lambda request: provider_pb2.CheckResponse(inputs=request.news), provider_pb2.CheckRequest),
    "Diff": (
        lambda _: provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE),
        provider_pb2.DiffRequest,
    ),
    "Create": (create, provider_pb2.CreateRequest),
    "Read": (read, provider_pb2.ReadRequest),
    "Delete": (delete, provider_pb2.DeleteRequest),
    "Cancel": (lambda _: Empty(), Empty),
}


def main() -> None:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            lambda request, _context, answer=answer: answer(request),
            kind.FromString,
            lambda response: response.SerializeToString(),
        )
        for name, (answer, kind) in METHODS.items()
    }
    handler = grpc.method_handlers_generic_handler("pulumirpc.ResourceProvider", handlers)
    server = grpc.server(ThreadPoolExecutor(), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # The engine holds the other end: gone, so are we.
    sys.stdin.read()


if __name__ == "__main__":
    main()
