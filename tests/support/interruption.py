"""Interrupt the function at any point at which it has used, or is about to use, something external.

The function reaches everything external through calls: a request to AWS; a statement, login or logout at a
database; a command at Redis. Between two calls, nothing visible to others changes, so after one call is the
same as before the next. Killing before each call that changes something therefore covers every state that a
killed function can leave. With a network failure, the loss of a request and the loss of its answer are
different cases, and both are tested. Within a transaction every kill leaves the same state, so only the first
change and COMMIT are tested; a network failure is tested at each kind of statement, because the code may
handle their errors differently.
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
import pymysql
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from pymysql.connections import Connection as MysqlConnection
from pymysql.constants import CR

from components.lambdas.rotation import cache_aws, cache_session, store

# These change nothing: a kill before one leaves the same state as a kill before the next call, and a lost
# answer the same as a lost request.
_READS = ("Get", "Describe", "List", "SELECT", "AUTH", "PING")
_NAMES_AND_VALUES = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|\d+|:\w+""")
KILLED = 137  # a shell's exit code for SIGKILL


@dataclass(frozen=True)
class _Transactions:
    """The statements that have been interrupted in each connection's open transaction.

    Attributes:
        by_kind: whether one statement of each kind is interrupted, instead of only one.
        kinds: kinds of statements, by the id of their connection.
    """

    by_kind: bool
    kinds: dict[int, set[str]] = field(default_factory=dict)

    def tried(self, connection: object, statement: str) -> bool:
        """Return whether a similar statement was interrupted in this transaction, and record this one."""
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
    """Run `action` at a point of the code inside the context.

    Args:
        at: number of the point, from 0. There is a point before each call that changes something.
        action: called with the connection to the database or Redis, or with the name of the AWS operation.
        after_calls: whether there are also points before all other calls, and after calls that change
            something.

    Yields:
        A function that returns the number of points passed.
    """
    points = itertools.count()
    passed = 0
    transactions = _Transactions(by_kind=after_calls)

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(subject: Any, *arguments: Any, **named: Any) -> Any:
            what = arguments[0] if isinstance(subject, BaseClient) else subject
            changes = not (arguments and str(arguments[0]).startswith(_READS))
            counts = changes or after_calls
            if counts and arguments and isinstance(arguments[0], str) and not isinstance(subject, BaseClient):
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
        mock.patch.object(MysqlConnection, "connect", around(MysqlConnection.connect)),
        mock.patch.object(MysqlConnection, "query", around(MysqlConnection.query)),
        mock.patch.object(MysqlConnection, "close", around(MysqlConnection.close)),
        mock.patch.object(BaseClient, "_make_api_call", around(BaseClient._make_api_call)),
        mock.patch.object(cache_session._Session, "call", around(cache_session._Session.call)),
    ):
        yield lambda: passed


def killed(at: int, function: Callable[[], object]) -> bool:
    """Run `function` in a process that ends at point `at` without cleaning up; return False if it completes.

    As with SIGKILL, the kernel closes the process's connections, and the server rolls back open transactions.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            cache_aws._client.cache_clear()
            store._client.cache_clear()  # a forked process must not use its parent's connection to AWS
            with interrupted(at, lambda _: os._exit(KILLED), after_calls=False):
                function()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, KILLED}, "the function failed by itself"
    return code == KILLED


def cut_off(at: int, function: Callable[[], object]) -> tuple[bool, Exception | None]:
    """Run `function` with one network failure at point `at`, which loses a request or an answer.

    Returns:
        Whether the point was reached, and what the function raised.
    """

    def fail(what: Any) -> None:
        if isinstance(what, str):
            raise EndpointConnectionError(endpoint_url="https://secretsmanager")
        if isinstance(what, MysqlConnection):
            what._force_close()
            raise pymysql.err.OperationalError(CR.CR_SERVER_LOST, "network error")
        opened = getattr(what, "_usock", None)
        if opened is None:
            raise ConnectionResetError
        with contextlib.suppress(OSError):
            opened.close()
            what._sock.close()  # both have the descriptor; when it is closed, the server rolls back
        raise pg8000.native.InterfaceError("network error")

    error: Exception | None = None
    with interrupted(at, fail, after_calls=True) as passed:
        try:
            function()
        except Exception as raised:  # noqa: BLE001 - the test checks it
            error = raised
        return passed() > at, error
