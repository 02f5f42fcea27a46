"""What every preview and update pays before the program begins, and what its process is like."""

import subprocess
import sys

LOADED = """
import sys
import program, settings
print(*sorted(name for name in sys.modules if name.startswith("pulumi_aws.") and name.count(".") > 1))
print(*sorted({"boto3", "jinja2", "rich"} & sys.modules.keys()))
"""


def test_loading_the_program_loads_no_part_of_pulumi_aws_and_nothing_of_the_status() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


PROCESS = """
import sys
from program.process import short_stack_traces

class Shown(Exception):
    pass

try:
    with short_stack_traces():
        assert sys.tracebacklimit < 20
        raise Shown
except Shown:
    assert not hasattr(sys, "tracebacklimit")
"""


def test_an_exception_that_leaves_the_program_is_shown_with_its_whole_traceback() -> None:
    subprocess.run([sys.executable, "-c", PROCESS], check=True)
