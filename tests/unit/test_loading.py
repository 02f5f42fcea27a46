"""What every preview and update pays before the program begins."""

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
