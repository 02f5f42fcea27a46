"""A command finishes when nobody reads its output any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOES_ON = """
import sys
from operations.closed_output import finish_without_readers

finish_without_readers()
for stream in (sys.stdout, sys.stderr):
    for number in range(3):
        stream.write("progress\\n" * 10_000)
        stream.flush()
open(sys.argv[1], "w").write("done")
sys.exit(15)
"""


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_command_goes_on_when_the_reader_of_its_output_is_gone(closed: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = tmp_path / "done"
    command = [sys.executable, "-c", GOES_ON, str(done)]
    stdout, stderr = (write if name == closed else subprocess.DEVNULL for name in ("stdout", "stderr"))
    try:
        ended = subprocess.run(command, cwd=ROOT, check=False, timeout=60, stdout=stdout, stderr=stderr)
    finally:
        os.close(write)
    assert (done.read_text(), ended.returncode) == ("done", 15)


@pytest.mark.parametrize("output", ["| true", ">&-", ">&- 2>&-"])
def test_a_command_without_a_reader_shows_no_traceback(output: str) -> None:
    script = f'set -o pipefail; "{sys.executable}" -m operations status schema {output}'
    ended = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, check=False, timeout=60, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
