"""`pulumi stack output --json workloads | python -m workloads.write DIRECTORY`: manifests as files."""

import json
import sys
from pathlib import Path


def write(outputs: dict[str, dict[str, object]], directory: Path) -> list[Path]:
    """NAME.yaml and NAME-pod.yaml for pods, NAME.json for other platforms; which files were written."""
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
    return written


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
