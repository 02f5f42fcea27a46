"""Write manifests: `pulumi stack output --json workloads | python -m operations manifests DIR`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from components.visible import visible
from operations.exit_codes import ExitCode, epilogue
from program.manifests.contract_json import ContractError
from program.manifests.write import write

CODES = frozenset({ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BAD_SETTINGS, ExitCode.CANCELLED})


def main(arguments: Sequence[str]) -> int:
    """Write the manifests of the outputs on standard input; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m operations manifests",
        description="Write the manifests of a stack's workloads to a folder, from their outputs: "
        "pulumi stack output --json workloads | python -m operations manifests DIR",
        epilog=epilogue(*CODES) + "\nMore: docs/workloads.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="folder of the manifests")
    options = parser.parse_args(arguments)
    pipe = "pipe `pulumi stack output --json workloads` into it"
    try:
        outputs = json.load(sys.stdin)
    except ValueError:
        parser.error(f"standard input is not JSON: {pipe}")
    if not isinstance(outputs, dict) or not all(isinstance(output, dict) for output in outputs.values()):
        parser.error(f"standard input is not the output `workloads`: {pipe}")
    try:
        written = write(outputs, options.directory)
    except ContractError as error:
        sys.stderr.write(f"error: {error}.\n")
        return ExitCode.FAILED
    except OSError as error:
        place = visible(str(error.filename or options.directory))
        sys.stderr.write(f"error: {place}: {error.strerror}. The manifests are not complete.\n")
        return ExitCode.BAD_SETTINGS
    for path in written:
        sys.stdout.write(f"{path}\n")
    return ExitCode.DONE
