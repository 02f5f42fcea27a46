"""An emulator in a process of its own, for tests."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Emulator:
    """`environment` leads a client there; `log` is what the emulator wrote."""

    port: int
    endpoint: str
    environment: Mapping[str, str]
    log: Path
    pid: int


@contextmanager
def running_emulator(data: Path | None) -> Iterator[Emulator]:
    """Starts an emulator on a free port, with this data file or one that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        kept = data or Path(folder, "data")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "localcloud.emulator", "--port", "0", "--data", str(kept)],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _started(process, log)
        finally:
            process.terminate()
            process.wait(timeout=20)


def _started(process: "subprocess.Popen[bytes]", log: Path) -> Emulator:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"^listening on 127\.0\.0\.1:(\d+)$", log.read_text(), re.MULTILINE)
        if found:
            endpoint = f"http://127.0.0.1:{found[1]}"
            environment = {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            return Emulator(int(found[1]), endpoint, environment, log, process.pid)
        time.sleep(0.02)
    raise AssertionError(f"the emulator did not start:\n{log.read_text()}")
