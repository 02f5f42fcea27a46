"""The modules that the program loads, and its process."""

import subprocess
import sys

LOADED = """
import sys
import program.entry
print(*sorted(name for name in sys.modules if name.startswith("pulumi_aws.") and name.count(".") > 1))
print(*sorted({"boto3", "jinja2", "rich"} & sys.modules.keys()))
"""


def test_the_program_loads_neither_pulumi_aws_modules_nor_the_status() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


PROCESS = """
import sys
from program.runtime_tuning import no_stack_traces

class Shown(Exception):
    pass

try:
    with no_stack_traces():
        assert sys.tracebacklimit < 20
        raise Shown
except Shown:
    assert not hasattr(sys, "tracebacklimit")
"""


def test_an_uncaught_exception_has_its_whole_traceback() -> None:
    subprocess.run([sys.executable, "-c", PROCESS], check=True)
