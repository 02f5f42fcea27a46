"""Nothing is adopted into a file that is generated."""

from pathlib import Path

import pytest

from operations.adopt import adoption
from operations.adopt.model import SourceError
from operations.fleet.stack_files import load_fleet_file

FLEET = """encryptionsalt: v1:anything
config:
  aws:region: us-east-1
  aws-secrets:fleet: {groups: {web: [web*]}}
  aws-secrets:secrets:
    web: {values: {A: {value: one}}}
"""


def test_the_file_of_a_fleets_group_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: aws-secrets\nruntime: python\n")
    (tmp_path / "Pulumi.shop.yaml").write_text(FLEET)
    file = load_fleet_file(tmp_path, "shop")
    file.write(file.partition.groups)
    with pytest.raises(SourceError, match=r"Adopt into a stack of its own, then add it to the fleet\."):
        adoption.stack_of(tmp_path, "shop.web", None)
