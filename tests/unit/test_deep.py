"""The tests that `make test` leaves to `make test-deep`."""

import pytest

from tests.support.deep import chosen, deep_except, summary


def test_all_parameters_but_the_named_ones_are_deep() -> None:
    fast, slow = deep_except([False, True], [False])
    assert fast is False
    assert (slow.values, [mark.name for mark in slow.marks]) == ((True,), ["deep"])


def test_a_fast_parameter_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AssertionError, match="not parameters"):
        deep_except(["a", "b"], ["c"])


@pytest.mark.parametrize(("deep", "without", "only"), [(False, True, False), (True, False, True)])
def test_each_test_runs_with_one_of_the_two_commands(deep: bool, without: bool, only: bool) -> None:
    assert (chosen("without", deep), chosen("only", deep), chosen("with", deep)) == (without, only, True)


def test_the_closing_line_names_each_file_with_its_number() -> None:
    assert summary({"tests/b.py": 2, "tests/a.py": 1}) == (
        "3 deep tests were not run (make test-deep): tests/a.py (1), tests/b.py (2)"
    )
