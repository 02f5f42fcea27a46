"""Let no Ctrl-C get lost."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Long enough for the finalizer to end, short enough to go unnoticed.
_SECONDS = 0.02


@contextmanager
def interrupts_arrive() -> Iterator[None]:
    """Interrupt again when Python drops an interrupt, and take SIGTERM for one.

    A KeyboardInterrupt that is raised inside a finalizer (`weakref.finalize`, `__del__`) is printed as
    "Exception ignored", and the command would run to its end. SIGTERM would end Python at once, and leave
    engines behind.
    """
    before = sys.unraisablehook
    is_main = threading.current_thread() is threading.main_thread()
    is_default = is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    interrupted = threading.get_ident()
    pending: list[threading.Timer] = []

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            # to this thread: a signal to the timer's own would not wake this one from a wait
            again = threading.Timer(_SECONDS, signal.pthread_kill, (interrupted, signal.SIGINT))
            again.daemon = True
            again.start()
            pending.append(again)
        else:
            before(unraisable)

    sys.unraisablehook = hook
    if is_default:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if is_default:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for timer in pending:
            timer.cancel()
        sys.unraisablehook = before


@contextmanager
def interrupts_go_to(handle: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Let a function handle SIGINT (Ctrl-C) and SIGTERM until the block ends."""
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether an interrupt is, or led to, an exception.

    Python before 3.12 raises RuntimeError for any exception in `__set_name__`, as it runs in an import.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
