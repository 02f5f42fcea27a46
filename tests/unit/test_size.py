"""The size limit of a configuration, compared with the operating system's."""

import errno
import subprocess
import sys

import pytest

from stack_file import Configuration
from stack_file.size import LIMIT, nearly_too_large, size_of, too_large

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")

EMPTY = size_of({"app:note": ""})


def of_size(size: int) -> Configuration:
    return Configuration(
        project="app", stack="prod", values={"app:note": "x" * (size - EMPTY)}, encrypted=frozenset()
    )


def is_started_with(variable: str) -> bool:
    try:
        subprocess.run(["/bin/true"], env={"PULUMI_CONFIG": variable}, check=True)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        return False
    return True


@pytest.mark.parametrize(("size", "starts"), [(LIMIT, True), (LIMIT + 1, False)])
def test_the_size_limit_is_the_operating_systems(size: int, starts: bool) -> None:
    assert size_of(of_size(size).values) == size
    assert (list(too_large(of_size(size))) == []) is starts
    assert is_started_with("x" * (size - len("PULUMI_CONFIG=\0"))) is starts


def test_the_mistake_has_the_size_and_the_remedy() -> None:
    (mistake,) = too_large(of_size(200 * 1024), ("fleet", "parts"))
    assert mistake.path == "app:fleet.parts"
    assert mistake.wrong.startswith("the configuration takes 200 KiB; the limit on Linux is 128")
    assert "fleet" in mistake.remedy


def test_only_a_size_near_the_limit_is_a_warning() -> None:
    assert nearly_too_large(of_size(LIMIT // 2).values) is None
    assert "120 of the 128 KiB" in str(nearly_too_large(of_size(120 * 1024).values))


def test_structures_count_as_the_engine_passes_them() -> None:
    # the engine passes a structure as JSON in a JSON string
    assert size_of({"app:secrets": {"a": [1, "é"]}}) == size_of({"app:secrets": '{"a":[1,"\\u00e9"]}'})
