"""A stack of its own for each test, as the engine's tests have it."""

from tests.engine.conftest import emulator, stack

__all__ = ["emulator", "stack"]
