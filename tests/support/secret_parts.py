"""The passwords of a session's tests, and the search for them in logs of many megabytes."""

import re

LENGTH = 16
_WORD = re.compile(f"[A-Za-z0-9]{{{LENGTH},}}")

SECRET_PARTS: set[str] = set()
"""Parts of every password of the session that are the same in any encoding; none may be in a log."""


def remember(password: object) -> None:
    parts = set(_WORD.findall(str(password)))
    assert all(len(set(part)) > 4 for part in parts), "a name may look like this: use a_password()"
    SECRET_PARTS.update(parts)


def assert_no_password(*logs: str) -> None:
    for log in logs:
        assert not has_part(log, SECRET_PARTS), "a password reached a log"


def has_part(text: str, parts: set[str]) -> bool:
    """Return whether one of the parts, of at least LENGTH characters, is anywhere in a text.

    Looking for each of thousands of parts in each log took a minute of every worker.
    """
    by_beginning: dict[str, list[str]] = {}
    for part in parts:
        by_beginning.setdefault(part[:LENGTH], []).append(part)
    return any(
        word.startswith(part, start)
        for word in set(_WORD.findall(text))
        for start in range(len(word) - LENGTH + 1)
        for part in by_beginning.get(word[start : start + LENGTH], ())
    )
