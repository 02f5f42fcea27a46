"""The stack file's package needs no engine and no AWS SDK."""

import ast

import pulumi_aws as aws

from stack_file.regions import REGIONS
from tests.support.stacks import ROOT


def imports() -> dict[str, set[str]]:
    """Return the top-level packages that each module of `stack_file` imports."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "stack_file").glob("*.py"):
        names = found.setdefault(path.stem, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
    return found


def test_only_loading_imports_pulumi() -> None:
    assert {module for module, names in imports().items() if "pulumi" in names} == {"loading"}


def test_no_module_imports_an_aws_sdk_or_the_program() -> None:
    forbidden = {"pulumi_aws", "boto3", "botocore", "program", "operations"}
    assert {module: names & forbidden for module, names in imports().items() if names & forbidden} == {}


def test_the_listed_regions_are_those_of_pulumi_aws() -> None:
    assert set(REGIONS) == {region.value for region in aws.Region}
    assert len(REGIONS) == len(set(REGIONS))
