"""Calls that start at the same moment."""

import random
import threading
import time
from collections.abc import Callable


def at_once(*calls: Callable[[], object], within: float = 0) -> list[BaseException]:
    """Run all calls in threads, each after a random delay of up to `within` seconds; return their errors."""
    errors: list[BaseException] = []
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        time.sleep(random.uniform(0, within))  # noqa: S311  no secret
        try:
            call()
        except BaseException as error:  # noqa: BLE001  the test checks it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
