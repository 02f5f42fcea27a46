"""A replacement for a project's `__main__.py` that runs the real one and counts its function calls."""

import atexit
import cProfile
import json
import os
import pstats
import runpy
from pathlib import Path

PROGRAM_VARIABLE = "BENCHMARK_PROGRAM"
COUNTS_VARIABLE = "BENCHMARK_COUNTS"


def _write(profile: cProfile.Profile) -> None:
    profile.disable()
    found = pstats.Stats(profile)
    calls = found.stats  # type: ignore[attr-defined]  # not in the stubs, as old as the module
    waited = sum(
        about[0] for (file, _, name), about in calls.items() if name == "_blocking" and "grpc" in file
    )
    counts = {"function calls": found.total_calls, "requests waited for": waited}  # type: ignore[attr-defined]  # the same
    Path(os.environ[COUNTS_VARIABLE]).write_text(json.dumps(counts))


if __name__ == "__main__":
    counted = cProfile.Profile()
    # resources are registered after this file has ended, in the same thread
    atexit.register(_write, counted)
    counted.enable()
    runpy.run_path(os.environ[PROGRAM_VARIABLE], run_name="__main__")
