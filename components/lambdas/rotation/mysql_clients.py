"""Tell which sessions of a user began before its current password, on MySQL and MariaDB.

A user has two passwords, and neither server shows with which one a session logged in, nor when. But
connections are numbered in the order in which they began: one with a lower number than the function's own,
noted when the current value became current, used an older value. The numbers start again with the server, so
its start is noted, too.
"""

import contextlib
import re
from collections.abc import Sequence

from .driver import Holder
from .errors import OperatorError
from .mysql_session import DENIED, Session, SqlError
from .mysql_sql import literal

_BOOKMARK = re.compile(r"(\d{1,20}):(\d{1,12})")
_START_TOLERANCE = 30  # seconds; the server's start is known by two clocks
_PORT = re.compile(r":\d+$")


def bookmark(session: Session, known: str) -> str:
    """Return `known` if its numbers are still this server's, otherwise a bookmark of this moment."""
    found, started = _BOOKMARK.fullmatch(known), _started(session)
    if found and abs(int(found[2]) - started) <= _START_TOLERANCE:
        return known
    return f"{int(session.value('SELECT CONNECTION_ID()'))}:{started}"


def holders(session: Session, user: str, known: str) -> Sequence[Holder]:
    """Return the clients of a user that connected before a bookmark.

    All that are connected count if the bookmark is missing, or of a server that has restarted since.
    """
    usable = bool(known) and bookmark(session, known) == known
    before = f" AND ID < {int(known.partition(':')[0])}" if usable else ""
    rows = session.rows(
        f"SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE USER = {literal(user)} "  # noqa: S608 - quoted
        f"AND ID <> CONNECTION_ID(){before}"
    )
    programs = _programs(session) if rows else {}
    return [
        Holder(user=user, host=_PORT.sub("", str(host)), application=programs.get(int(number), ""))
        for number, host in rows
    ]


def check_sees_all(session: Session) -> None:
    """Raise OperatorError if the server shows a session only its own user's sessions.

    A table that needs PROCESS says so by an error on MySQL, and by having no rows on MariaDB.
    """
    try:
        visible = session.value("SELECT COUNT(*) FROM information_schema.INNODB_CMP")
    except SqlError as error:
        if error.code not in DENIED:
            raise
        visible = 0
    if not visible:
        raise OperatorError(
            f"{str(session.account)!r} does not see the sessions of others, so nothing shows who uses an old "
            f"password. Have a superuser run: GRANT PROCESS ON *.* TO {session.account.sql}"
        )


def _started(session: Session) -> int:
    uptime = session.rows("SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]
    return int(session.value("SELECT UNIX_TIMESTAMP()")) - int(uptime)


def _programs(session: Session) -> dict[int, str]:
    """Return the names that clients gave themselves, by their connections; none if they cannot be seen."""
    with contextlib.suppress(SqlError):
        rows = session.rows(
            "SELECT PROCESSLIST_ID, ATTR_VALUE FROM performance_schema.session_connect_attrs "
            "WHERE ATTR_NAME = 'program_name'"
        )
        return {int(number): str(name or "") for number, name in rows}
    return {}
