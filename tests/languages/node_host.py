"""A Node.js language host for tests: the official one is in no package registry.

It runs TypeScript programs with the `@pulumi/pulumi` of their own `node_modules`, and generates an SDK with
the engine's own generator (tools/localcloud/engine/nodejs_sdk). Plugins written in TypeScript are not served.

Arguments: the SDK generator, flags that are ignored, the engine's address.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, plugin_pb2

from tools.localcloud import language_host
from tools.localcloud.language_host import ProgramError, Programs

Message = Any  # protobuf publishes no types for the base class


def _run(programs: Programs, request: Message) -> Message:
    folder = Path(request.info.program_directory)
    runner = folder / "node_modules" / "@pulumi" / "pulumi" / "cmd" / "run"
    if not runner.is_dir():
        raise ProgramError(f"{folder} has no @pulumi/pulumi: run `npm install` there.")
    environment = {
        **os.environ,
        "PULUMI_NODEJS_TYPESCRIPT": "true",
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }
    arguments = language_host.run_arguments(request, programs.engine_address)
    process = programs.start(["node", str(runner), *arguments], environment, request.pwd)
    returncode = programs.finish(process)
    if programs.cancelled:
        return language_pb2.RunResponse(bail=True)
    return language_host.run_response(returncode)


def _required_packages(_programs: Programs, _request: Message) -> Message:
    return language_pb2.GetRequiredPackagesResponse()


def _plugin_info(_programs: Programs, _request: Message) -> Message:
    return plugin_pb2.PluginInfo(version=version("pulumi"))


def _dependencies(_programs: Programs, _request: Message) -> Message:
    return language_pb2.GetProgramDependenciesResponse()


def _generate_package(programs: Programs, request: Message) -> Message:
    command = [str(programs.executor), request.loader_target, request.directory]
    done = subprocess.run(command, input=request.schema, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProgramError(f"The TypeScript SDK could not be generated: {done.stderr.strip()}")
    return language_pb2.GeneratePackageResponse()


ANSWERS: language_host.Answers = {
    "Handshake": (language_host.handshake, language_pb2.LanguageHandshakeRequest),
    "GetPluginInfo": (_plugin_info, Empty),
    "GetRequiredPackages": (_required_packages, language_pb2.GetRequiredPackagesRequest),
    "Run": (_run, language_pb2.RunRequest),
    "GetProgramDependencies": (_dependencies, language_pb2.GetProgramDependenciesRequest),
    "GeneratePackage": (_generate_package, language_pb2.GeneratePackageRequest),
    "Cancel": (language_host.cancel, Empty),
}

if __name__ == "__main__":
    language_host.main(sys.argv[1:], ANSWERS, {})
