"""`pulumi stack output --json workloads | python -m workloads.write DIRECTORY`: manifests as files."""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

_LAYER = "/opt/"
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file knows
_READABLE = 0o100644 << 16
_UNIX = 3


def write(outputs: dict[str, dict[str, Any]], directory: Path) -> list[Path]:
    """Write NAME.yaml and NAME-pod.yaml for pods, NAME.json for other platforms.

    A Lambda function that asks for database authorities gets NAME-ca.pem, and NAME-layer.zip if their path
    is in a layer.

    Returns:
        The files that were written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, output in sorted(outputs.items()):
        texts = {f"{name}.yaml": output.get("manifests"), f"{name}-pod.yaml": output.get("pod")}
        if "manifests" not in output:
            texts = {f"{name}.json": json.dumps(output, indent=2, sort_keys=True) + "\n"}
        for file, text in texts.items():
            path = directory / file
            path.write_text(str(text))
            written.append(path)
        if "environment" in output and "databaseAuthorities" in output:
            written += _write_authorities(directory, name, **output["databaseAuthorities"])
    return written


def _write_authorities(directory: Path, name: str, path: str, pem: str) -> list[Path]:
    file, layer = directory / f"{name}-ca.pem", directory / f"{name}-layer.zip"
    file.write_text(pem)
    if not path.startswith(_LAYER):
        return [file]
    # the same bytes for the same authorities, so that nothing is published anew without need
    with zipfile.ZipFile(layer, "w", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(path.removeprefix(_LAYER), _FIRST_TIME)
        entry.external_attr, entry.create_system = _READABLE, _UNIX
        archive.writestr(entry, pem)
    return [file, layer]


def main(arguments: list[str]) -> int:
    """Exit code."""
    try:
        [directory] = arguments
        outputs = json.load(sys.stdin)
    except ValueError:
        sys.stderr.write(f"Usage: {__doc__}\n")
        return 2
    for path in write(outputs, Path(directory)):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
