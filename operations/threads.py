"""Threads that wait for AWS, and never keep a command from ending."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def mapped(function: Callable[[_Item], _Answer], items: Iterable[_Item], at_once: int) -> list[_Answer]:
    """Return a function's answers for items, in their order, several at once.

    The first exception ends the wait: calls in progress are abandoned, no others begin. So does Ctrl-C, which
    a ThreadPoolExecutor delays until the calls in progress have returned, as does Python's exit.

    Args:
        function: called in other threads.
        items: its arguments.
        at_once: maximum number of calls at once.
    """
    waiting = deque(enumerate(items))
    number = len(waiting)
    ended: queue.SimpleQueue[tuple[int, _Answer | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            try:
                index, item = waiting.popleft()
            except IndexError:
                return
            try:
                ended.put((index, function(item), None))
            except BaseException as error:  # noqa: BLE001  raised in the caller's thread
                waiting.clear()
                ended.put((index, None, error))

    answers: dict[int, _Answer] = {}
    try:
        for _ in range(min(at_once, number)):
            threading.Thread(target=work, daemon=True).start()
        while len(answers) < number:
            index, answer, error = ended.get()
            if error is not None:
                raise error
            answers[index] = answer  # type: ignore[assignment]  # the function's own, which may be None
    finally:
        waiting.clear()
    return [answers[index] for index in range(number)]
