"""Stops the function at any point where it has just touched, or is about to touch, something outside itself.

Everything outside is reached through two calls of libraries: a request to AWS, and a statement, login or
logout at PostgreSQL. Between two of these nothing changes that others could see: after one call is before the
next. So killing before each call that changes something covers every state that a killed function can leave
behind. A broken network is another matter: there both the loss of a request and the loss of its answer are
tried. Within a transaction everything leaves the same, so there a kill is tried at the first change and at
COMMIT, and a broken network at each kind of statement, whose errors may be treated in different ways.
"""

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pg8000.native
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError

from functions.rotation import store

# They change nothing: a kill before one leaves what a kill before the next call leaves, a lost answer what a
# lost request leaves.
_READS = ("Get", "Describe", "List", "SELECT")
_NAMES_AND_VALUES = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|\d+|:\w+""")
KILLED = 137  # as a shell reports SIGKILL


@dataclass(frozen=True)
class _Transactions:
    """The statements that were tried in each connection's open transaction.

    Attributes:
        by_kind: one of each kind counts, instead of one of all.
        kinds: id of a connection to kinds of statements.
    """

    by_kind: bool
    kinds: dict[int, set[str]] = field(default_factory=dict)

    def tried(self, connection: object, statement: str) -> bool:
        """Tell whether one like it was tried in the same transaction, and note it."""
        if statement.startswith("BEGIN"):
            self.kinds[id(connection)] = set()
        elif statement.startswith(("COMMIT", "ROLLBACK")) and " TO " not in statement:
            self.kinds.pop(id(connection), None)
        elif (known := self.kinds.get(id(connection))) is not None:
            kind = _NAMES_AND_VALUES.sub("?", statement) if self.by_kind else ""
            if kind in known:
                return True
            known.add(kind)
        return False


@contextlib.contextmanager
def interrupted(at: int, action: Callable[[Any], None], *, after_calls: bool) -> Iterator[Callable[[], int]]:
    """Run `action` at point number `at`, from 0: before each call that changes something; with `after_calls`
    before every call, and after each that changes something, too.

    Yields how many points were passed. `action` gets the pg8000 connection, or the name of the AWS operation.
    """
    points = itertools.count()
    passed = 0
    transactions = _Transactions(by_kind=after_calls)

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(subject: Any, *arguments: Any, **named: Any) -> Any:
            what = arguments[0] if isinstance(subject, BaseClient) else subject
            changes = not (arguments and str(arguments[0]).startswith(_READS))
            counts = changes or after_calls
            if counts and arguments and not isinstance(subject, BaseClient):
                counts = not transactions.tried(subject, str(arguments[0]))
            if counts:
                point(what)
            answer = original(subject, *arguments, **named)
            if counts and changes and after_calls:
                point(what)
            return answer

        return call

    def point(what: Any) -> None:
        nonlocal passed
        passed += 1
        if next(points) == at:
            action(what)

    connection = pg8000.native.Connection
    with (
        mock.patch.object(connection, "__init__", around(connection.__init__)),
        mock.patch.object(connection, "run", around(connection.run)),
        mock.patch.object(connection, "close", around(connection.close)),
        mock.patch.object(BaseClient, "_make_api_call", around(BaseClient._make_api_call)),
    ):
        yield lambda: passed


def killed(at: int, function: Callable[[], object]) -> bool:
    """Run `function` in a process that ends at point `at` without cleaning up; False if it got through.

    The kernel then closes its connections, and the server rolls back what was not committed: as with SIGKILL.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store._client.cache_clear()  # the parent's connection to AWS is not this process's to use
            with interrupted(at, lambda _: os._exit(KILLED), after_calls=False):
                function()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, KILLED}, "the function failed by itself"
    return code == KILLED


def cut_off(at: int, function: Callable[[], object]) -> tuple[bool, Exception | None]:
    """Run `function` with one network failure at point `at`: the call is lost before it, the answer after.

    Returns:
        whether the point was reached, and what the function raised.
    """

    def fail(what: Any) -> None:
        if isinstance(what, str):
            raise EndpointConnectionError(endpoint_url="https://secretsmanager")
        opened = getattr(what, "_usock", None)
        if opened is None:
            raise ConnectionResetError
        with contextlib.suppress(OSError):
            opened.close()
            what._sock.close()  # both hold the descriptor: without it the server rolls back
        raise pg8000.native.InterfaceError("network error")

    error: Exception | None = None
    with interrupted(at, fail, after_calls=True) as passed:
        try:
            function()
        except Exception as raised:  # noqa: BLE001 - the test looks at it
            error = raised
        return passed() > at, error
