"""Let a command finish when nobody reads its output any more."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def finish_without_readers() -> None:
    """Discard output that nobody can read: its reader is gone, as after `| head`, or it was closed (`>&-`).

    Python would raise an error at the next line of progress, and a rotation or an answer to a leak would stop
    halfway.
    """
    sys.stdout = _discarding(sys.stdout)
    sys.stderr = _discarding(sys.stderr)


class _DiscardingFile(io.FileIO):
    """A file that becomes /dev/null when its reader closes the pipe."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return memoryview(data).nbytes


def _discarding(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed when Python started
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_DiscardingFile(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
