"""The fixtures of the engine's tests: each test has its own stack."""

from tests.engine.conftest import emulator, stack

__all__ = ["emulator", "stack"]
