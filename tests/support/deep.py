"""Choose between the tests of `make test` and those of `make test-deep`.

A test marked `deep` takes long and has a fast representative: the same kill at every call, every
version of a server, attacks at random. `--deep` chooses: `without` them (the default), `only` them, or `with`
them. What was left out is named at the end of the output.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

_LEFT_OUT = pytest.StashKey[dict[str, int]]()
_CHOICES = ("without", "only", "with")


def deep_except(values: Iterable[Any], fast: Sequence[object]) -> list[Any]:
    """Return the parameters of a test: all are deep except for those in `fast`."""
    listed = list(values)
    missing = [value for value in fast if value not in listed]
    assert not missing, f"not parameters: {missing}"
    return [value if value in fast else pytest.param(value, marks=pytest.mark.deep) for value in listed]


def chosen(choice: str, is_deep: bool) -> bool:
    """Return whether a test runs with `--deep choice`."""
    return choice == "with" or is_deep == (choice == "only")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deep",
        choices=_CHOICES,
        default="without",
        help="run without tests marked `deep` (default), only them, or with them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that `--deep` does not choose."""
    choice = config.getoption("--deep")
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        is_deep = item.get_closest_marker("deep") is not None
        (kept if chosen(choice, is_deep) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        config.stash[_LEFT_OUT] = dict(Counter(item.nodeid.partition("::")[0] for item in left_out))
        items[:] = kept


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that prints, which collects nothing itself, what a pytest-xdist worker left out."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["deep"] = session.config.stash[_LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    del error
    # every worker collects all tests, so each says the same
    node.config.stash[_LEFT_OUT] |= getattr(node, "workeroutput", {}).get("deep", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the files whose deep tests were left out."""
    left_out = config.stash[_LEFT_OUT]
    if config.getoption("--deep") == "without" and left_out:
        terminalreporter.write_line(summary(left_out))


def summary(left_out: Mapping[str, int]) -> str:
    """Return the line that names the files of deep tests, with the number of tests in each."""
    files: Sequence[str] = [f"{name} ({number})" for name, number in sorted(left_out.items())]
    return f"{sum(left_out.values())} deep tests were not run (make test-deep): {', '.join(files)}"
